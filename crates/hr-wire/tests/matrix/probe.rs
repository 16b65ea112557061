//! Things that a caller may send, one at a time: what each becomes is a row of `docs/translation.md`.

use hr_core::catalog::Dialect;
use serde_json::{Value, json};

/// A thing, and what is laid over the plainest request to have it there.
pub type Probe = (&'static str, Value);

/// The plainest request with this laid over it; `null` takes a field away.
pub fn request(dialect: Dialect, probe: &Value) -> Value {
    let mut body = match dialect {
        Dialect::OpenaiChat => json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]}),
        Dialect::OpenaiResponses => json!({"model": "m", "input": "hi", "store": false}),
        Dialect::Anthropic => {
            json!({"model": "m", "max_tokens": 4096, "messages": [{"role": "user", "content": "hi"}]})
        }
    };
    let fields = body.as_object_mut().unwrap();
    for (name, value) in probe.as_object().unwrap() {
        match value {
            Value::Null => drop(fields.remove(name)),
            value => drop(fields.insert(name.clone(), value.clone())),
        }
    }
    body
}

/// All things of a dialect.
pub fn all(dialect: Dialect) -> Vec<Probe> {
    match dialect {
        Dialect::OpenaiChat => chat(),
        Dialect::OpenaiResponses => responses(),
        Dialect::Anthropic => anthropic(),
    }
}

/// A picture of one dot.
const DOT: &str = "iVBORw0KGgo=";

fn schema() -> Value {
    let properties = json!({"city": {"type": "string"}});
    json!({"type": "object", "properties": properties, "required": ["city"], "additionalProperties": false})
}

