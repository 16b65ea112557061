//! Settings, catalogue and credentials put together.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use hr_core::catalog::{Catalog, SpendClass, builtin, parse};
use hr_core::credentials::{AuthFile, AuthSource};
use hr_core::pool::{self, KeySource, Member, Pool};
use hr_core::problem::Problem;
use hr_core::secret::{InstallSecret, KeyId, Secret};
use hr_core::settings::dotenv::DotEnv;
use hr_core::settings::{EnvFile, Layers, OwnAddresses, Trust, resolve};

const ACME: &str = r#"
id = "acme"
base_url = "https://acme.example/v1/"
spend = "free"
skip_tokens_over = 5000
max_output_tokens = 800

[headers]
X-Fixed = "yes"

[header_vars.X-Site]
var = "ACME_SITE"
default = "home"

[[model]]
id = "large-1"
context = 1000
tools = false
reasoning = true
rating = 1

[[model]]
id = "small-1"

[[model]]
id = "extra-1"
default = false
spend = "included"

[embedding]
model = "embed-1"
"#;

fn own() -> OwnAddresses {
    OwnAddresses {
        host: "192.168.1.20".to_owned(),
        port: 8319,
        aliases: vec!["Router.example.com".to_owned()],
    }
}

fn catalog_with(text: &str) -> Catalog {
    builtin().with(vec![parse(text, "providers.d/own.toml").unwrap()]).unwrap()
}

fn file(text: &str, trust: Trust) -> EnvFile {
    EnvFile { path: ".env".to_owned(), lines: DotEnv::parse(".env", text).unwrap(), trust }
}

fn environment(pairs: &[(&str, &str)]) -> Layers {
    let environment: BTreeMap<String, String> =
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Layers { environment, ..Layers::default() }
}

fn auth(text: &str, trust: Trust) -> AuthSource {
    let path = "auth.json".to_owned();
    AuthSource { file: AuthFile::parse(text, &path).unwrap(), path, trust }
}

type Made = Result<(Pool, Vec<Problem>), Vec<Problem>>;

fn make(catalog: &Catalog, layers: &Layers, auth: &[AuthSource]) -> Made {
    let resolved = resolve(layers, catalog).unwrap();
    pool::resolve(catalog, layers, &resolved, auth, &InstallSecret(Secret::new("i")), &own())
}

/// The acme provider with a key under these settings, and the warnings.
fn acme(settings: &[(&str, &str)]) -> (Member, Vec<Problem>) {
    acme_of(ACME, settings)
}

fn acme_of(text: &str, settings: &[(&str, &str)]) -> (Member, Vec<Problem>) {
    let mut all = vec![("ACME_API_KEY", "k")];
    all.extend(settings);
    let (mut pool, warnings) = make(&catalog_with(text), &environment(&all), &[]).unwrap();
    assert_eq!(pool.members.len(), 1);
    (pool.members.remove(0), warnings)
}

/// The models that are used unasked.
fn ids(member: &Member) -> Vec<&str> {
    member.models.iter().filter(|model| !model.by_request).map(|model| model.id.as_str()).collect()
}

/// The models that only requests that name them are sent to.
fn by_request(member: &Member) -> Vec<&str> {
    member.models.iter().filter(|model| model.by_request).map(|model| model.id.as_str()).collect()
}

fn secrets(member: &Member) -> Vec<&str> {
    member.keys.iter().filter_map(|key| key.secret.as_ref()).map(Secret::expose).collect()
}

#[test]
fn nothing_set_is_an_empty_pool() {
    let (pool, warnings) = make(&builtin(), &Layers::default(), &[]).unwrap();
    assert!(pool.members.is_empty() && warnings.is_empty());
}

