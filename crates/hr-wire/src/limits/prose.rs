//! Limits in words: `on tokens per day (TPD): Limit 200000, Used 199000`, `limited to 20 API calls / minute`, `your
//! organization's rate limit of 50,000 input tokens per minute`, `request reached max RPM: 3`.

use hr_core::catalog::{LimitSpan, LimitUnit, OwnerScope};

/// How far before a span its unit is looked for.
const NEAR: usize = 48;

/// What words tell of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Told {
    /// What is counted.
    pub unit: Option<LimitUnit>,
    /// That something is counted which is no unit of ours, like seconds of speech.
    pub foreign: bool,
    /// Over which span.
    pub span: Option<LimitSpan>,
    /// Whom it is counted against.
    pub owner: Option<OwnerScope>,
    /// How much there is.
    pub limit: Option<f64>,
    /// How much of it is used.
    pub used: Option<f64>,
}

/// Short for a unit over a span.
const SHORT: [(&str, Option<LimitUnit>, LimitSpan); 16] = [
    ("rps", Some(LimitUnit::Requests), LimitSpan::Second),
    ("rpm", Some(LimitUnit::Requests), LimitSpan::Minute),
    ("rph", Some(LimitUnit::Requests), LimitSpan::Hour),
    ("rpd", Some(LimitUnit::Requests), LimitSpan::Day),
    ("tps", Some(LimitUnit::Tokens), LimitSpan::Second),
    ("tpm", Some(LimitUnit::Tokens), LimitSpan::Minute),
    ("tph", Some(LimitUnit::Tokens), LimitSpan::Hour),
    ("tpd", Some(LimitUnit::Tokens), LimitSpan::Day),
    ("itpm", Some(LimitUnit::InputTokens), LimitSpan::Minute),
    ("itpd", Some(LimitUnit::InputTokens), LimitSpan::Day),
    ("otpm", Some(LimitUnit::OutputTokens), LimitSpan::Minute),
    ("otpd", Some(LimitUnit::OutputTokens), LimitSpan::Day),
    ("ipm", None, LimitSpan::Minute),
    ("ipd", None, LimitSpan::Day),
    ("ash", None, LimitSpan::Hour),
    ("aspd", None, LimitSpan::Day),
];

/// What the words of a refusal, in lower case, tell of the limit that was met; its type and code may know the unit.
pub(crate) fn read(words: &str, labels: &str) -> Told {
    let mut told = Told { limit: number_after(words, "limit"), ..Told::default() };
    told.used = number_after(words, "used").or_else(|| number_after(words, "current"));
    told.owner = owner(words);
    if words.contains("concurren") {
        told.unit = Some(LimitUnit::Concurrent);
        told.span = Some(LimitSpan::Now);
        told.limit = told.limit.or_else(|| number_after(words, "concurrency"));
        return told;
    }
    let short = tokens(words).find_map(|word| SHORT.iter().find(|(known, ..)| *known == word));
    if let Some((word, unit, span)) = short {
        (told.unit, told.span, told.foreign) = (*unit, Some(*span), unit.is_none());
        told.limit = told.limit.or_else(|| number_after(words, word));
        return told;
    }
    if let Some((at, span)) = first_span(words) {
        told.span = Some(span);
        let before = &words[floor(words, at.saturating_sub(NEAR))..at];
        told.unit = last_unit(before);
        told.limit = told.limit.or_else(|| number_before(before));
    }
    told.unit = told.unit.or_else(|| last_unit(words)).or_else(|| last_unit(labels));
    told.limit = told.limit.or_else(|| number_after(words, "max request"));
    told
}

