//! From layers to what is in force: precedence, readings, problems, warnings.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::time::Duration;

use hr_core::catalog::builtin;
use hr_core::pool::{BreakerRules, Rotation, RouteRules};
use hr_core::problem::Problem;
use hr_core::settings::define::{GENERAL, Kind, LATER, PER_PROVIDER};
use hr_core::settings::dotenv::DotEnv;
use hr_core::settings::{EnvFile, Layers, Origin, Resolved, Trust, resolve};

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn file(text: &str) -> EnvFile {
    EnvFile { path: "/home/.env".to_owned(), lines: DotEnv::parse(".env", text).unwrap(), trust: Trust::Home }
}

fn env_file(text: &str) -> Layers {
    Layers { env_files: vec![file(text)], ..Layers::default() }
}

fn environment(pairs: &[(&str, &str)]) -> Layers {
    Layers { environment: map(pairs), ..Layers::default() }
}

fn resolved(layers: &Layers) -> Resolved {
    resolve(layers, &builtin()).unwrap()
}

fn problems(layers: &Layers) -> Vec<Problem> {
    resolve(layers, &builtin()).unwrap_err()
}

#[test]
fn nothing_set_is_the_documented_defaults() {
    let settings = resolved(&Layers::default()).settings;
    assert_eq!((settings.port, settings.host.as_str()), (8319, "127.0.0.1"));
    assert!(settings.proxy_api_keys.is_empty() && settings.allowed_hosts.is_empty());
    assert_eq!((settings.max_request_bytes, settings.max_attempts), (10_485_760, 64));
    assert_eq!(settings.log_level, "info");
    assert!(!settings.metrics_require_auth);
    assert_eq!((settings.auth_file, settings.state_file), (None, None));
    let seconds = Duration::from_secs;
    assert_eq!(settings.timeouts.connect, seconds(5));
    assert_eq!(settings.timeouts.first_byte, None);
    assert_eq!(settings.timeouts.stream_idle, seconds(30));
    assert_eq!(settings.timeouts.request_deadline, seconds(300));
    assert_eq!(settings.timeouts.shutdown, seconds(30));
    assert_eq!(settings.rules, RouteRules::default());
    assert_eq!(settings.rules.breaker, BreakerRules::default());
}

#[test]
fn every_default_and_example_can_be_read() {
    for setting in GENERAL {
        for value in [Some(setting.default), setting.example].into_iter().flatten() {
            let layers = environment(&[(setting.name, value)]);
            assert!(resolve(&layers, &builtin()).is_ok(), "{}={value}", setting.name);
        }
        assert!(
            setting.summary.ends_with('.') && setting.details.trim() == setting.details,
            "{}",
            setting.name
        );
    }
    let catalog = builtin();
    for provider in &catalog.providers {
        for template in PER_PROVIDER {
            let name = template.of_model(provider, "some-model");
            let layers = env_file(&format!("{name}={}", template.example));
            let resolved = resolve(&layers, &catalog).unwrap();
            assert!(resolved.warnings.is_empty(), "{name}");
            assert!(resolved.values.iter().any(|value| value.name == name && !value.default), "{name}");
        }
    }
}

#[test]
fn flags_win_over_the_environment_over_the_file_over_defaults() {
    let mut layers = env_file("PORT=3\nHOST=10.0.0.1\nMAX_ATTEMPTS=9\n");
    layers.env_files.push(file("PORT=4\nSTRICT_MODELS=1\n"));
    layers.environment = map(&[("PORT", "2"), ("HOST", "10.0.0.2"), ("MAX_ATTEMPTS", "  ")]);
    layers.flags = map(&[("PORT", "1"), ("HOST", "")]);
    let resolved = resolved(&layers);
    let settings = &resolved.settings;
    assert_eq!((settings.port, settings.host.as_str(), settings.max_attempts), (1, "10.0.0.2", 9));
    assert!(settings.rules.strict_models, "a later file fills what an earlier leaves");
    let origin = |name: &str| resolved.values.iter().find(|value| value.name == name).unwrap().origin.clone();
    assert_eq!(origin("PORT"), Origin::Flag);
    assert_eq!(origin("HOST"), Origin::Environment);
    assert_eq!(origin("MAX_ATTEMPTS"), Origin::EnvFile("/home/.env".to_owned(), 3));
    assert_eq!(origin("LOG_LEVEL"), Origin::Default);
}

