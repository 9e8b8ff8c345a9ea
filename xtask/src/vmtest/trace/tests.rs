//! What a trace lets pass and what not.

use serde_json::{Value, json};

use super::{Load, Problem, Trace};
use crate::kernels::select;

const LOAD: Load = Load {
    scenario: "pipe-et",
    events: 5,
    waiters: None,
};

/// A trace on `kernel` of a load that expects 5 of all; the tool says `wakeups` and `waits`.
fn lines(misses: u64, wakeups: &Value, waits: u64) -> Vec<Value> {
    vec![
        json!({"kind": "plan", "plan": {"family": "fentry", "epolls": "by_address"}}),
        json!({"kind": "scenario", "name": LOAD.scenario, "pid": 1, "threads": [{"pid": 2}],
               "expect": {"wakeups": {"exact": 5}, "waits": {"exact": 5}, "other": null}}),
        json!({"kind": "epoll", "pid": 2, "wakeups": wakeups, "waits": waits, "deliveries_slept": waits}),
        json!({"kind": "hist", "metric": "wakeup", "pid": 2, "count": waits}),
        json!({"kind": "epoll", "pid": 3, "wakeups": 9, "waits": 9, "deliveries_slept": 9}),
        json!({"kind": "losses", "losses": {"probe_misses": misses}, "absent": {}}),
    ]
}

fn held(kernel: &str, lines: Vec<Value>) -> Result<(), Problem> {
    let trace = Trace::new(lines, select(kernel)[0])?;
    trace.runs(&[LOAD])?[0].hold("epoll", &[])
}

fn why(result: Result<(), Problem>) -> String {
    match result {
        Err(Problem::Failed(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_the_loads_own_processes_count() {
    assert_eq!(held("6.1", lines(0, &json!(5), 5)), Ok(()));
    assert!(why(held("6.1", lines(0, &json!(6), 5))).starts_with("wakeups 6 instead of 5\n"));
}

#[test]
fn unknown_needs_a_reason() {
    assert!(why(held("6.1", lines(0, &Value::Null, 5))).contains("wakeups unknown without a reason"));
    let mut lines = lines(0, &Value::Null, 5);
    lines[5]["absent"] = json!({"wakeups": "no probe"});
    assert_eq!(held("6.1", lines), Ok(()));
}

#[test]
fn nothing_counted_is_no_success() {
    let mut lines = lines(0, &json!(5), 5);
    lines.retain(|line| line["pid"] != 2);
    assert!(held("6.1", lines).is_err());
}

#[test]
fn a_miss_excuses_waits_on_preemptible_kernels_and_never_wakeups() {
    assert!(why(held("6.1", lines(1, &json!(5), 5))).starts_with("losses"));
    assert_eq!(held("6.18", lines(1, &json!(5), 3)), Ok(()));
    assert!(held("6.18", lines(1, &json!(5), 2)).is_err());
    assert!(held("6.18", lines(1, &json!(4), 5)).is_err());
}

#[test]
fn inferred_wakeups_may_be_too_many_by_half_of_the_waits() {
    let of = |family: &str, misses, empty: u64| {
        let mut lines = lines(misses, &json!(5), 5);
        lines[0]["plan"]["family"] = json!(family);
        lines[1]["expect"] = json!({"waits": {"exact": 8}, "empty_wakeups": {"exact": 0}});
        lines[2]["waits"] = json!(8);
        lines[2]["empty_wakeups"] = json!(empty);
        held("7.3", lines)
    };
    assert_eq!(of("tracepoint", 9, 4), Ok(()));
    assert!(of("tracepoint", 9, 5).is_err());
    assert!(of("tracepoint", 1, 3).is_err());
    assert!(of("kprobe", 9, 3).is_err());
}

#[test]
fn scans_of_a_missed_wait_are_missing_together() {
    let of = |kernel, misses, spurious: u64| {
        let mut lines = lines(misses, &json!(5), 5);
        lines[1]["expect"] = json!({"scans_spurious": {"exact": 148}});
        lines[2]["scans_spurious"] = json!(spurious);
        held(kernel, lines)
    };
    assert_eq!(of("6.18", 1, 74), Ok(()));
    assert!(of("6.18", 1, 73).is_err());
    assert!(of("6.18", 0, 147).is_err());
    assert!(of("6.1", 0, 147).is_err());
}

#[test]
fn fdinfo_that_was_left_out_is_the_business_of_who_asks_for_it() {
    let mut lines = lines(0, &json!(5), 5);
    lines[5]["losses"]["fdinfo_cut"] = json!(3);
    assert_eq!(held("6.1", lines.clone()), Ok(()));
    let trace = Trace::new(lines.clone(), select("6.1")[0]).unwrap();
    assert_eq!(trace.left_out(), Ok(3));
    lines[5]["losses"]["rows_full"] = json!(1);
    assert!(why(held("6.1", lines)).starts_with("losses"));
}

#[test]
fn a_miss_excuses_one_thing_of_several_and_half_of_them_at_most() {
    let of = |misses| Trace::new(lines(misses, &json!(5), 5), select("7.3")[0]).unwrap();
    assert_eq!([0, 1, 9].map(|misses| of(misses).excused(7)), [0, 1, 3]);
}

#[test]
fn every_load_must_have_run() {
    let trace = Trace::new(lines(0, &json!(5), 5), select("6.1")[0]).unwrap();
    assert!(trace.runs(&[LOAD, LOAD]).is_err());
}
