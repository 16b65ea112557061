//! Answers as OpenAI Responses, on the platform and on the backend of a ChatGPT subscription.

use serde_json::{Value, json};

use super::{Asked, Beat, CREATED, Event, Events};
use crate::answer::{Answer, FILLER_PIECE, Stop, ToolCall, Usage, pieces};
use crate::dialect::{Dialect, Endpoint};
use crate::refusal::Refusal;

pub(super) fn whole(answer: &Answer, asked: &Asked<'_>, usage: Usage) -> Value {
    let output: Vec<_> = items(answer, asked).into_iter().map(|item| item.done).collect();
    if asked.endpoint == Endpoint::Compact {
        let seal = asked.issued.seal(asked.owner, asked.sequence, "");
        let item = json!({"id": format!("cmp_fake{:04}", asked.sequence), "type": "compaction", "encrypted_content": seal});
        return json!({
            "id": id(asked),
            "object": "response.compaction",
            "created_at": CREATED,
            "output": [item],
            "usage": usage_json(usage),
        });
    }
    ended(answer, asked, output, usage)
}

pub(super) fn stream(answer: &Answer, asked: &Asked<'_>, usage: Usage) -> Events {
    let items = items(answer, asked);
    let mut beats = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let framed = |name, field: &str, value: &Value| {
            Beat::Frame(Event::named(name, json!({"output_index": index, field: value})))
        };
        beats.push(framed("response.output_item.added", "item", &item.added));
        beats.extend(item.beats(answer, index));
        beats.push(framed("response.output_item.done", "item", &item.done));
    }
    // The subscription's backend leaves the output of its last event empty.
    let output = match asked.dialect {
        Dialect::Codex => Vec::new(),
        _ => items.into_iter().map(|item| item.done).collect(),
    };
    let last = ended(answer, asked, output, usage);
    let name = if last["status"] == "incomplete" { "response.incomplete" } else { "response.completed" };
    let closing = vec![Event::named(name, json!({"response": last}))];
    Events { opening: opening(asked), beats, closing, done: None }
}

/// The events that every stream begins with.
pub(super) fn opening(asked: &Asked<'_>) -> Vec<Event> {
    let begun = json!({"response": response(asked, "in_progress", Vec::new())});
    vec![Event::named("response.created", begun.clone()), Event::named("response.in_progress", begun)]
}

/// The events that tell of an error.
pub(super) fn failure(refusal: &Refusal, asked: &Asked<'_>) -> Vec<Event> {
    let mut error = refusal.error(asked.key);
    if error["code"].is_null() {
        error["code"] = error["type"].clone();
    }
    let mut failed = response(asked, "failed", Vec::new());
    failed["error"] = error.clone();
    let mut events = Vec::new();
    if asked.dialect == Dialect::Responses {
        events.push(Event::named("error", json!({"error": error})));
    }
    events.push(Event::named("response.failed", json!({"response": failed})));
    events
}

/// One output item: as it begins, as it ends, and what its content is.
struct Item {
    added: Value,
    done: Value,
    content: Content,
}

enum Content {
    /// Thoughts that may be shown.
    Summary(String),
    Text,
    Refusal(String),
    /// The arguments of a function.
    Arguments {
        name: String,
        text: String,
    },
    /// The input of a custom tool.
    Input(String),
}

fn items(answer: &Answer, asked: &Asked<'_>) -> Vec<Item> {
    let id = |prefix: &str, index: usize| format!("{prefix}_fake{:04}x{index}", asked.sequence);
    let status = match answer.stop {
        Stop::Length | Stop::Filtered => "incomplete",
        _ => "completed",
    };
    let mut items = Vec::new();
    if let Some(thoughts) = &answer.reasoning {
        items.push(reasoning(answer, asked, thoughts, id("rs", items.len())));
    }
    let message = |id: String, part: Value, content| Item {
        added: json!({
            "id": id, "type": "message", "status": "in_progress", "role": "assistant", "content": [],
        }),
        done: json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": [part]}),
        content,
    };
    if !answer.is_silent() {
        let part = text_part(&answer.whole_text());
        items.push(message(id("msg", items.len()), part, Content::Text));
    }
    if let Some(refusal) = &answer.refusal {
        let part = json!({"type": "refusal", "refusal": refusal});
        items.push(message(id("msg", items.len()), part, Content::Refusal(refusal.clone())));
    }
    for call in &answer.tool_calls {
        let item = tool(call, asked, status, &|prefix| id(prefix, items.len()));
        items.push(item);
    }
    if let [first, second, ..] = items.as_slice()
        && first.done["type"] == "reasoning"
        && let (Some(led), Some(leader)) = (second.done["id"].as_str(), first.done["id"].as_str())
    {
        asked.issued.lead(led, leader);
    }
    items
}

