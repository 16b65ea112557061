"""anthropic-python against the router over one provider of whatever dialect: the counterpart of upstream_openai.py.

`HR_ROOT_URL` is the router's address as this SDK wants it, without `/v1`.
"""

import os

import anthropic

from checks import check, raises, run

client = anthropic.Anthropic(
    base_url=os.environ["HR_ROOT_URL"], api_key=os.environ["HR_API_KEY"], timeout=60, max_retries=0
)
MODEL = "hermes-router"
WEATHER = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}

HELLO = "Hello from the provider, in several pieces."
FORECAST = "It is 4 degrees and raining."
TWO_CITIES = "What is the weather in Oslo and in Rome?"


def asks(words):
    return {"model": MODEL, "max_tokens": 4096, "system": "Be brief.", "messages": [{"role": "user", "content": words}]}


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


@check("a text", "upstream")
def text():
    message = client.messages.create(**asks("Say hello."))
    assert message.type == "message" and message.role == "assistant" and message.id, message
    assert [block.type for block in message.content] == ["text"] and text_of(message) == HELLO, message
    assert message.stop_reason == "end_turn" and message.stop_sequence is None, message
    assert message.model == MODEL, message.model
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (16, 5, 9), usage


@check("response headers, raw", "upstream")
def headers():
    raw = client.messages.with_raw_response.create(**asks("Say hello."))
    assert raw.headers["request-id"] and raw.headers["x-hermes-model"], raw.headers
    assert raw.parse()._request_id == raw.headers["request-id"], raw.headers


@check("a streamed text, event by event", "upstream")
def streamed():
    events = list(client.messages.create(**asks("Say hello."), stream=True))
    kinds = [event.type for event in events if event.type != "content_block_delta"]
    assert kinds == ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"], kinds
    deltas = [event.delta.text for event in events if event.type == "content_block_delta"]
    assert "".join(deltas) == HELLO and len(deltas) > 1, deltas
    start, end = events[0].message, events[-2]
    assert start.model == MODEL and start.content == [] and start.stop_reason is None, start
    assert end.delta.stop_reason == "end_turn" and end.usage.output_tokens == 9, end


@check("the SDK's stream helper", "upstream")
def stream_helper():
    with client.messages.stream(**asks("Say hello.")) as stream:
        assert "".join(stream.text_stream) == HELLO
        message = stream.get_final_message()
    assert text_of(message) == HELLO and message.stop_reason == "end_turn", message
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (16, 5, 9), usage


@check("two streams have two ids", "upstream")
def ids():
    seen = set()
    for _ in range(2):
        with client.messages.stream(**asks("Say hello.")) as stream:
            seen.add(stream.get_final_message().id)
    assert len(seen) == 2, seen


def calls_of(message):
    return [(block.name, block.input) for block in message.content if block.type == "tool_use"]


BOTH_CALLS = [("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Rome"})]


@check("calls of tools and their results", "upstream")
def tools():
    question = asks(TWO_CITIES)
    message = client.messages.create(**question, tools=[WEATHER])
    assert message.stop_reason == "tool_use" and calls_of(message) == BOTH_CALLS, message
    ids = [block.id for block in message.content if block.type == "tool_use"]
    assert len(set(ids)) == 2, ids
    results = [{"type": "tool_result", "tool_use_id": id, "content": "4 degrees, rain"} for id in ids]
    # An error is a result too.
    results[1]["is_error"] = True
    content = [block.model_dump(exclude_none=True) for block in message.content]
    question["messages"] += [{"role": "assistant", "content": content}, {"role": "user", "content": results}]
    follow = client.messages.create(**question, tools=[WEATHER])
    assert text_of(follow) == FORECAST and follow.stop_reason == "end_turn", follow


@check("streamed calls of tools", "upstream")
def tools_streamed():
    with client.messages.stream(**asks(TWO_CITIES), tools=[WEATHER]) as stream:
        indices = [event.index for event in stream if event.type == "content_block_stop"]
        message = stream.get_final_message()
    assert message.stop_reason == "tool_use" and calls_of(message) == BOTH_CALLS, message
    assert indices == list(range(len(message.content))), indices


@check("a forced tool, and none", "upstream")
def tool_choice():
    forced = {"type": "tool", "name": "get_weather"}
    message = client.messages.create(**asks("What is the weather in Oslo?"), tools=[WEATHER], tool_choice=forced)
    assert calls_of(message) == BOTH_CALLS[:1], message
    message = client.messages.create(**asks("Say hello."), tools=[WEATHER], tool_choice={"type": "none"})
    assert text_of(message) == HELLO, message


