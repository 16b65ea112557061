//! What is known of the programs that can be pointed here. They are data: `agents.toml`.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::cli::words;

/// A program that can be pointed here.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// The name that commands understand.
    pub id: String,
    /// Other such names.
    pub aliases: Vec<String>,
    /// The name for people.
    pub name: String,
    /// The command that starts it, when it is one.
    pub start: Option<String>,
    /// What has to be written where.
    pub step: Vec<Step>,
}

/// A piece of configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The file that it goes into; a shell runs it when there is none.
    pub file: Option<String>,
    /// What else there is to know.
    pub says: Option<String>,
    /// What it is written in.
    pub format: Format,
    /// The piece itself, with marks where the router's own values go.
    pub text: String,
}

/// What a piece is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Commands of a shell.
    Sh,
    /// TOML.
    Toml,
    /// JSON.
    Json,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Agents {
    agent: Vec<Agent>,
}

static AGENTS: LazyLock<Agents> = LazyLock::new(|| {
    toml::from_str(include_str!("agents.toml")).unwrap_or_else(|error| {
        unreachable!("a file of the build is broken, which its tests refuse: {error}")
    })
});

/// All of them, in the order in which they are shown.
pub fn all() -> &'static [Agent] {
    &AGENTS.agent
}

/// The one of this name.
pub fn find(name: &str) -> Option<&'static Agent> {
    all().iter().find(|agent| agent.id == name || agent.aliases.iter().any(|alias| alias == name))
}

/// The router's own values, to be filled into pieces.
pub struct Router {
    /// `http://host:port`.
    pub root: String,
    /// Its model.
    pub model: String,
}

impl Router {
    /// A text of an agent with the router's values, each written as its format wants it.
    pub fn fill(&self, text: &str, format: Format) -> String {
        let write = |value: &str| match format {
            Format::Sh => words::for_shell(value),
            Format::Toml | Format::Json => for_quotes(value),
        };
        text.trim_start_matches('\n')
            .replace("@BASE@", &write(&format!("{}/v1", self.root)))
            .replace("@ROOT@", &write(&self.root))
            .replace("@MODEL@", &write(&self.model))
    }
}

/// The value as it stands between the quotes of a JSON or TOML string.
fn for_quotes(value: &str) -> String {
    let quoted = serde_json::Value::from(value).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTER: fn(&str) -> Router =
        |model| Router { root: "http://127.0.0.1:8319".to_owned(), model: model.to_owned() };

    #[test]
    fn names_are_told_apart_and_all_marks_are_filled() {
        let names: Vec<&String> =
            all().iter().flat_map(|agent| agent.aliases.iter().chain([&agent.id])).collect();
        for name in &names {
            assert_eq!(names.iter().filter(|other| other == &name).count(), 1, "{name}");
            assert!(find(name).is_some());
        }
        for step in all().iter().flat_map(|agent| &agent.step) {
            let says = step.says.as_deref().unwrap_or_default();
            for text in [step.text.as_str(), says] {
                let filled = ROUTER("m").fill(text, step.format);
                assert!(!filled.contains("@ROOT") && !filled.contains("@BASE") && !filled.contains("@MODEL"));
            }
        }
    }

    #[test]
    fn pieces_can_be_read_whatever_the_model_is_called() {
        for model in ["hermes-router", "it's \"mine\" $(rm) \\ ok"] {
            for step in all().iter().flat_map(|agent| &agent.step) {
                let text = ROUTER(model).fill(&step.text, step.format);
                match step.format {
                    Format::Json => {
                        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
                        assert_eq!(read["model"], format!("hermes/{model}"));
                    }
                    Format::Toml => {
                        let read: toml::Table = toml::from_str(&text).unwrap();
                        assert_eq!(read["model"].as_str(), Some(model));
                    }
                    Format::Sh => assert!(
                        text.lines().all(|line| line.starts_with("export ") || line.starts_with("unset "))
                    ),
                }
            }
        }
    }
}
