//! `auth.json`: what is read, what is refused, what is kept; and how keys are gathered.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use hr_core::catalog::{Provider, builtin, parse};
use hr_core::credentials::{
    Added, AuthFile, AuthSource, Collected, MAX_KEY_CHARS, NotRemoved, Selector, collect_keys,
    working_directory_counts,
};
use hr_core::pool::KeySource;
use hr_core::secret::{InstallSecret, KeyId, Secret};
use hr_core::settings::dotenv::DotEnv;
use hr_core::settings::{EnvFile, Layers, Trust};
use proptest::prelude::*;

const FULL: &str = r#"{
  "comment": {"b": 1, "a": [1.10, 1e2, 123456789012345678901234567890]},
  "providers": {
    "groq": [" k1 ", "", "k2"],
    "acme": []
  },
  "codex_accounts": [
    {"account_id": "acc-1", "refresh_token": "r", "access_token": "t", "x": null},
    {"account_id": "acc-2"},
    {"account_id": "", "refresh_token": "r"}
  ],
  "proxy_keys": {"sk-router-x": {"name": "me", "cost_per_day": 0.5}}
}
"#;

fn install() -> InstallSecret {
    InstallSecret(Secret::new("installation"))
}

fn read(text: &str) -> AuthFile {
    AuthFile::parse(text, "auth.json").unwrap()
}

fn exposed<'a>(keys: impl Iterator<Item = &'a Secret>) -> Vec<String> {
    keys.map(|key| key.expose().to_owned()).collect()
}

#[test]
fn keys_are_read_trimmed_and_accounts_only_when_usable() {
    let auth = read(FULL);
    assert_eq!(exposed(auth.keys("groq")), ["k1", "k2"]);
    assert_eq!(auth.keys("acme").count() + auth.keys("nobody").count(), 0);
    let ids: Vec<&str> = auth.accounts().map(|account| account.id.as_str()).collect();
    assert_eq!(ids, ["acc-1"]);
    assert_eq!(auth.providers().collect::<Vec<_>>(), ["groq", "acme"]);
}

#[test]
fn what_is_not_known_stays_byte_for_byte() {
    let mut auth = read(FULL);
    assert_eq!(auth.add_key("groq", &Secret::new("k3"), Some("team"), &install()), Ok(Added::New));
    let text = auth.to_text();
    for kept in [
        r#""comment": {"b": 1, "a": [1.10, 1e2, 123456789012345678901234567890]}"#,
        r#"{"account_id": "acc-1", "refresh_token": "r", "access_token": "t", "x": null}"#,
        r#"{"account_id": "acc-2"}"#,
        r#""proxy_keys": {"sk-router-x": {"name": "me", "cost_per_day": 0.5}}"#,
    ] {
        assert!(text.contains(kept), "{text}");
    }
    let at = |name: &str| text.find(name).unwrap();
    assert!(at("\"comment\"") < at("\"providers\"") && at("\"providers\"") < at("\"codex_accounts\""));
    let again = read(&text);
    assert_eq!(exposed(again.keys("groq")), ["k1", "k2", "k3"]);
    assert_eq!(again.owner("groq", &Secret::new("k3"), &install()), Some("team"));
    assert_eq!(again.to_text(), text);
    // The owner is kept by the id of the key: no secret is a name.
    let id = KeyId::of(&install(), "groq", &Secret::new("k3"));
    assert!(text.contains(&format!("\"{}\": \"team\"", id.0)));
    assert!(!text.contains("\"k3\":"));
}

#[test]
fn a_first_file_is_the_originals_schema() {
    let mut auth = AuthFile::default();
    assert_eq!(auth.to_text(), "{}\n");
    assert!(!auth.has_our_schema());
    auth.add_key("groq", &Secret::new(" k\"1 "), None, &install()).unwrap();
    let text = auth.to_text();
    assert_eq!(text, "{\n  \"providers\": {\n    \"groq\": [\n      \"k\\\"1\"\n    ]\n  }\n}\n");
    assert!(read(&text).has_our_schema());
}

