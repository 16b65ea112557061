//! `hr auth login`

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use hr_core::catalog::{Login, Provider};
use hr_core::credentials::program;
use rustix::process::{Pid, kill_process};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Instant;

use super::accounts;
use crate::cli::desk::{self, Desk};
use crate::cli::report::Advice;
use crate::files::edit;
use crate::files::store::{self, Held};

/// Only the owner may look inside.
const OWNER_FOLDER: u32 = 0o700;
/// How long the program may take to end when it is told to.
const END_PATIENCE: Duration = Duration::from_secs(5);

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
        // Found out before anybody signs in for nothing.
        edit::can_change(&desk.auth_path())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // From here on no signal ends this program: the folder is to be removed in any case.
        let ends = Ends::new(&runtime)?;
        let folder = OwnFolder::new(desk, provider)?;
        let ended = runtime.block_on(sign_in(login, folder.path(), &self.arguments, ends))?;
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
        folder.folder.close().context("could not remove the folder of the login")
    }
}

/// A folder for the provider's program alone, beside the credentials; removed at the end.
struct OwnFolder {
    folder: TempDir,
    // Held as long as somebody signs in there.
    _in_use: Held,
}

impl OwnFolder {
    fn new(desk: &Desk, provider: &Provider) -> anyhow::Result<Self> {
        let auth = desk.auth_path();
        let beside = store::folder_of(&auth);
        store::make_folder(beside)?;
        let prefix = format!(".{}-login-", provider.id);
        remove_left(beside, &prefix);
        let folder = tempfile::Builder::new()
            .permissions(Permissions::from_mode(OWNER_FOLDER))
            .prefix(&prefix)
            .tempdir_in(beside)
            .with_context(|| format!("could not make a folder in `{}`", beside.display()))?;
        let settings = folder.path().join(accounts::SETTINGS);
        let in_use = Held::take(&settings)?;
        // Into the file, whatever the program would choose by itself.
        in_use.replace(&program::store_in_file())?;
        Ok(Self { folder, _in_use: in_use })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes the folders of logins that were killed: there may be tokens in them.
fn remove_left(beside: &Path, prefix: &str) {
    let Ok(entries) = fs::read_dir(beside) else { return };
    for entry in entries.flatten() {
        let settings = entry.path().join(accounts::SETTINGS);
        let is_one = entry.file_name().to_string_lossy().starts_with(prefix) && settings.exists();
        if is_one && Held::take_within(&settings, Duration::ZERO).is_ok() {
            // What cannot be removed now is tried again by the next login.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// The signals that would end this program.
struct Ends([Signal; 4]);

impl Ends {
    fn new(runtime: &Runtime) -> anyhow::Result<Self> {
        let _entered = runtime.enter();
        let hear = |kind| signal(kind).context("signals cannot be received");
        Ok(Self([
            hear(SignalKind::interrupt())?,
            hear(SignalKind::terminate())?,
            hear(SignalKind::hangup())?,
            hear(SignalKind::quit())?,
        ]))
    }

    async fn next(&mut self) {
        let [interrupt, terminate, hangup, quit] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = quit.recv() => {}
        }
    }
}

/// Runs the program to its end. What would end this one ends it instead, politely first.
async fn sign_in(
    login: &Login,
    folder: &Path,
    arguments: &[String],
    mut ends: Ends,
) -> anyhow::Result<ExitStatus> {
    let started =
        Command::new(&login.program).arg("login").args(arguments).env(&login.home_var, folder).spawn();
    let mut program = started.map_err(|error| cannot_start(login, error))?;
    let mut kill_at = None;
    loop {
        let patience = async {
            match kill_at {
                Some(instant) => tokio::time::sleep_until(instant).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ended = program.wait() => return ended.context("could not wait for the program"),
            () = ends.next() => {
                end(&program)?;
                kill_at.get_or_insert_with(|| Instant::now() + END_PATIENCE);
            }
            () = patience => {
                program.start_kill().context("could not stop the program")?;
                kill_at = None;
            }
        }
    }
}

/// Asks the program to end, so that it can end its own programs.
fn end(program: &Child) -> anyhow::Result<()> {
    let pid = program.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    let Some(pid) = pid else { return Ok(()) };
    kill_process(pid, rustix::process::Signal::TERM).context("could not stop the program")
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
