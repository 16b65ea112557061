//! What must be known of earlier replies: who issued the opaque things in them, and what a caller could not
//! carry in its own dialect.
//!
//! An opaque thing (a signature, encrypted reasoning) is of use to its issuer only, and must not be shown to
//! another account. Tools are called in turns, and some providers refuse a turn that comes back without the
//! reasoning before it, which many clients drop; it is known here by the ids of the calls.

use std::sync::Arc;
use std::time::Duration;

use hr_core::pool::Member;
use hr_core::route::{Candidate, Roster};
use hr_core::secret::KeyId;
use hr_core::time::Millis;
use hr_wire::hub::{CallKind, Fingerprint, Message, Part, Reasoning, Request, Role, ToolCall};
use hr_wire::lane::Keepsake;
use parking_lot::Mutex;
use serde_json::{Map, Value};

use super::caller::CallerId;
use super::shelf::Shelf;

/// How many opaque things are remembered.
const MOST_ISSUED: usize = 64 * 1024;
/// The most bytes of what callers could not carry.
const MOST_KEPT: usize = 32 * 1024 * 1024;
/// How long either is remembered after it was last asked for: a conversation may rest over night.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
/// What an entry costs beside its texts.
const ENTRY_BYTES: usize = 256;

/// Who issued what, and what belongs to which call.
pub struct Memory {
    issuers: Mutex<Shelf<Fingerprint, Arc<KeyId>>>,
    kept: Mutex<Shelf<(CallerId, String), Arc<Keepsake>>>,
}

impl Memory {
    /// Nothing is known.
    #[must_use]
    pub fn new() -> Self {
        Self {
            issuers: Mutex::new(Shelf::new(MOST_ISSUED, REMEMBERED)),
            kept: Mutex::new(Shelf::new(MOST_KEPT, REMEMBERED)),
        }
    }

    /// Notes that this key issued these.
    pub fn issued(&self, now: Millis, issuer: &KeyId, things: &[Fingerprint]) {
        if things.is_empty() {
            return;
        }
        let issuer = Arc::new(issuer.clone());
        let mut issuers = self.issuers.lock();
        for thing in things {
            issuers.put(now, *thing, Arc::clone(&issuer), 1);
        }
    }

    /// Who issued these, in their order.
    #[must_use]
    pub fn issuers(&self, now: Millis, things: &[Fingerprint]) -> Vec<(Fingerprint, Option<Arc<KeyId>>)> {
        if things.is_empty() {
            return Vec::new();
        }
        let mut issuers = self.issuers.lock();
        things.iter().map(|thing| (*thing, issuers.renew(now, thing))).collect()
    }

    /// Keeps for a caller what it must be given back with a turn.
    pub fn keep(&self, now: Millis, caller: CallerId, keepsake: Keepsake) {
        let weight = weight(&keepsake);
        let keepsake = Arc::new(keepsake);
        let mut kept = self.kept.lock();
        // Clients send all calls of a turn or none, but in an order of their own.
        for call in &keepsake.calls {
            kept.put(now, (caller, call.id.clone()), Arc::clone(&keepsake), weight);
        }
    }

    /// Gives a conversation back what its caller could not carry. Returns the opaque things among it.
    pub fn recall(&self, now: Millis, caller: CallerId, request: &mut Request) -> Vec<Fingerprint> {
        let mut opaque = Vec::new();
        for message in request.messages.iter_mut().filter(|message| message.role == Role::Assistant) {
            let Some(id) = first_call(message) else { continue };
            let found = self.kept.lock().renew(now, &(caller, id));
            if let Some(keepsake) = found.filter(|keepsake| is_of(message, keepsake)) {
                give_back(message, &keepsake, &mut opaque);
            }
        }
        opaque
    }
}

