//! Known epoll loads that report what they did: `epoll-trace bench`. `bench` has those of perf, `cost` those of what tracing costs;
//! all else are scenarios.
//! In most scenarios no event is sent before the intended waiters sleep in epoll_wait, so what a tracer must count is known exactly.
//! The control plane is shared memory and `/proc`: it never uses epoll itself.

mod arena;
mod bench;
mod catalog;
mod cost;
mod cpus;
mod crew;
mod crowd;
mod demos;
mod expect;
mod files;
mod fleet;
mod greedy;
mod herd;
mod laws;
mod lifetime;
mod mistakes;
mod overflow;
mod partial;
mod quiet;
mod race;
mod report;
mod shared;
mod single;
mod source;
#[cfg(test)]
mod tests;
mod uring;
mod waiter;
mod witness;

use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::builder::PossibleValuesParser;
use serde::Serialize;

pub use bench::{CtlArgs, CtlReport, Stats, WaitArgs, WaitReport};
pub(crate) use bench::{ctl, wait};
pub use catalog::{CATALOG, Scenario, Waiters};
pub use cost::CostArgs;
pub(crate) use cost::run as cost;
pub use demos::{Act, DEMOS, Demo};
pub use expect::{Ctl, Expect, Reach};
pub use report::{Latency, Report, Waiter};

use catalog::Family;
use crew::Start;

/// Arguments of `bench scenario`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ScenarioArgs {
    /// Which scenario to run; --list shows what each does
    #[arg(required_unless_present = "list", hide_possible_values = true,
          value_parser = PossibleValuesParser::new(CATALOG.iter().map(|scenario| scenario.name)))]
    pub name: Option<String>,
    /// Events to send, or rounds to make [default: see --list]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub events: Option<u64>,
    /// Processes or threads that wait [default: see --list]
    #[arg(long, value_name = "K")]
    pub waiters: Option<usize>,
    /// Events a second, at most [default: each as soon as the one before is taken]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: Option<u32>,
    /// When all waiters sleep, say so on stderr and send the first event only after a line on stdin
    #[arg(long)]
    pub hold: bool,
    /// Report nothing
    #[arg(short, long, conflicts_with_all = ["json", "list"])]
    pub quiet: bool,
    /// Epolls of each process of `fleet`: for `cargo xtask bench agent`, and not what its laws say
    #[arg(long, value_name = "N", hide = true, default_value_t = fleet::EPOLLS_EACH)]
    pub epolls: usize,
    /// Milliseconds that the last wait of `et-single-accept` lasts, or the last pause of `et-short-read` and its like: for those who look at what
    /// it leaves
    #[arg(long, value_name = "MS", hide = true)]
    pub stay: Option<u32>,
    /// One JSON object instead of a table (with --list: one per line)
    #[arg(long)]
    pub json: bool,
    /// List the scenarios and end
    #[arg(long)]
    pub list: bool,
}

/// Runs the scenario of `args` and writes its report.
///
/// # Errors
/// An unknown name, a parameter the scenario does not take, a refusal of the kernel, no progress for 30 s, or a failed write.
pub fn run(args: &ScenarioArgs, out: &mut dyn Write) -> Result<()> {
    if args.list {
        return list(args.json, out);
    }
    let name = args
        .name
        .as_deref()
        .context("no scenario given: `bench scenario --list` shows all")?;
    let start = Start {
        on_line: args.hold,
        period: args.rate.map(|rate| Duration::from_secs(1) / rate),
    };
    let extra = Extra {
        epolls: args.epolls,
        stay_ms: args.stay,
    };
    let report = perform_from(start, name, args.events, args.waiters, extra)?;
    if args.quiet {
        return Ok(());
    }
    if args.json {
        serde_json::to_writer(&mut *out, &report).context("cannot write the report")?;
        writeln!(out).context("cannot write the report")
    } else {
        report.write_text(out).context("cannot write the report")
    }
}

/// Runs the scenario called `name`, with its defaults for what is not given.
///
/// # Errors
/// As [`run`], without the printing.
pub fn perform(name: &str, events: Option<u64>, waiters: Option<usize>) -> Result<Report> {
    perform_from(Start::default(), name, events, waiters, Extra::default())
}

/// What one scenario takes that others do not.
#[derive(Clone, Copy, Debug)]
struct Extra {
    /// Epolls of each process of `fleet`.
    epolls: usize,
    /// Length of the last wait of `et-single-accept`, or of the last pause of short reads.
    stay_ms: Option<u32>,
}

