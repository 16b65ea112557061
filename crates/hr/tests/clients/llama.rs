//! SDKs of every dialect over a real llama.cpp server.

use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::installed::{self, Part, folder, sources};
use crate::router::{Home, START_LIMIT, part_of};

#[tokio::test(flavor = "multi_thread")]
async fn openai_python_over_llama_cpp() {
    over_llama("openai_python.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_node_over_llama_cpp() {
    over_llama("openai_node.mjs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_dialects_over_llama_cpp() {
    over_llama("three_dialects.py").await;
}

/// The `local` provider for chat; a file in `providers.d/` for the server that embeds.
async fn over_llama(script: &str) {
    let Some(folder) = folder(part_of(script)) else { return };
    // The server is a Python package, whichever SDK calls it.
    let Some(python) = installed::folder(Part::Python) else { return };
    let mut server = Command::new(python.join("bin/python"))
        .arg(sources().join("llama_server.py"))
        // It serves until its standard input ends.
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let ready =
        tokio::time::timeout(START_LIMIT, lines.next_line()).await.expect("llama.cpp did not start in time");
    let ready = ready
        .unwrap()
        .expect("llama.cpp did not start: run tests/clients/llama_server.py by hand to see why");
    let addresses: Value = serde_json::from_str(&ready).unwrap();

    let mut home = Home::new();
    home.set("LOCAL_BASE_URL", addresses["chat"].as_str().unwrap());
    home.set("LOCAL_MODEL", "made-up-chat");
    let embedder = "auth = \"none\"\nlocal = true\n[embedding]\nmodel = \"made-up-embed\"\n";
    home.provider_at("embedder", addresses["embeddings"].as_str().unwrap(), embedder);
    let router = home.start().await;
    router.run(script, &folder, "llama").await;
}
