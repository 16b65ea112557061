//! Changes to a user's files: read anew under the lock, changed, written as a whole.

use std::path::Path;

use hr_core::credentials::AuthFile;
use hr_core::problem::Problem;
use hr_core::settings::dotenv::{self, DotEnv};

use crate::files::store::Held;

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
    let mut file = match &before {
        Some(text) => AuthFile::parse(text, &auth.display().to_string())?,
        None => AuthFile::default(),
    };
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
