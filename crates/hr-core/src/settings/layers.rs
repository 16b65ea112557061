//! Where settings are written, the earlier layer before the later: flags, the process environment, `.env`
//! files.

use std::collections::BTreeMap;
use std::fmt;

use super::Origin;
use super::dotenv::DotEnv;
use crate::problem::Problem;

/// Whose word it is. A base URL that came with the working directory may not collect the keys that the user
/// keeps elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// The user's own: flags, the process environment, the folders of the installation.
    Home,
    /// It came with the folder in which the router was started.
    WorkingDirectory,
}

/// A `.env` file that counts.
#[derive(Clone, Debug)]
pub struct EnvFile {
    /// Its path as shown to people.
    pub path: String,
    /// What it says.
    pub lines: DotEnv,
    /// Whose word it is.
    pub trust: Trust,
}

/// All layers above the defaults. An empty value counts as not set, in every layer.
#[derive(Clone, Default)]
pub struct Layers {
    /// Values of command-line flags, under the names of their settings.
    pub flags: BTreeMap<String, String>,
    /// The process environment.
    pub environment: BTreeMap<String, String>,
    /// The `.env` files that count; the earlier wins.
    pub env_files: Vec<EnvFile>,
}

/// A value and where it is written.
#[derive(Clone, PartialEq, Eq)]
pub struct Found<'a> {
    /// The value, trimmed, never empty.
    pub value: &'a str,
    /// Where it is written.
    pub origin: Origin,
    /// Whose word it is.
    pub trust: Trust,
}

impl Layers {
    /// What is in force under this name, unless nothing is.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Found<'_>> {
        let outside = [(&self.flags, Origin::Flag), (&self.environment, Origin::Environment)];
        for (values, origin) in outside {
            if let Some(value) = values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
            {
                return Some(Found { value, origin, trust: Trust::Home });
            }
        }
        self.env_files.iter().find_map(|file| {
            let entry = file.lines.get(name).filter(|entry| !entry.value.trim().is_empty())?;
            let origin = Origin::EnvFile(file.path.clone(), entry.line);
            Some(Found { value: entry.value.trim(), origin, trust: file.trust })
        })
    }

    /// Only what came with the working directory.
    #[must_use]
    pub fn of_working_directory(&self) -> Self {
        let ours = |file: &&EnvFile| file.trust == Trust::WorkingDirectory;
        Self { env_files: self.env_files.iter().filter(ours).cloned().collect(), ..Self::default() }
    }

    /// The names that are set anywhere but in the process environment, which is full of other programs' names.
    pub fn names_of_files(&self) -> impl Iterator<Item = (&EnvFile, &str, usize)> {
        self.env_files.iter().flat_map(|file| {
            file.lines.entries().iter().map(move |entry| (file, entry.name.as_str(), entry.line))
        })
    }
}

impl Found<'_> {
    /// A problem of this value.
    #[must_use]
    pub fn problem(&self, reason: impl Into<String>) -> Problem {
        self.origin.problem(reason)
    }
}

impl Origin {
    /// A problem of what is written here.
    #[must_use]
    pub fn problem(&self, reason: impl Into<String>) -> Problem {
        match self {
            Self::Flag => Problem::new("command line", reason),
            Self::Environment => Problem::new("environment", reason),
            Self::EnvFile(path, line) => Problem::new(path, reason).at(*line),
            Self::Default => Problem::new("defaults", reason),
        }
    }
}

/// Names only: values may be secret.
impl fmt::Debug for Layers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Layers")
            .field("flags", &self.flags.keys().collect::<Vec<_>>())
            .field("environment", &format_args!("{} names", self.environment.len()))
            .field("env_files", &self.env_files)
            .finish()
    }
}