#[test]
fn values_are_read_by_their_kind() {
    let layers = environment(&[
        ("HOST", "[::1]"),
        ("ALLOWED_HOSTS", "Router.Example.com, ,router.example.com,::1"),
        ("PROXY_API_KEYS", " a , b ,a,"),
        ("METRICS_REQUIRE_AUTH", "On"),
        ("LOG_LEVEL", "WARNING"),
        ("ROTATION_MODE", "SEQ"),
        ("UPSTREAM_CONNECT_TIMEOUT", "0.25"),
        ("UPSTREAM_FIRST_BYTE_TIMEOUT", "45"),
        ("SHUTDOWN_TIMEOUT", "0"),
        ("BREAKER_ERROR_RATE", ".75"),
        ("ROUTER_MODEL_ID", "pool"),
        ("ROUTER_STATE_FILE", "/s"),
    ]);
    let settings = resolved(&layers).settings;
    assert_eq!(settings.host, "::1");
    assert_eq!(settings.allowed_hosts, ["router.example.com", "::1"]);
    let keys: Vec<&str> = settings.proxy_api_keys.iter().map(|key| key.expose()).collect();
    assert_eq!(keys, ["a", "b"]);
    assert!(settings.metrics_require_auth);
    assert_eq!(settings.log_level, "warn");
    assert_eq!(settings.rules.rotation, Rotation::Sequential);
    assert_eq!(settings.timeouts.connect, Duration::from_millis(250));
    assert_eq!(settings.timeouts.first_byte, Some(Duration::from_secs(45)));
    assert_eq!(settings.timeouts.shutdown, Duration::ZERO);
    assert!((settings.rules.breaker.error_rate - 0.75).abs() < f64::EPSILON);
    assert_eq!(settings.rules.router_model, "pool");
    assert_eq!(settings.state_file.as_deref(), Some("/s"));
    for mode in ["rr", "roundrobin", "round_robin", "round-robin"] {
        let settings = resolved(&environment(&[("ROTATION_MODE", mode)])).settings;
        assert_eq!(settings.rules.rotation, Rotation::RoundRobin);
    }
}

#[test]
fn switches_have_one_grammar() {
    for (word, on) in [("1", true), ("TRUE", true), ("yes", true), ("on", true)].into_iter().chain([
        ("0", false),
        ("false", false),
        ("No", false),
        ("off", false),
    ]) {
        let resolved = resolved(&environment(&[("STRICT_MODELS", word), ("GROQ_SUPPORTS_TOOLS", word)]));
        assert_eq!(resolved.settings.rules.strict_models, on, "{word}");
        assert_eq!(resolved.providers["groq"].supports_tools, Some(on), "{word}");
    }
    for word in ["2", "enabled", "y"] {
        assert_eq!(problems(&environment(&[("STRICT_MODELS", word)])).len(), 1, "{word}");
    }
}

#[test]
fn all_problems_come_at_once_with_their_places() {
    let mut layers =
        env_file("PORT=high\n\nROTATION_MODE=random\nGROQ_BASE_URL=ftp://x\nGROQ_REASONING=maybe\n");
    layers.environment = map(&[("BREAKER_WINDOW", "0")]);
    layers.flags = map(&[("HOST", "http://x")]);
    let shown: Vec<String> = problems(&layers).iter().map(ToString::to_string).collect();
    assert_eq!(shown.len(), 6, "{shown:#?}");
    let place = |name: &str| {
        let line = shown.iter().find(|shown| shown.contains(&format!("`{name}`"))).unwrap();
        line.split(": ").next().unwrap().to_owned()
    };
    assert_eq!(place("PORT"), "/home/.env:1");
    assert_eq!(place("ROTATION_MODE"), "/home/.env:3");
    assert_eq!(place("GROQ_BASE_URL"), "/home/.env:4");
    assert_eq!(place("GROQ_REASONING"), "/home/.env:5");
    assert_eq!(place("BREAKER_WINDOW"), "environment");
    assert_eq!(place("HOST"), "command line");
}

