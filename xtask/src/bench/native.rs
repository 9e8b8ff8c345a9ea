//! `cargo xtask bench native`: the family of tracepoints on this machine, by processor time, beside empty programs and bpftrace.
//!
//! Windows of a fixed number of operations of one load that never ends. Before each window a controller attaches what it is
//! measured beside, in the order A B, B A, …; each two are a pair. Whole runs with and without a tracer differ by a third here for
//! no reason, two windows of one run by a few parts in a thousand. The control, pairs of nothing and nothing, is in the same run.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::peer::Bpftrace;
use super::row::{HEAD, Pair, Row, Side};
use super::talk::Talker;
use crate::builds;
use crate::compare::median;
use crate::exec;
use crate::setup::bpf;

/// Rounds that a load makes at most; its limit.
const ROUNDS: &str = "100000";
/// Windows of each side between two starts of bpftrace: their median counts.
const WINDOWS_PER_START: u32 = 8;

/// How much to measure.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Pairs of windows of each row
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(6..=10_000))]
    pairs: u32,
    /// Starts of bpftrace
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(6..=1000))]
    starts: u32,
    /// Without bpftrace
    #[arg(long)]
    no_peers: bool,
    /// The figures as JSON
    #[arg(long)]
    json: bool,
}

/// A load, and how many operations of it take some 10 ms: an interrupt is little of that, and the machine hardly changes meanwhile.
struct Load {
    name: &'static str,
    ops: u32,
}

const LOADS: &[Load] = &[
    PP,
    Load {
        name: "getppid",
        ops: 100_000,
    },
];
const PP: Load = Load {
    name: "pp",
    ops: 8000,
};

/// What is compared on each load, and the ratio that is allowed.
struct Comparison {
    of: Side,
    to: Side,
    at_most: &'static [(&'static str, f64)],
}

const fn comparison(of: Side, to: Side, at_most: &'static [(&'static str, f64)]) -> Comparison {
    Comparison { of, to, at_most }
}

const COMPARISONS: &[Comparison] = &[
    comparison(Side::None, Side::None, &[]),
    comparison(Side::Floor, Side::None, &[]),
    comparison(Side::Ours, Side::None, &[("pp", 1.15)]),
    comparison(Side::Ours, Side::Floor, &[("getppid", 1.15)]),
];

/// What is compared where bpftrace starts and ends for each pair.
const BESIDE_PEER: &[(Side, Side)] = &[
    (Side::Runqlat, Side::None),
    (Side::Ours, Side::None),
    (Side::Ours, Side::Runqlat),
];

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    v: u32,
    kind: &'static str,
    kernel: String,
    bpftrace: Option<String>,
    rows: Vec<Row>,
}

/// Prints every row, and says whether the controls are 1 and the bars hold.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let toolchain = bpf::ensure()?;
    let programs = Programs {
        tool: builds::host(&toolchain, true)?,
        floor: builds::floor(&toolchain)?,
    };
    let bpftrace = if arguments.no_peers {
        None
    } else {
        Bpftrace::find()?
    };
    if bpftrace.is_none() {
        eprintln!("xtask: without bpftrace: it is not wanted, or not installed (Debian's package bpftrace)");
    }
    let mut report = Report {
        v: 1,
        kind: "bench_native",
        kernel: nix::sys::utsname::uname()?
            .release()
            .to_string_lossy()
            .into_owned(),
        bpftrace: bpftrace.as_ref().map(|peer| peer.version.clone()),
        rows: Vec::new(),
    };
    if !arguments.json {
        let peer = report.bpftrace.as_deref().unwrap_or("no bpftrace");
        println!("kernel {}, {peer}, family of tracepoints\n{HEAD}", report.kernel);
    }
    let mut add = |rows: Vec<Row>| {
        if !arguments.json {
            rows.iter().for_each(|row| println!("{}", row.text()));
        }
        report.rows.extend(rows);
    };
    for load in LOADS {
        add(windows(&programs, load, arguments.pairs)?);
    }
    if let Some(peer) = &bpftrace {
        add(starts(&programs, peer, arguments.starts)?);
    }
    if arguments.json {
        println!(
            "{}",
            serde_json::to_string(&report).context("the figures as JSON")?
        );
    }
    Ok(report.rows.iter().all(|row| row.fails.is_none()))
}

/// All comparisons on `load`, in turn. When the control is not 1, once more as many pairs.
fn windows(programs: &Programs, load: &'static Load, pairs: u32) -> Result<Vec<Row>> {
    let mut bench = Bench::start(programs, load)?;
    let mut taken: Vec<Vec<Pair>> = vec![Vec::new(); COMPARISONS.len()];
    for attempt in 1.. {
        for number in 0..pairs {
            for (comparison, taken) in COMPARISONS.iter().zip(&mut taken) {
                taken.push(bench.pair(comparison.of, comparison.to, number % 2 == 1)?);
            }
        }
        let rows = rows(load.name, &taken)?;
        let bad = |row: &Row| row.of == row.to && (row.fails.is_some() || row.control_is_off);
        if attempt == 2 || !rows.iter().any(bad) {
            return Ok(rows);
        }
        eprintln!(
            "xtask: {}: the control is not 1, once more as many pairs",
            load.name
        );
    }
    bail!("no attempt was made")
}

