//! What tools are called on the wire, where a dialect cannot say it as the caller did.
//!
//! Names may be too long or hold characters that a provider refuses, namespaces and free-text tools exist in
//! one dialect only. The way out is a pure function of the name, so that a conversation reads the same on every
//! turn; the way back looks it up among the tools of the request.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::opaque::Fingerprint;
use super::{Block, CallKind, Event, RawJson, Reply, Start, Tool, ToolKind};

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
    /// How many of them, at the end, have a name of their own only because another tool has theirs.
    apart: usize,
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
        let known = |tool: &Tool| Known {
            name: tool.name.clone(),
            namespace: tool.namespace.clone(),
            wrapped: !rules.custom && matches!(tool.kind, ToolKind::Custom { .. }),
        };
        // Who is called what, those first whose name needs no change: they keep it.
        let mut taken: BTreeMap<Cow<'_, str>, &Tool> = BTreeMap::new();
        let (joined, plain): (Vec<&Tool>, Vec<&Tool>) =
            tools.iter().partition(|tool| tool.namespace.is_some() && !rules.namespaces);
        let mut changed = Vec::new();
        let mut apart = Vec::new();
        for tool in plain.into_iter().chain(joined) {
            let wire = wire_name(tool.namespace.as_deref(), &tool.name, rules);
            let holder = *taken.entry(wire.clone()).or_insert(tool);
            if holder.namespace != tool.namespace && !rules.namespaces {
                let whole = [tool.namespace.as_deref().unwrap_or_default(), &tool.name].join("\0");
                apart.push((hashed(&wire, &whole, rules), known(tool)));
                continue;
            }
            let known = known(tool);
            if *wire != known.name || known.namespace.is_some() || known.wrapped {
                changed.push((wire.into_owned(), known));
            }
        }
        let count = apart.len();
        changed.extend(apart);
        Self { rules: Some(rules), changed, apart: count }
    }

    /// What a tool of this name is called on the wire, also one that is no longer offered.
    #[must_use]
    pub fn wire<'n>(&self, namespace: Option<&str>, name: &'n str) -> Cow<'n, str> {
        let Some(rules) = self.rules else { return Cow::Borrowed(name) };
        let apart = &self.changed[self.changed.len() - self.apart..];
        let own =
            apart.iter().find(|(_, known)| known.name == name && known.namespace.as_deref() == namespace);
        match own {
            Some((wire, _)) => Cow::Owned(wire.clone()),
            None => wire_name(namespace, name, rules),
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
    Cow::Owned(hashed(&whole, &whole, rules))
}

/// A legal name that looks like `shown`, with a hash of `whole`: it keeps names apart that differ only in what is
/// cut off or replaced.
fn hashed(shown: &str, whole: &str, rules: NameRules) -> String {
    let hash = format!("_{:08x}", Fingerprint::of(whole).0 & 0xffff_ffff);
    let mut legal: String = shown
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "_-".contains(letter) { letter } else { '_' })
        .collect();
    legal.truncate(rules.longest.saturating_sub(hash.len()));
    legal + &hash
}

/// What a tool of free text is for, with the grammar of the text in words: for dialects that take JSON only.
#[must_use]
pub fn free_text(description: Option<&str>, format: Option<&RawJson>) -> String {
    let mut words = description.unwrap_or_default().to_owned();
    let format = format.and_then(|format| serde_json::from_str::<Value>(format.0.get()).ok());
    let grammar = format.as_ref().map(|format| match format.get("grammar") {
        Some(inner) if inner.is_object() => inner,
        _ => format,
    });
    if let Some(definition) = grammar.and_then(|grammar| grammar["definition"].as_str()) {
        let syntax = grammar.and_then(|grammar| grammar["syntax"].as_str()).unwrap_or("given");
        words.push_str(if words.is_empty() { "" } else { "\n\n" });
        words.push_str(&format!("`{INPUT}` must follow this {syntax} grammar:\n{definition}"));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::ToolCall;

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

    fn tool(namespace: Option<&str>, name: &str) -> Tool {
        Tool {
            name: name.into(),
            namespace: namespace.map(str::to_owned),
            description: None,
            kind: ToolKind::Function { parameters: None, strict: None },
            deferred: false,
            breakpoint: None,
        }
    }

    #[test]
    fn tools_that_would_be_called_the_same_stay_apart() {
        let tools =
            [tool(Some("a"), "b__c"), tool(None, "a__b__c"), tool(Some("a__b"), "c"), tool(Some("a"), "d")];
        let mut backwards = tools.clone();
        backwards.reverse();
        let names = Names::of(&tools, CHAT);
        let wire = |tool: &Tool| names.wire(tool.namespace.as_deref(), &tool.name).into_owned();
        let wires: Vec<String> = tools.iter().map(wire).collect();
        assert_eq!(
            (wires[1].as_str(), wires[3].as_str()),
            ("a__b__c", "a__d"),
            "only who collides is renamed"
        );
        assert!(wires.iter().enumerate().all(|(place, wire)| !wires[..place].contains(wire)), "{wires:?}");
        let backwards = Names::of(&backwards, CHAT);
        for (tool, wire) in tools.iter().zip(&wires) {
            assert_eq!(backwards.wire(tool.namespace.as_deref(), &tool.name), *wire, "whatever the order");
            let call = ToolCall { name: wire.clone(), ..ToolCall::default() };
            let mut reply = Reply { blocks: vec![Block::ToolCall(call)], ..Reply::default() };
            names.restore(&mut reply);
            let Some(Block::ToolCall(call)) = reply.blocks.pop() else { panic!("the call is gone") };
            assert_eq!((call.name, call.namespace), (tool.name.clone(), tool.namespace.clone()));
        }
    }

    #[test]
    fn the_same_tool_twice_is_one() {
        let names =
            Names::of(&[tool(Some("a"), "b"), tool(Some("a"), "b"), tool(None, "c"), tool(None, "c")], CHAT);
        assert_eq!(names.wire(Some("a"), "b"), "a__b");
        assert_eq!(names.wire(None, "c"), "c");
    }
}
