//! Replies that callers may go on from or read again (`store`, `previous_response_id`): kept in memory for a
//! while, each for the access key that got it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hr_core::time::Millis;
use hr_wire::envelope::Envelope;
use hr_wire::json::Cursor;
use http::StatusCode;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{self, Answer, Refusal};
use super::caller::CallerId;
use super::shelf::Shelf;

/// How long a reply is kept.
const KEPT_FOR: Duration = Duration::from_secs(60 * 60);
/// The most bytes of replies and of the conversations before them.
const MOST_BYTES: usize = 48 * 1024 * 1024;
/// The most bytes of single items of replies, which callers may name instead of sending them again. Together with
/// [`MOST_BYTES`] it is 64 MiB.
const MOST_ITEM_BYTES: usize = 16 * 1024 * 1024;
/// What an entry costs beside its texts.
const ENTRY_BYTES: usize = 256;
/// The type of an item that only names another.
const REFERENCE: &str = "item_reference";

/// The replies that are kept.
pub struct Replies {
    whole: Mutex<Shelf<(CallerId, String), Arc<Kept>>>,
    /// Their items, by the ids of these.
    items: Mutex<Shelf<(CallerId, String), Arc<str>>>,
}

/// What is to know of an item.
#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

/// A request from this size on has memory of its own, larger than what is read from a connection at once: its
/// items are kept where they are instead of being copied.
const OWN_MEMORY_FROM: usize = 512 * 1024;

/// A reply and the conversation that led to it, in memory of their own: a part of what was read from a connection
/// would keep all of that alive.
struct Kept {
    /// The items before the reply, as JSON texts with commas between them.
    before: Before,
    /// The whole reply.
    body: Bytes,
}

/// Where the items before a reply are.
enum Before {
    /// Copied out of a small request.
    Copied(String),
    /// In a large request.
    Within(Envelope),
}

impl Before {
    fn of(request: &Envelope) -> Self {
        if request.bytes().len() >= OWN_MEMORY_FROM {
            return Self::Within(request.clone());
        }
        Self::Copied(request.get("input").map(items).unwrap_or_default().into_owned())
    }

    /// The items.
    fn items(&self) -> Cow<'_, str> {
        match self {
            Self::Copied(items) => Cow::Borrowed(items),
            Self::Within(request) => request.get("input").map(items).unwrap_or_default(),
        }
    }

    /// The bytes that are kept alive.
    fn weight(&self) -> usize {
        match self {
            Self::Copied(items) => items.len(),
            Self::Within(request) => request.bytes().len(),
        }
    }
}

impl Kept {
    /// The items of the reply, as those before it.
    fn output(&self) -> String {
        let reply = Envelope::read(self.body.clone()).ok();
        reply.and_then(|reply| Some(reply.get("output").map(items)?.into_owned())).unwrap_or_default()
    }
}