#[test]
fn every_provider_of_the_catalogue_joins_with_its_key() {
    let catalog = builtin();
    let mut env = String::new();
    for provider in &catalog.providers {
        for variable in provider.key_vars.iter().take(1) {
            writeln!(env, "{variable}=key-of-{}", provider.id).unwrap();
        }
        for variable in provider.enabled_by.iter().take(1) {
            writeln!(env, "{variable}=http://127.0.0.1:9999/v1").unwrap();
        }
    }
    let layers = Layers { env_files: vec![file(&env, Trust::Home)], ..Layers::default() };
    let accounts = auth(r#"{"codex_accounts": [{"account_id": "a", "refresh_token": "r"}]}"#, Trust::Home);
    let (pool, warnings) = make(&catalog, &layers, &[accounts]).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    let members: Vec<&str> = pool.members.iter().map(|member| member.provider.id.as_str()).collect();
    let all: Vec<&str> = catalog.providers.iter().map(|provider| provider.id.as_str()).collect();
    assert_eq!(members, all);
    for member in &pool.members {
        assert!(!member.models.is_empty(), "{}", member.provider.id);
        let callable = member.provider.unavailable.is_none() && member.provider.retired.is_none();
        assert_eq!(member.off.is_none(), callable, "{}", member.provider.id);
        assert!(!member.base_url.ends_with('/'));
        for model in &member.models {
            assert!((1..=5).contains(&model.rating), "{}", model.id);
        }
    }
}

#[test]
fn a_member_has_the_catalogues_facts() {
    let (member, warnings) = acme(&[]);
    assert!(warnings.is_empty());
    assert_eq!(member.base_url, "https://acme.example/v1");
    assert!(!member.base_url_is_users);
    assert_eq!(ids(&member), ["large-1", "small-1"]);
    assert_eq!(by_request(&member), ["extra-1"], "known, and no default");
    let large = &member.models[0];
    assert_eq!((large.rating, large.context), (1, Some(1000)));
    assert_eq!((large.tools, large.vision, large.reasoning), (Some(false), None, Some(true)));
    assert_eq!(member.models[1].rating, 3, "rated by its name");
    assert_eq!(member.embed_model.as_deref(), Some("embed-1"));
    assert_eq!((member.skip_tokens_over, member.max_output_tokens), (Some(5000), Some(800)));
    let headers: Vec<(&str, &str)> = member.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(headers, [("X-Fixed", "yes"), ("X-Site", "home")]);
    assert_eq!(member.off, None);
}

#[test]
fn settings_win_over_the_catalogue() {
    let (member, _) = acme(&[
        ("ACME_MODEL", "small-1,brand-new-70b,LARGE-1"),
        ("ACME_EMBED_MODEL", "other"),
        ("ACME_SKIP_TOKENS_OVER", "0"),
        ("ACME_MAX_OUTPUT_TOKENS", "9"),
        ("ACME_SITE", "there"),
        ("ACME_BASE_URL", "http://other.example:8080/"),
    ]);
    assert_eq!(ids(&member), ["small-1", "brand-new-70b", "LARGE-1"], "the user's order");
    assert!(by_request(&member).is_empty(), "the user's list is the whole list");
    assert_eq!(member.models[1].rating, 2, "rated by its name");
    assert_eq!(member.models[2].context, Some(1000), "known whatever the case");
    assert_eq!(member.embed_model.as_deref(), Some("other"));
    assert_eq!((member.skip_tokens_over, member.max_output_tokens), (None, Some(9)));
    assert!(member.headers.contains(&("X-Site".to_owned(), "there".to_owned())));
    assert_eq!(member.base_url, "http://other.example:8080");
    assert!(member.base_url_is_users);
}

#[test]
fn capabilities_are_set_for_the_provider_and_then_for_a_model() {
    let (member, _) = acme(&[
        ("ACME_SUPPORTS_TOOLS", "1"),
        ("ACME_SMALL_1_SUPPORTS_TOOLS", "no"),
        ("ACME_REASONING", "off"),
        ("ACME_LARGE_1_REASONING", "on"),
    ]);
    let of = |place: usize| (member.models[place].tools, member.models[place].reasoning);
    assert_eq!(of(0), (Some(true), Some(true)));
    assert_eq!(of(1), (Some(false), Some(false)));
}

#[test]
fn excluded_models_are_left_out_by_whole_id() {
    let (member, warnings) = acme(&[("ACME_EXCLUDE_MODELS", "LARGE-1, small, embed-1")]);
    assert_eq!((ids(&member), by_request(&member)), (vec!["small-1"], vec!["extra-1"]));
    assert_eq!(member.embed_model, None);
    assert!(warnings.is_empty());
    let (member, _) = acme(&[("ACME_EXCLUDE_MODELS", "Extra-1")]);
    assert!(by_request(&member).is_empty(), "excluded, also for those who name it");
}

#[test]
fn a_provider_without_a_model_left_stays_visible() {
    let (member, warnings) = acme(&[("ACME_EXCLUDE_MODELS", "large-1,small-1")]);
    assert!(ids(&member).is_empty());
    assert_eq!(member.off, None);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].reason.contains("ACME_EXCLUDE_MODELS"));
    let (member, warnings) = acme(&[("ACME_EXCLUDE_MODELS", "large-1,small-1,extra-1")]);
    assert!(member.models.is_empty());
    assert_eq!(warnings.len(), 1);
}

