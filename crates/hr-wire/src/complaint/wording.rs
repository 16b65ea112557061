//! The wordings by which providers tell apart what they send under one status.

use hr_core::failure::{FailureKind, Scope};

use super::classify::{Complaint, Shape, of_model};

/// What happened, and whose limit it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub kind: FailureKind,
    pub scope: Option<Scope>,
}

const fn plain(kind: FailureKind) -> Verdict {
    Verdict { kind, scope: None }
}

const fn scoped(kind: FailureKind, scope: Scope) -> Verdict {
    Verdict { kind, scope: Some(scope) }
}

/// Wordings for something opaque in the conversation that another account or provider issued. Without it the same
/// request is served.
pub(super) const FOREIGN_OPAQUE: &[&str] = &[
    "invalid_encrypted_content",
    "invalid `signature` in `thinking` block",
    "invalid signature in thinking block",
];

/// Wordings, most telling first: the first list of which one is found decides. They are tried for every
/// status from 400 on and for errors inside a 200, but not for a page for people.
const WORDINGS: &[(&[&str], Verdict)] = &[
    // A firewall in front of the provider; it speaks about the client, not about the key.
    (&["error code: 10", "error code 10"], plain(FailureKind::Malformed)),
    (FOREIGN_OPAQUE, plain(FailureKind::Unsupported)),
    (
        &[
            "user location is not supported",
            "unsupported_country",
            "country, region, or territory not supported",
            "access_terminated",
            "only available for coding agents",
        ],
        plain(FailureKind::ProviderGone),
    ),
    (
        &[
            "context_length_exceeded",
            "maximum context length",
            "prompt is too long",
            "exceeds the maximum number of tokens",
            "request too large",
            "prompt exceeds max length",
            "exceeds the available context size",
            "exceed_context_size",
            "input is too long",
            "requested token count exceeds",
            "request_too_large",
            "tokens exceed",
            "context window",
            "when context overflows",
            "payload too large",
            "entity too large",
            "input length and `max_tokens` exceed",
            "reduce the length of the messages",
        ],
        plain(FailureKind::TooLarge),
    ),
    (&["n_keep"], plain(FailureKind::TooLarge)),
    (
        &[
            "api_key_invalid",
            "api key not valid",
            "invalid api key",
            "invalid_api_key",
            "incorrect api key",
            "incorrect_api_key",
            "wrong_api_key",
            "api key expired",
            "invalid x-api-key",
            "invalid api token",
            "invalid_authentication",
            "invalid authentication",
            "no auth credentials",
            "user not found.",
            "authorization failed",
            "token_expired",
            "account_deactivated",
            "token is invalid",
            "invalid token",
            "key has been revoked",
            "key is disabled",
            "wrong api key",
        ],
        plain(FailureKind::BadKey),
    ),
    (&["in_flight_budget"], scoped(FailureKind::RateLimited, Scope::Key)),
    (
        &[
            "insufficient_quota",
            "credit balance is too low",
            "insufficient balance",
            "insufficient_balance",
            "exceeded_current_quota_error",
            "payment_required",
            "payment_method_required",
            "payment method is required",
            "enforced_spend_limit",
            "reached your specified api usage limits",
            "billing_hard_limit",
            "insufficient credit",
            "insufficient_credit",
            "requires more credits",
            "out of credits",
            "no resource package",
            "plan has expired",
            "monthly included credits",
            "billing_not_active",
            "insufficient funds",
            "please recharge",
            "spend limit",
            "prepayment credits are depleted",
        ],
        plain(FailureKind::NoMoney),
    ),
    (
        &[
            "end of life",
            "has been retired",
            "decommissioned",
            "has been sunset",
            "model_archived",
            "was retired",
        ],
        of_model(FailureKind::ModelGone),
    ),
    (
        &["temporarily rate-limited upstream", "upstream_provider_shared_pool", "degraded function"],
        of_model(FailureKind::Overloaded),
    ),
    // What the model wrote was not what was asked of it: nobody's mistake but the model's.
    (
        &[
            "tool_use_failed",
            "json_validate_failed",
            "failed to call a function",
            "failed to generate json",
            "output_parse_failed",
        ],
        of_model(FailureKind::Malformed),
    ),
    (
        &[
            "content_filter",
            "content_policy",
            "content management policy",
            "flagged_input",
            "requires moderation",
            "was flagged",
            "unsafe or sensitive content",
            "responsible ai",
            "prohibited_content",
            "safety_check",
            "blocked by our content",
            "violates our usage policies",
            "content_moderation",
            "blocked content",
        ],
        plain(FailureKind::ContentRefused),
    ),
    (
        &[
            "not found for account",
            "not allowed to access model",
            "does not have access to model",
            "do not have access to the model",
            "does not yet include access",
            "requires a subscription",
            "must be verified to use",
            "model_not_allowed",
            "is not available on the free",
            "is gated",
            "service_disabled",
            "not have permission to access",
            "limit: 0, model",
        ],
        scoped(FailureKind::ModelForbidden, Scope::KeyModel),
    ),
    (
        &[
            "no endpoints found that support",
            "no endpoints found that can handle",
            "unsupported_parameter",
            "unsupported_value",
            "extra_forbidden",
            "extra inputs are not permitted",
            "unrecognized request argument",
            "unrecognized argument",
            "unknown name",
            "unknown parameter",
            "unknown field",
            "is unsupported",
            "does not support",
            "is not supported",
            "are not supported",
            "not_supported_error",
            "not supported with",
            "only supports single tool",
            "tool choice requires",
            "instruction is not enabled",
            "is not enabled for",
            "cannot start list",
            "wrong_api_format",
            "tool call id was",
            "missing a thought_signature",
            "invalid_request_message_order",
            "expected last role",
            "unexpected keyword",
            "property is not allowed",
            "additional properties are not allowed",
        ],
        plain(FailureKind::Unsupported),
    ),
    (
        &[
            "model_not_found",
            "invalid_model",
            "not a valid model",
            "no models loaded",
            "unknown model",
            "unknown_model",
            "no endpoints found",
            "model not found",
            "not found, try pulling",
            "notfounderror",
            "no such model",
            "model does not exist",
            "modelnotfound",
        ],
        plain(FailureKind::ModelMissing),
    ),
    (
        &[
            "overloaded",
            "queue_exceeded",
            "high traffic",
            "loading model",
            "server busy",
            "at capacity",
            "capacity exceeded",
            "capacity_exceeded",
            "no capacity",
            "provider_unavailable",
            "model is busy",
            "high demand",
            "currently loading",
            "no healthy upstream",
        ],
        of_model(FailureKind::Overloaded),
    ),
];

