//! The entries of a provider's file that speak of limits.

use serde::Deserialize;
use toml::Spanned;

use super::Page;
use crate::catalog::{Limit, LimitSpan, LimitUnit, Metering, OwnerScope, RefusedLimit, check};
use crate::problem::Problem;

/// When a limit may start again.
const RESETS: [&str; 4] = ["rolling", "utc-midnight", "pacific-midnight", "calendar-month"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitEntry {
    owner: OwnerScope,
    #[serde(default)]
    models: Vec<Spanned<String>>,
    unit: LimitUnit,
    per: LimitSpan,
    amount: Spanned<f64>,
    reset: Option<Spanned<String>>,
    source: Option<String>,
    date: Option<Spanned<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MeteringEntry {
    owner: Option<OwnerScope>,
    #[serde(default)]
    models: Vec<Spanned<String>>,
    requests: Option<LimitSpan>,
    tokens: Option<LimitSpan>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RefusedLimitEntry {
    owner: Option<OwnerScope>,
    models: Option<Vec<Spanned<String>>>,
    unit: Option<LimitUnit>,
    per: Option<LimitSpan>,
    reset: Option<Spanned<String>>,
    zone: Option<Spanned<String>>,
}

impl Page<'_> {
    pub(super) fn limit(&self, entry: LimitEntry) -> Result<Limit, Problem> {
        Ok(Limit {
            owner: entry.owner,
            models: self.model_patterns(entry.models)?,
            unit: entry.unit,
            per: entry.per,
            amount: self.checked(entry.amount, |amount| check::amount(*amount))?,
            reset: self.reset(entry.reset)?,
            source: entry.source,
            date: self.date(entry.date)?,
        })
    }

    pub(super) fn metering(&self, entry: MeteringEntry) -> Result<Metering, Problem> {
        Ok(Metering {
            owner: entry.owner,
            models: self.model_patterns(entry.models)?,
            requests: entry.requests,
            tokens: entry.tokens,
        })
    }

    pub(super) fn refused_limit(&self, entry: RefusedLimitEntry) -> Result<RefusedLimit, Problem> {
        Ok(RefusedLimit {
            owner: entry.owner,
            models: entry.models.map(|models| self.model_patterns(models)).transpose()?,
            unit: entry.unit,
            per: entry.per,
            reset: self.reset(entry.reset)?,
            zone: entry.zone.map(|zone| self.checked(zone, |zone| check::zone(zone))).transpose()?,
        })
    }

    fn model_patterns(&self, models: Vec<Spanned<String>>) -> Result<Vec<String>, Problem> {
        models.into_iter().map(|model| self.checked(model, |model| check::model_pattern(model))).collect()
    }

    fn reset(&self, reset: Option<Spanned<String>>) -> Result<Option<String>, Problem> {
        let known = |reset: Spanned<String>| match RESETS.contains(&reset.get_ref().as_str()) {
            true => Ok(reset.into_inner()),
            false => Err(self.unknown(&reset, "reset", &RESETS)),
        };
        reset.map(known).transpose()
    }
}
