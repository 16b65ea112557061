//! What OpenAI Responses take as a conversation: items, their parts, and what belongs together.

use serde_json::Value;

use super::kind::{Kind, is_plain, list, text};
use super::responses::{invalid_type, invalid_value, missing_parameter, unknown};
use super::{Fault, Inspected, Strictness};

/// The most characters of an id.
const MAX_ID: usize = 64;

/// A kind of item: its fields, those it must have, and how its ids begin.
struct Form {
    kind: &'static str,
    fields: &'static [&'static str],
    required: &'static [&'static str],
    prefix: &'static str,
}

/// The items whose fields are known here; others are taken as they are.
const FORMS: &[Form] = &[
    Form {
        kind: "message",
        fields: &["role", "content", "id", "status", "phase"],
        required: &["role", "content"],
        prefix: "msg",
    },
    Form {
        kind: "reasoning",
        fields: &["id", "summary", "content", "encrypted_content", "status"],
        required: &["summary"],
        prefix: "rs",
    },
    Form {
        kind: "function_call",
        fields: &["id", "call_id", "name", "arguments", "namespace", "status", "caller"],
        required: &["call_id", "name", "arguments"],
        prefix: "fc",
    },
    Form {
        kind: "function_call_output",
        fields: &["id", "call_id", "output", "status", "name", "namespace", "caller"],
        required: &["call_id", "output"],
        prefix: "fc",
    },
    Form {
        kind: "custom_tool_call",
        fields: &["id", "call_id", "name", "input", "namespace", "status", "caller"],
        required: &["call_id", "name", "input"],
        prefix: "ctc",
    },
    Form {
        kind: "custom_tool_call_output",
        fields: &["id", "call_id", "output", "status", "name", "namespace", "caller"],
        required: &["call_id", "output"],
        prefix: "ctc",
    },
    Form { kind: "item_reference", fields: &["id"], required: &["id"], prefix: "" },
    Form {
        kind: "compaction",
        fields: &["id", "encrypted_content"],
        required: &["encrypted_content"],
        prefix: "",
    },
    Form { kind: "additional_tools", fields: &["role", "tools"], required: &["tools"], prefix: "" },
];

/// Items of tools that run at the provider, and others that are replayed as they came.
const OTHERS: [&str; 18] = [
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "web_search_call",
    "tool_search_call",
    "tool_search_output",
    "image_generation_call",
    "file_search_call",
    "code_interpreter_call",
    "computer_call",
    "computer_call_output",
    "mcp_call",
    "mcp_list_tools",
    "compaction_summary",
    "compaction_trigger",
];

/// Parts of what goes in, with their fields.
const INPUT_PARTS: &[(&str, &[&str])] = &[
    ("input_text", &["type", "text", "prompt_cache_breakpoint"]),
    ("input_image", &["type", "image_url", "file_id", "detail", "prompt_cache_breakpoint"]),
    (
        "input_file",
        &["type", "file_id", "file_url", "filename", "file_data", "detail", "prompt_cache_breakpoint"],
    ),
    ("input_audio", &["type", "input_audio"]),
];

/// Parts of what came out, with their fields.
const OUTPUT_PARTS: &[(&str, &[&str])] =
    &[("output_text", &["type", "text", "annotations", "logprobs"]), ("refusal", &["type", "refusal"])];

/// The conversation of a request.
pub(super) struct Items<'a> {
    pub(super) strictness: &'a Strictness,
    pub(super) body: &'a Value,
    pub(super) call: &'a Inspected<'a>,
}

