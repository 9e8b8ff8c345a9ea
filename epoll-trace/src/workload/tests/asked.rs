//! What is asked for and what is said: parameters, the command line, JSON and text.

use std::time::Duration;

use clap::Parser as _;

use super::super::crew::Start;
use super::super::{CATALOG, Extra, Scenario, ScenarioArgs, list, perform, perform_from};
use crate::model::snapshot::{Counter, EpollCounter};

#[test]
fn json_has_every_counter_and_null_for_the_unknown() {
    let report = perform("shared-lt", Some(5), None).unwrap();
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        (json["v"].as_u64(), json["kind"].as_str()),
        (Some(1), Some("scenario"))
    );
    assert_eq!(json["expect"]["wakeups_source"]["exact"], 5 + 4);
    assert!(json["expect"]["scans"].is_null());
    assert!(json["latency_ns"]["p50"].as_u64() > Some(0));
    let names = Counter::ALL.iter().map(|counter| counter.name());
    for name in names.chain(EpollCounter::ALL.iter().map(|counter| counter.name())) {
        assert!(json["expect"].get(name).is_some(), "{name}");
    }
}

#[test]
fn text_fits_eighty_columns() {
    let mut text = Vec::new();
    perform("herd-eventfd-exclusive", Some(5), None)
        .unwrap()
        .write_text(&mut text)
        .unwrap();
    list(false, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
    assert_eq!(wide, Vec::<&str>::new());
}

#[test]
fn parameters_are_checked() {
    let refusal = |name, waiters| perform(name, Some(1), waiters).unwrap_err().to_string();
    assert!(refusal("pipe", None).contains("--list"));
    assert!(refusal("pipe-lt", Some(2)).contains("leave --waiters out"));
    assert!(refusal("herd-tcp", Some(0)).contains("1 to 64"));
    let started = |on_line, period| {
        let start = Start { on_line, period };
        perform_from(start, "timeouts", None, None, Extra::default())
            .unwrap_err()
            .to_string()
    };
    let held = started(true, None);
    assert!(held.contains("leave --hold out"), "{held}");
    let paced = started(false, Some(Duration::from_millis(1)));
    assert!(paced.contains("leave --rate out"), "{paced}");
    let names: std::collections::BTreeSet<&str> = CATALOG.iter().map(|scenario| scenario.name).collect();
    assert_eq!(names.len(), CATALOG.len(), "a name stands twice");
    assert!(
        CATALOG
            .iter()
            .all(|scenario| Scenario::by_name(scenario.name).is_some())
    );
}

#[test]
fn the_command_line_knows_the_names() {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: ScenarioArgs,
    }
    let parse = |line: &str| Line::try_parse_from(line.split(' ')).map(|line| line.args);
    assert_eq!(parse("scenario herd-tcp --waiters 4").unwrap().waiters, Some(4));
    assert!(parse("scenario --list").unwrap().list);
    for wrong in ["scenario", "scenario herd", "scenario pipe-lt --events 0"] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}
