//! The gateway: callers come in, candidates are tried, one answer goes out.
//!
//! [`converse`] tells the story of a request as one function; read it first. [`server`] accepts and stops,
//! [`lifecycle`] runs it as a process, [`paths`] is every URL and [`routes`] what stands before them, [`caller`] who
//! may come in, [`intake`] the body, [`wishes`] what its headers ask, [`session`] whose conversation it is, [`question`]
//! what it asks ([`crossed`] in two dialects at once), [`journey`] what it has tried, [`line`] where it waits,
//! [`attempt`] one call to one candidate, [`lane`] how its answer is read, [`receipt`] its settling, [`reply`] what is
//! past the commit point, [`held`] what waits for it, [`verdict`] the words when nobody served, [`answer`] every answer
//! of our own; [`memory`] and [`replies`] are what outlives a request, [`status`], [`models`] and [`count`] the small
//! endpoints.
//! Nothing here decides whom to try: that is [`hr_core::route`].

pub mod answer;
pub mod attempt;
pub mod caller;
pub mod clock;
pub mod converse;
pub mod count;
pub mod crossed;
pub mod decisions;
pub mod endpoint;
pub mod held;
pub mod inflate;
pub mod intake;
pub mod journey;
pub mod lane;
pub mod lifecycle;
pub mod line;
pub mod losses;
pub mod memory;
pub mod models;
pub mod paths;
pub mod question;
pub mod quota;
pub mod receipt;
pub mod replies;
pub mod reply;
pub mod routes;
pub mod server;
pub mod session;
pub mod shelf;
pub mod status;
pub mod tokens;
pub mod verdict;
pub mod wishes;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use hr_core::capability;
use hr_core::catalog::Catalog;
use hr_core::pool::Pool;
use hr_core::route::record::Name;
use hr_core::route::{Candidate, Roster, Router, Work};
use hr_core::secret::Secret;
use hr_core::settings::{Discovery, Settings};
use hr_wire::dialect::upstream_half;
use hr_wire::json::{Cursor, quoted};
use http::{HeaderMap, Uri};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::store::{Opened, Store};
use crate::upstream::account::{Accounts, Signer};
use crate::upstream::client::Client;
use crate::upstream::sign::{self, SignError};
use crate::watch::diary::Diary;
use crate::watch::metrics::Metrics;
use caller::{Callers, Doors};
use clock::{Chance, Clock};
pub use lifecycle::{RunOptions, run};
use line::Line;
use memory::Memory;
use replies::Replies;

/// What the gateway runs by, as the files and the environment say it.
pub struct Configuration {
    /// The settings in force.
    pub settings: Settings,
    /// Every provider that is known.
    pub catalog: Arc<Catalog>,
    /// Every provider that can be called.
    pub pool: Pool,
    /// The credentials file, in which renewed tokens are stored.
    pub auth: PathBuf,
}

/// Why a configuration cannot be put in force although its files are well formed.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// An address is no URI.
    #[error("the address of `{provider}` is not usable")]
    Address {
        /// The provider.
        provider: String,
        /// What is wrong with it.
        #[source]
        source: http::uri::InvalidUri,
    },
    /// A key or header cannot be sent.
    #[error("the credentials or headers of `{provider}` are not usable")]
    Sign {
        /// The provider.
        provider: String,
        /// What is wrong with them.
        #[source]
        source: SignError,
    },
}

/// One snapshot of everything that a reload may change. A request keeps the one that it began with.
pub struct Live {
    /// The settings in force.
    pub settings: Settings,
    /// Every provider that is known.
    pub catalog: Arc<Catalog>,
    /// The version of the provider files.
    pub catalog_version: Name,
    /// Every provider that can be called.
    pub roster: Arc<Roster>,
    /// Who may come in.
    pub callers: Callers,
    /// Under which names the router may be addressed.
    pub doors: Doors,
    /// Pooled connections; shared between snapshots that connect alike.
    pub client: Arc<Client>,
    accounts: Arc<Accounts>,
    ways: Vec<Way>,
    /// The pool as the files say it, before anything that was found out about its models.
    plain: Pool,
    auth: PathBuf,
}

/// How to reach one member: what would otherwise be built anew for each call.
struct Way {
    chat: Uri,
    embeddings: Option<Uri>,
    /// The headers of each key, in the member's order.
    headers: Vec<HeaderMap>,
}

impl Live {
    /// Where a candidate is called for this work.
    #[must_use]
    pub fn address(&self, candidate: Candidate, work: Work) -> &Uri {
        let way = &self.ways[candidate.member];
        match work {
            Work::Chat => &way.chat,
            // A member whose dialect has no embeddings has no model for them either, and is no candidate.
            Work::Embed => way.embeddings.as_ref().unwrap_or(&way.chat),
        }
    }

    /// The headers of a call to a candidate.
    #[must_use]
    pub fn headers(&self, candidate: Candidate) -> &HeaderMap {
        &self.ways[candidate.member].headers[candidate.key]
    }

