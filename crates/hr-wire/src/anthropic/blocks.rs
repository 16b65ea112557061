//! Parts of the hub, written as blocks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hr_core::catalog::Dialect;
use serde_json::{Value, json};

use crate::dialect::Outgoing;
use crate::hub::{
    Breakpoint, Document, DocumentSource, ImageSource, LONGEST_ID, Loss, Names, OpaqueKind, Part, Reasoning,
    ToolCall, ToolOutput, legal_id,
};
use crate::json::Kind;
use crate::patch;

/// The types of images that are taken, with what their bytes begin with, in base64.
const IMAGES: [(&str, &str); 4] =
    [("image/png", "iVBORw0KGgo"), ("image/jpeg", "/9j/"), ("image/gif", "R0lGOD"), ("image/webp", "UklGR")];
const PDF: &str = "application/pdf";

/// A block as JSON text, and whether what comes before it is worth caching.
pub(super) struct Written {
    text: String,
    /// The words, where it is nothing but text.
    words: Option<String>,
    /// Whether it may carry a mark.
    markable: bool,
    /// The mark.
    pub mark: Option<Breakpoint>,
    /// What it only notes the absence of.
    pub left_out: Option<&'static str>,
}

impl Written {
    /// A block that was written.
    pub(super) fn of(text: String) -> Self {
        Self { text, words: None, markable: true, mark: None, left_out: None }
    }

    /// A block of text.
    pub(super) fn text(words: &str) -> Self {
        Self { words: Some(words.to_owned()), ..Self::of(json!({"type": "text", "text": words}).to_string()) }
    }

    /// A note in the place of what is not taken here.
    fn note(what: &'static str) -> Self {
        let words = format!("[{what} left out: it is not taken here]");
        Self { left_out: Some(what), ..Self::text(&words) }
    }

    /// Whether it says just this.
    pub(super) fn says(&self, words: &str) -> bool {
        self.words.as_deref() == Some(words)
    }

    /// The same with this mark.
    pub(super) fn marked(self, mark: Option<Breakpoint>) -> Self {
        Self { mark, ..self }
    }

    /// Instructions among the words of the person.
    pub(super) fn into_reminder(self) -> Self {
        match self.words {
            Some(words) => Self {
                mark: self.mark,
                ..Self::text(&format!("<system-reminder>\n{words}\n</system-reminder>"))
            },
            None => self,
        }
    }

    /// Takes off white space at the end of text.
    pub(super) fn trim_end(&mut self) {
        if let Some(words) = &self.words
            && !words.trim_end().is_empty()
            && words.trim_end().len() < words.len()
        {
            let trimmed = Self::text(words.trim_end());
            *self = Self { mark: self.mark.take(), ..trimmed };
        }
    }

    /// The block with its mark.
    pub(super) fn finish(&self) -> String {
        match (&self.mark, self.text.strip_suffix('}')) {
            // A block of the API's own brings its mark along.
            (Some(mark), Some(open))
                if self.markable && patch::field(&self.text, "cache_control").is_none() =>
            {
                let mut control = json!({"type": "ephemeral"});
                if let Some(ttl) = &mark.ttl {
                    control["ttl"] = json!(ttl);
                }
                format!("{open},\"cache_control\":{control}}}")
            }
            _ => self.text.clone(),
        }
    }
}

/// Writes a part; nothing when it has no place here.
pub(super) fn write(
    part: &Part,
    names: &Names,
    outgoing: &Outgoing<'_>,
    losses: &mut Vec<Loss>,
) -> Option<Written> {
    let mut lose = |loss: Loss| {
        if !losses.contains(&loss) {
            losses.push(loss);
        }
    };
    match part {
        // The API refuses text of nothing but white space.
        Part::Text(text) | Part::Refusal(text) => (!text.trim().is_empty()).then(|| Written::text(text)),
        Part::Image { source, detail } => Some(match image(source) {
            Some(block) => {
                if detail.as_deref().is_some_and(|detail| !matches!(detail, "auto" | "high")) {
                    lose(Loss::dropped("messages[].content[].image.detail"));
                }
                Written::of(block.to_string())
            }
            None => {
                lose(Loss::dropped("messages[].content[].image"));
                Written::note("image")
            }
        }),
        Part::Document(document) => Some(match write_document(document) {
            Some(block) => Written::of(block.to_string()),
            None => {
                lose(Loss::dropped("messages[].content[].document"));
                Written::note("document")
            }
        }),
        Part::Audio { .. } => {
            lose(Loss::dropped("messages[].content[].audio"));
            Some(Written::note("sound"))
        }
        Part::Reasoning(reasoning) => {
            let block = thinking(reasoning, outgoing);
            if block.is_none() {
                lose(Loss::dropped("messages[].reasoning"));
            }
            block.map(|block| Written { markable: false, ..Written::of(block.to_string()) })
        }
        Part::ToolCall(call) => Some(Written::of(tool_use(call, names))),
        Part::ToolOutput(output) => Some(Written::of(tool_result(output, names, outgoing, losses))),
        Part::ToolReference(name) => Some(Written::text(&format!("Tools now available: {name}"))),
        Part::Other { origin: Dialect::Anthropic, value } => Some(Written::of(value.to_string())),
        Part::Other { value, .. } => {
            let kind = value["type"].as_str().unwrap_or("part");
            lose(Loss::dropped(&format!("messages[].content[].{kind}")));
            None
        }
        Part::Breakpoint(_) => None,
    }
}

