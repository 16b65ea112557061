// openai-node against the router: the same scenes as openai_python.py, where they are described.

import assert from 'node:assert/strict';

import { check, load, refused, run } from './checks.mjs';

const { default: OpenAI } = await load('openai');

const baseURL = process.env.HR_BASE_URL;
const apiKey = process.env.HR_API_KEY;
const model = 'hermes-router';
// This fake answers every question with a tool call.
const callsTools = 'tools/tools-chat';
const messages = [{ role: 'user', content: 'Say hello in one word.' }];
const weatherQuestion = [{ role: 'user', content: 'What is the weather in Oslo?' }];
const tools = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      description: 'The weather of a city.',
      parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
    },
  },
];

const client = new OpenAI({ baseURL, apiKey, timeout: 60_000 });

/** A client that counts what it puts on the wire, so that an SDK's own retries are seen. */
function counted(key = apiKey) {
  const seen = { requests: 0 };
  seen.client = new OpenAI({
    baseURL,
    apiKey: key,
    timeout: 60_000,
    fetch: (...request) => {
      seen.requests += 1;
      return fetch(...request);
    },
  });
  return seen;
}

check('a plain answer', ['pool', 'llama'], async () => {
  const answer = await client.chat.completions.create({ model, messages, max_tokens: 16 });
  assert.equal(answer.object, 'chat.completion');
  assert.ok(answer.choices[0].message.content);
  assert.ok(['stop', 'length'].includes(answer.choices[0].finish_reason));
  assert.ok(answer.usage.total_tokens > 0);
});

check('response headers, raw', ['pool', 'llama'], async () => {
  const { data, response, request_id } = await client.chat.completions
    .create({ model, messages, max_tokens: 8 })
    .withResponse();
  assert.ok(data.choices[0].message.content);
  assert.ok(request_id);
  assert.equal(response.headers.get('x-request-id'), request_id);
  assert.ok(response.headers.get('x-provider'));
  assert.ok(response.headers.get('x-hermes-model'));
  assert.ok(Number(response.headers.get('x-hermes-attempts')) >= 1);
});

check('a streamed answer', ['pool', 'llama'], async () => {
  const stream = await client.chat.completions.create({ model, messages, max_tokens: 16, stream: true });
  let text = '';
  const finish = [];
  for await (const chunk of stream) {
    assert.equal(chunk.choices.length, 1, 'nobody asked for usage');
    text += chunk.choices[0].delta.content ?? '';
    if (chunk.choices[0].finish_reason) finish.push(chunk.choices[0].finish_reason);
  }
  assert.ok(text);
  assert.equal(finish.length, 1);
});

check('usage in a stream, when asked for', ['pool', 'llama'], async () => {
  const stream = await client.chat.completions.create({
    model,
    messages,
    max_tokens: 16,
    stream: true,
    stream_options: { include_usage: true },
  });
  let last;
  for await (const chunk of stream) last = chunk;
  assert.deepEqual(last.choices, []);
  assert.ok(last.usage.total_tokens > 0);
});

check("the SDK's stream helper folds to a whole answer", ['pool'], async () => {
  const stream = client.chat.completions.stream({ model, messages, max_tokens: 16 });
  let deltas = '';
  stream.on('content', (delta) => (deltas += delta));
  const whole = await stream.finalChatCompletion();
  assert.ok(deltas);
  assert.equal(whole.choices[0].message.content, deltas);
});

check('several at once', ['pool', 'llama'], async () => {
  const answers = await Promise.all(
    Array.from({ length: 8 }, () => client.chat.completions.create({ model, messages, max_tokens: 8 })),
  );
  for (const answer of answers) assert.ok(answer.choices[0].message.content);
});

check('a stream can be aborted', ['pool', 'llama'], async () => {
  const stream = await client.chat.completions.create({ model, messages, max_tokens: 64, stream: true });
  for await (const chunk of stream) {
    assert.ok(chunk.id);
    stream.controller.abort();
  }
  await client.chat.completions.create({ model, messages, max_tokens: 8 });
});

check('a tool call and its result', ['pool'], async () => {
  const answer = await client.chat.completions.create({ model: callsTools, messages: weatherQuestion, tools });
  assert.equal(answer.choices[0].finish_reason, 'tool_calls');
  const call = answer.choices[0].message.tool_calls[0];
  assert.ok(call.id);
  assert.equal(call.function.name, 'get_weather');
  assert.equal(typeof JSON.parse(call.function.arguments), 'object');
  const result = { role: 'tool', tool_call_id: call.id, content: '4 degrees, rain' };
  const follow = await client.chat.completions.create({
    model,
    messages: [...weatherQuestion, answer.choices[0].message, result],
    tools,
  });
  assert.ok(follow.choices[0].message.content);
});

check('a streamed tool call', ['pool'], async () => {
  const stream = client.chat.completions.stream({ model: callsTools, messages: weatherQuestion, tools });
  const whole = await stream.finalChatCompletion();
  assert.equal(whole.choices[0].finish_reason, 'tool_calls');
  const call = whole.choices[0].message.tool_calls[0];
  assert.equal(call.function.name, 'get_weather');
  assert.equal(typeof JSON.parse(call.function.arguments), 'object');
});

