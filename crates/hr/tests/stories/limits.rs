//! Bad input gets a clear 4xx, and everything has a limit.

use std::io::Read;

use base64::Engine as _;
use hr_testkit::{Fake, Script};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::caller::question;
use crate::house::{Guest, House, KEY};

#[tokio::test]
async fn a_body_over_the_limit_is_refused_after_the_limit() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "MAX_REQUEST_BYTES=10000").await;
    let got = house.caller().post("/v1/chat/completions", &question(&"x".repeat(20_000))).await;
    assert_eq!(got.status, 413);
    assert_eq!(got.json()["error"]["code"], "request_too_large");

    // Without a promised length it is refused as soon as the limit is passed, though more would come.
    let mut socket = TcpStream::connect(house.address).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..11 {
        socket.write_all(format!("{:x}\r\n{}\r\n", 1000, "x".repeat(1000)).as_bytes()).await.unwrap();
    }
    let mut answer = vec![0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 413");
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn a_body_that_only_drips_is_not_waited_for_forever() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "REQUEST_DEADLINE=0.3").await;
    let mut socket = TcpStream::connect(house.address).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\n\
         content-length: 1000000\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let (mut answers, mut drops) = socket.split();
    let drip = async {
        while drops.write_all(b" ").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let mut answer = vec![0; 12];
    tokio::select! {
        read = answers.read_exact(&mut answer) => { read.unwrap(); }
        () = drip => panic!("the connection ended without an answer"),
    }
    assert_eq!(answer, b"HTTP/1.1 408");
}

#[tokio::test]
async fn a_stranger_is_refused_before_the_body_is_read() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let mut socket = TcpStream::connect(house.address).await.unwrap();
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer wrong\r\n\
                content-length: 1000000\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 401");
}

/// The same request in every compression.
fn compressed(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    use flate2::Compression;
    use flate2::read::{DeflateEncoder, GzEncoder, ZlibEncoder};
    let read = |mut encoder: Box<dyn Read + '_>| {
        let mut out = Vec::new();
        encoder.read_to_end(&mut out).unwrap();
        out
    };
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    vec![
        ("gzip", read(Box::new(GzEncoder::new(body, Compression::best())))),
        ("deflate", read(Box::new(ZlibEncoder::new(body, Compression::best())))),
        ("deflate", read(Box::new(DeflateEncoder::new(body, Compression::best())))),
        ("zstd", ruzstd::encoding::compress_to_vec(body, level)),
    ]
}

#[tokio::test]
async fn a_compressed_body_is_read() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "MAX_REQUEST_BYTES=100000").await;
    let caller = house.caller();
    let post = async |encoding: &str, body: Vec<u8>| {
        let mut request = caller.request("POST", "/v1/chat/completions", body);
        request.headers_mut().insert("content-encoding", encoding.parse().unwrap());
        caller.send(request).await
    };
    let question_in_brotli =
        "G0QA4KyOtyF4R1BREY5vfPhSZGuv0Opap6+LZYrIzVVZWou0lLWFDThwGubBhwbB2yPajGbggL47pJlKaLXDdzkT1AM=";
    let brotli = base64::engine::general_purpose::STANDARD.decode(question_in_brotli).unwrap();
    let bodies = compressed(question("hi").to_string().as_bytes());
    for (encoding, body) in bodies.into_iter().chain([("br", brotli)]) {
        let half = body[..body.len() / 2].to_vec();
        let got = post(encoding, body).await;
        assert_eq!(got.status, 200, "{encoding}: {}", got.text());
        assert_eq!(post(encoding, half).await.status, 400, "{encoding}");
    }
    // A small body may hold a large one.
    for (encoding, body) in compressed(question(&"x".repeat(1_000_000)).to_string().as_bytes()) {
        assert!(body.len() < 100_000, "{encoding}: {}", body.len());
        assert_eq!(post(encoding, body).await.status, 413, "{encoding}");
    }
    let got = post("compress", question("hi").to_string().into_bytes()).await;
    assert_eq!(got.status, 415);
    assert_eq!(got.json()["error"]["param"], "Content-Encoding");
}

