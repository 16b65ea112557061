//! Where things live.
//!
//! `HR_HOME` when it is set; else the working directory, but only when something of this product is in it;
//! else the XDG folders. Only one of them counts, so that what is written is read again from there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hr_core::credentials::{AuthFile, working_directory_counts};
use hr_core::settings::Trust;
use hr_core::settings::define::general::PROXY_API_KEYS;
use hr_core::settings::dotenv::DotEnv;

use crate::files::store;

/// The folder name under the XDG folders.
const FOLDER: &str = "hermes-router";

/// Which of the places it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The folder that `HR_HOME` names.
    HrHome,
    /// The folder in which the command was given.
    WorkingDirectory,
    /// The XDG folders.
    Xdg,
}

/// The paths of everything that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// Which of the places it is.
    pub place: Place,
    /// Settings.
    pub env: PathBuf,
    /// Credentials, unless `ROUTER_AUTH_FILE` names another file (see [`crate::files::load`]).
    pub auth: PathBuf,
    /// The user's own providers.
    pub providers: PathBuf,
    /// The store, unless `ROUTER_STATE_FILE` names another file (see [`crate::store::place`]).
    pub state: PathBuf,
    /// Who runs from here.
    pub pid: PathBuf,
    /// The installation's own secret.
    pub install_key: PathBuf,
    /// The working directory: what relative paths in the environment start from.
    pub cwd: PathBuf,
}

impl Home {
    /// The home that counts, for a command given in `cwd`. Nothing is made yet.
    #[must_use]
    pub fn find(environment: &BTreeMap<String, String>, cwd: &Path) -> Self {
        if let Some(folder) = folder_in(environment, "HR_HOME") {
            let folder = cwd.join(folder);
            return Self::of(Place::HrHome, &folder, &folder, cwd);
        }
        let user = cwd.join(folder_in(environment, "HOME").unwrap_or_default());
        // The XDG specification says to ignore relative paths.
        let xdg = |name, default: &str| {
            folder_in(environment, name)
                .filter(|path| path.is_absolute())
                .unwrap_or_else(|| user.join(default))
        };
        let config = xdg("XDG_CONFIG_HOME", ".config").join(FOLDER);
        let state = xdg("XDG_STATE_HOME", ".local/state").join(FOLDER);
        if counts(cwd) {
            let here = Self::of(Place::WorkingDirectory, cwd, cwd, cwd);
            // Such a folder may have been made by others: they could know the secret beforehand, or send
            // keys that are named after a provider to an address of their own.
            return Self {
                install_key: state.join("install.key"),
                providers: config.join("providers.d"),
                ..here
            };
        }
        Self::of(Place::Xdg, &config, &state, cwd)
    }

    fn of(place: Place, config: &Path, state: &Path, cwd: &Path) -> Self {
        Self {
            place,
            env: config.join(".env"),
            auth: config.join("auth.json"),
            providers: config.join("providers.d"),
            state: state.join("state.db"),
            pid: state.join("router.pid"),
            install_key: state.join("install.key"),
            cwd: cwd.to_path_buf(),
        }
    }

    /// Whose word its files are.
    #[must_use]
    pub fn trust(&self) -> Trust {
        match self.place {
            Place::HrHome | Place::Xdg => Trust::Home,
            Place::WorkingDirectory => Trust::WorkingDirectory,
        }
    }
}

/// A folder named by a variable that is set and not blank.
fn folder_in(environment: &BTreeMap<String, String>, name: &str) -> Option<PathBuf> {
    environment.get(name).filter(|value| !value.trim().is_empty()).map(PathBuf::from)
}

/// Whether a working directory is one of this product's. Any other project's `.env` is none of our business.
fn counts(cwd: &Path) -> bool {
    let text = |name| store::read(&cwd.join(name)).ok().flatten();
    let auth = text("auth.json").and_then(|text| AuthFile::parse(&text, "auth.json").ok());
    let Some(env) = text(".env") else { return working_directory_counts(None, auth.as_ref()) };
    match DotEnv::parse(".env", &env) {
        Ok(lines) => working_directory_counts(Some(&lines), auth.as_ref()),
        // A file of ours with a wrong line is refused when it is loaded, not passed over in silence.
        Err(_) => env.lines().any(names_access_keys) || working_directory_counts(None, auth.as_ref()),
    }
}

