//! What a caller wishes for one request, in headers: what it may cost, how long it may wait, and what it is for.
//!
//! Wishes about money and time are never guessed at: what cannot be read is refused. Hints only help, so those that
//! are not known here are nothing.

use std::time::Duration;

use hr_core::catalog::SpendClass;
use hr_core::pool::Pool;
use hr_core::route::{Allowance, Ask, Hint, Work};
use http::{HeaderMap, StatusCode};

use super::answer::Refusal;

/// How the names of all of them begin.
const OURS: &str = "x-hermes-";
/// The dearest class of calls.
const SPEND: &str = "x-hermes-spend";
/// US dollars.
const MAX_COST: &str = "x-hermes-max-cost";
/// Seconds.
const MAX_WAIT: &str = "x-hermes-max-wait";
/// What kind of work it is.
const WORKLOAD: &str = "x-hermes-workload-hint";
/// Only models that are known to call tools.
const TOOL_LOOP: &str = "x-hermes-tool-loop";
/// Rather a refusal than an answer to anything less than was asked.
const STRICT: &str = "x-hermes-strict";

/// What a caller wishes for one request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wishes {
    /// The dearest class of calls that may be made.
    most: Option<SpendClass>,
    /// US dollars that it may cost.
    per_request: Option<f64>,
    /// How long it may wait for a quota.
    max_wait: Option<Duration>,
    hint: Option<Hint>,
    tool_loop: bool,
    strict: bool,
}

impl Wishes {
    /// Reads them off a request.
    ///
    /// # Errors
    /// A refusal that names the header which cannot be read.
    pub fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        // Most requests have none, which one look over their names shows.
        if !headers.keys().any(|name| name.as_str().starts_with(OURS)) {
            return Ok(Self::default());
        }
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        Ok(Self {
            most: only(headers, SPEND, "`free`, `included` or `paid`", SpendClass::read)?,
            per_request: only(headers, MAX_COST, "US dollars such as `0.05`", number)?,
            max_wait: only(headers, MAX_WAIT, "seconds such as `2.5`", |text| {
                // What no clock counts to is as long as anything may take.
                number(text).map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
            })?,
            hint: text(WORKLOAD).and_then(hint),
            tool_loop: text(TOOL_LOOP).is_some_and(is_yes),
            strict: text(STRICT) == Some("1"),
        })
    }

    /// Writes them into what is asked of routing.
    ///
    /// # Errors
    /// When a loop of tool calls is announced and no tool is offered.
    pub fn apply(self, ask: &mut Ask, pool: &Pool) -> Result<(), Refusal> {
        let allowed = pool.rules.spending.of(ask.profile);
        let wished = Allowance { most: self.most.unwrap_or(SpendClass::Paid), per_request: self.per_request };
        ask.allowance = allowed.narrowed(wished);
        if ask.work != Work::Chat {
            return Ok(());
        }
        ask.hint = self.hint;
        ask.strict = self.strict;
        ask.tool_loop = self.tool_loop;
        if ask.tool_loop && !ask.tools {
            let words = "Tool-loop mode requires tool definitions";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, words).code("tools_required"));
        }
        Ok(())
    }

    /// How long the request may wait for a quota, where the setting says `usual` and all of it may take so `long`.
    #[must_use]
    pub fn patience(self, usual: Duration, long: Duration) -> Duration {
        self.max_wait.unwrap_or(usual).min(long)
    }
}

/// The value of a header that must be there once, or not at all.
fn only<T>(
    headers: &HeaderMap,
    name: &'static str,
    wanted: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let found = value.to_str().ok().and_then(|text| read(text.trim()));
    match found.filter(|_| values.next().is_none()) {
        Some(found) => Ok(Some(found)),
        None => {
            let words = format!("the header `{name}` must be given once, as {wanted}");
            Err(Refusal::new(StatusCode::BAD_REQUEST, words).code("invalid_value").param(name))
        }
    }
}

/// A plain number that is not negative.
fn number(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|_| is_plain).filter(|number: &f64| number.is_finite())
}

fn is_yes(text: &str) -> bool {
    ["1", "true", "yes"].iter().any(|yes| text.eq_ignore_ascii_case(yes))
}

