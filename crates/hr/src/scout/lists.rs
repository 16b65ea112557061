//! Fetches providers' lists of models.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hr_core::capability::{ListedModel, Listing, keyring, place};
use hr_core::catalog::{ListPlace, Tells};
use hr_core::pool::Member;
use hr_core::route::Candidate;
use hr_wire::listing;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
use tokio::task::JoinSet;
use tracing::debug;

use crate::gate::{Gate, Live};
use crate::upstream::account::PATIENCE_WITH_OTHERS;
use crate::upstream::body::UpstreamBody;
use crate::upstream::client::Errand;

/// How long a list is waited for. The slowest known takes eleven seconds.
const WAIT: Duration = Duration::from_secs(30);
/// The most models that a server is asked about one after the other.
const MAX_EACH: usize = 32;
/// The most keys that a list is asked for with, where the first ones are refused.
const MAX_KEYS: usize = 3;

/// Fetches every list that is missing or old, all at the same time. True when something came.
pub(super) async fn fetch_due(gate: &Arc<Gate>) -> bool {
    let live = gate.live();
    let mut fetching = JoinSet::new();
    for member in due(gate, &live) {
        let live = Arc::clone(&live);
        fetching.spawn(async move { (member, fetch(&live, member).await) });
    }
    let mut came = false;
    while let Some(fetched) = fetching.join_next().await {
        let Ok((at, listing)) = fetched else { continue };
        let member = &live.roster.pool.members[at];
        // Without one it is asked for again in the next round.
        let Some(listing) = listing else {
            debug!(provider = member.provider.id.as_str(), "no list of models could be had");
            continue;
        };
        let (now, place, keys) = (gate.clock.now(), place(&member.base_url), keys(member));
        let mut router = gate.router();
        router.facts_mut().list(now, &member.provider.id, (&place, &keys), listing, in_use(member));
        came = true;
    }
    came
}

/// Looks up the models that lists have brought into use, before anybody is asked what the list has told. True when
/// there were any.
pub(super) fn look_up_added(gate: &Gate) -> bool {
    let live = gate.live();
    let mut router = gate.router();
    let facts = router.facts_mut();
    let mut any = false;
    for member in live.roster.pool.members.iter().filter(|member| member.off.is_none()) {
        any |= facts.list_added(&member.provider.id, &place(&member.base_url), in_use(member));
    }
    any
}

fn in_use(member: &Member) -> impl Iterator<Item = &str> {
    member.models.iter().map(|model| model.id.as_str())
}

fn keys(member: &Member) -> String {
    keyring(member.keys.iter().map(|key| &key.id))
}

/// The members whose list is to be fetched: where models may be added from it and it was not read lately with these
/// keys, and where a model in use was not looked up lately.
fn due(gate: &Gate, live: &Live) -> Vec<usize> {
    let (now, settings) = (gate.clock.now(), gate.beliefs(live));
    let router = gate.router();
    let facts = router.facts();
    let is_due = |member: &Member| {
        let (provider, place) = (&member.provider, place(&member.base_url));
        let finds = member.wishes.finds_models(provider, &settings);
        let looked_up = |model: &str| {
            let at = facts.of(&provider.id, &place, model).and_then(|known| known.looked_up);
            at.is_some_and(|at| now < at.after(settings.believed))
        };
        let in_use = || member.models.iter().filter(|model| !model.by_request);
        let seen = || facts.is_listed(now, &provider.id, (&place, &keys(member)), settings.believed);
        let unseen = finds && !seen();
        unseen || in_use().any(|model| !looked_up(&model.id))
    };
    let members = live.roster.pool.members.iter().enumerate();
    members.filter(|(_, member)| member.off.is_none() && is_due(member)).map(|(at, _)| at).collect()
}

/// What a provider says of its models, with the first key that it accepts; `None` when it says nothing.
pub async fn fetch(live: &Live, member: usize) -> Option<Listing> {
    for key in 0..live.roster.pool.members[member].keys.len().min(MAX_KEYS) {
        if let Ok(listing) = fetch_with(live, Candidate { member, model: 0, key }).await {
            return listing;
        }
    }
    None
}

/// The key is not accepted.
pub struct Refused;