fn chat() -> Vec<Probe> {
    let tool = || json!({"type": "function", "function": {"name": "look", "parameters": schema()}});
    let said = |message: Value| json!({"messages": [{"role": "user", "content": "hi"}, message, {"role": "user", "content": "go on"}]});
    let part = |part: Value| json!({"messages": [{"role": "user", "content": [part]}]});
    let url = |url: String| json!({"url": url});
    let dot = || format!("data:image/png;base64,{DOT}");
    let call =
        || json!({"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}});
    let called = |content: Value| {
        json!({
            "tools": [tool()],
            "messages": [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": null, "tool_calls": [call()]},
                {"role": "tool", "tool_call_id": "call_1", "content": content},
            ],
        })
    };
    let choosing = |choice: Value| json!({"tools": [tool()], "tool_choice": choice});
    let custom = json!({"name": "patch", "format": {"type": "text"}});
    let allowed = json!({"mode": "auto", "tools": [{"type": "function", "function": {"name": "look"}}]});
    let format = json!({"name": "city", "schema": schema(), "strict": true});
    vec![
        (
            "a `system` message at the start",
            json!({"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]}),
        ),
        (
            "a `developer` message at the start",
            json!({"messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hi"}]}),
        ),
        ("a `system` message in the middle", said(json!({"role": "system", "content": "Be brief."}))),
        ("`name` of a message", json!({"messages": [{"role": "user", "content": "hi", "name": "ann"}]})),
        (
            "an image by URL",
            part(json!({"type": "image_url", "image_url": url("https://example.com/a.png".into())})),
        ),
        ("an image as data", part(json!({"type": "image_url", "image_url": url(dot())}))),
        (
            "`detail` of an image",
            part(json!({"type": "image_url", "image_url": {"url": dot(), "detail": "low"}})),
        ),
        ("sound", part(json!({"type": "input_audio", "input_audio": {"format": "wav", "data": "UklGRg=="}}))),
        (
            "a file as data",
            part(
                json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}),
            ),
        ),
        ("a file by id", part(json!({"type": "file", "file": {"file_id": "file-1"}}))),
        (
            "`reasoning_content` of an earlier turn",
            said(json!({"role": "assistant", "content": "yes", "reasoning_content": "hm"})),
        ),
        (
            "a refusal of an earlier turn",
            said(json!({"role": "assistant", "content": null, "refusal": "no"})),
        ),
        (
            "the beginning of the answer",
            json!({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "I"}]}),
        ),
        ("a call of a tool and its result", called("ok".into())),
        ("a function", json!({"tools": [tool()]})),
        (
            "`strict` of a function",
            json!({"tools": [{"type": "function", "function": {"name": "look", "parameters": schema(), "strict": true}}]}),
        ),
        ("a custom tool", json!({"tools": [{"type": "custom", "custom": custom}]})),
        ("`tool_choice`: `auto`", choosing("auto".into())),
        ("`tool_choice`: `none`", choosing("none".into())),
        ("`tool_choice`: `required`", choosing("required".into())),
        ("`tool_choice`: one tool", choosing(json!({"type": "function", "function": {"name": "look"}}))),
        (
            "`tool_choice`: allowed tools",
            choosing(json!({"type": "allowed_tools", "allowed_tools": allowed})),
        ),
        ("`parallel_tool_calls`: no", json!({"tools": [tool()], "parallel_tool_calls": false})),
        ("`functions` (old)", json!({"functions": [{"name": "look", "parameters": schema()}]})),
        ("`response_format`: JSON", json!({"response_format": {"type": "json_object"}})),
        (
            "`response_format`: a schema",
            json!({"response_format": {"type": "json_schema", "json_schema": format}}),
        ),
        ("`reasoning_effort`: `none`", json!({"reasoning_effort": "none"})),
        ("`reasoning_effort`: `minimal`", json!({"reasoning_effort": "minimal"})),
        ("`reasoning_effort`: `high`", json!({"reasoning_effort": "high"})),
        ("`reasoning_effort`: `xhigh`", json!({"reasoning_effort": "xhigh"})),
        ("`max_tokens`", json!({"max_tokens": 100})),
        ("`max_tokens` below 16", json!({"max_tokens": 5})),
        ("`max_completion_tokens`", json!({"max_completion_tokens": 100})),
        ("`temperature`", json!({"temperature": 0.5})),
        ("`temperature` above 1", json!({"temperature": 1.5})),
        ("`top_p`", json!({"top_p": 0.9})),
        ("`top_k`", json!({"top_k": 40})),
        ("`stop`", json!({"stop": ["END"]})),
        ("`stop`: white space", json!({"stop": ["\n"]})),
        ("`n`: 1", json!({"n": 1})),
        ("`n`: 2", json!({"n": 2})),
        ("`seed`", json!({"seed": 7})),
        ("`presence_penalty`", json!({"presence_penalty": 0.5})),
        ("`frequency_penalty`", json!({"frequency_penalty": 0.5})),
        ("`logit_bias`", json!({"logit_bias": {"1": 5}})),
        ("`logprobs`", json!({"logprobs": true, "top_logprobs": 2})),
        (
            "`modalities` and `audio`",
            json!({"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}}),
        ),
        ("`prediction`", json!({"prediction": {"type": "content", "content": "hi"}})),
        ("`verbosity`", json!({"verbosity": "low"})),
        ("`metadata`", json!({"metadata": {"a": "b"}})),
        ("`store`", json!({"store": true})),
        ("`user`", json!({"user": "ann"})),
        ("`safety_identifier`", json!({"safety_identifier": "ann"})),
        ("`prompt_cache_key`", json!({"prompt_cache_key": "a"})),
        ("`service_tier`", json!({"service_tier": "flex"})),
        ("`web_search_options`", json!({"web_search_options": {}})),
        ("a field that nobody knows", json!({"banana": true})),
    ]
}