fn rows(load: &'static str, taken: &[Vec<Pair>]) -> Result<Vec<Row>> {
    let row = |(comparison, pairs): (&Comparison, &Vec<Pair>)| {
        let mut bars = comparison.at_most.iter();
        let at_most = bars.find_map(|(name, most)| (*name == load).then_some(*most));
        Row::new(load, comparison.of, comparison.to, pairs, at_most)
    };
    COMPARISONS.iter().zip(taken).map(row).collect()
}

/// Our programs and bpftrace by turns on `pp`. bpftrace is started and ended each time, so a turn is several windows.
fn starts(programs: &Programs, peer: &Bpftrace, starts: u32) -> Result<Vec<Row>> {
    let mut bench = Bench::start(programs, &PP)?;
    let mut taken: Vec<Vec<Pair>> = vec![Vec::new(); BESIDE_PEER.len()];
    for number in 0..starts {
        let mut sides = [Side::None, Side::Ours, Side::Runqlat];
        // Each is first, in the middle and last as often as the others.
        sides.rotate_left(number as usize % 3);
        let mut turns = Vec::new();
        for side in sides {
            turns.push((side, bench.turn(side, peer)?));
        }
        let of = |side| {
            turns
                .iter()
                .find_map(|(other, ns)| (*other == side).then_some(*ns))
        };
        for ((left, right), taken) in BESIDE_PEER.iter().zip(&mut taken) {
            let (of, to) = of(*left).zip(of(*right)).context("every side has its turn")?;
            taken.push(Pair { of, to });
        }
    }
    let rows = BESIDE_PEER.iter().zip(&taken);
    rows.map(|(&(of, to), pairs)| Row::new("pp/start", of, to, pairs, None))
        .collect()
}

/// What was built.
struct Programs {
    tool: PathBuf,
    floor: PathBuf,
}

/// A load that makes a window when it is told to, and the controller that attaches before.
struct Bench {
    load: Talker,
    switch: Talker,
    attached: Option<Side>,
}

/// The line of a round of `bench cost`.
#[derive(Deserialize)]
struct Round {
    ops: u64,
    cpu_ns: u64,
}

impl Bench {
    fn start(programs: &Programs, load: &Load) -> Result<Self> {
        let mut command = exec::as_root(&programs.tool, "make a load without other processes in its way")?;
        command.args([
            "bench",
            "cost",
            load.name,
            "--on-line",
            "--json",
            "--rounds",
            ROUNDS,
        ]);
        command.args(["--ops", &load.ops.to_string()]);
        let mut bench = Self {
            load: Talker::start(&mut command, "the load")?,
            switch: switch(&programs.tool, &programs.floor)?,
            attached: None,
        };
        bench.window(Side::None)?;
        Ok(bench)
    }

    /// Two windows, `of` first where `swapped`.
    fn pair(&mut self, of: Side, to: Side, swapped: bool) -> Result<Pair> {
        if swapped {
            let of = self.window(of)?;
            return Ok(Pair {
                of,
                to: self.window(to)?,
            });
        }
        let to = self.window(to)?;
        Ok(Pair {
            of: self.window(of)?,
            to,
        })
    }

    /// Processor time per operation in ns, with `side` attached.
    fn window(&mut self, side: Side) -> Result<f64> {
        if self.attached != Some(side) {
            self.switch.ask(side.name())?;
            self.attached = Some(side);
        }
        let line = self.load.ask("")?;
        let round: Round =
            serde_json::from_str(&line).with_context(|| format!("unreadable round: {line}"))?;
        if round.ops == 0 {
            bail!("a round of no operations");
        }
        Ok(round.cpu_ns as f64 / round.ops as f64)
    }

    /// The median of some windows, with `side` attached or running.
    fn turn(&mut self, side: Side, peer: &Bpftrace) -> Result<f64> {
        let running = (side == Side::Runqlat).then(|| peer.runqlat()).transpose()?;
        let ours = if running.is_some() { Side::None } else { side };
        let windows = (0..WINDOWS_PER_START).map(|_| self.window(ours));
        let mut windows = windows.collect::<Result<Vec<_>>>()?;
        windows.sort_unstable_by(f64::total_cmp);
        median(&windows).context("a turn of no windows")
    }
}

/// The controller, out of the way of the load, which takes the first CPU there is.
fn switch(tool: &Path, floor: &Path) -> Result<Talker> {
    let own = Pid::from_raw(0);
    let allowed = sched_getaffinity(own).context("cannot read the allowed CPUs")?;
    let last = (0..CpuSet::count()).rfind(|&cpu| allowed.is_set(cpu) == Ok(true));
    let mut away = CpuSet::new();
    away.set(last.context("no CPU is allowed")?)?;
    sched_setaffinity(own, &away).context("cannot leave the load's CPU")?;
    let mut command = exec::as_root(tool, "attach BPF programs")?;
    command
        .args(["__switch", "--probes", "tracepoint", "--object"])
        .arg(floor);
    let started = Talker::start(&mut command, "the controller");
    sched_setaffinity(own, &allowed).context("cannot take the CPUs back")?;
    started
}