/// The same with one key.
///
/// # Errors
/// When the key is refused wherever it is asked.
pub async fn fetch_with(live: &Live, candidate: Candidate) -> Result<Option<Listing>, Refused> {
    let member = live.roster.member(candidate);
    let mut all: Option<Listing> = None;
    let mut refused = false;
    for from in &member.provider.discovery.lists {
        let asked: Vec<Option<&str>> = match from.tells {
            Tells::List | Tells::One => vec![None],
            Tells::Each => {
                let in_use = member.models.iter().filter(|model| !model.by_request);
                in_use.take(MAX_EACH).map(|model| Some(model.id.as_str())).collect()
            }
        };
        for model in asked {
            let body = match get(live, candidate, from, model).await {
                Ok(body) => body,
                Err(status) => {
                    refused |= matches!(status, Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN));
                    // Where there is nothing for one model, there is nothing for the next.
                    break;
                }
            };
            let Some(told) = read(member, from, model, &body) else { continue };
            all.get_or_insert_default().merge(told);
        }
    }
    if all.is_none() && refused { Err(Refused) } else { Ok(all) }
}

fn read(member: &Member, from: &ListPlace, model: Option<&str>, body: &[u8]) -> Option<Listing> {
    let models = match (from.tells, model) {
        (Tells::List, _) => return listing::read(body),
        (_, Some(model)) => vec![listing::read_one(model, body)?],
        // It has one model, whatever it is called here.
        (_, None) => member
            .models
            .iter()
            .filter(|model| !model.by_request)
            .filter_map(|model| listing::read_one(&model.id, body))
            .collect::<Vec<ListedModel>>(),
    };
    Some(Listing { models })
}

/// One answer; else its status, where there was one.
async fn get(
    live: &Live,
    candidate: Candidate,
    from: &ListPlace,
    model: Option<&str>,
) -> Result<Bytes, Option<StatusCode>> {
    let uri = address(&live.roster.member(candidate).base_url, from).ok_or(None)?;
    let headers = headers(live, candidate, from, model.is_some()).await.ok_or(None)?;
    let body = model.map(|model| serde_json::json!({ "model": model }).to_string()).unwrap_or_default();
    let mut request = Request::new(Full::new(Bytes::from(body)));
    *request.method_mut() = if model.is_some() { Method::POST } else { Method::GET };
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    let exchange = async {
        let (head, incoming) = live.client.send(request, Errand::Upkeep).await.ok()?.into_parts();
        let body = UpstreamBody::new(&head.headers, incoming);
        let body = body.whole(listing::MAX_LISTING_BYTES).await.ok()?;
        Some((head.status, body))
    };
    match tokio::time::timeout(WAIT, exchange).await {
        Ok(Some((StatusCode::OK, body))) => Ok(body),
        Ok(Some((status, _))) => Err(Some(status)),
        Ok(None) | Err(_) => Err(None),
    }
}

/// Where a list is: below the address in force, or at the root of its server.
fn address(base_url: &str, from: &ListPlace) -> Option<Uri> {
    if !from.root {
        return Uri::try_from(format!("{base_url}{}", from.at)).ok();
    }
    let base = Uri::try_from(base_url).ok()?;
    Uri::builder()
        .scheme(base.scheme()?.clone())
        .authority(base.authority()?.clone())
        .path_and_query(from.at.as_str())
        .build()
        .ok()
}

async fn headers(live: &Live, candidate: Candidate, from: &ListPlace, posts: bool) -> Option<HeaderMap> {
    let mut headers = live.headers(candidate).clone();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    if !posts {
        headers.remove(CONTENT_TYPE);
    }
    if let Some(mut signer) = live.signer(candidate) {
        headers = signer.sign(headers, PATIENCE_WITH_OTHERS).await.ok()?;
    }
    if let (Some(name), Some(secret)) = (&from.key_header, &live.roster.key(candidate).secret) {
        headers.remove(AUTHORIZATION);
        let mut value = HeaderValue::from_str(secret.expose()).ok()?;
        value.set_sensitive(true);
        headers.insert(HeaderName::try_from(name).ok()?, value);
    }
    Some(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_below_the_address_or_at_the_root() {
        let at = |root: bool, at: &str| ListPlace {
            at: at.to_owned(),
            root,
            tells: Tells::List,
            key_header: None,
        };
        let base = "http://127.0.0.1:1234/v1";
        assert_eq!(address(base, &at(false, "/models")).unwrap(), "http://127.0.0.1:1234/v1/models");
        assert_eq!(address(base, &at(true, "/props?x=1")).unwrap(), "http://127.0.0.1:1234/props?x=1");
        assert!(address("nonsense", &at(true, "/props")).is_none());
    }
}