#[test]
fn bounds_are_held() {
    for setting in GENERAL {
        let bad = match setting.kind {
            Kind::Whole { max, .. } => vec![(max + 1).to_string(), "-1".to_owned(), "1.5".to_owned()],
            Kind::Seconds { max, .. } => vec![(max + 1.0).to_string(), "-1".to_owned(), "NaN".to_owned()],
            Kind::Share { max, .. } => vec![(max + 0.1).to_string(), "inf".to_owned(), "50%".to_owned()],
            Kind::Dollars { max, .. } => vec![(max + 1.0).to_string(), "-1".to_owned(), "1 EUR".to_owned()],
            Kind::Choice(_) | Kind::Switch => vec!["perhaps".to_owned()],
            Kind::Host => vec!["a b".to_owned(), "host:80".to_owned()],
            _ => Vec::new(),
        };
        for value in bad {
            let found = problems(&environment(&[(setting.name, &value)]));
            assert_eq!(found.len(), 1, "{}={value}", setting.name);
            assert!(found[0].reason.contains(setting.name));
        }
    }
}

#[test]
fn placeholder_access_keys_never_count() {
    let resolved = resolved(&env_file("PROXY_API_KEYS=sk-router-1,mine,sk-my-router-key-1"));
    let keys: Vec<&str> = resolved.settings.proxy_api_keys.iter().map(|key| key.expose()).collect();
    assert_eq!(keys, ["mine"]);
    assert_eq!(resolved.warnings.len(), 1);
    assert_eq!(resolved.warnings[0].line, Some(1));
}

#[test]
fn near_misses_in_a_file_are_warned_of() {
    let text = "GROQ_API_KY=x\nPROT=1\nROTATION_MOD=seq\nGEMINI_MODELL=x\nDATABASE_URL=x\nOPENAI_ORG_ID=x\nEDITOR=vi\n";
    let resolved = resolved(&env_file(text));
    let hints: Vec<(usize, &str)> =
        resolved.warnings.iter().map(|it| (it.line.unwrap(), it.hint.as_deref().unwrap())).collect();
    assert_eq!(
        hints,
        [
            (1, "did you mean `GROQ_API_KEY`?"),
            (2, "did you mean `PORT`?"),
            (3, "did you mean `ROTATION_MODE`?"),
            (4, "did you mean `GEMINI_MODEL`?")
        ]
    );
    // The environment is full of other programs' names.
    assert!(resolve(&environment(&[("GROQ_API_KY", "x")]), &builtin()).unwrap().warnings.is_empty());
}

#[test]
fn what_is_written_and_never_read_is_warned_of() {
    let text = "GROQ_API_KEY_1=a\nGROQ_API_KEY_2=b\nGROQ_API_KEY_4=d\nHF_TOKEN_3=e\nGEMINI_API_KEY_2=f\n\
                PORT=\nPORT=9000\nHOST=::1\nHOST=::1\n";
    let mut layers = env_file(text);
    layers.environment = map(&[("ZAI_API_KEY_02", "g"), ("ZAI_API_KEY_2", "h")]);
    let warnings: Vec<String> = resolved(&layers).warnings.iter().map(|it| it.to_string()).collect();
    assert_eq!(
        warnings,
        [
            "/home/.env:7: `PORT` is set in line 6 already, which counts (remove one of the two lines)",
            "/home/.env:1: the key in `GROQ_API_KEY_1` is not read (numbers begin at 2 and leave none out; the next one is `GROQ_API_KEY_3`)",
            "/home/.env:3: the key in `GROQ_API_KEY_4` is not read (numbers begin at 2 and leave none out; the next one is `GROQ_API_KEY_3`)",
            "environment: the key in `ZAI_API_KEY_02` is not read (numbers begin at 2 and leave none out; the next one is `ZAI_API_KEY_3`)",
            "/home/.env:4: the key in `HF_TOKEN_3` is not read (numbers begin at 2 and leave none out; the next one is `HF_TOKEN_2`)",
        ]
    );
}

