//! The same loads by process and by thread: each view adds up to the same numbers as the view by epoll; and that one still does
//! when the epolls were closed long before.

use std::collections::BTreeMap;

use serde_json::Value;

use super::trace::{FENTRY, Family, KPROBE, Load, Run, Trace, traced};
use super::{JOB_SECONDS, Need, Outputs, Problem, Test};
use crate::kernels::Capability;

/// Counters of an epoll rather than of its waiters: who shares an epoll shows all of them, so they add up by epoll only.
const OF_THE_EPOLL: &[&str] = &[
    "notifications",
    "notifications_unasked",
    "notifications_queued",
    "notifications_nested",
    "scans",
    "ovf_notifications",
    "ovf_scans",
    "ovf_items",
    "ovf_more",
    "ctl_add",
    "ctl_mod",
    "ctl_mod_same",
    "ctl_del",
    "ctl_einval",
    "ctl_eexist",
    "ctl_enoent",
    "ctl_ebadf",
    "ctl_errors",
    "created",
    "closed",
];
const EVENTS: u64 = 50;

const fn load(scenario: &'static str) -> Load {
    Load {
        scenario,
        events: EVENTS,
        waiters: Some(3),
    }
}

/// A herd, an epoll shared by processes, and two shared by threads.
const LOADS: [Load; 4] = [
    load("herd-eventfd"),
    load("fork-shared-lt"),
    load("shared-lt"),
    load("shared-et"),
];

/// The agent looks once a second, and what was closed at two looks is a sum of its process at the third.
const THREE_LOOKS: &str = "sleep 6";

/// By process, by thread, and by epoll once all are closed.
pub(super) fn tests() -> Vec<Test> {
    let views = [
        ("-P", "process", FENTRY),
        ("-L", "thread", FENTRY),
        ("-L", "thread", KPROBE),
    ];
    views
        .map(|(option, kind, family)| test(option, kind, family))
        .into_iter()
        .chain([FENTRY, KPROBE].map(closed))
        .collect()
}

/// An epoll that processes share stands once among the closed ones too.
fn closed(family: Family) -> Test {
    let check = |outputs: &Outputs<'_>| {
        let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
        for (run, load) in trace.runs(&LOADS)?.iter().zip(LOADS) {
            run.hold("epoll", &[])?;
            let lines = run.lines("epoll");
            let is_sum = |line: &&Value| {
                line["epoll"]
                    .as_str()
                    .is_some_and(|name| name.ends_with(":closed"))
            };
            if !lines.iter().all(is_sum) {
                return Err(format!("{}: open still: {lines:?}", load.title()).into());
            }
        }
        Ok(())
    };
    let mut words = traced(&LOADS, family, &["-E"]);
    if let Some(script) = words.last_mut() {
        script.push_str(&format!(" && {THREE_LOOKS}"));
    }
    Test::new(
        format!("views: -E adds up after the end of epolls, {}", family.name),
        check,
    )
    .needs(family.need())
    .needs(Need::Can(Capability::ProbeRead))
    .run(words, JOB_SECONDS)
}

fn test(option: &str, kind: &'static str, family: Family) -> Test {
    let check = move |outputs: &Outputs<'_>| {
        let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
        for (run, load) in trace.runs(&LOADS)?.iter().zip(LOADS) {
            run.hold(kind, OF_THE_EPOLL)?;
            // A miss takes from one thread, which the sums excuse.
            if kind == "thread" && trace.misses == 0 {
                by_thread(run, load)?;
            }
        }
        Ok(())
    };
    Test::new(format!("views: {option} adds up, {}", family.name), check)
        .needs(family.need())
        .run(traced(&LOADS, family, &[option]), JOB_SECONDS)
}

/// Each thread got what it says it got.
fn by_thread(run: &Run<'_>, load: Load) -> Result<(), Problem> {
    let counted = events_by_thread(&run.lines("thread"))?;
    let own = run.report["threads"].as_array();
    let own = own.ok_or("the load lists no threads")?.iter().collect::<Vec<_>>();
    if counted != events_by_thread(&own)? {
        return Err(format!(
            "{}: events by thread {counted:?}, the load says {own:?}",
            load.title()
        )
        .into());
    }
    // Edge-triggered, who slept last is woken each time: one thread gets everything, the others their own stop alone.
    let workers: Vec<&u64> = counted.values().filter(|&&events| events > 1).collect();
    if load.scenario == "shared-et" && workers != [&(EVENTS + 1)] {
        return Err(format!("events by thread {counted:?}: not one of them got all").into());
    }
    Ok(())
}

fn events_by_thread(lines: &[&Value]) -> Result<BTreeMap<u64, u64>, Problem> {
    let one = |line: &&Value| line["tid"].as_u64().zip(line["events"].as_u64());
    let all: Option<BTreeMap<u64, u64>> = lines.iter().map(one).collect();
    all.ok_or_else(|| format!("a line without tid or events: {lines:?}").into())
}
