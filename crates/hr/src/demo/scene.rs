//! The scene: pretend providers with hidden quotas and faults, and the real gateway over them.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use hr_core::catalog::{self, Catalog};
use hr_core::pool;
use hr_core::problem::Problem;
use hr_core::secret::{InstallSecret, Secret};
use hr_core::settings::{self, Layers, OwnAddresses};
use hr_testkit::{Answer, Behaviour, Call, Fake, Hint, Match, Quota, Refusal, Script};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::gate::{Configuration, Gate, server};

/// The access key of the demo's router. It opens nothing but pretend providers.
pub const ACCESS_KEY: &str = "hr-demo";
/// How long requests in flight may take when the demo ends, in seconds.
const SHUTDOWN_SECONDS: &str = "2";
/// How long a fast provider takes for an answer.
const QUICK: Duration = Duration::from_millis(25);
/// How long a slow one takes.
const SLOW: Duration = Duration::from_millis(90);
/// The windows that open again while the demo runs.
const SHORT_WINDOW: Duration = Duration::from_secs(3);
/// The windows that do not.
const LONG_WINDOW: Duration = Duration::from_secs(3600);

/// One part in the play.
struct Role {
    /// Its entry of the catalogue.
    file: &'static str,
    text: &'static str,
    keys: &'static [&'static str],
    /// What the router is not told, for people.
    hidden: &'static str,
    script: fn() -> Script,
}

const CAST: [Role; 4] = [
    Role {
        file: "alpha-free.toml",
        text: include_str!("cast/alpha-free.toml"),
        keys: &["demo-alpha-1", "demo-alpha-2"],
        hidden: "each key is good for 4 answers in 3 s, then 429 with `retry-after`",
        script: || {
            let quota = Quota::new(Hint::RetryAfterSeconds).requests(4, SHORT_WINDOW);
            Script::new().quota(Match::any(), quota).otherwise(says("Alpha", QUICK))
        },
    },
    Role {
        file: "bravo-free.toml",
        text: include_str!("cast/bravo-free.toml"),
        keys: &["demo-bravo-1"],
        hidden: "6 answers an hour, then 429 and a sentence; breaks once with 500",
        script: || {
            let quota = Quota::new(Hint::Prose).requests(6, LONG_WINDOW);
            Script::new()
                .quota(Match::any(), quota)
                .once(Match::any(), [says("Bravo", QUICK), Refusal::server_error().into()])
                .otherwise(says("Bravo", QUICK))
        },
    },
    Role {
        file: "charlie-plan.toml",
        text: include_str!("cast/charlie-plan.toml"),
        keys: &["demo-charlie-1", "demo-charlie-2"],
        hidden: "the first key was revoked; sends one page of HTML and one empty answer",
        script: || {
            let faults = [
                says("Charlie", QUICK),
                Behaviour::html(200),
                says("Charlie", QUICK),
                Answer::empty().into(),
            ];
            Script::new()
                .always(Match::key("demo-charlie-1"), Refusal::bad_key())
                .once(Match::any(), faults)
                .otherwise(says("Charlie", QUICK))
        },
    },
    Role {
        file: "delta-local.toml",
        text: include_str!("cast/delta-local.toml"),
        keys: &[],
        hidden: "a small model; 8 answers an hour, then 429 without a word; resets once",
        script: || {
            let quota = Quota::new(Hint::Bare).requests(8, LONG_WINDOW);
            Script::new()
                .quota(Match::any(), quota)
                .once(Match::any(), [says("Delta", SLOW), Behaviour::ResetBeforeHeaders])
                .otherwise(says("Delta", SLOW))
        },
    },
];

/// A good answer after a while.
fn says(who: &str, delay: Duration) -> Behaviour {
    let text = format!("{who} here, with an answer to that.");
    Behaviour::from(Answer::text(text).chunks(5)).after(delay)
}

/// A pretend provider on stage.
pub struct Actor {
    /// Its id.
    pub id: String,
    /// Its keys, in the router's order.
    pub keys: &'static [&'static str],
    /// What the router is not told, for people.
    pub hidden: &'static str,
    fake: Fake,
}

