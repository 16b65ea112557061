//! The catalogue that is compiled in, and how a provider's file is read or refused.

#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hr_core::catalog::{
    AuthScheme, Catalog, Dialect, ErrorRow, LimitSpan, LimitUnit, MAX_FILE_BYTES, OwnerScope, Provider,
    QUIRK_FUNCTIONS, SpendClass, builtin, fits, parse, reach,
};
use hr_core::failure::{FailureKind, Scope};
use hr_core::problem::Problem;
use hr_core::quota::Reach;
use proptest::prelude::*;

/// The smallest file, for cases that add something to it.
const SMALLEST: &str = "id = \"box\"\nbase_url = \"https://box.example/v1\"\n";

#[test]
fn the_providers_that_were_promised_are_there_in_their_order() {
    let catalog = builtin();
    let ids: Vec<&str> = catalog.providers.iter().map(|provider| provider.id.as_str()).collect();
    let promised = "gemini openrouter sambanova github_models cerebras groq mistral cohere zai naga nvidia \
                    huggingface kimi opencode opencode_go openai anthropic codex local";
    // More may stand between them: adding a provider is adding one file.
    let there: Vec<&str> = ids.into_iter().filter(|id| promised.split(' ').any(|name| name == *id)).collect();
    assert_eq!(there, promised.split(' ').collect::<Vec<_>>());
}

#[test]
fn ids_aliases_and_prefixes_name_one_provider_each() {
    let catalog = builtin();
    let mut names = BTreeSet::new();
    let mut prefixes = BTreeSet::new();
    for provider in &catalog.providers {
        for name in provider.aliases.iter().chain([&provider.id]) {
            assert!(names.insert(name.clone()), "`{name}` names two providers");
            assert_eq!(catalog.find(&name.to_uppercase()).map(|found| &found.id), Some(&provider.id));
        }
        assert!(prefixes.insert(&provider.prefix), "{} is the prefix of two", provider.prefix);
        assert_eq!(provider.file, format!("{}.toml", provider.id));
    }
    assert!(catalog.find("nobody").is_none());
}

#[test]
fn aliases_of_the_original_are_understood() {
    for (alias, id) in [
        ("google", "gemini"),
        ("or", "openrouter"),
        ("samba", "sambanova"),
        ("github", "github_models"),
        ("glm", "zai"),
        ("z.ai", "zai"),
        ("nim", "nvidia"),
        ("hf", "huggingface"),
        ("moonshot", "kimi"),
        ("opencode_zen", "opencode"),
        ("zen", "opencode"),
        ("opencodego", "opencode_go"),
        ("opencode-go", "opencode_go"),
        ("go", "opencode_go"),
        ("gpt", "openai"),
        ("claude", "anthropic"),
        ("chatgpt", "codex"),
        ("ollama", "local"),
    ] {
        assert_eq!(found(alias).id, id, "{alias}");
    }
}

#[test]
fn default_models_are_the_promised_ones() {
    for (id, model) in [
        ("openai", "gpt-4o-mini"),
        ("anthropic", "claude-haiku-4-5"),
        ("codex", "gpt-5.5"),
        ("kimi", "kimi-for-coding"),
        ("huggingface", "openai/gpt-oss-120b:cheapest"),
        ("groq", "openai/gpt-oss-120b"),
        ("zai", "glm-4.7-flash"),
        ("local", "llama3.1"),
    ] {
        let provider = found(id);
        assert_eq!(provider.models[0].id, model, "{id}");
        assert!(provider.models[0].default, "{id}");
    }
    assert_eq!(found("kimi").base_url, "https://api.kimi.com/coding/v1");
    for provider in &builtin().providers {
        assert!(provider.models.iter().any(|model| model.default), "{} has no default model", provider.id);
        assert!(provider.models.is_sorted_by_key(|model| !model.default), "{}: defaults first", provider.id);
    }
}

