//! The command line's own rules, and its help as people see it.

use std::time::Duration;

use super::*;
use clap::CommandFactory;
use clap::error::ErrorKind;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

fn hist(line: &str) -> HistArgs {
    match parse(line).unwrap().command {
        Command::Hist(args) => args,
        other => panic!("{other:?}"),
    }
}

fn help(of: &[&str]) -> String {
    let mut command = Cli::command().term_width(80);
    command.build();
    let command = of.iter().fold(&mut command, |command, name| {
        command.find_subcommand_mut(name).unwrap()
    });
    let text = command.render_long_help().to_string();
    text.lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn help_texts() {
    insta::assert_snapshot!("help", help(&[]));
    insta::assert_snapshot!("help_hist", help(&["hist"]));
    insta::assert_snapshot!("help_top", help(&["top"]));
    insta::assert_snapshot!("help_epolls", help(&["epolls"]));
    insta::assert_snapshot!("help_diagnose", help(&["diagnose"]));
}

#[test]
fn both_ways_to_say_when() {
    for line in ["epoll-trace hist 0.5 3", "epoll-trace hist -i 0.5 -n 3"] {
        let args = hist(line);
        assert_eq!(args.trace.schedule.interval(), Some(Duration::from_millis(500)));
        assert_eq!(args.trace.schedule.count(), Some(3));
    }
    assert_eq!(
        hist("epoll-trace hist -n 2").trace.schedule.interval(),
        Some(Duration::from_secs(1))
    );
    assert_eq!(hist("epoll-trace hist").trace.schedule.interval(), None);
}

#[test]
fn what_the_source_must_do() {
    let args = hist("epoll-trace hist -E --metric runqueue,wakeup --json -- sh -c true");
    assert_eq!(args.metrics, [Metric::Runqueue, Metric::Wakeup]);
    assert!(args.needed_counters() == Some(Counters::All) && !args.needs_threads());
    assert!(hist("epoll-trace hist -L").needs_threads() && hist("epoll-trace hist -t 7").needs_threads());
    assert_eq!(hist("epoll-trace hist").needed_counters(), None);
    let counters = |line| hist(line).needed_counters();
    assert_eq!(
        counters("epoll-trace hist --counters=waits"),
        Some(Counters::Waits)
    );
    assert_eq!(counters("epoll-trace hist --counters 1"), Some(Counters::All));
}

#[test]
fn usage_errors() {
    use ErrorKind::{ArgumentConflict, InvalidValue, UnknownArgument, ValueValidation};
    for (line, kind) in [
        ("epoll-trace hist 1 -i 2", ArgumentConflict),
        ("epoll-trace hist -P -L", ArgumentConflict),
        ("epoll-trace hist -m -N", ArgumentConflict),
        ("epoll-trace hist --json --format text", ArgumentConflict),
        ("epoll-trace hist -d 3 -- true", ArgumentConflict),
        ("epoll-trace hist 1 -- true", ArgumentConflict),
        ("epoll-trace hist -p 0", ValueValidation),
        ("epoll-trace hist 0", ValueValidation),
        ("epoll-trace hist nan", ValueValidation),
        ("epoll-trace hist --comm (", ValueValidation),
        ("epoll-trace hist --metric sleep", InvalidValue),
        ("epoll-trace hist -S beauty", InvalidValue),
        ("epoll-trace hist -c 1", UnknownArgument),
        ("epoll-trace top 11", ValueValidation),
    ] {
        let error = parse(line).map(|_| ()).expect_err(line);
        assert_eq!((error.kind(), error.exit_code()), (kind, 2), "{line}: {error}");
    }
}

#[test]
fn no_color() {
    let set = std::ffi::OsStr::new("1");
    assert!(
        Color::Auto.enabled(None)
            && Color::Auto.enabled(Some("".as_ref()))
            && !Color::Auto.enabled(Some(set))
    );
    assert!(Color::Always.enabled(Some(set)) && !Color::Never.enabled(None));
}

#[test]
fn what_is_sorted_by_is_measured() {
    assert_eq!(
        hist("epoll-trace hist -S waits").needed_counters(),
        Some(Counters::All)
    );
    assert!(!hist("epoll-trace hist -S waits").shows_counters());
    let metrics = hist("epoll-trace hist --metric delivery -S runqueue_share").needed_metrics();
    assert_eq!(metrics, [Metric::Wakeup, Metric::Runqueue, Metric::Delivery]);
    assert_eq!(
        hist("epoll-trace hist --metric delivery -S pid").needed_metrics(),
        [Metric::Delivery]
    );
}

#[test]
fn nothing_after_two_dashes_is_no_command() {
    let parse = |line: &str| Cli::from_args(line.split(' ').map(OsString::from));
    for line in ["epoll-trace hist --", "epoll-trace hist 1 --"] {
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
    }
    assert!(parse("epoll-trace hist -- printf --").is_ok());
    assert!(parse("epoll-trace hist 1").is_ok());
}

fn diagnose(line: &str) -> DiagnoseArgs {
    match parse(line).unwrap().command {
        Command::Diagnose(args) => args,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_diagnosis_takes_ten_seconds_unless_its_end_is_said() {
    let duration = |line| diagnose(line).run().schedule.duration;
    assert_eq!(duration("epoll-trace diagnose"), Some(Duration::from_secs(10)));
    assert_eq!(
        duration("epoll-trace diagnose -d 3"),
        Some(Duration::from_secs(3))
    );
    for line in [
        "epoll-trace diagnose 5",
        "epoll-trace diagnose -n 2",
        "epoll-trace diagnose -- true",
    ] {
        assert_eq!(duration(line), None, "{line}");
    }
}

#[test]
fn thresholds_have_names_and_values() {
    use crate::model::finding::Limit;
    let limits = diagnose("epoll-trace diagnose --threshold samples=20 --threshold samples=30").limits();
    assert_eq!(limits.get(Limit::Samples), 30.0);
    assert_eq!(limits.get(Limit::HerdWoken), Limit::HerdWoken.default());
    for wrong in ["samples", "sample=1", "samples=x", "samples=-1", "samples=inf"] {
        let error = parse(&format!("epoll-trace diagnose --threshold {wrong}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ValueValidation, "{wrong}");
    }
}

#[test]
fn an_explanation_is_by_id_and_traces_nothing() {
    assert_eq!(
        diagnose("epoll-trace diagnose --explain d07").explain.unwrap().id,
        "D07"
    );
    assert!(parse("epoll-trace diagnose --explain D23").is_err());
    assert!(parse("epoll-trace diagnose --explain D01 -- true").is_err());
}
