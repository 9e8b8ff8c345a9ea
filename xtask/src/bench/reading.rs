//! What `cargo xtask test` asserts of the agent on this machine: a refresh of `top` with 10,000 epolls known, by the optimized
//! build that the VMs use anyway.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::unistd::geteuid;

use super::agent::{MANY, SETTLING, Tool};
use super::running::{Running, RunningLoad};
use crate::tally::Tally;

const TOP: Tool = Tool {
    name: "top",
    arguments: &["top", "--callback"],
    screen: true,
    most_mb: 96.0,
};
/// Processor time of a refresh at most.
const MOST_MS: f64 = 50.0;
/// With a refresh a second: one more or less matters little.
const WINDOW: Duration = Duration::from_secs(5);
/// Windows at most.
const WINDOWS: usize = 4;
/// A machine that others use for more than this part tells nothing of what we take: processors share caches and cores.
const BUSY: f64 = 0.1;

/// One window is enough for a good answer, and a bad one counts only while nothing else runs.
///
/// # Errors
/// When the load or the tool fails.
pub(crate) fn run(program: &Path) -> Result<Tally> {
    if let Some(why) = cannot(program)? {
        println!("skip: {why}");
        return Ok(Tally::skip());
    }
    let mut load = RunningLoad::start(program, MANY)?;
    let tool = Running::start(program, &TOP)?;
    load.begin()?;
    thread::sleep(SETTLING);
    for _ in 0..WINDOWS {
        let window = look(&tool, WINDOW)?;
        let memory = tool.memory_mb("VmRSS:")?;
        println!(
            "{} epolls of {} processes: a refresh of top takes {:.1} ms of a core, at most {MOST_MS}; resident {memory:.1} MB, \
             at most {}; others use {:.0} % of the machine",
            MANY.epolls(),
            MANY.processes(),
            window.refresh_ms,
            TOP.most_mb,
            window.others * 100.0
        );
        if memory >= TOP.most_mb {
            return Ok(Tally::of(false));
        }
        if let Some(good) = window.verdict() {
            return Ok(Tally::of(good));
        }
    }
    println!("skip: this machine is too busy to tell");
    Ok(Tally::skip())
}

/// Why nothing can be measured here.
fn cannot(program: &Path) -> Result<Option<String>> {
    if !geteuid().is_root() {
        return Ok(Some("tracing this machine takes root".to_owned()));
    }
    let probes = Command::new(program).arg("probes").output();
    let probes = probes.context("cannot start the tool")?;
    let said = String::from_utf8_lossy(&probes.stdout);
    let why = said.lines().last().unwrap_or("no probe works here").to_owned();
    Ok((!probes.status.success()).then_some(why))
}

/// What one window gave.
pub(super) struct Window {
    /// Processor time of a refresh.
    pub(super) refresh_ms: f64,
    /// Part of the machine that others used.
    pub(super) others: f64,
}

impl Window {
    /// Whether others may be to blame for what it took.
    pub(super) fn is_disturbed(&self) -> bool {
        self.others > BUSY
    }

    /// Nothing where others may be to blame.
    fn verdict(&self) -> Option<bool> {
        match (self.refresh_ms < MOST_MS, self.is_disturbed()) {
            (true, _) => Some(true),
            (false, false) => Some(false),
            (false, true) => None,
        }
    }
}

/// Looks at `tool` for so long.
///
/// # Errors
/// When it has ended.
pub(super) fn look(tool: &Running, time: Duration) -> Result<Window> {
    let (ours, (used, all), since) = (tool.spent()?, machine()?, Instant::now());
    thread::sleep(time);
    let (ours_then, (used_then, all_then)) = (tool.spent()?, machine()?);
    let core = ours_then.saturating_sub(ours).as_secs_f64() / since.elapsed().as_secs_f64();
    let cpus = thread::available_parallelism().context("how many CPUs there are")?;
    let used = used_then.saturating_sub(used) as f64 / all_then.saturating_sub(all).max(1) as f64;
    Ok(Window {
        // One a second.
        refresh_ms: core * 1e3,
        others: (used - core / cpus.get() as f64).max(0.0),
    })
}

/// Ticks that all processors spent with work, and in all: the first line of `/proc/stat`.
fn machine() -> Result<(u64, u64)> {
    let stat = fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
    ticks(&stat).context("/proc/stat has no times")
}

fn ticks(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    // user nice system idle iowait irq softirq steal; guest time is within user.
    let times: Vec<u64> = line
        .split_whitespace()
        .take(8)
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let all: u64 = times.iter().sum();
    let idle = times.get(3)? + times.get(4)?;
    Some((all - idle, all))
}

#[cfg(test)]
mod tests {
    use super::{Window, ticks};

    #[test]
    fn what_counts() {
        let window = |refresh_ms, others| Window { refresh_ms, others }.verdict();
        assert_eq!(window(49.9, 0.9), Some(true));
        assert_eq!(window(50.0, 0.05), Some(false));
        assert_eq!(window(50.0, 0.5), None);
    }

    #[test]
    fn first_line_of_stat() {
        let stat = "cpu  10 1 5 100 4 0 2 3 7 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(ticks(stat), Some((21, 125)));
        assert_eq!(ticks("intr 1"), None);
    }
}
