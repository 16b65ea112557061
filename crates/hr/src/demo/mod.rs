//! `hr demo`: the whole product in ten seconds, without a key and without a network.
//!
//! [`scene`] starts pretend providers with hidden quotas and faults, and the real gateway over them.
//! [`visitor`] is an ordinary client that sends it requests through the real HTTP path. After each one,
//! [`rests`] reads from the router's status who is passed over and why; [`tally`] adds up, [`screen`] shows.

mod rests;
mod scene;
mod screen;
mod tally;
mod visitor;

use std::time::{Duration, Instant};

use hr_core::settings::define::general::PORT;

use crate::cli::print;
use rests::Rests;
use scene::Scene;
use screen::Screen;
use tally::{Connection, Report, Tally};
use visitor::Visitor;

/// How many requests are sent unless the user says otherwise.
pub const DEFAULT_REQUESTS: usize = 36;
/// The pause between two requests, for people to follow.
pub const DEFAULT_PACE: Duration = Duration::from_millis(130);

/// What the demo is to do.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Whether it goes on running, to play with.
    pub serve: bool,
    /// How many requests are sent.
    pub requests: usize,
    /// Whether only the sums are written, as JSON.
    pub json: bool,
    /// The pause between two requests.
    pub pace: Duration,
}

impl Default for DemoOptions {
    fn default() -> DemoOptions {
        DemoOptions { serve: false, requests: DEFAULT_REQUESTS, json: false, pace: DEFAULT_PACE }
    }
}

/// Plays the demo.
///
/// # Errors
/// When it cannot start, or when standard output cannot be written.
pub async fn run(options: DemoOptions) -> anyhow::Result<()> {
    let screen = if options.json { Screen::silent() } else { Screen::lines() };
    let scene = Scene::open().await?;
    screen.opening(&scene.actors)?;
    let tally = play(&scene, &screen, &options).await?;
    let connection =
        if options.serve { Connection::here(scene.address) } else { Connection::usual(PORT.default) };
    if options.json {
        print::json(&Report { tally: &tally, connection: &connection })?;
    }
    screen.sums(&tally)?;
    if options.serve {
        screen.serving(&connection)?;
        tokio::signal::ctrl_c().await?;
    } else {
        screen.farewell(&connection)?;
    }
    scene.close().await
}

/// Sends the requests, one after another.
async fn play(scene: &Scene, screen: &Screen, options: &DemoOptions) -> anyhow::Result<Tally> {
    let visitor = Visitor::new(scene.address);
    let begun = Instant::now();
    let mut tally = Tally::default();
    let mut rested = Rests::default();
    for number in 0..options.requests {
        if number > 0 {
            tokio::time::sleep(options.pace).await;
            let now = Rests::read(&visitor.status().await?);
            screen.changes(&rested, &now)?;
            rested = now;
        }
        let asked = Instant::now();
        let visit = visitor.ask(number).await?;
        let seen = scene.seen_since(asked);
        screen.request(number + 1, &visit, &seen, &rested)?;
        tally.add(&visit, &seen, &rested);
        let now = Rests::read(&visitor.status().await?);
        screen.changes(&rested, &now)?;
        rested = now;
    }
    tally.close(begun.elapsed(), scene.calls_too_early());
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_fails_and_nobody_who_rests_is_called() {
        let options = DemoOptions { pace: Duration::ZERO, ..DemoOptions::default() };
        let scene = Scene::open().await.unwrap();
        let tally = play(&scene, &Screen::silent(), &options).await.unwrap();
        assert_eq!((tally.served, tally.failed), (DEFAULT_REQUESTS, 0), "{tally:?}");
        assert_eq!(tally.calls_too_early, 0, "{tally:?}");
        assert_eq!(tally.calls, tally.served + tally.wasted_calls, "{tally:?}");
        // How many depends on how fast the machine is: a window that has reopened needs no other provider.
        assert!(tally.by_provider.len() > 1, "{tally:?}");
        assert!(tally.rescued > 0 && tally.went_around > 0, "{tally:?}");
        scene.close().await.unwrap();
    }

    #[tokio::test]
    async fn no_request_is_a_show_too() {
        let scene = Scene::open().await.unwrap();
        let options = DemoOptions { requests: 0, ..DemoOptions::default() };
        let tally = play(&scene, &Screen::silent(), &options).await.unwrap();
        assert_eq!((tally.requests, tally.calls), (0, 0));
    }
}