#[test]
fn an_unknown_price_counts_as_paid() {
    let class = |text: &str, model: &str| acme_of(text, &[("ACME_MODEL", model)]).0.models[0].spend;
    assert_eq!(class(ACME, "large-1"), SpendClass::Free);
    assert_eq!(class(ACME, "extra-1"), SpendClass::Included, "the model's own class");
    assert_eq!(class(ACME, "unheard-of"), SpendClass::Paid);
    let local = ACME.replace("spend = \"free\"", "spend = \"free\"\nlocal = true");
    assert_eq!(class(&local, "unheard-of"), SpendClass::Free, "the user's own machine");
    let subscription = ACME.replace("spend = \"free\"", "spend = \"included\"");
    assert_eq!(class(&subscription, "unheard-of"), SpendClass::Included);
    let paid = ACME.replace("spend = \"free\"", "spend = \"paid\"");
    assert_eq!(class(&paid, "unheard-of"), SpendClass::Paid);
    let mixed = format!(
        "{ACME}\n[[model]]\nid = \"gold\"\nspend = \"paid\"\n[[model]]\nid = \"x:free\"\nspend = \"free\"\n"
    );
    assert_eq!(class(&mixed, "large-1"), SpendClass::Free);
    assert_eq!(class(&mixed, "unheard-of"), SpendClass::Paid);
    assert_eq!(class(&mixed, "unheard-of:free"), SpendClass::Free);
    assert_eq!(class(&mixed, "unheard-of:beta"), SpendClass::Paid);
}

#[test]
fn addresses_that_lead_back_switch_only_their_provider_off() {
    for address in [
        "http://127.0.0.1:8319/v1",
        "http://localhost:8319/v1",
        "http://LOCALHOST.:8319",
        "http://api.localhost:8319",
        "http://0.0.0.0:8319",
        "http://[::1]:8319/v1",
        "http://[::]:8319",
        "http://[::ffff:127.0.0.1]:8319",
        "http://127.1:8319",
        "http://2130706433:8319",
        "http://0x7f.1:8319",
        "http://0177.0.0.1:8319",
        "https://127.8.8.8:8319",
        "http://192.168.1.20:8319/v1",
        "http://router.EXAMPLE.com:8319/v1",
    ] {
        let layers = environment(&[("ACME_API_KEY", "k"), ("ACME_BASE_URL", address), ("GROQ_API_KEY", "g")]);
        let (pool, warnings) = make(&catalog_with(ACME), &layers, &[]).unwrap();
        assert_eq!(pool.members.len(), 2);
        for member in &pool.members {
            assert_eq!(member.off.is_some(), member.provider.id == "acme", "{address}");
        }
        assert_eq!(warnings.len(), 1, "{address}");
        assert!(warnings[0].reason.contains("ACME_BASE_URL"), "{}", warnings[0]);
    }
}