impl Replies {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            whole: Mutex::new(Shelf::new(MOST_BYTES, KEPT_FOR)),
            items: Mutex::new(Shelf::new(MOST_ITEM_BYTES, KEPT_FOR)),
        }
    }

    /// Keeps a reply to this request. One without an id cannot be asked for.
    pub fn keep(&self, now: Millis, caller: CallerId, request: &Envelope, body: &[u8]) {
        let body = Bytes::copy_from_slice(body);
        let Ok(reply) = Envelope::read(body.clone()) else { return };
        let Some(id) = reply.get("id").and_then(text) else { return };
        let before = Before::of(request);
        for (id, item) in named_items(&reply) {
            let weight = ENTRY_BYTES + 2 * id.len() + item.len();
            self.items.lock().put(now, (caller, id), item.into(), weight);
        }
        let weight = ENTRY_BYTES + 2 * id.len() + before.weight() + body.len();
        let kept = Arc::new(Kept { before, body });
        self.whole.lock().put(now, (caller, id), kept, weight);
    }

    /// The request with all that it only names: the conversation that it goes on from in front of its own input,
    /// and items in the place of references to them. Nothing when it names nothing.
    ///
    /// # Errors
    /// 400 when nothing is kept under the id of the reply before it for this caller.
    pub fn complete(
        &self,
        now: Millis,
        caller: CallerId,
        previous: Option<&str>,
        request: &Envelope,
    ) -> Result<Option<Bytes>, Refusal> {
        let own = request.get("input").and_then(|input| self.with_items(now, caller, input));
        let mut draft = request.draft();
        match (previous, own) {
            (Some(previous), own) => {
                let own = own.as_deref().or_else(|| request.get("input")).map(items);
                draft.set("input", self.after(now, caller, previous, own.as_deref())?);
                draft.remove("previous_response_id");
            }
            (None, Some(own)) => draft.set("input", own),
            (None, None) => return Ok(None),
        }
        Ok(Some(draft.finish()))
    }

    /// An input with the items that it names; nothing when it names none. What is not kept stays a name.
    fn with_items(&self, now: Millis, caller: CallerId, input: &str) -> Option<String> {
        // Most inputs name nothing, and some are a megabyte: this search is several times quicker than `contains`.
        memchr::memmem::find(input.as_bytes(), REFERENCE.as_bytes())?;
        let listed: Vec<&RawValue> = serde_json::from_str(input).ok()?;
        let whole = listed.into_iter().map(|item| {
            let named = match serde_json::from_str(item.get()) {
                Ok(Item { id: Some(id), kind: Some(kind) }) if kind == REFERENCE => {
                    self.items.lock().get(now, &(caller, id.into_owned()))
                }
                _ => None,
            };
            named.map_or_else(|| item.get().to_owned(), |found| found.as_ref().to_owned())
        });
        Some(format!("[{}]", whole.collect::<Vec<_>>().join(",")))
    }

    /// An input behind the conversation that it goes on from.
    fn after(
        &self,
        now: Millis,
        caller: CallerId,
        previous: &str,
        own: Option<&str>,
    ) -> Result<String, Refusal> {
        let Some(kept) = self.find(now, caller, previous) else {
            return Err(Refusal::new(
                StatusCode::BAD_REQUEST,
                format!(
                    "the response `{}` is not kept here (replies are kept for an hour); send the whole \
                     conversation as `input`",
                    shown(previous)
                ),
            )
            .code("previous_response_not_found")
            .param("previous_response_id"));
        };
        let own = own.unwrap_or_default();
        let output = kept.output();
        let before = kept.before.items();
        let parts = [&before, output.as_str(), own];
        let whole: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        Ok(format!("[{}]", whole.join(",")))
    }

    /// A reply that was kept.
    ///
    /// # Errors
    /// 404 when it is not.
    pub fn show(&self, now: Millis, caller: CallerId, id: &str) -> Result<Answer, Refusal> {
        let kept = self.find(now, caller, id).ok_or_else(|| unknown(id))?;
        Ok(answer::whole(StatusCode::OK, "application/json", kept.body.clone()))
    }

    /// The items that led to a reply that was kept.
    ///
    /// # Errors
    /// 404 when it is not.
    pub fn show_input(&self, now: Millis, caller: CallerId, id: &str) -> Result<Answer, Refusal> {
        let kept = self.find(now, caller, id).ok_or_else(|| unknown(id))?;
        let body = format!(
            "{{\"object\":\"list\",\"data\":[{}],\"first_id\":null,\"last_id\":null,\"has_more\":false}}",
            kept.before.items()
        );
        Ok(answer::whole(StatusCode::OK, "application/json", body))
    }

    /// Forgets a reply, and its items.
    ///
    /// # Errors
    /// 404 when it is not kept.
    pub fn forget(&self, now: Millis, caller: CallerId, id: &str) -> Result<Answer, Refusal> {
        let kept = self.find(now, caller, id).ok_or_else(|| unknown(id))?;
        self.whole.lock().remove(&(caller, id.to_owned()));
        if let Ok(reply) = Envelope::read(kept.body.clone()) {
            for (item, _) in named_items(&reply) {
                self.items.lock().remove(&(caller, item));
            }
        }
        let body = serde_json::json!({ "id": id, "object": "response", "deleted": true });
        Ok(answer::json(StatusCode::OK, &body))
    }

    fn find(&self, now: Millis, caller: CallerId, id: &str) -> Option<Arc<Kept>> {
        self.whole.lock().get(now, &(caller, id.to_owned()))
    }
}

impl Default for Replies {
    fn default() -> Self {
        Self::new()
    }
}

fn unknown(id: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, format!("the response `{}` is not kept here", shown(id)))
        .code("response_not_found")
}

/// An id as it may be repeated to who made it up.
fn shown(id: &str) -> String {
    id.chars().take(100).collect()
}

/// The items of a reply that have ids, by these.
fn named_items(reply: &Envelope) -> impl Iterator<Item = (String, &str)> {
    let listed: Vec<&RawValue> =
        reply.get("output").and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default();
    listed.into_iter().filter_map(|item| {
        let Item { id, .. } = serde_json::from_str(item.get()).ok()?;
        Some((id?.into_owned(), item.get()))
    })
}

/// The items of an input or output, as JSON texts with commas between them. A text is a message of the user.
fn items(json: &str) -> Cow<'_, str> {
    let json = json.trim();
    match json.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(items) => Cow::Borrowed(items.trim()),
        None if json.starts_with('"') => Cow::Owned(format!("{{\"role\":\"user\",\"content\":{json}}}")),
        None => Cow::Borrowed(""),
    }
}

/// The text that a JSON string says.
fn text(json: &str) -> Option<String> {
    Cursor::new(json).string().ok().map(|string| string.decode().into_owned())
}
