//! What catalogue files say beyond calls: programs of the own machine, hosts that charge, agents, hints.

use std::collections::BTreeSet;

use hr_core::catalog::{Provider, builtin, parse};

fn refused(lines: &str) -> String {
    let text = format!("id = \"mine\"\nbase_url = \"https://mine.example/v1\"\n{lines}");
    parse(&text, "mine.toml").expect_err("it is refused").to_string()
}

fn accepted(lines: &str) -> Provider {
    let text = format!("id = \"mine\"\nbase_url = \"https://mine.example/v1\"\n{lines}");
    parse(&text, "mine.toml").unwrap_or_else(|problem| panic!("{problem}"))
}

#[test]
fn programs_are_looked_for_on_this_machine_only() {
    let server = |url: &str| format!("[[server]]\nname = \"Mine\"\nbase_url = \"{url}\"\n");
    let mine = accepted(&server("http://127.0.0.1:8081/v1/"));
    assert_eq!(mine.servers[0].base_url, "http://127.0.0.1:8081/v1");
    assert_eq!(accepted(&server("http://[::1]:8081/v1")).servers.len(), 1);
    for elsewhere in [
        "http://192.168.0.7:8081/v1",
        "https://127.0.0.1:8081/v1",
        "http://127.0.0.1/v1",
        "http://localhost.example:8081/v1",
    ] {
        let problem = refused(&server(elsewhere));
        assert!(problem.starts_with("mine.toml:5") && problem.contains("of this machine"), "{problem}");
    }
    let path =
        refused("[[server]]\nname = \"Mine\"\nbase_url = \"http://127.0.0.1:1/v1\"\ntold_by = \"props\"\n");
    assert!(path.contains("`props` must begin with `/`"), "{path}");
}

#[test]
fn hints_are_found_by_what_happened_and_do_not_contradict() {
    for provider in &builtin().providers {
        let mut kinds = BTreeSet::new();
        for row in provider.errors.iter().filter(|row| row.hint.is_some()) {
            assert!(kinds.insert(row.kind.code()), "{}: two hints for `{}`", provider.id, row.kind.code());
            assert_eq!(provider.hint(row.kind), row.hint.as_deref());
        }
    }
    let catalog = builtin();
    let hint = |id: &str, kind| catalog.find(id).and_then(|provider| provider.hint(kind)).map(str::to_owned);
    use hr_core::failure::FailureKind;
    assert!(hint("kimi", FailureKind::ProviderGone).is_some_and(|hint| hint.contains("KIMI_BASE_URL")));
    assert!(hint("ollama", FailureKind::ModelMissing).is_some_and(|hint| hint.contains("ollama pull")));
    assert_eq!(hint("groq", FailureKind::BadKey), None);
}

#[test]
fn only_a_coding_agents_own_name_is_passed_on() {
    let catalog = builtin();
    let names = &catalog.find("kimi").expect("it is there").pass_user_agent;
    let passes = |agent: &str| names.iter().any(|name| agent.starts_with(name.as_str()));
    for agent in [
        "claude-cli/2.1.330 (external, cli)",
        "codex_exec/0.169.0 (Linux)",
        "codex-tui/0.169.0",
        "KimiCLI/1.44.0",
        "opencode/1.18.0",
        "RooCode/3.52.1",
        "Kilo-Code/7.0.0",
    ] {
        assert!(passes(agent), "{agent}");
    }
    for other in ["OpenAI/Python 2.0", "curl/8.0", "Anthropic/JS 0.9", "Mozilla/5.0"] {
        assert!(!passes(other), "{other}");
    }
}

/// From GPT-5.4 on, chat completions take no tools while a model reasons, which it does unless told otherwise.
#[test]
fn what_cannot_reason_beside_tools_is_told_not_to() {
    let catalog = hr_core::catalog::builtin();
    let openai = catalog.find("openai").unwrap();
    let told = |quirks: &[String]| quirks.iter().any(|name| name == "effort_none_with_tools");
    for model in openai.models.iter().filter(|model| model.reasoning == Some(true)) {
        assert!(told(&model.quirks) || model.tools == Some(false), "{}", model.id);
    }
    for id in ["gpt-5.4", "gpt-5.5-mini", "gpt-5.6-terra", "gpt-6.9"] {
        assert!(openai.family(id).is_some_and(|family| told(&family.quirks)), "{id}");
    }
    assert!(openai.family("gpt-5.2").is_none() && openai.family("gpt-4.1").is_none());
}
