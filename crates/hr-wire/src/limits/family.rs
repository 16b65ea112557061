//! Which headers speak of limits. A reply has a dozen others, so this is a match on names that allocates nothing.

/// Why a header is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker<'h> {
    /// It shows the clock of the server.
    Date,
    /// It speaks of a limit.
    Limit(Place<'h>),
}

/// Who speaks alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// `x-ratelimit-*` and its kin: limit, remaining and reset of a bucket whose name tells unit and span.
    General,
    /// The same in the names of the Messages dialect.
    Messages,
    /// The windows of a plan by their names, with a verdict on each.
    Plan,
    /// The windows of a plan by how much of each is used, in percent.
    Windows,
    /// Calls that are left to a trial.
    Trial,
    /// The fields of the draft standard: a list of limits in one header.
    Draft,
}

/// What a header says of its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// How much there is.
    Limit,
    /// How much is left.
    Remaining,
    /// When it is whole again.
    Reset,
    /// The same in seconds, when the other is empty.
    ResetAfter,
    /// The percentage that is used.
    Used,
    /// The part that is used, up to one.
    Utilization,
    /// How many minutes the window has.
    Minutes,
    /// Whether calls are let through.
    Status,
    /// What the limit is called.
    Name,
    /// Which limit the call was counted by.
    Active,
    /// Limits with their windows.
    Policy,
}

/// Where a header belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'h> {
    /// Who speaks so.
    pub family: Family,
    /// The part of the name that tells buckets apart; may be empty.
    pub bucket: &'h str,
    /// What it says.
    pub field: Field,
}

/// What a header of this name, in lower case, is looked at for.
pub(super) fn speaker(name: &str) -> Option<Speaker<'_>> {
    let place = match name.as_bytes().first()? {
        b'd' if name == "date" => return Some(Speaker::Date),
        b'x' => of_extensions(name),
        b'a' => of_messages(name.strip_prefix("anthropic-ratelimit-")?),
        b'r' => of_draft(name.strip_prefix("ratelimit")?),
        _ => None,
    };
    place.map(Speaker::Limit)
}

fn of_extensions(name: &str) -> Option<Place<'_>> {
    if let Some(rest) = name.strip_prefix("x-ratelimit-").or_else(|| name.strip_prefix("x-rate-limit-")) {
        return verb(Family::General, rest);
    }
    if let Some(rest) = name.strip_prefix("x-codex-") {
        return of_windows(rest);
    }
    let bucket = name.strip_prefix("x-trial-")?.strip_suffix("-remaining")?;
    Some(Place { family: Family::Trial, bucket, field: Field::Remaining })
}

fn of_messages(rest: &str) -> Option<Place<'_>> {
    match rest.strip_prefix("unified-") {
        Some(rest) => {
            let (bucket, field) = rest.rsplit_once('-').unwrap_or(("", rest));
            let field = match field {
                "status" => Field::Status,
                "reset" => Field::Reset,
                "utilization" => Field::Utilization,
                _ => return None,
            };
            Some(Place { family: Family::Plan, bucket, field })
        }
        None => verb(Family::Messages, rest),
    }
}

fn of_draft(rest: &str) -> Option<Place<'_>> {
    let list = |field| Some(Place { family: Family::Draft, bucket: "", field });
    match rest {
        "" => list(Field::Remaining),
        "-policy" => list(Field::Policy),
        _ => verb(Family::General, rest.strip_prefix('-')?),
    }
}

/// `remaining-tokens` and `tokens-remaining`.
fn verb(family: Family, rest: &str) -> Option<Place<'_>> {
    const VERBS: [(&str, Field); 3] =
        [("limit", Field::Limit), ("remaining", Field::Remaining), ("reset", Field::Reset)];
    VERBS.iter().find_map(|(word, field)| {
        let before = rest.strip_prefix(word).map(|bucket| bucket.strip_prefix('-').or(none_left(bucket)));
        let behind = || rest.strip_suffix(word)?.strip_suffix('-');
        let bucket = before.flatten().or_else(behind)?;
        Some(Place { family, bucket, field: *field })
    })
}

fn none_left(bucket: &str) -> Option<&str> {
    bucket.is_empty().then_some(bucket)
}

/// `primary-used-percent`, `NAME-secondary-reset-at`, `NAME-limit-name`, `active-limit`.
fn of_windows(rest: &str) -> Option<Place<'_>> {
    const FIELDS: [(&str, Field); 4] = [
        ("-used-percent", Field::Used),
        ("-window-minutes", Field::Minutes),
        ("-reset-at", Field::Reset),
        ("-reset-after-seconds", Field::ResetAfter),
    ];
    let place = |bucket, field| Some(Place { family: Family::Windows, bucket, field });
    if rest == "active-limit" {
        return place("", Field::Active);
    }
    if let Some(family) = rest.strip_suffix("-limit-name") {
        return place(family, Field::Name);
    }
    let (bucket, field) = FIELDS.iter().find_map(|(end, field)| Some((rest.strip_suffix(end)?, *field)))?;
    (bucket.ends_with("primary") || bucket.ends_with("secondary")).then_some(())?;
    place(bucket, field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        let place = |family, bucket, field| Some(Speaker::Limit(Place { family, bucket, field }));
        for (name, wanted) in [
            ("date", Some(Speaker::Date)),
            ("x-ratelimit-limit", place(Family::General, "", Field::Limit)),
            ("x-ratelimit-remaining-req-minute", place(Family::General, "req-minute", Field::Remaining)),
            ("x-rate-limit-reset-tokens", place(Family::General, "tokens", Field::Reset)),
            ("x-ratelimit-requests-limit", place(Family::General, "requests", Field::Limit)),
            ("ratelimit-remaining", place(Family::General, "", Field::Remaining)),
            ("ratelimit", place(Family::Draft, "", Field::Remaining)),
            ("ratelimit-policy", place(Family::Draft, "", Field::Policy)),
            ("anthropic-ratelimit-input-tokens-reset", place(Family::Messages, "input-tokens", Field::Reset)),
            ("anthropic-ratelimit-unified-status", place(Family::Plan, "", Field::Status)),
            ("anthropic-ratelimit-unified-7d_oi-reset", place(Family::Plan, "7d_oi", Field::Reset)),
            ("anthropic-ratelimit-unified-representative-claim", None),
            ("x-codex-primary-used-percent", place(Family::Windows, "primary", Field::Used)),
            ("x-codex-moth-secondary-reset-at", place(Family::Windows, "moth-secondary", Field::Reset)),
            ("x-codex-moth-limit-name", place(Family::Windows, "moth", Field::Name)),
            ("x-codex-primary-over-secondary-limit-percent", None),
            ("x-codex-plan-type", None),
            ("x-trial-endpoint-call-remaining", place(Family::Trial, "endpoint-call", Field::Remaining)),
            ("x-ratelimit-tokens-query-cost", None),
            ("x-ratelimit-limited", None),
            ("x-request-id", None),
            ("content-type", None),
            ("retry-after", None),
            ("", None),
        ] {
            assert_eq!(speaker(name), wanted, "{name}");
        }
    }
}
