"""openai-python against the router. The scene, the first argument, says what stands behind the router:

pool     fake providers: `sick` always fails, `dry` has a small quota, `steady` serves; the caller sees no error
trouble  fake providers that all fail, each in a way of its own: the caller sees the right error, once
llama    a real llama.cpp server for chat, another for embeddings

`HR_BASE_URL` and `HR_API_KEY` say where the router is and which access key it takes.
"""

import asyncio
import base64
import json
import os
import struct
import sys

import openai

from checks import check, raises, run

BASE_URL = os.environ["HR_BASE_URL"]
ACCESS_KEY = os.environ["HR_API_KEY"]
ANY_MODEL = "hermes-router"
# This fake answers every question with a tool call.
CALLS_TOOLS = "tools/tools-chat"
HELLO = [{"role": "user", "content": "Say hello in one word."}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}

client = openai.OpenAI(base_url=BASE_URL, api_key=ACCESS_KEY, timeout=60)


class Counted:
    """A client that counts what it puts on the wire, so that an SDK's own retries are seen."""

    def __init__(self, api_key=ACCESS_KEY):
        self.requests = 0
        http = openai.DefaultHttpxClient(event_hooks={"request": [self._count]})
        self.client = openai.OpenAI(base_url=BASE_URL, api_key=api_key, timeout=60, http_client=http)

    def _count(self, _request):
        self.requests += 1


def collect(stream):
    """(text, finish reasons, usages, chunks without choices) of a stream."""
    text, finish, usages, bare = "", [], [], 0
    for chunk in stream:
        assert chunk.object == "chat.completion.chunk", chunk
        if chunk.usage is not None:
            usages.append(chunk.usage)
        if not chunk.choices:
            bare += 1
            continue
        text += chunk.choices[0].delta.content or ""
        if chunk.choices[0].finish_reason:
            finish.append(chunk.choices[0].finish_reason)
    return text, finish, usages, bare


@check("a plain answer", "pool", "llama")
def plain():
    answer = client.chat.completions.create(model=ANY_MODEL, messages=HELLO, max_tokens=16)
    assert answer.object == "chat.completion", answer
    assert answer.id and answer.created and answer.model, answer
    assert answer.choices[0].message.role == "assistant", answer
    assert answer.choices[0].message.content, answer
    assert answer.choices[0].finish_reason in ("stop", "length"), answer
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0, answer


@check("response headers, raw", "pool", "llama")
def raw_headers():
    raw = client.chat.completions.with_raw_response.create(model=ANY_MODEL, messages=HELLO, max_tokens=8)
    headers = raw.headers
    assert headers["content-type"].startswith("application/json"), headers
    assert headers["x-provider"] and headers["x-hermes-model"], headers
    assert int(headers["x-hermes-attempts"]) >= 1, headers
    answer = raw.parse()
    assert answer.choices[0].message.content, answer
    # The SDK shows this id in its own error messages: it has to be there under the name that it looks for.
    assert answer._request_id == headers["x-request-id"] != "", headers


@check("a streamed answer", "pool", "llama")
def streamed():
    text, finish, usages, bare = collect(
        client.chat.completions.create(model=ANY_MODEL, messages=HELLO, max_tokens=16, stream=True)
    )
    assert text, "no text"
    assert len(finish) == 1 and finish[0] in ("stop", "length"), finish
    # Nobody asked for usage, so no chunk that exists for its sake may arrive.
    assert bare == 0, bare


@check("a streamed answer, headers before its end", "pool", "llama")
def streamed_headers():
    with client.chat.completions.with_streaming_response.create(
        model=ANY_MODEL, messages=HELLO, max_tokens=16, stream=True
    ) as raw:
        assert raw.headers["content-type"].startswith("text/event-stream"), raw.headers
        assert raw.headers["x-request-id"] and raw.headers["x-provider"], raw.headers
        lines = [line for line in raw.iter_lines() if line.startswith("data:")]
    assert lines[-1].replace(" ", "") == "data:[DONE]", lines[-1]
    assert sum("[DONE]" in line for line in lines) == 1, lines


@check("usage in a stream, when asked for", "pool", "llama")
def streamed_usage():
    text, finish, usages, bare = collect(
        client.chat.completions.create(
            model=ANY_MODEL, messages=HELLO, max_tokens=16, stream=True, stream_options={"include_usage": True}
        )
    )
    assert text and len(finish) == 1, (text, finish)
    assert usages and usages[-1].total_tokens > 0, usages
    assert bare == 1, bare


@check("the SDK's stream helper folds to a whole answer", "pool")
def stream_helper():
    with client.chat.completions.stream(model=ANY_MODEL, messages=HELLO, max_tokens=16) as stream:
        deltas = "".join(event.delta for event in stream if event.type == "content.delta")
        whole = stream.get_final_completion()
    assert deltas and whole.choices[0].message.content == deltas, (deltas, whole)


