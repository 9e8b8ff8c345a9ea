//! The command line of `diagnose`.

use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};

use super::TraceArgs;
use crate::model::finding::{DIAGNOSES, Diagnosis, Limit, Limits, Severity};

pub(super) const EXAMPLES: &str = "\
It measures everything that rules are made of, so it costs more than any other
command: look for some seconds, not for hours. What it cannot check it names,
with the reason; a rule without 100 samples says so too.

Examples:
  epoll-trace diagnose                     ten seconds of the whole system
  epoll-trace diagnose -d 30 -p 185        what process 185 has
  epoll-trace diagnose --fail-on warn -- ./test   in CI: exit code 3 if found
  epoll-trace diagnose --explain D01       what it means, without root
  epoll-trace diagnose --threshold loop-p99-ms=50 --threshold samples=20";

/// Without any other word about when it ends.
const SECONDS: u64 = 10;

/// Arguments of `diagnose`.
#[derive(Args, Clone, Debug)]
pub struct DiagnoseArgs {
    /// The run.
    #[command(flatten)]
    trace: TraceArgs,
    /// Exit with 3 if something at least so bad is found
    #[arg(long, value_name = "SEVERITY", value_enum)]
    pub fail_on: Option<FailOn>,
    /// Say what a diagnosis means, how it is told, when it is a false alarm, what to do and what that costs; traces nothing
    #[arg(long, value_name = "ID", ignore_case = true, value_parser = diagnosis_parser(), hide_possible_values = true,
          conflicts_with_all = ["fail_on", "command"])]
    pub explain: Option<&'static Diagnosis>,
    /// Judge by another threshold; --explain names those of a diagnosis
    #[arg(long = "threshold", value_name = "NAME=VALUE", value_parser = threshold)]
    thresholds: Vec<(Limit, f64)>,
}

impl DiagnoseArgs {
    /// The run: of ten seconds where nothing is said about its end.
    pub fn run(&self) -> TraceArgs {
        let mut run = self.trace.clone();
        let schedule = &mut run.schedule;
        if run.command.is_empty() && schedule.interval().is_none() && schedule.duration.is_none() {
            schedule.duration = Some(Duration::from_secs(SECONDS));
        }
        run
    }

    /// The run as it was asked for.
    pub(super) fn trace(&self) -> &TraceArgs {
        &self.trace
    }

    /// The thresholds: defaults, but for those that were given.
    pub fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        for &(limit, value) in &self.thresholds {
            limits.set(limit, value);
        }
        limits
    }
}

/// What makes it fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Anything.
    Info,
    /// What is worth to change.
    Warn,
    /// What hurts now.
    Crit,
}

impl FailOn {
    /// As the model calls it.
    pub const fn severity(self) -> Severity {
        match self {
            Self::Info => Severity::Info,
            Self::Warn => Severity::Warn,
            Self::Crit => Severity::Crit,
        }
    }
}

fn diagnosis_parser() -> impl TypedValueParser<Value = &'static Diagnosis> {
    PossibleValuesParser::new(DIAGNOSES.iter().map(|diagnosis| diagnosis.id))
        .try_map(|id| Diagnosis::from_id(&id).ok_or("no such diagnosis"))
}

fn threshold(text: &str) -> Result<(Limit, f64), String> {
    let (name, value) = text.split_once('=').ok_or("give NAME=VALUE, as in samples=20")?;
    let names = || {
        let all: Vec<&str> = Limit::ALL.iter().map(|limit| limit.name()).collect();
        format!("there is no threshold `{name}`; there are {}", all.join(", "))
    };
    let limit = Limit::from_name(name).ok_or_else(names)?;
    let value: f64 = value.parse().map_err(|_| {
        format!(
            "`{value}` is no number: give one, as in {name}={}",
            limit.default()
        )
    })?;
    if !value.is_finite() || value < 0.0 {
        return Err("a threshold is 0 or more".to_owned());
    }
    Ok((limit, value))
}