#[test]
fn keys_are_read_from_the_originals_variables_and_the_obvious_ones() {
    for (id, variables) in [
        ("gemini", ["GEMINI_API_KEY", "GOOGLE_API_KEY"]),
        ("github_models", ["GITHUB_MODELS_TOKEN", "GITHUB_MODELS_API_KEY"]),
        ("zai", ["GLM_API_KEY", "ZAI_API_KEY"]),
        ("huggingface", ["HUGGINGFACE_API_KEY", "HF_TOKEN"]),
        ("kimi", ["KIMI_API_KEY", "MOONSHOT_API_KEY"]),
    ] {
        assert_eq!(found(id).key_vars, variables, "{id}");
    }
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    for provider in &builtin().providers {
        for variable in &provider.key_vars {
            if let Some(other) = owners.insert(variable.clone(), provider.id.clone()) {
                panic!("{variable} would give a key of {other} to {}", provider.id);
            }
        }
    }
}

#[test]
fn every_fact_has_its_source_and_its_day() {
    for provider in &builtin().providers {
        for model in &provider.models {
            assert!(model.source.is_some() && model.date.is_some(), "{}: {}", provider.id, model.id);
        }
        for limit in &provider.limits {
            assert!(limit.source.is_some() && limit.date.is_some(), "{}: {limit:?}", provider.id);
        }
        assert!(provider.sign_up.is_some() && provider.note.is_some(), "{}", provider.id);
    }
}

#[test]
fn limits_speak_of_models_that_are_there() {
    for provider in &builtin().providers {
        let embedding = provider.embedding.iter().map(|embedding| &embedding.model);
        let known: BTreeSet<&String> =
            provider.models.iter().map(|model| &model.id).chain(embedding).collect();
        let published = provider.limits.iter().flat_map(|limit| &limit.models);
        let refused = provider.errors.iter().filter_map(|row| row.limit.as_ref()?.models.as_ref()).flatten();
        for model in published.chain(refused).chain(&provider.metering.models) {
            let named = known.iter().any(|known| fits(model, known));
            assert!(named, "{}: a limit of the unknown model {model}", provider.id);
        }
    }
}

#[test]
fn nothing_is_called_free_whose_price_is_unknown_and_whose_provider_is_paid() {
    for (id, spend) in [
        ("openai", SpendClass::Paid),
        ("anthropic", SpendClass::Paid),
        ("cerebras", SpendClass::Paid),
        ("sambanova", SpendClass::Paid),
        ("naga", SpendClass::Paid),
        ("groq", SpendClass::Free),
        ("kimi", SpendClass::Included),
        ("codex", SpendClass::Included),
        ("opencode", SpendClass::Free),
        ("opencode_go", SpendClass::Included),
        ("local", SpendClass::Free),
    ] {
        assert_eq!(found(id).spend, spend, "{id}");
    }
    let zai = found("zai");
    let paid = zai.models.iter().find(|model| model.id == "glm-5.3").unwrap();
    assert_eq!(paid.spend, Some(SpendClass::Paid));
}

#[test]
fn what_cannot_be_called_says_why() {
    let retired = found("github_models");
    assert_eq!(retired.retired.as_ref().unwrap().date, "2026-07-30");
    for provider in builtin().providers {
        assert_eq!(provider.unavailable, None, "{}", provider.id);
    }
}

#[test]
fn the_local_server_needs_no_key_and_gets_time() {
    let local = found("local");
    assert_eq!(local.auth, AuthScheme::None);
    assert!(local.local);
    let renamed = local.quirks.rename.iter().find(|(from, _)| *from == "max_completion_tokens");
    assert_eq!(renamed.map(|(_, to)| to.as_str()), Some("max_tokens"), "some of them ignore the other");
    assert_eq!(local.base_url, "http://127.0.0.1:11434/v1");
    assert_eq!(local.enabled_by, ["LOCAL_BASE_URL", "LOCAL_MODEL"]);
    assert_eq!(local.first_byte_timeout, Some(Duration::from_secs(300)));
    assert_eq!(found("nvidia").first_byte_timeout, Some(Duration::from_secs(180)));
}

/// Rows are tried in order: one that asks for less than a later one would leave it without effect.
#[test]
fn no_error_row_hides_a_later_one() {
    fn hides(early: &ErrorRow, late: &ErrorRow) -> bool {
        let status = early.status.is_none() || early.status == late.status;
        let code = early.code.is_none() || early.code == late.code;
        let contains = match (&early.contains, &late.contains) {
            (None, _) => true,
            (Some(early), Some(late)) => late.contains(early.as_str()),
            (Some(_), None) => false,
        };
        status && code && contains
    }
    for provider in &builtin().providers {
        for (index, late) in provider.errors.iter().enumerate() {
            for early in &provider.errors[..index] {
                assert!(!hides(early, late), "{}: {early:?} hides {late:?}", provider.id);
            }
        }
    }
}

