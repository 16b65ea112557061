//! What a `.env` means, and that edits touch nothing else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use hr_core::settings::dotenv::{DotEnv, MAX_FILE_BYTES, remove, set};
use proptest::prelude::*;

fn pairs(text: &str) -> Vec<(String, String)> {
    let lines = DotEnv::parse(".env", text).unwrap();
    lines.entries().iter().map(|entry| (entry.name.clone(), entry.value.clone())).collect()
}

fn value(line: &str) -> String {
    pairs(line).pop().unwrap().1
}

#[test]
fn values_are_plain_or_quoted() {
    for (line, expected) in [
        ("A=b", "b"),
        ("  A = b  ", "b"),
        ("export A=b", "b"),
        ("export\tA=b", "b"),
        ("A=", ""),
        ("A=b#c", "b#c"),
        ("A=b # c", "b"),
        ("A=b\t#c", "b"),
        ("A=#c", "#c"),
        ("A= # c", ""),
        ("A=b=c==", "b=c=="),
        ("A=it's", "it's"),
        ("A='b # c' # d", "b # c"),
        (r"A='b\n'", r"b\n"),
        (r#"A="b \"c\" \\ \$d \t.\x""#, "b \"c\" \\ $d \t.\\x"),
        (r#"A="one\r\ntwo""#, "one\r\ntwo"),
        ("\u{feff}A=b", "b"),
        ("A=b\r", "b"),
        ("A=\"\"", ""),
        ("A=schlüssel", "schlüssel"),
    ] {
        assert_eq!(value(line), expected, "{line:?}");
    }
    assert_eq!(pairs("export=1"), [("export".to_owned(), "1".to_owned())]);
}

#[test]
fn the_first_of_equal_names_counts_and_lines_are_counted() {
    let lines = DotEnv::parse(".env", "# c\r\n\r\nA=1\r\nB=2\nA=3").unwrap();
    let found = lines.get("A").unwrap();
    assert_eq!((found.value.as_str(), found.line), ("1", 3));
    assert_eq!(lines.entries()[2].line, 5);
    assert!(lines.get("C").is_none());
}

#[test]
fn every_bad_line_is_named_and_none_is_repeated() {
    let text =
        "A=1\nsk-canary-1\n=sk-canary-2\nsk canary 3=x\nB=\"sk-canary-4\nC='a'sk-canary-5\nD=\"a\"#c\n";
    let problems = DotEnv::parse("here/.env", text).unwrap_err();
    let lines: Vec<usize> = problems.iter().filter_map(|problem| problem.line).collect();
    assert_eq!(lines, [2, 3, 4, 5, 6, 7]);
    for problem in &problems {
        assert_eq!(problem.file, "here/.env");
        assert!(problem.hint.is_some());
        assert!(!problem.to_string().contains("canary"), "{problem}");
    }
}

#[test]
fn a_file_beyond_the_limit_is_refused() {
    let text = "#".repeat(MAX_FILE_BYTES);
    assert!(DotEnv::parse(".env", &text).is_ok());
    assert!(DotEnv::parse(".env", &format!("{text}#")).is_err());
}

#[test]
fn debug_shows_no_values() {
    let lines = DotEnv::parse(".env", "A=sk-canary").unwrap();
    assert_eq!(format!("{lines:?}"), "[A=… (line 1)]");
}

#[test]
fn edits_keep_order_comments_and_bytes() {
    let text = "# mine\r\nexport  A = 'one'  # why\r\n\r\nB=2\r\nA=old\r\n";
    assert_eq!(
        set(text, "A", "two words"),
        "# mine\r\nexport  A = \"two words\"  # why\r\n\r\nB=2\r\nA=old\r\n"
    );
    assert_eq!(set(text, "C", "3"), format!("{text}C=3\r\n"));
    assert_eq!(remove(text, "A"), "# mine\r\n\r\nB=2\r\n");
    assert_eq!(remove(text, "C"), text);
    assert_eq!(set("", "A", "1"), "A=1\n");
    assert_eq!(set("A=1", "B", "2"), "A=1\nB=2\n");
    assert_eq!(set("A= # why", "A", "1"), "A=1 # why");
    assert_eq!(remove("\u{feff}A=1\nB=2", "A"), "\u{feff}B=2");
    assert_eq!(remove("B=2\nA=1", "A"), "B=2\n");
}

/// A line that is good, of any kind.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[ \t]{0,2}#[ -~]{0,12}",
        "(export )?[A-D]{1,2} ?= ?[a-z0-9#:/+]{0,6}( # [a-z']{0,5})?",
        r#"[A-D]{1,2}="([a-z #$']|\\["\\nrt$]){0,8}"( #x)?"#,
        "[A-D]{1,2}='[a-z \"\\\\#]{0,8}'",
    ]
}

fn text() -> impl Strategy<Value = String> {
    let ending = prop_oneof![Just("\n"), Just("\r\n")];
    let lines = prop::collection::vec((line(), ending), 0..10);
    (any::<bool>(), lines, any::<bool>()).prop_map(|(mark, lines, open)| {
        let mut text: String = lines.iter().flat_map(|(line, ending)| [line.as_str(), ending]).collect();
        if open {
            text.truncate(text.trim_end_matches(['\r', '\n']).len());
        }
        if mark { format!("\u{feff}{text}") } else { text }
    })
}

proptest! {
    #[test]
    fn what_is_set_is_read_and_nothing_else_changes(text in text(), name in "[A-E]{1,2}", value in any::<String>()) {
        let before = pairs(&text);
        let edited = set(&text, &name, &value);
        let lines = DotEnv::parse(".env", &edited).unwrap();
        prop_assert_eq!(&lines.get(&name).unwrap().value, &value);
        let mut expected = before.clone();
        match expected.iter_mut().find(|(there, _)| *there == name) {
            Some(pair) => pair.1 = value.clone(),
            None => expected.push((name.clone(), value.clone())),
        }
        prop_assert_eq!(pairs(&edited), expected);
        // Setting it again is no change, and setting it back gives all pairs back.
        prop_assert_eq!(set(&edited, &name, &value), edited.clone());
        if let Some((_, old)) = before.iter().find(|(there, _)| *there == name) {
            prop_assert_eq!(pairs(&set(&edited, &name, old)), before);
        } else if text.ends_with('\n') || text.is_empty() {
            prop_assert_eq!(remove(&edited, &name), text);
        }
    }

    #[test]
    fn what_is_removed_is_gone_and_nothing_else(text in text(), name in "[A-E]{1,2}") {
        let edited = remove(&text, &name);
        let mut expected = pairs(&text);
        expected.retain(|(there, _)| *there != name);
        prop_assert_eq!(pairs(&edited), expected);
        prop_assert_eq!(remove(&edited, &name), edited);
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), name in "[A-Z]{1,3}", value in any::<String>()) {
        let _ = DotEnv::parse(".env", &text);
        let edited = set(&text, &name, &value);
        prop_assert!(edited.contains(&name));
        let _ = remove(&edited, &name);
    }

    #[test]
    fn bad_lines_stay_through_edits(bad in "[a-z ]{0,4}[a-z][a-z ]{0,3}", value in "[ -~]{0,8}") {
        let text = format!("{bad}\nA=1\n");
        let edited = set(&text, "A", &value);
        prop_assert_eq!(edited.lines().next(), Some(bad.as_str()));
        prop_assert_eq!(remove(&text, "A"), format!("{bad}\n"));
    }
}
