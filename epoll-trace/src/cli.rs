//! The command line: types, help text and which options exclude each other.
//! What an option means is written here once; commands only read the fields.

use std::ffi::OsString;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::fields::{Field, Needs};
use crate::model::group::GroupBy;
use crate::model::snapshot::Metric;
use crate::workload::{CostArgs, CtlArgs, ScenarioArgs, WaitArgs};

mod demo;
mod diagnose;
mod floor;
mod herd;
mod locks;
mod options;
mod top;
mod values;

pub use demo::DemoArgs;
pub use diagnose::{DiagnoseArgs, FailOn};
pub use floor::FloorArgs;
pub use herd::HerdArgs;
pub use locks::{LockSort, LocksArgs};
pub use options::{FilterArgs, Format, GroupArgs, OutputArgs, ScheduleArgs, TraceArgs, UnitArgs};
pub use top::TopArgs;
pub use values::Counters;
use values::{epoll_column_parser, field_parser, metric_parser};

const EXAMPLES: &str = "\
Examples:
  epoll-trace top                      which event loop wakes late, live
  epoll-trace hist 1 3                 three histograms of a second, per process
  epoll-trace hist -E -p 185           until Ctrl-C, per epoll of process 185
  epoll-trace hist --json -- ./server  a command from start to end, JSON Lines
  epoll-trace demo herd                a herd, and what ends it
  epoll-trace probes                   what this kernel lets us measure

Exit status: 0 clean, 1 error, 2 usage, 3 found (diagnose --fail-on);
with -- CMD also CMD's own failure.";

const HIST_EXAMPLES: &str = "\
Examples:
  epoll-trace hist                       per process until Ctrl-C
  epoll-trace hist -T 1                  a block each second, with the time
  epoll-trace hist -d 10 -E --counters   10 seconds, per epoll, with causes
  epoll-trace hist --metric wakeup,runqueue -p 185
  epoll-trace hist --json -o out.jsonl -- ./server --port 8080

Quoted times are upper edges of buckets: at most 6.25 % above the true one.";

const EPOLLS_EXAMPLES: &str = "\
Examples:
  epoll-trace epolls 1             a table each second
  epoll-trace epolls -d 10 -S items    what is watched most
  epoll-trace epolls -p 185 --json     every counter, JSON Lines
  epoll-trace epolls -- ./server       a command from start to end

ITEMS and FLAGS of epolls that were there before come from one read of their
fdinfo at the start, which holds up each one's epoll_ctl and epoll_wait for a
moment: 1 ms per 1000 items. --no-fdinfo leaves it out.";

const OVERHEAD_EXAMPLES: &str = "\
Examples:
  epoll-trace overhead 1 5               what `hist` costs, each second
  epoll-trace overhead --counters -d 10  with counters, over 10 seconds
  epoll-trace overhead -- ./server       while a command is traced";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "epoll-trace", version, about = "Which event loop wakes late, and where the time goes", after_help = EXAMPLES)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Parses the command line `args`, program name first.
    ///
    /// # Errors
    /// Help, version and every misuse, as clap words them.
    pub fn from_args(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let args: Vec<OsString> = args.into_iter().collect();
        let cli = Self::try_parse_from(&args)?;
        // To clap a `--` with nothing behind it is none at all: `hist` would trace everything until Ctrl-C.
        if cli.command.traced().is_some_and(<[OsString]>::is_empty)
            && args.last().is_some_and(|last| last == "--")
        {
            let kind = clap::error::ErrorKind::MissingRequiredArgument;
            let words = "no command after `--`: give the program to trace, as in `hist -- ./server`";
            return Err(Self::command().error(kind, words));
        }
        Ok(cli)
    }
}

/// Options of every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options of every command")]
pub struct GlobalArgs {
    /// Family of probes; a forced one fails with the reason where the kernel cannot
    #[arg(long, value_enum, default_value_t, global = true)]
    pub probes: ProbeFamily,
    /// Say more on stderr; twice for diagnostics of the probes
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// No character beyond ASCII
    #[arg(long, global = true)]
    pub ascii: bool,
    /// Colors on the screen; auto obeys NO_COLOR, and TERM and COLORTERM say how many
    #[arg(long, value_enum, default_value_t, global = true)]
    pub color: Color,
}