#[test]
fn error_rows_keep_apart_what_one_status_mixes() {
    let row = |id: &str, code: &str| {
        let provider = found(id);
        let row = provider.errors.iter().find(|row| row.code.as_deref() == Some(code)).cloned();
        row.map(|row| (row.kind, row.scope)).unwrap_or_else(|| panic!("{id} has no row for {code}"))
    };
    for (id, code, kind, scope) in [
        ("zai", "1113", FailureKind::NoMoney, Some(Scope::KeyModel)),
        ("zai", "1302", FailureKind::RateLimited, Some(Scope::Key)),
        ("zai", "1305", FailureKind::Overloaded, Some(Scope::Model)),
        ("zai", "1310", FailureKind::QuotaSpent, Some(Scope::Key)),
        ("zai", "1311", FailureKind::ModelForbidden, Some(Scope::KeyModel)),
        ("mistral", "1913", FailureKind::ModelForbidden, Some(Scope::KeyModel)),
        ("groq", "tool_use_failed", FailureKind::Malformed, Some(Scope::Model)),
        ("cerebras", "queue_exceeded", FailureKind::Overloaded, Some(Scope::Model)),
        ("kimi", "engine_overloaded_error", FailureKind::Overloaded, Some(Scope::Model)),
        ("kimi", "exceeded_current_quota_error", FailureKind::NoMoney, Some(Scope::Key)),
        ("openai", "insufficient_quota", FailureKind::NoMoney, Some(Scope::Key)),
    ] {
        assert_eq!(row(id, code), (kind, scope), "{id} {code}");
    }
}

/// A field under two names would become one name twice, which some servers refuse and others guess about.
#[test]
fn a_limit_that_is_renamed_is_first_made_one() {
    for provider in &builtin().providers {
        if provider.quirks.rename.iter().any(|(from, _)| from.starts_with("max_")) {
            let functions = &provider.quirks.functions;
            assert!(functions.iter().any(|name| name == "one_max_tokens_field"), "{}", provider.id);
        }
    }
}

#[test]
fn quirk_functions_are_named_once() {
    let names: BTreeSet<&&str> = QUIRK_FUNCTIONS.iter().collect();
    assert_eq!(names.len(), QUIRK_FUNCTIONS.len());
}

#[test]
fn two_lines_are_a_provider() {
    let provider = parse("id = \"my-box\"\nbase_url = \"https://box.example/v1/\"\n", "box.toml").unwrap();
    assert_eq!(provider.name, "my-box");
    assert_eq!(provider.base_url, "https://box.example/v1");
    assert_eq!(provider.dialect, Dialect::OpenaiChat);
    assert_eq!(provider.auth, AuthScheme::Bearer);
    assert_eq!(provider.prefix, "MY_BOX");
    assert_eq!(provider.key_vars, ["MY_BOX_API_KEY"]);
    assert_eq!(provider.spend, SpendClass::Paid);
    assert_eq!(provider.order, 1000);
    assert!(provider.models.is_empty() && provider.limits.is_empty() && provider.errors.is_empty());
}

