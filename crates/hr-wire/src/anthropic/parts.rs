//! Blocks of content, to parts of the hub.

use hr_core::catalog::Dialect;
use serde_json::Value;
use serde_json::value::RawValue;

use super::request::borrowed;
use super::types::{CacheControl, WireBlock};
use crate::envelope::BadRequest;
use crate::hub::carrier::{Carried, unpack};
use crate::hub::{
    Breakpoint, Document, DocumentSource, ImageSource, Loss, Opaque, OpaqueKind, Part, Reasoning, ToolCall,
    ToolOutput,
};

/// The parts of a message.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// What is said.
    pub said: Vec<Part>,
    /// The results of tools, each with what belongs to it.
    pub results: Vec<Vec<Part>>,
    /// Tools that are added (true) or removed on the way.
    pub changes: Vec<(String, bool)>,
    /// What got lost.
    pub losses: Vec<Loss>,
    /// Whether what was said last cites something.
    cites: bool,
}

impl Parts {
    /// Takes content: a string or blocks.
    pub(super) fn content(&mut self, content: &str) -> Result<(), BadRequest> {
        if content.starts_with('"') {
            let text: String = borrowed(content)?;
            if !text.is_empty() {
                self.said.push(Part::Text(text));
            }
            return Ok(());
        }
        let blocks: Vec<&RawValue> = borrowed(content)?;
        for (place, text) in blocks.into_iter().enumerate() {
            self.block(text.get()).map_err(|bad| bad.within(&format!("[{place}]")))?;
        }
        Ok(())
    }

    fn block(&mut self, text: &str) -> Result<(), BadRequest> {
        let block: WireBlock<'_> = borrowed(text)?;
        let mark = block.cache_control.as_ref().map(breakpoint);
        if block.kind == "tool_result" {
            let mut result = vec![Part::ToolOutput(self.result(block)?)];
            result.extend(mark);
            self.results.push(result);
            return Ok(());
        }
        let cites = block.cites();
        let Some(part) = self.part(block, text)? else { return Ok(()) };
        match (self.said.last_mut(), part) {
            // A text that cites is cut where a citation begins or ends, in the midst of its sentences.
            (Some(Part::Text(said)), Part::Text(more)) if cites || self.cites => said.push_str(&more),
            (_, part) => self.said.push(part),
        }
        self.cites = cites;
        self.said.extend(mark);
        Ok(())
    }

    fn part(&mut self, block: WireBlock<'_>, text: &str) -> Result<Option<Part>, BadRequest> {
        Ok(match block.kind.as_str() {
            "text" => block.text.filter(|text| !text.is_empty()).map(Part::Text),
            "image" => Some(image(block.source.as_ref())?),
            "document" => {
                let source = document(block.source.as_ref())?;
                if block.citations.as_ref().is_some_and(|citations| citations["enabled"] == true) {
                    self.losses.push(Loss::dropped("messages[].content[].citations"));
                }
                Some(Part::Document(Document { source, title: block.title, context: block.context }))
            }
            "search_result" => Some(Part::Text(search_result(&block)?)),
            "thinking" | "redacted_thinking" => {
                let opaque = opaque(&block);
                let reasoning = Reasoning { text: block.thinking.unwrap_or_default(), opaque };
                let says = !reasoning.text.is_empty() || reasoning.opaque.is_some();
                says.then_some(Part::Reasoning(reasoning))
            }
            "tool_use" => Some(Part::ToolCall(ToolCall {
                id: block.id.unwrap_or_default(),
                name: block.name.unwrap_or_default(),
                arguments: input(block.input),
                ..ToolCall::default()
            })),
            "tool_reference" => block.tool_name.map(Part::ToolReference),
            "tool_addition" | "tool_removal" => self.change(&block),
            "mid_conv_system" => {
                let said = block.text.or_else(|| block.content.map(|content| texts(content).join("\n")));
                said.map(|said| Part::Text(format!("<system-reminder>\n{said}\n</system-reminder>")))
            }
            // Read as a value only here: the API's own blocks are rare and of any shape.
            _ => Some(Part::Other { origin: Dialect::Anthropic, value: borrowed(text)? }),
        })
    }

    /// A tool that comes or goes during the conversation, as a note where it stands.
    fn change(&mut self, block: &WireBlock<'_>) -> Option<Part> {
        let tool = block.tool.as_ref()?;
        let name = tool["name"].as_str().or_else(|| tool["tool_name"].as_str())?;
        let available = block.kind == "tool_addition";
        self.changes.push((name.to_owned(), available));
        self.losses.push(Loss::changed(&format!("messages[].content[].{}", block.kind), "became a note"));
        let note = if available { "is available from here on" } else { "is no longer available" };
        Some(Part::Text(format!("The tool `{name}` {note}.")))
    }