impl Default for Extra {
    fn default() -> Self {
        Self {
            epolls: fleet::EPOLLS_EACH,
            stay_ms: None,
        }
    }
}

fn perform_from(
    start: Start,
    name: &str,
    events: Option<u64>,
    waiters: Option<usize>,
    extra: Extra,
) -> Result<Report> {
    let scenario = Scenario::by_name(name)
        .with_context(|| format!("no scenario is called `{name}`: `bench scenario --list` shows all"))?;
    let events = events.unwrap_or(scenario.events).clamp(1, scenario.most_events);
    let waiters = match (waiters, scenario.waiters) {
        (None, None) => 1,
        (None, Some(allowed)) => allowed.default,
        (Some(count), Some(allowed)) if (1..=allowed.most).contains(&count) => count,
        (Some(count), Some(allowed)) => {
            bail!("{name} takes 1 to {} waiters, not {count}", allowed.most)
        }
        (Some(_), None) => bail!("{name} has a fixed number of waiters: leave --waiters out"),
    };
    if start.period.is_some() && !scenario.family.is_paced() {
        bail!("{name} sends no events of which each waits for the one before: leave --rate out");
    }
    if start.on_line && !scenario.family.waits_first() {
        bail!("{name} has no moment before its first event at which all waiters sleep: leave --hold out");
    }
    let (crew, known) = match scenario.family {
        Family::Single(kind, mode) => single::run(kind, mode, events, start),
        Family::Nested => single::run_nested(events, start),
        Family::Herd(kind, mode) => herd::run(kind, mode, waiters, events, start),
        Family::NestedHerd(kind, mode) => herd::run_nested(kind, mode, waiters, events, start),
        Family::IdleFirst => herd::run_idle_first(waiters, events, start),
        Family::ReusePort => herd::run_reuseport(waiters, events, start),
        Family::ReusePortSlow => herd::run_uneven(waiters, events, start),
        Family::Shared(host, kind, mode) => shared::run(host, kind, mode, waiters, events, start),
        Family::Timeouts => quiet::run_timeouts(events),
        Family::Slow => quiet::run_slow(events),
        Family::Greedy(appetite) => greedy::run(appetite, events),
        Family::Signals => quiet::run_signals(events),
        Family::Hidden => quiet::run_hidden(events),
        Family::Killed => lifetime::run_killed(events),
        Family::Reuse => lifetime::run_reuse(events),
        Family::Unread => mistakes::run_unread(events, start),
        Family::DupClose => mistakes::run_dup_close(events, start),
        Family::ShortRead(rest) => partial::run(rest, events, extra.stay_ms),
        Family::SingleAccept => mistakes::run_single_accept(events, extra.stay_ms),
        Family::Churn => mistakes::run_churn(events),
        Family::Overflow => overflow::run(events),
        Family::Uring => uring::run(events),
        Family::Race(racers) => race::run(racers, waiters, events, start),
        Family::Crowd => crowd::run(waiters, events, start),
        Family::Fleet => fleet::run(waiters, extra.epolls, events, start),
    }
    .with_context(|| format!("scenario {name}"))?;
    Report::new(scenario, &known, &crew)
}

/// One row of `--list --json`.
#[derive(Serialize)]
struct Listed {
    v: u32,
    kind: &'static str,
    name: &'static str,
    about: &'static str,
    events: u64,
    events_max: u64,
    waiters: Option<usize>,
    waiters_max: Option<usize>,
    laws: &'static [&'static str],
}

fn list(json: bool, out: &mut dyn Write) -> Result<()> {
    const FAILED: &str = "cannot write the list";
    if !json {
        writeln!(
            out,
            "{:<24}{:>6} {:>7}  WHAT IT DOES",
            "NAME", "EVENTS", "WAITERS"
        )
        .context(FAILED)?;
    }
    for scenario in CATALOG {
        let Scenario {
            name,
            about,
            events,
            most_events,
            waiters,
            laws,
            ..
        } = *scenario;
        if json {
            let listed = Listed {
                v: 1,
                kind: "scenario_info",
                name,
                about,
                events,
                events_max: most_events,
                waiters: waiters.map(|waiters| waiters.default),
                waiters_max: waiters.map(|waiters| waiters.most),
                laws,
            };
            serde_json::to_writer(&mut *out, &listed).context(FAILED)?;
            writeln!(out).context(FAILED)?;
        } else {
            let count = waiters.map_or_else(|| "-".to_owned(), |waiters| waiters.default.to_string());
            writeln!(out, "{name:<24}{events:>6} {count:>7}  {about}").context(FAILED)?;
        }
    }
    Ok(())
}
