//! What single values mean. Each reading says what is wrong in one clause, without repeating what may be secret.

use std::time::Duration;

/// The longest part of a wrong value that is repeated to the person who wrote it.
const MAX_SHOWN_CHARS: usize = 64;

/// A wrong value as it is repeated: clipped, without line breaks.
pub(crate) fn shown(value: &str) -> String {
    let mut shown: String =
        value.chars().take(MAX_SHOWN_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if value.chars().count() > MAX_SHOWN_CHARS {
        shown.push('…');
    }
    shown
}

/// On or off: the one grammar of all switches.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "0" | "false" | "no" | "off" => Ok(false),
        _ => {
            Err(format!("`{}` is neither on (`1`, `true`, `yes`) nor off (`0`, `false`, `no`)", shown(text)))
        }
    }
}

/// A whole number within bounds.
pub(super) fn whole(text: &str, unit: &str, min: u64, max: u64) -> Result<u64, String> {
    text.parse().ok().filter(|number| (min..=max).contains(number)).ok_or_else(|| {
        let of = if unit.is_empty() { String::new() } else { format!(" of {unit}") };
        format!("`{}` is not a whole number{of} from {min} to {max}", shown(text))
    })
}

/// Seconds within bounds.
pub(super) fn seconds(text: &str, min: f64, max: f64) -> Result<Duration, String> {
    number(text, min, max)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("`{}` is not a number of seconds from {min} to {max}", shown(text)))
}

/// A part of one within bounds.
pub(super) fn share(text: &str, min: f64, max: f64) -> Result<f64, String> {
    number(text, min, max).ok_or_else(|| format!("`{}` is not a share from {min} to {max}", shown(text)))
}

/// US dollars within bounds.
pub(super) fn dollars(text: &str, min: f64, max: f64) -> Result<f64, String> {
    number(text.trim_start_matches('$'), min, max)
        .ok_or_else(|| format!("`{}` is not a number of US dollars from {min} to {max}", shown(text)))
}

fn number(text: &str, min: f64, max: f64) -> Option<f64> {
    // `nan`, `inf` and exponents parse too, but nobody means them here.
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    text.parse().ok().filter(|number: &f64| plain && *number >= min && *number <= max)
}

/// The words between commas, trimmed, without blank ones, each once.
pub(crate) fn list(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words
}

/// A host name or an IP address, in lower case and without the brackets of IPv6.
pub(super) fn host(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if bare.parse::<std::net::IpAddr>().is_ok() || (!bare.is_empty() && bare.chars().all(is_name)) {
        return Ok(bare.to_ascii_lowercase());
    }
    Err(format!("`{}` is not a host name or an IP address, without scheme and port", shown(text)))
}

/// One of the given words, by its name or one of its other names.
pub(super) fn choice(text: &str, words: &[(&'static str, &[&str])]) -> Result<&'static str, String> {
    let lower = text.to_ascii_lowercase();
    words
        .iter()
        .find(|(name, others)| *name == lower || others.contains(&lower.as_str()))
        .map(|(name, _)| *name)
        .ok_or_else(|| {
            let names: Vec<String> = words.iter().map(|(name, _)| format!("`{name}`")).collect();
            format!("`{}` is none of {}", shown(text), names.join(", "))
        })
}

/// A word that goes into requests and headers: printable ASCII.
pub(super) fn printable(text: &str) -> Result<&str, String> {
    if text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return Ok(text);
    }
    Err("the value must be printable ASCII".to_owned())
}

/// A name of a model: no white space, no control characters.
pub(super) fn model_name(text: &str) -> Result<&str, String> {
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!("`{}` is not a model name: it has white space in it", shown(text)));
    }
    Ok(text)
}
