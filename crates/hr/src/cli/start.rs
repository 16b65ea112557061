//! `hr start`

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, IsTerminal};
use std::net::{SocketAddr, TcpListener};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::Args;
use hr_core::catalog::SpendClass;
use hr_core::secret::Secret;
use hr_core::settings::Settings;
use hr_core::settings::define::general::{HOST, PORT, PROXY_API_KEYS};
use hr_core::time::Millis;
use listenfd::ListenFd;

use crate::cli::desk::Desk;
use crate::cli::report::Advice;
use crate::cli::{log, print, words};
use crate::files::access_key;
use crate::files::load::Loaded;
use crate::files::running::{Claim, Running};
use crate::gate::{self, RunOptions};
use crate::store::{self, Opened};

/// Run the router until it is told to stop
///
/// It stays in the foreground and ends well on Ctrl-C, SIGTERM or `hr stop`. The
/// first start makes an access key and shows it. Each key whose calls cost money is
/// named; `SPEND` says what calls may cost. Settings, keys and providers may be
/// changed while it runs.
///
/// Examples:
///
///   hr start
///   hr start --port 9000
///   HR_HOME=/srv/router hr start      with everything it keeps in one folder
///
/// Then point a client at it: base URL `http://127.0.0.1:8319/v1`, model
/// `hermes-router`, and the access key.
#[derive(Args)]
#[command(verbatim_doc_comment, visible_aliases = ["run", "serve"])]
pub struct Start {
    /// The port to listen on, instead of `PORT`; 0 takes any free one
    #[arg(long, short)]
    port: Option<u16>,

    /// The address to listen on, instead of `HOST`
    #[arg(long)]
    host: Option<String>,
}

impl Start {
    pub fn run(self, desk: Desk) -> anyhow::Result<()> {
        // First of all, while there is one thread: it reads and clears environment variables.
        let inherited = Inherited::take()?;
        let mut flags = BTreeMap::new();
        flags.extend(self.port.map(|port| (PORT.name.to_owned(), port.to_string())));
        flags.extend(self.host.map(|host| (HOST.name.to_owned(), host)));

        let mut loaded = desk.load_with(&flags)?;
        let Some(mut claim) = Claim::take(&desk.home.pid)? else { return Err(runs_already(&desk)) };
        log::start(&loaded.settings.log_level);
        if loaded.settings.proxy_api_keys.is_empty() {
            first_access_key(&desk, &loaded)?;
            loaded = desk.load_with(&flags)?;
        }
        // Before anybody is let in: a store that cannot be used is not to be found out by callers.
        let store = open_store(&desk)?;
        let listener = listen(&loaded.settings, inherited)?;
        let address = listener.local_addr().context("could not find out the address to listen on")?;
        if loaded.settings.port != address.port() {
            // From here on the port is known; an address that leads back here is recognised by it.
            flags.insert(PORT.name.to_owned(), address.port().to_string());
            loaded = desk.load_with(&flags)?;
        }
        claim.announce(&Running::this_process(address, now()))?;
        greet(&loaded, address);
        let Desk { home, environment } = desk;
        gate::run(RunOptions { loaded, home, environment, flags, listener, store })
    }
}

fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Opens what earlier runs have kept.
fn open_store(desk: &Desk) -> anyhow::Result<Opened> {
    let original = store::original_place(&desk.home);
    store::open(&desk.store_path(), original.as_deref(), now())
        .map_err(|error| Advice::new(error.to_string(), error.hint()).into())
}

fn runs_already(desk: &Desk) -> anyhow::Error {
    let who = match desk.running() {
        Ok(Some(running)) => format!("at http://{} as process {}", running.address, running.pid),
        _ => "from this home".to_owned(),
    };
    Advice::new(format!("a router runs already {who}"), "`hr restart` starts it anew, `hr stop` ends it")
        .and("another one needs a home of its own: `HR_HOME=<folder> hr start`")
        .into()
}

