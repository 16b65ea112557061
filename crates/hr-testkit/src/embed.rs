//! Embeddings: vectors that depend on the model and the text alone, so both encodings can be compared.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::answer::Usage;

/// The reply to an embeddings request; `dimensions` is used when the request names none.
pub(crate) fn reply(request: &Value, dimensions: usize, usage: Usage) -> Value {
    let model = request["model"].as_str().unwrap_or_default();
    let dimensions = request["dimensions"].as_u64().map_or(dimensions, |asked| asked as usize);
    let base64 = request["encoding_format"] == "base64";
    let data: Vec<_> = inputs(&request["input"])
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let vector = vector(model, input, dimensions);
            let embedding = if base64 { encode(&vector).into() } else { json!(vector) };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    json!({
        "object": "list",
        "data": data,
        "model": model,
        "usage": {"prompt_tokens": usage.prompt, "total_tokens": usage.prompt},
    })
}

/// The texts of an `input`: a string, strings, tokens, or lists of tokens.
fn inputs(input: &Value) -> Vec<String> {
    match input {
        Value::Array(items) if items.first().is_some_and(Value::is_number) => vec![input.to_string()],
        Value::Array(items) => {
            items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
        }
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

/// Numbers between -1 and 1 from a hash of model and text (FNV-1a, then a xorshift for each number).
fn vector(model: &str, text: &str, dimensions: usize) -> Vec<f32> {
    let bytes = model.bytes().chain([0]).chain(text.bytes());
    let mut state = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (0..dimensions)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // 16 bits survive the way through decimal digits without rounding.
            ((state >> 48) as f32 - 32_768.0) / 32_768.0
        })
        .collect()
}

fn encode(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embed(request: Value) -> Value {
        reply(&request, 8, Usage { prompt: 3, ..Usage::default() })
    }

    #[test]
    fn both_encodings_hold_the_same_numbers() {
        let float = embed(json!({"model": "m", "input": ["a", "b"]}));
        let coded = embed(json!({"model": "m", "input": ["a", "b"], "encoding_format": "base64"}));
        for index in 0..2 {
            let bytes = STANDARD.decode(coded["data"][index]["embedding"].as_str().unwrap()).unwrap();
            let numbers: Vec<f64> = bytes
                .chunks_exact(4)
                .map(|four| f64::from(f32::from_le_bytes(four.try_into().unwrap())))
                .collect();
            assert_eq!(json!(numbers), float["data"][index]["embedding"]);
        }
        assert_ne!(float["data"][0]["embedding"], float["data"][1]["embedding"]);
    }

    #[test]
    fn dimensions_are_as_asked_and_tokens_are_one_input() {
        let reply = embed(json!({"model": "m", "input": [1, 2, 3], "dimensions": 3}));
        assert_eq!(reply["data"].as_array().map(Vec::len), Some(1));
        assert_eq!(reply["data"][0]["embedding"].as_array().map(Vec::len), Some(3));
    }
}
