//! The run itself: who is started, what is sent, what is read off before and after.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::course::{self, Course, Kind};
use crate::dialect::Dialect;
use crate::gauge::{self, Memory};
use crate::home::Home;
use crate::load::Seen;
use crate::pin::{self, Cores};
use crate::plan::{Loop, Plan, RUN_LIMIT, SETTLE};
use crate::planning;
use crate::process::{self, Server};
use crate::reading;
use crate::recording;
use crate::report::{Details, Machine, Report, Row, median};
use crate::store_start;

/// Files a process has open besides the two sockets of each stream, generously.
const OTHER_FILES: u64 = 200;

/// Measures `hr` at `binary` as `plan` says.
pub fn run(binary: &Path, plan: &Plan) -> Result<Report> {
    let begin = Instant::now();
    let cores = pin::cores()?;
    let upstream = process::start_part(cores.around, &["upstream"])?;
    let homes = Dialect::ALL.map(|dialect| Home::new(upstream.address, dialect));
    let [chat, anthropic, responses] = homes;
    let bench =
        Bench { binary, plan: fitting(plan), cores, upstream, homes: [chat?, anthropic?, responses?] };

    let starts = bench.cold_starts().context("cold start")?;
    let full_starts = bench.starts_with_full_store().context("start with a full store")?;
    let hr_memory = bench.memory(&bench.start_hr(Dialect::OpenaiChat)?).context("memory of hr")?;
    let proxy_memory = bench.memory(&bench.start_proxy()?).context("memory of the proxy")?;
    let rounds = bench.rounds(begin)?;

    let mut rows: Vec<Row> = rounds.courses.iter().map(Course::row).collect();
    rows.push(Row::absolute("Chat: CPU to keep a small request", "µs", None, median(&rounds.keeping), 20.0));
    rows.push(added("Chat: added latency, p50", &rounds.latency));
    rows.push(added("Chat: added time to first token, p50", &rounds.first_token));
    rows.push(Row::absolute("cold start", "ms", None, median(&starts), 12.0));
    rows.push(Row::absolute("start with a store of 100 MB", "ms", None, median(&full_starts), 300.0));
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
    rows.extend(planning::rows()?);
    rows.push(recording::row()?);
    rows.push(reading::row());
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
    /// One for each dialect of the upstream, as in [`Dialect::ALL`].
    homes: [Home; 3],
}

/// What one latency measurement gave, in microseconds.
struct Trio {
    direct: f64,
    proxy: f64,
    hr: f64,
}

/// CPU microseconds for one of many.
struct Each {
    serving: f64,
    keeping: f64,
}

struct Rounds {
    courses: Vec<Course>,
    /// What it took besides to keep a small request, in microseconds.
    keeping: Vec<f64>,
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
    fn home(&self, upstream: Dialect) -> &Home {
        &self.homes[upstream.index()]
    }

    fn start_hr(&self, upstream: Dialect) -> Result<Server> {
        Ok(process::start_hr(self.binary, self.home(upstream), Some(self.cores.measured))?.0)
    }

    fn start_proxy(&self) -> Result<Server> {
        process::start_part(self.cores.measured, &["proxy", "--to", &self.upstream.address.to_string()])
    }

    fn send(&self, to: SocketAddr, dialect: Dialect, load: &Loop) -> Result<Seen> {
        process::send_load(self.cores.around, to, dialect, load, || Ok(()))
    }

    /// Milliseconds from the start of the process to its first answer. The very first start, which makes what
    /// a new home lacks, is not counted.
    fn cold_starts(&self) -> Result<Vec<f64>> {
        self.starts(self.home(Dialect::OpenaiChat))
    }

    /// The same with a store in which much has been kept.
    fn starts_with_full_store(&self) -> Result<Vec<f64>> {
        let home = Home::new(self.upstream.address, Dialect::OpenaiChat)?;
        store_start::fill(home.path())?;
        self.starts(&home)
    }