#[test]
fn other_addresses_do_not_lead_back() {
    for address in [
        "http://127.0.0.1:8320/v1",
        "http://localhost/v1",
        "http://192.168.1.21:8319",
        "http://notlocalhost:8319",
        "http://router.example.com.evil.example:8319",
        "http://1.2.3.4.5:8319",
        "http://router.example.com",
    ] {
        let (member, warnings) = acme(&[("ACME_BASE_URL", address)]);
        assert_eq!(member.off, None, "{address}");
        assert!(warnings.is_empty());
    }
}

#[test]
fn a_local_server_on_our_own_port_is_refused_too() {
    let catalog = catalog_with("id = \"mine\"\nbase_url = \"http://127.0.0.1:8319/v1\"\nauth = \"none\"\n");
    let (pool, warnings) = make(&catalog, &Layers::default(), &[]).unwrap();
    assert!(pool.members[0].off.is_some());
    assert_eq!(warnings[0].file, "providers.d/own.toml");
}

#[test]
fn addresses_must_be_addresses() {
    let catalog = catalog_with(ACME);
    for address in [
        "acme.example/v1",
        "ftp://acme.example",
        "http://",
        "http:///v1",
        "https://user:canary@acme.example",
        "https://canary@acme.example",
        "https://acme.example/v1?key=canary",
        "https://acme.example/#canary",
        "https://acme.example/a b",
        "https://acme.example\\@canary",
        "https://acme.example:0",
        "https://acme.example:66000",
        "https://acme.example:",
        "https://[::1",
        "https://[nonsense]",
        "https://::1",
        "https://acmé.example",
    ] {
        let problems = resolve(&environment(&[("ACME_BASE_URL", address)]), &catalog).unwrap_err();
        assert_eq!(problems.len(), 1, "{address}");
        assert!(problems[0].reason.contains("ACME_BASE_URL"));
        assert!(!problems[0].to_string().contains("canary"), "{}", problems[0]);
    }
}

#[test]
fn anthropic_addresses_work_with_and_without_their_version() {
    let text = ACME.replace("spend = \"free\"", "spend = \"free\"\ndialect = \"anthropic\"");
    for (written, meant) in [
        ("https://a.example", "https://a.example/v1"),
        ("https://a.example/", "https://a.example/v1"),
        ("https://a.example/v1/", "https://a.example/v1"),
        ("https://a.example/anthropic", "https://a.example/anthropic/v1"),
        ("https://a.example/v2", "https://a.example/v2"),
        ("https://v1", "https://v1/v1"),
    ] {
        let (member, _) = acme_of(&text, &[("ACME_BASE_URL", written)]);
        assert_eq!(member.base_url, meant);
    }
    let (member, _) = acme(&[("ACME_BASE_URL", "https://a.example")]);
    assert_eq!(member.base_url, "https://a.example", "other dialects take the address as it is");
}

#[test]
fn retired_and_unavailable_providers_are_off() {
    let retired = format!("{ACME}\n[retired]\ndate = \"2026-01-01\"\nnote = \"it ended\"\n");
    assert_eq!(acme_of(&retired, &[]).0.off.as_deref(), Some("it ended"));
    assert_eq!(acme_of(&retired, &[("ACME_BASE_URL", "https://a.example")]).0.off, None);
    let absent = ACME.replace("spend = \"free\"", "spend = \"free\"\nunavailable = \"not yet\"");
    assert_eq!(acme_of(&absent, &[("ACME_BASE_URL", "https://a.example")]).0.off.as_deref(), Some("not yet"));
}