#[test]
fn a_full_file_is_read_whole() {
    let text = r#"
id = "office"
name = "The office"
aliases = ["bureau"]
order = 5
base_url = "http://[::1]:8080/v1"
auth = "header:x-api-key"
prefix = "OFFICE_LLM"
key_vars = ["OFFICE_TOKEN"]
spend = "included"
first_byte_timeout = 90
skip_tokens_over = 1000
max_output_tokens = 100

[headers]
X-Team = "core"

[header_vars.X-Site]
var = "OFFICE_SITE"
default = "home"

[[model]]
id = "known"
default = false

[[model]]
id = "first"
price = { input = 1, output = 2.5 }
rating = 2

[embedding]
model = "vectors"
dimensions = 768

[[limit]]
owner = "organisation"
unit = "money"
per = "month"
amount = 5
reset = "calendar-month"

[ratelimit]
owner = "project"
models = ["*"]
requests = "day"
tokens = "minute"

[quirks]
drop = ["user"]
rename = { seed = "random_seed" }
clamp = { temperature = [0, 1.5] }
force = { store = false }
functions = ["strip_extra_content", "developer_to_system"]

[[error]]
status = 429
code = "1305"
contains = "overloaded"
kind = "overloaded"
scope = "model"
wait = 60
limit = { unit = "tokens", per = "day", models = ["*-free"], reset = "utc-midnight" }
"#;
    let provider = parse(text, "office.toml").unwrap();
    assert_eq!(provider.auth, AuthScheme::Header("x-api-key".to_owned()));
    assert_eq!(provider.prefix, "OFFICE_LLM");
    assert_eq!(provider.key_vars, ["OFFICE_TOKEN"]);
    assert_eq!(provider.first_byte_timeout, Some(Duration::from_secs(90)));
    assert_eq!(provider.headers["X-Team"], "core");
    assert_eq!(provider.header_vars["X-Site"], ("OFFICE_SITE".to_owned(), "home".to_owned()));
    let models: Vec<&str> = provider.models.iter().map(|model| model.id.as_str()).collect();
    assert_eq!(models, ["first", "known"]);
    assert_eq!(provider.models[0].price.map(|price| (price.input, price.output)), Some((1.0, 2.5)));
    assert_eq!(provider.embedding.as_ref().map(|embedding| embedding.dimensions), Some(Some(768)));
    assert!((provider.limits[0].amount - 5.0).abs() < f64::EPSILON);
    assert_eq!(provider.limits[0].reach(), Reach::ThisModel);
    let metering = &provider.metering;
    assert_eq!((metering.owner, reach(&metering.models)), (Some(OwnerScope::Project), Reach::AllModels));
    assert_eq!((metering.requests, metering.tokens), (Some(LimitSpan::Day), Some(LimitSpan::Minute)));
    let refused = provider.errors[0].limit.as_ref().unwrap();
    assert_eq!((refused.unit, refused.per), (Some(LimitUnit::Tokens), Some(LimitSpan::Day)));
    assert_eq!(refused.reset.as_deref(), Some("utc-midnight"));
    let models = refused.models.as_ref().unwrap();
    assert_eq!(reach(models), Reach::Models(vec!["*-free".to_owned()]));
    assert!(
        fits(&models[0], "x-free") && !fits(&models[0], "free-x") && fits("x*", "xy") && !fits("x", "xy")
    );
    assert_eq!(provider.quirks.clamp, [("temperature".to_owned(), 0.0, 1.5)]);
    assert_eq!(provider.quirks.rename, [("seed".to_owned(), "random_seed".to_owned())]);
    assert_eq!(provider.quirks.force, [("store".to_owned(), serde_json::json!(false))]);
    assert_eq!(provider.quirks.functions, ["strip_extra_content", "developer_to_system"]);
    let row = &provider.errors[0];
    assert_eq!((row.status, row.kind, row.scope), (Some(429), FailureKind::Overloaded, Some(Scope::Model)));
    assert_eq!(row.wait, Some(Duration::from_secs(60)));
}

