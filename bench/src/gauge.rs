//! What a process has used, read from `/proc`.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

/// The thread of `hr` that keeps what is learned. No request ever waits for its work.
const WRITER: &str = "store";

/// CPU time of a process.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime {
    /// Of the threads that serve.
    pub serving: Duration,
    /// Of the one that writes to the disk what is to be kept.
    pub keeping: Duration,
}

impl CpuTime {
    /// What was used since then.
    pub fn since(self, before: Self) -> Self {
        Self {
            serving: self.serving.saturating_sub(before.serving),
            keeping: self.keeping.saturating_sub(before.keeping),
        }
    }
}

/// CPU time of all threads that the process has now, to the nanosecond.
///
/// `/proc/PID/stat` would count ended threads too, but in ticks of 10 ms. The workers of both measured
/// programs live as long as the process.
pub fn cpu_time(process: u32) -> Result<CpuTime> {
    let tasks = format!("/proc/{process}/task");
    let mut used = CpuTime::default();
    for task in std::fs::read_dir(&tasks).with_context(|| format!("`{tasks}` cannot be read"))? {
        // A thread may end between the listing and the reading; its time is then no longer to be had.
        let task = task?.path();
        let Ok(text) = std::fs::read_to_string(task.join("schedstat")) else { continue };
        let on_cpu: u64 = text
            .split_whitespace()
            .next()
            .and_then(|field| field.parse().ok())
            .ok_or_else(|| anyhow!("`{tasks}` has a `schedstat` without a time"))?;
        let name = std::fs::read_to_string(task.join("comm")).unwrap_or_default();
        let part = if name.trim_end() == WRITER { &mut used.keeping } else { &mut used.serving };
        *part += Duration::from_nanos(on_cpu);
    }
    Ok(used)
}

/// Memory of a process, in KiB.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Memory {
    /// Resident.
    pub resident: u64,
    /// Resident, shared pages divided among those who share them.
    pub proportional: u64,
}

/// The memory of a process now.
pub fn memory(process: u32) -> Result<Memory> {
    let path = format!("/proc/{process}/smaps_rollup");
    let text = std::fs::read_to_string(&path).with_context(|| format!("`{path}` cannot be read"))?;
    let field =
        |name: &str| rollup_field(&text, name).ok_or_else(|| anyhow!("`{path}` does not say `{name}`"));
    Ok(Memory { resident: field("Rss:")?, proportional: field("Pss:")? })
}

fn rollup_field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse().ok())
}

/// The size of a file in bytes.
pub fn file_size(path: &Path) -> Result<u64> {
    let metadata = std::fs::metadata(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
    Ok(metadata.len())
}

/// The processor's name, once, as the kernel has it.
pub fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_rollup() {
        let text = "5561-7ffe ---p 00000000 00:00 0   [rollup]\nRss:       1776 kB\nPss:        333 kB\nPss_Dirty: 1 kB\n";
        assert_eq!(rollup_field(text, "Rss:"), Some(1776));
        assert_eq!(rollup_field(text, "Pss:"), Some(333));
        assert_eq!(rollup_field(text, "Swap:"), None);
    }
}
