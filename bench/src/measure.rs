//! The run itself: who is started, what is sent, what is read off before and after.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::gauge::{self, Memory};
use crate::home::Home;
use crate::load::Seen;
use crate::pin::{self, Cores};
use crate::plan::{Loop, Plan, RUN_LIMIT, SETTLE};
use crate::process::{self, Server};
use crate::report::{Details, Machine, Report, Row, median};

/// Files a process has open besides the two sockets of each stream, generously.
const OTHER_FILES: u64 = 200;

/// Measures `hr` at `binary` as `plan` says.
pub fn run(binary: &Path, plan: &Plan) -> Result<Report> {
    let begin = Instant::now();
    let cores = pin::cores()?;
    let upstream = process::start_part(cores.around, &["upstream"])?;
    let home = Home::new(upstream.address)?;
    let bench = Bench { binary, plan: fitting(plan), cores, upstream, home };

    let starts = bench.cold_starts().context("cold start")?;
    let hr_memory = bench.memory(&bench.start_hr()?).context("memory of hr")?;
    let proxy_memory = bench.memory(&bench.start_proxy()?).context("memory of the proxy")?;
    let rounds = bench.rounds(begin)?;

    let mut rows = rounds.rows();
    rows.push(Row::absolute("cold start", "ms", None, median(&starts), 12.0));
    rows.push(Row::absolute(
        "idle memory",
        "MiB",
        Some(proxy_memory.idle_mebibytes()),
        hr_memory.idle_mebibytes(),
        20.0,
    ));
    rows.push(Row::absolute(
        "memory per open slow stream",
        "KiB",
        Some(proxy_memory.per_stream),
        hr_memory.per_stream,
        45.0,
    ));
    rows.push(Row::absolute("release binary", "MB", None, gauge::file_size(binary)? as f64 / 1e6, 25.0));
    Ok(Report {
        machine: Machine { processor: gauge::processor(), cores: [cores.measured, cores.around] },
        rows,
        details: Details {
            rounds: rounds.latency.len(),
            seconds: begin.elapsed().as_secs_f64(),
            direct_latency: median_of(&rounds.latency, |trio| trio.direct),
            direct_first_token: median_of(&rounds.first_token, |trio| trio.direct),
            starts: starts.len(),
            fastest_start: starts.iter().copied().fold(f64::INFINITY, f64::min),
            idle_proportional: hr_memory.idle.proportional as f64 / 1024.0,
            resident_after_rounds: rounds.resident_after,
            open_streams: bench.plan.open.connections,
        },
    })
}

/// The plan with no more open streams than this machine's limit of open files allows.
fn fitting(plan: &Plan) -> Plan {
    let room = pin::open_files().saturating_sub(OTHER_FILES) / 2;
    let connections = plan.open.connections.min(usize::try_from(room).unwrap_or(usize::MAX)).max(1);
    Plan { open: Loop { connections, ..plan.open }, ..*plan }
}

struct Bench<'a> {
    binary: &'a Path,
    plan: Plan,
    cores: Cores,
    upstream: Server,
    home: Home,
}

/// What one measurement gave for both.
struct Pair {
    proxy: f64,
    hr: f64,
}

/// What one latency measurement gave, in microseconds.
struct Trio {
    direct: f64,
    proxy: f64,
    hr: f64,
}

#[derive(Default)]
struct Rounds {
    small: Vec<Pair>,
    medium: Vec<Pair>,
    large: Vec<Pair>,
    chunks: Vec<Pair>,
    latency: Vec<Trio>,
    first_token: Vec<Trio>,
    /// Of `hr`, in MiB.
    resident_after: f64,
}

struct MemoryUse {
    idle: Memory,
    /// In KiB.
    per_stream: f64,
}

impl MemoryUse {
    fn idle_mebibytes(&self) -> f64 {
        self.idle.resident as f64 / 1024.0
    }
}