#[test]
fn a_server_without_keys_joins_when_it_is_asked_for() {
    let catalog = builtin();
    let member =
        |settings: &[(&str, &str)]| make(&catalog, &environment(settings), &[]).unwrap().0.members.pop();
    assert!(member(&[("LOCAL_API_KEY", "k"), ("LOCAL_EMBED_MODEL", "e")]).is_none());
    assert!(member(&[("LOCAL_MODEL", "  ")]).is_none());
    let keyless = member(&[("LOCAL_MODEL", "my-model")]).unwrap();
    assert_eq!(ids(&keyless), ["my-model"]);
    assert_eq!(
        (keyless.keys[0].id.clone(), keyless.keys[0].source.clone()),
        (KeyId::keyless(), KeySource::Keyless)
    );
    assert!(keyless.keys[0].secret.is_none());
    let keyed = member(&[("LOCAL_BASE_URL", "http://192.168.1.9:8080/v1"), ("LOCAL_API_KEY", "k")]).unwrap();
    assert_eq!(secrets(&keyed), ["k"]);
    assert_eq!(keyed.keys.len(), 1);
}

#[test]
fn an_address_of_the_working_directory_gets_only_keys_from_there() {
    let here = "PROXY_API_KEYS=x\nACME_BASE_URL=https://evil.example/v1\n";
    let stored = |trust| auth(r#"{"providers": {"acme": ["stored"]}}"#, trust);
    let make_here = |more: &str, stored: AuthSource| {
        let mut layers = environment(&[("ACME_API_KEY", "mine"), ("GROQ_API_KEY", "groq")]);
        layers.env_files.push(file(&format!("{here}{more}"), Trust::WorkingDirectory));
        make(&catalog_with(ACME), &layers, &[stored]).unwrap()
    };
    // None there: the provider has no key, others keep theirs.
    let (pool, warnings) = make_here("", stored(Trust::Home));
    let members: Vec<&str> = pool.members.iter().map(|member| member.provider.id.as_str()).collect();
    assert_eq!(members, ["groq"]);
    assert_eq!(warnings.len(), 1);
    assert_eq!((warnings[0].file.as_str(), warnings[0].line), (".env", Some(2)));
    // One there, hidden behind the environment's: it is used.
    let (pool, warnings) = make_here("ACME_API_KEY=theirs\n", stored(Trust::Home));
    let member = pool.members.iter().find(|member| member.provider.id == "acme").unwrap();
    assert_eq!(secrets(member), ["theirs"]);
    assert_eq!(warnings.len(), 1);
    // Its own credentials file counts.
    let (pool, _) = make_here("", stored(Trust::WorkingDirectory));
    let member = pool.members.iter().find(|member| member.provider.id == "acme").unwrap();
    assert_eq!(secrets(member), ["stored"]);
}

#[test]
fn an_address_of_the_user_gets_keys_from_everywhere() {
    let mut layers = environment(&[("ACME_BASE_URL", "https://a.example"), ("ACME_API_KEY", "mine")]);
    let here = "ACME_BASE_URL=https://evil.example\nACME_API_KEY_2=theirs\n";
    layers.env_files.push(file(here, Trust::WorkingDirectory));
    let (pool, warnings) = make(&catalog_with(ACME), &layers, &[]).unwrap();
    assert_eq!(pool.members[0].base_url, "https://a.example");
    assert_eq!(secrets(&pool.members[0]), ["mine", "theirs"]);
    assert!(warnings.is_empty());
}

#[test]
fn keys_that_cannot_be_sent_refuse_the_pool() {
    let layers = environment(&[("ACME_API_KEY", "canary\nkey"), ("GROQ_API_KEY", "canary\u{1}")]);
    let problems = make(&catalog_with(ACME), &layers, &[]).unwrap_err();
    assert_eq!(problems.len(), 2);
    assert!(problems.iter().all(|problem| !problem.to_string().contains("canary")));
}

#[test]
fn keys_of_unknown_providers_are_warned_of() {
    let stored = auth(r#"{"providers": {"groqq": ["a"], "acme": ["b"]}}"#, Trust::Home);
    let (pool, warnings) = make(&catalog_with(ACME), &Layers::default(), &[stored]).unwrap();
    assert_eq!(pool.members.len(), 1);
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].hint.as_deref(), Some("did you mean `groq`?"));
}

