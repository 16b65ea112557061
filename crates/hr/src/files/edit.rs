//! Changes to a user's files: read anew under the lock, changed, written as a whole.

use std::path::Path;

use anyhow::Context;
use hr_core::credentials::AuthFile;
use hr_core::problem::Problem;
use hr_core::settings::dotenv::{self, DotEnv};

use crate::files::store::{self, Held};

/// Sets a variable of a settings file, keeping order, comments and everything else. Gives back its old value.
///
/// # Errors
///
/// When the file cannot be read, or has lines that cannot; then it stays as it is.
pub fn set(env: &Path, name: &str, value: &str) -> anyhow::Result<Option<String>> {
    let held = Held::take(env)?;
    let text = held.read()?.unwrap_or_default();
    let old = value_in(env, &text, name)?;
    if old.as_deref() != Some(value) {
        held.replace(&dotenv::set(&text, name, value))?;
    }
    Ok(old)
}

/// Removes a variable from a settings file. Gives back its old value.
///
/// # Errors
///
/// As with [`set`].
pub fn remove(env: &Path, name: &str) -> anyhow::Result<Option<String>> {
    let held = Held::take(env)?;
    let text = held.read()?.unwrap_or_default();
    let old = value_in(env, &text, name)?;
    if old.is_some() {
        held.replace(&dotenv::remove(&text, name))?;
    }
    Ok(old)
}

fn value_in(env: &Path, text: &str, name: &str) -> anyhow::Result<Option<String>> {
    let lines = DotEnv::parse(&env.display().to_string(), text).map_err(first)?;
    Ok(lines.get(name).map(|entry| entry.value.clone()))
}

fn first(problems: Vec<Problem>) -> anyhow::Error {
    match problems.into_iter().next() {
        Some(problem) => problem.into(),
        None => anyhow::anyhow!("the settings file cannot be read"),
    }
}

/// Changes a credentials file, keeping what this program does not know. The text before the change is kept
/// beside it as the last good copy.
///
/// # Errors
///
/// When the file is broken or cannot be written, or the change is refused; then it stays as it is.
pub fn credentials<T>(
    auth: &Path,
    change: impl FnOnce(&mut AuthFile) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let held = Held::take(auth)?;
    let before = held.read()?;
    let mut file = parse(auth, before.as_deref())?;
    let result = change(&mut file)?;
    let after = file.to_text();
    if before.as_deref() != Some(after.as_str()) {
        if let Some(before) = &before {
            held.keep_copy(before)?;
        }
        held.replace(&after)?;
    }
    Ok(result)
}

/// Changes tokens of accounts. The new text is written before all else: the tokens that it replaces are used up. It is
/// the last good copy as well, because an older one would only bring those back.
///
/// # Errors
///
/// When the file is broken or cannot be written; then it stays as it is.
pub fn tokens<T>(auth: &Path, change: impl FnOnce(&mut AuthFile) -> T) -> anyhow::Result<T> {
    let held = Held::take(auth)?;
    let before = held.read()?;
    let mut file = parse(auth, before.as_deref())?;
    let result = change(&mut file);
    let after = file.to_text();
    if before.as_deref() != Some(after.as_str()) {
        held.replace(&after)?;
        // The change itself is safe already.
        if let Err(error) = held.keep_copy(&after) {
            tracing::warn!(
                cause = format!("{error:#}"),
                "the copy of the credentials file could not be written"
            );
        }
    }
    Ok(result)
}

/// Whether [`credentials`] could change a file now.
///
/// # Errors
///
/// Why it could not.
pub fn can_change(auth: &Path) -> anyhow::Result<()> {
    let text = store::read(auth).with_context(|| format!("could not read `{}`", auth.display()))?;
    parse(auth, text.as_deref())?;
    store::can_write(auth)
}

fn parse(auth: &Path, text: Option<&str>) -> anyhow::Result<AuthFile> {
    Ok(match text {
        Some(text) => AuthFile::parse(text, &auth.display().to_string())?,
        None => AuthFile::default(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use hr_core::secret::{InstallSecret, Secret};

    use super::*;

    fn add(auth: &Path, key: &str) -> anyhow::Result<()> {
        let install = InstallSecret(Secret::new("install"));
        credentials(auth, |file| {
            file.add_key("acme", &Secret::new(key), None, &install).map_err(anyhow::Error::msg)?;
            Ok(())
        })
    }

    #[test]
    fn settings_keep_order_comments_and_everything_else() {
        let folder = tempfile::tempdir().unwrap();
        let env = folder.path().join(".env");
        let text = "# mine\nexport B='two words' # why\n\nA=1\n";
        fs::write(&env, text).unwrap();
        assert_eq!(set(&env, "A", "2").unwrap().as_deref(), Some("1"));
        assert_eq!(fs::read_to_string(&env).unwrap(), text.replace("A=1", "A=2"));
        assert_eq!(set(&env, "C", "new").unwrap(), None);
        assert_eq!(remove(&env, "C").unwrap().as_deref(), Some("new"));
        assert_eq!(remove(&env, "C").unwrap(), None);
        assert_eq!(fs::read_to_string(&env).unwrap(), text.replace("A=1", "A=2"));
    }

    #[test]
    fn settings_that_cannot_be_read_are_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let env = folder.path().join(".env");
        fs::write(&env, "A=1\nwhat is this\n").unwrap();
        let problem = set(&env, "A", "2").unwrap_err().to_string();
        assert!(problem.contains(".env:2"), "{problem}");
        assert_eq!(fs::read_to_string(&env).unwrap(), "A=1\nwhat is this\n");
    }

    #[test]
    fn the_last_good_credentials_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let auth = folder.path().join("auth.json");
        let copy = folder.path().join("auth.json.bak");
        add(&auth, "k-1").unwrap();
        assert!(!copy.exists(), "there was nothing to keep");
        let first = fs::read_to_string(&auth).unwrap();
        add(&auth, "k-2").unwrap();
        assert_eq!(fs::read_to_string(&copy).unwrap(), first);
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
        add(&auth, "k-2").unwrap();
        assert_eq!(fs::read_to_string(&copy).unwrap(), first, "no change, no new copy");
    }

    #[test]
    fn broken_credentials_are_named_and_never_written_over() {
        for broken in
            ["", "{\"providers\": {\"acme\": [\"k-1\"", "[]", "{\"providers\": {\"acme\": \"k-1\"}}"]
        {
            let folder = tempfile::tempdir().unwrap();
            let auth = folder.path().join("auth.json");
            fs::write(&auth, broken).unwrap();
            let problem = add(&auth, "k-2").unwrap_err().to_string();
            assert!(problem.contains("auth.json"), "{problem}");
            assert_eq!(fs::read_to_string(&auth).unwrap(), broken);
        }
    }
}