/// The opaque things that somebody else issued than this candidate, in ascending order; also those of an unknown
/// issuer, where several could be it.
#[must_use]
pub fn foreign_to(
    candidate: Candidate,
    roster: &Roster,
    issued: &[(Fingerprint, Option<Arc<KeyId>>)],
) -> Vec<Fingerprint> {
    if issued.is_empty() {
        return Vec::new();
    }
    let member = roster.member(candidate);
    let likes = |other: &&Member| other.provider.dialect == member.provider.dialect && other.off.is_none();
    let keys: usize = roster.pool.members.iter().filter(likes).map(|member| member.keys.len()).sum();
    let key = &member.keys[candidate.key].id;
    let is_foreign = |issuer: &Option<Arc<KeyId>>| match issuer {
        Some(issuer) => **issuer != *key,
        None => keys > 1,
    };
    let foreign = issued.iter().filter(|(_, issuer)| is_foreign(issuer));
    let mut foreign: Vec<Fingerprint> = foreign.map(|(thing, _)| *thing).collect();
    foreign.sort_unstable();
    foreign
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

fn first_call(message: &Message) -> Option<String> {
    message.parts.iter().find_map(|part| match part {
        Part::ToolCall(call) => Some(call.id.clone()),
        _ => None,
    })
}

/// Whether a turn is the one that a keepsake was kept for, and not one of another conversation whose calls have the
/// same ids: some providers only number them.
fn is_of(message: &Message, keepsake: &Keepsake) -> bool {
    message.parts.iter().all(|part| {
        let Part::ToolCall(call) = part else { return true };
        let known = keepsake.calls.iter().find(|known| known.id == call.id);
        known.is_none_or(|known| call.kind != CallKind::Function || same(&known.arguments, &call.arguments))
    })
}

/// Whether arguments say the same. Clients may write them anew, and blank ones stand for none.
fn same(one: &str, other: &str) -> bool {
    let read = |text: &str| match text.trim() {
        "" => Ok(Value::Object(Map::new())),
        text => serde_json::from_str::<Value>(text),
    };
    match (read(one), read(other)) {
        (Ok(one), Ok(other)) => alike(&one, &other),
        _ => one == other,
    }
}

/// Equality of values, but that a number may be written as a whole one or with a fraction.
fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let has =
                |(key, value): (&String, &Value)| other.get(key).is_some_and(|there| alike(value, there));
            one.len() == other.len() && one.iter().all(has)
        }
        _ => one == other,
    }
}

/// Puts a keepsake where it belongs, unless the caller did carry its like.
fn give_back(message: &mut Message, keepsake: &Keepsake, opaque: &mut Vec<Fingerprint>) {
    for part in &mut message.parts {
        let Part::ToolCall(call) = part else { continue };
        let known = keepsake.calls.iter().find(|known| known.id == call.id);
        if let (None, Some(beside)) = (&call.opaque, known.and_then(|known| known.opaque.as_ref())) {
            opaque.push(beside.fingerprint());
            call.opaque = Some(beside.clone());
        }
    }
    let carried = message.parts.iter().filter_map(|part| match part {
        Part::Reasoning(thought) => Some(thought),
        _ => None,
    });
    if carries_nothing_else(carried, &keepsake.reasoning) {
        message.parts.retain(|part| !matches!(part, Part::Reasoning(_)));
        opaque.extend(
            keepsake.reasoning.iter().filter_map(|thought| Some(thought.opaque.as_ref()?.fingerprint())),
        );
        message.parts.splice(0..0, keepsake.reasoning.iter().cloned().map(Part::Reasoning));
    }
}

/// Whether a caller carried no reasoning, or only the words of this one. Where it carried others, those hold.
fn carries_nothing_else<'a>(carried: impl Iterator<Item = &'a Reasoning>, kept: &[Reasoning]) -> bool {
    // Dialects put different blanks between thoughts.
    fn letters(thought: &Reasoning) -> impl Iterator<Item = char> {
        thought.text.chars().filter(|letter| !letter.is_whitespace())
    }
    let carried: Vec<&Reasoning> = carried.collect();
    let is_sealed = carried.iter().any(|thought| thought.opaque.is_some());
    let words = carried.iter().flat_map(|thought| letters(thought));
    carried.is_empty() || (!is_sealed && words.eq(kept.iter().flat_map(letters)))
}

fn weight(keepsake: &Keepsake) -> usize {
    let opaque =
        |opaque: &Option<hr_wire::hub::Opaque>| opaque.as_ref().map_or(0, |opaque| opaque.data.len());
    let thoughts: usize =
        keepsake.reasoning.iter().map(|thought| thought.text.len() + opaque(&thought.opaque)).sum();
    // Its id is also what a call is found by.
    let text = |call: &ToolCall| 3 * call.id.len() + call.name.len() + call.arguments.len();
    let calls: usize = keepsake.calls.iter().map(|call| text(call) + opaque(&call.opaque)).sum();
    ENTRY_BYTES + thoughts + calls
}

#[cfg(test)]
mod tests {
    use hr_core::catalog::Dialect;
    use hr_core::secret::Secret;
    use hr_wire::hub::{Extras, Opaque, OpaqueKind};

    use super::super::caller::Callers;
    use super::*;

