//! `cargo xtask bench agent`: what the agent itself takes on this machine, beside few and many processes and epolls.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::unistd::geteuid;
use serde::Serialize;

use super::reading::{self, Window};
use super::running::{Running, RunningLoad};
use crate::builds;
use crate::setup::bpf;

/// Looks at one row at most.
const WINDOWS: u32 = 4;
/// After the load begins, until rows are known and memory is what it stays.
pub(super) const SETTLING: Duration = Duration::from_secs(3);

/// How long to look.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Seconds of each row, with a refresh in each
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(2..=600))]
    seconds: u32,
    /// The figures as JSON
    #[arg(long)]
    json: bool,
}

/// What is measured.
pub(super) struct Tool {
    /// Its command.
    pub(super) name: &'static str,
    /// What follows the program's name.
    pub(super) arguments: &'static [&'static str],
    /// On a terminal.
    pub(super) screen: bool,
    /// Resident memory at most, MB, with 1,000 processes.
    pub(super) most_mb: f64,
}

const TOOLS: &[Tool] = &[
    Tool {
        name: "hist",
        arguments: &["hist", "--json", "1"],
        screen: false,
        most_mb: 20.0,
    },
    Tool {
        name: "top",
        arguments: &["top"],
        screen: true,
        most_mb: 64.0,
    },
];

/// What it watches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Load {
    /// Processes with so many epolls each, all of which have delivered.
    Fleet {
        /// How many processes.
        processes: u32,
        /// Epolls of each, 10 at most.
        each: u32,
    },
    /// Two threads that wake each other as fast as they can.
    PingPong,
}

/// A thousand processes with ten epolls each.
pub(super) const MANY: Load = fleet(1000, 10);
const LOADS: &[Load] = &[fleet(10, 1), fleet(1000, 1), MANY, Load::PingPong];
/// Bars that do not hold yet, and what they are of.
const NOT_YET: &[(&str, Load, Bar)] = &[("hist", MANY, Bar::Memory)];

const fn fleet(processes: u32, each: u32) -> Load {
    Load::Fleet { processes, each }
}

impl Load {
    /// How many epolls it has.
    pub(super) const fn epolls(self) -> u32 {
        match self {
            Self::Fleet { processes, each } => processes * each,
            Self::PingPong => 2,
        }
    }

    /// How many processes it has.
    pub(super) const fn processes(self) -> u32 {
        match self {
            Self::Fleet { processes, .. } => processes,
            Self::PingPong => 1,
        }
    }
}

/// What is held to a bar.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bar {
    Memory,
    Core,
}
/// Part of a core at most, with one refresh a second.
const MOST_CORE: f64 = 0.01;

/// One row of the result.
#[derive(Debug, Serialize)]
struct Row {
    tool: &'static str,
    load: &'static str,
    processes: u32,
    epolls: u32,
    /// From the start of the process to its first output, after which everything is attached.
    first_output_ms: f64,
    /// Resident at the end.
    rss_mb: f64,
    /// Of that what is its own: the rest is its program file, and the maps that it shares with the kernel.
    anon_mb: f64,
    /// The highest that it was.
    peak_mb: f64,
    /// Processor time of one refresh.
    refresh_ms: f64,
    /// Part of a core, in per cent.
    core_percent: f64,
    /// Part of the machine that others used meanwhile, in per cent.
    others_percent: f64,
    /// Bars that do not hold and should.
    fails: Vec<String>,
    /// Bars that are known not to hold.
    not_yet: Vec<String>,
}

/// Prints every row, and says whether the bars hold.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    if !geteuid().is_root() {
        bail!("root is needed to trace and to read what the tool takes: run the same command as root");
    }
    let program = builds::host(&bpf::ensure()?, true)?;
    let mut rows = Vec::new();
    for load in LOADS {
        for tool in TOOLS {
            rows.push(measure(&program, tool, *load, arguments.seconds)?);
        }
    }
    if arguments.json {
        println!("{}", serde_json::to_string(&rows).context("the figures as JSON")?);
    } else {
        println!("{HEAD}");
        rows.iter().for_each(|row| println!("{}", row.text()));
    }
    Ok(rows.iter().all(|row| row.fails.is_empty()))
}

const HEAD: &str =
    "TOOL  LOAD   PROCESSES  EPOLLS  FIRST ms  RSS MB  OWN MB  PEAK MB  REFRESH ms  CORE %  OTHERS %  BARS";

