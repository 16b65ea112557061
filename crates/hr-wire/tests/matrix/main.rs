//! Every recorded case through every dialect, whole and streamed, in snapshots; and the list of what gets lost.
//!
//! A snapshot is one case: what its request becomes for each provider's dialect, and what its reply becomes for
//! each caller's. When one changes, look at it before you accept it: `INSTA_UPDATE=always cargo test -p hr-wire
//! --test matrix`, then read the difference.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]
#![allow(
    clippy::disallowed_methods,
    reason = "reading cases and comparing committed files is what this is for"
)]

mod case;
mod manual;
mod page;
mod probe;
mod way;

use hr_core::catalog::Dialect;

use case::Case;

/// Compares the pages of all cases of a dialect with their snapshots.
fn compare(dialect: Dialect) {
    let cases = Case::all(dialect);
    assert!(cases.len() > 10, "the cases of {dialect:?} were not found");
    for case in cases {
        let page = page::of(&case);
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(format!("../snapshots/{}", dialect.name()));
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(case.name.as_str(), page));
    }
}

#[test]
fn openai_chat() {
    compare(Dialect::OpenaiChat);
}

#[test]
fn openai_responses() {
    compare(Dialect::OpenaiResponses);
}

#[test]
fn anthropic() {
    compare(Dialect::Anthropic);
}