@check("thinking, whole and streamed", "upstream")
def thinking():
    question = {**asks("Think it over."), "thinking": {"type": "enabled", "budget_tokens": 1024}}
    message = client.messages.create(**question)
    assert [block.type for block in message.content] == ["thinking", "text"], message
    assert message.content[0].thinking == "First one thing, then another.", message
    assert message.content[0].signature, "thinking without a signature cannot be sent back"
    assert message.content[1].text == "Thought over.", message
    with client.messages.stream(**question) as stream:
        streamed = stream.get_final_message()
    assert [block.type for block in streamed.content] == ["thinking", "text"], streamed
    assert streamed.content[0].thinking == "First one thing, then another.", streamed
    assert streamed.content[0].signature, streamed
    # The whole turn goes back as it came.
    content = [block.model_dump(exclude_none=True) for block in message.content]
    question["messages"] += [{"role": "assistant", "content": content}, {"role": "user", "content": "Say hello."}]
    assert client.messages.create(**question).stop_reason == "end_turn"


@check("thinking before calls of tools goes back with their results", "upstream")
def thinking_tools():
    question = {**asks("Think about the weather in Oslo."), "thinking": {"type": "enabled", "budget_tokens": 1024}}
    message = client.messages.create(**question, tools=[WEATHER])
    assert [block.type for block in message.content] == ["thinking", "tool_use"], message
    results = [{"type": "tool_result", "tool_use_id": message.content[1].id, "content": "4 degrees, rain"}]
    content = [block.model_dump(exclude_none=True) for block in message.content]
    question["messages"] += [{"role": "assistant", "content": content}, {"role": "user", "content": results}]
    assert text_of(client.messages.create(**question, tools=[WEATHER])) == FORECAST


@check("a picture arrives", "upstream")
def picture():
    source = {"type": "base64", "media_type": "image/png", "data": os.environ["HR_PICTURE"]}
    message = client.messages.create(**asks([{"type": "image", "source": source}, {"type": "text", "text": "Look."}]))
    assert text_of(message) == "A red square.", message


@check("an answer that ran out of tokens", "upstream")
def length():
    message = client.messages.create(**{**asks("Never stop."), "max_tokens": 16})
    assert message.stop_reason == "max_tokens", message


@check("tokens are counted, of tools too", "upstream")
def count_tokens():
    question = {name: value for name, value in asks("Say hello.").items() if name != "max_tokens"}
    bare = client.messages.count_tokens(**question).input_tokens
    equipped = client.messages.count_tokens(**question, tools=[WEATHER]).input_tokens
    assert 0 < bare < equipped, (bare, equipped)


@check("a stream that is cut ends in an error", "upstream")
def cut():
    text = ""
    try:
        with client.messages.stream(**asks("Break off.")) as stream:
            for piece in stream.text_stream:
                text += piece
    except (anthropic.APIError, anthropic.APIConnectionError):
        assert text and "This answer is cut in the middle.".startswith(text), text
        return
    raise AssertionError(f"`{text}` was a success")


@check("the list of models", "upstream")
def models():
    models = list(client.models.list(limit=1000))
    assert MODEL in [model.id for model in models], models
    assert all(model.type == "model" and model.display_name for model in models), models
    assert client.models.retrieve(MODEL).id == MODEL


@check("errors are what the SDK maps", "upstream")
def errors():
    with raises(anthropic.BadRequestError) as caught:
        client.messages.create(**asks("Say hello."), extra_body={"temperature": "warm"})
    assert caught[0].body["type"] == "error", caught[0].body
    assert caught[0].body["error"]["type"] == "invalid_request_error", caught[0].body
    assert "temperature" in caught[0].body["error"]["message"], caught[0].body
    assert caught[0].request_id, "no request id"
    with raises(anthropic.NotFoundError) as caught:
        client.messages.create(**{**asks("Say hello."), "model": "upstream/no-such-model"})
    assert caught[0].body["error"]["type"] == "not_found_error", caught[0].body
    with raises(anthropic.AuthenticationError) as caught:
        client.with_options(api_key="sk-not-the-one").messages.create(**asks("Say hello."))
    assert caught[0].body["error"]["type"] == "authentication_error", caught[0].body


@check("a limit that lasts is a 429, whole and streamed", "upstream")
def limited():
    # The last check: from here on the provider is left alone.
    for stream in (False, True):
        with raises(anthropic.RateLimitError) as caught:
            client.messages.create(**asks("Be limited."), stream=stream)
        assert caught[0].body["error"]["type"] == "rate_limit_error", caught[0].body
        assert int(caught[0].response.headers["retry-after"]) > 60, caught[0].response.headers


run("upstream")
