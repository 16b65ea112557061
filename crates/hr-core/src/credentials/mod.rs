//! Keys of ours at providers: the file that `hr auth` keeps them in, and how they are gathered from it and from
//! the settings.
//!
//! [`AuthFile`] is the `auth.json` of the original product, read and written compatibly: what this program does
//! not know stays as it is, byte for byte. A file that cannot be read is a problem that names it, never an
//! empty pool. An [`Account`] is a login with its tokens, [`program`] reads one out of the file of a provider's own
//! program. [`collect_keys`] puts the sources together in the original's order. Nothing here touches a file: text
//! comes in, text goes out.

mod account;
mod account_list;
mod auth_file;
mod claims;
mod collect;
pub mod program;

pub use account::{Account, RENEW_AFTER, RENEW_AT_MOST_EVERY, RENEW_BEFORE_END, Renewal};
pub use auth_file::{Added, AuthFile, MAX_FILE_BYTES, NotRemoved, Selector};
pub use claims::Claims;
pub use collect::{AuthSource, Collected, collect_keys, working_directory_counts};

/// The longest key that is accepted.
pub const MAX_KEY_CHARS: usize = 8192;

/// Whether a trimmed text can be sent as a key, without repeating it.
fn check(text: &str) -> Result<(), String> {
    if text.len() > MAX_KEY_CHARS {
        return Err(format!("is longer than {MAX_KEY_CHARS} characters"));
    }
    if text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
        return Ok(());
    }
    Err("has a line break or another character that no request can carry".to_owned())
}
