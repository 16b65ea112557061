//! Which conversation a request belongs to, so that its turns can stay where their prefix is cached.
//!
//! Clients say it in headers or fields of their own; for all others it is how the conversation begins, which each
//! of its turns repeats. It is a number that says nothing of either, and one caller's never meet another's.

use std::hash::{DefaultHasher, Hash, Hasher};

use hr_core::route::Work;
use hr_wire::envelope::Envelope;
use hr_wire::json::{Cursor, Kind, Syntax, head};
use http::header::{HeaderMap, HeaderValue};
use serde::Deserialize;

use super::caller::CallerId;
use super::endpoint::Endpoint;

/// How a caller names a conversation to us; and how known agents name theirs to anybody, the surest first.
const NAMES: [&str; 6] = [
    "x-hermes-session-affinity",
    "x-claude-code-session-id",
    "session-id",
    "session_id",
    "thread-id",
    "conversation_id",
];
/// The longest name of a conversation.
const LONGEST_NAME: usize = 200;
/// How much of each text at the beginning is looked at; its length counts too.
const TEXT_HEAD: usize = 1024;
/// Within so many bytes most conversations have had their first two turns.
const USUAL_START: usize = 16 * 1024;
/// How many texts at the beginning are looked at.
const MOST_TEXTS: usize = 16;

/// A conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// Tells it from others.
    pub key: u64,
    /// Whether it begins with this request, as far as is known: nothing of it is cached anywhere. Requests that only
    /// happen to be alike begin alike too.
    pub begins: bool,
}

/// The conversation that a request belongs to.
#[must_use]
pub fn of(caller: CallerId, headers: &HeaderMap, endpoint: Endpoint, body: &Envelope) -> Option<Session> {
    if endpoint.work() != Work::Chat {
        return None;
    }
    let hasher = |kind: &str| {
        // Only this process ever compares them, and nobody else can see them.
        let mut hasher = DefaultHasher::new();
        (caller.number(), kind).hash(&mut hasher);
        hasher
    };
    let key = |kind: &str, name: &str| {
        let mut hasher = hasher(kind);
        name.hash(&mut hasher);
        hasher.finish()
    };
    let named = |kind: &str, name: &str| Session { key: key(kind, name), begins: false };
    let [chosen, others @ ..] = names(headers);
    if let Some(chosen) = chosen.and_then(|value| value.to_str().ok()).filter(|it| is_name(it)) {
        return Some(named("chosen", chosen));
    }
    let header = |value: &HeaderValue| {
        let value = value.to_str().ok()?.trim();
        (1..=LONGEST_NAME).contains(&value.len()).then(|| named("header", value))
    };
    let found = others.into_iter().flatten().find_map(header);
    found.or_else(|| field(body).map(|name| named("field", &name))).or_else(|| {
        let start = Start::read(body, hasher("start"))?;
        Some(Session { key: start.texts.finish(), begins: !start.goes_on })
    })
}

/// The headers of [`NAMES`], in one walk over all.
fn names(headers: &HeaderMap) -> [Option<&HeaderValue>; NAMES.len()] {
    let mut found = [None; NAMES.len()];
    for (name, value) in headers {
        if let Some(place) = NAMES.iter().position(|known| *known == name.as_str()) {
            found[place].get_or_insert(value);
        }
    }
    found
}

/// Whether a caller may name a conversation so.
fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte);
    (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(fits)
}

/// What agents write into the body for caches.
fn field(body: &Envelope) -> Option<String> {
    let string = |key: &str| body.get(key).and_then(|value| serde_json::from_str::<String>(value).ok());
    let of_user = || {
        #[derive(Deserialize)]
        struct Metadata {
            user_id: String,
        }
        #[derive(Deserialize)]
        struct User {
            session_id: String,
        }
        let user = serde_json::from_str::<Metadata>(body.get("metadata")?).ok()?.user_id;
        // The whole of it names the user, who has many conversations.
        match serde_json::from_str::<User>(&user) {
            Ok(User { session_id }) => Some(session_id),
            Err(_) => user.split_once("_session_").map(|(_, session)| session.to_owned()),
        }
    };
    of_user().or_else(|| string("prompt_cache_key")).filter(|name| !name.is_empty())
}