/// What is added to the smallest file, the line it is refused at, a part of the reason, a part of the hint.
#[rustfmt::skip]
const REFUSED: &[(&str, usize, &str, &str)] = &[
    ("base_ulr = \"x\"", 3, "unknown key `base_ulr`", "did you mean `base_url`?"),
    ("colour = \"red\"", 3, "unknown key `colour`", "known are id, name"),
    ("id = \"again\"", 3, "duplicate key", ""),
    ("dialect = \"openai_chats\"", 3, "unknown value `openai_chats`", "did you mean `openai_chat`?"),
    ("dialect = \"soap\"", 3, "unknown value `soap`", "known are openai_chat"),
    ("auth = \"bear\"", 3, "unknown auth scheme `bear`", "did you mean `bearer`?"),
    ("auth = \"header:x api\"", 3, "the header name `x api`", ""),
    ("spend = \"fre\"", 3, "unknown value `fre`", "did you mean `free`?"),
    ("order = \"first\"", 3, "invalid type: string, expected u32", ""),
    ("order = -1", 3, "invalid value", ""),
    ("local = 1", 3, "invalid type: integer `1`, expected a boolean", ""),
    ("aliases = [\n  \"fine\",\n  \"Not Fine\",\n]", 5, "the alias `Not Fine`", ""),
    ("prefix = \"lower\"", 3, "the variable name `lower_API_KEY`", ""),
    ("prefix = \"PROXY\"", 3, "the access keys of callers", ""),
    ("key_vars = [\"PROXY_API_KEYS\"]", 3, "the access keys of callers", ""),
    ("key_vars = [\"BOX KEY\"]", 3, "the variable name `BOX KEY`", ""),
    ("sign_up = \"box.example\"", 3, "the address must begin with", ""),
    ("first_byte_timeout = 0", 3, "`0` must be from 1 to 3600 seconds", ""),
    ("first_byte_timeout = 1.5", 3, "invalid type", ""),
    ("headers = { \"X Y\" = \"1\" }", 3, "the header name `X Y`", ""),
    ("headers = { X = \"a\\nb\" }", 3, "the header's value", ""),
    ("[header_vars.X]\nvar = \"BOX\"", 3, "the key `default` is missing", ""),
    ("[[model]]\ncontext = 5", 3, "the key `id` is missing", ""),
    ("[[model]]\nid = \"a\"\n[[model]]\nid = \"a\"", 6, "the model `a` is there twice", ""),
    ("[[model]]\nid = \"a b\"", 4, "the model id `a b`", ""),
    ("[[model]]\nid = \"a\"\nrating = 6", 5, "`6` must be from 1 to 5", ""),
    ("[[model]]\nid = \"a\"\ntols = true", 5, "unknown key `tols`", "did you mean `tools`?"),
    ("[[model]]\nid = \"a\"\ncontext = \"128k\"", 5, "invalid type: string, expected u64", ""),
    ("[[model]]\nid = \"a\"\nprice = { input = 1 }", 5, "the key `output` is missing", ""),
    ("[[model]]\nid = \"a\"\nprice = { input = -1, output = 1 }", 5, "the amount `-1` must be zero or more", ""),
    ("[[model]]\nid = \"a\"\nprice = { input = nan, output = 1 }", 5, "the amount `NaN`", ""),
    ("[[model]]\nid = \"a\"\ndate = \"May 2026\"", 5, "the date `May 2026`", ""),
    ("[[model]]\nid = \"a\"\ndate = \"2026-13\"", 5, "the date `2026-13`", ""),
    ("[[models]]\nid = \"a\"", 3, "unknown key `models`", "did you mean `model`?"),
    ("[[limit]]\nowner = \"me\"\nunit = \"requests\"\nper = \"day\"\namount = 1", 4, "unknown value `me`", "known are key"),
    ("[[limit]]\nowner = \"key\"\nunit = \"request\"\nper = \"day\"\namount = 1", 5, "unknown value `request`", "did you mean `requests`?"),
    ("[[limit]]\nowner = \"key\"\nunit = \"tokens\"\nper = \"day\"\namount = 1\nreset = \"utc-midnite\"", 8, "unknown reset", "did you mean `utc-midnight`?"),
    ("[[limit]]\nowner = \"key\"\nmodels = [\"a*b\"]\nunit = \"tokens\"\nper = \"day\"\namount = 1", 5, "`a*b` may begin or end with `*`", ""),
    ("[ratelimit]\nrequest = \"day\"", 4, "unknown key `request`", "did you mean `requests`?"),
    ("[ratelimit]\ntokens = \"minutes\"", 4, "unknown value `minutes`", "did you mean `minute`?"),
    ("[[error]]\nstatus = 429\nkind = \"quota_spent\"\nlimit = { per = \"day\", reset = \"midnight\" }", 6, "unknown reset `midnight`", "did you mean"),
    ("[[error]]\nstatus = 429\nkind = \"quota_spent\"\nlimit = { zone = \"Beijing\" }", 6, "`Beijing` is no distance from UTC", ""),
    ("[quirks]\nfunctions = [\n\"strip_extra_contents\"]", 5, "unknown quirk function `strip_extra_contents`", "did you mean `strip_extra_content`?"),
    ("[quirks]\nclamp = { temperature = [1, 0] }", 4, "the bounds `[1, 0]`", ""),
    ("[quirks]\nclamp = { temperature = [1] }", 4, "invalid length", ""),
    ("[[error]]\nstatus = 400\nkind = \"badkey\"", 5, "unknown value `badkey`", "did you mean `bad_key`?"),
    ("[[error]]\nstatus = 42\nkind = \"bad_key\"", 4, "`42` must be from 100 to 599", ""),
    ("[[error]]\nkind = \"bad_key\"", 3, "without a condition", "a `status`"),
    ("[[error]]\ncontains = \"Bad\"\nkind = \"bad_key\"", 4, "must be in lower case", ""),
    ("[[error]]\nstatus = 400", 3, "the key `kind` is missing", ""),
    ("[retired]\ndate = \"2026-07-30\"", 3, "the key `note` is missing", ""),
    ("note = \"unfinished", 3, "", ""),
    ("note = ", 3, "", ""),
    ("just words", 3, "", ""),
];

