//! What tools are called on the wire, where a dialect cannot say it as the caller did.
//!
//! Names may be too long or hold characters that a provider refuses, namespaces and free-text tools exist in
//! one dialect only. The way out is a pure function of the name, so that a conversation reads the same on every
//! turn; the way back looks it up among the tools of the request.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::opaque::Fingerprint;
use super::{Block, CallKind, Event, Reply, Start, Tool, ToolKind};

/// Between a namespace and a name.
const SEPARATOR: &str = "__";
/// The property that holds the text of a free-text tool where it is sent as a function.
pub const INPUT: &str = "input";

/// What a dialect can say about tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameRules {
    /// The longest name, in bytes.
    pub longest: usize,
    /// Whether it knows namespaces.
    pub namespaces: bool,
    /// Whether it knows tools that take free text.
    pub custom: bool,
}

/// The names of a request's tools on the wire.
#[derive(Clone, Debug, Default)]
pub struct Names {
    rules: Option<NameRules>,
    /// The tools whose call must be restored: the wire name, and what the caller knows.
    changed: Vec<(String, Known)>,
}

/// What the caller knows a tool by.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    name: String,
    namespace: Option<String>,
    wrapped: bool,
}

impl Names {
    /// The names of these tools under these rules.
    #[must_use]
    pub fn of(tools: &[Tool], rules: NameRules) -> Self {
        let changed = tools
            .iter()
            .filter_map(|tool| {
                let wrapped = !rules.custom && matches!(tool.kind, ToolKind::Custom { .. });
                let wire = wire_name(tool.namespace.as_deref(), &tool.name, rules);
                let known = Known { name: tool.name.clone(), namespace: tool.namespace.clone(), wrapped };
                let as_is = *wire == tool.name && tool.namespace.is_none() && !wrapped;
                (!as_is).then(|| (wire.into_owned(), known))
            })
            .collect();
        Self { rules: Some(rules), changed }
    }

    /// What a tool of this name is called on the wire, also one that is no longer offered.
    #[must_use]
    pub fn wire<'n>(&self, namespace: Option<&str>, name: &'n str) -> Cow<'n, str> {
        match self.rules {
            Some(rules) => wire_name(namespace, name, rules),
            None => Cow::Borrowed(name),
        }
    }

    /// The input of a call as the wire has it: free text is wrapped where the dialect knows only JSON.
    #[must_use]
    pub fn arguments<'a>(&self, kind: CallKind, arguments: &'a str) -> Cow<'a, str> {
        match (kind, self.rules) {
            (CallKind::Custom, Some(NameRules { custom: false, .. })) => {
                Cow::Owned(json!({ INPUT: arguments }).to_string())
            }
            _ => Cow::Borrowed(arguments),
        }
    }

    /// Whether replies need nothing restored.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.changed.is_empty()
    }

    fn known(&self, wire: &str) -> Option<&Known> {
        self.changed.iter().find(|(name, _)| name == wire).map(|(_, known)| known)
    }

    /// Gives the calls of a whole reply the names that the caller knows.
    pub fn restore(&self, reply: &mut Reply) {
        for block in &mut reply.blocks {
            let Block::ToolCall(call) = block else { continue };
            let Some(known) = self.known(&call.name) else { continue };
            known.name.clone_into(&mut call.name);
            call.namespace.clone_from(&known.namespace);
            if known.wrapped {
                call.kind = CallKind::Custom;
                call.arguments = unwrapped(&call.arguments);
            }
        }
    }
}

/// Gives the calls of a streamed reply the names that the caller knows. The input of a wrapped call is held
/// back until it is whole: half an escape cannot be undone.
#[derive(Debug)]
pub struct Restorer {
    names: Names,
    /// Wrapped calls that are under way, by block.
    held: Vec<(usize, String)>,
}

impl Restorer {
    /// For a request with these names.
    #[must_use]
    pub fn new(names: Names) -> Self {
        Self { names, held: Vec::new() }
    }

    /// Passes an event on as the caller knows it.
    pub fn push(&mut self, event: Event, out: &mut Vec<Event>) {
        if self.names.is_plain() {
            out.push(event);
            return;
        }
        match event {
            Event::Start { block, start: Start::ToolCall { id, name, namespace, kind } } => {
                let start = match self.names.known(&name).cloned() {
                    None => Start::ToolCall { id, name, namespace, kind },
                    Some(Known { name, namespace, wrapped }) => {
                        if wrapped {
                            self.held.push((block, String::new()));
                        }
                        let kind = if wrapped { CallKind::Custom } else { kind };
                        Start::ToolCall { id, name, namespace, kind }
                    }
                };
                out.push(Event::Start { block, start });
            }
            Event::Delta { block, text } => match self.held.iter_mut().find(|(held, _)| *held == block) {
                Some((_, whole)) => whole.push_str(&text),
                None => out.push(Event::Delta { block, text }),
            },
            Event::End { block } => {
                if let Some(place) = self.held.iter().position(|(held, _)| *held == block) {
                    let (_, whole) = self.held.swap_remove(place);
                    out.push(Event::Delta { block, text: unwrapped(&whole) });
                }
                out.push(Event::End { block });
            }
            other => out.push(other),
        }
    }
}

/// The free text in a wrapped input; what is not wrapped as it should be is taken as it is.
fn unwrapped(arguments: &str) -> String {
    match serde_json::from_str::<Value>(arguments) {
        Ok(Value::Object(mut fields)) => match fields.remove(INPUT) {
            Some(Value::String(text)) => text,
            _ => arguments.to_owned(),
        },
        _ => arguments.to_owned(),
    }
}

fn wire_name<'n>(namespace: Option<&str>, name: &'n str, rules: NameRules) -> Cow<'n, str> {
    let whole = match namespace {
        Some(namespace) if !rules.namespaces => Cow::Owned(format!("{namespace}{SEPARATOR}{name}")),
        _ => Cow::Borrowed(name),
    };
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if whole.len() <= rules.longest && !whole.is_empty() && whole.as_bytes().iter().all(legal) {
        return whole;
    }
    // The hash keeps names apart that differ only in what is cut off or replaced.
    let hash = format!("_{:08x}", Fingerprint::of(&whole).0 & 0xffff_ffff);
    let mut legal: String = whole
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "_-".contains(letter) { letter } else { '_' })
        .collect();
    legal.truncate(rules.longest.saturating_sub(hash.len()));
    Cow::Owned(legal + &hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAT: NameRules = NameRules { longest: 64, namespaces: false, custom: false };

    #[test]
    fn a_name_that_fits_stays() {
        assert_eq!(wire_name(None, "read_file", CHAT), "read_file");
        assert_eq!(wire_name(Some("files"), "read", CHAT), "files__read");
    }

    #[test]
    fn names_that_do_not_fit_stay_apart() {
        let (a, b) = ("x".repeat(70) + "a", "x".repeat(70) + "b");
        let (a, b) = (wire_name(None, &a, CHAT), wire_name(None, &b, CHAT));
        assert_ne!(a, b);
        assert!(a.len() <= 64 && b.len() <= 64);
        assert_ne!(wire_name(None, "a.b", CHAT), wire_name(None, "a b", CHAT));
    }
}