fn names_access_keys(line: &str) -> bool {
    let line = line.trim_start();
    let name = line.strip_prefix("export ").unwrap_or(line).split('=').next().unwrap_or_default();
    name.trim() == PROXY_API_KEYS.name
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn hr_home_is_the_only_home_when_it_is_set() {
        let cwd = tempfile::tempdir().unwrap();
        fs::write(cwd.path().join(".env"), "PROXY_API_KEYS=x\n").unwrap();
        let home = Home::find(&variables(&[("HR_HOME", "mine"), ("HOME", "/home/u")]), cwd.path());
        assert_eq!((home.place, home.trust()), (Place::HrHome, Trust::Home));
        assert_eq!(home.env, cwd.path().join("mine/.env"));
        assert_eq!(home.install_key, cwd.path().join("mine/install.key"));
    }

    #[test]
    fn the_xdg_folders_are_the_home_of_all_others() {
        let cwd = tempfile::tempdir().unwrap();
        let home = Home::find(&variables(&[("HOME", "/home/u"), ("HR_HOME", " ")]), cwd.path());
        assert_eq!(home.place, Place::Xdg);
        assert_eq!(home.auth, Path::new("/home/u/.config/hermes-router/auth.json"));
        assert_eq!(home.providers, Path::new("/home/u/.config/hermes-router/providers.d"));
        assert_eq!(home.pid, Path::new("/home/u/.local/state/hermes-router/router.pid"));
        let set =
            variables(&[("HOME", "/home/u"), ("XDG_CONFIG_HOME", "/c"), ("XDG_STATE_HOME", "relative")]);
        let home = Home::find(&set, cwd.path());
        assert_eq!(home.env, Path::new("/c/hermes-router/.env"));
        assert_eq!(
            home.pid,
            Path::new("/home/u/.local/state/hermes-router/router.pid"),
            "relative is ignored"
        );
    }

    #[test]
    fn the_working_directory_counts_only_with_something_of_ours_in_it() {
        let cases = [
            (".env", "PROXY_API_KEYS=sk-router-a\n", Place::WorkingDirectory),
            (".env", "export PROXY_API_KEYS='a'\n", Place::WorkingDirectory),
            (".env", "PROXY_API_KEYS=a\nnot a line\n", Place::WorkingDirectory),
            (".env", "OPENAI_API_KEY=sk-1\nOPENAI_BASE_URL=http://evil.example\n", Place::Xdg),
            (".env", "# PROXY_API_KEYS=a\n", Place::Xdg),
            (".env", "export PROXY_API_KEYS = 'not closed\n", Place::WorkingDirectory),
            (".env", "PROXY_API_KEYS_OF_ANOTHER=a\nnot a line\n", Place::Xdg),
            ("auth.json", r#"{"providers": {"groq": ["k"]}}"#, Place::WorkingDirectory),
            ("auth.json", r#"{"http-basic": {}}"#, Place::Xdg),
            ("auth.json", "{", Place::Xdg),
        ];
        for (name, text, place) in cases {
            let cwd = tempfile::tempdir().unwrap();
            fs::write(cwd.path().join(name), text).unwrap();
            let home = Home::find(&variables(&[("HOME", "/home/u")]), cwd.path());
            assert_eq!(home.place, place, "{name}: {text}");
        }
    }

    #[test]
    fn a_working_directory_brings_settings_and_keys_but_no_providers_and_no_secret() {
        let cwd = tempfile::tempdir().unwrap();
        fs::write(cwd.path().join(".env"), "PROXY_API_KEYS=x\n").unwrap();
        let home = Home::find(&variables(&[("HOME", "/home/u")]), cwd.path());
        assert_eq!(home.trust(), Trust::WorkingDirectory);
        assert_eq!((home.env, home.auth), (cwd.path().join(".env"), cwd.path().join("auth.json")));
        assert_eq!(home.providers, Path::new("/home/u/.config/hermes-router/providers.d"));
        assert_eq!(home.install_key, Path::new("/home/u/.local/state/hermes-router/install.key"));
    }
}
