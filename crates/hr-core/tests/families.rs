//! Models that no file lists: what is known of those whose names are alike.

#![allow(clippy::unwrap_used, reason = "what cannot be unwrapped here fails the test")]

use hr_core::catalog::{Provider, builtin, parse};
use hr_core::pool::PoolModel;

const FILE: &str = r#"
id = "acme"
base_url = "https://api.example/v1"
dialect = "anthropic"

[[model]]
id = "big-2"
max_output = 7

[[family]]
prefix = "Big-"
max_output = 100
quirks = ["no_sampling"]

[[family]]
prefix = "big-1"
quirks = ["no_thinking"]
"#;

fn model(id: &str) -> (Option<u64>, Vec<String>) {
    let provider: Provider = parse(FILE, "acme.toml").unwrap();
    let model = PoolModel::unlisted(id, &provider);
    (model.max_output, model.quirks)
}

#[test]
fn the_name_that_is_most_alike_counts() {
    assert_eq!(model("big-3"), (Some(100), vec!["no_sampling".to_owned()]));
    assert_eq!(model("BIG-1-5"), (None, vec!["no_thinking".to_owned()]));
    assert_eq!(model("small"), (None, vec![]));
}

#[test]
fn a_listed_model_is_what_its_entry_says() {
    assert_eq!(model("big-2"), (Some(7), vec![]));
}

#[test]
fn older_models_are_not_taken_for_the_newest() {
    let catalog = builtin();
    let provider = catalog.providers.iter().find(|provider| provider.id == "anthropic").unwrap();
    let quirks = |id: &str| PoolModel::unlisted(id, provider).quirks;
    for newest in ["claude-opus-6", "claude-opus-4-8", "claude-sonnet-5"] {
        assert!(quirks(newest).contains(&"no_sampling".to_owned()), "{newest}");
    }
    for older in ["claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001", "claude-opus-4-20250514"] {
        assert!(quirks(older).contains(&"thinking_by_budget".to_owned()), "{older}");
    }
}
