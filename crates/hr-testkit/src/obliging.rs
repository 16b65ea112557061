//! An answer that fits its request: what a willing model would say to it, in whichever dialect it is asked.
//!
//! Conformance suites and SDKs in other languages bring their own requests. An obliging fake calls the tool that is
//! forced or spoken of, fills in schemas, thinks when it may, and stops where it is told to.

use serde_json::{Map, Value, json};

use crate::answer::{Answer, Stop};
use crate::script::answered;

/// The most characters of the user's words that are repeated.
const MAX_ECHO: usize = 200;
/// The most levels of a schema that are filled in.
const MAX_DEPTH: usize = 16;

/// What a willing model says; the number makes ids of calls unique.
pub(crate) fn answer(body: &Value, number: usize) -> Answer {
    let mut answer = match calls(body, number) {
        calls if !calls.is_empty() => {
            calls.iter().fold(Answer::empty(), |answer, (id, name, text)| answer.and_tool(id, name, text))
        }
        _ => Answer::text(words(body)),
    };
    if thinks(body) {
        answer = answer.reasoning("The request is clear, so the answer follows from it.");
    }
    if answer.tool_calls.is_empty() { stopped(answer, body) } else { answer }
}

/// What is said when no tool is called.
fn words(body: &Value) -> String {
    let format = [&body["response_format"], &body["text"]["format"], &body["output_config"]["format"]];
    for format in format {
        let schema = [&format["schema"], &format["json_schema"]["schema"]];
        if let Some(schema) = schema.into_iter().find(|schema| schema.is_object()) {
            return sample(schema, schema, MAX_DEPTH).to_string();
        }
        if format["type"] == "json_object" {
            return json!({"answer": "yes"}).to_string();
        }
    }
    let said: String = last_words(body).chars().take(MAX_ECHO).collect();
    format!("Hello from a fake provider. You said: {said}")
}

/// An answer that ends at a stop sequence, or where its tokens run out.
fn stopped(mut answer: Answer, body: &Value) -> Answer {
    let stops = [&body["stop"], &body["stop_sequences"]];
    let stops = stops.into_iter().flat_map(|stop| match stop {
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().into_iter().collect::<Vec<_>>(),
    });
    let first = stops.filter_map(|stop| Some((answer.text.find(stop)?, stop.to_owned()))).min();
    if let Some((at, stop)) = first {
        answer.text.truncate(at);
        return answer.stop(Stop::Sequence(stop));
    }
    let limits = [&body["max_tokens"], &body["max_completion_tokens"], &body["max_output_tokens"]];
    let limit = limits.into_iter().find_map(Value::as_u64).unwrap_or(u64::MAX);
    // About four characters are a token, as in estimates of usage.
    let most = usize::try_from(limit.saturating_mul(4)).unwrap_or(usize::MAX);
    if answer.text.chars().count() > most {
        answer.text = answer.text.chars().take(most).collect();
        return answer.stop(Stop::Length);
    }
    answer
}

/// Whether the request asks for thoughts.
fn thinks(body: &Value) -> bool {
    let thinking = body["thinking"]["type"].as_str().is_some_and(|kind| kind != "disabled");
    let efforts = [&body["reasoning_effort"], &body["reasoning"]["effort"]];
    thinking || efforts.into_iter().any(|effort| effort.as_str().is_some_and(|effort| effort != "none"))
}

/// The calls of tools: id, name, arguments.
fn calls(body: &Value, number: usize) -> Vec<(String, String, String)> {
    let choice = &body["tool_choice"];
    let is = |word: &str| *choice == word || choice["type"] == word;
    let offered = offered(&body["tools"]);
    if offered.is_empty() || is("none") || answered(body) {
        return Vec::new();
    }
    let forced = [&choice["name"], &choice["function"]["name"], &choice["custom"]["name"]];
    let forced = forced.into_iter().find_map(Value::as_str);
    let said = last_words(body).to_lowercase();
    let spoken_of: Vec<_> = match forced {
        Some(name) => offered.iter().filter(|tool| tool.name == name).collect(),
        None => offered.iter().filter(|tool| tool.is_spoken_of(&said)).collect(),
    };
    let chosen = match spoken_of.as_slice() {
        [] if is("any") || is("required") => offered.iter().take(1).collect(),
        _ => spoken_of,
    };
    let call = |(index, tool): (usize, &Tool<'_>)| {
        (format!("call_{number:06}x{index}"), tool.name.to_owned(), tool.arguments())
    };
    chosen.into_iter().enumerate().map(call).collect()
}

/// A tool on offer.
struct Tool<'a> {
    name: &'a str,
    schema: &'a Value,
    /// Whether it takes free text.
    custom: bool,
}

impl Tool<'_> {
    /// Whether a part of its name is among these words.
    fn is_spoken_of(&self, said: &str) -> bool {
        let parts = self.name.split(['_', '-']).map(str::to_lowercase);
        let telling = parts.filter(|part| part.len() > 3).collect::<Vec<_>>();
        telling.iter().any(|part| said.contains(part.as_str())) || said.contains(&self.name.to_lowercase())
    }

    fn arguments(&self) -> String {
        if self.custom {
            return "free text".to_owned();
        }
        match sample(self.schema, self.schema, MAX_DEPTH) {
            Value::Object(fields) => Value::Object(fields).to_string(),
            _ => Value::Object(Map::new()).to_string(),
        }
    }
}