@check("async: plain and streamed, several at once", "pool", "llama")
async def asynchronous():
    async with openai.AsyncOpenAI(base_url=BASE_URL, api_key=ACCESS_KEY, timeout=60) as caller:

        async def plain_one():
            answer = await caller.chat.completions.create(model=ANY_MODEL, messages=HELLO, max_tokens=8)
            return answer.choices[0].message.content

        async def streamed_one():
            stream = await caller.chat.completions.create(model=ANY_MODEL, messages=HELLO, max_tokens=8, stream=True)
            return "".join([c.choices[0].delta.content or "" async for c in stream if c.choices])

        texts = await asyncio.gather(*(one() for _ in range(4) for one in (plain_one, streamed_one)))
    assert all(texts), texts


@check("an unread stream can be closed", "pool", "llama")
def closed_early():
    stream = client.chat.completions.create(model=ANY_MODEL, messages=HELLO, max_tokens=64, stream=True)
    next(iter(stream))
    stream.close()
    plain()


@check("a tool call and its result", "pool")
def tools():
    question = [{"role": "user", "content": "What is the weather in Oslo?"}]
    answer = client.chat.completions.create(model=CALLS_TOOLS, messages=question, tools=[WEATHER])
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls", answer
    call = choice.message.tool_calls[0]
    assert call.id and call.type == "function" and call.function.name == "get_weather", call
    assert isinstance(json.loads(call.function.arguments), dict), call
    result = {"role": "tool", "tool_call_id": call.id, "content": "4 degrees, rain"}
    follow = client.chat.completions.create(
        model=ANY_MODEL, messages=[*question, choice.message.model_dump(exclude_none=True), result], tools=[WEATHER]
    )
    assert follow.choices[0].message.content, follow


@check("a streamed tool call", "pool")
def tools_streamed():
    question = [{"role": "user", "content": "What is the weather in Oslo?"}]
    calls, finish = {}, None
    for chunk in client.chat.completions.create(model=CALLS_TOOLS, messages=question, tools=[WEATHER], stream=True):
        for choice in chunk.choices:
            finish = choice.finish_reason or finish
            for delta in choice.delta.tool_calls or []:
                call = calls.setdefault(delta.index, {"id": "", "name": "", "arguments": ""})
                call["id"] += delta.id or ""
                call["name"] += delta.function.name or ""
                call["arguments"] += delta.function.arguments or ""
    assert finish == "tool_calls", finish
    assert calls[0]["id"] and calls[0]["name"] == "get_weather", calls
    assert isinstance(json.loads(calls[0]["arguments"]), dict), calls


@check("tools are offered and need not be called", "llama")
def tools_offered():
    # Random weights call no tool; the request has to get there and back all the same.
    answer = client.chat.completions.create(model=ANY_MODEL, messages=HELLO, tools=[WEATHER], max_tokens=16)
    assert answer.choices[0].message.content, answer


