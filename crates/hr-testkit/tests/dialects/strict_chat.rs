//! What strict chat fakes refuse, and the rules that only some chat providers have.

use hr_testkit::{Dialect, Rule, Script, Strictness};
use serde_json::{Value, json};

use crate::caller::{ask, fake};

/// A change to a good request.
type Change = fn(&mut Value);

async fn refused(strictness: Strictness, body: &Value) -> String {
    let fake = fake(Dialect::Chat, Script::new().strict(strictness)).await;
    let reply = ask(&fake, "key", body).await;
    if reply.status == 200 {
        String::new()
    } else {
        reply.json()["error"]["message"].as_str().unwrap().into()
    }
}

/// A conversation with a call of a tool and its result.
fn conversation() -> Value {
    let call = json!({"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}});
    json!({
        "model": "m",
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "ok"},
        ],
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
    })
}

#[tokio::test]
async fn calls_and_results_belong_together() {
    assert_eq!(refused(Strictness::new(), &conversation()).await, "");
    let cases: &[(Change, &str)] = &[
        (|body| drop(body["messages"].as_array_mut().unwrap().pop()), "must be followed by tool messages"),
        (
            |body| drop(body["messages"].as_array_mut().unwrap().remove(1)),
            "must be a response to a preceding message",
        ),
        (
            |body| body["messages"].as_array_mut().unwrap().swap(0, 2),
            "must be a response to a preceding message",
        ),
        (|body| drop(body.as_object_mut().unwrap().remove("tools")), ""),
        (|body| body["tool_choice"] = "any".into(), "`tool_choice` is not one of the tools"),
        (
            |body| {
                body.as_object_mut().unwrap().remove("tools");
                body["tool_choice"] = "auto".into();
            },
            "'tool_choice' is only allowed when 'tools' are specified",
        ),
        (|body| body["tools"][0]["function"]["name"] = "a.b".into(), "`tools[0].function.name` is `a.b`"),
        (
            |body| body["messages"][1]["tool_calls"][0]["id"] = "".into(),
            "`messages[1].tool_calls[0].id` is missing",
        ),
        (|body| body["messages"][0]["content"] = Value::Null, "expected a string, got null"),
        (
            |body| {
                let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}});
                body["messages"][2]["content"] = json!([image]);
            },
            "must be one of [\"text\"] for `tool`",
        ),
    ];
    for (index, (change, words)) in cases.iter().enumerate() {
        let mut body = conversation();
        change(&mut body);
        let said = refused(Strictness::new(), &body).await;
        assert!(said.contains(words) && said.is_empty() == words.is_empty(), "case {index}: `{said}`");
    }
}

#[tokio::test]
async fn some_providers_have_rules_of_their_own() {
    let cases: &[(Rule, Change, &str)] = &[
        (Rule::NoThoughts, |body| body["messages"][1]["reasoning_content"] = "hm".into(), "is unsupported"),
        (Rule::ThoughtsBack, |_| (), "reasoning_content is missing"),
        (Rule::SignedCalls, |_| (), "missing a thought_signature"),
        (
            Rule::NoExtraContent,
            |body| body["messages"][1]["tool_calls"][0]["extra_content"] = json!({}),
            "Extra inputs are not permitted",
        ),
        (Rule::NoSpeakers, |body| body["messages"][0]["name"] = "ann".into(), "'name' is unsupported"),
        (Rule::ShortIds, |_| (), "Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9."),
        (
            Rule::LastFromUser,
            |body| {
                body["messages"].as_array_mut().unwrap().push(json!({"role": "assistant", "content": "a"}))
            },
            "Expected last role User or Tool",
        ),
        (Rule::NoUnknownFields, |body| body["messages"][0]["cache_control"] = json!({}), "Extra inputs"),
        (Rule::DescribedTools, |_| (), "description` is missing"),
        (
            Rule::NoImages,
            |body| {
                let image = json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}});
                body["messages"][0]["content"] = json!([image]);
            },
            "image_url content is not supported",
        ),
        (
            Rule::NoFormatWithTools,
            |body| body["response_format"] = json!({"type": "json_object"}),
            "cannot be combined",
        ),
        (
            Rule::PlainSchemas,
            |body| {
                let inner = json!({"type": "object", "additionalProperties": false});
                body["tools"][0]["function"]["parameters"]["properties"] = json!({"oneOf": inner});
            },
            "Unknown name \"additionalProperties\"",
        ),
    ];
    for (rule, change, words) in cases {
        let mut body = conversation();
        change(&mut body);
        let said = refused(Strictness::new().with([*rule]), &body).await;
        assert!(said.contains(words), "{rule:?}: `{said}`");
        assert_eq!(refused(Strictness::new(), &body).await, "", "{rule:?} is a rule of some only");
    }
}
