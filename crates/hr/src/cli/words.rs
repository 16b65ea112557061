//! Words that several commands share.

use hr_core::pool::KeySource;
use hr_core::settings::Origin;

/// `1 key`, `2 keys`.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("{number} {noun}") } else { format!("{number} {noun}s") }
}

/// Where a key was found.
pub fn source(source: &KeySource) -> String {
    match source {
        KeySource::AuthFile => "credentials file".to_owned(),
        KeySource::Environment(name) => format!("`{name}` in the environment"),
        KeySource::EnvFile(name) => format!("`{name}` in .env"),
        KeySource::Keyless => "needs no key".to_owned(),
    }
}

/// Where a value is written.
pub fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Flag => "command line".to_owned(),
        Origin::Environment => "environment".to_owned(),
        Origin::EnvFile(file, line) => format!("{file}:{line}"),
        Origin::Default => "default".to_owned(),
    }
}

/// Why somebody is passed over, by the code of the reason.
pub fn gate(code: &str) -> &str {
    match code {
        "unavailable" => "switched off, or without a model for this",
        "credential" => "without a key",
        "excluded" => "left out by the settings",
        "tools" => "without tools",
        "vision" => "cannot see images",
        "structured" => "cannot keep to a JSON schema",
        "context" => "window too small",
        "skip_tokens_over" => "prompt longer than the settings send there",
        "output_cap" => "refuses answers of this length",
        "refuses" => "refuses a parameter of the request",
        "loss" => "something would be lost on the way",
        "spend" => "would cost more than is allowed",
        "unconfirmed" => "not known to call tools",
        "quota" => "quota used up",
        "retries" => "failing, and enough calls go to those who fail",
        "cooldown" => "resting",
        "breaker" => "circuit open",
        "tried" => "has failed this request",
        "not_asked" => "not the provider that was asked for",
        other => other,
    }
}

/// What counts against a candidate, by the name of the term.
pub fn term(name: &str) -> &str {
    match name {
        "other_model" => "not the model asked for",
        "order" => "later in the catalogue",
        "not_local" => "not on this machine",
        "spend" => "it costs",
        "insufficient" => "weaker than needed",
        "unfit" => "does not fit the work",
        "away" => "the session is at home elsewhere",
        "scarce" => "few calls left",
        "distance" => "strength not as needed",
        "weakness" => "strength",
        "quality" => "rank",
        "price" => "price",
        "unconfirmed" => "abilities unconfirmed",
        "loss" => "something is lost",
        "translated" => "needs translation",
        "not_issuer" => "did not issue what the session holds",
        "elsewhere" => "provider failed this request",
        "trouble" => "recent trouble",
        "unreliable" => "failed lately",
        "latency" => "slow lately",
        "lapsing" => "quota not about to lapse",
        "not_fast" => "not known to be quick",
        other => other,
    }
}

/// The value as one word, or a part of one, of a shell.
pub fn for_shell(value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,+@%".contains(c);
    if !value.is_empty() && value.chars().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', "'\\''"))
    }
}

/// A span of time in the unit that suits it.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} h", seconds.div_ceil(3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_written() {
        for (value, written) in [
            ("http://127.0.0.1:8319/v1", "http://127.0.0.1:8319/v1"),
            ("it's", r"'it'\''s'"),
            ("$(rm)", "'$(rm)'"),
            ("", "''"),
        ] {
            assert_eq!(for_shell(value), written);
        }
    }

    #[test]
    fn every_reason_has_words() {
        for reason in hr_core::route::Gate::ALL {
            assert_ne!(gate(reason.code()), reason.code());
        }
    }

    #[test]
    fn every_term_has_words() {
        for (name, _) in hr_core::route::Terms::default().parts() {
            assert!(name == "price" || term(name) != name, "{name}");
        }
    }

    #[test]
    fn spans_have_the_unit_that_suits_them() {
        assert_eq!([2, 119, 600, 3598, 86_400].map(span), ["2 s", "119 s", "10 min", "60 min", "24 h"]);
    }
}