#[test]
fn owners_and_rules_come_through() {
    let install = InstallSecret(Secret::new("i"));
    let mut stored = auth("{}", Trust::Home);
    stored.file.add_key("acme", &Secret::new("k"), Some("team"), &install).unwrap();
    let layers = environment(&[("ROTATION_MODE", "seq"), ("ACME_API_KEY", "k")]);
    let (pool, _) = make(&catalog_with(ACME), &layers, &[stored]).unwrap();
    assert_eq!(pool.members[0].keys.len(), 1);
    assert_eq!(pool.members[0].keys[0].owner.as_deref(), Some("team"));
    assert_eq!(pool.rules.rotation, pool::Rotation::Sequential);
}

#[test]
fn an_access_key_of_the_router_is_no_key_of_a_provider() {
    // What people export for other programs to call the router, seen by the router itself.
    let exported =
        [("PROXY_API_KEYS", "canary-a,canary-b"), ("ACME_API_KEY", "canary-a"), ("ACME_API_KEY_2", "mine")];
    let (pool, warnings) = make(&catalog_with(ACME), &environment(&exported), &[]).unwrap();
    assert_eq!(secrets(&pool.members[0]), ["mine"]);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].reason.contains("`ACME_API_KEY`") && !warnings[0].reason.contains("canary"));
    let (pool, warnings) = make(&catalog_with(ACME), &environment(&exported[..2]), &[]).unwrap();
    assert!(pool.members.is_empty());
    assert_eq!(warnings.len(), 1);
    // With the address exported too, the provider is there and says why it is off.
    let both = [exported[0], exported[1], ("ACME_BASE_URL", "http://localhost:8319/v1")];
    let (pool, warnings) = make(&catalog_with(ACME), &environment(&both), &[]).unwrap();
    assert!(pool.members[0].off.is_some());
    assert_eq!(warnings.len(), 1);
    // A stored one, and a server that needs none.
    let stored = auth(r#"{"providers": {"acme": ["canary-b"]}}"#, Trust::Home);
    let layers = environment(&[exported[0], ("LOCAL_MODEL", "m"), ("LOCAL_API_KEY", "canary-a")]);
    let (pool, warnings) = make(&catalog_with(ACME), &layers, &[stored]).unwrap();
    assert_eq!(pool.members.len(), 1);
    assert_eq!(pool.members[0].keys[0].source, KeySource::Keyless);
    let files: Vec<&str> = warnings.iter().map(|warning| warning.file.as_str()).collect();
    assert_eq!(files, ["environment", "auth.json"]);
}

#[test]
fn another_host_of_the_provider_may_cost_money() {
    let text = format!("paid_hosts = [\"API.pay.example\"]\n{ACME}");
    let classes = |url: &str| {
        let (member, _) = acme_of(&text, &[("ACME_BASE_URL", url), ("ACME_MODEL", "large-1,extra-1,new-1")]);
        member.models.iter().map(|model| model.spend).collect::<Vec<_>>()
    };
    use SpendClass::{Free, Included, Paid};
    assert_eq!(classes("https://api.PAY.example/v1"), [Paid; 3]);
    assert_eq!(classes("https://other.example/v1"), [Free, Included, Paid]);
}

#[test]
fn a_plan_for_agents_is_paid_for_where_calls_are_sold() {
    let spend = |extra: &[(&str, &str)]| {
        let mut all = vec![("MOONSHOT_API_KEY", "k")];
        all.extend(extra);
        let (pool, _) = make(&builtin(), &environment(&all), &[]).unwrap();
        let model = &pool.members[0].models[0];
        (model.id.clone(), model.spend)
    };
    assert_eq!(spend(&[]), ("kimi-for-coding".to_owned(), SpendClass::Included));
    let sold = [("KIMI_BASE_URL", "https://api.moonshot.cn/v1"), ("KIMI_MODEL", "kimi-k2.6")];
    assert_eq!(spend(&sold), ("kimi-k2.6".to_owned(), SpendClass::Paid));
}

