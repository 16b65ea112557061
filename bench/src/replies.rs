//! What the fake upstream says, in each dialect: one whole reply, and the parts of a stream.

use crate::dialect::Dialect;

/// What a dialect answers.
pub struct Replies {
    /// The reply to a request that asks for no stream.
    pub whole: &'static str,
    /// What a stream begins with, before its first chunk.
    pub opening: &'static str,
    /// A chunk that carries a piece of text.
    pub chunk: &'static str,
    /// What a stream ends with.
    pub closing: &'static str,
}

/// What is answered in `dialect`.
pub fn of(dialect: Dialect) -> &'static Replies {
    match dialect {
        Dialect::OpenaiChat => &CHAT,
        Dialect::OpenaiResponses => &RESPONSES,
        Dialect::Anthropic => &ANTHROPIC,
    }
}

const CHAT: Replies = Replies {
    whole: r#"{"id":"chatcmpl-7QmTz2","object":"chat.completion","created":1760000000,"model":"bench-model","choices":[{"index":0,"message":{"role":"assistant","content":"A mutex admits one holder, who alone may release it. A semaphore admits a fixed number of holders and may be raised by anyone."},"finish_reason":"stop","logprobs":null}],"usage":{"prompt_tokens":48,"completion_tokens":29,"total_tokens":77}}"#,
    opening: concat!(
        r#"data: {"id":"chatcmpl-7QmTz2","object":"chat.completion.chunk","created":1760000000,"model":"bench-model","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
        "\n\n",
    ),
    chunk: concat!(
        r#"data: {"id":"chatcmpl-7QmTz2","object":"chat.completion.chunk","created":1760000000,"model":"bench-model","choices":[{"index":0,"delta":{"content":" admits"},"finish_reason":null}]}"#,
        "\n\n",
    ),
    closing: concat!(
        r#"data: {"id":"chatcmpl-7QmTz2","object":"chat.completion.chunk","created":1760000000,"model":"bench-model","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
        "\n\n",
        r#"data: {"id":"chatcmpl-7QmTz2","object":"chat.completion.chunk","created":1760000000,"model":"bench-model","choices":[],"usage":{"prompt_tokens":48,"completion_tokens":100,"total_tokens":148}}"#,
        "\n\ndata: [DONE]\n\n",
    ),
};

const ANTHROPIC: Replies = Replies {
    whole: r#"{"id":"msg_017QmTz2","type":"message","role":"assistant","model":"bench-model","content":[{"type":"text","text":"A mutex admits one holder, who alone may release it. A semaphore admits a fixed number of holders and may be raised by anyone."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":48,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":29}}"#,
    opening: concat!(
        "event: message_start\n",
        r#"data: {"type":"message_start","message":{"id":"msg_017QmTz2","type":"message","role":"assistant","model":"bench-model","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":48,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}}"#,
        "\n\nevent: content_block_start\n",
        r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        "\n\n",
    ),
    chunk: concat!(
        "event: content_block_delta\n",
        r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" admits"}}"#,
        "\n\n",
    ),
    closing: concat!(
        "event: content_block_stop\n",
        r#"data: {"type":"content_block_stop","index":0}"#,
        "\n\nevent: message_delta\n",
        r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":100}}"#,
        "\n\nevent: message_stop\n",
        r#"data: {"type":"message_stop"}"#,
        "\n\n",
    ),
};

const RESPONSES: Replies = Replies {
    whole: r#"{"id":"resp_07QmTz2","object":"response","created_at":1760000000,"status":"completed","error":null,"incomplete_details":null,"instructions":null,"max_output_tokens":256,"model":"bench-model","output":[{"id":"msg_07QmTz2","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"A mutex admits one holder, who alone may release it. A semaphore admits a fixed number of holders and may be raised by anyone.","annotations":[]}]}],"parallel_tool_calls":true,"previous_response_id":null,"store":false,"temperature":0.2,"tool_choice":"auto","tools":[],"usage":{"input_tokens":48,"input_tokens_details":{"cached_tokens":0},"output_tokens":29,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":77},"metadata":{}}"#,
    opening: concat!(
        "event: response.created\n",
        r#"data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_07QmTz2","object":"response","created_at":1760000000,"status":"in_progress","error":null,"incomplete_details":null,"instructions":null,"max_output_tokens":256,"model":"bench-model","output":[],"parallel_tool_calls":true,"previous_response_id":null,"store":false,"temperature":0.2,"tool_choice":"auto","tools":[],"usage":null,"metadata":{}}}"#,
        "\n\nevent: response.output_item.added\n",
        r#"data: {"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"msg_07QmTz2","type":"message","status":"in_progress","role":"assistant","content":[]}}"#,
        "\n\nevent: response.content_part.added\n",
        r#"data: {"type":"response.content_part.added","sequence_number":2,"item_id":"msg_07QmTz2","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}"#,
        "\n\n",
    ),
    chunk: concat!(
        "event: response.output_text.delta\n",
        r#"data: {"type":"response.output_text.delta","sequence_number":3,"item_id":"msg_07QmTz2","output_index":0,"content_index":0,"delta":" admits"}"#,
        "\n\n",
    ),
    closing: concat!(
        "event: response.output_item.done\n",
        r#"data: {"type":"response.output_item.done","sequence_number":4,"output_index":0,"item":{"id":"msg_07QmTz2","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":" admits, and so on","annotations":[]}]}}"#,
        "\n\nevent: response.completed\n",
        r#"data: {"type":"response.completed","sequence_number":5,"response":{"id":"resp_07QmTz2","object":"response","created_at":1760000000,"status":"completed","error":null,"incomplete_details":null,"instructions":null,"max_output_tokens":256,"model":"bench-model","output":[{"id":"msg_07QmTz2","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":" admits, and so on","annotations":[]}]}],"parallel_tool_calls":true,"previous_response_id":null,"store":false,"temperature":0.2,"tool_choice":"auto","tools":[],"usage":{"input_tokens":48,"input_tokens_details":{"cached_tokens":0},"output_tokens":100,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":148},"metadata":{}}}"#,
        "\n\n",
    ),
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::PIECE;

    #[test]
    fn each_chunk_has_its_piece_once_and_nothing_else_has_one() {
        for dialect in Dialect::ALL {
            let Replies { opening, chunk, closing, .. } = of(dialect);
            let piece = format!("{}\"{PIECE}\"", dialect.before_piece());
            assert_eq!(chunk.matches(&piece).count(), 1, "{dialect:?}");
            assert!(!opening.contains(&piece) && !closing.contains(&piece), "{dialect:?}");
            assert!(closing.ends_with("\n\n") && closing.contains(dialect.end()), "{dialect:?}");
        }
    }

    #[test]
    fn each_event_is_json() {
        for dialect in Dialect::ALL {
            let Replies { whole, opening, chunk, closing } = of(dialect);
            assert!(serde_json::from_str::<serde_json::Value>(whole).is_ok(), "{dialect:?}");
            for line in [opening, chunk, closing].into_iter().flat_map(|part| part.lines()) {
                if let Some(data) = line.strip_prefix("data: ").filter(|data| *data != "[DONE]") {
                    assert!(serde_json::from_str::<serde_json::Value>(data).is_ok(), "{data}");
                }
            }
        }
    }
}
