//! The installation's own secret, under which key ids are hashed.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hr_core::problem::Problem;
use hr_core::secret::{InstallSecret, Secret};

use crate::files::store;

/// How many random bytes it is made of.
const SECRET_BYTES: usize = 32;

/// The least text that is taken for it: a file cut short must not weaken the ids.
const LEAST_CHARS: usize = 32;

/// The secret, made on first use.
///
/// # Errors
///
/// When it cannot be read or made, or what is there is too short to be one.
pub fn secret(path: &Path) -> Result<InstallSecret, Problem> {
    let problem = |reason: String| Problem::new(path.display().to_string(), reason);
    let found = || store::read(path).map_err(|error| problem(format!("could not be read: {error}")));
    let text = match found()? {
        Some(text) => text,
        None => {
            make(path).map_err(|error| {
                problem(format!("could not be made: {error:#}"))
                    .hint("the folder must be writable; `HR_HOME` names another one")
            })?;
            // Another process may have been quicker; what is there now is everybody's.
            found()?.unwrap_or_default()
        }
    };
    if text.trim().len() < LEAST_CHARS {
        return Err(problem("the installation's secret is too short".to_owned())
            .hint("remove the file; a new one is made, and what is known of each key starts anew"));
    }
    Ok(InstallSecret(Secret::new(text.trim())))
}

fn make(path: &Path) -> anyhow::Result<()> {
    store::create(path, &format!("{}\n", random_text::<SECRET_BYTES>()?))?;
    Ok(())
}

/// So many random bytes as URL-safe base64.
pub(super) fn random_text<const BYTES: usize>() -> anyhow::Result<String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("the system gave no random bytes: {error}"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/install.key");
        let first = secret(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(secret(&path).unwrap().0.expose(), first.0.expose());
        let other = secret(&folder.path().join("other.key")).unwrap();
        assert_ne!(first.0.expose(), other.0.expose());
    }

    #[test]
    fn two_that_make_it_at_once_agree() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("install.key");
        let make = || secret(&path).unwrap().0.expose().to_owned();
        let made: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(made.iter().all(|text| *text == made[0]));
    }

    #[test]
    fn where_none_can_be_made_another_home_is_suggested() {
        let problem = secret(Path::new("/proc/nowhere/install.key")).unwrap_err();
        assert!(problem.to_string().contains("`HR_HOME` names another"), "{problem}");
    }

    #[test]
    fn one_cut_short_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("install.key");
        fs::write(&path, "abc").unwrap();
        let problem = secret(&path).unwrap_err();
        assert!(problem.reason.contains("too short"), "{problem}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "abc");
    }
}