check('failover is not seen', ['pool'], async () => {
  const providers = new Set();
  for (let i = 0; i < 12; i += 1) {
    const { data, response } = await client.chat.completions
      .create({ model: 'hermes-router:best', messages })
      .withResponse();
    assert.ok(data.choices[0].message.content);
    providers.add(response.headers.get('x-provider'));
  }
  assert.ok(!providers.has('sick'), [...providers].join());
  assert.ok(providers.has('steady'), [...providers].join());
});

check('embeddings as floats, and as the SDK asks for them (base64 on the wire)', ['pool', 'llama'], async () => {
  const floats = await client.embeddings.create({ model, input: ['one', 'two'], encoding_format: 'float' });
  assert.deepEqual(floats.data.map((row) => row.index), [0, 1]);
  assert.equal(typeof floats.data[0].embedding[0], 'number');
  const decoded = await client.embeddings.create({ model, input: ['one', 'two'] });
  assert.equal(decoded.data[0].embedding.length, floats.data[0].embedding.length);
  decoded.data[0].embedding.forEach((x, i) => assert.ok(Math.abs(x - floats.data[0].embedding[i]) < 1e-4));
});

check('embeddings as base64', ['pool', 'llama'], async () => {
  const coded = await client.embeddings.create({ model, input: 'one', encoding_format: 'base64' });
  assert.equal(typeof coded.data[0].embedding, 'string');
});

check('the list of models, and one of them', ['pool', 'llama'], async () => {
  const ids = [];
  for await (const entry of client.models.list()) ids.push(entry.id);
  assert.ok(ids.includes(model), ids.join());
  assert.equal((await client.models.retrieve(model)).id, model);
});

check('a model that nobody has is a 404', ['pool'], async () => {
  await refused(OpenAI.NotFoundError, client.models.retrieve('no-such-model'));
  const caller = counted();
  const error = await refused(
    OpenAI.NotFoundError,
    caller.client.chat.completions.create({ model: 'no-such-model', messages }),
  );
  assert.equal(error.code, 'model_not_found');
  assert.equal(caller.requests, 1);
});

check('a wrong access key is a 401, asked once', ['pool'], async () => {
  const caller = counted('sk-not-the-one');
  const error = await refused(OpenAI.AuthenticationError, caller.client.chat.completions.create({ model, messages }));
  assert.ok(error.requestID);
  assert.equal(caller.requests, 1);
});

check('a bad request is a 400 that names the field, asked once', ['pool'], async () => {
  const caller = counted();
  const error = await refused(
    OpenAI.BadRequestError,
    caller.client.chat.completions.create({ model, messages: 'not a list' }),
  );
  assert.equal(error.param, 'messages');
  assert.equal(error.type, 'invalid_request_error');
  assert.equal(caller.requests, 1);
});

check('a bad value is a 400 that names the field, asked once', ['pool'], async () => {
  const caller = counted();
  const error = await refused(
    OpenAI.BadRequestError,
    caller.client.chat.completions.create({ model, messages, temperature: 99 }),
  );
  assert.equal(error.param, 'temperature');
  assert.equal(caller.requests, 1);
});

check("the provider's own refusal comes back as it is, asked once", ['llama'], async () => {
  // `top_k` is not in OpenAI's API, so only the server can know that this is wrong.
  const caller = counted();
  const error = await refused(
    OpenAI.BadRequestError,
    caller.client.chat.completions.create({ model, messages, top_k: 'hot' }),
  );
  assert.match(error.message, /top_k/);
  assert.equal(caller.requests, 1);
});

// Before the other troubles: a provider that has failed is left alone for a while.
check('a stream that is cut ends in an error, not in a short success', ['trouble'], async () => {
  let text = '';
  const error = await refused(
    OpenAI.APIError,
    (async () => {
      const stream = await client.chat.completions.create({ model: 'cut/cut-chat', messages, stream: true });
      for await (const chunk of stream) text += chunk.choices[0].delta.content ?? '';
    })(),
  );
  assert.ok(text, 'the error came before any text');
  assert.ok(error.message);
});

check('a rate limit that lasts is a 429, asked once', ['trouble'], async () => {
  const caller = counted();
  const error = await refused(
    OpenAI.RateLimitError,
    caller.client.chat.completions.create({ model: 'limited/limited-chat', messages }),
  );
  assert.equal(error.headers.get('x-should-retry'), 'false');
  assert.ok(Number(error.headers.get('retry-after')) > 60);
  assert.equal(caller.requests, 1);
});

check('a broken provider is a 503', ['trouble'], async () => {
  const error = await refused(
    OpenAI.InternalServerError,
    client.chat.completions.create({ model: 'broken/broken-chat', messages }, { maxRetries: 0 }),
  );
  assert.equal(error.status, 503);
});

await run(process.argv[2]);
