//! Killed at random moments under load, the router forgets nothing but calls in flight.
//!
//! `HR_KILLS` says how often; 100 unless it is set. The figures are printed (`--nocapture`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hermes_router::files::home::Home;
use hermes_router::files::load::{Loaded, load};
use hermes_router::gate::clock::{Chance, Clock};
use hermes_router::store::Reader;
use hr_core::catalog::{LimitSpan, LimitUnit};
use hr_core::route::{Ask, Outcome, Router as Core, Tried};
use hr_testkit::{Answer, Behaviour, Fake, Hint, Match, Script};

use crate::caller::{Caller, question};
use crate::router::{KEY, Router};

/// Callers that each wait for an answer before they ask again: as many calls can be in flight.
const CALLERS: usize = 8;
/// How long after the first answer a router is killed at the latest.
const LONGEST: u64 = 60;
/// How long the providers take for an answer, in milliseconds: real ones take a hundred times as long, and none answers
/// sooner than at once.
const QUICK: u64 = 0;
const SLOW: u64 = 10;
/// The key that is refused at its first call and rests for longer than the test takes.
const COLD: &str = "sk-cold";
const COLD_FOR: Duration = Duration::from_secs(3600);
/// Those that serve.
const WARM: [&str; 3] = ["sk-one", "sk-two", "sk-three"];

/// A provider whose calls are counted by a limit far away.
fn counted(id: &str, fake: &Fake) -> (String, String) {
    let text = format!(
        "id = \"{id}\"\nbase_url = \"{}\"\nspend = \"free\"\n[discovery]\nlist = []\n\
         [[model]]\nid = \"{id}-model\"\n\
         [[limit]]\nowner = \"key\"\nmodels = [\"*\"]\nunit = \"requests\"\nper = \"day\"\namount = 100000000\n\
         reset = \"rolling\"\n",
        fake.base_url()
    );
    (id.to_owned(), text)
}

