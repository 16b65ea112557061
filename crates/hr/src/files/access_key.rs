//! The router's first access key, for a user who has set none.

use hr_core::secret::Secret;
use hr_core::settings::define::general::PROXY_API_KEYS;

use crate::files::edit;
use crate::files::home::Home;
use crate::files::install::random_text;

/// What access keys begin with.
const PREFIX: &str = "sk-router-";

/// How many random bytes follow.
const RANDOM_BYTES: usize = 24;

/// Makes a random access key and stores it in the settings file, which only its owner may read.
///
/// # Errors
///
/// When the settings file cannot be changed.
pub fn make_first(home: &Home) -> anyhow::Result<Secret> {
    let key = format!("{PREFIX}{}", random_text::<RANDOM_BYTES>()?);
    edit::set(&home.env, PROXY_API_KEYS.name, &key)?;
    Ok(Secret::new(key))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn is_stored_for_the_owner_alone_and_keeps_everything_else() {
        let folder = tempfile::tempdir().unwrap();
        let environment = BTreeMap::from([("HR_HOME".to_owned(), folder.path().display().to_string())]);
        let home = Home::find(&environment, folder.path());
        fs::write(&home.env, "# mine\nPORT=9000\n").unwrap();
        let key = make_first(&home).unwrap();
        assert!(
            key.expose().starts_with("sk-router-") && key.expose().len() == 10 + 32,
            "24 bytes as base64"
        );
        let text = fs::read_to_string(&home.env).unwrap();
        assert_eq!(text, format!("# mine\nPORT=9000\nPROXY_API_KEYS={}\n", key.expose()));
        assert_eq!(fs::metadata(&home.env).unwrap().permissions().mode() & 0o777, 0o600);
        assert_ne!(make_first(&home).unwrap().expose(), key.expose());
    }
}