/// Wordings that say which window was used up, long and short; in a text with both, the first one counts,
/// since what follows is usually an offer.
const LONG_WINDOWS: &[&str] = &[
    "per day",
    "per-day",
    "perday",
    "(tpd)",
    "(rpd)",
    "daily",
    "per month",
    "per-month",
    "/ month",
    "monthly",
    "weekly",
    "per week",
    "5 hour",
    "5-hour",
    "usage limit",
    "usage_limit",
    "quota_exceeded",
    "today",
];
const SHORT_WINDOWS: &[&str] = &[
    "per minute",
    "per-min",
    "perminute",
    "(tpm)",
    "(rpm)",
    "/ minute",
    "per second",
    "per-second",
    "per hour",
];

/// What a complaint means.
pub(super) fn judge(complaint: &Complaint) -> Verdict {
    let status = complaint.status;
    if status == 508 {
        return plain(FailureKind::Loop);
    }
    if complaint.shape == Shape::Html {
        return of_page(complaint);
    }
    if (300..400).contains(&status) {
        return plain(FailureKind::Malformed);
    }
    let words = complaint.words.as_str();
    let found = WORDINGS.iter().find(|(list, _)| list.iter().any(|wording| words.contains(wording)));
    match found {
        Some((_, verdict)) if fits(*verdict, status, words) => *verdict,
        _ => of_status(complaint),
    }
}

