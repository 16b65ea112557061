//! Providers that answer well in a way that nobody asked for, and callers that do likewise.

use std::time::Duration;

use hr_testkit::{Answer, Behaviour, Fake, Refusal, Script};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::caller::question;
use crate::house::{Guest, House, KEY};

const WHOLE: &str = r#"{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"in one piece"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#;

#[tokio::test]
async fn a_server_that_cannot_stream_serves_a_stream() {
    let fake = Fake::start(Script::new().otherwise(Behaviour::raw(200, WHOLE))).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let got = house.caller().stream("hi").await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(got.said(), "in one piece");
    assert!(got.done());
    assert!(got.events().iter().all(|event| event["usage"].is_null()), "{}", got.text());
    let mut body = question("hi");
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    let got = house.caller().post("/v1/chat/completions", &body).await;
    assert_eq!(got.events().last().unwrap()["usage"]["completion_tokens"], 4, "{}", got.text());
    let status = house.caller().get("/v1/status").await.json();
    assert_eq!(status["providers"]["alpha"]["tokens"], 14, "{status}");
}

#[tokio::test]
async fn a_server_that_only_streams_serves_a_whole_reply() {
    let stream = concat!(
        "data: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"in \"}}]}\n\n",
        "data: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"pieces\"}}]}\n\n",
        "data: {\"id\":\"x\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n",
        "data: [DONE]\n\n"
    );
    let raw = |body: &str| Behaviour::Raw {
        status: 200,
        content_type: "text/event-stream; charset=utf-8".into(),
        body: body.into(),
    };
    let fake = Fake::start(Script::new().otherwise(raw(stream))).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let got = house.caller().chat("hi").await;
    assert_eq!(got.status, 200, "{}", got.text());
    assert_eq!(got.header("content-type"), "application/json");
    assert_eq!(got.said(), "in pieces");
    assert_eq!(got.json()["usage"]["completion_tokens"], 4);
    // Half of it is no answer.
    fake.set(Script::new().otherwise(raw(&stream[..200])));
    assert_eq!(house.caller().chat("hi").await.status, 503);
}

#[tokio::test]
async fn rows_of_a_providers_file_hold_for_errors_inside_a_success() {
    let row = "[[error]]\ncontains = \"out of juice\"\nkind = \"quota_spent\"\nscope = \"key\"\nwait = 600\n";
    for stream in [false, true] {
        let inside = Behaviour::error_inside(Refusal::new(200, "odd", "odd", "we are out of juice"));
        let fake = Fake::start(Script::new().otherwise(inside)).await.unwrap();
        let house = House::open(&[Guest::new("alpha", &fake).extra(row)], "").await;
        let mut body = question("hi");
        body["stream"] = json!(stream);
        let got = house.caller().post("/v1/chat/completions", &body).await;
        assert_eq!((got.status.as_u16(), fake.calls().len()), (429, 1), "{}", got.text());
        let status = house.caller().get("/v1/status").await.json();
        assert_eq!(status["providers"]["alpha"]["keys"][0]["status"], "cooling", "{status}");
    }
}

/// A provider by hand: answers one call with these bytes and leaves the connection open.
async fn lingering(bytes: &'static str) -> std::net::SocketAddr {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut heard = vec![0; 64 * 1024];
            let _ = socket.read(&mut heard).await.unwrap();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
            socket.write_all(head.as_bytes()).await.unwrap();
            socket.write_all(bytes.as_bytes()).await.unwrap();
            open.push(socket);
        }
    });
    address
}

#[tokio::test]
async fn a_provider_that_says_all_and_stays_on_the_line_has_said_all() {
    let said = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"all\"}}]}\n\n\
                data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
    for (done, idle) in [("data: [DONE]\n\n", "30"), ("", "0.3"), ("", "60")] {
        let bytes: &'static str = format!("{said}{done}").leak();
        let address = lingering(bytes).await;
        let guest = Guest::at("alpha", format!("http://{address}/v1"));
        let house = House::open(&[guest], &format!("STREAM_IDLE_TIMEOUT={idle}")).await;
        let caller = house.caller();
        let got = tokio::time::timeout(Duration::from_secs(10), caller.stream("hi")).await.unwrap();
        assert_eq!(got.said(), "all", "{}", got.text());
        assert!(got.done() && !got.text().contains("upstream_cut"), "{}", got.text());
        let status = house.caller().get("/v1/status").await.json();
        assert_eq!(status["providers"]["alpha"]["stats"]["errors"], 0, "{status}");
    }
}

#[tokio::test]
async fn a_caller_that_leaves_at_the_end_mark_was_served() {
    let said = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"all\"}}]}\n\n\
                data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\
                \"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\ndata: [DONE]\n\n";
    let address = lingering(said).await;
    let house = House::open(&[Guest::at("alpha", format!("http://{address}/v1"))], "").await;
    let mut body = question("hi");
    body["stream"] = json!(true);
    let body = body.to_string();
    let mut socket = TcpStream::connect(house.address).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("[DONE]") {
        assert_ne!(socket.read_buf(&mut heard).await.unwrap(), 0);
    }
    drop(socket);
    loop {
        let status = house.caller().get("/v1/status").await.json();
        let alpha = &status["providers"]["alpha"];
        if alpha["keys"][0]["in_flight"] == 0 {
            assert_eq!(alpha["tokens"], 7, "{status}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_mistake_that_quotes_the_whole_request_is_still_a_mistake() {
    let long = "x".repeat(200_000);
    let detail = json!({ "detail": [{
        "type": "string_type", "loc": ["body", "messages", 0, "name"], "msg": "Input should be a valid string",
        "input": long,
    }] });
    let fake = Fake::start(Script::new().otherwise(Behaviour::raw(422, detail.to_string()))).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake).keys(3)], "").await;
    let got = house.caller().chat("hi").await;
    assert_eq!((got.status.as_u16(), fake.calls().len()), (422, 1), "{}", &got.text()[..300]);
}

