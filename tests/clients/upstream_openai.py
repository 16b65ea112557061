"""openai-python against the router, in Chat Completions and in Responses, over one provider of whatever dialect.

The provider is a fake that is told what to do by the words of the question: see
`crates/hr/tests/clients/upstream.rs`. `HR_BASE_URL` and `HR_API_KEY` say where the router is and which access key
it takes. What is asserted is what was said, whichever way it came.
"""

import json
import os

import openai
import pydantic

from checks import check, raises, run

client = openai.OpenAI(base_url=os.environ["HR_BASE_URL"], api_key=os.environ["HR_API_KEY"], timeout=60, max_retries=0)
MODEL = "hermes-router"
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
WEATHER = {"name": "get_weather", "description": "The weather of a city.", "parameters": CITY}
CHAT_TOOL = {"type": "function", "function": WEATHER}
FLAT_TOOL = {"type": "function", **WEATHER}
PICTURE = "data:image/png;base64," + os.environ["HR_PICTURE"]

HELLO = "Hello from the provider, in several pieces."
FORECAST = "It is 4 degrees and raining."


class Verdict(pydantic.BaseModel):
    ok: bool
    reason: str


def asks(words):
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": words}]


def chat(words, **more):
    return client.chat.completions.create(model=MODEL, messages=asks(words), **more)


@check("chat: a text", "upstream")
def chat_text():
    answer = chat("Say hello.")
    assert answer.choices[0].message.content == HELLO, answer
    assert answer.choices[0].finish_reason == "stop", answer
    assert answer.object == "chat.completion" and answer.id and answer.created, answer
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (21, 9, 30), usage
    assert usage.prompt_tokens_details.cached_tokens == 5, usage


@check("chat: a streamed text, with usage only when asked for", "upstream")
def chat_streamed():
    chunks = list(chat("Say hello.", stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == HELLO, text
    assert len([1 for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]) > 1, "in one piece"
    assert chunks[0].choices[0].delta.role == "assistant", chunks[0]
    finishes = [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices and chunk.choices[0].finish_reason]
    assert finishes == ["stop"], finishes
    assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens == 30, chunks[-1]
    assert len({chunk.id for chunk in chunks}) == 1, "one answer, several ids"
    assert all(chunk.choices for chunk in chat("Say hello.", stream=True)), "nobody asked for usage"


@check("chat: calls of tools and their results", "upstream")
def chat_tools():
    question = asks("What is the weather in Oslo and in Rome?")
    answer = client.chat.completions.create(model=MODEL, messages=question, tools=[CHAT_TOOL])
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls", answer
    calls = choice.message.tool_calls
    assert [call.function.name for call in calls] == ["get_weather"] * 2, calls
    assert [json.loads(call.function.arguments) for call in calls] == [{"city": "Oslo"}, {"city": "Rome"}], calls
    assert len({call.id for call in calls}) == 2 and all(call.id for call in calls), calls
    results = [{"role": "tool", "tool_call_id": call.id, "content": "4 degrees, rain"} for call in calls]
    history = [*question, choice.message.model_dump(exclude_none=True), *results]
    follow = client.chat.completions.create(model=MODEL, messages=history, tools=[CHAT_TOOL])
    assert follow.choices[0].message.content == FORECAST, follow


@check("chat: streamed calls of tools, by the SDK's own helper", "upstream")
def chat_tools_streamed():
    question = asks("What is the weather in Oslo and in Rome?")
    strict = openai.pydantic_function_tool(pydantic.create_model("Weather", city=(str, ...)), name="get_weather")
    with client.chat.completions.stream(model=MODEL, messages=question, tools=[strict]) as stream:
        for _ in stream:
            pass
        whole = stream.get_final_completion()
    calls = whole.choices[0].message.tool_calls
    assert whole.choices[0].finish_reason == "tool_calls", whole
    assert [json.loads(call.function.arguments)["city"] for call in calls] == ["Oslo", "Rome"], calls


@check("chat: a forced tool and tools that may not be called", "upstream")
def chat_tool_choice():
    forced = {"type": "function", "function": {"name": "get_weather"}}
    answer = chat("What is the weather in Oslo?", tools=[CHAT_TOOL], tool_choice=forced)
    assert json.loads(answer.choices[0].message.tool_calls[0].function.arguments) == {"city": "Oslo"}, answer
    answer = chat("Say hello.", tools=[CHAT_TOOL], tool_choice="none")
    assert answer.choices[0].message.content == HELLO, answer


@check("chat: structured output, parsed by the SDK", "upstream")
def chat_structured():
    answer = client.chat.completions.parse(model=MODEL, messages=asks("Give a verdict."), response_format=Verdict)
    assert answer.choices[0].message.parsed == Verdict(ok=True, reason="fine"), answer


@check("chat: a picture arrives", "upstream")
def chat_picture():
    content = [{"type": "text", "text": "Look."}, {"type": "image_url", "image_url": {"url": PICTURE}}]
    answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}])
    assert answer.choices[0].message.content == "A red square.", answer