impl Bench<'_> {
    fn start_hr(&self) -> Result<Server> {
        Ok(process::start_hr(self.binary, &self.home, Some(self.cores.measured))?.0)
    }

    fn start_proxy(&self) -> Result<Server> {
        process::start_part(self.cores.measured, &["proxy", "--to", &self.upstream.address.to_string()])
    }

    fn send(&self, to: SocketAddr, load: &Loop) -> Result<Seen> {
        process::send_load(self.cores.around, to, load, || Ok(()))
    }

    /// Milliseconds from the start of the process to its first answer. The very first start, which makes what
    /// a new home lacks, is not counted.
    fn cold_starts(&self) -> Result<Vec<f64>> {
        process::start_hr(self.binary, &self.home, None)?;
        (0..self.plan.starts)
            .map(|_| {
                let (_server, time) = process::start_hr(self.binary, &self.home, None)?;
                Ok(time.as_secs_f64() * 1e3)
            })
            .collect()
    }

    /// Memory of a new process at rest, and how much more it has for each open stream while all flow.
    fn memory(&self, server: &Server) -> Result<MemoryUse> {
        std::thread::sleep(SETTLE);
        let idle = gauge::memory(server.id())?;
        let load = &self.plan.open;
        let mut open = None;
        process::send_load(self.cores.around, server.address, load, || {
            // A chunk later, when all of them have flowed.
            std::thread::sleep(load.interval);
            open = Some(gauge::memory(server.id())?);
            Ok(())
        })?;
        let open = open.context("the streams were never all open")?;
        let more = open.resident.saturating_sub(idle.resident);
        Ok(MemoryUse { idle, per_stream: more as f64 / load.connections as f64 })
    }

    fn rounds(&self, begin: Instant) -> Result<Rounds> {
        let proxy = self.start_proxy()?;
        let hr = self.start_hr()?;
        let plan = &self.plan;
        for server in [&proxy, &hr] {
            for warm_up in [&plan.small, &plan.medium, &plan.large, &plan.first_token] {
                self.send(server.address, warm_up).context("warm-up")?;
            }
        }
        let mut rounds = Rounds::default();
        let mut longest = Duration::ZERO;
        for _ in 0..plan.rounds {
            if begin.elapsed() + longest > RUN_LIMIT {
                break;
            }
            let round_begin = Instant::now();
            rounds.small.push(self.cpu(&proxy, &hr, &plan.small, 1).context("small requests")?);
            rounds.medium.push(self.cpu(&proxy, &hr, &plan.medium, 1).context("requests of 100 KB")?);
            rounds.large.push(self.cpu(&proxy, &hr, &plan.large, 1).context("requests of 1 MB")?);
            rounds.chunks.push(self.cpu(&proxy, &hr, &plan.chunks, plan.chunks.chunks).context("streams")?);
            rounds
                .latency
                .push(self.times(&proxy, &hr, &plan.latency, |seen| seen.whole).context("latency")?);
            rounds.first_token.push(
                self.times(&proxy, &hr, &plan.first_token, |seen| seen.first_byte).context("first token")?,
            );
            longest = longest.max(round_begin.elapsed());
        }
        rounds.resident_after = gauge::memory(hr.id())?.resident as f64 / 1024.0;
        Ok(rounds)
    }

    /// CPU microseconds for each of the parts that a request has.
    fn cpu(&self, proxy: &Server, hr: &Server, load: &Loop, parts: usize) -> Result<Pair> {
        let used = |server: &Server| -> Result<f64> {
            let before = gauge::cpu_time(server.id())?;
            self.send(server.address, load)?;
            let used = gauge::cpu_time(server.id())?.saturating_sub(before);
            Ok(used.as_secs_f64() * 1e6 / (load.total() * parts) as f64)
        };
        Ok(Pair { proxy: used(proxy)?, hr: used(hr)? })
    }

    fn times(&self, proxy: &Server, hr: &Server, load: &Loop, time: fn(&Seen) -> f64) -> Result<Trio> {
        Ok(Trio {
            direct: time(&self.send(self.upstream.address, load)?),
            proxy: time(&self.send(proxy.address, load)?),
            hr: time(&self.send(hr.address, load)?),
        })
    }
}

impl Rounds {
    fn rows(&self) -> Vec<Row> {
        let cpu = |name, pairs: &[Pair], target| {
            let ratios: Vec<f64> = pairs.iter().map(|pair| pair.hr / pair.proxy).collect();
            Row::ratio(
                name,
                median_of(pairs, |pair| pair.proxy),
                median_of(pairs, |pair| pair.hr),
                &ratios,
                target,
            )
        };
        let added = |name, trios: &[Trio], target| {
            let proxy = |trio: &Trio| trio.proxy - trio.direct;
            let hr = |trio: &Trio| trio.hr - trio.direct;
            let ratios: Vec<f64> = trios.iter().map(|trio| hr(trio) / proxy(trio)).collect();
            Row::ratio(name, median_of(trios, proxy), median_of(trios, hr), &ratios, target)
        };
        vec![
            cpu("CPU per small request", &self.small, 3.0),
            cpu("CPU per request of 100 KB", &self.medium, 1.8),
            cpu("CPU per request of 1 MB", &self.large, 1.5),
            cpu("CPU per streamed chunk", &self.chunks, 1.4),
            added("added latency, p50", &self.latency, 1.8),
            added("added time to first token, p50", &self.first_token, 1.8),
        ]
    }
}

fn median_of<T>(samples: &[T], value: impl Fn(&T) -> f64) -> f64 {
    median(&samples.iter().map(value).collect::<Vec<f64>>())
}
