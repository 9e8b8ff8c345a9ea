//! `diagnose`: what is wrong, what to do about it, and what that costs.

use std::cell::Cell;
use std::io;
use std::io::Write;

use anyhow::Context as _;

use super::output::Streams;
use super::session::Blocks;
use crate::cli::{DiagnoseArgs, Format, GlobalArgs, TraceArgs};
use crate::model::delta::Window;
use crate::model::filter::Filter;
use crate::model::finding::{Diagnosis, Limits, Severity, examine};
use crate::model::snapshot::Metric;
use crate::view::findings::{
    FindingReport, TextStyle, explain, notes, write_csv, write_csv_header, write_json, write_manual,
    write_text,
};

/// Name of the hidden command that prints the manual of diagnoses, for docs/diagnoses.md.
pub const MANUAL: &str = "__diagnoses";

/// Exit code where something was found that `--fail-on` names.
pub const FOUND: u8 = 3;

/// What must be measured for the rules.
pub const METRICS: &[Metric] = &[
    Metric::Wakeup,
    Metric::Runqueue,
    Metric::Busy,
    Metric::Scan,
    Metric::EventsPerWait,
    Metric::Lock,
    Metric::Mutex,
];

/// What `diagnose` shows of a run.
#[derive(Debug)]
pub struct Diagnoses<'a> {
    run: &'a TraceArgs,
    filter: Filter,
    limits: Limits,
    ascii: bool,
    /// The worst of all blocks.
    worst: &'a Cell<Option<Severity>>,
}

impl<'a> Diagnoses<'a> {
    /// Blocks of `run` as `args` say; `worst` gets the worst severity found.
    pub fn new(
        args: &DiagnoseArgs,
        run: &'a TraceArgs,
        global: &GlobalArgs,
        worst: &'a Cell<Option<Severity>>,
    ) -> Self {
        Self {
            run,
            filter: run.filter.filter(),
            limits: args.limits(),
            ascii: global.ascii,
            worst,
        }
    }
}

impl Blocks for Diagnoses<'_> {
    fn subject(&self) -> &'static str {
        "all that epoll does"
    }

    fn looks(&self) -> bool {
        true
    }

    fn csv_header(&self, out: &mut dyn Write) -> io::Result<()> {
        write_csv_header(out)
    }

    fn block(&self, streams: &mut Streams<'_>, window: &Window, time: Option<&str>) -> io::Result<()> {
        let examination = examine(window, &self.filter, &self.limits);
        self.worst.set(self.worst.get().max(examination.worst()));
        let report = FindingReport {
            window,
            examination: &examination,
            limits: &self.limits,
            most: self.run.most(),
        };
        let style = TextStyle {
            ascii: self.ascii,
            unit: self.run.unit.chosen(),
        };
        match self.run.output.format() {
            Format::Json => write_json(streams.out, &report),
            Format::Csv => write_csv(streams.out, &report).and_then(|()| notes(streams.err, &report)),
            Format::Text => write_text(streams.out, &report, style, time),
        }
    }
}

/// The exit code of a run that ended with `code` and found `worst`: a failure of the traced command comes first.
pub fn exit_code(args: &DiagnoseArgs, code: u8, worst: Option<Severity>) -> u8 {
    let limit = args.fail_on.map(|fail_on| fail_on.severity());
    let found = limit.is_some_and(|limit| worst >= Some(limit));
    if code == 0 && found { FOUND } else { code }
}

/// Explains `diagnosis`.
///
/// # Errors
/// When the output cannot be written.
pub fn explained(args: &DiagnoseArgs, diagnosis: &Diagnosis, out: &mut dyn Write) -> anyhow::Result<u8> {
    explain(out, diagnosis, &args.limits())
        .and_then(|()| out.flush())
        .context("cannot write the output")?;
    Ok(0)
}

/// Prints the manual of diagnoses.
///
/// # Errors
/// When the output cannot be written.
pub fn manual(out: &mut dyn Write) -> anyhow::Result<u8> {
    write_manual(out)
        .and_then(|()| out.flush())
        .context("cannot write the output")?;
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use crate::commands::session::tests::shown;
    use crate::source::synthetic::Synthetic;
    use clap::Parser;

    async fn run(line: &str) -> (String, u8) {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let Command::Diagnose(args) = &cli.command else {
            panic!("{line}")
        };
        let mut source = Synthetic::demo();
        source.share();
        source.contend();
        let (trace, worst) = (args.run(), Cell::new(None));
        let text = shown(&trace, Diagnoses::new(args, &trace, &cli.global, &worst), source).await;
        (text, exit_code(args, 0, worst.get()))
    }

    #[tokio::test]
    async fn a_finding_fails_only_a_run_that_asks_for_it() {
        let (text, code) = run("epoll-trace diagnose -d 0.05").await;
        assert!(text.contains("remedy: ") && text.contains("price: "), "{text}");
        assert_eq!(code, 0);
        assert_eq!(run("epoll-trace diagnose -d 0.05 --fail-on warn").await.1, FOUND);
        let none = "epoll-trace diagnose -d 0.05 --fail-on info --threshold samples=1000000000 --threshold refused=1000000000";
        assert_eq!(run(none).await.1, 0);
    }

    #[tokio::test]
    async fn a_failure_of_the_command_comes_first() {
        let cli = Cli::try_parse_from(["epoll-trace", "diagnose", "--fail-on", "info"]).unwrap();
        let Command::Diagnose(args) = &cli.command else {
            panic!()
        };
        assert_eq!(exit_code(args, 7, Some(Severity::Crit)), 7);
        assert_eq!(exit_code(args, 0, Some(Severity::Info)), FOUND);
        assert_eq!(exit_code(args, 0, None), 0);
    }

    #[tokio::test]
    async fn json_says_of_every_diagnosis_what_became_of_it() {
        let (text, _) = run("epoll-trace diagnose -d 0.05 --json --top 1").await;
        assert_eq!(text.matches("\"kind\":\"finding\"").count(), 1, "{text}");
        let checks = text
            .lines()
            .find(|line| line.contains("\"kind\":\"checks\""))
            .unwrap();
        assert_eq!(checks.matches("\"outcome\":").count(), 22, "{checks}");
    }

    #[test]
    fn an_explanation_has_the_thresholds_in_force() {
        let line = "epoll-trace diagnose --explain d20 --threshold loop-p99-ms=77";
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let Command::Diagnose(args) = &cli.command else {
            panic!("{line}")
        };
        let mut out = Vec::new();
        explained(args, args.explain.unwrap(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.contains("more than 77 ms") && text.contains("loop-p99-ms=77"),
            "{text}"
        );
    }
}
