"""LangChain against the router over one provider of whatever dialect: the counterpart of upstream_openai.py.

LangChain adds up what it gets, so what is said twice shows: usage, names and ids of calls.
"""

import functools
import operator
import os

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI

from checks import check, run

MODEL = "hermes-router"
KEY = os.environ["HR_API_KEY"]
HELLO = "Hello from the provider, in several pieces."
FORECAST = "It is 4 degrees and raining."


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"4 degrees in {city}"


def openai(**more):
    return ChatOpenAI(model=MODEL, api_key=KEY, base_url=os.environ["HR_BASE_URL"], timeout=60, max_retries=0, **more)


callers = {
    "ChatOpenAI": lambda: openai(stream_usage=True),
    "ChatOpenAI over Responses": lambda: openai(use_responses_api=True),
    "ChatAnthropic": lambda: ChatAnthropic(
        model=MODEL, api_key=KEY, base_url=os.environ["HR_ROOT_URL"], timeout=60, max_retries=0, max_tokens=4096
    ),
}


def added_up(caller, question):
    return functools.reduce(operator.add, caller.stream(question))


def is_counted(message):
    usage = message.usage_metadata
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (21, 9, 30), usage
    assert usage["input_token_details"].get("cache_read") == 5, usage


def calls_both(message):
    calls = [(call["name"], call["args"]) for call in message.tool_calls]
    assert calls == [("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Rome"})], message
    assert len({call["id"] for call in message.tool_calls}) == 2, message.tool_calls


for name, make in callers.items():

    @check(f"{name}: a text and what it cost, whole and streamed", "upstream")
    def text(make=make):
        for message in (make().invoke("Say hello."), added_up(make(), "Say hello.")):
            assert message.text == HELLO, message
            is_counted(message)

    @check(f"{name}: calls of tools and their results, whole and streamed", "upstream")
    def tools(make=make):
        caller = make().bind_tools([get_weather])
        question = [HumanMessage("What is the weather in Oslo and in Rome?")]
        for message in (caller.invoke(question), added_up(caller, question)):
            calls_both(message)
            results = [ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"]) for call in message.tool_calls]
            assert caller.invoke([*question, message, *results]).text == FORECAST

    @check(f"{name}: a stream that is cut ends in an error", "upstream")
    def cut(make=make):
        try:
            whole = added_up(make(), "Break off.")
        except Exception:
            return
        raise AssertionError(f"a cut answer was a success: {whole}")


run("upstream")