/// Bodies that are wrong in one way each, and what the refusal points at.
fn malformed() -> Vec<(Vec<u8>, &'static str)> {
    let with = |change: fn(&mut serde_json::Value)| {
        let mut body = question("hi");
        change(&mut body);
        body.to_string().into_bytes()
    };
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        (text(""), ""),
        (text(" "), ""),
        (text("{"), ""),
        (text("nonsense"), ""),
        (text("[]"), ""),
        (text("null"), ""),
        (text("42"), ""),
        (text("\"text\""), ""),
        (text("{} {}"), ""),
        (text("{\"model\":\"a\",}"), ""),
        (text("{'model':'a'}"), ""),
        (text("{\"model\":NaN}"), ""),
        (vec![b'{', b'"', 0xff, 0xfe, b'"', b':', b'1', b'}'], ""),
        ("[".repeat(100_000).into_bytes(), ""),
        (
            format!("{{\"model\":\"a\",\"messages\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000))
                .into_bytes(),
            "",
        ),
        (text("{}"), "model"),
        (text("{\"model\":\"a\"}"), "messages"),
        (text("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"), "model"),
        (
            text("{\"model\":\"a\",\"model\":\"b\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"),
            "model",
        ),
        (
            text(
                "{\"model\":\"a\",\"mode\\u006c\":\"b\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
            ),
            "model",
        ),
        (with(|b| b["model"] = json!(1)), "model"),
        (with(|b| b["model"] = json!("")), "model"),
        (with(|b| b["model"] = json!(null)), "model"),
        (with(|b| b["messages"] = json!("hi")), "messages"),
        (with(|b| b["messages"] = json!({})), "messages"),
        (with(|b| b["messages"] = json!([])), "messages"),
        (with(|b| b["messages"] = json!(null)), "messages"),
        (with(|b| b["messages"][0] = json!("hi")), "messages[0]"),
        (with(|b| b["messages"][0] = json!(null)), "messages[0]"),
        (with(|b| b["messages"][0] = json!({ "content": "hi" })), "messages[0].role"),
        (with(|b| b["messages"][0]["role"] = json!("robot")), "messages[0].role"),
        (with(|b| b["messages"][0]["role"] = json!(7)), "messages[0].role"),
        (with(|b| b["messages"][0]["content"] = json!(7)), "messages[0].content"),
        (with(|b| b["messages"][0] = json!({ "role": "user" })), "messages[0].content"),
        (with(|b| b["messages"][0]["content"] = json!([1])), "messages[0].content[0]"),
        (with(|b| b["messages"][0]["content"] = json!([{ "text": "hi" }])), "messages[0].content[0].type"),
        (with(|b| b["messages"][0]["content"] = json!([{ "type": "text" }])), "messages[0].content[0].text"),
        (
            with(|b| b["messages"][0]["content"] = json!([{ "type": "image_url" }])),
            "messages[0].content[0].image_url",
        ),
        (with(|b| b["messages"][0] = json!({ "role": "tool", "content": "x" })), "messages[0].tool_call_id"),
        (
            with(|b| b["messages"][0] = json!({ "role": "assistant", "tool_calls": "x" })),
            "messages[0].tool_calls",
        ),
        (with(|b| b["stream"] = json!("yes")), "stream"),
        (with(|b| b["stream"] = json!(1)), "stream"),
        (with(|b| b["stream_options"] = json!({ "include_usage": true })), "stream_options"),
        (
            with(|b| {
                b["stream"] = json!(true);
                b["stream_options"] = json!("x")
            }),
            "stream_options",
        ),
        (with(|b| b["temperature"] = json!("hot")), "temperature"),
        (with(|b| b["temperature"] = json!(3)), "temperature"),
        (with(|b| b["temperature"] = json!(-1)), "temperature"),
        (with(|b| b["top_p"] = json!(2)), "top_p"),
        (with(|b| b["n"] = json!(0)), "n"),
        (with(|b| b["n"] = json!(1.5)), "n"),
        (with(|b| b["max_tokens"] = json!(-5)), "max_tokens"),
        (with(|b| b["max_tokens"] = json!("many")), "max_tokens"),
        (with(|b| b["max_completion_tokens"] = json!(0.5)), "max_completion_tokens"),
        (with(|b| b["presence_penalty"] = json!(9)), "presence_penalty"),
        (with(|b| b["frequency_penalty"] = json!("x")), "frequency_penalty"),
        (with(|b| b["logit_bias"] = json!([])), "logit_bias"),
        (with(|b| b["top_logprobs"] = json!(99)), "top_logprobs"),
        (with(|b| b["stop"] = json!(5)), "stop"),
        (with(|b| b["seed"] = json!("x")), "seed"),
        (with(|b| b["tools"] = json!({})), "tools"),
        (with(|b| b["tools"] = json!(["x"])), "tools[0]"),
        (with(|b| b["tools"] = json!([{ "type": "function" }])), "tools[0].function"),
        (with(|b| b["tools"] = json!([{ "type": "function", "function": {} }])), "tools[0].function.name"),
        (with(|b| b["tool_choice"] = json!(5)), "tool_choice"),
        (with(|b| b["response_format"] = json!("json")), "response_format"),
        (with(|b| b["response_format"] = json!({ "type": "json_schema" })), "response_format.json_schema"),
        (with(|b| b["parallel_tool_calls"] = json!("x")), "parallel_tool_calls"),
    ]
}

