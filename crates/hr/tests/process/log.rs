//! What the program writes down of a request, and what it does not.

use std::time::{Duration, Instant};

use hr_testkit::{Answer, Dialect, Ending, Fake, Refusal, Script};
use serde_json::{Value, json};

use crate::caller::Got;
use crate::router::{KEY, Router, provider};

/// When waiting is given up.
const TOO_LONG: Duration = Duration::from_secs(60);
/// How often something that must come is looked for.
const LOOK: Duration = Duration::from_millis(10);

const PROMPT: &str = "canary-prompt-93ab10";
const UPSTREAM: &str = "sk-canary-upstream-41c7";

async fn router(fake: &Fake) -> Router {
    let dialect = match fake.dialect() {
        Dialect::Chat => "openai_chat",
        Dialect::Anthropic => "anthropic",
        Dialect::Responses | Dialect::Codex => "openai_responses",
    };
    let (name, text) = provider("alpha", &fake.base_url());
    let top = match fake.dialect() {
        Dialect::Anthropic => "auth = \"header:x-api-key\"\n",
        _ => "",
    };
    let extra = match fake.dialect() {
        Dialect::Anthropic => "[headers]\nanthropic-version = \"2023-06-01\"\n",
        _ => "",
    };
    let text = format!("dialect = \"{dialect}\"\n{top}{text}{extra}");
    Router::start(&format!("ALPHA_API_KEY={UPSTREAM}\nLOG_LEVEL=trace"), &[(&name, text)]).await
}

/// The line that was written at the end of the request with this answer.
async fn line(router: &Router, got: &Got) -> String {
    let (id, began) = (got.header("x-request-id"), Instant::now());
    assert!(id.starts_with("req_"), "{got:?}");
    loop {
        let log = router.log();
        if let Some(line) = log.lines().find(|line| line.contains(id) && line.contains("ended=")) {
            return line.to_owned();
        }
        assert!(began.elapsed() < TOO_LONG, "no line of {id}: {log}");
        tokio::time::sleep(LOOK).await;
    }
}

/// A question of each dialect.
fn questions(stream: bool) -> [(&'static str, Value); 3] {
    let messages = json!([{ "role": "user", "content": PROMPT }]);
    [
        ("/v1/chat/completions", json!({ "model": "x", "stream": stream, "messages": messages })),
        ("/v1/messages", json!({ "model": "x", "stream": stream, "max_tokens": 50, "messages": messages })),
        ("/v1/responses", json!({ "model": "x", "stream": stream, "input": PROMPT })),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_says_what_was_lost() {
    let fake = Fake::speaking(Dialect::Anthropic, Script::new()).await.unwrap();
    let router = router(&fake).await;
    for stream in [false, true] {
        let [(path, mut body), ..] = questions(stream);
        let got = router.caller().post(path, &body).await;
        let written = line(&router, &got).await;
        assert!(written.contains("ended=\"well\"") && !written.contains("lost="), "{written}");
        body["logit_bias"] = json!({ "50256": -100 });
        let got = router.caller().post(path, &body).await;
        assert_eq!((got.status.as_u16(), got.header("x-hermes-loss")), (200, "logit_bias"), "{got:?}");
        let written = line(&router, &got).await;
        for words in ["lost=\"logit_bias\"", "dialect=\"anthropic\"", "status=200", "ended=\"well\""] {
            assert!(written.contains(words), "`{words}`, stream {stream}: {written}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_says_that_a_stream_was_cut() {
    for dialect in [Dialect::Chat, Dialect::Anthropic, Dialect::Responses] {
        let cut = Answer::text("half an answer").chunks(4).ending(Ending::NoFinish(3));
        let fake = Fake::speaking(dialect, Script::new().otherwise(cut)).await.unwrap();
        let router = router(&fake).await;
        for (path, body) in questions(true) {
            let got = router.caller().post(path, &body).await;
            assert_eq!(got.status, 200, "{path} over {dialect:?}: {}", got.text());
            let written = line(&router, &got).await;
            assert!(
                written.contains("status=200") && !written.contains("ended=\"well\""),
                "{path} over {dialect:?}: {written}"
            );
        }
    }
}

/// Also at the most talkative level, in every lane, and whatever goes wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_line_holds_a_key_or_what_was_said() {
    for dialect in [Dialect::Chat, Dialect::Anthropic, Dialect::Responses] {
        let fake = Fake::speaking(dialect, Script::new()).await.unwrap();
        let router = router(&fake).await;
        let mistaken = Refusal::caller_mistake().echoing_the_key();
        // The last one ends it all.
        let refused = Refusal::bad_key().echoing_the_key();
        for (status, script) in [
            (200, Script::new().otherwise(Answer::text(PROMPT).reasoning(PROMPT))),
            (400, Script::new().otherwise(mistaken)),
            (503, Script::new().otherwise(refused)),
        ] {
            fake.set(script);
            for (path, body) in [false, true].into_iter().flat_map(questions) {
                let got = router.caller().post(path, &body).await;
                assert_eq!(got.status, status, "{path} over {dialect:?}: {}", got.text());
                assert!(!got.text().contains(UPSTREAM), "{path} over {dialect:?}: {}", got.text());
                line(&router, &got).await;
            }
        }
        let log = router.log();
        for canary in [PROMPT, UPSTREAM, KEY] {
            assert!(!log.contains(canary), "{canary}, over {dialect:?}: {log}");
        }
    }
}
