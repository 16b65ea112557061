//! Parameters that say only what would happen anyway: leaving one out loses nothing, whoever is asked.

use serde_json::Value;

/// Parameters that help a cache to be found: an answer is the same without them.
const HINTS: [&str; 4] =
    ["stream_options", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"];

/// Whether this value of a top-level parameter is as good as none.
pub(crate) fn is_neutral(key: &str, value: &Value) -> bool {
    if HINTS.contains(&key) {
        return true;
    }
    match value {
        Value::Null => true,
        Value::Bool(false) => matches!(key, "store" | "logprobs" | "background"),
        Value::Bool(true) => key == "parallel_tool_calls",
        Value::Number(number) => {
            let usual = match key {
                "n" => 1.0,
                "presence_penalty" | "frequency_penalty" | "top_logprobs" => 0.0,
                _ => return false,
            };
            number.as_f64() == Some(usual)
        }
        Value::String(word) => matches!(
            (key, word.as_str()),
            ("service_tier", "auto")
                | ("verbosity", "medium")
                | ("speed", "standard")
                | ("truncation", "disabled")
        ),
        Value::Array(items) if key == "modalities" => items.iter().all(|item| item == "text"),
        Value::Array(items) => items.is_empty(),
        // An empty object may be a switch: `web_search_options` is.
        Value::Object(fields) => match key {
            "logit_bias" | "metadata" => fields.is_empty(),
            "response_format" => fields.get("type").is_some_and(|kind| kind == "text"),
            // No edits are no management.
            "context_management" => fields.values().all(|value| value.as_array().is_some_and(Vec::is_empty)),
            _ => false,
        },
    }
}

/// The same of a value as JSON text.
pub(crate) fn is_neutral_text(key: &str, value: &str) -> bool {
    // Values that are neutral are short; the rest need not be read.
    const LONGEST: usize = 64;
    HINTS.contains(&key)
        || (value.len() <= LONGEST && serde_json::from_str(value).is_ok_and(|value| is_neutral(key, &value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_default_is_neutral_and_what_switches_is_not() {
        let neutral = [
            ("n", "1"),
            ("store", "false"),
            ("logprobs", "false"),
            ("presence_penalty", "0.0"),
            ("stop", "[]"),
            ("logit_bias", "{}"),
            ("modalities", r#"["text"]"#),
            ("parallel_tool_calls", "true"),
            ("seed", "null"),
            ("mcp_servers", "[]"),
            ("context_management", r#"{"edits":[]}"#),
            ("prompt_cache_key", r#""a""#),
        ];
        for (key, value) in neutral {
            assert!(is_neutral_text(key, value), "{key}: {value}");
        }
        let said = [
            ("n", "2"),
            ("seed", "0"),
            ("temperature", "0"),
            ("web_search_options", "{}"),
            ("think", "false"),
            ("modalities", r#"["text","audio"]"#),
            ("parallel_tool_calls", "false"),
        ];
        for (key, value) in said {
            assert!(!is_neutral_text(key, value), "{key}: {value}");
        }
    }
}