    fn result(&mut self, block: WireBlock<'_>) -> Result<ToolOutput, BadRequest> {
        let mut inner = Self::default();
        if let Some(content) = block.content.filter(|content| content.get() != "null") {
            inner.content(content.get()).map_err(|bad| bad.within("content"))?;
        }
        self.losses.append(&mut inner.losses);
        Ok(ToolOutput {
            call_id: block.tool_use_id.unwrap_or_default(),
            content: inner.said,
            is_error: block.is_error.unwrap_or_default(),
            ..ToolOutput::default()
        })
    }
}

pub(super) fn breakpoint(control: &CacheControl) -> Part {
    Part::Breakpoint(Breakpoint { ttl: control.ttl.clone() })
}

/// The input of a call without the white space between its tokens: models write it so, and a conversation that
/// reads the same is found in caches. Numbers and strings stay as they were written.
pub(super) fn input(input: Option<&RawValue>) -> String {
    let Some(text) = input.map(RawValue::get) else { return "{}".to_owned() };
    let (mut in_string, mut escaped) = (false, false);
    let kept = |letter: &char| {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = in_string,
            '"' => in_string = !in_string,
            _ => {}
        }
        in_string || !letter.is_ascii_whitespace()
    };
    text.chars().filter(kept).collect()
}

/// What only its issuer can read of a block of reasoning; what we carried for another comes out as it was.
pub(super) fn opaque(block: &WireBlock<'_>) -> Option<Opaque> {
    let (field, kind) = match block.kind.as_str() {
        "redacted_thinking" => (block.data.as_deref()?, OpaqueKind::Redacted),
        _ => (block.signature.as_deref()?, OpaqueKind::Signature),
    };
    match unpack(field) {
        Carried::Native(data) if data.is_empty() => None,
        Carried::Native(data) => Some(Opaque { origin: Dialect::Anthropic, kind, id: None, data }),
        Carried::Ours(opaque) => opaque,
    }
}

fn image(source: Option<&Value>) -> Result<Part, BadRequest> {
    let source = match Source::of(source) {
        Source::Base64(media_type, data) => ImageSource::Base64 { media_type, data },
        Source::Url(url) => ImageSource::Url(url),
        _ => return Err(not_here("image")),
    };
    Ok(Part::Image { source, detail: None })
}

fn document(source: Option<&Value>) -> Result<DocumentSource, BadRequest> {
    Ok(match Source::of(source) {
        Source::Base64(media_type, data) => DocumentSource::Base64 { media_type, data },
        Source::Url(url) => DocumentSource::Url(url),
        Source::Text(text) => DocumentSource::Text(text),
        Source::Elsewhere => return Err(not_here("document")),
    })
}

fn not_here(what: &str) -> BadRequest {
    let words =
        format!("this {what} lies where only its own provider can read it; send it as base64 or by a url");
    BadRequest::about("source", words).code("unsupported_value")
}

/// Where something is.
enum Source {
    Base64(String, String),
    Url(String),
    Text(String),
    /// Uploaded before, which helps its own provider only, or in a form that is not known.
    Elsewhere,
}

impl Source {
    fn of(source: Option<&Value>) -> Self {
        let member =
            |name: &str| source.and_then(|source| source[name].as_str()).unwrap_or_default().to_owned();
        match member("type").as_str() {
            "base64" => Self::Base64(member("media_type"), member("data")),
            "url" => Self::Url(member("url")),
            "text" => Self::Text(member("data")),
            "content" => match source.map(|source| &source["content"]) {
                Some(Value::String(text)) => Self::Text(text.clone()),
                Some(Value::Array(blocks)) if blocks.iter().all(|block| block["type"] == "text") => {
                    Self::Text(
                        blocks
                            .iter()
                            .filter_map(|block| block["text"].as_str())
                            .collect::<Vec<_>>()
                            .join("\n"),
                    )
                }
                _ => Self::Elsewhere,
            },
            _ => Self::Elsewhere,
        }
    }
}

/// A search result as text: where it comes from, its title, what it says.
fn search_result(block: &WireBlock<'_>) -> Result<String, BadRequest> {
    let source = block.source.as_ref().and_then(Value::as_str).map(str::to_owned);
    let said = block.content.map(texts).unwrap_or_default();
    Ok(source.into_iter().chain(block.title.clone()).chain(said).collect::<Vec<_>>().join("\n"))
}

/// The texts among blocks, or the one string.
fn texts(content: &RawValue) -> Vec<String> {
    match borrowed::<Value>(content.get()) {
        Ok(Value::String(text)) => vec![text],
        Ok(Value::Array(blocks)) => {
            blocks.iter().filter_map(|block| block["text"].as_str()).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}
