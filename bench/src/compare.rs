//! Two programs against each other: whether a change made a request dearer.
//!
//! Two runs one after the other differ by more than most changes cost, since a machine has good and bad minutes.
//! Here the proxy and both programs take short turns, and what they used in the same round is compared.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::course::{self, Course};
use crate::dialect::Dialect;
use crate::gauge;
use crate::home::Home;
use crate::load::Seen;
use crate::pin::{self, Cores};
use crate::plan::{Loop, RUN_LIMIT, TURNS};
use crate::process::{self, Server};
use crate::report::{Change, Comparison, median};

/// Measures the program at `before` and the one at `after`.
pub fn compare(before: &Path, after: &Path) -> Result<Comparison> {
    let begin = Instant::now();
    let cores = pin::cores()?;
    let upstream = process::start_part(cores.around, &["upstream"])?;
    let contest = Contest {
        cores,
        proxy: process::start_part(cores.measured, &["proxy", "--to", &upstream.address.to_string()])?,
        before: Program::start(before, upstream.address, cores)?,
        after: Program::start(after, upstream.address, cores)?,
        upstream,
    };
    let mut tracks: Vec<Track> = course::all().into_iter().map(Measured::Cpu).map(Track::new).collect();
    tracks.extend([Measured::Latency, Measured::FirstToken].map(Track::new));

    let mut longest = Duration::ZERO;
    let mut counted = 0;
    // The first round warms everything up and does not count.
    for round in 0..=TURNS.rounds {
        if begin.elapsed() + longest > RUN_LIMIT {
            break;
        }
        let round_begin = Instant::now();
        for track in &mut tracks {
            let used = contest.turn(&track.measured, round).with_context(|| track.measured.name())?;
            if round > 0 {
                track.rounds.push(used);
            }
        }
        counted = round;
        longest = longest.max(round_begin.elapsed());
    }
    Ok(Comparison {
        rounds: counted,
        seconds: begin.elapsed().as_secs_f64(),
        changes: tracks.iter().map(Track::change).collect(),
    })
}

/// What is measured.
enum Measured {
    /// CPU.
    Cpu(Course),
    /// The time that a small request takes longer than straight to the upstream.
    Latency,
    /// The same of the first token of a stream.
    FirstToken,
}

impl Measured {
    fn name(&self) -> String {
        match self {
            Measured::Cpu(course) => course.name(),
            Measured::Latency => "Chat: added latency, p50".to_owned(),
            Measured::FirstToken => "Chat: added time to first token, p50".to_owned(),
        }
    }
}

/// What one round gave, in microseconds.
#[derive(Clone, Copy, Debug)]
struct Used {
    proxy: f64,
    before: f64,
    after: f64,
}

/// One measurement over the rounds.
struct Track {
    measured: Measured,
    rounds: Vec<Used>,
}

impl Track {
    fn new(measured: Measured) -> Track {
        Track { measured, rounds: Vec::new() }
    }

    fn change(&self) -> Change {
        let of = |value: fn(&Used) -> f64| median(&self.rounds.iter().map(value).collect::<Vec<f64>>());
        Change {
            name: self.measured.name(),
            before: of(|used| used.before / used.proxy),
            after: of(|used| used.after / used.proxy),
            change: of(|used| used.after / used.before) - 1.0,
        }
    }
}

/// One of the two: a process for each dialect of the upstream, as in [`Dialect::ALL`].
struct Program {
    servers: Vec<Server>,
    /// Where they live, as long as they do.
    _homes: Vec<Home>,
}

impl Program {
    fn start(binary: &Path, upstream: SocketAddr, cores: Cores) -> Result<Program> {
        let homes: Vec<Home> =
            Dialect::ALL.into_iter().map(|dialect| Home::new(upstream, dialect)).collect::<Result<_>>()?;
        let start = |home| Ok::<_, anyhow::Error>(process::start_hr(binary, home, Some(cores.measured))?.0);
        Ok(Program { servers: homes.iter().map(start).collect::<Result<_>>()?, _homes: homes })
    }

    fn server(&self, upstream: Dialect) -> &Server {
        &self.servers[upstream.index()]
    }
}

struct Contest {
    cores: Cores,
    upstream: Server,
    proxy: Server,
    before: Program,
    after: Program,
}

impl Contest {
    /// One measurement of all three. Whoever comes first in one round does not in the next.
    fn turn(&self, measured: &Measured, round: usize) -> Result<Used> {
        let chat = Dialect::OpenaiChat;
        let straight = match measured {
            Measured::Cpu(_) => 0.0,
            Measured::Latency => self.send(&self.upstream, chat, &TURNS.latency)?.whole,
            Measured::FirstToken => self.send(&self.upstream, chat, &TURNS.first_token)?.first_byte,
        };
        let mut used = [0.0; 3];
        for place in 0..used.len() {
            let who = (place + round) % used.len();
            let program = [None, Some(&self.before), Some(&self.after)][who];
            let server = |upstream| program.map_or(&self.proxy, |program| program.server(upstream));
            used[who] = match measured {
                Measured::Cpu(course) => {
                    // The proxy translates nothing: it passes on what the upstream speaks.
                    let speaks = if program.is_some() { course.client } else { course.upstream };
                    self.cpu(server(course.upstream), speaks, &course.kind.load(&TURNS))?
                }
                Measured::Latency => self.send(server(chat), chat, &TURNS.latency)?.whole - straight,
                Measured::FirstToken => {
                    self.send(server(chat), chat, &TURNS.first_token)?.first_byte - straight
                }
            };
        }
        let [proxy, before, after] = used;
        Ok(Used { proxy, before, after })
    }

    /// CPU microseconds of the threads that serve, for each request or for each chunk of a stream.
    fn cpu(&self, server: &Server, dialect: Dialect, load: &Loop) -> Result<f64> {
        let earlier = gauge::cpu_time(server.id())?;
        self.send(server, dialect, load)?;
        let used = gauge::cpu_time(server.id())?.since(earlier).serving;
        Ok(used.as_secs_f64() * 1e6 / (load.total() * load.chunks.max(1)) as f64)
    }

    fn send(&self, server: &Server, dialect: Dialect, load: &Loop) -> Result<Seen> {
        process::send_load(self.cores.around, server.address, dialect, load, || Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_the_median_of_what_the_rounds_gave() {
        let mut track = Track::new(Measured::Latency);
        for (proxy, before, after) in [(10.0, 20.0, 22.0), (20.0, 40.0, 42.0), (10.0, 20.0, 90.0)] {
            track.rounds.push(Used { proxy, before, after });
        }
        let change = track.change();
        assert_eq!((change.before, change.after), (2.0, 2.2));
        assert!((change.change - 0.1).abs() < 1e-9);
    }
}
