"""Chat Completions, Responses and Messages over a real llama.cpp server, whose answers mean nothing: what can be
asserted is that they are there, whole, and the same way told in every dialect.

`HR_BASE_URL` and `HR_ROOT_URL` say where the router is, `HR_API_KEY` which access key it takes.
"""

import os

import anthropic
import openai

from checks import check, run

KEY = os.environ["HR_API_KEY"]
MODEL = "hermes-router"
HELLO = [{"role": "user", "content": "Say hello in one word."}]
LENGTH = 12

chat = openai.OpenAI(base_url=os.environ["HR_BASE_URL"], api_key=KEY, timeout=60, max_retries=0)
messages = anthropic.Anthropic(base_url=os.environ["HR_ROOT_URL"], api_key=KEY, timeout=60, max_retries=0)


@check("chat, whole and streamed", "llama")
def completions():
    ask = {"model": MODEL, "messages": HELLO, "max_tokens": LENGTH, "temperature": 0}
    whole = chat.chat.completions.create(**ask)
    assert whole.choices[0].message.content and whole.usage.completion_tokens <= LENGTH, whole
    chunks = list(chat.chat.completions.create(**ask, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content, (text, whole)


@check("responses, whole and streamed", "llama")
def responses():
    ask = {"model": MODEL, "input": "Say hello in one word.", "max_output_tokens": LENGTH, "temperature": 0}
    whole = chat.responses.create(**ask)
    assert whole.output_text and 0 < whole.usage.output_tokens <= LENGTH, whole
    assert whole.status in ("completed", "incomplete"), whole
    events = list(chat.responses.create(**ask, stream=True))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == whole.output_text, (text, whole)
    assert events[-1].type == f"response.{whole.status}", events[-1]


@check("messages, whole and streamed", "llama")
def anthropic_messages():
    ask = {"model": MODEL, "messages": HELLO, "max_tokens": LENGTH, "extra_body": {"temperature": 0}}
    whole = messages.messages.create(**ask)
    assert whole.content[0].text and 0 < whole.usage.output_tokens <= LENGTH, whole
    assert whole.stop_reason in ("end_turn", "max_tokens"), whole
    with messages.messages.stream(**ask) as stream:
        text = "".join(stream.text_stream)
        streamed = stream.get_final_message()
    assert text == whole.content[0].text, (text, whole)
    assert streamed.stop_reason == whole.stop_reason and streamed.usage.output_tokens > 0, streamed


@check("the same question has the same answer in every dialect", "llama")
def alike():
    ask = {"model": MODEL, "extra_body": {"temperature": 0}}
    texts = {
        chat.chat.completions.create(**ask, messages=HELLO, max_tokens=LENGTH).choices[0].message.content,
        chat.responses.create(**ask, input=HELLO, max_output_tokens=LENGTH).output_text,
        messages.messages.create(**ask, messages=HELLO, max_tokens=LENGTH).content[0].text,
    }
    assert len(texts) == 1, texts


@check("tokens are counted for Messages", "llama")
def counted():
    assert messages.messages.count_tokens(model=MODEL, messages=HELLO).input_tokens > 0


run("llama")
