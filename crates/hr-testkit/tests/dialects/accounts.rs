//! A subscription with accounts: whose token is taken, and how tokens are renewed.

use std::time::Duration;

use hr_testkit::{
    Accounts, Dialect, Fake, Gate, Hint, Match, Outcome, Refusal, Script, Shape, Strictness, Windows,
};
use serde_json::{Value, json};

use crate::caller::{fake, path, request};
use crate::client::{Reply, call};

const HOUR: Duration = Duration::from_secs(3600);

async fn subscription(accounts: &Accounts) -> Fake {
    let script =
        Script::new().accounts(accounts).strict(Strictness::new()).showing(Windows::used(12.5).headers());
    fake(Dialect::Codex, script).await
}

async fn ask(fake: &Fake, access_token: &str, account: &str) -> Reply {
    let headers = [
        ("authorization", format!("Bearer {access_token}")),
        ("chatgpt-account-id", account.to_owned()),
        ("content-type", "application/json".to_owned()),
    ];
    let body = request(Dialect::Codex, true).to_string();
    call(fake, "POST", path(Dialect::Codex), &headers, body).await.unwrap()
}

async fn renew(fake: &Fake, refresh_token: &str) -> Reply {
    let headers = [("content-type", "application/json".to_owned())];
    let body = json!({"client_id": "app", "grant_type": "refresh_token", "refresh_token": refresh_token});
    call(fake, "POST", "/oauth/token", &headers, body.to_string()).await.unwrap()
}

#[tokio::test]
async fn an_expired_token_is_renewed_once() {
    let accounts = Accounts::new();
    let login = accounts.add("acct-1", "plus", Duration::ZERO);
    let fake = subscription(&accounts).await;
    let refused = ask(&fake, &login.access_token, "acct-1").await;
    assert_eq!((refused.status, refused.json()["error"]["code"].as_str()), (401, Some("token_expired")));
    let renewed = renew(&fake, &login.refresh_token).await.json();
    let access = renewed["access_token"].as_str().unwrap();
    let good = ask(&fake, access, "acct-1").await;
    assert_eq!((good.status, good.header("x-codex-primary-used-percent")), (200, Some("12.5")));
    assert_eq!(good.header("x-codex-secondary-reset-at"), Some(""));
    assert_eq!(ask(&fake, access, "acct-2").await.status, 401, "it is the token of another account");
    let again = renew(&fake, &login.refresh_token).await;
    assert_eq!((again.status, again.json()["error"]["code"].as_str()), (401, Some("refresh_token_reused")));
    assert_eq!((accounts.count(Outcome::Renewed), accounts.refreshes().len()), (1, 2));
    assert_eq!(fake.calls()[0].key.as_deref(), Some("acct-1"));
}

#[tokio::test]
async fn a_form_is_as_good_as_json() {
    let accounts = Accounts::new();
    let login = accounts.add("acct-1", "plus", HOUR);
    let fake = subscription(&accounts).await;
    accounts.leave_out(&["id_token", "refresh_token"]);
    let headers = [("content-type", "application/x-www-form-urlencoded".to_owned())];
    let token = &login.refresh_token;
    let body =
        format!("grant_type=refresh_token&client_id=app&scope=openid+profile+email&refresh_token={token}");
    let reply = call(&fake, "POST", "/oauth/token", &headers, body).await.unwrap().json();
    assert!(reply["access_token"].is_string());
    assert!(reply.get("refresh_token").is_none() && reply.get("id_token").is_none());
    assert!(accounts.is_usable(token), "nothing took its place");
}

#[tokio::test]
async fn renewal_fails_as_scripted() {
    let accounts = Accounts::new();
    let login = accounts.add("acct-1", "plus", HOUR);
    let fake = subscription(&accounts).await;
    accounts.refuse(Refusal::unavailable());
    assert_eq!(renew(&fake, &login.refresh_token).await.status, 503);
    accounts.wording(Shape::Text);
    accounts.expire_login("acct-1");
    assert_eq!(renew(&fake, &login.refresh_token).await.json(), json!({"error": "refresh_token_expired"}));
    accounts.wording(Shape::Flat);
    accounts.log_out("acct-1");
    assert_eq!(renew(&fake, &login.refresh_token).await.json()["code"], "refresh_token_invalidated");
    let refused = ask(&fake, &login.access_token, "acct-1").await;
    assert_eq!(refused.json()["error"]["code"], "token_invalidated");
}

#[tokio::test]
async fn a_lost_answer_has_used_its_token_up() {
    let accounts = Accounts::new();
    let login = accounts.add("acct-1", "plus", HOUR);
    let fake = subscription(&accounts).await;
    accounts.lose(1);
    let headers = [("content-type", "application/json".to_owned())];
    let token = &login.refresh_token;
    let body = json!({"client_id": "app", "grant_type": "refresh_token", "refresh_token": token}).to_string();
    assert!(call(&fake, "POST", "/oauth/token", &headers, body).await.is_err());
    assert_eq!(accounts.count(Outcome::Lost), 1);
    assert_eq!(renew(&fake, token).await.status, 401);
    accounts.grace(HOUR);
    assert_eq!(renew(&fake, token).await.status, 200);
}

#[tokio::test]
async fn tokens_are_told_when_the_gate_opens() {
    let accounts = Accounts::new();
    let login = accounts.add("acct-1", "plus", HOUR);
    let fake = subscription(&accounts).await;
    let gate = Gate::closed();
    accounts.behind(&gate);
    let waiting = renew(&fake, &login.refresh_token);
    let opening = async {
        fake.until(|calls| calls.len() == 1).await;
        while accounts.refreshes().is_empty() {
            tokio::task::yield_now().await;
        }
        assert!(!accounts.is_usable(&login.refresh_token), "it is used up before the answer");
        gate.open();
    };
    let (reply, ()) = tokio::join!(waiting, opening);
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_limit_comes_in_three_forms() {
    let accounts = Accounts::new();
    let login = accounts.add("acct-1", "plus", HOUR);
    let fake = subscription(&accounts).await;
    let ask = || ask(&fake, &login.access_token, "acct-1");
    fake.push(Match::any(), hr_testkit::Behaviour::rate_limited(Hint::UsageLimit, HOUR));
    let limited = ask().await;
    let error = limited.json()["error"].clone();
    assert_eq!((limited.status, error["type"].as_str()), (429, Some("usage_limit_reached")));
    assert!(error["resets_at"].as_u64() > Some(1_700_000_000));
    let inside = Refusal::usage_limit("plus", std::time::SystemTime::now() + HOUR);
    fake.push(Match::any(), hr_testkit::Behaviour::error_inside(inside));
    let failed: Value = ask().await.events().pop().unwrap();
    assert_eq!(failed["response"]["error"]["code"], "usage_limit_reached");
    fake.set(Script::new().accounts(&accounts).showing(Windows::used(100.0).headers()));
    assert_eq!(ask().await.header("x-codex-primary-used-percent"), Some("100"));
    let headers = [("authorization", format!("Bearer {}", login.access_token))];
    let usage = call(&fake, "GET", "/backend-api/wham/usage", &headers, String::new()).await.unwrap();
    assert!(usage.json()["rate_limit"]["primary_window"].is_object());
}