impl Actor {
    /// The place of a key among its keys, from 1.
    fn place(&self, key: Option<&str>) -> Option<usize> {
        self.keys.iter().position(|known| Some(*known) == key).map(|at| at + 1)
    }
}

/// One call that the router made to a pretend provider, seen from there.
pub struct Seen {
    /// The provider, and which of its keys when it has several.
    pub who: String,
    /// What became of the call.
    pub call: Call,
}

/// The scene while it plays.
pub struct Scene {
    /// The pretend providers.
    pub actors: Vec<Actor>,
    /// Where the router listens.
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<anyhow::Result<bool>>,
}

impl Scene {
    /// Starts the providers and the router.
    pub async fn open() -> anyhow::Result<Scene> {
        let mut actors = Vec::with_capacity(CAST.len());
        let mut catalog = Catalog::default();
        let mut environment = BTreeMap::from([
            ("PROXY_API_KEYS".to_owned(), ACCESS_KEY.to_owned()),
            ("SHUTDOWN_TIMEOUT".to_owned(), SHUTDOWN_SECONDS.to_owned()),
        ]);
        for role in &CAST {
            let provider = catalog::parse(role.text, role.file).map_err(|problem| anyhow!("{problem}"))?;
            let fake = Fake::start((role.script)()).await.context("a pretend provider could not start")?;
            environment.insert(format!("{}_BASE_URL", provider.prefix), fake.base_url());
            environment.insert(format!("{}_API_KEYS", provider.prefix), role.keys.join(","));
            let (keys, hidden) = (role.keys, role.hidden);
            actors.push(Actor { id: provider.id.clone(), keys, hidden, fake });
            catalog.providers.push(Arc::new(provider));
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
        let address = listener.local_addr().context("no port is free")?;
        let layers = Layers { environment, ..Layers::default() };
        let gate = Gate::new(configuration(catalog, &layers, address)?)?;
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(server::serve(listener, gate, async {
            // Dropping the scene stops it too.
            let _ = stopped.await;
        }));
        Ok(Scene { actors, address, stop, server })
    }

    /// The calls that reached the providers since an instant, in their order.
    pub fn seen_since(&self, since: Instant) -> Vec<Seen> {
        let mut seen = Vec::new();
        for actor in &self.actors {
            seen.extend(actor.fake.calls_since(since).into_iter().map(|call| {
                let who = key_name(&actor.id, actor.keys.len(), actor.place(call.key.as_deref()));
                Seen { who, call }
            }));
        }
        seen.sort_by_key(|seen| seen.call.received);
        seen
    }

    /// How many calls came although the provider had said "not before".
    pub fn calls_too_early(&self) -> usize {
        // Requests come one after another here, so none is on its way when a refusal arrives.
        self.actors.iter().map(|actor| actor.fake.too_early(Duration::ZERO).len()).sum()
    }

    /// Lets the requests in flight end, and stops.
    pub async fn close(self) -> anyhow::Result<()> {
        let _ = self.stop.send(());
        self.server.await.context("the router broke")??;
        Ok(())
    }
}

/// A provider, and which of its keys when it has several.
pub fn key_name(provider: &str, keys: usize, place: Option<usize>) -> String {
    match place {
        Some(place) if keys > 1 => format!("{provider}#{place}"),
        _ => provider.to_owned(),
    }
}

/// What `hr start` would make of these settings.
fn configuration(catalog: Catalog, layers: &Layers, address: SocketAddr) -> anyhow::Result<Configuration> {
    let install = InstallSecret(Secret::new(ACCESS_KEY));
    let own = OwnAddresses { host: address.ip().to_string(), port: address.port(), aliases: Vec::new() };
    let resolved = settings::resolve(layers, &catalog).map_err(refused)?;
    let (pool, _) = pool::resolve(&catalog, layers, &resolved, &[], &install, &own).map_err(refused)?;
    // None of its providers signs in with accounts, so that nothing is ever stored.
    let auth = PathBuf::new();
    Ok(Configuration { settings: resolved.settings, catalog: Arc::new(catalog), pool, auth })
}

fn refused(problems: Vec<Problem>) -> anyhow::Error {
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    anyhow!("the demo's settings are refused: {}", problems.join("; "))
}
