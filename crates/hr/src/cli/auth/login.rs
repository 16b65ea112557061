//! `hr auth login`

use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitStatus;

use anyhow::Context;
use clap::Args;
use hr_core::catalog::{Login, Provider};
use hr_core::credentials::program;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::accounts;
use crate::cli::desk::{self, Desk};
use crate::cli::report::Advice;
use crate::files::store;

/// Only the owner may look inside.
const OWNER_FOLDER: u32 = 0o700;

/// Sign in to an account of a provider
///
/// Runs the provider's own program in a folder of the router's own and takes over
/// the login that it makes there, so that it is shared with nothing else. Again for
/// each further account; for one that is there already it stores new tokens.
///
/// Examples:
///
///   hr auth login codex
///   hr auth login codex --device-auth      on a machine without a browser
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct SignIn {
    /// The provider
    provider: Option<String>,

    /// Do not ask
    #[arg(long, short)]
    yes: bool,

    /// What else the provider's program is told
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

impl SignIn {
    pub fn run(self, desk: &Desk) -> anyhow::Result<()> {
        let catalog = desk.catalog()?;
        let provider = desk::provider(&catalog, self.provider.as_deref())?;
        let login = accounts::login(provider)?;
        if !accounts::agree(provider, login, self.yes)? {
            return accounts::declined();
        }
        let folder = own_folder(desk, provider)?;
        let ended = sign_in(login, folder.path(), &self.arguments)?;
        let again = format!("repeat `hr auth login {}`", provider.id);
        if !ended.success() {
            return Err(
                Advice::new(format!("`{} login` did not sign in: {ended}", login.program), again).into()
            );
        }
        let Some(account) = accounts::read(&folder.path().join(accounts::FILE))? else {
            let what = format!("`{} login` has left no login in its folder", login.program);
            return Err(Advice::new(what, format!("update it: `{}`", login.install)).and(again).into());
        };
        accounts::adopt(desk, provider, &account)?;
        // The router's copy is the only one from here on.
        folder.close().context("could not remove the folder of the login")
    }
}

/// A folder for the provider's program alone, beside the credentials; removed at the end.
fn own_folder(desk: &Desk, provider: &Provider) -> anyhow::Result<TempDir> {
    let auth = desk.auth_path();
    let beside = store::folder_of(&auth);
    store::make_folder(beside)?;
    let folder = tempfile::Builder::new()
        .permissions(Permissions::from_mode(OWNER_FOLDER))
        .prefix(&format!(".{}-login-", provider.id))
        .tempdir_in(beside)
        .with_context(|| format!("could not make a folder in `{}`", beside.display()))?;
    // Into the file, whatever the program would choose by itself.
    store::replace(&folder.path().join(accounts::SETTINGS), &program::store_in_file())?;
    Ok(folder)
}

/// Runs the program to its end. Ctrl-C is the program's to hear; this one goes on to tidy up.
fn sign_in(login: &Login, folder: &Path, arguments: &[String]) -> anyhow::Result<ExitStatus> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let started =
            Command::new(&login.program).arg("login").args(arguments).env(&login.home_var, folder).spawn();
        let mut program = started.map_err(|error| cannot_start(login, error))?;
        loop {
            tokio::select! {
                ended = program.wait() => return ended.context("could not wait for the program"),
                _ = interrupt.recv() => {}
                _ = terminate.recv() => program.start_kill().context("could not stop the program")?,
            }
        }
    })
}

fn cannot_start(login: &Login, error: std::io::Error) -> anyhow::Error {
    if error.kind() == ErrorKind::NotFound {
        let what = format!("`{}` is not installed, or not on `PATH`", login.program);
        return Advice::new(what, format!("install it: `{}`", login.install))
            .and("or sign in on another machine and import the file that it makes there, with `--from`")
            .into();
    }
    anyhow::Error::from(error).context(format!("could not start `{}`", login.program))
}
