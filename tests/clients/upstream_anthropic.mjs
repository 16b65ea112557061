// anthropic-node against the router over one provider of whatever dialect: the counterpart of
// upstream_anthropic.py, where the rest is described.

import assert from 'node:assert/strict';

import { check, load, refused, run } from './checks.mjs';

const { default: Anthropic } = await load('@anthropic-ai/sdk');

const client = new Anthropic({
  baseURL: process.env.HR_ROOT_URL,
  apiKey: process.env.HR_API_KEY,
  timeout: 60_000,
  maxRetries: 0,
});
const model = 'hermes-router';
const tools = [
  {
    name: 'get_weather',
    description: 'The weather of a city.',
    input_schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
];
const HELLO = 'Hello from the provider, in several pieces.';
const FORECAST = 'It is 4 degrees and raining.';
const TWO_CITIES = 'What is the weather in Oslo and in Rome?';

const asks = (words) => ({
  model,
  max_tokens: 4096,
  system: 'Be brief.',
  messages: [{ role: 'user', content: words }],
});
const textOf = (message) => message.content.map((block) => block.text ?? '').join('');

check('a text', ['upstream'], async () => {
  const message = await client.messages.create(asks('Say hello.'));
  assert.equal(textOf(message), HELLO);
  assert.equal(message.stop_reason, 'end_turn');
  assert.equal(message.model, model);
  const { input_tokens, cache_read_input_tokens, output_tokens } = message.usage;
  assert.deepEqual([input_tokens, cache_read_input_tokens, output_tokens], [16, 5, 9]);
});

check("a streamed text, by the SDK's own helper", ['upstream'], async () => {
  const stream = client.messages.stream(asks('Say hello.'));
  let text = '';
  stream.on('text', (delta) => (text += delta));
  const message = await stream.finalMessage();
  assert.equal(text, HELLO);
  assert.equal(textOf(message), HELLO);
  assert.equal(message.stop_reason, 'end_turn');
  assert.equal(message.usage.output_tokens, 9);
});

check('calls of tools and their results, whole and streamed', ['upstream'], async () => {
  const question = asks(TWO_CITIES);
  const whole = await client.messages.create({ ...question, tools });
  const streamed = await client.messages.stream({ ...question, tools }).finalMessage();
  for (const message of [whole, streamed]) {
    assert.equal(message.stop_reason, 'tool_use');
    const calls = message.content.filter((block) => block.type === 'tool_use');
    assert.deepEqual(calls.map((call) => call.input), [{ city: 'Oslo' }, { city: 'Rome' }]);
    const results = calls.map(({ id }) => ({ type: 'tool_result', tool_use_id: id, content: '4 degrees, rain' }));
    const messages = [
      ...question.messages,
      { role: 'assistant', content: message.content },
      { role: 'user', content: results },
    ];
    assert.equal(textOf(await client.messages.create({ ...question, messages, tools })), FORECAST);
  }
});

check('thinking, whole and streamed', ['upstream'], async () => {
  const question = { ...asks('Think it over.'), thinking: { type: 'enabled', budget_tokens: 1024 } };
  const whole = await client.messages.create(question);
  const streamed = await client.messages.stream(question).finalMessage();
  for (const { content } of [whole, streamed]) {
    assert.deepEqual(content.map((block) => block.type), ['thinking', 'text']);
    assert.equal(content[0].thinking, 'First one thing, then another.');
    assert.ok(content[0].signature);
    assert.equal(content[1].text, 'Thought over.');
  }
});

check('tokens are counted', ['upstream'], async () => {
  const { max_tokens: _, ...question } = asks('Say hello.');
  const bare = await client.messages.countTokens(question);
  const equipped = await client.messages.countTokens({ ...question, tools });
  assert.ok(bare.input_tokens > 0 && bare.input_tokens < equipped.input_tokens);
});

check('a stream that is cut ends in an error', ['upstream'], async () => {
  let text = '';
  const stream = client.messages.stream(asks('Break off.'));
  stream.on('text', (delta) => (text += delta));
  await assert.rejects(stream.finalMessage(), Anthropic.AnthropicError);
  assert.ok(text && 'This answer is cut in the middle.'.startsWith(text), text);
});

check('errors are what the SDK maps', ['upstream'], async () => {
  const bad = await refused(
    Anthropic.BadRequestError,
    client.messages.create({ ...asks('Say hello.'), temperature: 'warm' }),
  );
  assert.equal(bad.error.error.type, 'invalid_request_error');
  assert.ok(bad.requestID);
  await refused(Anthropic.NotFoundError, client.messages.create({ ...asks('Say hello.'), model: 'upstream/no-such-model' }));
});

check('a limit that lasts is a 429', ['upstream'], async () => {
  const error = await refused(Anthropic.RateLimitError, client.messages.create(asks('Be limited.')));
  assert.equal(error.error.error.type, 'rate_limit_error');
});

await run('upstream');