/// Makes the access key of a user who has none, and shows it where only that user looks.
fn first_access_key(desk: &Desk, loaded: &Loaded) -> anyhow::Result<()> {
    let name = PROXY_API_KEYS.name;
    if desk.environment.get(name).is_some_and(|value| !value.trim().is_empty()) {
        let what =
            format!("`{name}` in the environment has no key in it, or only placeholders, which open nothing");
        return Err(
            Advice::new(what, format!("unset `{name}` to have a key made, or set one of your own")).into()
        );
    }
    let key = access_key::make_first(&desk.home)?;
    let path = loaded.env_path.display();
    let words = format!("Access key for your clients, shown this once: {}", key.expose());
    // Only where a person looks: with the log in a file, that may still be standard output.
    if io::stderr().is_terminal() {
        print::say(&format!("\n{words}\n"));
    } else if io::stdout().is_terminal() {
        print::out(&format!("\n{words}\n"))?;
    }
    tracing::info!(file = %path, "an access key was made; `hr config show --reveal` prints it");
    Ok(())
}

/// A listening socket that was handed to this process.
struct Inherited {
    listener: TcpListener,
    /// Whether it comes from this program's own restart rather than from a service manager.
    ours: bool,
}

impl Inherited {
    fn take() -> anyhow::Result<Option<Self>> {
        // A service manager names the process that the socket is meant for; a restart does not need to.
        let ours = std::env::var_os("LISTEN_PID").is_none();
        let listener =
            ListenFd::from_env().take_tcp_listener(0).context("the socket in `LISTEN_FDS` cannot be used")?;
        Ok(listener.map(|listener| Self { listener, ours }))
    }
}

/// Takes the socket that was handed over, or opens one. After a restart with another `PORT` or `HOST` the old
/// one is let go.
fn listen(settings: &Settings, inherited: Option<Inherited>) -> anyhow::Result<TcpListener> {
    if let Some(Inherited { listener, ours }) = inherited {
        let fits = listener.local_addr().is_ok_and(|address| fits(settings, address));
        if !ours || fits {
            return Ok(listener);
        }
    }
    let (host, port) = (settings.host.as_str(), settings.port);
    TcpListener::bind((host, port)).map_err(|error| {
        let what = format!("could not listen on `{host}` port `{port}`");
        let hint = match error.kind() {
            ErrorKind::AddrInUse => {
                format!(
                    "something listens there already: see `hr status`, or `hr start --port {}`",
                    other(port)
                )
            }
            ErrorKind::PermissionDenied => {
                format!("ports below 1024 are kept for root: `hr start --port {}`", PORT.default)
            }
            _ => format!("`{}` must be an address of this machine, such as `{}`", HOST.name, HOST.default),
        };
        Advice::new(what, hint).because(error).into()
    })
}

fn fits(settings: &Settings, address: SocketAddr) -> bool {
    let port = settings.port == 0 || settings.port == address.port();
    port && settings.host.parse().map_or(true, |host: std::net::IpAddr| host == address.ip())
}

/// A port that is likely to be free when this one is not.
fn other(port: u16) -> u16 {
    port.checked_add(1).unwrap_or(0)
}

/// Says where the router is and what it has, in a line, and where money may flow.
fn greet(loaded: &Loaded, address: SocketAddr) {
    let callable: Vec<_> = loaded.pool.members.iter().filter(|member| member.off.is_none()).collect();
    let keys = callable.iter().map(|member| member.keys.len()).sum();
    print::say(&format!(
        "hermes-router {} listens on http://{address}/v1, model `{}`: {} with {}",
        env!("CARGO_PKG_VERSION"),
        loaded.pool.rules.router_model,
        words::count(callable.len(), "provider"),
        words::count(keys, "key"),
    ));
    // Where nothing may cost money, no key does.
    let may_cost = loaded.pool.rules.spending.any.most == SpendClass::Paid;
    for member in callable.iter().filter(|_| may_cost) {
        // A model that has to be named costs nobody money unasked.
        if !member.models.iter().any(|model| model.spend == SpendClass::Paid && !model.by_request) {
            continue;
        }
        for key in &member.keys {
            let tail = key.secret.as_ref().map(Secret::tail).unwrap_or_default();
            let source = words::source(&key.source);
            print::say(&format!("paid: {} …{tail}, {source}", member.provider.id));
        }
    }
    for (provider, login) in
        callable.iter().filter_map(|member| Some((&member.provider, member.provider.login.as_ref()?)))
    {
        print::say(&format!("warning: {}: {}", provider.id, login.warning));
    }
    if callable.is_empty() {
        print::say(
            "No provider can be called yet: `hr providers` lists them, `hr auth add <provider>` stores a key.",
        );
    }
    if !address.ip().is_loopback() {
        print::say("Other machines can reach it; whoever has an access key can use it.");
    }
    for warning in &loaded.warnings {
        tracing::warn!(%warning, "the configuration has a doubtful place");
    }
}
