// The Vercel AI SDK against the router over one provider of whatever dialect: the counterpart of
// upstream_openai.py. It checks every chunk against its schemas, and runs the whole loop of a tool by itself.

import assert from 'node:assert/strict';

import { check, load, run } from './checks.mjs';

const { generateText, Output, stepCountIs, streamText, tool } = await load('ai');
const { createAnthropic } = await load('@ai-sdk/anthropic');
const { createOpenAI } = await load('@ai-sdk/openai');
const { createOpenAICompatible } = await load('@ai-sdk/openai-compatible');
const { z } = await load('zod');

const settings = { baseURL: process.env.HR_BASE_URL, apiKey: process.env.HR_API_KEY };
const openai = createOpenAI(settings);
const models = {
  'openai-compatible': createOpenAICompatible({
    ...settings,
    name: 'router',
    includeUsage: true,
    supportsStructuredOutputs: true,
  })('hermes-router'),
  'openai, chat': openai.chat('hermes-router'),
  'openai, responses': openai.responses('hermes-router'),
  // Unlike Anthropic's own SDK, it wants the `/v1` in its address.
  anthropic: createAnthropic(settings)('hermes-router'),
};

const HELLO = 'Hello from the provider, in several pieces.';
const FORECAST = 'It is 4 degrees and raining.';

for (const [name, model] of Object.entries(models)) {
  const asks = (prompt) => ({ model, system: 'Be brief.', prompt, maxRetries: 0 });

  check(`${name}: a text, whole and streamed`, ['upstream'], async () => {
    const whole = await generateText(asks('Say hello.'));
    assert.equal(whole.text, HELLO);
    assert.equal(whole.finishReason, 'stop');
    const streamed = streamText(asks('Say hello.'));
    const pieces = [];
    for await (const piece of streamed.textStream) pieces.push(piece);
    assert.equal(pieces.join(''), HELLO);
    assert.equal(await streamed.finishReason, 'stop');
    for (const usage of [whole.usage, await streamed.usage]) {
      assert.deepEqual([usage.inputTokens, usage.outputTokens], [21, 9]);
      assert.equal(usage.cachedInputTokens ?? usage.inputTokenDetails?.cacheReadTokens, 5);
    }
  });

  check(`${name}: streamed calls of tools, their results, and the answer after them`, ['upstream'], async () => {
    const asked = [];
    const get_weather = tool({
      description: 'The weather of a city.',
      inputSchema: z.object({ city: z.string() }),
      execute: async ({ city }) => {
        asked.push(city);
        return '4 degrees, rain';
      },
    });
    const result = streamText({
      ...asks('What is the weather in Oslo and in Rome?'),
      tools: { get_weather },
      stopWhen: stepCountIs(3),
    });
    for await (const part of result.fullStream) assert.notEqual(part.type, 'error', String(part.error));
    assert.deepEqual(asked.sort(), ['Oslo', 'Rome']);
    assert.equal(await result.text, FORECAST);
    assert.deepEqual((await result.steps).map((step) => step.finishReason), ['tool-calls', 'stop']);
  });

  check(`${name}: structured output`, ['upstream'], async () => {
    const schema = z.object({ ok: z.boolean(), reason: z.string() });
    const { output } = await generateText({ ...asks('Give a verdict.'), output: Output.object({ schema }) });
    assert.deepEqual(output, { ok: true, reason: 'fine' });
  });

  check(`${name}: a stream that is cut ends in an error`, ['upstream'], async () => {
    const errors = [];
    let text = '';
    const result = streamText({ ...asks('Break off.'), onError: ({ error }) => errors.push(error) });
    for await (const part of result.fullStream) {
      if (part.type === 'text-delta') text += part.text;
    }
    assert.ok(errors.length > 0, `\`${text}\` was a success`);
  });
}

await run('upstream');