#[test]
fn broken_files_are_refused_with_their_line_and_without_their_content() {
    for (text, line, reason) in [
        ("", 1, "not valid JSON"),
        ("{\n\"providers\": {\"groq\": [\"canary\"]\n", 3, "not valid JSON"),
        ("{\n  \"providers\": {\n    \"groq\": [\"canary\",]\n  }\n}", 3, "not valid JSON"),
        ("[\"canary\"]", 1, "must be an object"),
        ("\"canary\"", 1, "must be an object"),
        ("null", 1, "must be an object"),
        ("{} canary", 1, "not valid JSON"),
        ("{\n\"providers\": \"canary\"}", 2, "`providers` must be an object"),
        ("{\n\"providers\":\n[]}", 3, "`providers` must be an object"),
        ("{\"providers\": {\n\"a\": [],\n\"groq\": \"canary\"}}", 3, "`providers.groq` must be a list"),
        ("{\"providers\": {\n\"groq\": [\"a\", 1]}}", 2, "`providers.groq` must be a list"),
        ("{\"providers\": {\n\"groq\": null}}", 2, "`providers.groq` must be a list"),
        ("{\"providers\": {\n\"groq\": [\"canary\"],\n\"groq\": []}}", 3, "`providers` has a field twice"),
        ("{\"providers\": {},\n\"providers\": {}}", 2, "the credentials file has a field twice"),
        ("{\n\"codex_accounts\": {\"canary\": 1}}", 2, "`codex_accounts` must be a list"),
        ("{\n\"proxy_keys\": [\"canary\"]}", 2, "`proxy_keys` must be an object"),
        ("{\n\"key_owners\": {\"groq\": \"canary\"}}", 2, "`key_owners` must hold"),
    ] {
        let problem = AuthFile::parse(text, "/x/auth.json").unwrap_err();
        assert_eq!((problem.file.as_str(), problem.line), ("/x/auth.json", Some(line)), "{text}: {problem}");
        assert!(problem.reason.contains(reason), "{text}: {problem}");
        assert!(!problem.to_string().contains("canary"), "{problem}");
    }
}

#[test]
fn other_programs_files_are_read_but_are_not_ours() {
    assert!(!read("{\"http-basic\": {\"example.com\": {}}}").has_our_schema());
    assert!(read("{\"codex_accounts\": []}").has_our_schema());
    assert!(read("\u{feff}{\"proxy_keys\": {}}").has_our_schema());
}

/// Every stored key: of which provider, itself, whose.
fn stored(auth: &AuthFile) -> Vec<(String, String, Option<String>)> {
    let of = |provider: &str| {
        let told = |key: &Secret| {
            let owner = auth.owner(provider, key, &install()).map(str::to_owned);
            (provider.to_owned(), key.expose().to_owned(), owner)
        };
        auth.keys(provider).map(told).collect::<Vec<_>>()
    };
    auth.providers().flat_map(of).collect()
}

#[test]
fn keys_are_added_once_and_only_when_they_can_be_sent() {
    let mut auth = AuthFile::default();
    let mut add = |key: &str, owner| auth.add_key("groq", &Secret::new(key), owner, &install());
    assert_eq!(add("k", None), Ok(Added::New));
    assert_eq!(add(" k\n", Some("team")), Ok(Added::Duplicate));
    for bad in ["", "  ", "canary\nkey", "canary\u{7f}", "canaryé", &"canary".repeat(MAX_KEY_CHARS)] {
        let reason = add(bad, None).unwrap_err();
        assert!(!reason.contains("canary"), "{reason}");
    }
    assert_eq!(stored(&auth), [("groq".to_owned(), "k".to_owned(), Some("team".to_owned()))]);
}