/// How a conversation begins: what the system says, and the first words of the user.
struct Start {
    texts: DefaultHasher,
    count: usize,
    seen_user: bool,
    goes_on: bool,
}

/// Why a walk ends.
enum Stop {
    Enough,
    Broken,
}

impl From<Syntax> for Stop {
    fn from(_: Syntax) -> Self {
        Self::Broken
    }
}

impl Start {
    fn read(body: &Envelope, texts: DefaultHasher) -> Option<Self> {
        // What is cut off in the middle cannot be walked; then all of it is needed.
        Self::of(|key| body.beginning(key, USUAL_START), texts.clone())
            .or_else(|| Self::of(|key| body.get(key), texts))
    }

    fn of<'b>(value: impl Fn(&str) -> Option<&'b str>, texts: DefaultHasher) -> Option<Self> {
        let mut start = Self { texts, count: 0, seen_user: false, goes_on: false };
        for key in ["system", "instructions"] {
            if let Some(said) = value(key) {
                start.content(&mut Cursor::new(said)).ok()?;
            }
        }
        let turns = value("messages").or_else(|| value("input")).or_else(|| value("prompt"))?;
        let mut cursor = Cursor::new(turns);
        if cursor.kind().ok()? == Kind::Array {
            let walked = cursor.items(|cursor, _| {
                if start.seen_user {
                    start.goes_on = true;
                    return Err(Stop::Enough);
                }
                start.turn(cursor)
            });
            if matches!(walked, Err(Stop::Broken)) {
                return None;
            }
        } else {
            start.seen_user = true;
            start.content(&mut cursor).ok()?;
        }
        start.seen_user.then_some(start)
    }

    /// One turn: its role, and what is said.
    fn turn(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        let mut is_user = false;
        cursor.fields(|cursor, name| {
            if name.is("role") && cursor.kind()? == Kind::String {
                let role = cursor.string()?;
                is_user = role.is("user");
            } else if name.is("content") {
                self.content(cursor)?;
            }
            Ok::<(), Stop>(())
        })?;
        self.seen_user |= is_user;
        Ok(())
    }

    /// What is said: a text, or parts. Only their texts count: clients move marks for caches from part to part, and
    /// write a text as one part or as itself.
    fn content(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        match cursor.kind()? {
            Kind::String => self.text(cursor.string()?.raw),
            Kind::Array => cursor.items(|cursor, _| match cursor.kind()? {
                Kind::Object => cursor.fields(|cursor, name| {
                    if name.is("text") && cursor.kind()? == Kind::String {
                        self.text(cursor.string()?.raw);
                    }
                    Ok::<(), Stop>(())
                }),
                _ => Ok(()),
            })?,
            _ => {
                cursor.skip()?;
            }
        }
        Ok(())
    }

    fn text(&mut self, raw: &str) {
        if self.count < MOST_TEXTS {
            self.count += 1;
            (head(raw, TEXT_HEAD), raw.len()).hash(&mut self.texts);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hr_core::secret::Secret;
    use serde_json::{Value, json};

    use super::*;
    use crate::gate::caller::Callers;

    fn caller(key: &str) -> CallerId {
        let mut headers = HeaderMap::new();
        headers.insert("x-api-key", key.parse().unwrap());
        Callers::new(&[Secret::new(key)]).admit(&headers).unwrap()
    }

    fn session(headers: &[(&'static str, &str)], endpoint: Endpoint, body: &Value) -> Option<Session> {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let body = Envelope::read(Bytes::from(body.to_string())).unwrap();
        of(caller("sk-one"), &headers.collect(), endpoint, &body)
    }

    fn chat(texts: &[&str]) -> Value {
        let roles = ["user", "assistant"].into_iter().cycle();
        let turns = roles.zip(texts).map(|(role, text)| json!({ "role": role, "content": text }));
        json!({ "messages": turns.collect::<Vec<_>>() })
    }

    #[test]
    fn turns_of_one_conversation_are_known_by_how_it_begins() {
        let first = session(&[], Endpoint::Chat, &chat(&["hi"])).unwrap();
        let second = session(&[], Endpoint::Chat, &chat(&["hi", "hello", "and?"])).unwrap();
        let third = session(&[], Endpoint::Chat, &chat(&["hi", "hello", "and?", "so", "on"])).unwrap();
        assert!(first.begins && !second.begins && !third.begins);
        assert_eq!((first.key, second.key), (second.key, third.key));
        let other = session(&[], Endpoint::Chat, &chat(&["ho", "hello", "and?"])).unwrap();
        assert_ne!(other.key, first.key);
        let body = Envelope::read(Bytes::from(chat(&["hi"]).to_string())).unwrap();
        let stranger = of(caller("sk-two"), &HeaderMap::new(), Endpoint::Chat, &body).unwrap();
        assert_ne!(stranger.key, first.key, "of another caller");
    }

    #[test]
    fn marks_for_caches_and_the_shape_of_a_text_do_not_matter() {
        let block = json!({ "type": "text", "text": "hi", "cache_control": { "type": "ephemeral" } });
        let marked = json!({ "system": [block], "messages": [{ "role": "user", "content": [block] }] });
        let plain = json!({ "system": "hi", "messages": [
            { "role": "user", "content": "hi" }, { "role": "assistant", "content": "ho" }
        ] });
        let key = |body: &Value| session(&[], Endpoint::Messages, body).unwrap().key;
        assert_eq!(key(&marked), key(&plain));
        assert_ne!(key(&plain), key(&json!({ "system": "ha", "messages": plain["messages"] })));
    }

    #[test]
    fn a_response_that_goes_on_is_of_the_same_conversation() {
        let first = json!({ "input": "hi" });
        let completed = json!({ "input": [
            { "role": "user", "content": [{ "type": "input_text", "text": "hi" }] },
            { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "ho" }] },
        ] });
        let of = |body: &Value| session(&[], Endpoint::Responses, body).unwrap();
        assert_eq!(of(&first).key, of(&completed).key);
    }

    #[test]
    fn names_beat_beginnings_in_their_order() {
        let body =
            json!({ "messages": [{ "role": "user", "content": "hi" }], "prompt_cache_key": "cache-1" });
        let of = |headers: &[(&'static str, &str)]| session(headers, Endpoint::Chat, &body).unwrap();
        let (ours, agent) = (("x-hermes-session-affinity", "mine"), ("session-id", "theirs"));
        assert_eq!(of(&[ours, agent]), of(&[ours]));
        assert_ne!(of(&[ours]), of(&[agent]));
        assert_ne!(of(&[agent]), of(&[]));
        assert!(!of(&[]).begins, "the cache key names it");
        for bad in ["", "a b", "ä", &"x".repeat(201)] {
            assert_eq!(of(&[("x-hermes-session-affinity", bad)]), of(&[]), "{bad}");
        }
        assert_ne!(of(&[("x-hermes-session-affinity", &"x".repeat(200))]), of(&[]));
    }

    #[test]
    fn a_user_is_not_a_conversation() {
        let body = |user: &str| json!({ "metadata": { "user_id": user }, "messages": [{ "role": "user", "content": "hi" }] });
        let of = |user: &str| session(&[], Endpoint::Messages, &body(user)).unwrap();
        let old = of("user_1_account__session_abc");
        let new = of(r#"{"device_id":"d","account_uuid":"","session_id":"abc"}"#);
        assert_eq!(old, new);
        assert!(!old.begins);
        assert_eq!(of("somebody"), of("somebody else"), "told apart by their beginnings only");
        assert!(of("somebody").begins);
    }

    #[test]
    fn a_long_beginning_is_read_to_its_end() {
        let (long, longer) = ("x".repeat(USUAL_START), "x".repeat(USUAL_START + 1));
        let of = |texts: &[&str]| session(&[], Endpoint::Chat, &chat(texts)).unwrap();
        assert_eq!(of(&[&long]).key, of(&[&long, "ho"]).key);
        assert_ne!(of(&[&long]).key, of(&[&longer]).key);
        assert_eq!(of(&["hi"]).key, of(&["hi", &long]).key);
    }

    #[test]
    fn vectors_have_no_conversation() {
        assert_eq!(session(&[], Endpoint::Embeddings, &json!({ "input": "hi" })), None);
    }

    #[test]
    fn what_cannot_be_walked_is_nothing() {
        for body in [json!({}), json!({ "messages": [] }), json!({ "messages": [1] }), json!({ "input": [] })]
        {
            assert_eq!(session(&[], Endpoint::Chat, &body), None, "{body}");
        }
    }
}
