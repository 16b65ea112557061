//! Where a process runs and how many sockets it may hold.

use std::ffi::OsString;

use anyhow::Result;

/// The two cores of a run.
#[derive(Clone, Copy, Debug)]
pub struct Cores {
    /// For what is measured, one process at a time.
    pub measured: usize,
    /// For upstream and load.
    pub around: usize,
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::unix::process::CommandExt as _;

    use anyhow::{Context as _, bail};
    use rustix::process::{Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit};
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    use super::{Cores, OsString, Result};

    /// The first two cores that this process may use.
    pub fn cores() -> Result<Cores> {
        let allowed = sched_getaffinity(None).context("the allowed cores cannot be read")?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        match (cores.next(), cores.next()) {
            (Some(measured), Some(around)) => Ok(Cores { measured, around }),
            _ => bail!("two cores are needed: one for what is measured, one for upstream and load"),
        }
    }

    /// Pins this process to `core`, allows it as many open files as it may have, has it end with the process
    /// that started it, and becomes `command`.
    pub fn become_pinned(core: usize, command: &[OsString]) -> Result<()> {
        let mut only = CpuSet::new();
        if core >= CpuSet::MAX_CPU {
            bail!("there is no core `{core}`");
        }
        only.set(core);
        sched_setaffinity(None, &only).with_context(|| format!("core `{core}` cannot be chosen"))?;
        let files = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files })
            .context("the limit of open files cannot be raised")?;
        set_parent_process_death_signal(Some(Signal::KILL))
            .context("the run cannot be followed to its end")?;
        let [program, arguments @ ..] = command else { bail!("no program was given") };
        let error = std::process::Command::new(program).args(arguments).exec();
        Err(error).with_context(|| format!("`{}` cannot be started", program.to_string_lossy()))
    }

    /// Open files that a pinned process may have.
    pub fn open_files() -> u64 {
        getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX)
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{Cores, OsString, Result};

    const UNKNOWN: &str = "the benchmarks pin processes and read `/proc`, which only Linux has";

    /// Not known here.
    pub fn cores() -> Result<Cores> {
        anyhow::bail!(UNKNOWN)
    }

    /// Not known here.
    pub fn become_pinned(_core: usize, _command: &[OsString]) -> Result<()> {
        anyhow::bail!(UNKNOWN)
    }

    /// Not known here.
    pub fn open_files() -> u64 {
        0
    }
}

#[cfg(not(target_os = "linux"))]
pub use elsewhere::{become_pinned, cores, open_files};
#[cfg(target_os = "linux")]
pub use linux::{become_pinned, cores, open_files};
