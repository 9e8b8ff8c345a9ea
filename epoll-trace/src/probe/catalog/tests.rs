use std::collections::BTreeSet;

use super::*;
use crate::kernel::Support;
use crate::kernel::names::{FUNCTIONS, TRACEPOINTS};

#[test]
fn program_names_are_unique_and_fit_the_kernel() {
    let names: BTreeSet<_> = PROGRAMS.iter().map(|program| program.name).collect();
    assert_eq!(names.len(), PROGRAMS.len());
    assert!(names.iter().all(|name| name.len() <= 15), "{names:?}");
}

/// The lines `mechanism name "target";` of the object of empty programs.
#[test]
fn the_empty_programs_are_those_of_the_catalog() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../epoll-trace-ebpf/src/floor.rs");
    let source = std::fs::read_to_string(path).unwrap();
    let (_, list) = source.split_once("\nempty! {\n").unwrap();
    let (list, _) = list.split_once("\n}\n").unwrap();
    let empty: Vec<&str> = list.lines().map(str::trim).collect();
    let line =
        |Program { name, hook, .. }: &Program| format!("{} {name} \"{}\";", hook.mechanism(), hook.target());
    assert_eq!(empty, PROGRAMS.iter().map(line).collect::<Vec<_>>());
}

#[test]
fn rows_and_programs_name_each_other() {
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for row in ROWS {
        let Means::Programs(names) = row.means else {
            continue;
        };
        assert_eq!(row.programs().count(), names.len(), "{names:?}");
        assert!(!row.tells.is_empty(), "{names:?}");
        used.extend(names);
    }
    let unused: Vec<_> = PROGRAMS
        .iter()
        .map(|program| program.name)
        .filter(|name| !used.contains(name))
        .collect();
    assert_eq!(unused, [""; 0]);
}

#[test]
fn every_signal_has_an_answer_in_every_family() {
    for &signal in Signal::ALL {
        for family in Family::ALL {
            assert!(
                ROWS.iter()
                    .any(|row| row.signal == signal && row.families.contains(family)),
                "{signal:?} {family:?}"
            );
        }
    }
}

#[test]
fn the_facts_look_for_everything_the_catalog_hooks() {
    for program in PROGRAMS {
        let target = program.hook.target();
        let known = match program.hook {
            Hook::TpBtf(_) => TRACEPOINTS.contains(&target),
            _ => FUNCTIONS.contains(&target.split('.').next().unwrap()),
        };
        assert!(known, "{target} is hooked but not in kernel::names");
    }
}

#[test]
fn no_kretprobe_on_a_function_that_sleeps() {
    for program in PROGRAMS {
        if let Hook::Kretprobe(function) = program.hook {
            assert_eq!(
                function, "ep_poll_callback",
                "only it is known to run to its end with interrupts off"
            );
        }
    }
}

#[test]
fn the_reason_is_the_first_unmet_need() {
    let mut facts = crate::kernel::canned::kernel("debian-6.1");
    let row = ROWS
        .iter()
        .find(|row| row.means == Means::Programs(&["notify_fentry", "notify_fexit"]))
        .unwrap();
    assert_eq!(row.check(&facts), Support::Yes);
    assert_eq!(row.hook(), "fentry+fexit ep_poll_callback");
    assert_eq!(row.instructions(), 128 + 184);
    facts.types.fields.remove(&crate::kernel::fields::Field::EpitemEp);
    assert_eq!(row.check(&facts), Support::no("BTF has no field epitem.ep"));
    facts.symbols.present.remove("ep_poll_callback");
    assert_eq!(row.check(&facts), Support::no("no symbol ep_poll_callback"));
    facts.caps.fentry = Support::no("loading fentry is not permitted (EPERM)");
    assert_eq!(row.check(&facts), facts.caps.fentry);
}