    fn starts(&self, home: &Home) -> Result<Vec<f64>> {
        process::start_hr(self.binary, home, None)?;
        (0..self.plan.starts)
            .map(|_| {
                let (_server, time) = process::start_hr(self.binary, home, None)?;
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
        process::send_load(self.cores.around, server.address, Dialect::OpenaiChat, load, || {
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
        let [chat, anthropic, responses] = Dialect::ALL.map(|dialect| self.start_hr(dialect));
        let routers = [chat?, anthropic?, responses?];
        let mut rounds = Rounds {
            courses: course::all(),
            keeping: Vec::new(),
            latency: Vec::new(),
            first_token: Vec::new(),
            resident_after: 0.0,
        };
        self.warm_up(&proxy, &routers, &rounds.courses).context("warm-up")?;
        let mut longest = Duration::ZERO;
        for _ in 0..self.plan.rounds {
            if begin.elapsed() + longest > RUN_LIMIT {
                break;
            }
            let round_begin = Instant::now();
            self.round(&proxy, &routers, &mut rounds)?;
            longest = longest.max(round_begin.elapsed());
        }
        rounds.resident_after = gauge::memory(routers[0].id())?.resident as f64 / 1024.0;
        Ok(rounds)
    }

    /// Every way through the programs, once; the streams are short ones.
    fn warm_up(&self, proxy: &Server, routers: &[Server; 3], courses: &[Course]) -> Result<()> {
        for Course { kind, client, upstream, .. } in courses {
            let load = if *kind == Kind::Chunk { self.plan.first_token } else { kind.load(&self.plan) };
            self.send(proxy.address, *upstream, &load)?;
            self.send(routers[upstream.index()].address, *client, &load)?;
        }
        Ok(())
    }

    /// All measurements once. What the proxy used for a kind in a dialect is the yardstick for all that call
    /// that upstream with it, right afterwards.
    fn round(&self, proxy: &Server, routers: &[Server; 3], rounds: &mut Rounds) -> Result<()> {
        for upstream in Dialect::ALL {
            let router = &routers[upstream.index()];
            for kind in Kind::ALL {
                let used = self.cpu(proxy, upstream, kind).context("the proxy")?.serving;
                let courses = rounds.courses.iter_mut();
                for course in courses.filter(|course| course.upstream == upstream && course.kind == kind) {
                    let name = course.name();
                    let router = self.cpu(router, course.client, kind).context(name)?;
                    course.add(used, router.serving);
                    if (kind, upstream, course.client) == (Kind::Small, Dialect::OpenaiChat, upstream) {
                        rounds.keeping.push(router.keeping);
                    }
                }
            }
        }
        let plan = &self.plan;
        let [chat, ..] = routers;
        rounds.latency.push(self.times(proxy, chat, &plan.latency, |seen| seen.whole).context("latency")?);
        let first_token = self.times(proxy, chat, &plan.first_token, |seen| seen.first_byte);
        rounds.first_token.push(first_token.context("first token")?);
        Ok(())
    }

    /// CPU microseconds for each request, or for each chunk of a stream.
    fn cpu(&self, server: &Server, dialect: Dialect, kind: Kind) -> Result<Each> {
        let load = kind.load(&self.plan);
        let before = gauge::cpu_time(server.id())?;
        self.send(server.address, dialect, &load)?;
        let used = gauge::cpu_time(server.id())?.since(before);
        let each = |used: Duration| used.as_secs_f64() * 1e6 / (load.total() * load.chunks.max(1)) as f64;
        Ok(Each { serving: each(used.serving), keeping: each(used.keeping) })
    }

    fn times(&self, proxy: &Server, hr: &Server, load: &Loop, time: fn(&Seen) -> f64) -> Result<Trio> {
        let send =
            |to: SocketAddr| Ok::<_, anyhow::Error>(time(&self.send(to, Dialect::OpenaiChat, load)?));
        Ok(Trio { direct: send(self.upstream.address)?, proxy: send(proxy.address)?, hr: send(hr.address)? })
    }
}

/// What time comes on top of a call straight to the upstream.
fn added(name: &str, trios: &[Trio]) -> Row {
    let proxy = |trio: &Trio| trio.proxy - trio.direct;
    let hr = |trio: &Trio| trio.hr - trio.direct;
    let ratios: Vec<f64> = trios.iter().map(|trio| hr(trio) / proxy(trio)).collect();
    Row::ratio(name, median_of(trios, proxy), median_of(trios, hr), &ratios, 1.8)
}

fn median_of<T>(samples: &[T], value: impl Fn(&T) -> f64) -> f64 {
    median(&samples.iter().map(value).collect::<Vec<f64>>())
}
