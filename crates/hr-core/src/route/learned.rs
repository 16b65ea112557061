//! What providers taught us by refusing: sizes that do not fit, parameters that are not taken.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ask::Ask;
use crate::time::Millis;

/// The most refused parameters that are remembered of one model or provider; the oldest goes first.
pub const REFUSALS_MAX: usize = 16;

/// The longest name of a parameter that is remembered.
pub const PARAM_NAME_MAX: usize = 64;

/// Without these there is no request, and the last stands for what somebody else encrypted in its history: a
/// refusal that names one speaks of its content, not of a lack.
const ESSENTIAL: [&str; 4] = ["model", "messages", "input", "encrypted_content"];

/// Parameters that say how long the answer may be: too large a value of one speaks of the answer's size.
const OUTPUT_PARAMS: [&str; 3] = ["max_tokens", "max_completion_tokens", "max_output_tokens"];

/// Words for images in refusals; they stand for no top-level parameter.
const IMAGE_WORDS: [&str; 4] = ["image", "image_url", "images", "vision"];

/// Whether a parameter bounds the length of the answer.
pub(super) fn bounds_output(param: &str) -> bool {
    OUTPUT_PARAMS.contains(&param)
}

/// A size above which requests are refused, as far as refusals told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Ceiling {
    /// The smallest size that was refused, and until when that is believed.
    refused: Option<(u64, Millis)>,
    /// The largest size that was served, and until when that is believed.
    served: Option<(u64, Millis)>,
}

impl Ceiling {
    /// Whether this size is known not to fit.
    pub(super) fn refuses(&self, now: Millis, size: u64) -> bool {
        self.refused.is_some_and(|(least, until)| now < until && size >= least)
    }

    /// Notes a refusal; false when as much was served lately, so that size is not the reason.
    pub(super) fn refuse(&mut self, now: Millis, size: u64, memory: Duration) -> bool {
        if self.served.is_some_and(|(most, until)| now < until && size <= most) {
            return false;
        }
        let least = match self.refused {
            Some((least, until)) if now < until => least.min(size),
            _ => size,
        };
        self.refused = Some((least, now.after(memory)));
        true
    }

    /// Notes that this size was served, which refutes refusals of less.
    pub(super) fn serve(&mut self, now: Millis, size: u64, memory: Duration) {
        let most = match self.served {
            Some((most, until)) if now < until && most > size => return,
            Some(_) | None => size,
        };
        self.served = Some((most, now.after(memory)));
        if self.refused.is_some_and(|(least, _)| least <= size) {
            self.refused = None;
        }
    }
}

/// Parameters that a model or provider refuses.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Refusals(Vec<(String, Millis)>);

impl Refusals {
    /// Remembers a parameter; false when it is not one to remember.
    pub(super) fn learn(&mut self, param: &str, until: Millis) -> bool {
        if param.is_empty() || param.len() > PARAM_NAME_MAX || ESSENTIAL.contains(&param) {
            return false;
        }
        self.0.retain(|(known, _)| known != param);
        if self.0.len() == REFUSALS_MAX {
            self.0.remove(0);
        }
        self.0.push((param.to_owned(), until));
        true
    }

    /// The first remembered parameter that this request has.
    pub(super) fn hit(&self, now: Millis, ask: &Ask) -> Option<&str> {
        self.0
            .iter()
            .find(|(param, until)| now < *until && wants(ask, param))
            .map(|(param, _)| param.as_str())
    }
}

/// Whether a request uses what a refusal calls by this name.
fn wants(ask: &Ask, param: &str) -> bool {
    ask.params.iter().any(|own| own == param)
        || (ask.tools && param == "tools")
        || (ask.vision && IMAGE_WORDS.contains(&param))
        || (ask.structured && param == "response_format")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: Duration = Duration::from_secs(100);

    #[test]
    fn a_ceiling_is_the_smallest_refused_size_while_it_is_believed() {
        let mut ceiling = Ceiling::default();
        assert!(ceiling.refuse(Millis(0), 9_000, MEMORY));
        assert!(ceiling.refuse(Millis(0), 8_000, MEMORY));
        assert!(ceiling.refuse(Millis(0), 20_000, MEMORY));
        assert!(ceiling.refuses(Millis(99_999), 8_000));
        assert!(!ceiling.refuses(Millis(99_999), 7_999));
        assert!(!ceiling.refuses(Millis(100_000), 8_000));
    }

    #[test]
    fn what_was_served_refutes_a_refusal_of_less() {
        let mut ceiling = Ceiling::default();
        ceiling.serve(Millis(0), 5_000, MEMORY);
        assert!(!ceiling.refuse(Millis(1), 5_000, MEMORY));
        assert!(ceiling.refuse(Millis(1), 5_001, MEMORY));
        ceiling.serve(Millis(2), 6_000, MEMORY);
        assert!(!ceiling.refuses(Millis(3), 6_000));
    }

    #[test]
    fn refusals_are_bounded_and_expire() {
        let mut refusals = Refusals::default();
        for index in 0..40 {
            assert!(refusals.learn(&format!("p{index}"), Millis(10)));
        }
        assert_eq!(refusals.0.len(), REFUSALS_MAX);
        let ask = Ask { params: vec!["p0".into(), "p39".into()], ..Ask::default() };
        assert_eq!(refusals.hit(Millis(9), &ask), Some("p39"));
        assert_eq!(refusals.hit(Millis(10), &ask), None);
    }

    #[test]
    fn essentials_are_never_learned() {
        assert!(!Refusals::default().learn("messages", Millis(10)));
        assert!(!Refusals::default().learn("", Millis(10)));
        assert!(!Refusals::default().learn(&"x".repeat(65), Millis(10)));
    }

    #[test]
    fn images_are_known_by_any_word() {
        let mut refusals = Refusals::default();
        refusals.learn("image_url", Millis(10));
        assert!(refusals.hit(Millis(0), &Ask { vision: true, ..Ask::default() }).is_some());
        assert!(refusals.hit(Millis(0), &Ask::default()).is_none());
    }
}
