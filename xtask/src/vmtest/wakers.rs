//! Who wakes: the load says which of its threads sends, and by what the rest comes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::trace::{FENTRY, Family, KPROBE, Load, Run, Trace, sum, traced};
use super::{JOB_SECONDS, Need, Outputs, Test};
use crate::kernels::Capability;

const EVENTS: u64 = 30;
/// Each with the context in which the waiters are woken for its events; stops come by system calls of the sender.
const LOADS: [(Load, &str); 5] = [
    (load("pipe-et", None), PROCESS),
    (load("eventfd-lt", None), PROCESS),
    (load("timers", None), "timer"),
    (load("herd-tcp", Some(2)), "softirq"),
    (load("shared-lt", Some(4)), PROCESS),
];
const PROCESS: &str = "process";

const fn load(scenario: &'static str, waiters: Option<u32>) -> Load {
    Load {
        scenario,
        events: EVENTS,
        waiters,
    }
}

/// Of a kernel that does not tell where the file operations of timers lie, for the tool's eyes only.
const HIDDEN: &str = "grep -v timerfd_fops /proc/kallsyms > /tmp/symbols
mount --bind /tmp/symbols /proc/kallsyms || exit 1
trap 'umount /proc/kallsyms' EXIT
";

/// The families that see epoll wake.
pub(super) fn tests() -> Vec<Test> {
    let families = [FENTRY, KPROBE];
    families
        .map(test)
        .into_iter()
        .chain(families.map(interrupted))
        .collect()
}

/// A timer that cannot be told from another interrupt is one: that is what the processor's own count says.
fn interrupted(family: Family) -> Test {
    let load = load("timers", None);
    let check = move |outputs: &Outputs<'_>| {
        let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
        for run in trace.runs(&[load])? {
            held(&run, "interrupt")?;
        }
        match trace.absent("wakeups_timer")? {
            Some(why) if why.contains("timerfd_fops") => Ok(()),
            other => Err(format!("wakeups_timer is absent because of {other:?}").into()),
        }
    };
    // Waits for locks want the list of symbols; else the tool asks the kernel by name, where it can.
    let options = ["-E", "--wakers", "--metric", "wakeup,lock"];
    let words = traced(&[load], family, &options);
    let script = format!("{HIDDEN}{}", words.join(" "));
    Test::new(
        format!("wakers: a timer not told is an interrupt, {}", family.name),
        check,
    )
    .needs(family.need())
    .needs(Need::Can(Capability::ProbeRead))
    .job(&["sh", "-c", &script])
}

fn test(family: Family) -> Test {
    let loads = LOADS.map(|(load, _)| load);
    let check = move |outputs: &Outputs<'_>| {
        let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
        for (run, (load, context)) in trace.runs(&loads)?.iter().zip(LOADS) {
            held(run, context).map_err(|why| format!("{}: {why}", load.title()))?;
        }
        Ok(())
    };
    Test::new(format!("wakers: named or told apart, {}", family.name), check)
        .needs(family.need())
        .needs(Need::Can(Capability::ProbeRead))
        .run(traced(&loads, family, &["-E", "--wakers"]), JOB_SECONDS)
}

/// Nobody else woke, and everybody as often as the load says; every wakeup has a waker.
fn held(run: &Run<'_>, context: &str) -> Result<(), String> {
    let lines = run.lines("waker");
    let expected = run.expected().map_err(|problem| format!("{problem:?}"))?;
    let number = |name: &str| {
        expected
            .get(name)
            .copied()
            .ok_or_else(|| format!("the load reports no {name}"))
    };
    let sender = run.report["pid"].as_u64().ok_or("the load has no process")?;
    let stops = run.report["stops"].as_u64().ok_or("the load reports no stops")?;
    let chain = number("wakeups_chain")?;
    let by_events = number("wakeups_source")? - stops;
    let mut wanted = BTreeMap::from([("sender", stops), ("others", chain)]);
    *wanted
        .entry(if context == PROCESS { "sender" } else { context })
        .or_default() += by_events;
    wanted.retain(|_, wakeups| *wakeups > 0);
    let mut found: BTreeMap<&str, u64> = BTreeMap::new();
    for line in &lines {
        let who = match line["context"].as_str() {
            Some(PROCESS) if is_sender(line, sender) => "sender",
            Some(PROCESS) if is_waiter(run, line) => "others",
            Some(other) => other,
            None => return Err(format!("no context: {line}")),
        };
        let wakeups = line["wakeups"]
            .as_u64()
            .ok_or_else(|| format!("no count: {line}"))?;
        *found.entry(who).or_default() += wakeups;
    }
    let all = sum(&run.lines("epoll"), "wakeups").map_err(|problem| format!("{problem:?}"))?;
    if found != wanted || all != Some(found.values().sum()) {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        return Err(format!(
            "{found:?} instead of {wanted:?}, of {all:?}\n  {}",
            lines.join("\n  ")
        ));
    }
    Ok(())
}

/// Whether the thread that sends the events woke.
fn is_sender(line: &Value, sender: u64) -> bool {
    line["waker_pid"] == sender && line["waker_tid"] == sender
}

/// Whether a waiter woke the next one.
fn is_waiter(run: &Run<'_>, line: &Value) -> bool {
    let waiters = run.report["threads"].as_array();
    waiters.is_some_and(|waiters| waiters.iter().any(|waiter| waiter["tid"] == line["waker_tid"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{PROCESS, Trace, held, load};
    use crate::kernels::select;

    /// A load whose process 1 sent 5 events and a stop to waiter 2; `wakers` are context, thread and wakeups.
    fn why(wakers: &[(&str, u64, u64)], context: &str) -> Option<String> {
        let mut lines = vec![
            json!({"kind": "scenario", "name": "pipe-et", "pid": 1, "stops": 1, "threads": [{"pid": 2, "tid": 2}],
                   "expect": {"wakeups_source": {"exact": 6}, "wakeups_chain": {"exact": 2}}}),
            json!({"kind": "epoll", "pid": 2, "wakeups": 8}),
        ];
        lines.extend(wakers.iter().map(|(context, tid, wakeups)| {
            json!({"kind": "waker", "pid": 2, "context": context, "waker_pid": tid, "waker_tid": tid, "wakeups": wakeups})
        }));
        lines.push(json!({"kind": "losses", "losses": {"wakers_lost": 0}, "absent": {}}));
        let trace = Trace::new(lines, select("6.1")[0]).unwrap();
        held(&trace.runs(&[load("pipe-et", None)]).unwrap()[0], context).err()
    }

    #[test]
    fn every_wakeup_must_be_of_the_right_waker() {
        assert_eq!(why(&[(PROCESS, 1, 6), (PROCESS, 2, 2)], PROCESS), None);
        assert_eq!(
            why(&[("timer", 0, 5), (PROCESS, 1, 1), (PROCESS, 2, 2)], "timer"),
            None
        );
        for wrong in [
            &[(PROCESS, 1, 5), (PROCESS, 2, 2)][..],
            &[(PROCESS, 3, 6), (PROCESS, 2, 2)],
            &[("softirq", 0, 6), (PROCESS, 2, 2)],
            &[(PROCESS, 1, 8)],
            &[],
        ] {
            assert!(why(wrong, PROCESS).is_some(), "{wrong:?}");
        }
    }
}