/// The span that a word means.
pub(crate) fn span(word: &str) -> Option<LimitSpan> {
    Some(match word {
        "second" | "seconds" | "sec" | "1s" | "s" => LimitSpan::Second,
        "minute" | "minutes" | "min" | "1m" | "m" | "60s" => LimitSpan::Minute,
        "hour" | "hours" | "hr" | "1h" | "h" | "hourly" => LimitSpan::Hour,
        "5h" | "5hours" => LimitSpan::FiveHours,
        "day" | "days" | "1d" | "d" | "24h" | "daily" | "today" => LimitSpan::Day,
        "week" | "weeks" | "7d" | "weekly" => LimitSpan::Week,
        "month" | "months" | "30d" | "monthly" => LimitSpan::Month,
        _ => return None,
    })
}

/// The first span that is named, and where: after `per`, `/` or `-per-`, or in a word of its own.
fn first_span(words: &str) -> Option<(usize, LimitSpan)> {
    const BEFORE: [&str; 5] = ["per ", "per-", "per_", "/ ", "/"];
    const ALONE: [(&str, LimitSpan); 7] = [
        ("5 hour", LimitSpan::FiveHours),
        ("5-hour", LimitSpan::FiveHours),
        ("hourly", LimitSpan::Hour),
        ("daily", LimitSpan::Day),
        ("today", LimitSpan::Day),
        ("weekly", LimitSpan::Week),
        ("monthly", LimitSpan::Month),
    ];
    let after = BEFORE.iter().flat_map(|before| {
        words.match_indices(before).filter_map(|(at, _)| {
            let word = words[at + before.len()..].split(|c: char| !c.is_ascii_alphabetic()).next()?;
            // `/s` and `/m` stand in addresses too.
            Some((at, span(word).filter(|_| word.len() > 1)?))
        })
    });
    let alone = ALONE.iter().filter_map(|(word, span)| Some((words.find(word)?, *span)));
    after.chain(alone).min_by_key(|(at, _)| *at)
}

/// The unit that is named last.
fn last_unit(words: &str) -> Option<LimitUnit> {
    const UNITS: [(&str, LimitUnit); 8] = [
        ("input token", LimitUnit::InputTokens),
        ("prompt token", LimitUnit::InputTokens),
        ("output token", LimitUnit::OutputTokens),
        ("completion token", LimitUnit::OutputTokens),
        ("token", LimitUnit::Tokens),
        ("requests", LimitUnit::Requests),
        ("calls", LimitUnit::Requests),
        ("request_", LimitUnit::Requests),
    ];
    let ends = UNITS.iter().filter_map(|(word, unit)| Some((words.rfind(word)? + word.len(), *unit)));
    // Of two that end at the same place the longer word stands first.
    ends.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, unit)| unit)
}

fn owner(words: &str) -> Option<OwnerScope> {
    const OWNERS: [(&str, OwnerScope); 8] = [
        ("organization", OwnerScope::Organisation),
        ("organisation", OwnerScope::Organisation),
        ("your project", OwnerScope::Project),
        ("this project", OwnerScope::Project),
        ("in project", OwnerScope::Project),
        ("your account", OwnerScope::Account),
        ("ip address", OwnerScope::Address),
        ("your ip", OwnerScope::Address),
    ];
    OWNERS.iter().find(|(word, _)| words.contains(word)).map(|(_, owner)| *owner)
}

/// The number that follows a word, with nothing but a small word or a colon between them.
fn number_after(words: &str, word: &str) -> Option<f64> {
    words.match_indices(word).find_map(|(at, _)| {
        let mut rest = words[at + word.len()..].trim_start_matches(['e', 'd', 's']);
        loop {
            rest = rest.trim_start_matches([' ', ':', '=', '(']);
            let small = ["to ", "of ", "is ", "was "].iter().find_map(|small| rest.strip_prefix(small));
            match small {
                Some(more) => rest = more,
                None => return number(rest),
            }
        }
    })
}

/// The number that stands last.
fn number_before(words: &str) -> Option<f64> {
    let starts = words.char_indices().rev().find(|(_, c)| c.is_ascii_digit());
    let end = starts.map(|(at, _)| at + 1)?;
    let digits = |c: char| c.is_ascii_digit() || c == ',' || c == '.';
    let start = words[..end]
        .rfind(|c| !digits(c))
        .map_or(0, |at| at + words[at..].chars().next().map_or(1, char::len_utf8));
    number(&words[start..end])
}