fn reasoning(answer: &Answer, asked: &Asked<'_>, thoughts: &str, id: String) -> Item {
    let mut added = json!({"id": id, "type": "reasoning", "summary": []});
    let mut done = json!({
        "id": id, "type": "reasoning", "summary": [{"type": "summary_text", "text": thoughts}],
    });
    let wanted = asked.body["include"]
        .as_array()
        .is_some_and(|include| include.iter().any(|value| value == "reasoning.encrypted_content"));
    if answer.sealed && wanted {
        // What stands in the first event is not yet what has to come back.
        added["encrypted_content"] = format!("gAAAAfake{}", asked.sequence).into();
        done["encrypted_content"] = asked.issued.seal(asked.owner, asked.sequence, thoughts).into();
    }
    Item { added, done, content: Content::Summary(thoughts.to_owned()) }
}

fn tool(call: &ToolCall, asked: &Asked<'_>, status: &str, id: &dyn Fn(&str) -> String) -> Item {
    let offer = offered(asked.body, &call.name);
    let custom = offer.as_ref().is_some_and(|(tool, _)| tool["type"] == "custom");
    let (prefix, kind, field) =
        if custom { ("ctc", "custom_tool_call", "input") } else { ("fc", "function_call", "arguments") };
    let mut done = json!({
        "id": id(prefix),
        "type": kind,
        "status": status,
        "call_id": call.id,
        "name": call.name,
        field: call.arguments,
    });
    if let Some(namespace) = offer.and_then(|(_, namespace)| namespace) {
        done["namespace"] = namespace.into();
    }
    let mut added = done.clone();
    added["status"] = "in_progress".into();
    added[field] = "".into();
    let content = if custom {
        Content::Input(call.arguments.clone())
    } else {
        Content::Arguments { name: call.name.clone(), text: call.arguments.clone() }
    };
    Item { added, done, content }
}

/// The tool of this name in the request, and the namespace that it is in.
fn offered<'a>(body: &'a Value, name: &str) -> Option<(&'a Value, Option<&'a str>)> {
    let tools = |of: &'a Value| of["tools"].as_array().map_or(&[][..], Vec::as_slice);
    for tool in tools(body) {
        if tool["type"] == "namespace" {
            if let Some(inner) = tools(tool).iter().find(|inner| inner["name"] == name) {
                return Some((inner, tool["name"].as_str()));
            }
        } else if tool["name"] == name {
            return Some((tool, None));
        }
    }
    None
}