/// Some wordings occur inside other complaints; the status tells when they do.
fn fits(verdict: Verdict, status: u16, words: &str) -> bool {
    match verdict.kind {
        // Rate limits of the organisation's model mention support and access in their advice.
        FailureKind::Unsupported => matches!(status, 200 | 400 | 404 | 405 | 415 | 422 | 501),
        FailureKind::BadKey => matches!(status, 200 | 400 | 401 | 403),
        FailureKind::ModelForbidden => status != 401,
        FailureKind::ContentRefused => matches!(status, 200 | 400 | 403 | 422 | 451 | 498),
        FailureKind::ModelMissing => matches!(status, 200 | 400 | 404 | 422 | 500..),
        FailureKind::Overloaded => status != 401 && status != 404,
        FailureKind::TooLarge => {
            status != 401 && status != 402 && (status < 500 || words.contains("context"))
        }
        _ => true,
    }
}

/// What a status means when the words say nothing special.
fn of_status(complaint: &Complaint) -> Verdict {
    let readable = matches!(complaint.shape, Shape::Json | Shape::Text);
    match complaint.status {
        401 => plain(FailureKind::BadKey),
        402 => plain(FailureKind::NoMoney),
        403 if long_window(&complaint.words) => plain(FailureKind::QuotaSpent),
        403 => plain(FailureKind::ModelForbidden),
        404 => plain(FailureKind::ModelMissing),
        408 | 504 | 522 | 524 => plain(FailureKind::Timeout),
        409 | 425 | 499 => plain(FailureKind::ServerError),
        410 => of_model(FailureKind::ModelGone),
        413 => plain(FailureKind::TooLarge),
        429 => rate_limit(&complaint.words),
        451 => plain(FailureKind::ProviderGone),
        498 | 503 | 529 => plain(FailureKind::Overloaded),
        500.. => plain(FailureKind::ServerError),
        405 | 407 | 415 | 424 | 426 => plain(FailureKind::Malformed),
        400 | 422 if complaint.asks_too_long() => plain(FailureKind::TooLarge),
        400..=499 if readable => plain(FailureKind::CallerMistake),
        200 if long_window(&complaint.words) || complaint.words.contains("rate limit") => {
            rate_limit(&complaint.words)
        }
        200 if complaint.words.contains("rate_limit") || complaint.words.contains("too many requests") => {
            rate_limit(&complaint.words)
        }
        200 if readable => plain(FailureKind::ServerError),
        _ => plain(FailureKind::Malformed),
    }
}

fn rate_limit(words: &str) -> Verdict {
    let kind = if long_window(words) { FailureKind::QuotaSpent } else { FailureKind::RateLimited };
    let per_model = ["for model", "permodel", "model: "].iter().any(|wording| words.contains(wording));
    Verdict { kind, scope: per_model.then_some(Scope::KeyModel) }
}

/// Whether a day, a week or a month is used up. A quota that names a day next to one that names a minute is
/// spent for the day: providers list all that was violated.
fn long_window(words: &str) -> bool {
    let first = |list: &[&str]| list.iter().filter_map(|wording| words.find(wording)).min();
    match (first(LONG_WINDOWS), first(SHORT_WINDOWS)) {
        (Some(_), _) if words.contains("perday") => true,
        (Some(long), Some(short)) => long < short,
        (long, _) => long.is_some(),
    }
}

/// A page for people: it comes from a proxy, so only statuses that a proxy sends for the provider count.
fn of_page(complaint: &Complaint) -> Verdict {
    match complaint.status {
        401 | 402 | 413 | 429 | 500.. => of_status(complaint),
        _ => plain(FailureKind::Malformed),
    }
}
