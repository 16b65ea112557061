//! The file in which a provider's own program keeps its login, in all the forms that it has had.

use serde_json::{Map, Value};

use super::{Account, Claims};
use crate::problem::Problem;
use crate::secret::Secret;
use crate::time::Millis;

/// The modes of a login whose tokens can be renewed by whoever has them.
const RENEWABLE: &str = "chatgpt";
/// The mode of a file that holds an API key.
const API_KEY: &str = "apikey";
/// The setting of the program that says where it keeps its login.
const STORE_SETTING: &str = "cli_auth_credentials_store";
/// The value of that setting that means the file; also what counts when it is not set.
const STORE_IN_FILE: &str = "file";

/// Reads the login of a provider's own program: with its mode or, from before there were modes, without; with
/// or without the account's id; or flat, as third parties write it. `file` is its name as shown to people.
///
/// # Errors
///
/// When it is no such file, or holds something else than a login that can be renewed.
pub fn read_login(text: &str, file: &str) -> Result<Account, Problem> {
    let refused = |reason: &str, hint: &str| Err(Problem::new(file, reason).hint(hint));
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // What the parser says of it may quote it.
    let Ok(Value::Object(whole)) = serde_json::from_str(text) else {
        return refused("not a JSON object", "name the file in which the program keeps its login");
    };
    const AGAIN: &str = "sign in with the program again, by its subscription, and repeat this";
    let mode = string(&whole, "auth_mode").unwrap_or_else(|| RENEWABLE.to_owned());
    let tokens = match whole.get("tokens") {
        Some(Value::Object(tokens)) => Some(tokens),
        _ => Some(&whole).filter(|whole| whole.contains_key("refresh_token")),
    };
    let has_key = string(&whole, "OPENAI_API_KEY").is_some();
    if mode.eq_ignore_ascii_case(API_KEY) || (tokens.is_none() && has_key) {
        let hint = "store the key with `hr auth add` for the provider that it belongs to, or sign in with the \
                    program by a subscription";
        return refused("it holds an API key and no login of a subscription", hint);
    }
    if !mode.eq_ignore_ascii_case(RENEWABLE) {
        let reason =
            format!("its login is of the kind `{}`, which only its owner renews", mode.escape_debug());
        return refused(&reason, AGAIN);
    }
    let Some(tokens) = tokens else { return refused("nobody is signed in", AGAIN) };
    let secret = |name: &str| string(tokens, name).map(Secret::new);
    let Some(refresh_token) = secret("refresh_token") else {
        return refused("it has no refresh token, so it could not be renewed", AGAIN);
    };
    let (id_token, access_token) = (secret("id_token"), secret("access_token"));
    let claimed = |token: &Option<Secret>| token.as_ref().and_then(|token| Claims::of(token).account_id);
    let id = string(tokens, "account_id").or_else(|| claimed(&id_token)).or_else(|| claimed(&access_token));
    let Some(id) = id else { return refused("it does not say which account it is for", AGAIN) };
    let sendable = |text: &str| super::check(text).is_ok();
    let sent = [Some(&refresh_token), access_token.as_ref()].into_iter().flatten();
    if !sendable(&id) || !sent.into_iter().all(|token| sendable(token.expose())) {
        return refused("it holds something that no request can carry", AGAIN);
    }
    Ok(Account {
        id,
        access_token,
        refresh_token,
        id_token,
        last_refresh: string(&whole, "last_refresh").and_then(|text| Millis::from_rfc3339(&text)),
        login_needed: None,
    })
}

/// Where a program keeps its login when that is not the file: what its own settings file names.
#[must_use]
pub fn other_store(config: &str) -> Option<String> {
    let table: toml::Table = config.parse().ok()?;
    let store = table.get(STORE_SETTING)?.as_str()?;
    (store != STORE_IN_FILE).then(|| store.to_owned())
}

/// The line of the program's settings file that makes it keep its login in its file.
#[must_use]
pub fn store_in_file() -> String {
    format!("{STORE_SETTING} = \"{STORE_IN_FILE}\"\n")
}

fn string(object: &Map<String, Value>, name: &str) -> Option<String> {
    let text = object.get(name)?.as_str()?.trim();
    (!text.is_empty()).then(|| text.to_owned())
}
