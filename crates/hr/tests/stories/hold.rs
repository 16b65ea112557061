//! Who waits for a stream hears something, and hears the truth at its end.

use std::time::Duration;

use hr_testkit::{Answer, Behaviour, Dialect, End, Fake, Gate, Match, Refusal, Script};
use http_body_util::BodyExt;

use crate::dialects::{CLIENTS, Client, UPSTREAMS, speaking};
use crate::house::{Guest, House};

/// A sign of life in a client's dialect.
fn sign(client: Client) -> &'static str {
    match client {
        Client::Chat => ": keep-alive",
        Client::Messages => "event: ping",
        Client::Responses => "event: response.in_progress",
    }
}

/// Reads a stream until these words have come; what was read.
async fn read_until(body: &mut hyper::body::Incoming, words: &str) -> String {
    let mut text = String::new();
    while !text.contains(words) {
        let frame = body.frame().await.unwrap_or_else(|| panic!("`{words}` never came: {text}"));
        text.push_str(std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap());
    }
    text
}

#[tokio::test]
async fn past_the_limit_the_caller_gets_its_status_and_then_the_answer() {
    for client in CLIENTS {
        for upstream in [Dialect::Chat, Dialect::Anthropic, Dialect::Responses] {
            let name = format!("{client:?} over {upstream:?}");
            let gate = Gate::closed();
            let slow = Behaviour::from(Answer::text("worth the wait")).behind(&gate);
            // The first one fails behind the scenes, once the caller has its status.
            let bad = Behaviour::from(Refusal::server_error()).behind(&gate);
            let bad = Fake::speaking(upstream, Script::new().otherwise(bad)).await.unwrap();
            let fake = Fake::speaking(upstream, Script::new().otherwise(slow)).await.unwrap();
            let guests = [
                speaking("bad", &bad).model("bad-model", "rating = 1"),
                speaking("alpha", &fake).model("alpha-model", "rating = 5"),
            ];
            let house = House::open(&guests, "HOLD_LIMIT=0.1").await;
            let caller = house.caller();
            let mut body = client.question("hello", true);
            body["model"] = serde_json::json!("bad-model");
            let (head, mut stream) =
                caller.open(caller.request("POST", client.path(), body.to_string())).await.into_parts();
            assert_eq!(head.status, 200, "{name}");
            assert!(
                head.headers["content-type"].to_str().unwrap().starts_with("text/event-stream"),
                "{name}"
            );
            let mut text = read_until(&mut stream, sign(client)).await;
            gate.open();
            text.push_str(std::str::from_utf8(&stream.collect().await.unwrap().to_bytes()).unwrap());
            assert_eq!(client.streamed(&events(&text)), "worth the wait", "{name}: {text}");
            assert!(client.is_whole(&text), "{name}: {text}");
            assert_eq!((bad.calls().len(), fake.calls().len()), (1, 1), "{name}");
        }
    }
}

fn events(text: &str) -> Vec<serde_json::Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data:")).map(str::trim);
    data.filter(|data| *data != "[DONE]").map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[tokio::test]
async fn past_the_limit_a_failure_is_an_error_in_the_stream() {
    for client in CLIENTS {
        for upstream in UPSTREAMS {
            let name = format!("{client:?} over {upstream:?}");
            let gate = Gate::closed();
            let mistake = Behaviour::from(Refusal::caller_mistake()).behind(&gate);
            let fake = Fake::speaking(upstream, Script::new().otherwise(mistake)).await.unwrap();
            let house = House::open(&[speaking("alpha", &fake)], "HOLD_LIMIT=0.1").await;
            let caller = house.caller();
            let body = client.question("hello", true).to_string();
            let (head, mut stream) =
                caller.open(caller.request("POST", client.path(), body)).await.into_parts();
            assert_eq!(head.status, 200, "{name}");
            let mut text = read_until(&mut stream, sign(client)).await;
            gate.open();
            text.push_str(std::str::from_utf8(&stream.collect().await.unwrap().to_bytes()).unwrap());
            assert!(client.is_broken(&events(&text)), "{name}: {text}");
            assert!(!client.is_whole(&text), "{name}: {text}");
            assert!(
                text.contains("expected a string or an array"),
                "the provider's own words, {name}: {text}"
            );
        }
    }
}