#[test]
fn keys_are_removed_by_place_or_tail_or_all() {
    let mut auth = AuthFile::default();
    for key in ["aaa-111", "bbb-111", "ccc-222"] {
        auth.add_key("groq", &Secret::new(key), Some("team"), &install()).unwrap();
    }
    let mut remove = |selector| {
        let removed = auth.remove_key("groq", &selector, &install())?;
        Ok((exposed(removed.iter()), stored(&auth).len()))
    };
    let tail = |tail: &str| Selector::Tail(tail.to_owned());
    assert_eq!(remove(tail("111")), Err(NotRemoved::Ambiguous(2)));
    assert_eq!(remove(tail("333")), Err(NotRemoved::NotThere));
    assert_eq!(remove(tail("")), Err(NotRemoved::NotThere));
    assert_eq!(remove(Selector::Index(0)), Err(NotRemoved::NotThere));
    assert_eq!(remove(Selector::Index(4)), Err(NotRemoved::NotThere));
    assert_eq!(remove(tail("b-111")), Ok((vec!["bbb-111".to_owned()], 2)));
    assert_eq!(remove(Selector::Index(2)), Ok((vec!["ccc-222".to_owned()], 1)));
    assert_eq!(remove(Selector::All), Ok((vec!["aaa-111".to_owned()], 0)));
    assert_eq!(remove(Selector::All), Err(NotRemoved::NotThere));
    let text = auth.to_text();
    assert!(text.contains("\"groq\": []") && !text.contains("team"), "{text}");
}

#[test]
fn the_last_owner_leaves_a_file_that_can_be_read() {
    let mut auth = AuthFile::default();
    auth.add_key("groq", &Secret::new("k"), Some("team"), &install()).unwrap();
    let mut again = read(&auth.to_text());
    again.remove_key("groq", &Selector::All, &install()).unwrap();
    let text = again.to_text();
    assert!(text.contains("\"key_owners\": {}"), "{text}");
    assert!(stored(&read(&text)).is_empty());
}

#[test]
fn debug_shows_no_keys() {
    let shown = format!("{:?}", read(FULL));
    assert_eq!(shown, r#"{"groq": 2, "acme": 0}"#);
}

fn layers(environment: &[(&str, &str)], file: &str) -> Layers {
    let lines = DotEnv::parse(".env", file).unwrap();
    Layers {
        environment: environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        env_files: vec![EnvFile { path: ".env".to_owned(), lines, trust: Trust::Home }],
        ..Layers::default()
    }
}

fn source(text: &str) -> AuthSource {
    AuthSource { path: "auth.json".to_owned(), file: read(text), trust: Trust::Home }
}

fn provider(id: &str) -> Provider {
    Provider::clone(builtin().find(id).unwrap())
}

fn gathered(collected: &Collected) -> Vec<(&str, &KeySource)> {
    collected.keys.iter().map(|key| (key.secret.as_ref().map_or("", Secret::expose), &key.source)).collect()
}

#[test]
fn keys_are_gathered_in_the_originals_order_each_once() {
    let layers = layers(
        &[("GROQ_API_KEY", "a,b"), ("GROQ_API_KEY_2", " d "), ("GROQ_API_KEY_5", "never")],
        "GROQ_API_KEYS=k2, c ,d,\nGROQ_API_KEY_3=e\nGROQ_API_KEY=never\n",
    );
    let collected = collect_keys(&provider("groq"), &[source(FULL)], &layers, &install());
    let (environment, env_file) = (
        |name: &str| KeySource::Environment(name.to_owned()),
        |name: &str| KeySource::EnvFile(name.to_owned()),
    );
    assert_eq!(
        gathered(&collected),
        [
            ("k1", &KeySource::AuthFile),
            ("k2", &KeySource::AuthFile),
            ("a,b", &environment("GROQ_API_KEY")),
            ("c", &env_file("GROQ_API_KEYS")),
            ("d", &env_file("GROQ_API_KEYS")),
            ("e", &env_file("GROQ_API_KEY_3")),
        ]
    );
    assert!(collected.problems.is_empty());
    assert_eq!(collected.keys[0].id, KeyId::of(&install(), "groq", &Secret::new("k1")));
}

#[test]
fn every_name_of_a_providers_keys_is_read_in_every_form() {
    let text = "id = \"acme\"\nbase_url = \"https://example.com/v1\"\nkey_vars = [\"ACME_TOKEN\", \"ACME_API_KEY\"]\n";
    let acme = parse(text, "acme.toml").unwrap();
    let layers = layers(&[], "ACME_API_KEY_2=d\nACME_API_KEYS=c\nACME_TOKEN_2=b\nACME_TOKENS=a\n");
    let collected = collect_keys(&acme, &[], &layers, &install());
    let keys: Vec<&str> = gathered(&collected).into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["a", "b", "c", "d"]);
}