#[tokio::test]
async fn an_answer_that_is_too_long_for_one_model_is_asked_of_another() {
    let body = r#"{"error":{"message":"max_tokens is too large: 100000. This model supports at most 16384 completion tokens, whereas you provided 100000.","type":"invalid_request_error","param":"max_tokens","code":"invalid_value"}}"#;
    let small = Fake::start(Script::new().otherwise(Behaviour::raw(400, body))).await.unwrap();
    let large = Fake::start(Script::new().otherwise(Answer::text("at length"))).await.unwrap();
    let guests = [
        Guest::new("small", &small).model("small-model", "rating = 5"),
        Guest::new("large", &large).model("large-model", "rating = 1"),
    ];
    let house = House::open(&guests, "").await;
    let mut body = question("what is 2 + 2?");
    body["max_tokens"] = json!(100_000);
    for _ in 0..2 {
        let got = house.caller().post("/v1/chat/completions", &body).await;
        assert_eq!((got.status.as_u16(), got.said().as_str()), (200, "at length"), "{}", got.text());
    }
    // It is remembered.
    assert_eq!(small.calls().len(), 1);
}

/// What comes back for these bytes, which ask for the connection to be closed, up to its end.
async fn raw(house: &House, bytes: &str) -> String {
    let mut socket = TcpStream::connect(house.address).await.unwrap();
    socket.write_all(bytes.as_bytes()).await.unwrap();
    let mut heard = String::new();
    socket.read_to_string(&mut heard).await.unwrap();
    heard
}

#[tokio::test]
async fn what_http_allows_is_understood() {
    let fake = Fake::start(Script::new().otherwise(Answer::text("heard"))).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let body = question("hi").to_string();
    let length = body.len();
    let start = "POST /v1/chat/completions HTTP/1.1\r\n";
    // HTTP/1.0, a chunked body, an IPv6 name, the other header for the key, `Expect`.
    for head in [
        format!(
            "POST /v1/chat/completions HTTP/1.0\r\nhost: localhost\r\nx-api-key: {KEY}\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
        format!(
            "{start}host: [::1]:8319\r\nx-api-key: {KEY}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
        ),
        format!(
            "{start}host: localhost\r\nauthorization: {KEY}\r\nexpect: 100-continue\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        ),
    ] {
        let got = raw(&house, &head).await;
        assert!(got.contains(" 200 OK") && got.contains("heard"), "{head}: {got}");
    }
    // Two requests at once on one connection get two answers, in order.
    let get = |path: &str, rest: &str| {
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {KEY}\r\n{rest}\r\n")
    };
    let last = "connection: close\r\n";
    let got = raw(&house, &format!("{}{}", get("/v1/models", ""), get("/v1/nowhere", last))).await;
    let first = got.find("200 OK").unwrap();
    assert!(got.find("404 Not Found").unwrap() > first, "{got}");
    // HEAD is GET without its body.
    let got = raw(&house, &get("/v1/models", last).replace("GET", "HEAD")).await;
    assert!(got.starts_with("HTTP/1.1 200 OK") && got.ends_with("\r\n\r\n"), "{got}");
}

#[tokio::test]
async fn a_stranger_is_not_told_to_go_on() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let got = raw(
        &house,
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nx-api-key: schl\u{fc}ssel\r\n\
         expect: 100-continue\r\ncontent-length: 1000\r\n\r\n",
    )
    .await;
    assert!(got.starts_with("HTTP/1.1 401"), "{got}");
    assert!(got.contains("invalid_api_key"), "{got}");
}

#[tokio::test]
async fn a_name_given_twice_is_no_name() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    for hosts in ["host: localhost\r\nhost: evil.example\r\n", ""] {
        let get = format!("GET /v1/models HTTP/1.1\r\n{hosts}x-api-key: {KEY}\r\nconnection: close\r\n\r\n");
        let got = raw(&house, &get).await;
        assert!(got.contains(" 403 ") || got.contains(" 400 "), "{got}");
    }
}

#[tokio::test]
async fn embeddings_stay_with_one_provider_until_it_fails() {
    let embeds = "[embedding]\nmodel = \"e\"";
    let (a, b) = (Fake::start(Script::new()).await.unwrap(), Fake::start(Script::new()).await.unwrap());
    let guests = [Guest::new("alpha", &a).keys(2).extra(embeds), Guest::new("bravo", &b).extra(embeds)];
    let house = House::open(&guests, "").await;
    let body = json!({ "model": "any", "input": "x" });
    for _ in 0..6 {
        assert_eq!(house.caller().post("/v1/embeddings", &body).await.header("x-provider"), "alpha");
    }
    a.set(Script::new().otherwise(Refusal::unavailable()));
    for _ in 0..3 {
        let got = house.caller().post("/v1/embeddings", &body).await;
        assert_eq!(got.header("x-provider"), "bravo", "{}", got.text());
    }
    assert_eq!(b.calls().len(), 3);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Fake::start(Script::new()).await.unwrap();
    let moved = Refusal::new(307, "moved", "moved", "moved").header("location", &elsewhere.base_url());
    let fake = Fake::start(Script::new().otherwise(moved)).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    assert_eq!(house.caller().chat("hi").await.status, 503);
    assert!(elsewhere.calls().is_empty());
}