#[tokio::test]
async fn a_caller_that_leaves_while_it_is_held_ends_it_all() {
    let fake = Fake::start(Script::new().otherwise(Behaviour::HangBeforeHeaders)).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "HOLD_LIMIT=0.1").await;
    let caller = house.caller();
    let body = Client::Chat.question("hello", true).to_string();
    let (_, mut stream) = caller.open(caller.request("POST", Client::Chat.path(), body)).await.into_parts();
    read_until(&mut stream, sign(Client::Chat)).await;
    drop((stream, caller));
    let ended = async {
        while fake.calls()[0].end().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the provider's connection is closed");
    assert_eq!(fake.calls()[0].end(), Some(End::ClientLeft));
    assert_eq!(fake.calls().len(), 1);
}

#[tokio::test]
async fn who_does_not_stream_is_told_by_status_however_long_it_takes() {
    let gate = Gate::closed();
    let mistake = Behaviour::from(Refusal::caller_mistake()).behind(&gate);
    let fake = Fake::start(Script::new().otherwise(mistake)).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "HOLD_LIMIT=0.05").await;
    let (caller, body) = (house.caller(), Client::Chat.question("hello", false));
    let asked = tokio::spawn(async move { caller.post("/v1/chat/completions", &body).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!asked.is_finished());
    gate.open();
    assert_eq!(asked.await.unwrap().status, 400);
}

#[tokio::test]
async fn a_pause_in_the_middle_is_bridged_by_signs_of_life_and_not_forgiven_for_them() {
    for client in CLIENTS {
        for upstream in [Dialect::Chat, Dialect::Anthropic, Dialect::Responses] {
            let name = format!("{client:?} over {upstream:?}");
            let slow = Answer::text("one two three four").drip(4, Duration::from_millis(600));
            let script = Script::new().once(Match::any(), [slow.clone()]).otherwise(slow);
            let fake = Fake::speaking(upstream, script).await.unwrap();
            let house = House::open(&[speaking("alpha", &fake)], "HOLD_LIMIT=0.2").await;
            let got = house.caller().post(client.path(), &client.question("hello", true)).await;
            assert_eq!(client.streamed(&got.events()), "one two three four", "{name}: {}", got.text());
            assert!(got.text().contains(sign(client)), "{name}: {}", got.text());
            assert!(client.is_whole(got.text()), "{name}");
            // Signs of life are for the caller; the provider's own time runs on.
            house.change(&[speaking("alpha", &fake)], "HOLD_LIMIT=0.1\nSTREAM_IDLE_TIMEOUT=0.4");
            let got = house.caller().post(client.path(), &client.question("hello", true)).await;
            assert!(client.is_broken(&got.events()), "{name}: {}", got.text());
        }
    }
}

#[tokio::test]
async fn a_stream_that_the_stop_cuts_ends_in_an_error() {
    for client in CLIENTS {
        let answer = Answer::text("one ".repeat(100)).drip(100, Duration::from_millis(300));
        let fake = Fake::start(Script::new().otherwise(answer)).await.unwrap();
        let house = House::open(&[Guest::new("alpha", &fake)], "SHUTDOWN_TIMEOUT=0.1").await;
        let caller = house.caller();
        let body = client.question("hello", true).to_string();
        let (_, mut stream) = caller.open(caller.request("POST", client.path(), body)).await.into_parts();
        let mut text = read_until(&mut stream, "one").await;
        let reading = tokio::spawn(async move { stream.collect().await.unwrap().to_bytes() });
        house.close().await;
        text.push_str(std::str::from_utf8(&reading.await.unwrap()).unwrap());
        assert!(client.is_broken(&events(&text)), "{client:?}: {text}");
        assert!(text.contains("router_stopped") || client == Client::Messages, "{client:?}: {text}");
    }
}
