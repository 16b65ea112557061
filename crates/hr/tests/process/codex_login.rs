//! Accounts of a subscription over the life of their tokens: several routers that share one credentials file, and
//! an end at any moment.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use hr_testkit::{
    Accounts, Answer, Behaviour, Dialect, Fake, Gate, Login, Match, Outcome, Refusal, Script, Strictness,
    Windows,
};
use http::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::router::{Router, provider};

/// As long as any test runs.
const LONG: Duration = Duration::from_secs(3600);
/// How often something that must come is looked for.
const LOOK: Duration = Duration::from_millis(1);

/// Waits for what must come; only used up when something is wrong.
#[track_caller]
fn until(mut condition: impl FnMut() -> bool) -> impl Future<Output = ()> {
    let place = std::panic::Location::caller();
    async move {
        let began = Instant::now();
        while !condition() {
            assert!(began.elapsed() < TOO_LONG, "what is waited for at {place} does not come");
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// When waiting is given up.
const TOO_LONG: Duration = Duration::from_secs(60);

/// A backend with its token endpoint, and one credentials file for all routers.
struct Scene {
    accounts: Accounts,
    backend: Fake,
    folder: TempDir,
}

impl Scene {
    async fn with(script: Script) -> Self {
        let accounts = Accounts::new();
        let script = script.accounts(&accounts).strict(Strictness::new());
        let backend = Fake::speaking(Dialect::Codex, script).await.unwrap();
        Self { accounts, backend, folder: TempDir::new().unwrap() }
    }

    async fn new() -> Self {
        Self::with(Script::new().otherwise(Answer::text("Hello"))).await
    }

    fn auth(&self) -> PathBuf {
        self.folder.path().join("auth.json")
    }

    fn store(&self, logins: &[&Login]) {
        let accounts: Vec<Value> = logins
            .iter()
            .map(|login| {
                json!({
                    "account_id": login.account_id,
                    "access_token": login.access_token,
                    "refresh_token": login.refresh_token,
                    "last_refresh": "2026-11-01T00:00:00Z",
                    "of_another_program": [1.50],
                })
            })
            .collect();
        std::fs::write(self.auth(), json!({ "codex_accounts": accounts }).to_string()).unwrap();
    }

    /// What the file says of an account.
    fn stored(&self, id: &str) -> Value {
        let file: Value = serde_json::from_str(&std::fs::read_to_string(self.auth()).unwrap()).unwrap();
        let accounts = file["codex_accounts"].as_array().unwrap();
        accounts.iter().find(|account| account["account_id"] == id).unwrap().clone()
    }

    fn refresh_token(&self, id: &str) -> String {
        self.stored(id)["refresh_token"].as_str().unwrap().to_owned()
    }

    async fn router(&self) -> Router {
        self.router_with("", &[]).await
    }

    async fn router_with(&self, settings: &str, providers: &[(&str, String)]) -> Router {
        let settings = format!(
            "CODEX_BASE_URL={}\nCODEX_TOKEN_URL=http://{}/oauth/token\nROUTER_AUTH_FILE={}\n{settings}",
            self.backend.base_url(),
            self.backend.address(),
            self.auth().display(),
        );
        Router::start_in(&[], &settings, providers).await
    }

    /// The accounts that were called for answers, in order.
    fn called(&self) -> Vec<String> {
        let calls = self.backend.calls().into_iter().filter(|call| call.path.ends_with("/responses"));
        calls.filter_map(|call| call.key).collect()
    }
}

/// So many requests at once, spread over the routers; how they ended.
async fn ask_all(routers: &[Router], requests: usize) -> Vec<(StatusCode, String)> {
    let asked: Vec<_> = (0..requests)
        .map(|number| {
            let caller = routers[number % routers.len()].caller();
            tokio::spawn(async move {
                let got = if number % 2 == 0 { caller.chat("hi").await } else { caller.stream("hi").await };
                (got.status, got.said())
            })
        })
        .collect();
    let mut ended = Vec::new();
    for one in asked {
        ended.push(one.await.unwrap());
    }
    ended
}

fn all_were_served(ended: &[(StatusCode, String)]) {
    for (status, said) in ended {
        assert_eq!((status.as_u16(), said.as_str()), (200, "Hello"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_requests_of_three_routers_renew_a_token_once() {
    let scene = Scene::new().await;
    let login = scene.accounts.add("acc-1", "plus", Duration::ZERO);
    scene.store(&[&login]);
    scene.accounts.delay(Duration::from_millis(200));
    let routers = [scene.router().await, scene.router().await, scene.router().await];
    all_were_served(&ask_all(&routers, 100).await);
    let refreshes = scene.accounts.refreshes();
    assert_eq!(refreshes.len(), 1, "{refreshes:?}");
    assert_eq!(refreshes[0].outcome, Outcome::Renewed);
    let stored = scene.stored("acc-1");
    assert!(scene.accounts.is_usable(&scene.refresh_token("acc-1")));
    assert_ne!(stored["access_token"], json!(login.access_token));
    assert_eq!((&stored["login_needed"], &stored["of_another_program"]), (&Value::Null, &json!([1.5])));
    for router in &routers {
        let log = router.log();
        for secret in [&login.refresh_token, &login.access_token, &scene.refresh_token("acc-1")] {
            assert!(!log.contains(secret.as_str()), "{log}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_refused_is_renewed_once_for_all() {
    let scene = Scene::new().await;
    let login = scene.accounts.add("acc-1", "plus", LONG);
    scene.store(&[&login]);
    let routers = [scene.router().await, scene.router().await, scene.router().await];
    all_were_served(&ask_all(&routers, 6).await);
    assert_eq!(scene.accounts.refreshes().len(), 0, "it lasts");
    for round in 1..=3 {
        scene.accounts.invalidate("acc-1");
        all_were_served(&ask_all(&routers, 100).await);
        assert_eq!(scene.accounts.refreshes().len(), round);
    }
    assert_eq!(scene.accounts.count(Outcome::Renewed), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_renewed_before_its_end() {
    let scene = Scene::new().await;
    scene.store(&[&scene.accounts.add("acc-1", "plus", Duration::from_secs(4 * 60))]);
    let routers = [scene.router().await];
    all_were_served(&ask_all(&routers, 20).await);
    assert_eq!(scene.accounts.count(Outcome::Renewed), 1);
    let renewed = scene.stored("acc-1")["access_token"].as_str().unwrap().to_owned();
    let calls = scene.backend.calls();
    let calls: Vec<_> = calls.iter().filter(|call| call.path.ends_with("/responses")).collect();
    assert_eq!(calls.len(), 20);
    for call in calls {
        let header = |name: &str| call.headers[name].to_str().unwrap();
        assert_eq!(header("authorization"), format!("Bearer {renewed}"));
        assert_eq!((header("chatgpt-account-id"), header("originator")), ("acc-1", "hermes-router"));
        assert!(header("user-agent").starts_with("hermes-router/"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_live_shortly_are_not_renewed_by_every_request() {
    let scene = Scene::new().await;
    scene.store(&[&scene.accounts.add("acc-1", "plus", Duration::ZERO)]);
    scene.accounts.life(Duration::from_secs(120));
    let routers = [scene.router().await, scene.router().await];
    for _ in 0..3 {
        all_were_served(&ask_all(&routers, 10).await);
    }
    assert_eq!(scene.accounts.refreshes().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_of_a_token_serves_while_it_cannot_be_renewed() {
    let scene = Scene::new().await;
    scene.store(&[&scene.accounts.add("acc-1", "plus", Duration::from_secs(4 * 60))]);
    for _ in 0..3 {
        scene.accounts.refuse(Refusal::unavailable());
    }
    let routers = [scene.router().await];
    all_were_served(&ask_all(&routers, 20).await);
    assert_eq!(scene.accounts.refreshes().len(), 1, "and then it is left alone for a while");
    assert_eq!(scene.stored("acc-1")["login_needed"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_of_a_token_serves_while_its_renewal_hangs() {
    let scene = Scene::new().await;
    let login = scene.accounts.add("acc-1", "plus", Duration::from_secs(4 * 60));
    scene.store(&[&login]);
    let gate = Gate::closed();
    scene.accounts.behind(&gate);
    let routers = [scene.router().await];
    all_were_served(&ask_all(&routers, 4).await);
    assert_eq!(scene.refresh_token("acc-1"), login.refresh_token);
    // Not because the renewal was given up: it is still under way, and its tokens are not lost.
    assert!(!routers[0].log().contains("could not be renewed"), "{}", routers[0].log());
    gate.open();
    until(|| scene.refresh_token("acc-1") != login.refresh_token).await;
    assert_eq!(scene.accounts.refreshes().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_leaves_fields_out_or_is_lost_logs_nobody_out() {
    let scene = Scene::new().await;
    let login = scene.accounts.add("acc-1", "plus", Duration::ZERO);
    scene.store(&[&login]);
    scene.accounts.leave_out(&["refresh_token", "id_token"]);
    let routers = [scene.router().await];
    all_were_served(&ask_all(&routers, 5).await);
    assert_eq!(scene.refresh_token("acc-1"), login.refresh_token);
    scene.accounts.leave_out(&[]);
    scene.accounts.invalidate("acc-1");
    scene.accounts.grace(LONG);
    scene.accounts.lose(1);
    all_were_served(&ask_all(&routers, 5).await);
    let outcomes: Vec<Outcome> = scene.accounts.refreshes().iter().map(|refresh| refresh.outcome).collect();
    assert_eq!(outcomes, [Outcome::Renewed, Outcome::Lost, Outcome::WithinGrace]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_for_good_marks_that_account_and_no_other() {
    let scene = Scene::new().await;
    let [first, second] = ["acc-1", "acc-2"].map(|id| scene.accounts.add(id, "plus", Duration::ZERO));
    scene.store(&[&first, &second]);
    scene.accounts.log_out("acc-1");
    let routers = [scene.router_with("ROTATION_MODE=sequential", &[]).await];
    all_were_served(&ask_all(&routers, 20).await);
    assert_eq!(scene.stored("acc-1")["login_needed"], "refresh_token_invalidated");
    assert_eq!(scene.stored("acc-1")["refresh_token"], json!(first.refresh_token));
    assert_eq!(scene.stored("acc-2")["login_needed"], Value::Null);
    assert_eq!((scene.accounts.count(Outcome::Invalidated), scene.accounts.count(Outcome::Renewed)), (1, 1));
    assert!(scene.called().iter().all(|account| account == "acc-2"));
    // Signed in again, it is the first to be called at once.
    let again = scene.accounts.add("acc-1", "plus", LONG);
    let now = Login { refresh_token: scene.refresh_token("acc-2"), ..second };
    let now =
        Login { access_token: scene.stored("acc-2")["access_token"].as_str().unwrap().to_owned(), ..now };
    scene.store(&[&again, &now]);
    let began = Instant::now();
    while scene.called().last().is_none_or(|account| account != "acc-1") {
        assert!(began.elapsed() < TOO_LONG, "it is not called again");
        all_were_served(&ask_all(&routers, 2).await);
        tokio::time::sleep(LOOK).await;
    }
    assert_eq!(scene.accounts.refreshes().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_token_that_is_refused_as_well_has_to_be_signed_in_to_again() {
    let refuses =
        Script::new().always(Match::path("/backend-api/codex/responses"), Refusal::token_invalidated());
    let scene = Scene::with(refuses).await;
    scene.store(&[&scene.accounts.add("acc-1", "plus", LONG)]);
    let router = scene.router().await;
    let got = router.caller().chat("hi").await;
    assert!(got.status.is_server_error() || got.status == StatusCode::TOO_MANY_REQUESTS, "{got:?}");
    assert_eq!(scene.accounts.refreshes().len(), 1);
    until(|| !scene.stored("acc-1")["login_needed"].is_null()).await;
    assert_eq!(scene.stored("acc-1")["login_needed"], "renewed_token_refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_go_elsewhere_while_a_token_is_renewed() {
    let scene = Scene::new().await;
    scene.store(&[&scene.accounts.add("acc-1", "plus", Duration::ZERO)]);
    let gate = Gate::closed();
    scene.accounts.behind(&gate);
    let other = Fake::start(Script::new().otherwise(Answer::text("Hello"))).await.unwrap();
    let (name, text) = provider("bravo", &other.base_url());
    // One that is called only when the subscription cannot be.
    let text = text.replace("\"free\"", "\"paid\"");
    let router = scene.router_with("BRAVO_API_KEY=sk-bravo", &[(&name, text)]).await;
    let routers = [router];
    all_were_served(&ask_all(&routers, 20).await);
    assert_eq!((scene.called().len(), scene.accounts.refreshes().len()), (0, 1));
    gate.open();
    until(|| scene.stored("acc-1")["last_refresh"] != "2026-11-01T00:00:00Z").await;
    assert!(scene.accounts.is_usable(&scene.refresh_token("acc-1")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_caller_sees_a_token() {
    let scene = Scene::new().await;
    let login = scene.accounts.add("acc-1", "plus", LONG);
    scene.store(&[&login]);
    let routers = [scene.router().await];
    let mistaken = |token: &str| {
        let body =
            json!({ "error": { "type": "invalid_request_error", "message": format!("bad: {token}") } });
        scene
            .backend
            .push(Match::path("/backend-api/codex/responses"), Behaviour::raw(400, body.to_string()));
    };
    mistaken(&login.access_token);
    let told = routers[0].caller().chat("hi").await;
    assert_eq!((told.status.as_u16(), told.text().contains("[redacted]")), (400, true), "{told:?}");
    assert!(!told.text().contains(&login.access_token));
    // Nor one that came after the file was read.
    scene.accounts.invalidate("acc-1");
    all_were_served(&ask_all(&routers, 1).await);
    let stored = scene.stored("acc-1");
    for name in ["access_token", "refresh_token", "id_token"] {
        let token = stored[name].as_str().unwrap();
        mistaken(token);
        let told = routers[0].caller().chat("hi").await;
        assert_eq!((told.status.as_u16(), told.text().contains(token)), (400, false), "{name}: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_leaves_does_not_take_the_new_token_along() {
    let scene = Scene::new().await;
    scene.store(&[&scene.accounts.add("acc-1", "plus", Duration::ZERO)]);
    let gate = Gate::closed();
    scene.accounts.behind(&gate);
    let router = scene.router().await;
    let caller = router.caller();
    let leaving = tokio::spawn(async move { caller.chat("hi").await });
    until(|| !scene.accounts.refreshes().is_empty()).await;
    leaving.abort();
    gate.open();
    all_were_served(&ask_all(&[router], 1).await);
    assert_eq!(scene.accounts.refreshes().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_moment_leaves_a_token_that_can_be_used() {
    const MOMENTS: u64 = 24;
    let scene = Scene::new().await;
    scene.store(&[&scene.accounts.add("acc-1", "plus", LONG)]);
    // A real endpoint forgives for a moment what it cannot tell from a lost answer.
    scene.accounts.grace(LONG);
    for moment in 0..MOMENTS {
        let gate = Gate::closed();
        scene.accounts.behind(&gate);
        scene.accounts.invalidate("acc-1");
        let asked = scene.accounts.refreshes().len();
        let mut router = scene.router().await;
        let caller = router.caller();
        let request =
            tokio::spawn(
                async move { caller.post("/v1/chat/completions", &crate::caller::question("hi")).await },
            );
        until(|| scene.accounts.refreshes().len() != asked).await;
        // The new token is issued. Some are killed before they hear of it, others while they store it.
        if moment % 4 != 0 {
            gate.open();
            tokio::time::sleep(Duration::from_micros(250 * moment)).await;
        }
        router.signal(Signal::KILL);
        router.ended().await;
        gate.open();
        request.abort();
        assert!(scene.accounts.is_usable(&scene.refresh_token("acc-1")), "moment {moment}");
        assert_no_pieces(&scene.auth());
    }
    all_were_served(&ask_all(&[scene.router().await], 3).await);
    assert_eq!(scene.accounts.count(Outcome::Reused), 0);
}

/// The file is whole, and its last good copy too.
fn assert_no_pieces(auth: &Path) {
    for path in [auth.to_path_buf(), auth.with_file_name("auth.json.bak")] {
        if let Ok(text) = std::fs::read_to_string(&path) {
            serde_json::from_str::<Value>(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_tokens_that_cannot_be_stored_are_kept_until_they_can() {
    let scene = Scene::new().await;
    let login = scene.accounts.add("acc-1", "plus", Duration::ZERO);
    scene.store(&[&login]);
    let gate = Gate::closed();
    scene.accounts.behind(&gate);
    let router = scene.router().await;
    let caller = router.caller();
    let request = tokio::spawn(async move { caller.chat("hi").await });
    until(|| !scene.accounts.refreshes().is_empty()).await;
    // Whatever is in its place now, it is no file that can be written.
    let aside = scene.folder.path().join("aside");
    std::fs::rename(scene.auth(), &aside).unwrap();
    std::fs::create_dir(scene.auth()).unwrap();
    gate.open();
    until(|| router.log().contains("could not be stored yet")).await;
    assert!(scene.called().is_empty(), "no request sees a token that is not on disk");
    std::fs::remove_dir(scene.auth()).unwrap();
    std::fs::rename(&aside, scene.auth()).unwrap();
    all_were_served(&[request.await.map(|got| (got.status, got.said())).unwrap()]);
    assert_eq!(scene.accounts.refreshes().len(), 1);
    assert_ne!(scene.refresh_token("acc-1"), login.refresh_token);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_waits_until_a_new_token_is_stored() {
    let scene = Scene::new().await;
    scene.store(&[&scene.accounts.add("acc-1", "plus", Duration::ZERO)]);
    let gate = Gate::closed();
    scene.accounts.behind(&gate);
    let mut router = scene.router().await;
    let caller = router.caller();
    let request =
        tokio::spawn(
            async move { caller.post("/v1/chat/completions", &crate::caller::question("hi")).await },
        );
    until(|| !scene.accounts.refreshes().is_empty()).await;
    // Nobody waits for the answer any more, so that nothing but the renewal keeps the router.
    request.abort();
    let _ = request.await;
    router.signal(Signal::TERM);
    until(|| router.log().contains("draining")).await;
    gate.open();
    assert_eq!(router.ended().await, Some(0));
    assert_ne!(scene.stored("acc-1")["last_refresh"], "2026-11-01T00:00:00Z");
    assert!(scene.accounts.is_usable(&scene.refresh_token("acc-1")));
}

/// A limit in each of its forms: the account rests until its reset, and the next one answers the same request.
async fn moves_on(limited: impl Into<Behaviour>) {
    let script = Script::new().always(Match::key("acc-1").and_path("/backend-api/codex/responses"), limited);
    let scene = Scene::with(script.otherwise(Answer::text("Hello"))).await;
    let logins = ["acc-1", "acc-2"].map(|id| scene.accounts.add(id, "plus", LONG));
    scene.store(&[&logins[0], &logins[1]]);
    let router = scene.router_with("ROTATION_MODE=sequential", &[]).await;
    for stream in [false, true, false, true] {
        let caller = router.caller();
        let got = if stream { caller.stream("hi").await } else { caller.chat("hi").await };
        assert_eq!((got.status.as_u16(), got.said().as_str()), (200, "Hello"), "{got:?}");
    }
    assert_eq!(scene.called(), ["acc-1", "acc-2", "acc-2", "acc-2", "acc-2"]);
    let log = router.log();
    let cooled = log.lines().find(|line| line.contains("cooling")).unwrap();
    let until: u64 = cooled.split("until_ms=").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64;
    let left = until.saturating_sub(now) / 1000;
    assert!((7000..=7200).contains(&left), "rests {left} s: {cooled}");
}

/// Not the wait that would count if nothing were said.
const RESET: Duration = Duration::from_secs(7200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_as_a_429_moves_on() {
    moves_on(Refusal::usage_limit("plus", SystemTime::now() + RESET)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_inside_a_stream_moves_on() {
    moves_on(Behaviour::error_inside(Refusal::usage_limit("plus", SystemTime::now() + RESET))).await;
}

/// A limit whose reset only the headers tell.
fn told_in_headers() -> Refusal {
    let mut windows = Windows::used(100.0);
    windows.primary.resets_in = Some(RESET);
    let bare = Refusal::new(429, "usage_limit_reached", "", "The usage limit has been reached");
    windows.headers().into_iter().fold(bare, |refusal, (name, value)| refusal.header(&name, &value))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_in_headers_moves_on() {
    moves_on(told_in_headers()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_inside_a_stream_rests_until_the_headers_say() {
    moves_on(Behaviour::error_inside(told_in_headers())).await;
}

/// What a good answer says of the next call is believed: the account that has nothing left is not asked again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_window_in_a_good_answer_spares_the_next_call() {
    let script = Script::new().showing(Windows::used(100.0).headers()).otherwise(Answer::text("Hello"));
    let scene = Scene::with(script).await;
    let logins = ["acc-1", "acc-2"].map(|id| scene.accounts.add(id, "plus", LONG));
    scene.store(&[&logins[0], &logins[1]]);
    let router = scene.router_with("ROTATION_MODE=sequential", &[]).await;
    for expected in [200, 200, 429] {
        let got = router.caller().chat("hi").await;
        assert_eq!(got.status.as_u16(), expected, "{got:?}");
    }
    assert_eq!(scene.called(), ["acc-1", "acc-2"]);
}