@check("chat: reasoning beside the text", "upstream")
def chat_reasoning():
    answer = chat("Think it over.", reasoning_effort="low")
    message = answer.choices[0].message
    assert message.content == "Thought over.", answer
    assert message.model_extra.get("reasoning_content") == "First one thing, then another.", message
    stream = list(chat("Think it over.", reasoning_effort="low", stream=True))
    deltas = [chunk.choices[0].delta for chunk in stream if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == "Thought over.", deltas
    thoughts = "".join(delta.model_extra.get("reasoning_content") or "" for delta in deltas)
    assert thoughts == "First one thing, then another.", thoughts


@check("chat: an answer that ran out of tokens", "upstream")
def chat_length():
    answer = chat("Never stop.", max_tokens=16)
    assert answer.choices[0].finish_reason == "length", answer
    with raises(openai.LengthFinishReasonError):
        client.chat.completions.parse(model=MODEL, messages=asks("Never stop."), response_format=Verdict)


@check("chat: a stream that is cut ends in an error", "upstream")
def chat_cut():
    text = ""
    with raises(openai.APIError):
        for chunk in chat("Break off.", stream=True):
            text += chunk.choices[0].delta.content or "" if chunk.choices else ""
    assert "This answer".startswith(text[:11]) and text, text


@check("responses: a text", "upstream")
def responses_text():
    answer = client.responses.create(model=MODEL, input="Say hello.", instructions="Be brief.")
    assert answer.status == "completed" and answer.output_text == HELLO, answer
    usage = answer.usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (21, 9, 30), usage
    assert usage.input_tokens_details.cached_tokens == 5, usage


@check("responses: a streamed text folds to the whole answer", "upstream")
def responses_streamed():
    with client.responses.stream(model=MODEL, input=asks("Say hello.")) as stream:
        events = list(stream)
        whole = stream.get_final_response()
    numbers = [event.sequence_number for event in events if hasattr(event, "sequence_number")]
    assert numbers == sorted(set(numbers)), numbers
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text == HELLO, (text, whole)
    assert events[0].type == "response.created" and events[-1].type == "response.completed", events
    assert whole.usage.total_tokens == 30, whole.usage


@check("responses: calls of tools and their results", "upstream")
def responses_tools():
    question = asks("What is the weather in Oslo and in Rome?")
    answer = client.responses.create(model=MODEL, input=question, tools=[FLAT_TOOL])
    calls = [item for item in answer.output if item.type == "function_call"]
    assert [json.loads(call.arguments)["city"] for call in calls] == ["Oslo", "Rome"], answer
    assert [call.name for call in calls] == ["get_weather"] * 2, calls
    history = [*question, *(item.model_dump(exclude_none=True) for item in answer.output)]
    for call in calls:
        history.append({"type": "function_call_output", "call_id": call.call_id, "output": "4 degrees, rain"})
    follow = client.responses.create(model=MODEL, input=history, tools=[FLAT_TOOL])
    assert follow.output_text == FORECAST, follow


@check("responses: streamed calls of tools", "upstream")
def responses_tools_streamed():
    question = asks("What is the weather in Oslo and in Rome?")
    with client.responses.stream(model=MODEL, input=question, tools=[FLAT_TOOL]) as stream:
        done = [event.arguments for event in stream if event.type == "response.function_call_arguments.done"]
        whole = stream.get_final_response()
    assert [json.loads(arguments)["city"] for arguments in done] == ["Oslo", "Rome"], done
    calls = [item for item in whole.output if item.type == "function_call"]
    assert [json.loads(call.arguments)["city"] for call in calls] == ["Oslo", "Rome"], whole


@check("responses: structured output, parsed by the SDK", "upstream")
def responses_structured():
    answer = client.responses.parse(model=MODEL, input=asks("Give a verdict."), text_format=Verdict)
    assert answer.output_parsed == Verdict(ok=True, reason="fine"), answer


@check("responses: a picture arrives", "upstream")
def responses_picture():
    content = [{"type": "input_text", "text": "Look."}, {"type": "input_image", "image_url": PICTURE, "detail": "auto"}]
    answer = client.responses.create(model=MODEL, input=[{"role": "user", "content": content}])
    assert answer.output_text == "A red square.", answer


@check("responses: reasoning as an item of its own", "upstream")
def responses_reasoning():
    reasoning = {"effort": "low", "summary": "auto"}
    answer = client.responses.create(model=MODEL, input="Think it over.", reasoning=reasoning)
    assert answer.output_text == "Thought over.", answer
    assert [item.type for item in answer.output][:2] == ["reasoning", "message"], answer.output
    thoughts = answer.output[0]
    said = [part.text for part in [*thoughts.summary, *(thoughts.content or [])]]
    assert said == ["First one thing, then another."], thoughts


@check("responses: a turn that goes on from the one before", "upstream")
def responses_previous():
    first = client.responses.create(model=MODEL, input="What is the weather in Oslo?", tools=[FLAT_TOOL])
    call = next(item for item in first.output if item.type == "function_call")
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "4 degrees, rain"}
    follow = client.responses.create(
        model=MODEL, previous_response_id=first.id, input=[result], tools=[FLAT_TOOL]
    )
    assert follow.output_text == FORECAST, follow
    assert client.responses.retrieve(first.id).id == first.id
    client.responses.delete(first.id)
    with raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with raises(openai.BadRequestError) as caught:
        client.responses.create(model=MODEL, previous_response_id=first.id, input="Say hello.")
    assert caught[0].code == "previous_response_not_found", caught[0].body