impl Items<'_> {
    pub(super) fn check(&self, wrong: &mut Vec<Fault>) {
        let items = list(&self.body["input"]);
        for (index, item) in items.iter().enumerate() {
            self.check_item(item, &format!("input[{index}]"), wrong);
        }
        self.check_reasoning(items, wrong);
        check_pairs(items, wrong);
    }

    fn check_item(&self, item: &Value, path: &str, wrong: &mut Vec<Fault>) {
        // A message may leave its type out.
        let kind = if item["type"].is_null() { "message" } else { text(&item["type"]) };
        let Some(form) = FORMS.iter().find(|form| form.kind == kind) else {
            if !OTHERS.contains(&kind) {
                let known: Vec<_> = FORMS.iter().map(|form| form.kind).collect();
                wrong.push(invalid_value(&format!("{path}.type"), &item["type"], &known));
            }
            return;
        };
        let known: Vec<_> = form.fields.iter().copied().chain(["type"]).collect();
        unknown(item, &known, path, wrong);
        for name in form.required {
            let field = format!("{path}.{name}");
            match item.get(name) {
                None => wrong.push(missing_parameter(&field)),
                Some(Value::Null) => {
                    let text = format!("Invalid type for '{field}': expected a value, but got null instead.");
                    wrong.push(Fault::at(field, "invalid_type", text));
                }
                Some(_) => {}
            }
        }
        check_id(item, form.prefix, path, wrong);
        match kind {
            "message" => check_message(item, path, wrong),
            "reasoning" => self.check_seal(item, path, wrong),
            "function_call" | "custom_tool_call" => check_call(item, kind, path, wrong),
            "function_call_output" | "custom_tool_call_output" => {
                let output = &item["output"];
                if !Kind::TextOrList.takes(output) {
                    wrong.push(invalid_type(&format!("{path}.output"), Kind::TextOrList));
                }
                check_parts(output, INPUT_PARTS, &format!("{path}.output"), wrong);
            }
            _ => {}
        }
    }

    /// Encrypted thoughts must have been issued here, to whoever brings them back.
    fn check_seal(&self, item: &Value, path: &str, wrong: &mut Vec<Fault>) {
        if !item["summary"].is_array() {
            wrong.push(invalid_type(&format!("{path}.summary"), Kind::List));
        }
        let parts: &[(&str, &[&str])] = &[("summary_text", &["type", "text"])];
        check_parts(&item["summary"], parts, &format!("{path}.summary"), wrong);
        let Some(seal) = item["encrypted_content"].as_str() else {
            if self.body["store"] == false
                && let Some(id) = item["id"].as_str()
            {
                wrong.push(Fault::at(
                    "input",
                    "item_not_found",
                    format!(
                        "Item with id '{id}' not found. Items are not persisted when `store` is set to false. Try again \
                         with `store` set to true, or remove this item from your input."
                    ),
                ));
            }
            return;
        };
        if !self.call.is_issued(self.strictness, seal, None) {
            let shown: String = seal.chars().take(8).collect();
            wrong.push(Fault {
                param: None,
                ..Fault::at(
                    "input",
                    "invalid_encrypted_content",
                    format!(
                        "The encrypted content {shown}... could not be verified. Reason: Encrypted content could not be decrypted or parsed."
                    ),
                )
            });
        }
    }

    /// Thoughts stand before what they led to, and what they led to stands after them.
    fn check_reasoning(&self, items: &[Value], wrong: &mut Vec<Fault>) {
        for (index, item) in items.iter().enumerate() {
            let id = text(&item["id"]);
            if item["type"] == "reasoning" {
                let next = items.get(index + 1);
                let led = next.is_some_and(|next| match text(&next["type"]) {
                    "" | "message" => next["role"] == "assistant",
                    kind => kind.ends_with("_call") || kind == "reasoning",
                });
                if !led {
                    wrong.push(Fault::new(format!(
                        "Item '{id}' of type 'reasoning' was provided without its required following item."
                    )));
                }
            } else if let Some(leader) = self.call.issued.and_then(|issued| issued.leader(id)) {
                let before = index.checked_sub(1).map_or("", |before| text(&items[before]["id"]));
                let anonymous =
                    index > 0 && items[index - 1]["type"] == "reasoning" && items[index - 1]["id"].is_null();
                if before != leader && !anonymous {
                    let kind = text(&item["type"]);
                    wrong.push(Fault::new(format!(
                        "Item '{id}' of type '{kind}' was provided without its required 'reasoning' item: '{leader}'."
                    )));
                }
            }
        }
    }
}

