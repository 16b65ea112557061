//! `hr providers --scan`: which servers of the own machine run where they usually do.
//!
//! Where that is says the catalogue. All places are asked at the same time, over loopback, with a short limit;
//! nothing is sent but a question for the list of models.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use hr_core::catalog::{Catalog, LocalServer, Provider};
use hr_core::pool::Pool;
use hr_core::settings::define::provider::{BASE_URL, EMBED_MODEL, MODEL};
use serde::Serialize;
use serde_json::Value;

use crate::cli::desk::Desk;
use crate::cli::paint::Paint;
use crate::cli::{print, talk, words};

/// How long a server may take for one answer.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// The most models of a server that the command for it names.
const MAX_OFFERED: usize = 5;
/// The most models of a server that are listed.
const MAX_LISTED: usize = 100;
/// The longest name of a model.
const MAX_MODEL_CHARS: usize = 256;

/// A place where a server may be.
struct Place<'a> {
    provider: &'a Provider,
    server: &'a LocalServer,
    address: SocketAddr,
    /// The path of its API.
    path: &'a str,
}

/// What was found, and where was looked.
#[derive(Serialize)]
struct Scan<'a> {
    found: Vec<Found>,
    looked_at: Vec<LookedAt<'a>>,
}

#[derive(Serialize)]
struct LookedAt<'a> {
    name: &'a str,
    base_url: &'a str,
}

/// A server that runs.
#[derive(Debug, PartialEq, Serialize)]
struct Found {
    /// The provider that it can be.
    provider: String,
    /// The program, where it told which it is.
    name: Option<String>,
    base_url: String,
    state: State,
    models: Vec<String>,
    embedding_models: Vec<String>,
    /// Whether the pool has it already.
    in_use: bool,
    /// The command that puts it into the pool.
    command: Option<String>,
    /// The same as settings.
    settings: Vec<String>,
}

/// Whether a server can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// It has models.
    Ready,
    /// It runs and has no model.
    Empty,
    /// It is reading its model.
    Loading,
    /// It asks for a key.
    AsksForKey,
}

/// Looks, and says what there is.
pub fn run(desk: &Desk, catalog: &Catalog, pool: Option<&Pool>, as_json: bool) -> anyhow::Result<()> {
    // This router answers like a server of models, and is none to be put behind itself.
    let own = talk::reachable(desk.way_in()?.0);
    let places: Vec<Place<'_>> = places(catalog).filter(|place| place.address != own).collect();
    let found = thread::scope(|scope| {
        let probes: Vec<_> = places.iter().map(|place| scope.spawn(|| probe(place, pool))).collect();
        // A probe that broke found nothing.
        probes.into_iter().filter_map(|probe| probe.join().ok().flatten()).collect::<Vec<_>>()
    });
    if as_json {
        let looked_at = places
            .iter()
            .map(|place| LookedAt { name: &place.server.name, base_url: &place.server.base_url })
            .collect();
        return print::json(&Scan { found, looked_at });
    }
    print::out(&if found.is_empty() { nothing(&places) } else { text(&found) })
}

/// Where servers may be, each address once.
fn places(catalog: &Catalog) -> impl Iterator<Item = Place<'_>> {
    let mut seen = Vec::new();
    let all = catalog.providers.iter().flat_map(|provider| {
        provider.servers.iter().filter_map(|server| {
            let (authority, path) = split(&server.base_url)?;
            Some(Place { provider, server, address: authority.parse().ok()?, path })
        })
    });
    all.filter(move |place| {
        let new = !seen.contains(&place.address);
        seen.push(place.address);
        new
    })
}

/// `127.0.0.1:8080` and `/v1`.
fn split(base_url: &str) -> Option<(&str, &str)> {
    let rest = base_url.strip_prefix("http://")?;
    Some(rest.find('/').map_or((rest, ""), |at| rest.split_at(at)))
}