fn responses() -> Vec<Probe> {
    let function = || json!({"type": "function", "name": "look", "parameters": schema(), "strict": false});
    let user = || json!({"role": "user", "content": "hi"});
    let said = |item: Value| json!({"input": [user(), item, user()]});
    let part = |part: Value| json!({"input": [{"role": "user", "content": [part]}]});
    let called = |output: Value| {
        let call = json!({"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}"});
        let output = json!({"type": "function_call_output", "call_id": "call_1", "output": output});
        json!({"tools": [function()], "input": [user(), call, output]})
    };
    let choosing = |choice: Value| json!({"tools": [function()], "tool_choice": choice});
    let hosted = |kind: &str| json!({"tools": [{"type": kind}]});
    let custom = || json!({"type": "custom", "name": "patch", "format": {"type": "grammar", "syntax": "lark", "definition": "start: /a/"}});
    let patch = json!({"type": "custom_tool_call", "call_id": "call_1", "name": "patch", "input": "a"});
    let patched = json!({"type": "custom_tool_call_output", "call_id": "call_1", "output": "ok"});
    let sealed = json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "gAAAA"});
    let answer =
        json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "yes"}]});
    let format = json!({"type": "json_schema", "name": "city", "schema": schema(), "strict": true});
    let image = |url: &str| json!({"type": "input_image", "image_url": url});
    vec![
        ("`instructions`", json!({"instructions": "Be brief."})),
        ("a `developer` message in the middle", said(json!({"role": "developer", "content": "Be brief."}))),
        ("an image by URL", part(image("https://example.com/a.png"))),
        ("an image as data", part(image(&format!("data:image/png;base64,{DOT}")))),
        (
            "`detail` of an image",
            part(json!({"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"})),
        ),
        ("an image by id", part(json!({"type": "input_image", "file_id": "file-1"}))),
        (
            "a file as data",
            part(
                json!({"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}),
            ),
        ),
        ("a file by URL", part(json!({"type": "input_file", "file_url": "https://example.com/a.pdf"}))),
        ("a file by id", part(json!({"type": "input_file", "file_id": "file-1"}))),
        ("sound", part(json!({"type": "input_audio", "input_audio": {"format": "wav", "data": "UklGRg=="}}))),
        ("encrypted reasoning of an earlier turn", json!({"input": [user(), sealed, answer, user()]})),
        ("a call of a tool and its result", called("ok".into())),
        ("an image in a result", called(json!([image(&format!("data:image/png;base64,{DOT}"))]))),
        (
            "a file in a result",
            called(
                json!([{"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}]),
            ),
        ),
        ("a custom tool", json!({"tools": [custom()]})),
        (
            "a call of a custom tool and its result",
            json!({"tools": [custom()], "input": [user(), patch, patched]}),
        ),
        (
            "a namespace of tools",
            json!({"tools": [{"type": "namespace", "name": "files", "description": "Files", "tools": [function()]}]}),
        ),
        ("a function", json!({"tools": [function()]})),
        (
            "`strict` of a function",
            json!({"tools": [{"type": "function", "name": "look", "parameters": schema(), "strict": true}]}),
        ),
        (
            "`defer_loading` of a function",
            json!({"tools": [{"type": "function", "name": "look", "parameters": schema(), "strict": false, "defer_loading": true}]}),
        ),
        ("the tool `web_search`", hosted("web_search")),
        ("the tool `file_search`", json!({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]})),
        (
            "the tool `code_interpreter`",
            json!({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}),
        ),
        ("the tool `image_generation`", hosted("image_generation")),
        (
            "the tool `mcp`",
            json!({"tools": [{"type": "mcp", "server_label": "a", "server_url": "https://example.com"}]}),
        ),
        ("the tool `local_shell`", hosted("local_shell")),
        ("the tool `shell`", hosted("shell")),
        ("the tool `apply_patch`", hosted("apply_patch")),
        ("the tool `tool_search`", json!({"tools": [{"type": "tool_search", "execution": "client"}]})),
        ("`tool_choice`: `none`", choosing("none".into())),
        ("`tool_choice`: `required`", choosing("required".into())),
        ("`tool_choice`: one tool", choosing(json!({"type": "function", "name": "look"}))),
        (
            "`tool_choice`: allowed tools",
            choosing(
                json!({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]}),
            ),
        ),
        (
            "`tool_choice`: a tool of the provider",
            json!({"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}}),
        ),
        ("`parallel_tool_calls`: no", json!({"tools": [function()], "parallel_tool_calls": false})),
        ("`max_tool_calls`", json!({"tools": [function()], "max_tool_calls": 3})),
        ("`text.format`: JSON", json!({"text": {"format": {"type": "json_object"}}})),
        ("`text.format`: a schema", json!({"text": {"format": format}})),
        ("`text.verbosity`", json!({"text": {"verbosity": "low"}})),
        ("`reasoning.effort`: `none`", json!({"reasoning": {"effort": "none"}})),
        ("`reasoning.effort`: `high`", json!({"reasoning": {"effort": "high"}})),
        ("`reasoning.effort`: `xhigh`", json!({"reasoning": {"effort": "xhigh"}})),
        ("`reasoning.summary`", json!({"reasoning": {"effort": "low", "summary": "detailed"}})),
        ("`include`: encrypted reasoning", json!({"include": ["reasoning.encrypted_content"]})),
        ("`include`: `logprobs`", json!({"include": ["message.output_text.logprobs"], "top_logprobs": 2})),
        ("`max_output_tokens`", json!({"max_output_tokens": 100})),
        ("`temperature`", json!({"temperature": 0.5})),
        ("`temperature` above 1", json!({"temperature": 1.5})),
        ("`top_p`", json!({"top_p": 0.9})),
        ("`truncation`", json!({"truncation": "auto"})),
        ("`metadata`", json!({"metadata": {"a": "b"}})),
        ("`store`", json!({"store": true})),
        ("`background`", json!({"background": true})),
        ("`conversation`", json!({"conversation": "conv_1"})),
        ("`prompt`", json!({"prompt": {"id": "pmpt_1"}})),
        ("`prompt_cache_key`", json!({"prompt_cache_key": "a"})),
        ("`prompt_cache_retention`", json!({"prompt_cache_retention": "24h"})),
        ("`safety_identifier`", json!({"safety_identifier": "ann"})),
        ("`user`", json!({"user": "ann"})),
        ("`service_tier`", json!({"service_tier": "flex"})),
        ("`context_management`", json!({"context_management": [{"type": "compaction"}]})),
        ("a `compaction` item", said(json!({"type": "compaction", "encrypted_content": "gAAAA"}))),
        ("an `item_reference`", said(json!({"type": "item_reference", "id": "msg_1"}))),
        (
            "a `web_search_call` of an earlier turn",
            said(
                json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "a"}}),
            ),
        ),
    ]
}

fn anthropic() -> Vec<Probe> {
    let tool = || json!({"name": "look", "description": "Looks.", "input_schema": schema()});
    let with = |name: &str, value: Value| {
        let mut tool = tool();
        tool[name] = value;
        json!({"tools": [tool]})
    };
    let server = |tool: Value| json!({"tools": [tool]});
    let user = |blocks: Value| json!({"messages": [{"role": "user", "content": blocks}]});
    let said = |blocks: Value| {
        json!({"messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": blocks},
            {"role": "user", "content": "go on"},
        ]})
    };
    let called = |result: Value| {
        json!({"tools": [tool()], "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}]},
            {"role": "user", "content": [result]},
        ]})
    };
    let result =
        |content: Value| json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": content});
    let failed =
        json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": "gone", "is_error": true});
    let choosing = |choice: Value| json!({"tools": [tool()], "tool_choice": choice});
    let document = |source: Value| user(json!([{"type": "document", "source": source}]));
    let pdf = || json!({"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="});
    let dot =
        || json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": DOT}});
    let search = json!({"type": "search_result", "source": "https://example.com", "title": "A", "content": [{"type": "text", "text": "b"}]});
    let format = json!({"type": "json_schema", "schema": schema()});
    vec![
        ("`system`", json!({"system": "Be brief."})),
        (
            "a `system` message in the middle",
            json!({"messages": [{"role": "user", "content": "hi"}, {"role": "system", "content": "Be brief."}]}),
        ),
        (
            "`cache_control`",
            json!({"system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral", "ttl": "1h"}}]}),
        ),
        (
            "an image by URL",
            user(json!([{"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}])),
        ),
        ("an image as data", user(json!([dot()]))),
        ("an image by id", user(json!([{"type": "image", "source": {"type": "file", "file_id": "file_1"}}]))),
        ("a document as data", document(pdf())),
        ("a document by URL", document(json!({"type": "url", "url": "https://example.com/a.pdf"}))),
        ("a document as text", document(json!({"type": "text", "media_type": "text/plain", "data": "a"}))),
        ("a document by id", document(json!({"type": "file", "file_id": "file_1"}))),
        ("`title` of a document", user(json!([{"type": "document", "source": pdf(), "title": "A"}]))),
        (
            "`context` of a document",
            user(json!([{"type": "document", "source": pdf(), "context": "Of last year."}])),
        ),
        (
            "`citations` of a document",
            user(json!([{"type": "document", "source": pdf(), "citations": {"enabled": true}}])),
        ),
        ("a `search_result`", user(json!([search]))),
        (
            "signed thinking of an earlier turn",
            said(
                json!([{"type": "thinking", "thinking": "hm", "signature": "EqQB"}, {"type": "text", "text": "yes"}]),
            ),
        ),
        (
            "redacted thinking of an earlier turn",
            said(json!([{"type": "redacted_thinking", "data": "EuoB"}, {"type": "text", "text": "yes"}])),
        ),
        (
            "the beginning of the answer",
            json!({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "I"}]}),
        ),
        ("a call of a tool and its result", called(result("ok".into()))),
        ("a result that is an error", called(failed)),
        ("an image in a result", called(result(json!([dot()])))),
        ("a document in a result", called(result(json!([{"type": "document", "source": pdf()}])))),
        (
            "a `tool_reference` in a result",
            called(result(json!([{"type": "tool_reference", "tool_name": "look"}]))),
        ),
        ("`strict` of a tool", with("strict", true.into())),
        ("`defer_loading` of a tool", with("defer_loading", true.into())),
        ("`input_examples` of a tool", with("input_examples", json!([{"city": "Oslo"}]))),
        ("`allowed_callers` of a tool", with("allowed_callers", json!(["direct"]))),
        ("`eager_input_streaming` of a tool", with("eager_input_streaming", true.into())),
        ("the tool `web_search`", server(json!({"type": "web_search_20250305", "name": "web_search"}))),
        ("the tool `web_fetch`", server(json!({"type": "web_fetch_20250910", "name": "web_fetch"}))),
        (
            "the tool `code_execution`",
            server(json!({"type": "code_execution_20250825", "name": "code_execution"})),
        ),
        (
            "the tool `tool_search`",
            server(json!({"type": "tool_search_tool_regex_20251119", "name": "tool_search"})),
        ),
        ("the tool `bash`", server(json!({"type": "bash_20250124", "name": "bash"}))),
        (
            "the tool `text_editor`",
            server(json!({"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"})),
        ),
        ("the tool `memory`", server(json!({"type": "memory_20250818", "name": "memory"}))),
        (
            "the tool `computer`",
            server(
                json!({"type": "computer_20250124", "name": "computer", "display_width_px": 800, "display_height_px": 600}),
            ),
        ),
        ("`tool_choice`: `auto`", choosing(json!({"type": "auto"}))),
        ("`tool_choice`: `any`", choosing(json!({"type": "any"}))),
        ("`tool_choice`: `none`", choosing(json!({"type": "none"}))),
        ("`tool_choice`: one tool", choosing(json!({"type": "tool", "name": "look"}))),
        ("`disable_parallel_tool_use`", choosing(json!({"type": "auto", "disable_parallel_tool_use": true}))),
        ("`thinking`: a budget", json!({"thinking": {"type": "enabled", "budget_tokens": 2048}})),
        ("`thinking`: `adaptive`", json!({"thinking": {"type": "adaptive"}})),
        ("`thinking`: `disabled`", json!({"thinking": {"type": "disabled"}})),
        ("`thinking.display`: `omitted`", json!({"thinking": {"type": "adaptive", "display": "omitted"}})),
        (
            "`output_config.effort`",
            json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}),
        ),
        ("`output_config.format`", json!({"output_config": {"format": format}})),
        ("`temperature`", json!({"temperature": 0.5})),
        ("`top_p`", json!({"top_p": 0.9})),
        ("`top_k`", json!({"top_k": 40})),
        ("`stop_sequences`", json!({"stop_sequences": ["END"]})),
        ("`max_tokens` below 16", json!({"max_tokens": 5})),
        ("`metadata.user_id`", json!({"metadata": {"user_id": "ann"}})),
        ("`service_tier`: `auto`", json!({"service_tier": "auto"})),
        ("`service_tier`: `standard_only`", json!({"service_tier": "standard_only"})),
        (
            "`context_management`",
            json!({"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}}),
        ),
        (
            "`mcp_servers`",
            json!({"mcp_servers": [{"type": "url", "url": "https://example.com", "name": "a"}]}),
        ),
        ("`container`", json!({"container": "c_1"})),
        ("`inference_geo`", json!({"inference_geo": "us"})),
        ("`speed`", json!({"speed": "fast"})),
    ]
}
