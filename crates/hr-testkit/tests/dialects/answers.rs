//! The same scripted answer in each dialect's own form.

use hr_testkit::{Answer, Behaviour, Dialect, Ending, Framing, Refusal, Script, Stop, Usage};
use serde_json::{Value, json};

use crate::caller::{OTHERS, ask, fake, path, request, types};
use crate::client::{Reply, post};

async fn told(dialect: Dialect, behaviour: impl Into<Behaviour>, stream: bool) -> Reply {
    let fake = fake(dialect, Script::new().otherwise(behaviour)).await;
    ask(&fake, "key", &request(dialect, stream)).await
}

fn rich() -> Answer {
    let usage = Usage { prompt: 100, completion: 20, cached: 80, cache_written: 5, reasoning: 7 };
    Answer::text("Grüße, 世界")
        .reasoning("hm, well")
        .and_tool("call_1", "look", r#"{"a":1}"#)
        .full_usage(usage)
}

#[tokio::test]
async fn anthropic_says_it_whole() {
    let body = told(Dialect::Anthropic, rich(), false).await.json();
    assert_eq!((&body["type"], &body["role"]), (&json!("message"), &json!("assistant")));
    let kinds: Vec<_> = body["content"].as_array().unwrap().iter().map(|block| &block["type"]).collect();
    assert_eq!(kinds, ["thinking", "text", "tool_use"]);
    assert_eq!(body["content"][1]["text"], "Grüße, 世界");
    assert_eq!(body["content"][2]["input"], json!({"a": 1}));
    assert_eq!(body["stop_reason"], "tool_use");
    assert_eq!(body["usage"]["input_tokens"], 15, "what was cached is not counted again");
    assert_eq!(body["usage"]["cache_read_input_tokens"], 80);
    assert_eq!(body["usage"]["cache_creation_input_tokens"], 5);
}

#[tokio::test]
async fn responses_say_it_whole() {
    let body = told(Dialect::Responses, rich(), false).await.json();
    assert_eq!((&body["object"], &body["status"]), (&json!("response"), &json!("completed")));
    let kinds: Vec<_> = body["output"].as_array().unwrap().iter().map(|item| &item["type"]).collect();
    assert_eq!(kinds, ["reasoning", "message", "function_call"]);
    assert!(body["output"][0]["encrypted_content"].is_string());
    assert_eq!(body["output"][1]["content"][0]["text"], "Grüße, 世界");
    assert_eq!(body["output"][2]["arguments"], r#"{"a":1}"#);
    assert_eq!(body["usage"]["input_tokens"], 100);
    assert_eq!(body["usage"]["input_tokens_details"]["cached_tokens"], 80);
    assert_eq!(body["usage"]["output_tokens_details"]["reasoning_tokens"], 7);
}

#[tokio::test]
async fn anthropic_streams_its_grammar() {
    let reply = told(Dialect::Anthropic, rich(), true).await;
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    let block = ["content_block_start", "content_block_delta", "content_block_stop"];
    let mut expected = vec!["message_start", "ping"];
    (0..3).for_each(|_| expected.extend(block));
    expected.extend(["message_delta", "message_stop"]);
    assert_eq!(types(&reply), expected);
    assert_eq!(reply.text().matches("\nevent: ").count() + 1, reply.events().len(), "each has its name");
    let text: String = reply
        .events()
        .iter()
        .filter_map(|event| event["delta"]["text"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(text, "Grüße, 世界");
    let signed = |event: &Value| event["delta"]["type"] == "signature_delta";
    assert!(reply.events().iter().any(signed));
}

#[tokio::test]
async fn responses_stream_their_grammar() {
    for dialect in [Dialect::Responses, Dialect::Codex] {
        let reply = told(dialect, rich(), true).await;
        let events = reply.events();
        for (number, event) in events.iter().enumerate() {
            assert_eq!(event["sequence_number"], number);
        }
        let last = events.last().unwrap();
        assert_eq!(last["type"], "response.completed");
        let items: Vec<_> = events
            .iter()
            .filter(|event| event["type"] == "response.output_item.done")
            .map(|event| event["item"].clone())
            .collect();
        assert_eq!(items.len(), 3);
        let expected = if dialect == Dialect::Codex { json!([]) } else { items.clone().into() };
        assert_eq!(last["response"]["output"], expected);
        let begun = events.iter().find(|event| event["type"] == "response.output_item.added").unwrap();
        assert_ne!(begun["item"]["encrypted_content"], items[0]["encrypted_content"]);
        assert!(!reply.text().contains("[DONE]"));
        assert_eq!(
            types(&reply)[2..6],
            [
                "response.output_item.added",
                "response.reasoning_summary_part.added",
                "response.reasoning_summary_text.delta",
                "response.reasoning_summary_text.done",
            ]
        );
    }
}

#[tokio::test]
async fn tools_are_called_as_they_are_offered() {
    let patch = Answer::tool("apply_patch", "*** Begin\n\"x\"");
    let fake = fake(Dialect::Codex, Script::new().otherwise(patch)).await;
    let mut body = request(Dialect::Codex, true);
    let tool = json!({"type": "custom", "name": "apply_patch"});
    body["tools"] = json!([{"type": "namespace", "name": "files", "tools": [tool]}]);
    let events = ask(&fake, "key", &body).await.events();
    let item = &events.iter().find(|event| event["type"] == "response.output_item.done").unwrap()["item"];
    assert_eq!((&item["type"], &item["namespace"]), (&json!("custom_tool_call"), &json!("files")));
    assert_eq!(item["input"], "*** Begin\n\"x\"");
}

#[tokio::test]
async fn every_reason_to_stop_has_its_word() {
    let long = Answer::text("and so").stop(Stop::Length);
    let cut = Answer::text("one").stop(Stop::Sequence("two".into()));
    let anthropic = |answer: Answer| async { told(Dialect::Anthropic, answer, false).await.json() };
    assert_eq!(anthropic(long.clone()).await["stop_reason"], "max_tokens");
    assert_eq!(anthropic(cut).await["stop_sequence"], "two");
    assert_eq!(anthropic(Answer::refusal("no")).await["stop_reason"], "refusal");
    let reply = told(Dialect::Responses, long, true).await;
    let last = reply.events().pop().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
    let refused = told(Dialect::Responses, Answer::refusal("no"), false).await.json();
    assert_eq!(refused["output"][0]["content"][0], json!({"type": "refusal", "refusal": "no"}));
}

#[tokio::test]
async fn faults_are_the_same_in_every_dialect() {
    for dialect in OTHERS {
        let answer = || Answer::text("abcdefgh");
        let plain = told(dialect, answer(), true).await.text();
        let crlf = told(dialect, answer().framing(Framing::Crlf), true).await.text();
        assert_eq!(crlf, plain.replace('\n', "\r\n"));
        let bytes = told(dialect, answer().framing(Framing::Bytes), true).await;
        assert_eq!(bytes.text(), plain);

        let cut = told(dialect, answer().ending(Ending::Cut(2)), true).await;
        assert!(!cut.complete && plain.starts_with(&cut.text()), "{dialect:?}");
        assert!(cut.text().contains("\"cd\"") && !cut.text().contains("\"ef\""));
        let at = told(dialect, answer().ending(Ending::CutAt(100)), true).await;
        assert!(!at.complete && at.bytes() == plain.as_bytes()[..100]);
        let endless = told(dialect, answer().ending(Ending::NoDone), true).await;
        assert!(
            endless.complete
                && endless.events().len() + 1 == told(dialect, answer(), true).await.events().len()
        );

        let failing = Ending::Error(1, Box::new(Refusal::overloaded()));
        let failed = told(dialect, answer().ending(failing), true).await;
        let last = failed.events().pop().unwrap();
        let expected = if dialect == Dialect::Anthropic { "error" } else { "response.failed" };
        assert_eq!(last["type"], expected);
        let inside = told(dialect, Behaviour::error_inside(Refusal::server_error()), true).await;
        assert_eq!((inside.status, types(&inside).last().unwrap().as_str()), (200, expected));

        let whole = told(dialect, answer().whole(), true).await;
        assert_eq!(whole.header("content-type"), Some("application/json"));
        let streamed = told(dialect, answer().streamed(), false).await;
        assert_eq!(streamed.text(), plain);
        assert_eq!(told(dialect, Behaviour::html(502), true).await.status, 502);
        let big = told(dialect, Answer::big(100_000), true).await;
        assert!(big.bytes().len() > 100_000);
        let empty = told(dialect, Answer::empty(), false).await.json();
        let content = if dialect == Dialect::Anthropic { &empty["content"] } else { &empty["output"] };
        assert_eq!(content, &json!([]));
    }
}

#[tokio::test]
async fn refusals_come_in_the_envelope_of_the_dialect() {
    let refused = told(Dialect::Anthropic, Refusal::overloaded(), false).await;
    assert_eq!(refused.status, 529);
    let body = refused.json();
    assert_eq!(body["type"], "error");
    assert_eq!(body["error"], json!({"type": "overloaded_error", "message": "Overloaded"}));
    let refused = told(Dialect::Responses, Refusal::unsupported_parameter("x"), false).await.json();
    assert_eq!(
        (&refused["error"]["code"], &refused["error"]["param"]),
        (&json!("unsupported_parameter"), &json!("x"))
    );
    let limit =
        Refusal::usage_limit("plus", std::time::SystemTime::now() + std::time::Duration::from_secs(60));
    let inside = told(Dialect::Codex, Behaviour::error_inside(limit), true).await;
    let error = inside.events().pop().unwrap()["response"]["error"].clone();
    assert_eq!((&error["code"], &error["plan_type"]), (&json!("usage_limit_reached"), &json!("plus")));
    assert!(error["resets_at"].is_u64());
}

#[tokio::test]
async fn each_fake_knows_the_paths_of_its_dialect_only() {
    for dialect in OTHERS {
        let fake = fake(dialect, Script::new()).await;
        for other in [Dialect::Chat, Dialect::Anthropic, Dialect::Responses, Dialect::Codex] {
            let status = post(&fake, path(other), "key", &request(other, true)).await.unwrap().status;
            assert_eq!(status == 200, other == dialect, "{dialect:?} on the path of {other:?}: {status}");
        }
        let forbidden = post(&fake, "/backend-api/codex/chat/completions", "key", &json!({})).await.unwrap();
        assert_eq!(forbidden.status == 403, dialect == Dialect::Codex);
    }
}