#[tokio::test]
async fn malformed_requests_are_refused_with_a_pointer_and_cost_no_call() {
    let fake = Fake::start(Script::new()).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake)], "").await;
    let caller = house.caller();
    let cases = malformed();
    assert!(cases.len() >= 60, "{}", cases.len());
    for (body, param) in cases {
        let shown: String = String::from_utf8_lossy(&body).chars().take(150).collect();
        let got = caller.send(caller.request("POST", "/v1/chat/completions", body)).await;
        assert!(got.status.is_client_error(), "{shown}: {}", got.status);
        let error = &got.json()["error"];
        assert_eq!(error["type"], "invalid_request_error", "{shown}: {error}");
        assert!(error["message"].as_str().is_some_and(|message| message.len() > 5), "{shown}: {error}");
        let pointed = error["param"].as_str().unwrap_or_default();
        assert_eq!(pointed, param, "{shown}: {error}");
    }
    assert!(fake.calls().is_empty());
}

#[tokio::test]
async fn malformed_embedding_requests_are_refused_too() {
    let fake = Fake::start(Script::new().dimensions(4)).await.unwrap();
    let house = House::open(&[Guest::new("alpha", &fake).extra("[embedding]\nmodel = \"e\"")], "").await;
    for (body, param) in [
        (json!({ "input": "x" }), "model"),
        (json!({ "model": "a" }), "input"),
        (json!({ "model": "a", "input": "" }), "input"),
        (json!({ "model": "a", "input": [] }), "input"),
        (json!({ "model": "a", "input": 5 }), "input"),
        (json!({ "model": "a", "input": [{}] }), "input[0]"),
        (json!({ "model": "a", "input": "x", "encoding_format": "hex" }), "encoding_format"),
        (json!({ "model": "a", "input": "x", "dimensions": 0 }), "dimensions"),
    ] {
        let got = house.caller().post("/v1/embeddings", &body).await;
        assert_eq!(got.status, 400, "{body}: {}", got.text());
        assert!(
            got.json()["error"]["param"].as_str().unwrap_or_default().starts_with(param),
            "{body}: {}",
            got.text()
        );
    }
    assert!(fake.calls().is_empty());
}