@check("a JSON schema binds the answer", "llama")
def structured():
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    answer = client.chat.completions.create(
        model=ANY_MODEL,
        messages=HELLO,
        max_tokens=64,
        response_format={"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema}},
    )
    assert isinstance(json.loads(answer.choices[0].message.content)["ok"], bool), answer


@check("fields that only this server knows survive", "llama")
def unknown_fields():
    # `ignore_eos` goes up and `timings` comes back: neither is in OpenAI's API, both are llama.cpp's.
    answer = client.chat.completions.create(
        model=ANY_MODEL, messages=HELLO, max_tokens=5, extra_body={"ignore_eos": True}
    )
    assert answer.usage.completion_tokens == 5, answer.usage
    assert answer.model_extra["timings"]["predicted_n"] == 5, answer.model_extra


@check("failover is not seen", "pool")
def failover():
    attempts, providers = [], set()
    for _ in range(12):
        raw = client.chat.completions.with_raw_response.create(model="hermes-router:best", messages=HELLO)
        assert raw.parse().choices[0].message.content, raw.text
        attempts.append(int(raw.headers["x-hermes-attempts"]))
        providers.add(raw.headers["x-provider"])
    assert "sick" not in providers, providers
    assert "steady" in providers, providers
    # At most four calls until the breaker of `sick` opens, and one for each of the two keys of `dry`.
    assert sum(attempts) - len(attempts) <= 6, attempts


@check("a pinned model is served by its provider", "pool")
def pinned():
    raw = client.chat.completions.with_raw_response.create(model="steady/steady-chat", messages=HELLO)
    assert raw.headers["x-provider"] == "steady", raw.headers
    assert raw.headers["x-hermes-model"] == "steady-chat", raw.headers


@check("a preferred model is served first", "pool")
def preferred():
    raw = client.chat.completions.with_raw_response.create(model="steady-chat", messages=HELLO)
    assert raw.headers["x-hermes-model"] == "steady-chat", raw.headers


@check("embeddings as floats", "pool", "llama")
def embeddings_float():
    answer = client.embeddings.create(model=ANY_MODEL, input=["one", "two"], encoding_format="float")
    assert [row.index for row in answer.data] == [0, 1], answer
    assert len(answer.data[0].embedding) == len(answer.data[1].embedding) > 0, answer
    assert all(isinstance(x, float) for x in answer.data[0].embedding), answer.data[0].embedding[:4]
    assert answer.usage.prompt_tokens > 0, answer.usage


@check("embeddings as the SDK asks for them (base64 on the wire)", "pool", "llama")
def embeddings_default():
    answer = client.embeddings.create(model=ANY_MODEL, input="one")
    assert len(answer.data[0].embedding) > 0 and isinstance(answer.data[0].embedding[0], float), answer


@check("embeddings as base64, and the same numbers as floats", "pool", "llama")
def embeddings_base64():
    coded = client.embeddings.create(model=ANY_MODEL, input="one", encoding_format="base64").data[0].embedding
    assert isinstance(coded, str), type(coded)
    data = base64.b64decode(coded)
    numbers = struct.unpack(f"<{len(data) // 4}f", data)
    plain = client.embeddings.create(model=ANY_MODEL, input="one", encoding_format="float").data[0].embedding
    assert len(numbers) == len(plain), (len(numbers), len(plain))
    assert all(abs(a - b) < 1e-4 for a, b in zip(numbers, plain)), (numbers[:3], plain[:3])


@check("the list of models, and one of them", "pool", "llama")
def models():
    ids = [model.id for model in client.models.list()]
    assert ANY_MODEL in ids, ids
    assert len(ids) == len(set(ids)) > 1, ids
    for name in ids[:3]:
        assert client.models.retrieve(name).id == name


@check("a model that nobody has is a 404", "pool")
def unknown_model():
    with raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")
    counted = Counted()
    with raises(openai.NotFoundError) as caught:
        counted.client.chat.completions.create(model="no-such-model", messages=HELLO)
    assert caught[0].code == "model_not_found", caught[0].body
    assert counted.requests == 1, counted.requests


@check("a wrong access key is a 401, asked once", "pool")
def wrong_key():
    counted = Counted(api_key="sk-not-the-one")
    with raises(openai.AuthenticationError) as caught:
        counted.client.chat.completions.create(model=ANY_MODEL, messages=HELLO)
    assert caught[0].body and caught[0].body["message"], caught[0].body
    assert caught[0].request_id, "no request id"
    assert counted.requests == 1, counted.requests


@check("a bad request is a 400 that names the field, asked once", "pool")
def bad_request():
    counted = Counted()
    with raises(openai.BadRequestError) as caught:
        counted.client.chat.completions.create(model=ANY_MODEL, messages="not a list")
    assert caught[0].param == "messages", caught[0].body
    assert caught[0].type == "invalid_request_error", caught[0].body
    assert counted.requests == 1, counted.requests


@check("a bad value is a 400 that names the field, asked once", "pool")
def bad_value():
    counted = Counted()
    with raises(openai.BadRequestError) as caught:
        counted.client.chat.completions.create(model=ANY_MODEL, messages=HELLO, temperature=99)
    assert caught[0].param == "temperature", caught[0].body
    assert counted.requests == 1, counted.requests


@check("the provider's own refusal comes back as it is, asked once", "llama")
def provider_refuses():
    # `top_k` is not in OpenAI's API, so only the server can know that this is wrong.
    counted = Counted()
    with raises(openai.BadRequestError) as caught:
        counted.client.chat.completions.create(model=ANY_MODEL, messages=HELLO, extra_body={"top_k": "hot"})
    assert "top_k" in caught[0].body["message"], caught[0].body
    assert counted.requests == 1, counted.requests


@check("a stream that is cut ends in an error, not in a short success", "trouble")
def stream_cut():
    # Before the other troubles: a provider that has failed is left alone for a while.
    text = ""
    with raises(openai.APIError) as caught:
        for chunk in client.chat.completions.create(model="cut/cut-chat", messages=HELLO, stream=True):
            text += chunk.choices[0].delta.content or ""
    assert text, "the error came before any text"
    assert caught[0].message, caught[0]


@check("a rate limit that lasts is a 429, asked once", "trouble")
def rate_limited():
    counted = Counted()
    with raises(openai.RateLimitError) as caught:
        counted.client.chat.completions.create(model="limited/limited-chat", messages=HELLO)
    headers = caught[0].response.headers
    assert int(headers["retry-after"]) > 60, headers
    assert headers["x-should-retry"] == "false", headers
    assert counted.requests == 1, counted.requests


@check("a broken provider is a 503", "trouble")
def broken():
    with raises(openai.InternalServerError) as caught:
        client.with_options(max_retries=0).chat.completions.create(model="broken/broken-chat", messages=HELLO)
    assert caught[0].status_code == 503, caught[0]
    assert caught[0].body["message"] and caught[0].request_id, caught[0].body


@check("a pool with nobody left is a 503", "trouble")
def nobody_left():
    with raises(openai.InternalServerError) as caught:
        client.with_options(max_retries=0).chat.completions.create(model="hermes-router:frugal", messages=HELLO)
    assert caught[0].status_code == 503, caught[0]


@check("a refused stream is an error before its first event", "trouble")
def stream_refused():
    counted = Counted()
    with raises(openai.RateLimitError):
        counted.client.chat.completions.create(model="limited/limited-chat", messages=HELLO, stream=True)
    assert counted.requests == 1, counted.requests


run(sys.argv[1])
