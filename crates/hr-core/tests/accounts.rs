//! Accounts: read from the credentials file and written back, and read out of the file of another program.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hr_core::credentials::{Account, Added, AuthFile, NotRemoved, Renewal, Selector, program};
use hr_core::secret::Secret;
use hr_core::time::Millis;
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: Millis = Millis(1_795_403_045_000);
const MINUTE: u64 = 60_000;
const DAY: u64 = 24 * 60 * MINUTE;

fn token(claims: &Value) -> String {
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

fn ends(at: Millis) -> Secret {
    Secret::new(token(&json!({ "exp": at.0 / 1000 })))
}

fn account(id: &str) -> Account {
    Account {
        id: id.to_owned(),
        access_token: Some(ends(Millis(NOW.0 + DAY))),
        refresh_token: Secret::new(format!("refresh-of-{id}")),
        id_token: None,
        last_refresh: Some(NOW),
        login_needed: None,
    }
}

fn read(text: &str) -> AuthFile {
    AuthFile::parse(text, "auth.json").unwrap()
}

#[test]
fn a_new_account_has_the_shape_of_the_original() {
    let mut file = AuthFile::default();
    assert_eq!(file.put_account(&account("a")), Added::New);
    let text = file.to_text();
    assert!(file.has_our_schema() || read(&text).has_our_schema());
    let written: Value = serde_json::from_str(&text).unwrap();
    let entry = written["codex_accounts"][0].as_object().unwrap();
    let names: Vec<&String> = entry.keys().collect();
    assert_eq!(names, ["account_id", "access_token", "refresh_token", "last_refresh"]);
    assert_eq!(entry["last_refresh"], "2026-11-23T03:04:05Z");
    assert_eq!(read(&text).account("a"), Some(&account("a")));
}

#[test]
fn one_account_changes_and_the_others_stay_as_their_bytes() {
    let text = r#"{
  "codex_accounts": [
    {"account_id": "a", "refresh_token": "ra", "mine": [1.50, 1e400], "access_token": "ta"},
    "not an account",
    {"account_id":"b","refresh_token":"rb","x":1.0},
    {"account_id": "c", "note": "no token"}
  ],
  "other": 1e2
}"#;
    let mut file = read(text);
    assert_eq!(file.to_text().matches("1e400").count(), 1);
    let renewal = Renewal { refresh_token: Some(Secret::new("rb2")), ..Renewal::default() };
    let renewed = file.account("b").unwrap().renewed(renewal, NOW);
    assert_eq!(file.put_account(&renewed), Added::Duplicate);
    let after = file.to_text();
    for kept in [
        r#"{"account_id": "a", "refresh_token": "ra", "mine": [1.50, 1e400], "access_token": "ta"}"#,
        r#""not an account""#,
        r#""x": 1.0"#,
        r#"{"account_id": "c", "note": "no token"}"#,
        r#""other": 1e2"#,
        r#""refresh_token": "rb2""#,
    ] {
        assert!(after.contains(kept), "`{kept}` is gone: {after}");
    }
    assert!(!after.contains("\"rb\""));
    assert_eq!(read(&after).to_text(), after);
    // An entry without a token is filled, not doubled.
    file.put_account(&account("c"));
    let again = read(&file.to_text());
    let ids: Vec<&str> = again.accounts().map(|account| account.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert!(file.to_text().contains("no token"));
}

#[test]
fn a_mark_is_kept_and_taken_away_by_the_next_login() {
    let mut file = AuthFile::default();
    let marked = Account { login_needed: Some("refresh_token_reused".to_owned()), ..account("a") };
    file.put_account(&marked);
    let mut file = read(&file.to_text());
    assert_eq!(file.account("a").unwrap().login_needed.as_deref(), Some("refresh_token_reused"));
    file.put_account(&account("a"));
    assert!(!file.to_text().contains("login_needed"));
}

#[test]
fn accounts_are_removed_by_id_address_or_end() {
    let named = |id: &str, email: &str| Account {
        id_token: Some(Secret::new(token(&json!({ "email": email })))),
        ..account(id)
    };
    let mut file = AuthFile::default();
    for (id, email) in [("acc-1", "a@example.com"), ("acc-21", "b@example.com"), ("x-21", "c@example.com")] {
        file.put_account(&named(id, email));
    }
    let tail = |text: &str| Selector::Tail(text.to_owned());
    let mut remove = |selector: Selector| {
        let ids = file.remove_accounts(&selector)?.into_iter().map(|account| account.id).collect::<Vec<_>>();
        Ok((ids, read(&file.to_text()).accounts().count()))
    };
    assert_eq!(remove(tail("21")), Err(NotRemoved::Ambiguous(2)));
    assert_eq!(remove(tail("nobody")), Err(NotRemoved::NotThere));
    assert_eq!(remove(tail("")), Err(NotRemoved::NotThere));
    assert_eq!(remove(Selector::Index(0)), Err(NotRemoved::NotThere));
    assert_eq!(remove(Selector::Index(4)), Err(NotRemoved::NotThere));
    assert_eq!(remove(tail("B@Example.com")), Ok((vec!["acc-21".to_owned()], 2)));
    assert_eq!(remove(tail("21")), Ok((vec!["x-21".to_owned()], 1)));
    assert_eq!(remove(Selector::All), Ok((vec!["acc-1".to_owned()], 0)));
    assert_eq!(remove(Selector::All), Err(NotRemoved::NotThere));
}

#[test]
fn a_token_is_renewed_before_its_end_or_when_it_is_old() {
    let with = |access: Option<Secret>, last: Option<u64>| Account {
        access_token: access,
        last_refresh: last.map(Millis),
        ..account("a")
    };
    let opaque = || Some(Secret::new("opaque"));
    for (account, stale, over) in [
        (with(Some(ends(Millis(NOW.0 + 6 * MINUTE))), None), false, false),
        (with(Some(ends(Millis(NOW.0 + 4 * MINUTE))), Some(NOW.0 - 2 * MINUTE)), true, false),
        (with(Some(ends(Millis(NOW.0 + 4 * MINUTE))), None), true, false),
        // Where tokens live that short, each request would renew one.
        (with(Some(ends(Millis(NOW.0 + MINUTE))), Some(NOW.0 - 1000)), false, false),
        (with(Some(ends(Millis(NOW.0 - 1000))), Some(NOW.0)), true, true),
        (with(opaque(), Some(NOW.0 - 7 * DAY)), false, false),
        (with(opaque(), Some(NOW.0 - 9 * DAY)), true, false),
        (with(opaque(), None), true, false),
        (with(None, Some(NOW.0)), true, true),
    ] {
        assert_eq!((account.is_stale(NOW), account.is_over(NOW)), (stale, over), "{account:?}");
    }
}

#[test]
fn a_renewal_replaces_only_what_it_has() {
    let before = Account { id_token: Some(Secret::new("i")), ..account("a") };
    let renewal =
        Renewal::read(br#"{"access_token": "new", "refresh_token": "", "token_type": "Bearer"}"#).unwrap();
    let after = before.renewed(renewal, Millis(NOW.0 + 1000));
    assert_eq!(after.access_token, Some(Secret::new("new")));
    assert_eq!((&after.refresh_token, &after.id_token), (&before.refresh_token, &before.id_token));
    for nothing in
        [&b"{}"[..], b"[]", b"null", b"<html>", br#"{"access_token": 1}"#, br#"{"access_token": " "}"#]
    {
        assert_eq!(Renewal::read(nothing), None, "{}", String::from_utf8_lossy(nothing));
    }
}

#[test]
fn an_odd_field_of_an_answer_does_not_take_the_new_refresh_token_along() {
    for odd in [
        r#"{"refresh_token": "next", "id_token": {}, "access_token": 1}"#,
        r#"{"refresh_token": "next", "access_token": "a\r\nx: y"}"#,
        r#"{"refresh_token": "one", "refresh_token": "next"}"#,
    ] {
        let renewal = Renewal::read(odd.as_bytes()).unwrap();
        assert_eq!(renewal.refresh_token, Some(Secret::new("next")), "{odd}");
        assert_eq!((renewal.access_token, renewal.id_token), (None, None), "{odd}");
    }
}

#[test]
fn a_stored_token_that_no_header_may_hold_is_as_good_as_none() {
    let file =
        read(r#"{"codex_accounts": [{"account_id": "a", "refresh_token": "r", "access_token": "t\nx"}]}"#);
    assert_eq!(file.account("a").unwrap().access_token, None);
}

#[test]
fn all_versions_of_the_programs_file_are_read() {
    let claims = token(&json!({ "https://api.openai.com/auth": { "chatgpt_account_id": "acc" } }));
    let tokens =
        json!({ "id_token": claims, "access_token": "t", "refresh_token": "r", "account_id": "acc" });
    let without_id = json!({ "id_token": claims, "access_token": "t", "refresh_token": "r" });
    for file in [
        json!({ "auth_mode": "chatgpt", "OPENAI_API_KEY": null, "tokens": tokens, "last_refresh": "2026-11-23T03:04:05.123456Z" }),
        json!({ "OPENAI_API_KEY": null, "tokens": tokens, "last_refresh": "2026-11-23T03:04:05Z" }),
        // The oldest also made an API key of the login.
        json!({ "OPENAI_API_KEY": "sk-1", "tokens": without_id, "last_refresh": "2026-11-23T03:04:05Z" }),
        json!({ "type": "codex", "id_token": claims, "access_token": "t", "refresh_token": "r", "account_id": "acc",
            "last_refresh": "2026-11-23T05:04:05+02:00", "email": "a@example.com", "expired": "2026-12-01T00:00:00Z" }),
    ] {
        let account = program::read_login(&file.to_string(), "auth.json").unwrap();
        assert_eq!((account.id.as_str(), account.refresh_token.expose()), ("acc", "r"), "{file}");
        assert_eq!(account.access_token, Some(Secret::new("t")));
        assert_eq!(account.last_refresh.map(|at| at.0 / 1000), Some(NOW.0 / 1000), "{file}");
    }
}

#[test]
fn other_logins_are_refused_with_a_hint_and_without_a_secret() {
    for (file, reason) in [
        (json!({ "OPENAI_API_KEY": "canary" }), "API key"),
        (json!({ "auth_mode": "apikey", "OPENAI_API_KEY": "canary", "tokens": null }), "API key"),
        (
            json!({ "auth_mode": "chatgptAuthTokens", "tokens": { "access_token": "canary" } }),
            "chatgptAuthTokens",
        ),
        (json!({ "auth_mode": "chatgpt", "tokens": { "access_token": "canary" } }), "no refresh token"),
        (json!({ "tokens": { "refresh_token": "canary" } }), "which account"),
        (
            json!({ "tokens": { "refresh_token": "r", "account_id": "a\r\nx: canary" } }),
            "no request can carry",
        ),
        (json!({ "OPENAI_API_KEY": null, "tokens": null }), "nobody is signed in"),
        (json!(["canary"]), "not a JSON object"),
        (json!({}), "nobody is signed in"),
    ] {
        let problem = program::read_login(&file.to_string(), "auth.json").unwrap_err();
        assert!(problem.reason.contains(reason) && problem.hint.is_some(), "{file}: {problem:?}");
        assert!(!format!("{problem:?}").contains("canary"), "{problem:?}");
    }
    assert!(!format!("{:?}", program::read_login("{\"canary", "auth.json")).contains("canary"));
}

#[test]
fn another_store_than_the_file_is_named() {
    assert_eq!(program::other_store("cli_auth_credentials_store = \"keyring\"").as_deref(), Some("keyring"));
    assert_eq!(program::other_store(&program::store_in_file()), None);
    for nothing in ["", "model = \"x\"\n", "[broken", "cli_auth_credentials_store = 1"] {
        assert_eq!(program::other_store(nothing), None, "{nothing}");
    }
}

proptest! {
    /// Whatever stands in the list, storing one account keeps every other element as its bytes.
    #[test]
    fn every_other_element_is_kept(
        others in prop::collection::vec("[a-z]{1,6}", 0..5),
        extra in prop::collection::vec(any::<u32>(), 0..3),
    ) {
        let elements: Vec<String> = others
            .iter()
            .enumerate()
            .map(|(place, name)| format!("{{\"account_id\":\"{place}-{name}\",\"refresh_token\" : \"r\",\"n\":{extra:?}}}"))
            .collect();
        let mut file = read(&format!("{{\"codex_accounts\":[{}]}}", elements.join(",")));
        file.put_account(&account("new"));
        let text = file.to_text();
        for element in &elements {
            prop_assert!(text.contains(element.as_str()), "{text}");
        }
        prop_assert_eq!(read(&text).accounts().count(), elements.len() + 1);
    }
}
