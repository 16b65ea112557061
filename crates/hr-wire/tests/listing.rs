//! Lists of models as the providers write them.

use hr_core::capability::{ListedModel, Listing};
use hr_wire::listing::{read, read_one};
use proptest::prelude::*;
use serde_json::{Value, json};

fn listing(body: &Value) -> Listing {
    read(body.to_string().as_bytes()).unwrap_or_else(|| panic!("{body}"))
}

fn first(body: &Value) -> ListedModel {
    listing(body).models.remove(0)
}

#[test]
fn supported_parameters_tell_what_a_model_takes() {
    let body = json!({"data": [
        {"id": "big:free", "context_length": 262_144, "pricing": {"prompt": "0", "completion": "0"},
         "supported_parameters": ["tools", "tool_choice", "reasoning", "structured_outputs"],
         "top_provider": {"max_completion_tokens": 65_536},
         "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]}},
        {"id": "paint", "supported_parameters": ["seed"], "pricing": {"prompt": "0.000001", "completion": "-1"},
         "architecture": {"input_modalities": ["text"], "output_modalities": ["image"]}},
    ]});
    let models = listing(&body).models;
    let big = &models[0];
    assert_eq!((big.context, big.max_output), (Some(262_144), Some(65_536)));
    let flags = [big.tools, big.vision, big.structured, big.reasoning, big.chat];
    assert_eq!(flags, [Some(true); 5]);
    assert_eq!(big.price.unwrap().input, 0.0);
    let paint = &models[1];
    assert_eq!((paint.tools, paint.vision, paint.chat), (Some(false), Some(false), Some(false)));
    assert_eq!(paint.price, None, "a price below nothing is none");
}

#[test]
fn each_provider_has_names_of_its_own() {
    let groq = first(&json!({"object": "list", "data": [
        {"id": "gpt", "active": true, "context_window": 131_072, "max_completion_tokens": 65_536}]}));
    assert_eq!((groq.context, groq.max_output, groq.tools), (Some(131_072), Some(65_536), None));

    let mistral = first(&json!({"data": [{"id": "m", "max_context_length": 32_768, "capabilities":
        {"completion_chat": true, "function_calling": true, "vision": false}}]}));
    assert_eq!((mistral.context, mistral.tools, mistral.vision), (Some(32_768), Some(true), Some(false)));
    assert_eq!(mistral.chat, Some(true));

    let kimi = first(&json!({"data": [{"id": "k", "context_length": 262_144, "supports_image_in": true,
        "supports_reasoning": true}]}));
    assert_eq!((kimi.context, kimi.vision, kimi.reasoning), (Some(262_144), Some(true), Some(true)));

    let gemini = first(&json!({"models": [{"name": "models/gemini-x", "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536, "supportedGenerationMethods": ["generateContent", "countTokens"], "thinking": true}]}));
    assert_eq!((gemini.id.as_str(), gemini.context), ("gemini-x", Some(1_048_576)));
    assert_eq!((gemini.max_output, gemini.reasoning, gemini.chat), (Some(65_536), Some(true), Some(true)));

    let anthropic = first(
        &json!({"data": [{"type": "model", "id": "c", "max_input_tokens": 200_000, "max_tokens": 64_000,
        "capabilities": {"image_input": {"supported": true}, "structured_outputs": {"supported": true},
                         "thinking": {"supported": false}}}]}),
    );
    assert_eq!((anthropic.context, anthropic.max_output), (Some(200_000), Some(64_000)));
    assert_eq!(
        (anthropic.vision, anthropic.structured, anthropic.reasoning),
        (Some(true), Some(true), Some(false))
    );
    assert_eq!(anthropic.chat, None);

    let vllm = first(&json!({"data": [{"id": "/models/q", "max_model_len": 40_960}]}));
    assert_eq!(vllm.context, Some(40_960));

    let codex = first(&json!({"models": [{"slug": "gpt-z", "context_window": 272_000, "visibility": "list",
        "input_modalities": ["text", "image"], "supported_reasoning_levels": [{"effort": "low"}],
        "supports_parallel_tool_calls": false}]}));
    assert_eq!((codex.id.as_str(), codex.tools, codex.vision), ("gpt-z", Some(true), Some(true)));
    assert_eq!((codex.reasoning, codex.context), (Some(true), Some(272_000)));
}

#[test]
fn hosts_of_one_model_must_agree() {
    let body = json!({"data": [{"id": "m", "providers": [
        {"provider": "a", "status": "live", "context_length": 131_072, "supports_tools": true,
         "pricing": {"input": 0.1, "output": 0.4}, "supports_structured_output": true},
        {"provider": "b", "status": "live", "context_length": 32_768, "supports_tools": true,
         "pricing": {"input": 0.2, "output": 0.4}, "supports_structured_output": false},
        {"provider": "c", "status": "error", "context_length": 1_024, "supports_tools": false},
    ]}]});
    let model = first(&body);
    assert_eq!((model.context, model.tools, model.structured), (Some(32_768), Some(true), None));
    assert_eq!(model.price.unwrap().input, 0.2);
}

#[test]
fn servers_of_the_own_machine_tell_of_one_model_at_a_time() {
    let ollama = json!({"capabilities": ["completion", "tools", "thinking"], "parameters": "stop \"x\"\nnum_ctx   8192",
        "model_info": {"general.architecture": "qwen3", "qwen3.context_length": 40_960}});
    let model = read_one("qwen3:8b", ollama.to_string().as_bytes()).unwrap();
    assert_eq!((model.id.as_str(), model.context, model.tools), ("qwen3:8b", Some(8_192), Some(true)));
    assert_eq!((model.vision, model.reasoning, model.chat), (Some(false), Some(true), Some(true)));

    let llama = json!({"default_generation_settings": {"n_ctx": 4_096}, "modalities": {"vision": true, "audio": false},
        "chat_template_caps": {"supports_tools": true}});
    let model = read_one("m", llama.to_string().as_bytes()).unwrap();
    assert_eq!((model.context, model.tools, model.vision), (Some(4_096), Some(true), Some(true)));
    let template = json!({"chat_template_caps": {"supports_tools": false}});
    assert_eq!(
        read_one("m", template.to_string().as_bytes()).unwrap().tools,
        None,
        "the server may help out"
    );

    let studio = listing(&json!({"object": "list", "data": [
        {"id": "q", "type": "llm", "max_context_length": 32_768, "loaded_context_length": 4_096},
        {"id": "v", "type": "vlm"}, {"id": "e", "type": "embeddings"}]}));
    let seen: Vec<_> = studio.models.iter().map(|model| (model.vision, model.chat)).collect();
    assert_eq!(seen, [(Some(false), None), (Some(true), None), (None, Some(false))]);
    let newer = first(&json!({"models": [{"key": "q", "type": "llm", "max_context_length": 32_768,
        "capabilities": {"vision": false, "trained_for_tool_use": true}}]}));
    assert_eq!((newer.id.as_str(), newer.tools, newer.vision), ("q", Some(true), Some(false)));

    assert_eq!(read_one("m", br#"{"error":"model not found"}"#), None);
}

#[test]
fn what_cannot_be_true_is_no_fact() {
    let body = json!({"data": [{"id": "m", "context_length": 0, "max_completion_tokens": -5},
        {"id": "a b"}, {"id": ""}, {"id": 7}, {}, "x", {"id": "m"}, {"id": "\u{1b}[2J"}]});
    let models = listing(&body).models;
    assert_eq!(models, [ListedModel { id: "m".to_owned(), ..ListedModel::default() }]);
    for other in [json!({"error": "no"}), json!("x"), json!({"data": 7}), json!(null)] {
        assert_eq!(read(other.to_string().as_bytes()), None, "{other}");
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let keys = prop::sample::select(vec![
        "id",
        "data",
        "models",
        "name",
        "capabilities",
        "pricing",
        "prompt",
        "providers",
        "context_length",
        "type",
        "architecture",
        "input_modalities",
        "supported_parameters",
        "parameters",
        "model_info",
        "status",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(keys.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn nothing_that_a_server_says_breaks_the_reader(body in any_json(), bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let text = body.to_string();
        if let Some(listing) = read(text.as_bytes()) {
            for model in listing.models {
                prop_assert!(!model.id.is_empty() && model.context.is_none_or(|tokens| tokens >= 16));
            }
        }
        let _ = read_one("m", text.as_bytes());
        let _ = read(&bytes);
    }
}