@check("responses: an answer that ran out of tokens is incomplete", "upstream")
def responses_length():
    answer = client.responses.create(model=MODEL, input="Never stop.", max_output_tokens=16)
    assert answer.status == "incomplete" and answer.incomplete_details.reason == "max_output_tokens", answer


@check("responses: a stream that is cut ends in failure", "upstream")
def responses_cut():
    kinds, raised = [], None
    try:
        for event in client.responses.create(model=MODEL, input="Break off.", stream=True):
            kinds.append(event.type)
    except openai.APIError as error:
        raised = error
    assert "response.completed" not in kinds, kinds
    assert raised is not None or kinds[-1] in ("response.failed", "error"), kinds


@check("errors are what the SDK maps", "upstream")
def errors():
    for create in (lambda **more: client.chat.completions.create(messages=asks("Say hello."), **more),
                   lambda **more: client.responses.create(input="Say hello.", **more)):
        with raises(openai.BadRequestError) as caught:
            create(model=MODEL, temperature="warm")
        assert caught[0].param == "temperature", caught[0].body
        with raises(openai.NotFoundError) as caught:
            create(model="upstream/no-such-model")
        assert caught[0].code == "model_not_found", caught[0].body
        stranger = client.with_options(api_key="sk-not-the-one")
        with raises(openai.AuthenticationError):
            stranger.chat.completions.create(model=MODEL, messages=asks("Say hello."))


@check("a limit that lasts is a 429, in both dialects, whole and streamed", "upstream")
def limited():
    # The last check: from here on the provider is left alone.
    for stream in (False, True):
        with raises(openai.RateLimitError):
            chat("Be limited.", stream=stream)
        with raises(openai.RateLimitError) as caught:
            client.responses.create(model=MODEL, input="Be limited.", stream=stream)
        assert int(caught[0].response.headers["retry-after"]) > 60, caught[0].response.headers


run("upstream")