/// What the settings and keys in a folder come to.
fn loaded(folder: &Path) -> Loaded {
    let environment = BTreeMap::from([("HR_HOME".to_owned(), folder.display().to_string())]);
    let home = Home::find(&environment, folder);
    load(&home, &environment, &BTreeMap::new()).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// What a router that begins now takes up.
struct TakenUp {
    /// The requests of this day by key.
    used: BTreeMap<String, f64>,
    /// Whether the key that was refused rests.
    cools: bool,
}

fn taken_up(folder: &Path, loaded: &Loaded) -> TakenUp {
    let kept = Reader::open(&folder.join("state.db")).unwrap().unwrap().kept().unwrap();
    let now = Clock::new().now();
    let mut router = Core::new();
    let roster = router.install(now, loaded.pool.clone());
    assert_eq!(router.restore(now, kept), 0, "everything that was kept can be read");
    let keys = loaded.pool.members.iter().flat_map(|member| &member.keys);
    let names: BTreeMap<_, _> =
        keys.filter_map(|key| Some((key.id.clone(), key.secret.as_ref()?.expose().to_owned()))).collect();
    // Published limits are known of whoever is called: each key begins a call and gives it up.
    let plan = router.plan(now, &roster, &Ask::default(), &Tried::default(), 0);
    let called: BTreeSet<_> =
        plan.choices.iter().map(|choice| roster.key(choice.candidate).id.clone()).collect();
    for choice in &plan.choices {
        if let Ok(ticket) = router.begin(now, &roster, choice) {
            router.settle(now, ticket, Outcome::Abandoned);
        }
    }
    let mut used = BTreeMap::new();
    for owner in router.quota(now, &roster) {
        let days = owner
            .buckets
            .iter()
            .filter(|bucket| bucket.unit == LimitUnit::Requests && bucket.span == Some(LimitSpan::Day));
        let [key] = owner.keys.as_slice() else { panic!("nobody declared an owner: {owner:?}") };
        used.insert(names[key].clone(), days.map(|bucket| bucket.used).sum());
    }
    let cools = names.iter().any(|(id, name)| name == COLD && !called.contains(id));
    TakenUp { used, cools }
}

/// Asks until it is told to stop or the router is gone.
async fn ask(caller: Caller, chance: Arc<Chance>, stop: Arc<AtomicBool>, served: Arc<AtomicUsize>) {
    while !stop.load(Ordering::Relaxed) {
        // Each conversation is another one, so that none is at home anywhere.
        let words = format!("number {}", chance.draw());
        let request = caller.request("POST", "/v1/chat/completions", question(&words).to_string());
        let Ok(got) = caller.try_send(request).await else { return };
        assert_eq!(got.status, 200, "{}", got.text());
        served.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_forgets_nothing_but_calls_in_flight() {
    let kills: usize = std::env::var("HR_KILLS").map_or(100, |kills| kills.parse().unwrap());
    let after = |millis| Behaviour::from(Answer::text("here")).after(Duration::from_millis(millis));
    let quick = Fake::start(Script::new().otherwise(after(QUICK))).await.unwrap();
    let cold = Behaviour::rate_limited(Hint::RetryAfterSeconds, COLD_FOR);
    let slow =
        Fake::start(Script::new().always(Match::key(COLD), cold).otherwise(after(SLOW))).await.unwrap();
    let files = [counted("quick", &quick), counted("slow", &slow)];
    let files: Vec<_> = files.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
    let settings = format!("QUICK_API_KEYS={}\nSLOW_API_KEYS={},{},{COLD}", WARM[0], WARM[1], WARM[2]);
    let mut router = Router::start(&settings, &files).await;
    let folder = router.folder.path().to_path_buf();
    let loaded = loaded(&folder);
    let chance = Arc::new(Chance::new());
    let began = Instant::now();

    let mut before = taken_up(&folder, &loaded);
    let (mut calls, mut most_off, mut off_in_all, mut ups) = (0_usize, 0.0_f64, 0.0_f64, Duration::ZERO);
    for round in 0..kills {
        let round_began = Instant::now();
        let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let caller = Caller::new(router.address, Some(KEY));
                tokio::spawn(ask(caller, Arc::clone(&chance), Arc::clone(&stop), Arc::clone(&served)))
            })
            .collect();
        while served.load(Ordering::Relaxed) == 0 {
            assert!(callers.iter().all(|caller| !caller.is_finished()), "round {round}: {}", router.log());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(chance.draw() % (LONGEST * 1000))).await;
        router.kill();
        stop.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.await.unwrap();
        }
        quick.settled().await;
        slow.settled().await;

        let mut truth: BTreeMap<String, f64> = BTreeMap::new();
        for call in quick.calls_since(round_began).into_iter().chain(slow.calls_since(round_began)) {
            calls += 1;
            *truth.entry(call.key.unwrap()).or_default() += 1.0;
        }
        // A key that cooled before a kill cools after it.
        assert!(!(before.cools && truth.contains_key(COLD)), "round {round}: the key that rests was called");
        let after = taken_up(&folder, &loaded);
        let mut off = 0.0;
        for key in WARM {
            let counted = after.used.get(key).unwrap_or(&0.0) - before.used.get(key).unwrap_or(&0.0);
            off += (counted - truth.get(key).unwrap_or(&0.0)).abs();
        }
        assert!(
            off <= CALLERS as f64,
            "round {round}: off by {off}; before {:?}, after {:?}, truth {truth:?}",
            before.used,
            after.used,
        );
        assert!(after.cools || !before.cools, "round {round}: a rest is forgotten");
        most_off = most_off.max(off);
        off_in_all += off;
        before = after;
        let up = Instant::now();
        router.start_again().await;
        ups += up.elapsed();
    }
    assert!(before.cools, "the key that is to rest was never called");
    router.kill();
    let database = rusqlite::Connection::open(folder.join("state.db")).unwrap();
    let sound: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
    println!(
        "{kills} kills in {:.1} s: {calls} calls, the ledger off by {most_off} calls at most and {:.2} on average \
         ({CALLERS} could be in flight); up again after {:.1} ms on average",
        began.elapsed().as_secs_f64(),
        off_in_all / kills as f64,
        ups.as_secs_f64() * 1e3 / kills as f64,
    );
}
