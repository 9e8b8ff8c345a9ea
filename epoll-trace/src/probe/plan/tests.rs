use std::fmt::Write;

use super::*;
use crate::kernel::canned;
use crate::model::snapshot::EpollCounter;
use crate::probe::numbers::{Number, wanted};
use crate::probe::status::planned;

const CHOICES: [FamilyChoice; 4] = [
    FamilyChoice::Auto,
    FamilyChoice::Force(Family::Fentry),
    FamilyChoice::Force(Family::Kprobe),
    FamilyChoice::Force(Family::Tracepoint),
];

fn everything() -> BTreeSet<Signal> {
    let mut signals = wanted(Number::all());
    signals.insert(Signal::ProcessFork);
    signals
}

/// Everything a plan decides, short enough to be read in a diff.
fn digest(facts: &Facts) -> String {
    let mut text = String::new();
    for choice in CHOICES {
        let plan = plan(facts, &everything(), choice);
        writeln!(text, "# {choice:?}\n{}", planned(facts, &plan).line()).unwrap();
        if let Err(error) = plan.check() {
            writeln!(text, "ERROR {error}\n").unwrap();
            continue;
        }
        for (signal, choice) in &plan.choices {
            let names = |row: &Row| {
                row.programs()
                    .map(|program| program.name)
                    .collect::<Vec<_>>()
                    .join("+")
            };
            let verdict = match &choice.verdict {
                Verdict::Chosen(row) => names(row),
                Verdict::Fallback(row) => format!("{} LOST {}", names(row), row.lost),
                Verdict::Absent(why) => format!("ABSENT {why}"),
            };
            writeln!(text, "{:<12} {verdict}", signal.name()).unwrap();
            for passed in &choice.passed_over {
                writeln!(text, "             not {}: {}", passed.hook, passed.why).unwrap();
            }
        }
        writeln!(
            text,
            "unknown: {}\n",
            plan.absent().into_keys().collect::<Vec<_>>().join(" ")
        )
        .unwrap();
    }
    text
}

#[test]
fn plans_of_known_kernels() {
    for name in canned::KERNELS {
        insta::assert_snapshot!(name, digest(&canned::kernel(name)));
    }
    insta::assert_snapshot!("debian-6.18-confidentiality", digest(&canned::confidential()));
    insta::assert_snapshot!("no-btf", digest(&canned::no_btf()));
    insta::assert_snapshot!("no-root", digest(&canned::no_root()));
}

#[test]
fn families_of_known_kernels() {
    let family = |facts: &Facts| plan(facts, &everything(), FamilyChoice::Auto).family;
    for name in canned::KERNELS.iter().filter(|name| name.starts_with("debian")) {
        assert_eq!(family(&canned::kernel(name)), Some(Family::Fentry), "{name}");
    }
    assert_eq!(family(&canned::kernel("hardened-6.18")), Some(Family::Tracepoint));
    assert_eq!(family(&canned::confidential()), Some(Family::Fentry));
    assert_eq!(family(&canned::no_btf()), None);
}

#[test]
fn the_release_decides_nothing() {
    let mut facts = canned::kernel("debian-5.10");
    let before = plan(&facts, &everything(), FamilyChoice::Auto);
    facts.release = "99.0.0".to_owned();
    facts.lockdown = Some("confidentiality".to_owned());
    facts.config.clear();
    assert_eq!(plan(&facts, &everything(), FamilyChoice::Auto), before);
}

#[test]
fn without_fentry_the_kprobe_family_does_it() {
    let mut facts = canned::kernel("debian-6.1");
    facts.caps.fentry = Support::no("loading fentry is not permitted (EPERM)");
    let plan = plan(&facts, &everything(), FamilyChoice::Auto);
    assert_eq!(plan.family, Some(Family::Kprobe));
    let names: Vec<_> = plan.programs().iter().map(|program| program.name).collect();
    assert_eq!(
        names.iter().filter(|name| **name == "return_tp").count(),
        1,
        "one program for two signals"
    );
    assert!(
        names
            .iter()
            .all(|name| !name.contains("fentry") && !name.contains("fexit")),
        "{names:?}"
    );
    assert_eq!(
        plan.absent().keys().collect::<Vec<_>>(),
        ["fdinfo_readers", "uring_events", "uring_waits"]
    );
}