impl Row {
    fn text(&self) -> String {
        let told = |word: &str, bars: &[String]| match bars {
            [] => String::new(),
            bars => format!("{word} {}", bars.join(", ")),
        };
        let verdicts = [told("FAIL", &self.fails), told("not yet", &self.not_yet)];
        let verdicts: Vec<String> = verdicts.into_iter().filter(|told| !told.is_empty()).collect();
        let verdict = match verdicts.as_slice() {
            [] => "kept".to_owned(),
            verdicts => verdicts.join("; "),
        };
        format!(
            "{:<5} {:<6} {:>9} {:>7} {:>9.0} {:>7.1} {:>7.1} {:>8.1} {:>11.2} {:>7.2} {:>9.0}  {verdict}",
            self.tool,
            self.load,
            self.processes,
            self.epolls,
            self.first_output_ms,
            self.rss_mb,
            self.anon_mb,
            self.peak_mb,
            self.refresh_ms,
            self.core_percent,
            self.others_percent
        )
    }
}

/// The bars that figures of a tool beside a load break: those that should hold, and those that are known not to.
fn broken(tool: &Tool, load: Load, rss_mb: f64, core: f64) -> (Vec<String>, Vec<String>) {
    let mut broken = Vec::new();
    if rss_mb > tool.most_mb {
        broken.push((Bar::Memory, format!("at most {} MB", tool.most_mb)));
    }
    if core > MOST_CORE {
        broken.push((Bar::Core, format!("at most {} % of a core", MOST_CORE * 100.0)));
    }
    let (not_yet, fails): (Vec<_>, Vec<_>) = broken
        .into_iter()
        .partition(|(bar, _)| NOT_YET.contains(&(tool.name, load, *bar)));
    let words = |bars: Vec<(Bar, String)>| bars.into_iter().map(|(_, words)| words).collect();
    (words(fails), words(not_yet))
}

/// Looks at it for up to [`WINDOWS`] windows: others on the machine make a refresh dearer, never cheaper, so the least counts.
fn look(running: &Running, seconds: u32) -> Result<Window> {
    let mut least = reading::look(running, Duration::from_secs(seconds.into()))?;
    for _ in 1..WINDOWS {
        if least.refresh_ms <= MOST_CORE * 1e3 || !least.is_disturbed() {
            break;
        }
        let next = reading::look(running, Duration::from_secs(seconds.into()))?;
        if next.refresh_ms < least.refresh_ms {
            least = next;
        }
    }
    Ok(least)
}

fn measure(program: &Path, tool: &Tool, load: Load, seconds: u32) -> Result<Row> {
    let mut running_load = RunningLoad::start(program, load)?;
    let started = Instant::now();
    let running = Running::start(program, tool)?;
    let first_output_ms = started.elapsed().as_secs_f64() * 1e3;
    running_load.begin()?;
    thread::sleep(SETTLING);
    let window = look(&running, seconds)?;
    let rss_mb = running.memory_mb("VmRSS:")?;
    // A load that never rests is no other's.
    let others = if load == Load::PingPong {
        0.0
    } else {
        window.others
    };
    let (fails, not_yet) = broken(tool, load, rss_mb, window.refresh_ms / 1e3);
    Ok(Row {
        tool: tool.name,
        load: if load == Load::PingPong { "pp" } else { "fleet" },
        processes: load.processes(),
        epolls: load.epolls(),
        first_output_ms,
        rss_mb,
        anon_mb: running.memory_mb("RssAnon:")?,
        peak_mb: running.memory_mb("VmHWM:")?,
        refresh_ms: window.refresh_ms,
        core_percent: window.refresh_ms / 10.0,
        others_percent: others * 100.0,
        fails,
        not_yet,
    })
}

#[cfg(test)]
mod tests {
    use super::{LOADS, MANY, TOOLS, broken};

    #[test]
    fn bars() {
        let (hist, few) = (&TOOLS[0], LOADS[0]);
        assert_eq!(broken(hist, few, 20.0, 0.01), (vec![], vec![]));
        let [memory, core] = ["at most 20 MB", "at most 1 % of a core"].map(str::to_owned);
        assert_eq!(
            broken(hist, few, 20.1, 0.011),
            (vec![memory.clone(), core.clone()], vec![])
        );
        assert_eq!(broken(hist, MANY, 20.1, 0.011), (vec![core], vec![memory]));
    }
}
