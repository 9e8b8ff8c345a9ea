//! `bench cost`: fixed numbers of operations on one CPU, for who measures what a tracer costs them.
//! In a VM whose clock counts instructions the times are instructions, else they are times.

mod catalog;
mod stage;
#[cfg(test)]
mod tests;
mod threads;
mod turns;

use std::io::{BufRead, Write};

use anyhow::{Context as _, Result, bail};
use clap::builder::PossibleValuesParser;
use serde::Serialize;

use catalog::{Load, WORKLOADS, Wakeups, Workload};
use stage::Cast;
use threads::{Crew, PATIENCE};
use turns::Tally;

/// Operations before each window, so that a tracer knows the threads and caches are warm. Few: they are made in each round.
const WARM_UP: u64 = 200;

const FAILED: &str = "cannot write the report";

/// Arguments of `bench cost`.
#[derive(Clone, Debug, clap::Args)]
pub struct CostArgs {
    /// Which workload to run; --list shows what one operation of each is
    #[arg(required_unless_present = "list", hide_possible_values = true,
          value_parser = PossibleValuesParser::new(WORKLOADS.iter().map(|workload| workload.name)))]
    pub workload: Option<String>,
    /// Operations of a round, after 200 that are not measured; an odd number is one more where two threads share them
    /// [default: see --list]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub ops: Option<u64>,
    /// Rounds, each with a line of its own
    #[arg(long, value_name = "R", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub rounds: u32,
    /// Begin each round after a line on stdin; its end ends the run
    #[arg(long)]
    pub on_line: bool,
    /// A JSON object per line instead of text
    #[arg(long)]
    pub json: bool,
    /// List the workloads and end
    #[arg(long)]
    pub list: bool,
}

/// One round of a report.
#[derive(Clone, Debug, Serialize)]
struct Round {
    v: u32,
    kind: &'static str,
    workload: &'static str,
    pid: u32,
    round: u32,
    ops: u64,
    wall_ns: u64,
    cpu_ns: u64,
    /// Of the whole run so far. The outer level: whether the workload can tell at all; the inner: whether this run could.
    #[serde(skip_serializing_if = "Option::is_none")]
    wakeups: Option<Option<u64>>,
}

impl Round {
    fn write(&self, json: bool, out: &mut dyn Write) -> Result<()> {
        if json {
            serde_json::to_writer(&mut *out, self).context(FAILED)?;
            writeln!(out)
        } else {
            let each = |ns: u64| ns as f64 / self.ops as f64;
            writeln!(
                out,
                "{}  {} ops  {:.1} ns/op wall  {:.1} ns/op CPU",
                self.workload,
                self.ops,
                each(self.wall_ns),
                each(self.cpu_ns)
            )
        }
        .and_then(|()| out.flush())
        .context(FAILED)
    }
}

/// Runs the workload of `args` and writes a line per round, which `input` starts with `--on-line`.
///
/// # Errors
/// A refusal of the kernel, no progress for 10 s, or a failed read or write.
pub(crate) fn run(args: &CostArgs, input: &mut dyn BufRead, out: &mut dyn Write) -> Result<()> {
    if args.list {
        return list(args.json, out);
    }
    let name = args
        .workload
        .as_deref()
        .context("no workload given: `bench cost --list` shows all")?;
    let workload = Workload::by_name(name)
        .with_context(|| format!("no workload is called `{name}`: `bench cost --list` shows all"))?;
    let mut line = String::new();
    let mut begin = || {
        line.clear();
        match args.on_line {
            true => input.read_line(&mut line).map(|length| length > 0),
            false => Ok(true),
        }
        .context("cannot read the line that starts a round")
    };
    perform(workload, args.ops, args.rounds, &mut begin, &mut |round| {
        round.write(args.json, out)
    })
    .with_context(|| format!("workload {name}"))
    .map(drop)
}

/// What the threads did in all: the leader first.
type Tallies = Vec<Tally>;

/// Runs `rounds` rounds, each once `begin` says so, and gives each to `each`.
fn perform(
    workload: &'static Workload,
    ops: Option<u64>,
    rounds: u32,
    begin: &mut dyn FnMut() -> Result<bool>,
    each: &mut dyn FnMut(&Round) -> Result<()>,
) -> Result<Tallies> {
    let per_turn = workload.ops_per_turn();
    let turns = ops.unwrap_or(workload.ops).div_ceil(per_turn);
    let warm_up = WARM_UP / per_turn;
    let mut crew = Crew::new(Cast::new(workload.load)?, PATIENCE)?;
    let mut wakeups = match workload.wakeups {
        Wakeups::Open => None,
        Wakeups::Never | Wakeups::Each => Some(Some(0)),
    };
    let mut leader = Tally::default();
    let mut made = 0;
    for round in 1..=rounds {
        if !begin()? {
            break;
        }
        let (measured, slept) = crew.round(warm_up, turns)?;
        made += warm_up + turns;
        leader = leader.plus(measured.tally);
        if workload.wakeups == Wakeups::Each {
            // A thread that was pushed off the CPU before its wait finds its event there: one wakeup less.
            let known = wakeups.flatten().filter(|_| slept);
            wakeups = Some(known.map(|before| before + (warm_up + turns) * per_turn));
        }
        each(&Round {
            v: 1,
            kind: "cost",
            workload: workload.name,
            pid: std::process::id(),
            round,
            ops: turns * per_turn,
            wall_ns: measured.wall_ns,
            cpu_ns: measured.cpu_ns,
            wakeups,
        })?;
    }
    let mut tallies = vec![leader];
    tallies.extend(crew.end()?);
    check(workload.load, made, &tallies)?;
    Ok(tallies)
}

/// Holds what the threads took against the turns made.
fn check(load: Load, turns: u64, tallies: &[Tally]) -> Result<()> {
    let all = tallies
        .iter()
        .fold(Tally::default(), |sum, &tally| sum.plus(tally));
    let (delivered, taken) = match load {
        Load::PingPong => (all.delivered == 2 * turns, 2 * turns),
        Load::Ready => (all.delivered == turns, turns),
        Load::Waiters(_) => (all.delivered >= turns, turns),
        Load::Futex => (all.delivered == 2 * turns, 0),
        Load::Getppid => (all.delivered == 0, 0),
    };
    if !delivered || all.taken != taken {
        bail!(
            "{turns} turns, but {all:?} by the threads: this is a bug of epoll-trace or of the kernel, please report it"
        );
    }
    Ok(())
}

/// One row of `--list --json`.
#[derive(Serialize)]
struct Listed {
    v: u32,
    kind: &'static str,
    name: &'static str,
    about: &'static str,
    ops: u64,
}

fn list(json: bool, out: &mut dyn Write) -> Result<()> {
    const FAILED: &str = "cannot write the list";
    if !json {
        writeln!(out, "{:<11}{:>6}  WHAT ONE OPERATION IS", "NAME", "OPS").context(FAILED)?;
    }
    for &Workload { name, about, ops, .. } in WORKLOADS {
        if json {
            let listed = Listed {
                v: 1,
                kind: "cost_info",
                name,
                about,
                ops,
            };
            serde_json::to_writer(&mut *out, &listed).context(FAILED)?;
            writeln!(out).context(FAILED)?;
        } else {
            writeln!(out, "{name:<11}{ops:>6}  {about}").context(FAILED)?;
        }
    }
    Ok(())
}
