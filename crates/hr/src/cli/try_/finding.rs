//! What trying a key has shown.

use std::collections::BTreeMap;

use hr_core::capability::Source;
use hr_core::catalog::SpendClass;
use hr_core::failure::FailureKind;
use hr_core::pool::KeySource;
use hr_core::quota::Reading;
use serde::Serialize;

/// A key, and what each model said to it.
#[derive(Clone, Debug, Serialize)]
pub struct Tried {
    /// The provider.
    pub provider: String,
    /// The end of the key, by which people know it; an account has none.
    pub key_tail: Option<String>,
    /// Where the key was found.
    pub source: KeySource,
    /// Its declared owner.
    pub owner: Option<String>,
    /// Whether the provider knows it, be its quota used up or its money spent. Unknown where no reply tells.
    pub valid: Option<bool>,
    /// Whether it works: a model has served. Unknown where none was called.
    pub works: Option<bool>,
    /// What the provider's replies say of whose key it is.
    pub account: BTreeMap<String, String>,
    /// One entry a model.
    pub models: Vec<Finding>,
}

impl Tried {
    /// Whether it was called and does not work.
    pub fn fails(&self) -> bool {
        self.works == Some(false)
    }

    /// Sums up what its calls have shown.
    pub fn judge(&mut self) {
        let any = |shows: fn(&Finding) -> bool| self.models.iter().any(shows);
        let served = any(|finding| finding.ending == Ending::Served);
        let refused = any(|finding| finding.kind == Some(FailureKind::BadKey));
        self.works = any(|finding| finding.ending != Ending::Skipped).then_some(served);
        self.valid = match served || any(Finding::knows_the_key) {
            true => Some(true),
            false => refused.then_some(false),
        };
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// With an answer.
    Served,
    /// With a failure.
    Failed,
    /// It was not made.
    Skipped,
}

/// Something a model can do or not, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Can {
    /// Whether it can.
    pub value: bool,
    /// Who says so.
    pub source: Source,
}

/// What a call with one key to one model has shown.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The model.
    pub model: String,
    /// What its calls cost.
    pub spend: SpendClass,
    /// How the call ended.
    pub ending: Ending,
    /// The kind of failure.
    pub kind: Option<FailureKind>,
    /// The HTTP status of a failure.
    pub status: Option<u16>,
    /// The provider's words, without secrets; or why the call was not made.
    pub message: Option<String>,
    /// Until the first thing was said.
    pub first_token_ms: Option<u64>,
    /// Until the end.
    pub total_ms: Option<u64>,
    /// When to come back, as the provider said.
    pub retry_after_s: Option<u64>,
    /// Whether it calls tools.
    pub tools: Option<Can>,
    /// Whether it sees images.
    pub vision: Option<Can>,
    /// The limits that came back.
    pub limits: Vec<Reading>,
    /// What to do about it.
    pub advice: Option<String>,
}

impl Finding {
    /// Whether it failed in a way in which only a key that is known fails.
    fn knows_the_key(&self) -> bool {
        use FailureKind::{ModelForbidden, NoMoney, QuotaSpent, RateLimited};
        matches!(self.kind, Some(QuotaSpent | RateLimited | NoMoney | ModelForbidden))
    }

    /// A call that was not made, with the reason.
    pub fn skipped(model: &str, spend: SpendClass, why: &str) -> Self {
        Self {
            model: model.to_owned(),
            spend,
            ending: Ending::Skipped,
            kind: None,
            status: None,
            message: Some(why.to_owned()),
            first_token_ms: None,
            total_ms: None,
            retry_after_s: None,
            tools: None,
            vision: None,
            limits: Vec::new(),
            advice: None,
        }
    }
}
