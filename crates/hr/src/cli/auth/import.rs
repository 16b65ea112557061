//! `hr auth import-codex`

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use hr_core::catalog::Login;
use hr_core::credentials::program;

use super::accounts;
use crate::cli::desk::Desk;
use crate::cli::print;
use crate::cli::report::Advice;
use crate::files::store;

/// Take over the login of the Codex CLI
///
/// Copies the ChatGPT account from the file in which `codex` keeps its login. Run
/// it once for each account. Tokens can be renewed once: after the first renewal by
/// either side the other's copy is dead. A login that is not shared is better:
/// `hr auth login codex`.
///
/// Examples:
///
///   hr auth import-codex
///   hr auth import-codex --from ~/backup/.codex/auth.json
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Import {
    /// The file, or its folder, instead of the one in `CODEX_HOME` or `~/.codex`
    #[arg(long, value_name = "PATH")]
    from: Option<PathBuf>,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Import {
    pub fn run(self, desk: &Desk) -> anyhow::Result<()> {
        let catalog = desk.catalog()?;
        let (provider, login) = catalog
            .providers
            .iter()
            .find_map(|provider| Some((provider, provider.login.as_ref()?)))
            .context("no provider signs in with accounts")?;
        let path = match self.from {
            Some(path) if path.is_dir() => path.join(accounts::FILE),
            Some(path) => path,
            None => folder(desk, login)?.join(accounts::FILE),
        };
        let Some(account) = accounts::read(&path)? else {
            return Err(not_there(&path, &provider.id, login));
        };
        if !accounts::agree(provider, login, self.yes)? {
            return accounts::declined();
        }
        accounts::adopt(desk, provider, &account)?;
        print::say(&format!(
            "note: `{}` and this router have the same login now: after the first renewal by either side the \
             other copy is dead. `hr auth login {}` makes one that is not shared.",
            login.program, provider.id
        ));
        Ok(())
    }
}

/// Where the program keeps its login.
fn folder(desk: &Desk, login: &Login) -> anyhow::Result<PathBuf> {
    if let Some(found) = desk.layers()?.get(&login.home_var) {
        return Ok(desk.home.cwd.join(found.value));
    }
    match desk.environment.get("HOME").filter(|home| !home.is_empty()) {
        Some(home) => Ok(desk.home.cwd.join(home).join(&login.home)),
        None => {
            let hint = format!("name the file with `--from`, or its folder in `{}`", login.home_var);
            Err(Advice::new(format!("the folder of `{}` is not known", login.program), hint).into())
        }
    }
}

/// Why there is nothing to import: nobody has signed in, or the login is kept elsewhere.
fn not_there(path: &Path, provider: &str, login: &Login) -> anyhow::Error {
    let settings = store::folder_of(path).join(accounts::SETTINGS);
    let text = store::read(&settings).ok().flatten().unwrap_or_default();
    let own = format!("sign in for this router: `hr auth login {provider}`");
    match program::other_store(&text) {
        Some(store) => {
            let what = format!(
                "`{}` keeps its login in the store `{store}` of the system and not in `{}`",
                login.program,
                path.display()
            );
            let setting = program::store_in_file();
            let file = format!("or set `{}` in `{}`", setting.trim(), settings.display());
            Advice::new(what, own)
                .and(format!("{file}, sign in with `{} login`, and repeat this", login.program))
        }
        None => {
            let what = format!("there is no login in `{}`", path.display());
            Advice::new(what, own)
                .and(format!("or sign in with `{} login`, and repeat this", login.program))
                .and("the program may also keep it in the keyring of the system, which is not read here")
        }
    }
    .into()
}
