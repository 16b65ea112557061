//! The client's `model` field: a profile, a known model, a pinned one, or any other name.

use std::fmt;

use super::ask::{Profile, Target};
use crate::pool::{Member, Pool};
use crate::problem::did_you_mean;

/// The name under which the pool is always asked for, whatever `ROUTER_MODEL_ID` says.
pub const ROUTER_MODEL: &str = "hermes-router";

/// The longest id of a model that is believed to be one.
const MAX_ID_BYTES: usize = 256;

/// The suffix that asks for speed behind any name, as clients of the original use it.
const ANY_FAST: &str = ":fast";

/// A model name that nobody knows, where names are strict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownModel {
    /// The name.
    pub model: String,
    /// What was perhaps meant.
    pub hint: Option<String>,
}

impl fmt::Display for UnknownModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the model `{}` is not known", self.model)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for UnknownModel {}

/// Reads the client's `model` and its `X-Hermes-Profile`.
///
/// The whole name is looked up as a profile, then as a known model id (preferred, then the pool), then split
/// at its first `/` as provider and model (pinned). Any other name routes like the router's own, fast if it
/// ends in `:fast`.
///
/// # Errors
///
/// When names are strict and this one is none of those.
pub fn target(
    model: &str,
    header_profile: Option<&str>,
    pool: &Pool,
) -> Result<(Target, Profile), UnknownModel> {
    let asked = header_profile.and_then(profile_named);
    if let Some(named) = own_name(model, pool) {
        let profile = named.or(asked).unwrap_or_default();
        return Ok((Target::Profile(profile), profile));
    }
    let profile = asked.unwrap_or_default();
    if let Some(id) = known_id(model, &pool.members) {
        return Ok((Target::Prefer(id.to_owned()), profile));
    }
    if let Some((provider, id)) = pinned(model, pool) {
        return Ok((Target::Pin { provider: provider.to_owned(), model: id.to_owned() }, profile));
    }
    let base = model.strip_suffix(ANY_FAST);
    if pool.rules.strict_models && base.is_none_or(|base| known_id(base, &pool.members).is_none()) {
        let known = pool.model_ids().into_iter().chain([pool.rules.router_model.as_str()]);
        return Err(UnknownModel { model: model.to_owned(), hint: did_you_mean(model, known) });
    }
    let profile = if base.is_some() { Profile::Fast } else { profile };
    Ok((Target::Profile(profile), profile))
}

/// The profile of the router's own names: `Some(None)` for the bare name.
fn own_name(model: &str, pool: &Pool) -> Option<Option<Profile>> {
    [ROUTER_MODEL, pool.rules.router_model.as_str()].into_iter().find_map(|name| {
        let rest = model.get(name.len()..)?;
        if !model.get(..name.len())?.eq_ignore_ascii_case(name) {
            return None;
        }
        match rest.strip_prefix(':') {
            None => rest.is_empty().then_some(None),
            Some(suffix) => profile_named(suffix).map(Some),
        }
    })
}

/// The profile of this name; other names are for later versions and mean nothing.
fn profile_named(name: &str) -> Option<Profile> {
    match name.trim().to_ascii_lowercase().as_str() {
        "fast" => Some(Profile::Fast),
        "best" => Some(Profile::Best),
        "frugal" => Some(Profile::Frugal),
        "balanced" => Some(Profile::Balanced),
        _ => None,
    }
}

fn ids(member: &Member) -> impl Iterator<Item = &str> {
    member.models.iter().map(|model| model.id.as_str()).chain(member.embed_model.as_deref())
}

/// The id of this name among the members' models; an exact match goes before one of another case.
fn known_id<'a>(name: &str, members: &'a [Member]) -> Option<&'a str> {
    let find = |same: &dyn Fn(&str) -> bool| members.iter().flat_map(ids).find(|id| same(id));
    find(&|id| id == name).or_else(|| find(&|id| id.eq_ignore_ascii_case(name)))
}

/// Whether a name can be a model's id at all.
fn may_be_an_id(name: &str) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace();
    !name.is_empty() && name.len() <= MAX_ID_BYTES && !name.contains(odd)
}

/// The provider and model of `provider/model`, when the pool has the provider. A model that is not listed is
/// what the caller says it is, unless names are strict.
fn pinned<'a>(name: &'a str, pool: &'a Pool) -> Option<(&'a str, &'a str)> {
    let (provider, model) = name.split_once('/')?;
    let called = |member: &&Member| {
        let aliases = &member.provider.aliases;
        member.provider.id.eq_ignore_ascii_case(provider)
            || aliases.iter().any(|alias| alias.eq_ignore_ascii_case(provider))
    };
    let member = pool.members.iter().find(called)?;
    let known = known_id(model, std::slice::from_ref(member));
    let named = (!pool.rules.strict_models && may_be_an_id(model)).then_some(model);
    Some((&member.provider.id, known.or(named)?))
}