fn probe(place: &Place<'_>, pool: Option<&Pool>) -> Option<Found> {
    let answer = talk::get_within(place.address, &format!("{}/models", place.path), None, PATIENCE).ok()?;
    let name = told_name(place);
    let body = serde_json::from_slice::<Value>(&answer.body).ok().filter(Value::is_object);
    // Other programs refuse strangers too, or are not ready, and say so in a page.
    let is_one = body.is_some() || name.is_some();
    let listed = body.as_ref().filter(|_| answer.status == 200).and_then(model_ids);
    let own = || if answer.status == 404 { own_list(place) } else { None };
    let (state, models) = match (answer.status, listed.or_else(own)) {
        (_, Some(models)) if models.is_empty() => (State::Empty, models),
        (_, Some(models)) => (State::Ready, models),
        (401 | 403, _) if is_one => (State::AsksForKey, Vec::new()),
        (503, _) if is_one => (State::Loading, Vec::new()),
        // Something else that speaks HTTP, unless it told its name.
        _ => (name.as_ref().map(|_| State::Empty)?, Vec::new()),
    };
    let (embedding_models, models): (Vec<String>, Vec<String>) =
        models.into_iter().partition(|model| model.to_lowercase().contains("embed"));
    let base_url = place.server.base_url.clone();
    let in_use = pool.is_some_and(|pool| {
        pool.members.iter().any(|member| member.off.is_none() && member.base_url == base_url)
    });
    let (command, settings) = offer(place, &models, &embedding_models);
    Some(Found {
        provider: place.provider.id.clone(),
        name,
        base_url,
        state,
        models,
        embedding_models,
        in_use,
        command,
        settings,
    })
}

/// Which program it is: the one whose own path it answers, the one that is expected there asked first.
fn told_name(place: &Place<'_>) -> Option<String> {
    let expected = std::iter::once(place.server);
    let others = place.provider.servers.iter().filter(|server| server.name != place.server.name);
    let mut asked = Vec::new();
    for server in expected.chain(others) {
        let Some(path) = server.told_by.as_deref().filter(|path| !asked.contains(path)) else { continue };
        asked.push(path);
        let answer = talk::get_within(place.address, path, None, PATIENCE);
        if answer.is_ok_and(|answer| answer.status == 200 && says_something(&answer.body)) {
            return Some(server.name.clone());
        }
    }
    None
}

/// The models in the program's own list, where it has no other.
fn own_list(place: &Place<'_>) -> Option<Vec<String>> {
    let path = place.server.lists_at.as_deref()?;
    let answer = talk::get_within(place.address, path, None, PATIENCE).ok()?;
    let body: Value = serde_json::from_slice(&answer.body).ok().filter(|_| answer.status == 200)?;
    Some(usable(body.get("models")?.as_array()?, "name"))
}

/// Some programs answer every path with a 200 and an error in it.
fn says_something(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body).is_ok_and(|body| body.is_object() && body.get("error").is_none())
}

/// The ids of a list of models; nothing when it is no such list. Those that could not be written into
/// settings are left out.
fn model_ids(body: &Value) -> Option<Vec<String>> {
    Some(usable(body.get("data")?.as_array()?, "id"))
}

/// What these models are called under this key.
fn usable(models: &[Value], key: &str) -> Vec<String> {
    let fits = |id: &&str| {
        let odd = |c: char| c.is_whitespace() || c.is_control() || c == ',';
        !id.is_empty() && id.chars().count() <= MAX_MODEL_CHARS && !id.contains(odd)
    };
    let ids = models.iter().filter_map(|model| model[key].as_str()).filter(fits);
    ids.take(MAX_LISTED).map(str::to_owned).collect()
}