#[test]
fn a_key_that_cannot_be_sent_is_a_problem_of_its_place() {
    let layers = layers(&[("GROQ_API_KEY", "canary\r\nx: y")], "\nGROQ_API_KEY_2=\"canary\\n2\"\n");
    let auth = source("{\"providers\": {\"groq\": [\"canary\\u0000\", \"fine\"]}}");
    let collected = collect_keys(&provider("groq"), &[auth], &layers, &install());
    assert_eq!(collected.keys.len(), 1);
    let places: Vec<(&str, Option<usize>)> =
        collected.problems.iter().map(|problem| (problem.file.as_str(), problem.line)).collect();
    assert_eq!(places, [("auth.json", None), ("environment", None), (".env", Some(2))]);
    assert!(collected.problems.iter().all(|problem| !problem.to_string().contains("canary")));
}

#[test]
fn accounts_are_the_keys_of_a_provider_that_signs_in() {
    let collected =
        collect_keys(&provider("codex"), &[source(FULL), source(FULL)], &Layers::default(), &install());
    assert_eq!(collected.keys.len(), 1);
    assert_eq!(collected.keys[0].id, KeyId::account("acc-1"));
    assert!(collected.keys[0].secret.is_none());
}

#[test]
fn an_account_whose_id_no_header_may_hold_is_a_problem_and_no_key() {
    let accounts = r#"{"codex_accounts": [{"account_id": "a\r\nx: y", "refresh_token": "r"},
        {"account_id": "b", "refresh_token": "r"}]}"#;
    let collected = collect_keys(&provider("codex"), &[source(accounts)], &Layers::default(), &install());
    assert_eq!(collected.keys.iter().map(|key| key.id.0.as_str()).collect::<Vec<_>>(), ["account:b"]);
    let [problem] = collected.problems.as_slice() else { panic!("{:?}", collected.problems) };
    assert!(!problem.to_string().contains(['\r', '\n']) && problem.hint.is_some(), "{problem:?}");
}

#[test]
fn a_working_directory_counts_only_when_it_is_ours() {
    let env = |text: &str| DotEnv::parse(".env", text).unwrap();
    assert!(!working_directory_counts(None, None));
    assert!(!working_directory_counts(Some(&env("OPENAI_API_KEY=x")), Some(&read("{\"x\": 1}"))));
    assert!(working_directory_counts(Some(&env("PROXY_API_KEYS=")), None));
    assert!(working_directory_counts(Some(&env("A=1")), Some(&read("{\"providers\": {}}"))));
}

proptest! {
    #[test]
    fn texts_and_models_agree(
        keys in prop::collection::vec(("[a-c]", "[!-~]{1,12}", prop::option::of("[a-z é\"]{1,6}")), 0..8),
        removed in prop::option::of("[a-c]"),
    ) {
        let mut auth = read(FULL);
        for (provider, key, owner) in &keys {
            auth.add_key(provider, &Secret::new(key.as_str()), owner.as_deref(), &install()).unwrap();
        }
        if let Some(provider) = removed {
            let _ = auth.remove_key(&provider, &Selector::All, &install());
        }
        let again = read(&auth.to_text());
        prop_assert_eq!(stored(&again), stored(&auth));
        prop_assert_eq!(again.to_text(), auth.to_text());
        prop_assert_eq!(exposed(again.keys("groq")), ["k1", "k2"]);
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>(), key in any::<String>()) {
        let _ = AuthFile::parse(&text, "auth.json");
        let _ = AuthFile::parse(&format!("{{\"providers\":{{\"groq\":[{text}]}}}}"), "auth.json");
        if AuthFile::default().add_key("groq", &Secret::new(key.as_str()), None, &install()).is_ok() {
            prop_assert!(key.trim().bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        }
    }
}
