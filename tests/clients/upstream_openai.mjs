// openai-node against the router, in Chat Completions and in Responses, over one provider of whatever dialect:
// the counterpart of upstream_openai.py, where the rest is described.

import assert from 'node:assert/strict';

import { check, load, refused, run } from './checks.mjs';

const { default: OpenAI } = await load('openai');
const { zodResponseFormat, zodTextFormat } = await load('openai/helpers/zod');
const { z } = await load('zod');

const client = new OpenAI({
  baseURL: process.env.HR_BASE_URL,
  apiKey: process.env.HR_API_KEY,
  timeout: 60_000,
  maxRetries: 0,
});
const model = 'hermes-router';
const weather = {
  name: 'get_weather',
  description: 'The weather of a city.',
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  },
  strict: true,
};
const chatTools = [{ type: 'function', function: weather }];
const flatTools = [{ type: 'function', ...weather }];
const verdict = z.object({ ok: z.boolean(), reason: z.string() });

const HELLO = 'Hello from the provider, in several pieces.';
const FORECAST = 'It is 4 degrees and raining.';
const TWO_CITIES = 'What is the weather in Oslo and in Rome?';

const asks = (words) => [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: words },
];
const cities = (calls) => calls.map((call) => JSON.parse(call.arguments).city);

check('chat: a text', ['upstream'], async () => {
  const answer = await client.chat.completions.create({ model, messages: asks('Say hello.') });
  assert.equal(answer.choices[0].message.content, HELLO);
  assert.equal(answer.choices[0].finish_reason, 'stop');
  assert.equal(answer.usage.total_tokens, 30);
  assert.equal(answer.usage.prompt_tokens_details.cached_tokens, 5);
});

check("chat: a streamed text, by the SDK's own helper", ['upstream'], async () => {
  const stream = client.chat.completions.stream({
    model,
    messages: asks('Say hello.'),
    stream_options: { include_usage: true },
  });
  let text = '';
  stream.on('content', (delta) => (text += delta));
  const whole = await stream.finalChatCompletion();
  assert.equal(text, HELLO);
  assert.equal(whole.choices[0].message.content, HELLO);
  assert.equal(whole.usage.total_tokens, 30);
});

check('chat: calls of tools and their results, whole and streamed', ['upstream'], async () => {
  const messages = asks(TWO_CITIES);
  const whole = await client.chat.completions.create({ model, messages, tools: chatTools });
  const streamed = await client.chat.completions
    .stream({ model, messages, tools: chatTools })
    .finalChatCompletion();
  for (const { choices } of [whole, streamed]) {
    assert.equal(choices[0].finish_reason, 'tool_calls');
    const calls = choices[0].message.tool_calls;
    assert.deepEqual(cities(calls.map((call) => call.function)), ['Oslo', 'Rome']);
    assert.equal(new Set(calls.map((call) => call.id)).size, 2);
    const results = calls.map((call) => ({ role: 'tool', tool_call_id: call.id, content: '4 degrees, rain' }));
    const follow = await client.chat.completions.create({
      model,
      messages: [...messages, choices[0].message, ...results],
      tools: chatTools,
    });
    assert.equal(follow.choices[0].message.content, FORECAST);
  }
});

check('chat: structured output, parsed by the SDK', ['upstream'], async () => {
  const answer = await client.chat.completions.parse({
    model,
    messages: asks('Give a verdict.'),
    response_format: zodResponseFormat(verdict, 'verdict'),
  });
  assert.deepEqual(answer.choices[0].message.parsed, { ok: true, reason: 'fine' });
});

check('chat: a stream that is cut ends in an error', ['upstream'], async () => {
  let text = '';
  await refused(
    OpenAI.APIError,
    (async () => {
      const stream = await client.chat.completions.create({ model, messages: asks('Break off.'), stream: true });
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    })(),
  );
  assert.ok(text && 'This answer is cut in the middle.'.startsWith(text), text);
});

check('responses: a text', ['upstream'], async () => {
  const answer = await client.responses.create({ model, instructions: 'Be brief.', input: 'Say hello.' });
  assert.equal(answer.status, 'completed');
  assert.equal(answer.output_text, HELLO);
  assert.equal(answer.usage.total_tokens, 30);
  assert.equal(answer.usage.input_tokens_details.cached_tokens, 5);
});

check('responses: a streamed text folds to the whole answer', ['upstream'], async () => {
  const stream = client.responses.stream({ model, input: asks('Say hello.') });
  let text = '';
  stream.on('response.output_text.delta', (event) => (text += event.delta));
  const whole = await stream.finalResponse();
  assert.equal(text, HELLO);
  assert.equal(whole.output_text, HELLO);
  assert.equal(whole.status, 'completed');
});

check('responses: calls of tools and their results, whole and streamed', ['upstream'], async () => {
  const input = asks(TWO_CITIES);
  const whole = await client.responses.create({ model, input, tools: flatTools });
  const streamed = await client.responses.stream({ model, input, tools: flatTools }).finalResponse();
  for (const { output } of [whole, streamed]) {
    const calls = output.filter((item) => item.type === 'function_call');
    assert.deepEqual(cities(calls), ['Oslo', 'Rome']);
    const results = calls.map((call) => ({
      type: 'function_call_output',
      call_id: call.call_id,
      output: '4 degrees, rain',
    }));
    // What the SDK parsed is its own affair.
    const items = output.map(({ parsed_arguments: _, ...item }) => item);
    const follow = await client.responses.create({ model, input: [...input, ...items, ...results], tools: flatTools });
    assert.equal(follow.output_text, FORECAST);
  }
});

check('responses: structured output, parsed by the SDK', ['upstream'], async () => {
  const answer = await client.responses.parse({
    model,
    input: asks('Give a verdict.'),
    text: { format: zodTextFormat(verdict, 'verdict') },
  });
  assert.deepEqual(answer.output_parsed, { ok: true, reason: 'fine' });
});

check('responses: a stream that is cut ends in failure', ['upstream'], async () => {
  const kinds = [];
  let raised;
  try {
    const stream = await client.responses.create({ model, input: 'Break off.', stream: true });
    for await (const event of stream) kinds.push(event.type);
  } catch (error) {
    raised = error;
  }
  assert.ok(!kinds.includes('response.completed'), kinds.join());
  assert.ok(raised || ['response.failed', 'error'].includes(kinds.at(-1)), kinds.join());
});

check('errors are what the SDK maps', ['upstream'], async () => {
  const bad = await refused(
    OpenAI.BadRequestError,
    client.responses.create({ model, input: 'Say hello.', temperature: 'warm' }),
  );
  assert.equal(bad.param, 'temperature');
  const missing = await refused(
    OpenAI.NotFoundError,
    client.responses.create({ model: 'upstream/no-such-model', input: 'Say hello.' }),
  );
  assert.equal(missing.code, 'model_not_found');
});

await run('upstream');