fn hint(text: &str) -> Option<Hint> {
    match text.to_ascii_lowercase().as_str() {
        "planning" => Some(Hint::Planning),
        "coding" => Some(Hint::Coding),
        "review" => Some(Hint::Review),
        "debug" => Some(Hint::Debug),
        "vision" => Some(Hint::Vision),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&'static str, &str)]) -> Result<Wishes, Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        Wishes::read(&headers)
    }

    #[test]
    fn money_and_time_are_not_guessed() {
        for (name, value) in [
            (SPEND, ""),
            (SPEND, "cheap"),
            (SPEND, "free, paid"),
            (MAX_COST, ""),
            (MAX_COST, "-1"),
            (MAX_COST, "+1"),
            (MAX_COST, "$1"),
            (MAX_COST, "0,05"),
            (MAX_COST, "nan"),
            (MAX_COST, "inf"),
            (MAX_COST, "1e3"),
            (MAX_COST, "1.2.3"),
            (MAX_WAIT, "5s"),
            (MAX_WAIT, "-0"),
            (MAX_WAIT, "soon"),
        ] {
            let refusal = read(&[(name, value)]).expect_err(value);
            assert_eq!(refusal.status(), 400, "{name}: {value}");
        }
        assert!(read(&[(SPEND, "free"), (SPEND, "paid")]).is_err());
        assert_eq!(read(&[]).unwrap(), Wishes::default());
    }

    #[test]
    fn they_narrow_and_never_widen() {
        let apply = |pairs: &[(&'static str, &str)], most, per_request| {
            let mut pool = Pool::default();
            pool.rules.spending.any = Allowance { most, per_request };
            let mut ask = Ask::default();
            read(pairs).unwrap().apply(&mut ask, &pool).unwrap();
            ask.allowance
        };
        let (free, included, paid) = (SpendClass::Free, SpendClass::Included, SpendClass::Paid);
        assert_eq!(apply(&[(SPEND, "Free")], paid, None).most, free);
        assert_eq!(apply(&[(SPEND, "subscription")], paid, None).most, included);
        assert_eq!(apply(&[(SPEND, "paid")], free, None).most, free);
        assert_eq!(apply(&[], included, Some(0.5)), Allowance { most: included, per_request: Some(0.5) });
        assert_eq!(apply(&[(MAX_COST, "0.2")], paid, Some(0.5)).per_request, Some(0.2));
        assert_eq!(apply(&[(MAX_COST, "2")], paid, Some(0.5)).per_request, Some(0.5));
        assert_eq!(apply(&[(MAX_COST, ".5")], paid, None).per_request, Some(0.5));
    }

    #[test]
    fn a_wait_is_bounded_by_the_deadline() {
        let (usual, long) = (Duration::from_secs(5), Duration::from_secs(300));
        let wait = |text| read(&[(MAX_WAIT, text)]).unwrap().patience(usual, long);
        assert_eq!(wait("0"), Duration::ZERO);
        assert_eq!(wait("0.25"), Duration::from_millis(250));
        assert_eq!(wait("20"), Duration::from_secs(20));
        assert_eq!(wait("999999999999999999999999999999"), long);
        assert_eq!(Wishes::default().patience(usual, long), usual);
    }

    #[test]
    fn what_only_helps_is_never_refused() {
        assert_eq!(read(&[(WORKLOAD, "Planning")]).unwrap().hint, Some(Hint::Planning));
        for unknown in ["general", "", "poetry"] {
            assert_eq!(read(&[(WORKLOAD, unknown)]).unwrap(), Wishes::default(), "{unknown}");
        }
        for (text, on) in [("1", true), ("true", true), ("Yes", true), ("0", false), ("on", false)] {
            assert_eq!(read(&[(TOOL_LOOP, text)]).unwrap().tool_loop, on, "{text}");
        }
    }

    #[test]
    fn a_loop_of_tools_needs_tools() {
        let wishes = read(&[(TOOL_LOOP, "1")]).unwrap();
        let refusal = wishes.apply(&mut Ask::default(), &Pool::default()).unwrap_err();
        assert_eq!(refusal.words("x").message, "Tool-loop mode requires tool definitions");
        let mut offered = Ask { tools: true, ..Ask::default() };
        wishes.apply(&mut offered, &Pool::default()).unwrap();
        assert!(offered.tool_loop);
        let mut vectors = Ask { work: Work::Embed, ..Ask::default() };
        assert!(wishes.apply(&mut vectors, &Pool::default()).is_ok(), "embeddings call no tools");
    }
}