/// Which hooks to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProbeFamily {
    /// The cheapest that this kernel allows.
    #[default]
    Auto,
    /// fentry and fexit.
    Fentry,
    /// kprobes.
    Kprobe,
    /// Tracepoints.
    Tracepoint,
}

/// When to use colors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// Unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Whether to use colors, given the value of NO_COLOR: any but an empty one turns them off.
    pub fn enabled(self, no_color: Option<&std::ffi::OsStr>) -> bool {
        match self {
            Self::Auto => no_color.is_none_or(std::ffi::OsStr::is_empty),
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Live table of processes: who wakes late, how often, and where the time goes
    #[command(after_help = top::EXAMPLES)]
    Top(TopArgs),
    /// Histograms of wakeup latency per process, thread or epoll
    #[command(after_help = HIST_EXAMPLES)]
    Hist(HistArgs),
    /// One row per epoll: what it watches, who uses it, and how well that goes
    #[command(after_help = EPOLLS_EXAMPLES)]
    Epolls(EpollsArgs),
    /// Shared files and listeners: whom an event wakes, for nothing or not, and who gets the work
    #[command(after_help = herd::EXAMPLES)]
    Herd(HerdArgs),
    /// Who waits for the locks of epolls: ep->lock, ep->mtx, and those of watched files
    #[command(after_help = locks::EXAMPLES)]
    Locks(LocksArgs),
    /// What is wrong: a herd, a hot worker, a blocked loop, ..., with the remedy and its price
    #[command(after_help = diagnose::EXAMPLES)]
    Diagnose(DiagnoseArgs),
    /// What this tool costs right now: its programs, maps and itself
    #[command(after_help = OVERHEAD_EXAMPLES)]
    Overhead(OverheadArgs),
    /// What can be measured on this kernel, by which probes, and why not
    Probes(ProbesArgs),
    /// Known epoll loads that report what they did
    Bench(BenchArgs),
    /// A trouble and its cure, side by side: a good first look
    #[command(after_help = demo::EXAMPLES)]
    Demo(DemoArgs),
    /// Prints the manual of every number.
    #[command(name = crate::commands::metrics::MANUAL, hide = true)]
    Metrics,
    /// Prints the keys of `top`.
    #[command(name = crate::commands::top::KEYS, hide = true)]
    Keys,
    /// Prints the manual of diagnoses.
    #[command(name = crate::commands::diagnose::MANUAL, hide = true)]
    Diagnoses,
    /// Waits for its parent's word, then becomes CMD.
    #[command(name = crate::commands::child::GATE, hide = true)]
    ExecGate(GateArgs),
    /// Attaches empty programs in place of ours until SIGINT or SIGTERM.
    #[command(name = crate::commands::floor::FLOOR, hide = true)]
    Floor(FloorArgs),
    /// Attaches ours, empty programs or nothing, as stdin says.
    #[command(name = crate::commands::switch::SWITCH, hide = true)]
    Switch(FloorArgs),
}

impl Command {
    /// The command to trace, empty where none was given; `None` where none can be.
    fn traced(&self) -> Option<&[OsString]> {
        match self {
            Self::Top(args) => Some(&args.command),
            Self::Hist(args) => Some(&args.trace.command),
            Self::Epolls(args) => Some(&args.trace.command),
            Self::Herd(args) => Some(&args.trace.command),
            Self::Locks(args) => Some(&args.trace.command),
            Self::Diagnose(args) => Some(&args.trace().command),
            Self::Overhead(args) => Some(&args.trace.command),
            Self::Probes(_) | Self::Bench(_) | Self::Demo(_) => None,
            Self::Metrics
            | Self::Keys
            | Self::Diagnoses
            | Self::ExecGate(_)
            | Self::Floor(_)
            | Self::Switch(_) => None,
        }
    }
}

/// Arguments of `hist`.
#[derive(Args, Clone, Debug)]
pub struct HistArgs {
    /// The run.
    #[command(flatten)]
    pub trace: TraceArgs,
    /// One block per what.
    #[command(flatten)]
    pub group: GroupArgs,
    /// Which times, as a comma list
    #[arg(long = "metric", value_name = "METRIC", value_delimiter = ',', default_value = "wakeup", value_parser = metric_parser())]
    pub metrics: Vec<Metric>,
    /// Also count: waits and wakeups, or with =all, which costs more, notifications, causes, calls of epoll_ctl [default: all]
    #[arg(long, value_name = "WHICH", num_args = 0..=1, require_equals = true, default_missing_value = "all")]
    pub counters: Option<Counters>,
    /// Also say who wakes: threads, softirqs, interrupts, timers (text and JSON)
    #[arg(long)]
    pub wakers: bool,
    /// Sort by this field; a name that does not exist lists them all
    #[arg(short = 'S', long, value_name = "KEY", default_value = "p99", value_parser = field_parser(), hide_possible_values = true)]
    pub sort: &'static Field,
}

impl HistArgs {
    /// Whether the source must keep rows by thread.
    pub fn needs_threads(&self) -> bool {
        self.group.by() == GroupBy::Thread || self.trace.filter.needs_threads()
    }

    /// Whether counters are shown.
    pub fn shows_counters(&self) -> bool {
        self.counters.is_some() || !self.trace.command.is_empty()
    }

    /// What the source must count, besides measuring times: to show it, or to sort by it.
    pub fn needed_counters(&self) -> Option<Counters> {
        let for_more = !self.trace.command.is_empty() || self.sort.needs == Needs::Counters;
        self.counters.or_else(|| for_more.then_some(Counters::All))
    }

    /// Histograms that the source must keep: those that are shown, and those that are sorted by.
    pub fn needed_metrics(&self) -> Vec<Metric> {
        let mut metrics = self.metrics.clone();
        if let Needs::Metrics(sorted_by) = self.sort.needs {
            metrics.extend(sorted_by);
        }
        metrics.sort_unstable();
        metrics.dedup();
        metrics
    }
}

/// Arguments of `epolls`.
#[derive(Args, Clone, Debug)]
pub struct EpollsArgs {
    /// The run.
    #[command(flatten)]
    pub trace: TraceArgs,
    /// Sort by this column
    #[arg(short = 'S', long, value_name = "KEY", default_value = "waits_per_s", value_parser = epoll_column_parser())]
    pub sort: &'static Field,
}

impl EpollsArgs {
    /// Histograms that the table rests on.
    pub const METRICS: &[Metric] = &[Metric::Wakeup, Metric::Queue];
}

/// Arguments of `overhead`.
#[derive(Args, Clone, Debug)]
pub struct OverheadArgs {
    /// The run.
    #[command(flatten)]
    pub trace: TraceArgs,
    /// The cost of these times, as a comma list
    #[arg(long = "metric", value_name = "METRIC", value_delimiter = ',', default_value = "wakeup", value_parser = metric_parser())]
    pub metrics: Vec<Metric>,
    /// The cost of counters too, as `hist --counters` has them; =waits are those of `top` [default: all]
    #[arg(long, value_name = "WHICH", num_args = 0..=1, require_equals = true, default_missing_value = "all")]
    pub counters: Option<Counters>,
}

/// Arguments of `probes`.
#[derive(Args, Clone, Debug)]
pub struct ProbesArgs {
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `bench`.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// Which kind.
    #[command(subcommand)]
    pub kind: BenchKind,
}

/// Kinds of `bench`.
#[derive(Clone, Debug, Subcommand)]
pub enum BenchKind {
    /// Run one known load
    Scenario(ScenarioArgs),
    /// What `perf bench epoll wait` does: epoll_wait as fast as it goes, under one writer
    Wait(WaitArgs),
    /// What `perf bench epoll ctl` does: ADD, MOD and DEL as fast as they go
    Ctl(CtlArgs),
    /// Fixed work on one CPU, by a clock of its own: what a tracer costs it
    Cost(CostArgs),
}

/// Arguments of the hidden gate before a traced command.
#[derive(Args, Clone, Debug)]
pub struct GateArgs {
    /// Descriptor of the gate
    pub fd: i32,
    /// What to become
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

#[cfg(test)]
mod tests;