#[test]
fn a_bad_file_is_refused_with_its_line_the_reason_and_a_hint() {
    for (added, line, reason, hint) in REFUSED {
        let problem = refused(&format!("{SMALLEST}{added}\n"));
        assert_eq!(problem.file, "box.toml", "{added}");
        assert_eq!(problem.line, Some(*line), "{added}: {problem}");
        assert!(problem.reason.contains(reason), "{added}: {problem}");
        assert!(!problem.reason.is_empty() && !problem.reason.ends_with('.'), "{added}: {problem}");
        assert!(!problem.reason.contains('\n'), "{added}: {problem}");
        assert!(problem.hint.clone().unwrap_or_default().contains(hint), "{added}: {problem}");
    }
}

#[test]
fn what_is_required_is_named() {
    assert!(refused("base_url = \"https://box.example\"\n").reason.contains("the key `id` is missing"));
    assert!(refused("id = \"box\"\n").reason.contains("the key `base_url` is missing"));
    assert!(refused("").reason.contains("is missing"));
}

#[test]
fn an_id_is_lower_case_and_short() {
    for id in ["", "Box", "1box", "my box", "böx", "a/b", &"x".repeat(65)] {
        let problem = refused(&format!("id = \"{id}\"\nbase_url = \"https://box.example\"\n"));
        assert_eq!(problem.line, Some(1), "{id}");
        assert!(problem.reason.contains("must be lower-case letters"), "{id}: {problem}");
    }
    assert!(
        refused("id = \"proxy\"\nbase_url = \"https://box.example\"\n")
            .reason
            .contains("access keys of callers")
    );
}

#[test]
fn our_own_addresses_are_https_or_this_machine() {
    for provider in &builtin().providers {
        let safe = provider.base_url.starts_with("https://") || provider.local;
        assert!(safe, "{}: {}", provider.id, provider.base_url);
    }
}

#[test]
fn an_address_is_a_plain_url() {
    let with = |url: &str| parse(&format!("id = \"box\"\nbase_url = \"{url}\"\n"), "box.toml");
    for url in [
        "https://box.example",
        "https://box.example:8443/v1",
        "https://10.0.0.7/v1",
        "http://127.0.0.1:8080/v1",
        "http://127.3.2.1/v1",
        "http://localhost:1234/v1",
        "http://LocalHost/v1",
        "http://[::1]:8080/v1",
        "http://192.168.1.20:8000/v1",
        "http://box.example/v1",
    ] {
        assert!(with(url).is_ok(), "{url}");
    }
    for url in [
        "",
        "box.example",
        "https://",
        "https:///v1",
        "ftp://box.example",
        "file:///etc/passwd",
        "http://[::1].box.example/v1",
        "http://127.0.0.1@box.example/v1",
        "https://user:password@box.example/v1",
        "https://box.example:0/v1",
        "https://box.example:99999/v1",
        "https://box.example:port/v1",
        "https://[::1/v1",
        "https://[not-v6]/v1",
        "https://box example/v1",
        "https://box.example/v1?key=x",
        "https://box.example/v1#part",
        "https://box.example\\\\@evil.example/v1",
    ] {
        let problem = with(url).expect_err(url);
        assert_eq!(problem.line, Some(2), "{url}: {problem}");
    }
}

