//! What is kept of a conversation so that the next request may go on from it by id alone.
//!
//! Pure: here is what is kept and what is made of it; where and for how long is for whoever stores it.

use bytes::Bytes;

use crate::envelope::{BadRequest, Envelope};
use crate::json::{Cursor, Kind, Syntax, quoted};
use crate::patch;

/// The field by which a request goes on from an earlier reply.
const PREVIOUS: &str = "previous_response_id";

/// What is kept of one reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The id it is asked for by.
    pub id: String,
    /// The items that were said to the model, those of earlier turns included, as a JSON array.
    pub input: Bytes,
    /// The response as the caller got it: the body of `GET /v1/responses/{id}`.
    pub response: Bytes,
}

impl Kept {
    /// How many bytes it takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.id.len() + self.input.len() + self.response.len()
    }
}

/// What to keep of this reply to this request, whose earlier turns are already in it ([`go_on`]); nothing when
/// the reply has no id.
#[must_use]
pub fn keep(envelope: &Envelope, response: &Bytes) -> Option<Kept> {
    let text = std::str::from_utf8(response).ok()?;
    let id = patch::field(text, "id").and_then(patch::string).filter(|id| !id.is_empty())?.into_owned();
    let input = items_of(envelope.get("input").unwrap_or("[]"));
    Some(Kept { id, input: format!("[{}]", input.join(",")).into(), response: response.clone() })
}

/// The request with the conversation before it in place of the id that stood for it. Instructions of the
/// earlier request do not carry over; the ids of items do not either, since nobody could look them up.
///
/// # Errors
/// When the request cannot be read with its new input.
pub fn go_on(envelope: &Envelope, kept: &Kept) -> Result<Envelope, BadRequest> {
    let before = std::str::from_utf8(&kept.input).unwrap_or("[]");
    let response = std::str::from_utf8(&kept.response).unwrap_or("{}");
    let mut items = items_of(before);
    items.extend(items_of(patch::field(response, "output").unwrap_or("[]")).into_iter().filter_map(replayed));
    items.extend(items_of(envelope.get("input").unwrap_or("[]")));
    let mut draft = envelope.draft();
    draft.set("input", format!("[{}]", items.join(",")));
    draft.remove(PREVIOUS);
    Envelope::read(draft.finish())
}

/// The items of an input, each as JSON text; a string is one message.
fn items_of(input: &str) -> Vec<String> {
    match patch::kind(input) {
        Some(Kind::String) => vec![format!(r#"{{"type":"message","role":"user","content":{input}}}"#)],
        Some(Kind::Array) => {
            let mut items = Vec::new();
            // The text was checked as a whole.
            let _read = Cursor::new(input).items(|cursor, _| {
                items.push(cursor.skip()?.to_owned());
                Ok::<(), Syntax>(())
            });
            items
        }
        _ => Vec::new(),
    }
}

/// An item of a reply as it is sent back; nothing when it means nothing without a store.
fn replayed(item: String) -> Option<String> {
    let is_reasoning = patch::field(&item, "type") == Some("\"reasoning\"");
    let blob = patch::field(&item, "encrypted_content").and_then(patch::string);
    if is_reasoning {
        return blob.is_some_and(|blob| !blob.is_empty()).then_some(item);
    }
    Some(patch::object(&item, |draft| draft.remove("id")).unwrap_or(item))
}

/// The refusal of a request that goes on from a reply which is not, or no longer, there.
#[must_use]
pub fn not_found(id: &str) -> BadRequest {
    let id: String = id.chars().take(64).collect();
    BadRequest::about(
        PREVIOUS,
        format!("previous response with id `{id}` not found; replies are kept for a while only, so send the whole conversation"),
    )
    .code("previous_response_not_found")
}

/// The body of `GET /v1/responses/{id}/input_items`.
#[must_use]
pub fn input_items(kept: &Kept) -> Bytes {
    let items: Vec<String> = items_of(std::str::from_utf8(&kept.input).unwrap_or("[]"))
        .into_iter()
        .enumerate()
        .map(|(place, item)| {
            let named = patch::object(&item, |draft| {
                let unnamed = draft.get("id").is_none();
                if unnamed {
                    draft.set("id", quoted(&format!("msg_{place:04x}_{}", kept.id.trim_start_matches("resp_"))));
                }
                if draft.get("type").is_none() {
                    draft.set("type", "\"message\"");
                }
                true
            });
            named.unwrap_or(item)
        })
        .collect();
    let id = |item: Option<&String>| {
        item.and_then(|item| patch::field(item, "id")).map_or_else(|| "null".to_owned(), str::to_owned)
    };
    format!(
        r#"{{"object":"list","data":[{}],"first_id":{},"last_id":{},"has_more":false}}"#,
        items.join(","),
        id(items.first()),
        id(items.last()),
    )
    .into()
}

/// The body of `DELETE /v1/responses/{id}`.
#[must_use]
pub fn deleted(id: &str) -> Bytes {
    format!(r#"{{"id":{},"object":"response","deleted":true}}"#, quoted(id)).into()
}