const ACCOUNTS: &str = r#"{"codex_accounts": [
    {"account_id": "out", "refresh_token": "r1", "login_needed": "refresh_token_reused"},
    {"account_id": "in", "refresh_token": "r2", "access_token": "t"}
]}"#;

fn codex(layers: &Layers, auth: &[AuthSource]) -> (Option<Member>, Vec<Problem>) {
    let (pool, warnings) = make(&builtin(), layers, auth).unwrap();
    (pool.members.into_iter().find(|member| member.provider.id == "codex"), warnings)
}

#[test]
fn accounts_that_are_signed_out_are_not_called() {
    let (member, warnings) = codex(&Layers::default(), &[auth(ACCOUNTS, Trust::Home)]);
    let member = member.unwrap();
    assert_eq!(member.keys.iter().map(|key| key.id.0.as_str()).collect::<Vec<_>>(), ["account:in"]);
    assert_eq!(member.keys[0].account.as_ref().unwrap().refresh_token, Secret::new("r2"));
    assert_eq!(member.token_url.as_deref(), Some("https://auth.openai.com/oauth/token"));
    assert_eq!(member.off, None);
    let warned: Vec<String> = warnings.iter().map(ToString::to_string).collect();
    assert!(
        warned.len() == 1 && warned[0].contains("`out`") && warned[0].contains("hr auth login codex"),
        "{warned:?}"
    );
    // With nobody else, the provider stays to be seen and says why it is not called.
    let all_out = ACCOUNTS.replace(r#""access_token": "t""#, r#""login_needed": "refused""#);
    let (member, _) = codex(&Layers::default(), &[auth(&all_out, Trust::Home)]);
    let member = member.unwrap();
    assert_eq!(member.keys.len(), 2);
    assert!(member.off.unwrap().contains("hr auth login codex"));
}

#[test]
fn tokens_are_renewed_where_the_first_variable_says() {
    let of = |pairs: &[(&str, &str)]| {
        codex(&environment(pairs), &[auth(ACCOUNTS, Trust::Home)]).0.unwrap().token_url.unwrap()
    };
    let (own, theirs) = ("http://127.0.0.1:1/token", "http://127.0.0.1:2/token");
    assert_eq!(of(&[("CODEX_REFRESH_TOKEN_URL_OVERRIDE", theirs)]), theirs);
    assert_eq!(of(&[("CODEX_REFRESH_TOKEN_URL_OVERRIDE", theirs), ("CODEX_TOKEN_URL", own)]), own);
}

#[test]
fn tokens_that_would_leave_this_machine_unencrypted_are_warned_of() {
    let warned = |name: &str, url: &str| {
        let (member, warnings) = codex(&environment(&[(name, url)]), &[auth(ACCOUNTS, Trust::Home)]);
        assert!(member.is_some());
        warnings.iter().any(|warning| warning.to_string().contains(name))
    };
    for name in ["CODEX_TOKEN_URL", "CODEX_REFRESH_TOKEN_URL_OVERRIDE", "CODEX_BASE_URL"] {
        assert!(warned(name, "http://tokens.example/token"), "{name}");
        for url in ["https://tokens.example/token", "http://127.0.0.1:1/token", "http://localhost/token"] {
            assert!(!warned(name, url), "{name} {url}");
        }
    }
}

#[test]
fn a_working_directorys_token_endpoint_gets_nobody_elses_tokens() {
    let env = file("CODEX_TOKEN_URL=http://evil.example/token\n", Trust::WorkingDirectory);
    let layers = Layers { env_files: vec![env], ..Layers::default() };
    let (member, warnings) = codex(&layers, &[auth(ACCOUNTS, Trust::Home)]);
    assert!(member.is_none());
    assert!(warnings.iter().any(|warning| warning.to_string().contains("CODEX_TOKEN_URL")), "{warnings:?}");
    let (member, _) = codex(&layers, &[auth(ACCOUNTS, Trust::WorkingDirectory)]);
    assert_eq!(member.unwrap().keys.len(), 1);
}
