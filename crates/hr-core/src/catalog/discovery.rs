//! Where a provider lists its models, and which of them may be taken from there.

use serde::Deserialize;

/// Of what a place tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tells {
    /// Of all models, in a list.
    #[default]
    List,
    /// Of one model that is named, by a `POST` of `{"model": …}`.
    Each,
    /// Of the only model that the server has.
    One,
}

/// A place where a provider says something of its models.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListPlace {
    /// The path: below the address in force, or from the server's root.
    pub at: String,
    /// Whether the path begins at the server's root.
    #[serde(default)]
    pub root: bool,
    /// Of what it tells.
    #[serde(default)]
    pub tells: Tells,
    /// The header that the key goes into here, when not as everywhere.
    pub key_header: Option<String>,
}

/// How models of a provider are found out about.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discovery {
    /// Which ids are free, where only free ones are to be taken: `*:free`, `*-free`, `*/free*`. Empty takes all.
    #[serde(default)]
    pub free_ids: Vec<String>,
    /// Whether models are added only when that is asked for by name.
    #[serde(default)]
    pub only_when_set: bool,
    /// Whether models work that are not in the list.
    #[serde(default)]
    pub partial: bool,
    /// Where models are listed; what an earlier place says is believed before a later one.
    #[serde(default = "usual", rename = "list")]
    pub lists: Vec<ListPlace>,
}

impl Default for Discovery {
    fn default() -> Self {
        Self { free_ids: Vec::new(), only_when_set: false, partial: false, lists: usual() }
    }
}

fn usual() -> Vec<ListPlace> {
    vec![ListPlace { at: "/models".to_owned(), root: false, tells: Tells::List, key_header: None }]
}