#[test]
fn names_of_the_original_are_known_and_listed_as_not_used() {
    let text: String = LATER.iter().map(|(name, _)| format!("{name}=x\n")).collect();
    let text = text + "GROQ_AUTO_DISCOVER_MODELS=1\nGROQ_API_KEY_2=k\nGROQ_API_KEYS=a,b\nGLM_API_KEY=k\n";
    let resolved = resolved(&env_file(&text));
    assert!(resolved.warnings.is_empty(), "{:?}", resolved.warnings);
    let unused = resolved.values.iter().filter(|value| !value.used).count();
    assert_eq!(unused, LATER.len());
}

#[test]
fn secrets_are_shown_by_their_tails() {
    let text = "PROXY_API_KEYS=sk-canary-one1,sk-canary-two2\nGROQ_API_KEYS=sk-canary-six6,sk-canary-ten0\nGROQ_API_KEY=x\n";
    let resolved = resolved(&env_file(text));
    let shown = |name: &str| resolved.values.iter().find(|value| value.name == name).unwrap().shown.clone();
    assert_eq!(shown("PROXY_API_KEYS"), "…y-one1,…y-two2");
    assert_eq!(shown("GROQ_API_KEYS"), "…y-six6,…y-ten0");
    assert_eq!(shown("GROQ_API_KEY"), "…");
    let everything = format!("{resolved:?} {:?}", env_file(text));
    assert!(!everything.contains("canary"), "{everything}");
}

#[test]
fn a_breaker_that_never_opens_is_warned_of() {
    let resolved = resolved(&env_file("BREAKER_MIN_SAMPLES=9\n"));
    assert_eq!(resolved.warnings.len(), 1);
    assert_eq!(resolved.warnings[0].line, Some(1));
}

#[test]
fn settings_of_providers_are_read() {
    let layers = environment(&[
        ("GROQ_MODEL", "one, two/x ,one"),
        ("GROQ_EXCLUDE_MODELS", "TWO/X"),
        ("GROQ_EMBED_MODEL", "e"),
        ("GROQ_TWO_X_REASONING", "1"),
        ("GROQ_SKIP_TOKENS_OVER", "0"),
        ("GROQ_MAX_OUTPUT_TOKENS", "8"),
        ("GROQ_BASE_URL", "HTTP://example.com:8080/v1/"),
        ("OPENROUTER_APP_NAME", "mine"),
    ]);
    let resolved = resolved(&layers);
    let groq = &resolved.providers["groq"];
    assert_eq!(groq.models, ["one", "two/x"]);
    assert_eq!(groq.excluded, ["two/x"]);
    assert_eq!(groq.embed_model.as_deref(), Some("e"));
    assert_eq!(groq.model_reasoning, [("two/x".to_owned(), true)].into());
    assert_eq!((groq.skip_tokens_over, groq.max_output_tokens), (Some(0), Some(8)));
    let base_url = groq.base_url.as_ref().unwrap();
    assert_eq!(base_url.address.as_str(), "http://example.com:8080/v1");
    assert_eq!(base_url.trust, Trust::Home);
    assert_eq!(resolved.providers["openrouter"].headers, [("X-Title".to_owned(), "mine".to_owned())].into());
    assert_eq!(problems(&environment(&[("OPENROUTER_APP_NAME", "a\nb")])).len(), 1);
    assert_eq!(problems(&environment(&[("GROQ_MODEL", "a b")])).len(), 1);
}