    /// Who signs the calls to a candidate, when its headers alone do not.
    #[must_use]
    pub fn signer(&self, candidate: Candidate) -> Option<Signer> {
        let member = self.roster.member(candidate);
        self.accounts.signer(member, &member.keys[candidate.key], &self.client)
    }

    /// Whether the configuration names this model; any other name is a caller's.
    #[must_use]
    pub fn lists(&self, model: &str) -> bool {
        self.roster.pool.members.iter().any(|member| {
            member.embed_model.as_deref() == Some(model)
                || member.models.iter().any(|known| known.id == model)
        })
    }

    /// Takes every credential out of a text that came from outside.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let accounts = self.accounts.secrets();
        redacted(text, self.secrets().chain(&accounts))
    }

    /// JSON text with every secret replaced, also where escapes hide it (`\/`, `\u002f`).
    #[must_use]
    pub fn redact_json(&self, text: &str) -> String {
        let accounts = self.accounts.secrets();
        redacted(&without_escaped(text, |string| self.redact(string)), self.secrets().chain(&accounts))
    }

    fn secrets(&self) -> impl Iterator<Item = &Secret> {
        let upstream = self.roster.pool.members.iter().flat_map(|member| &member.keys);
        upstream.filter_map(|key| key.secret.as_ref()).chain(&self.settings.proxy_api_keys)
    }
}