/// The tools that the caller runs, in whichever dialect they are told.
fn offered(tools: &Value) -> Vec<Tool<'_>> {
    let mut found = Vec::new();
    for tool in tools.as_array().into_iter().flatten() {
        if tool["type"] == "namespace" {
            found.extend(offered(&tool["tools"]));
            continue;
        }
        let inner =
            [&tool["function"], &tool["custom"]].into_iter().find(|inner| inner.is_object()).unwrap_or(tool);
        let schemas = [&inner["parameters"], &inner["input_schema"]];
        let schema = schemas.into_iter().find(|schema| schema.is_object()).unwrap_or(&Value::Null);
        let custom = tool["type"] == "custom" && !schema.is_object();
        // Others run at the provider.
        let own = custom || schema.is_object() || tool["type"] == "function";
        if let (true, Some(name)) = (own, inner["name"].as_str()) {
            found.push(Tool { name, schema, custom });
        }
    }
    found
}

/// The text that the user said last.
fn last_words(body: &Value) -> String {
    if let Some(input) = body["input"].as_str().or(body["prompt"].as_str()) {
        return input.to_owned();
    }
    let turns = if body["input"].is_array() { &body["input"] } else { &body["messages"] };
    let mut turns = turns.as_array().into_iter().flatten().rev();
    let Some(last) = turns.find(|turn| turn["role"] == "user") else { return String::new() };
    match &last["content"] {
        Value::String(text) => text.clone(),
        parts => {
            let texts = parts.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
            texts.collect::<Vec<_>>().join(" ")
        }
    }
}

/// A value that fits a schema.
fn sample(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    if let Some(target) = schema["$ref"].as_str() {
        let target = root.pointer(target.trim_start_matches('#')).unwrap_or(&Value::Null);
        return sample(target, root, depth - 1);
    }
    if let Some(value) = schema.get("const") {
        return value.clone();
    }
    let lists = [&schema["enum"], &schema["examples"]];
    if let Some(first) = lists.into_iter().find_map(|list| list.as_array()?.first()) {
        return first.clone();
    }
    for union in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema[union].as_array().and_then(|branches| branches.first()) {
            return sample(first, root, depth - 1);
        }
    }
    let kind = schema["type"].as_array().and_then(|kinds| kinds.first()).unwrap_or(&schema["type"]);
    match kind.as_str().unwrap_or(if schema["properties"].is_object() { "object" } else { "" }) {
        "object" => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let field = |(name, inner): (&String, &Value)| (name.clone(), sample(inner, root, depth - 1));
            properties.map(field).collect::<Map<_, _>>().into()
        }
        "array" => {
            let least = schema["minItems"].as_u64().unwrap_or(1).min(8) as usize;
            vec![sample(&schema["items"], root, depth - 1); least].into()
        }
        "integer" => schema["minimum"].as_i64().unwrap_or(1).into(),
        "number" => schema["minimum"].as_f64().unwrap_or(1.5).into(),
        "boolean" => true.into(),
        "null" => Value::Null,
        _ => match schema["format"].as_str() {
            Some("date") => "2026-01-02".into(),
            Some("date-time") => "2026-01-02T03:04:05Z".into(),
            Some("email") => "ann@example.com".into(),
            Some("uri") => "https://example.com/".into(),
            _ => "a word".into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(more: Value) -> Answer {
        let mut body = json!({"messages": [{"role": "user", "content": "What is the weather in Oslo?"}]});
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        answer(&body, 7)
    }

    fn weather() -> Value {
        let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
        json!([
            {"type": "function", "function": {"name": "send_mail"}},
            {"type": "function", "function": {"name": "get_weather", "parameters": schema}},
        ])
    }

    #[test]
    fn the_tool_that_is_spoken_of_is_called() {
        let called = asked(json!({"tools": weather()}));
        assert_eq!(called.tool_calls.len(), 1);
        assert_eq!(called.tool_calls[0].name, "get_weather");
        assert_eq!(called.tool_calls[0].arguments, r#"{"city":"a word"}"#);
        let forced = asked(json!({"tools": weather(), "tool_choice": {"type": "tool", "name": "send_mail"}}));
        assert_eq!(forced.tool_calls[0].name, "send_mail");
        assert!(asked(json!({"tools": weather(), "tool_choice": "none"})).tool_calls.is_empty());
        let result = json!([{"role": "tool", "content": "rain"}]);
        assert!(asked(json!({"tools": weather(), "messages": result})).tool_calls.is_empty());
    }

    #[test]
    fn schemas_are_filled_in() {
        let schema = json!({
            "type": "object",
            "properties": {"n": {"$ref": "#/$defs/n"}, "l": {"type": "array", "items": {"enum": ["a"]}}},
            "$defs": {"n": {"type": ["integer", "null"]}},
        });
        let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
        let said: Value = serde_json::from_str(&asked(json!({"response_format": format})).text).unwrap();
        assert_eq!(said, json!({"n": 1, "l": ["a"]}));
    }

    #[test]
    fn it_stops_where_it_is_told_to() {
        let stopped = asked(json!({"stop_sequences": ["weather"]}));
        assert_eq!(stopped.stop, Stop::Sequence("weather".into()));
        assert!(stopped.text.ends_with("the "));
        let short = asked(json!({"max_tokens": 2}));
        assert_eq!((short.stop, short.text.as_str()), (Stop::Length, "Hello fr"));
        assert!(asked(json!({"thinking": {"type": "adaptive"}})).reasoning.is_some());
        assert!(asked(json!({"reasoning_effort": "none"})).reasoning.is_none());
    }
}
