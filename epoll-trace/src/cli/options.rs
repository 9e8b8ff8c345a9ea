//! Options that several commands have.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use regex::Regex;

use super::values::seconds;
use crate::model::filter::Filter;
use crate::model::group::GroupBy;
use crate::view::units::TimeUnit;

/// Arguments of every command that prints blocks of a traced run.
#[derive(Args, Clone, Debug)]
pub struct TraceArgs {
    /// Which waiters.
    #[command(flatten)]
    pub filter: FilterArgs,
    /// When blocks are printed and when it ends.
    #[command(flatten)]
    pub schedule: ScheduleArgs,
    /// Unit of times.
    #[command(flatten)]
    pub unit: UnitArgs,
    /// Where and how to write.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Only the first N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub top: Option<u32>,
    /// Start each block with the time of day
    #[arg(short = 'T', long)]
    pub timestamp: bool,
    /// Read no /proc/PID/fdinfo at the start: what epolls of before watch stays unknown
    #[arg(long)]
    pub no_fdinfo: bool,
    /// Trace this command and its children from start to end, with counters
    #[arg(last = true, value_name = "CMD", conflicts_with_all = ["pid", "tid", "cgroup", "interval", "count", "every", "blocks", "duration"])]
    pub command: Vec<OsString>,
}

impl TraceArgs {
    /// How many lines, or sections, a block has at most.
    pub fn most(&self) -> usize {
        self.top.map_or(usize::MAX, |top| top as usize)
    }
}

/// Which waiters; all conditions must hold.
#[derive(Args, Clone, Debug, Default)]
pub struct FilterArgs {
    /// Only these processes, as a comma list
    #[arg(short, long, value_delimiter = ',', value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: Vec<u32>,
    /// Only these threads, as a comma list
    #[arg(short, long, value_delimiter = ',', value_name = "TID", value_parser = clap::value_parser!(u32).range(1..))]
    pub tid: Vec<u32>,
    /// Only processes or threads whose name matches
    #[arg(long, value_name = "REGEX", value_parser = Regex::new)]
    pub comm: Option<Regex>,
    /// Only processes in this cgroup (v2) or below it, as in /proc/PID/cgroup
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<PathBuf>,
    /// Only epolls with this descriptor number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(0..))]
    pub epfd: Option<i32>,
}

impl FilterArgs {
    /// Whether the source must keep rows by thread.
    pub fn needs_threads(&self) -> bool {
        !self.tid.is_empty()
    }

    /// The model's filter.
    pub fn filter(&self) -> Filter {
        Filter {
            pids: self.pid.clone(),
            tids: self.tid.clone(),
            comm: self.comm.clone(),
            epfd: self.epfd,
        }
    }
}

/// When blocks are printed and when it ends; Ctrl-C always ends with what was counted so far.
#[derive(Args, Clone, Debug, Default)]
pub struct ScheduleArgs {
    /// Seconds between two blocks [default: one block at the end]
    #[arg(value_name = "INTERVAL", value_parser = seconds, conflicts_with = "every")]
    interval: Option<Duration>,
    /// Blocks before it ends
    #[arg(value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "blocks")]
    count: Option<u64>,
    /// The same as INTERVAL
    #[arg(short = 'i', long = "interval", id = "every", value_name = "SECS", value_parser = seconds)]
    every: Option<Duration>,
    /// The same as COUNT
    #[arg(short = 'n', long = "count", id = "blocks", value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    blocks: Option<u64>,
    /// End after so many seconds
    #[arg(short, long, value_name = "SECS", value_parser = seconds)]
    pub duration: Option<Duration>,
}

impl ScheduleArgs {
    /// Time between two blocks; with a count alone a second.
    pub fn interval(&self) -> Option<Duration> {
        self.interval
            .or(self.every)
            .or(self.count().map(|_| Duration::from_secs(1)))
    }

    /// Blocks before it ends.
    pub fn count(&self) -> Option<u64> {
        self.count.or(self.blocks)
    }
}

/// One block per what.
#[derive(Args, Clone, Copy, Debug, Default)]
#[group(multiple = false)]
pub struct GroupArgs {
    /// One block per process (the default)
    #[arg(short = 'P', long)]
    processes: bool,
    /// One block per thread
    #[arg(short = 'L', long)]
    threads: bool,
    /// One block per epoll
    #[arg(short = 'E', long)]
    epolls: bool,
}

impl GroupArgs {
    /// What one block stands for.
    pub fn by(self) -> GroupBy {
        match (self.threads, self.epolls) {
            (true, _) => GroupBy::Thread,
            (_, true) => GroupBy::Epoll,
            _ => GroupBy::Process,
        }
    }
}

/// Unit of times in text.
#[derive(Args, Clone, Copy, Debug, Default)]
#[group(multiple = false)]
pub struct UnitArgs {
    /// Times in milliseconds
    #[arg(short = 'm', long)]
    milliseconds: bool,
    /// Times in microseconds (the default)
    #[arg(short = 'u', long)]
    microseconds: bool,
    /// Times in nanoseconds
    #[arg(short = 'N', long)]
    nanoseconds: bool,
}

impl UnitArgs {
    /// The unit, if one is asked for.
    pub fn chosen(self) -> Option<TimeUnit> {
        (self.milliseconds || self.microseconds || self.nanoseconds).then(|| self.unit())
    }

    /// The unit.
    pub fn unit(self) -> TimeUnit {
        match (self.milliseconds, self.nanoseconds) {
            (true, _) => TimeUnit::Millis,
            (_, true) => TimeUnit::Nanos,
            _ => TimeUnit::Micros,
        }
    }
}

/// Where and how to write.
#[derive(Args, Clone, Debug, Default)]
pub struct OutputArgs {
    /// Write to this file instead of stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// How to write
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The same as --format json: JSON Lines
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl OutputArgs {
    /// How to write.
    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

/// How to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// JSON Lines.
    Json,
    /// One table: a row per block, key and metric.
    Csv,
}