/// The command and the settings that put a server with these models into the pool.
fn offer(place: &Place<'_>, models: &[String], embeddings: &[String]) -> (Option<String>, Vec<String>) {
    if models.is_empty() && embeddings.is_empty() {
        return (None, Vec::new());
    }
    let (provider, base_url) = (place.provider, &place.server.base_url);
    let chosen = models[..models.len().min(MAX_OFFERED)].join(",");
    let command = (!models.is_empty())
        .then(|| format!("hr model set {} {} --base-url {base_url}", provider.id, words::for_shell(&chosen)));
    let mut settings = vec![format!("{}={base_url}", BASE_URL.of(provider))];
    if !models.is_empty() {
        settings.push(format!("{}={chosen}", MODEL.of(provider)));
    }
    if let Some(first) = embeddings.first() {
        settings.push(format!("{}={first}", EMBED_MODEL.of(provider)));
    }
    (command, settings)
}

fn nothing(places: &[Place<'_>]) -> String {
    let looked: Vec<String> =
        places.iter().map(|place| format!("{} at {}", place.server.name, place.address)).collect();
    let variables: Vec<String> =
        places.iter().map(|place| format!("`{}`", BASE_URL.of(place.provider))).take(1).collect();
    format!(
        "No server was found on this machine. Looked for {}.\nStart one, or set {} to where it is.\n",
        looked.join(", "),
        variables.join(", ")
    )
}

fn text(found: &[Found]) -> String {
    let paint = Paint::stdout();
    let mut text = String::new();
    for server in found {
        let name = server.name.as_deref().unwrap_or("A server");
        let state = match (server.in_use, server.state) {
            (true, _) => paint.good("in the pool already"),
            (_, State::Ready) => {
                paint.good(&words::count(server.models.len() + server.embedding_models.len(), "model"))
            }
            (_, State::Empty) => paint.doubtful("no model is there: pull or load one"),
            (_, State::Loading) => paint.doubtful("its model is still being loaded: look again in a moment"),
            (_, State::AsksForKey) => paint.doubtful("it asks for a key"),
        };
        let _ = writeln!(text, "{} at {}: {state}", paint.strong(name), server.base_url);
        let all: Vec<&str> =
            server.models.iter().chain(&server.embedding_models).map(String::as_str).collect();
        if !all.is_empty() {
            let _ = writeln!(text, "  {}", all.join(", "));
        }
        if server.in_use {
            continue;
        }
        if let Some(command) = &server.command {
            let _ = writeln!(text, "  use it:           {command}");
        }
        if !server.settings.is_empty() {
            let settings: Vec<String> = server.settings.iter().map(|line| quoted(line)).collect();
            let _ = writeln!(text, "  or for one start: {} hr start", settings.join(" "));
        }
    }
    if found.len() > 1 {
        text.push_str("\nOne of them at a time; each further one is a small file in `providers.d`.\n");
    }
    text
}

/// `NAME=value`, the value as a shell wants it.
fn quoted(line: &str) -> String {
    line.split_once('=')
        .map_or_else(String::new, |(name, value)| format!("{name}={}", words::for_shell(value)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_lists_of_models_are_lists_of_models() {
        let list = json!({"data": [{"id": "a:7b"}, {"id": "b c"}, {"id": "d,e"}, {"id": "\u{1b}[2J"}, {"id": 7}, {}]});
        assert_eq!(model_ids(&list), Some(vec!["a:7b".to_owned()]));
        assert_eq!(model_ids(&json!({"data": []})), Some(Vec::new()));
        for other in [json!({"models": []}), json!({"data": "x"}), json!([]), json!(null)] {
            assert_eq!(model_ids(&other), None, "{other}");
        }
    }

    #[test]
    fn addresses_are_taken_apart() {
        assert_eq!(split("http://127.0.0.1:8080/v1"), Some(("127.0.0.1:8080", "/v1")));
        assert_eq!(split("http://[::1]:1"), Some(("[::1]:1", "")));
        assert_eq!(split("https://127.0.0.1:8080/v1"), None);
    }

    #[test]
    fn every_address_is_looked_at_once() {
        let catalog = hr_core::catalog::builtin();
        let addresses: Vec<String> = places(&catalog).map(|place| place.address.to_string()).collect();
        assert!(addresses.contains(&"127.0.0.1:11434".to_owned()), "{addresses:?}");
        let mut once = addresses.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), addresses.len());
    }
}