/// `50,000` and `20.5` at the beginning of a text.
fn number(text: &str) -> Option<f64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != ',' && c != '.').unwrap_or(text.len());
    let text = text[..end].trim_end_matches([',', '.']).replace(',', "");
    text.parse().ok()
}

/// Words of letters and digits.
fn tokens(words: &str) -> impl Iterator<Item = &str> {
    words.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wordings_of_many_providers_are_understood() {
        use LimitSpan::{Day, FiveHours, Minute, Month, Now, Week};
        use LimitUnit::{Concurrent, InputTokens, OutputTokens, Requests, Tokens};
        let table = [
            (
                "rate limit reached for model `x` in organization `org_1` service tier `on_demand` on tokens per day (tpd): limit 200000, used 199000, requested 1500. please try again in 23m51.216s.",
                Some(Tokens),
                Some(Day),
                Some(200_000.0),
                Some(199_000.0),
            ),
            (
                "rate limit reached for gpt-x in organization org-1 on requests per min (rpm): limit 3, used 3, requested 1.",
                Some(Requests),
                Some(Minute),
                Some(3.0),
                Some(3.0),
            ),
            (
                "rate limit reached for default-x in organization org-1 on requests per min. limit: 3 / min. please try again in 20s.",
                Some(Requests),
                Some(Minute),
                Some(3.0),
                None,
            ),
            (
                "you are using a trial key, which is limited to 20 api calls / minute. you can continue",
                Some(Requests),
                Some(Minute),
                Some(20.0),
                None,
            ),
            ("which is limited to 1000 api calls / month. ", Some(Requests), Some(Month), Some(1000.0), None),
            (
                "this request would exceed your organization's rate limit of 50,000 input tokens per minute (org: 1, model: m).",
                Some(InputTokens),
                Some(Minute),
                Some(50_000.0),
                None,
            ),
            (
                "would exceed the rate limit for your organization of 8,000 output tokens per minute",
                Some(OutputTokens),
                Some(Minute),
                Some(8000.0),
                None,
            ),
            (
                "your account request reached max concurrency: 1, please try again after 1 seconds",
                Some(Concurrent),
                Some(Now),
                Some(1.0),
                None,
            ),
            (
                "your account request reached organization max rpm: 3, please try again after 1 seconds",
                Some(Requests),
                Some(Minute),
                Some(3.0),
                None,
            ),
            (
                "request reached tpd rate limit, current:1500000, limit:1500000",
                Some(Tokens),
                Some(Day),
                Some(1_500_000.0),
                Some(1_500_000.0),
            ),
            (
                "tokens per minute limit exceeded - too many tokens processed.",
                Some(Tokens),
                Some(Minute),
                None,
                None,
            ),
            (
                "rate limit exceeded: free-models-per-day. add 10 credits to unlock 1000 free model requests per day",
                Some(Requests),
                Some(Day),
                None,
                None,
            ),
            (
                "usage limit reached for 5 hour. your limit will reset at 2026-09-08 01:02:03",
                None,
                Some(FiveHours),
                None,
                None,
            ),
            ("weekly/monthly limit exhausted.", None, Some(Week), None, None),
            ("rate limit exceeded", None, None, None, None),
            ("see https://x.example/m/s", None, None, None, None),
            ("", None, None, None, None),
        ];
        for (words, unit, span, limit, used) in table {
            let told = read(words, "");
            assert_eq!((told.unit, told.span, told.limit, told.used), (unit, span, limit, used), "{words}");
        }
        assert!(read("on seconds of audio per day (aspd): limit 28800, used 28790", "").foreign);
        assert_eq!(read("é 5 é per day", "rate_limited 1300").limit, Some(5.0));
    }
}