#[test]
fn a_problem_does_not_repeat_what_may_be_secret() {
    for text in [
        "id = \"box\"\nbase_url = \"https://user:canary-1b7@box.example\"\n",
        "id = \"box\"\nbase_url = \"https://box.example/?key=canary-1b7\"\n",
        "id = \"box\"\nbase_url = \"https://box.example\"\nheaders = \"canary-1b7\"\n",
        "id = \"box\"\nbase_url = \"https://box.example\"\nheaders = { X = \"canary-1b7\\u0007\" }\n",
        "id = \"box\"\nbase_url = \"https://box.example\"\norder = \"a \\\", expected canary-1b7 \\\", expected b\"\n",
    ] {
        let shown = refused(text).to_string();
        assert!(!shown.contains("canary-1b7"), "{shown}");
    }
}

#[test]
fn a_file_that_is_too_large_is_refused_unread() {
    let text = format!("{SMALLEST}# {}\n", "x".repeat(MAX_FILE_BYTES));
    assert!(refused(&text).reason.contains("larger than"));
}

#[test]
fn own_providers_come_last_and_may_replace_ours() {
    let ours = builtin().providers.len();
    let catalog = builtin().with(vec![own("box"), own("groq")]).unwrap();
    assert_eq!(catalog.providers.len(), ours + 1);
    assert_eq!(catalog.find("groq").unwrap().base_url, "https://box.example/v1");
    let last: Vec<&str> =
        catalog.providers.iter().rev().take(2).map(|provider| provider.id.as_str()).collect();
    assert_eq!(last, ["groq", "box"]);
    assert_eq!(builtin().find("groq").unwrap().base_url, "https://api.groq.com/openai/v1");
}

#[test]
fn own_providers_that_could_not_be_told_apart_are_refused() {
    let refused = |own| builtin().with(own).map(|_| ()).unwrap_err();
    assert!(
        refused(vec![own("box"), own("box")]).reason.contains("the provider `box` is already in `box.toml`")
    );
    let prefix = Provider { prefix: "GROQ".to_owned(), ..own("box") };
    assert!(
        refused(vec![prefix]).reason.contains("the prefix `GROQ` is already that of the provider `groq`")
    );
    for alias in ["google", "gemini"] {
        let alias = Provider { aliases: vec![alias.to_owned()], ..own("box") };
        assert!(refused(vec![alias]).reason.contains("already means the provider `gemini`"));
    }
    let twins =
        [("a", "same"), ("b", "same")].map(|(id, alias)| Provider { aliases: vec![alias.into()], ..own(id) });
    assert!(refused(twins.to_vec()).reason.contains("the alias `same`"));
}

proptest! {
    /// Whatever a file holds, it is read or refused with a place inside it; it never ends the program.
    #[test]
    fn any_file_is_read_or_refused(keep in 0..4000_usize, noise in "\\PC{0,12}", which in 0..19_usize) {
        let catalog: Catalog = builtin();
        let name = catalog.providers[which].file.clone();
        let path = format!("{}/../../catalog/{name}", env!("CARGO_MANIFEST_DIR"));
        #[allow(clippy::disallowed_methods, reason = "the files stand beside the crate")]
        let mut text = std::fs::read_to_string(path).unwrap();
        let at = (0..=keep.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.insert_str(at, &noise);
        if let Err(problem) = parse(&text, &name) {
            prop_assert!(problem.line.is_none_or(|line| line <= text.lines().count() + 1));
            prop_assert!(!problem.reason.is_empty());
        }
    }
}

fn found(name: &str) -> Provider {
    builtin().find(name).unwrap_or_else(|| panic!("no provider `{name}`")).as_ref().clone()
}

fn refused(text: &str) -> Problem {
    match parse(text, "box.toml") {
        Err(problem) => problem,
        Ok(provider) => panic!("{text:?} was read as {provider:?}"),
    }
}

fn own(id: &str) -> Provider {
    parse(&format!("id = \"{id}\"\nbase_url = \"https://box.example/v1\"\n"), &format!("{id}.toml")).unwrap()
}

#[test]
fn the_version_is_of_the_texts() {
    let version = |text: &str| builtin().with(vec![parse(text, "own.toml").unwrap()]).unwrap().version();
    let other = format!("{SMALLEST}# more\n");
    assert_eq!(version(SMALLEST), version(SMALLEST));
    assert_ne!(version(SMALLEST), version(&other));
    assert_ne!(version(SMALLEST), builtin().version());
}