    fn caller(key: &str) -> CallerId {
        let headers = [(http::header::AUTHORIZATION, key.parse().unwrap())].into_iter().collect();
        Callers::new(&[Secret::new(key)]).admit(&headers).unwrap()
    }

    fn turn() -> Request {
        let call = ToolCall { id: "call_1".into(), name: "look".into(), ..ToolCall::default() };
        let message = Message {
            role: Role::Assistant,
            name: None,
            parts: vec![Part::Text("let me see".into()), Part::ToolCall(call)],
            extras: Extras::default(),
        };
        Request { messages: vec![message], ..Request::default() }
    }

    #[test]
    fn a_turn_gets_its_reasoning_back_from_its_own_caller_only() {
        let memory = Memory::new();
        let thought = Reasoning { text: "hm".into(), opaque: None };
        let call = ToolCall { id: "call_1".into(), ..ToolCall::default() };
        let keepsake = Keepsake { reasoning: vec![thought.clone()], calls: vec![call] };
        memory.keep(Millis(0), caller("sk-one"), keepsake);
        let (mut ours, mut others) = (turn(), turn());
        memory.recall(Millis(1), caller("sk-one"), &mut ours);
        memory.recall(Millis(1), caller("sk-two"), &mut others);
        assert_eq!(ours.messages[0].parts[0], Part::Reasoning(thought));
        assert_eq!(ours.messages[0].parts.len(), 3);
        assert_eq!(others, turn());
        // Who carries the words gets back what was beside them; other words stay as they are.
        let seal =
            Opaque { origin: Dialect::Anthropic, kind: OpaqueKind::Signature, id: None, data: "seal".into() };
        let sealed = |text: &str| Reasoning { text: text.into(), opaque: Some(seal.clone()) };
        let call = ToolCall { id: "call_1".into(), ..ToolCall::default() };
        let keepsake = Keepsake { reasoning: vec![sealed("so"), sealed("be it")], calls: vec![call] };
        memory.keep(Millis(2), caller("sk-one"), keepsake);
        for (carried, is_given_back) in [("so\n\nbe it", true), ("my own", false)] {
            let mut turn = turn();
            let thought = Reasoning { text: carried.into(), opaque: None };
            turn.messages[0].parts.insert(0, Part::Reasoning(thought.clone()));
            memory.recall(Millis(3), caller("sk-one"), &mut turn);
            let first = if is_given_back { sealed("so") } else { thought };
            assert_eq!(turn.messages[0].parts[0], Part::Reasoning(first), "{carried}");
            assert_eq!(turn.messages[0].parts.len(), if is_given_back { 4 } else { 3 });
        }
    }

    #[test]
    fn a_turn_with_the_same_ids_and_other_arguments_gets_nothing() {
        let thought = Reasoning { text: "hm".into(), opaque: None };
        let called = |arguments: &str| ToolCall {
            id: "call_1".into(),
            name: "look".into(),
            arguments: arguments.into(),
            ..ToolCall::default()
        };
        for (issued, carried, is_it) in [
            (r#"{"path":"a","depth":1.0}"#, r#"{ "depth": 1, "path": "a" }"#, true),
            ("", "{}", true),
            (r#"{"path":"a"}"#, r#"{"path":"b"}"#, false),
            (r#"{"path":"a"}"#, "{}", false),
            (r#"{"path":"a"}"#, r#"{"path":"a"#, false),
        ] {
            let memory = Memory::new();
            let keepsake = Keepsake { reasoning: vec![thought.clone()], calls: vec![called(issued)] };
            memory.keep(Millis(0), caller("sk-one"), keepsake);
            let mut turn = turn();
            turn.messages[0].parts[1] = Part::ToolCall(called(carried));
            memory.recall(Millis(1), caller("sk-one"), &mut turn);
            assert_eq!(turn.messages[0].parts[0] == Part::Reasoning(thought.clone()), is_it, "{carried}");
        }
    }

    #[test]
    fn an_issuer_is_known_until_it_was_not_asked_for_long() {
        let memory = Memory::new();
        let (key, thing) = (KeyId::account("a"), Fingerprint::of("sig"));
        memory.issued(Millis(0), &key, &[thing]);
        let asked = |now| memory.issuers(now, &[thing])[0].1.clone();
        assert_eq!(asked(Millis(1)).as_deref(), Some(&key));
        assert_eq!(asked(Millis(0).after(REMEMBERED)).as_deref(), Some(&key));
        assert_eq!(asked(Millis(0).after(REMEMBERED * 3)), None);
    }
}