/// An image: its type is what its bytes say, since callers are often wrong about it.
fn image(source: &ImageSource) -> Option<Value> {
    let (named, data) = match source {
        ImageSource::Url(url) => match url.strip_prefix("data:") {
            None => return Some(json!({"type": "image", "source": {"type": "url", "url": url}})),
            Some(inline) => inline.split_once(',')?,
        },
        ImageSource::Base64 { media_type, data } => (media_type.as_str(), data.as_str()),
    };
    let data: String = data.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
    let named = match plain_type(named).as_str() {
        "image/jpg" => "image/jpeg".to_owned(),
        other => other.to_owned(),
    };
    let by_bytes = IMAGES.iter().find(|(_, start)| data.starts_with(start));
    let media_type =
        by_bytes.or_else(|| IMAGES.iter().find(|(kind, _)| *kind == named)).map(|(kind, _)| *kind)?;
    Some(json!({"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}))
}

/// A media type without its parameters, in lower case.
fn plain_type(media_type: &str) -> String {
    media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

fn write_document(document: &Document) -> Option<Value> {
    let of_text = |text: &str| json!({"type": "text", "media_type": "text/plain", "data": text});
    let source = match &document.source {
        DocumentSource::Url(url) => json!({"type": "url", "url": url}),
        DocumentSource::Text(text) => of_text(text),
        DocumentSource::Base64 { media_type, data } => {
            let data: String = data.chars().filter(|letter| !letter.is_ascii_whitespace()).collect();
            match plain_type(media_type).as_str() {
                PDF => json!({"type": "base64", "media_type": PDF, "data": data}),
                kind if kind.starts_with("text/") || kind == "application/json" => {
                    of_text(&String::from_utf8(STANDARD.decode(&data).ok()?).ok()?)
                }
                _ => return None,
            }
        }
        DocumentSource::File(_) => return None,
    };
    let mut block = json!({"type": "document", "source": source});
    for (key, value) in [("title", &document.title), ("context", &document.context)] {
        if let Some(value) = value {
            block[key] = json!(value);
        }
    }
    Some(block)
}

/// Reasoning goes back only as it was signed, and only to who signed it.
fn thinking(reasoning: &Reasoning, outgoing: &Outgoing<'_>) -> Option<Value> {
    let opaque = reasoning.opaque.as_ref()?;
    if opaque.origin != Dialect::Anthropic || !outgoing.may_send(opaque) {
        return None;
    }
    match opaque.kind {
        OpaqueKind::Signature => {
            Some(json!({"type": "thinking", "thinking": reasoning.text, "signature": opaque.data}))
        }
        OpaqueKind::Redacted => Some(json!({"type": "redacted_thinking", "data": opaque.data})),
        OpaqueKind::Encrypted | OpaqueKind::Beside => None,
    }
}

fn tool_use(call: &ToolCall, names: &Names) -> String {
    let id = legal_id(&call.id, LONGEST_ID);
    let name = names.wire(call.namespace.as_deref(), &call.name);
    let input = input(&names.arguments(call.kind, &call.arguments));
    format!("{{\"type\":\"tool_use\",\"id\":{},\"name\":{},\"input\":{input}}}", json!(id), json!(name))
}

/// The input of a call as JSON text of an object, whatever was sent.
pub(super) fn input(arguments: &str) -> String {
    let text = arguments.trim();
    if matches!(text, "" | "null") {
        return "{}".to_owned();
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) if patch::kind(text) == Some(Kind::Object) => text.to_owned(),
        Ok(_) => format!("{{\"value\":{text}}}"),
        Err(_) => json!({ "INVALID_JSON": arguments }).to_string(),
    }
}

fn tool_result(
    output: &ToolOutput,
    names: &Names,
    outgoing: &Outgoing<'_>,
    losses: &mut Vec<Loss>,
) -> String {
    let mut found: Vec<&str> = Vec::new();
    let mut content: Vec<Written> = Vec::with_capacity(output.content.len());
    for part in &output.content {
        match part {
            Part::ToolReference(name) => found.push(name),
            part => content.extend(write(part, names, outgoing, losses)),
        }
    }
    if !found.is_empty() {
        content.push(Written::text(&format!("Tools now available: {}", found.join(", "))));
    }
    let id = json!(legal_id(&output.call_id, LONGEST_ID));
    let error = if output.is_error { ",\"is_error\":true" } else { "" };
    let content = match content.as_slice() {
        // A failure must say something.
        [] if output.is_error => ",\"content\":\"(no output)\"".to_owned(),
        [] => String::new(),
        [Written { words: Some(words), .. }] => format!(",\"content\":{}", json!(words)),
        blocks => {
            let blocks: Vec<String> = blocks.iter().map(|block| block.text.clone()).collect();
            format!(",\"content\":[{}]", blocks.join(","))
        }
    };
    format!("{{\"type\":\"tool_result\",\"tool_use_id\":{id}{content}{error}}}")
}
