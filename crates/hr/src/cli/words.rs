//! Words that several commands share.

use hr_core::catalog::SpendClass;
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

/// What calls cost.
pub fn spend(class: SpendClass) -> &'static str {
    match class {
        SpendClass::Free => "free",
        SpendClass::Included => "included",
        SpendClass::Paid => "paid",
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
    fn spans_have_the_unit_that_suits_them() {
        assert_eq!([2, 119, 600, 3598, 86_400].map(span), ["2 s", "119 s", "10 min", "60 min", "24 h"]);
    }
}