/// Every call has its output, and every output its call.
fn check_pairs(items: &[Value], wrong: &mut Vec<Fault>) {
    let ids = |kinds: [&'static str; 2]| {
        items
            .iter()
            .filter(move |item| kinds.contains(&text(&item["type"])))
            .map(|item| text(&item["call_id"]))
    };
    let calls = || ids(["function_call", "custom_tool_call"]);
    let outputs = || ids(["function_call_output", "custom_tool_call_output"]);
    for id in calls() {
        if !outputs().any(|output| output == id) {
            wrong.push(Fault::at("input", "", format!("No tool output found for function call {id}.")));
        }
        if calls().filter(|call| *call == id).count() > 1 {
            wrong.push(Fault::at("input", "invalid_value", format!("Duplicate call_id '{id}' in input.")));
        }
    }
    for id in outputs() {
        if !calls().any(|call| call == id) {
            let text = format!("No tool call found for function call output with call_id {id}.");
            wrong.push(Fault::at("input", "", text));
        }
    }
}

fn check_id(item: &Value, prefix: &str, path: &str, wrong: &mut Vec<Fault>) {
    for field in ["id", "call_id"] {
        let id = text(&item[field]);
        if id.len() > MAX_ID {
            wrong.push(Fault::at(
                format!("{path}.{field}"),
                "string_above_max_length",
                format!(
                    "Invalid '{path}.{field}': string too long. Expected a string with maximum length {MAX_ID}, but got a string with length {} instead.",
                    id.len()
                ),
            ));
        }
    }
    let id = text(&item["id"]);
    if item["id"].is_string() && !id.starts_with(prefix) {
        wrong.push(Fault::at(
            format!("{path}.id"),
            "invalid_value",
            format!("Invalid '{path}.id': '{id}'. Expected an ID that begins with '{prefix}'."),
        ));
    }
}

fn check_message(item: &Value, path: &str, wrong: &mut Vec<Fault>) {
    let roles = ["assistant", "system", "developer", "user"];
    let role = text(&item["role"]);
    if !item["role"].is_null() && !roles.contains(&role) {
        wrong.push(invalid_value(&format!("{path}.role"), &item["role"], &roles));
    }
    let content = &item["content"];
    if !Kind::TextOrList.takes(content) {
        wrong.push(invalid_type(&format!("{path}.content"), Kind::TextOrList));
    }
    let parts = if role == "assistant" { OUTPUT_PARTS } else { INPUT_PARTS };
    let silent = list(content).iter().all(|part| text(&part["text"]).is_empty() && part["refusal"].is_null());
    if role == "assistant" && text(content).is_empty() && silent {
        let text = format!("Invalid '{path}.content': an assistant message must not be empty.");
        wrong.push(Fault::at(format!("{path}.content"), "invalid_value", text));
    }
    check_parts(content, parts, &format!("{path}.content"), wrong);
}

fn check_parts(content: &Value, known: &[(&str, &[&str])], path: &str, wrong: &mut Vec<Fault>) {
    for (index, part) in list(content).iter().enumerate() {
        let path = format!("{path}[{index}]");
        let kind = text(&part["type"]);
        let Some((_, fields)) = known.iter().find(|(known, _)| *known == kind) else {
            let known: Vec<_> = known.iter().map(|(kind, _)| *kind).collect();
            wrong.push(invalid_value(&format!("{path}.type"), &part["type"], &known));
            continue;
        };
        unknown(part, fields, &path, wrong);
        let missing = match kind {
            "input_image" => part["image_url"].is_null() && part["file_id"].is_null(),
            "input_text" | "output_text" | "summary_text" => !part["text"].is_string(),
            "refusal" => !part["refusal"].is_string(),
            _ => false,
        };
        if missing {
            wrong.push(missing_parameter(&format!("{path}.{}", fields[1])));
        }
        if !part["image_url"].is_null() && !part["image_url"].is_string() {
            wrong.push(invalid_type(&format!("{path}.image_url"), Kind::Text));
        }
    }
}

fn check_call(item: &Value, kind: &str, path: &str, wrong: &mut Vec<Fault>) {
    let field = if kind == "custom_tool_call" { "input" } else { "arguments" };
    if !item[field].is_string() && !item[field].is_null() {
        wrong.push(invalid_type(&format!("{path}.{field}"), Kind::Text));
    }
    if item["name"].is_string() && !is_plain(text(&item["name"]), 2 * MAX_ID) {
        wrong.push(Fault::at(
            format!("{path}.name"),
            "invalid_value",
            format!(
                "Invalid '{path}.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
            ),
        ));
    }
}
