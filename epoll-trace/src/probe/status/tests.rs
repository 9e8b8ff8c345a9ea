use super::*;
use crate::kernel::canned;
use crate::probe::catalog::Family;
use crate::probe::numbers::{Number, wanted};
use crate::probe::plan::{FamilyChoice, plan};
use crate::view::wrap::COLUMNS;

fn status(facts: &Facts, failed: &[(&str, &str)]) -> Status {
    let plan = plan(facts, &wanted(Number::all()), FamilyChoice::Auto);
    let failed = failed
        .iter()
        .map(|&(name, error)| (name.to_owned(), error.to_owned()))
        .collect();
    attached(facts, &plan, &failed)
}

fn verdicts(status: &Status, wanted: Outcome) -> Vec<&str> {
    let signals = status.signals.iter().filter(|signal| signal.verdict == wanted);
    signals.map(|status| status.signal.as_str()).collect()
}

#[test]
fn a_healthy_plan_is_chosen_throughout() {
    let status = status(&canned::kernel("debian-7.3"), &[]);
    assert_eq!(verdicts(&status, Outcome::Chosen).len(), status.signals.len());
    assert_eq!((status.exit_code(), status.absent.len()), (0, 0));
}

#[test]
fn a_broken_side_signal_costs_its_numbers_only() {
    let status = status(&canned::kernel("debian-7.3"), &[("notify_fexit", "EBUSY")]);
    assert_eq!(verdicts(&status, Outcome::Broken), ["notification"]);
    assert_eq!(status.exit_code(), 0);
    assert_eq!(status.absent["callback"], "notify_fexit: EBUSY");
    assert!(!status.absent.contains_key("wakeup"));
    assert_eq!(
        status.line(),
        "probes: fentry, epolls by address; wakeup from runnable; no notification"
    );
}

#[test]
fn a_broken_main_signal_is_an_error() {
    let status = status(&canned::kernel("hardened-6.18"), &[("return_tp", "EINVAL")]);
    assert_eq!(
        verdicts(&status, Outcome::Broken),
        ["wait_return", "ctl", "accept", "epoll_birth"],
        "one program, four signals"
    );
    assert_eq!(status.exit_code(), 1);
    let error = status.error.unwrap();
    assert_eq!(
        error,
        "wait_return should work on this kernel and does not: return_tp: EINVAL"
    );
}

#[test]
fn an_impossible_plan_exits_with_1_and_knows_no_number() {
    for facts in [canned::no_root(), canned::no_btf()] {
        let status = status(&facts, &[]);
        assert_eq!(status.exit_code(), 1);
        assert_eq!(verdicts(&status, Outcome::Absent).len(), status.signals.len());
        assert_eq!(status.absent.len(), Number::all().count());
        assert_eq!(status.line(), "probes: none, see epoll-trace probes");
    }
}

#[test]
fn the_json_form() {
    let status = status(&canned::kernel("hardened-6.18"), &[]);
    let json = serde_json::to_string_pretty(&status).unwrap();
    assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status);
    insta::assert_snapshot!("json", json);
}

#[test]
fn the_line_fits() {
    for name in canned::KERNELS {
        for family in [Family::Fentry, Family::Kprobe, Family::Tracepoint] {
            let facts = canned::kernel(name);
            let plan = plan(&facts, &wanted(Number::all()), FamilyChoice::Force(family));
            let line = planned(&facts, &plan).line();
            assert!(line.chars().count() <= COLUMNS, "{line}");
        }
    }
    let mut crowded = status(&canned::kernel("debian-6.1"), &[]);
    let signals = crowded.signals.len();
    for signal in &mut crowded.signals {
        signal.verdict = Outcome::Absent;
    }
    let line = crowded.line();
    assert!(
        line.chars().count() <= COLUMNS && line.contains(&format!("{signals} signals absent")),
        "{line}"
    );
}