#[test]
fn a_missing_main_function_rules_its_family_out_and_is_named() {
    let mut facts = canned::kernel("debian-6.1");
    facts.symbols.present.remove("do_epoll_wait");
    let auto = plan(&facts, &everything(), FamilyChoice::Auto);
    assert_eq!(auto.family, Some(Family::Tracepoint));
    let forced = plan(&facts, &everything(), FamilyChoice::Force(Family::Kprobe));
    assert_eq!(
        forced.check().unwrap_err().to_string(),
        "--probes kprobe cannot work on this kernel: no symbol do_epoll_wait; try --probes auto"
    );
    facts.types.tracepoints.clear();
    let error = plan(&facts, &everything(), FamilyChoice::Auto)
        .check()
        .unwrap_err()
        .to_string();
    for reason in [
        "fentry: no symbol do_epoll_wait",
        "tracepoint: BTF has no tracepoint sys_enter",
    ] {
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn what_is_lost_with_the_notification() {
    let mut facts = canned::kernel("debian-6.1");
    facts.types.fields.remove(&crate::kernel::fields::Field::EpitemEp);
    let absent = plan(&facts, &everything(), FamilyChoice::Auto).absent();
    let names: Vec<_> = absent.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "already_runnable",
            "callback",
            "chains",
            "delivered_file_times",
            "items",
            "items_released",
            "lock",
            "lock_waits",
            "mutex",
            "mutex_waits",
            "notifications",
            "notifications_nested",
            "notifications_queued",
            "notifications_unasked",
            "overflow_length",
            "ovf_items",
            "ovf_more",
            "ovf_notifications",
            "ovf_scans",
            "queue",
            "source_lock_waits",
            "sources",
            "uring_events",
            "uring_waits",
            "wakers",
            "wakeups_chain",
            "wakeups_ctl",
            "wakeups_source",
            "wakeups_timer"
        ]
    );
    let of_uring = |name: &str| name.starts_with("uring");
    assert!(
        absent
            .iter()
            .all(|(name, why)| of_uring(name) || why == "BTF has no field epitem.ep")
    );
}

#[test]
fn without_addresses_nothing_is_counted_per_epoll() {
    let absent = plan(&canned::confidential(), &everything(), FamilyChoice::Auto).absent();
    assert_eq!(
        absent
            .keys()
            .filter(|name| !EpollCounter::ALL.iter().any(|id| id.name() == *name))
            .collect::<Vec<_>>(),
        [
            "already_runnable",
            "delivered_file_times",
            "delivered_files",
            "fdinfo_readers",
            "flags",
            "items",
            "lock",
            "mutex",
            "overflow_length",
            "queue",
            "scan",
            "scans_repoll",
            "scans_spurious",
            "sources",
            "wakers",
            "wakeups_timer"
        ]
    );
    assert_eq!(
        EpollCounter::ALL
            .iter()
            .filter(|id| !absent.contains_key(id.name()))
            .count(),
        0
    );
    assert!(
        absent["scans"].contains("bpf_probe_read_kernel"),
        "{}",
        absent["scans"]
    );
}

#[test]
fn who_wakes_takes_addresses_of_data() {
    let mut facts = canned::kernel("debian-6.12");
    let absent = |facts: &Facts| plan(facts, &everything(), FamilyChoice::Auto).absent();
    assert!(!absent(&facts).contains_key("wakers") && !absent(&facts).contains_key("wakeups_timer"));
    facts.symbols.data.remove("pcpu_hot");
    facts.symbols.data.remove("timerfd_fops");
    assert_eq!(
        absent(&facts)["wakers"],
        "the kernel does not tell where preempt_count lies"
    );
    assert_eq!(
        absent(&facts)["wakeups_timer"],
        "the kernel does not tell the address of timerfd_fops"
    );
}

#[test]
fn what_was_not_asked_for_is_absent_and_says_so() {
    let facts = canned::kernel("debian-6.1");
    let wakeup = plan(
        &facts,
        &wanted([Number::all().next().unwrap()]),
        FamilyChoice::Auto,
    );
    let absent = wakeup.absent();
    for name in ["delivery", "runqueue", "scans", "ctl_add"] {
        assert!(absent.contains_key(name), "{name}");
    }
    assert!(!absent.contains_key("wakeup") && !absent.contains_key("waits"));
    assert_eq!(absent["runqueue"], "not measured in this run");
    assert!(wakeup.programs().iter().all(|program| program.name != "oncpu_tp"));
}