impl Item {
    /// The events between those that begin and end it.
    fn beats(&self, answer: &Answer, output_index: usize) -> Vec<Beat> {
        let event = |name, mut data: Value| {
            data["output_index"] = output_index.into();
            data["item_id"] = self.done["id"].clone();
            Event::named(name, data)
        };
        let framed = |name, data| Beat::Frame(event(name, data));
        let mut beats = Vec::new();
        match &self.content {
            Content::Summary(text) => {
                let part =
                    |text: &str| json!({"summary_index": 0, "part": {"type": "summary_text", "text": text}});
                beats.push(framed("response.reasoning_summary_part.added", part("")));
                beats.extend(pieces(text, 2).into_iter().map(|piece| {
                    let data = json!({"summary_index": 0, "delta": piece});
                    Beat::Content(event("response.reasoning_summary_text.delta", data))
                }));
                let all = json!({"summary_index": 0, "text": text});
                beats.push(framed("response.reasoning_summary_text.done", all));
                beats.push(framed("response.reasoning_summary_part.done", part(text)));
            }
            Content::Text => {
                beats.push(framed(
                    "response.content_part.added",
                    json!({"content_index": 0, "part": text_part("")}),
                ));
                let filler = std::iter::repeat_n("x".repeat(FILLER_PIECE), answer.filler_pieces() as usize);
                beats.extend(pieces(&answer.text, answer.chunks).into_iter().chain(filler).map(|piece| {
                    let data = json!({"content_index": 0, "delta": piece, "logprobs": []});
                    Beat::Content(event("response.output_text.delta", data))
                }));
                let part = &self.done["content"][0];
                let all = json!({"content_index": 0, "text": part["text"], "logprobs": []});
                beats.push(framed("response.output_text.done", all));
                beats.push(framed("response.content_part.done", json!({"content_index": 0, "part": part})));
            }
            Content::Refusal(words) => {
                let part =
                    |words: &str| json!({"content_index": 0, "part": {"type": "refusal", "refusal": words}});
                beats.push(framed("response.content_part.added", part("")));
                beats.extend(pieces(words, answer.chunks).into_iter().map(|piece| {
                    Beat::Content(event(
                        "response.refusal.delta",
                        json!({"content_index": 0, "delta": piece}),
                    ))
                }));
                beats.push(framed("response.refusal.done", json!({"content_index": 0, "refusal": words})));
                beats.push(framed("response.content_part.done", part(words)));
            }
            Content::Arguments { name, text } => {
                beats.extend(pieces(text, 2).into_iter().map(|piece| {
                    Beat::Content(event("response.function_call_arguments.delta", json!({"delta": piece})))
                }));
                let all = json!({"name": name, "arguments": text});
                beats.push(framed("response.function_call_arguments.done", all));
            }
            Content::Input(text) => {
                beats.extend(pieces(text, 2).into_iter().map(|piece| {
                    Beat::Content(event("response.custom_tool_call_input.delta", json!({"delta": piece})))
                }));
                beats.push(framed("response.custom_tool_call_input.done", json!({"input": text})));
            }
        }
        beats
    }
}

fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
}

fn id(asked: &Asked<'_>) -> String {
    format!("resp_fake{:04}", asked.sequence)
}

/// The response at its end.
fn ended(answer: &Answer, asked: &Asked<'_>, output: Vec<Value>, usage: Usage) -> Value {
    let reason = match answer.stop {
        Stop::Length => Some("max_output_tokens"),
        Stop::Filtered => Some("content_filter"),
        Stop::Natural | Stop::Sequence(_) => None,
    };
    let status = if reason.is_some() { "incomplete" } else { "completed" };
    let mut response = response(asked, status, output);
    response["incomplete_details"] = reason.map_or(Value::Null, |reason| json!({"reason": reason}));
    response["usage"] = usage_json(usage);
    response["completed_at"] = CREATED.into();
    response
}

/// The response object, which repeats much of the request.
fn response(asked: &Asked<'_>, status: &str, output: Vec<Value>) -> Value {
    let body = asked.body;
    let or = |field: &str, default: Value| if body[field].is_null() { default } else { body[field].clone() };
    json!({
        "id": id(asked),
        "object": "response",
        "created_at": CREATED,
        "completed_at": null,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": body["instructions"],
        "max_output_tokens": body["max_output_tokens"],
        "max_tool_calls": null,
        "model": asked.model,
        "output": output,
        "parallel_tool_calls": or("parallel_tool_calls", true.into()),
        "previous_response_id": body["previous_response_id"],
        "prompt_cache_key": body["prompt_cache_key"],
        "reasoning": or("reasoning", json!({"effort": null, "summary": null})),
        "safety_identifier": null,
        "service_tier": or("service_tier", "default".into()),
        "store": or("store", true.into()),
        "temperature": or("temperature", json!(1.0)),
        "text": or("text", json!({"format": {"type": "text"}})),
        "tool_choice": or("tool_choice", "auto".into()),
        "tools": tools(&body["tools"]),
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "top_logprobs": 0,
        "top_p": or("top_p", json!(1.0)),
        "truncation": or("truncation", "disabled".into()),
        "usage": null,
        "user": null,
        "metadata": or("metadata", json!({})),
    })
}

/// The tools of the request as the server repeats them: with what was left out.
fn tools(offered: &Value) -> Value {
    let mut tools = offered.as_array().cloned().unwrap_or_default();
    for tool in tools.iter_mut().filter(|tool| tool["type"] == "function") {
        for (name, default) in
            [("strict", true.into()), ("description", Value::Null), ("parameters", Value::Null)]
        {
            if tool.get(name).is_none() {
                tool[name] = default;
            }
        }
    }
    tools.into()
}

fn usage_json(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": usage.cache_written},
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.prompt + usage.completion,
    })
}