/// JSON text in which every string with escapes that `clean` changes is written anew.
fn without_escaped(text: &str, clean: impl Fn(&str) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    // Outside a string there is no other use for a quotation mark, so each one begins a string.
    while let Some(quote) = rest.find('"') {
        let (before, from) = rest.split_at(quote);
        let Ok(string) = Cursor::new(from).string() else { break };
        let (whole, after) = from.split_at(string.raw.len() + 2);
        let reads = string.decode();
        out.push_str(before);
        match string.escaped.then(|| clean(&reads)).filter(|cleaned| *cleaned != *reads) {
            Some(cleaned) => out.push_str(&quoted(&cleaned)),
            None => out.push_str(whole),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The text with every one of these secrets replaced.
fn redacted<'a>(text: &str, secrets: impl Iterator<Item = &'a Secret>) -> String {
    let mut clean = text.to_owned();
    for secret in secrets.filter(|secret| !secret.is_empty()) {
        if clean.contains(secret.expose()) {
            clean = clean.replace(secret.expose(), "[redacted]");
        }
    }
    clean
}

fn ways(pool: &Pool) -> Result<Vec<Way>, Unusable> {
    let way = |member: &hr_core::pool::Member| {
        let provider = || member.provider.id.clone();
        let address = |path: &str| {
            Uri::try_from(format!("{}{path}", member.base_url))
                .map_err(|source| Unusable::Address { provider: provider(), source })
        };
        let headers = member
            .keys
            .iter()
            .map(|key| sign::headers(member, key))
            .collect::<Result<_, _>>()
            .map_err(|source| Unusable::Sign { provider: provider(), source })?;
        let upstream = upstream_half(member.provider.dialect);
        Ok(Way {
            chat: address(upstream.chat_path())?,
            embeddings: upstream.embeddings_path().map(address).transpose()?,
            headers,
        })
    };
    pool.members.iter().map(way).collect()
}

/// The running gateway.
pub struct Gate {
    live: ArcSwap<Live>,
    /// The routing state. Held for a plan or a settlement, microseconds, never across an await: a plain
    /// mutex is cheaper than any message passing at that length.
    router: Mutex<Router>,
    /// The clock.
    pub clock: Clock,
    /// The draws.
    pub chance: Chance,
    /// The counters.
    pub metrics: Metrics,
    /// The accounts that sign, with their tokens as they are now.
    pub accounts: Arc<Accounts>,
    /// Requests that wait for a quota.
    pub line: Line,
    /// What must be known of earlier replies.
    pub memory: Memory,
    /// The replies that callers may go on from.
    pub replies: Replies,
    /// What outlives the process, where something does.
    store: OnceLock<Arc<Store>>,
    /// Why requests went where they went.
    pub diary: Arc<Diary>,
    /// Held while a snapshot is replaced, so that none that is made from an older one comes after a newer.
    installing: Mutex<()>,
    /// Rings when something may have to be found out about models.
    pub bell: Arc<Notify>,
    /// Whether what still streams has to end now.
    closing: AtomicBool,
    /// Names this instance in the hop header, so that it knows its own calls when they come back.
    pub instance: String,
}

impl Gate {
    /// A gateway under this configuration.
    ///
    /// # Errors
    /// When an address or a credential cannot be put into a request.
    pub fn new(configuration: Configuration) -> Result<Arc<Self>, Unusable> {
        let (clock, chance) = (Clock::new(), Chance::new());
        let mut router = Router::new();
        let client = Arc::new(Client::new(configuration.settings.timeouts.connect));
        let accounts = Arc::new(Accounts::default());
        let live = assemble(configuration, client, &accounts, |pool| router.install(clock.now(), pool))?;
        let instance = format!("{:016x}", chance.draw());
        Ok(Arc::new(Self {
            live: ArcSwap::from_pointee(live),
            router: Mutex::new(router),
            clock,
            chance,
            metrics: Metrics::new(),
            accounts,
            line: Line::default(),
            memory: Memory::new(),
            replies: Replies::new(),
            store: OnceLock::new(),
            installing: Mutex::new(()),
            bell: Arc::new(Notify::new()),
            diary: Arc::new(Diary::new()),
            closing: AtomicBool::new(false),
            instance,
        }))
    }

    /// Puts another configuration in force for the requests that begin from now on.
    ///
    /// # Errors
    /// When an address or a credential cannot be put into a request; the old configuration stays.
    pub fn install(&self, configuration: Configuration) -> Result<(), Unusable> {
        let _one_at_a_time = self.installing.lock();
        self.put(configuration)?;
        self.bell.notify_one();
        Ok(())
    }

    /// Puts the configuration in force once more, with what is known of its models by now.
    pub fn refine(&self) {
        let _one_at_a_time = self.installing.lock();
        let live = self.live();
        let same = Configuration {
            settings: live.settings.clone(),
            catalog: Arc::clone(&live.catalog),
            pool: live.plain.clone(),
            auth: live.auth.clone(),
        };
        if let Err(unusable) = self.put(same) {
            tracing::warn!(cause = crate::watch::events::chain(&unusable), "the pool could not be refined");
        }
    }

    /// How things are found out about models, and how long they are believed: where that is no time at all, what this
    /// run has found out.
    #[must_use]
    pub fn beliefs(&self, live: &Live) -> Discovery {
        believed(live.settings.discovery, &self.clock)
    }

    fn put(&self, configuration: Configuration) -> Result<(), Unusable> {
        let current = self.live.load();
        let connect = configuration.settings.timeouts.connect;
        let client = if current.client.connect_timeout() == connect {
            Arc::clone(&current.client)
        } else {
            Arc::new(Client::new(connect))
        };
        let settings = believed(configuration.settings.discovery, &self.clock);
        let live = assemble(configuration, client, &self.accounts, |mut pool| {
            let (now, mut router) = (self.clock.now(), self.router.lock());
            capability::overlay(&mut pool, router.facts(), &settings, now);
            router.install(now, pool)
        })?;
        self.live.store(Arc::new(live));
        self.changed();
        Ok(())
    }

    /// Takes back what a store has kept, and keeps there from now on what is learned. Returns how many pieces of it
    /// could not be read.
    ///
    /// # Errors
    /// When the system has no thread for it.
    pub fn keep(self: &Arc<Self>, mut opened: Opened) -> std::io::Result<usize> {
        let lost = self.router().restore(self.clock.now(), std::mem::take(&mut opened.kept));
        let (gate, clock) = (Arc::downgrade(self), Clock::new());
        let changes = move || gate.upgrade().map_or_else(Vec::new, |gate| gate.router().changes());
        let store = opened.start(changes, move || clock.now())?;
        let store = Arc::new(store);
        self.diary.keep_in(Arc::clone(&store));
        // A gate has one store: a second one would be dropped here, and its thread end.
        let _ = self.store.set(store);
        // Calls that were noted only are counted now.
        self.changed();
        Ok(lost)
    }

    /// Says that the router has learned something that is to be kept.
    pub fn changed(&self) {
        if let Some(store) = self.store.get() {
            store.changed();
        }
    }

    /// What outlives the process, where something does.
    #[must_use]
    pub fn store(&self) -> Option<&Store> {
        self.store.get().map(Arc::as_ref)
    }

    /// The snapshot in force.
    #[must_use]
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Ends what still streams, with an error. Each stream learns of it when it is polled next.
    pub fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// Whether what still streams has to end now.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    /// The routing state, for one plan or settlement.
    pub fn router(&self) -> parking_lot::MutexGuard<'_, Router> {
        self.router.lock()
    }
}

fn believed(settings: Discovery, clock: &Clock) -> Discovery {
    let believed =
        if settings.believed.is_zero() { clock.uptime() + Duration::from_secs(1) } else { settings.believed };
    Discovery { believed, ..settings }
}

fn assemble(
    configuration: Configuration,
    client: Arc<Client>,
    accounts: &Arc<Accounts>,
    install: impl FnOnce(Pool) -> Arc<Roster>,
) -> Result<Live, Unusable> {
    let Configuration { settings, catalog, pool, auth } = configuration;
    let ways = ways(&pool)?;
    accounts.install(&auth, &pool);
    Ok(Live {
        callers: Callers::new(&settings.proxy_api_keys),
        doors: Doors::new(&settings),
        plain: pool.clone(),
        roster: install(pool),
        settings,
        catalog_version: catalog.version().into(),
        catalog,
        client,
        accounts: Arc::clone(accounts),
        ways,
        auth,
    })
}
