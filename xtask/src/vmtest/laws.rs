//! Ground truth: every scenario with every family of probes, every counter against what the scenario says it did.

use super::trace::{CROWD, FAMILIES, FENTRY, Family, KPROBE, Load, Run, Trace, sum, traced};
use super::{Length, Need, Outputs, Problem, Test, herds, races};
use crate::kernels::Capability;

/// Events per run: enough that one lost or counted twice shows, few enough for the emulator.
const EVENTS: u64 = 50;
/// Scenarios of which each round takes a process or milliseconds.
const ROUNDS: u64 = 10;
/// Scenarios with one waiter at a time.
const SINGLE: [&str; 19] = [
    "pipe-lt",
    "pipe-et",
    "pipe-oneshot",
    "socketpair-lt",
    "socketpair-et",
    "socketpair-oneshot",
    "eventfd-lt",
    "eventfd-et",
    "eventfd-oneshot",
    "tcp-lt",
    "tcp-et",
    "tcp-oneshot",
    "nested",
    "hidden",
    "reuse",
    "timers",
    "unread-level",
    "dup-close",
    "ctl-churn",
];
const ROUNDED: [&str; 11] = [
    "timeouts",
    "slow-handler",
    "greedy",
    "greedy-budget",
    "signals",
    "killed",
    "et-single-accept",
    "et-short-read",
    "lt-short-read",
    "oneshot-short-read",
    "et-slow-read",
];
/// Scenarios in which several compete.
const SHARED: [&str; 10] = [
    "herd-tcp",
    "herd-tcp-exclusive",
    "herd-eventfd",
    "herd-eventfd-exclusive",
    "shared-lt",
    "shared-et",
    "shared-socketpair-lt",
    "shared-socketpair-oneshot",
    "fork-shared-lt",
    "fork-shared-et",
];
/// Events of as many threads blocked at once: far more than any kernel keeps return probes for.
const BLOCKED: u64 = 400;
/// Events of processes with several epolls: each epoll is waited on twice.
const FLEET: u64 = 400;
/// A scenario whose inner epoll is scanned by poll, the signal that sees it, and the counter that is short where the plan says
/// that this signal loses something: with fentry on 5.10, whose `ep_scan_ready_list` is a compiler's clone that only a kprobe can name.
const SCANNED_BY_POLL: (&str, &str, &str) = ("nested", "scan", "scans");
/// Numbers that every family knows wherever kernel memory can be read: no reason excuses their absence there.
const KNOWN_BY_ALL: [&str; 9] = [
    "ctl_add",
    "ctl_mod",
    "ctl_mod_same",
    "ctl_del",
    "ctl_einval",
    "ctl_eexist",
    "ctl_enoent",
    "ctl_ebadf",
    "ctl_errors",
];
/// Besides the counters, the histogram that has a value for each delivery, of all its events.
const OPTIONS: [&str; 3] = ["-E", "--metric", "wakeup,events_per_wait"];
/// A time limit for some loads after a start of the tool, guest seconds.
const GROUP_SECONDS: u64 = 120;
/// The same for the longest.
const LONG_SECONDS: u64 = 300;

/// Waits through io_uring, on kernels that have such.
const URING: Load = Load {
    scenario: "uring",
    events: EVENTS,
    waiters: None,
};
/// The first kernel of the list that has them.
const URING_SINCE: (u32, u32) = (6, 18);

/// Every group of loads with every family, and that no scenario is left out.
pub(super) fn tests() -> Vec<Test> {
    let (major, minor) = URING_SINCE;
    let mut tests = vec![complete(), without_uring()];
    tests.extend(FAMILIES.map(|family| {
        // It never calls epoll_wait, so without addresses the tool knows nothing of its epoll.
        law("waits by io_uring", &[URING], family)
            .needs(Need::Since(major, minor))
            .needs(Need::Can(Capability::ProbeRead))
    }));
    for (title, loads) in groups() {
        tests.extend(FAMILIES.map(|family| law(title, &loads, family)));
    }
    tests
}

/// Loads that share a start of the tool, which in the emulator takes longer than a load.
fn groups() -> Vec<(&'static str, Vec<Load>)> {
    let load = |events, waiters| {
        move |scenario| Load {
            scenario,
            events,
            waiters,
        }
    };
    vec![
        ("one waiter", SINGLE.map(load(EVENTS, None)).into()),
        (
            "timeouts, slow handlers, signals, kills, bursts",
            ROUNDED.map(load(ROUNDS, None)).into(),
        ),
        ("2 waiters compete", SHARED.map(load(EVENTS, Some(2))).into()),
        ("4 waiters compete", SHARED.map(load(EVENTS, Some(4))).into()),
        (
            "400 threads blocked, returns counted",
            vec![load(BLOCKED, Some(400))(CROWD)],
        ),
        (
            "20 processes with 10 epolls each",
            vec![load(FLEET, Some(20))("fleet")],
        ),
    ]
}

/// The lists above name every scenario there is.
fn complete() -> Test {
    let check = |outputs: &Outputs<'_>| {
        let listed = outputs.json_lines(0)?;
        let groups = groups().into_iter().flat_map(|(_, loads)| loads);
        let named: Vec<Load> = groups.chain(races::LOADS).chain([URING]).collect();
        let named = |name: &str| {
            named.iter().any(|load| load.scenario == name)
                || herds::ARRANGEMENTS.contains(&name)
                || name == herds::OF_ONE_ADDRESS
        };
        let missing: Vec<&str> = listed
            .iter()
            .filter_map(|line| line["name"].as_str())
            .filter(|name| !named(name))
            .collect();
        if listed.is_empty() || !missing.is_empty() {
            return Err(format!("{} scenarios, without a test: {missing:?}", listed.len()).into());
        }
        Ok(())
    };
    Test::new("laws: every scenario has its test", check).job(&[
        "epoll-trace",
        "bench",
        "scenario",
        "--list",
        "--json",
    ])
}

/// Where there are none the load says so in a sentence.
fn without_uring() -> Test {
    let check = |outputs: &Outputs<'_>| {
        let job = outputs.exited(0, 1)?;
        match job.stderr.trim_end().lines().collect::<Vec<_>>()[..] {
            [line] if line.contains("cannot wait on an epoll") => Ok(()),
            _ => Err(format!("it says {:?}", job.stderr).into()),
        }
    };
    let words = URING.argv();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (major, minor) = URING_SINCE;
    Test::new("laws: no waits by io_uring, and a load that says so", check)
        .needs(Need::Before(major, minor))
        .job(&words)
}

fn law(title: &str, loads: &[Load], family: Family) -> Test {
    let list = loads.to_vec();
    let check = move |outputs: &Outputs<'_>| held(outputs, 0, &list);
    Test::new(format!("laws: {title}, {}", family.name), check)
        .needs(family.need())
        .run(traced(loads, family, &OPTIONS), GROUP_SECONDS)
}

/// Every run of the job's trace kept its law; the error names each that did not.
fn held(outputs: &Outputs<'_>, job: usize, loads: &[Load]) -> Result<(), Problem> {
    let trace = Trace::new(outputs.json_lines(job)?, outputs.guest())?;
    let mut wrong = Vec::new();
    if Need::Can(Capability::ProbeRead).unmet(outputs.guest()).is_none() {
        for name in KNOWN_BY_ALL {
            if let Some(why) = trace.absent(name)? {
                wrong.push(format!("{name} is absent: {why}"));
            }
        }
    }
    for (run, load) in trace.runs(loads)?.iter().zip(loads) {
        let except: &[&str] = match SCANNED_BY_POLL {
            (scenario, signal, counter) if load.scenario == scenario && trace.loses(signal) => &[counter],
            _ => &[],
        };
        if let Err(Problem::Failed(why)) = run.hold("epoll", except).and_then(|()| sizes(run)) {
            wrong.push(format!("{}: {why}", load.title()));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(wrong.join("\n").into())
}

/// The sizes of deliveries add up to what the counters say, whatever was missed.
fn sizes(run: &Run<'_>) -> Result<(), Problem> {
    let (sizes, lines) = (run.metric("events_per_wait"), run.lines("epoll"));
    let values = (sum(&sizes, "count")?, sum(&sizes, "sum")?);
    let counted = (sum(&lines, "deliveries")?, sum(&lines, "events")?);
    if values == counted {
        return Ok(());
    }
    Err(format!("{values:?} deliveries and events in the histogram of {counted:?}").into())
}

/// One scenario ten times in a row, every event counted in each run. Not with tracepoints alone, which infer wakeups.
/// In short all runs share one start of the tool, in long each has its own.
pub(super) fn repeated(length: Length) -> Vec<Test> {
    const RUNS: usize = 10;
    let (events, jobs) = match length {
        Length::Short => (500, 1),
        Length::Long => (10_000, RUNS),
    };
    let load = Load {
        scenario: "pipe-et",
        events,
        waiters: None,
    };
    let test = |family: Family| {
        let loads = vec![load; RUNS / jobs];
        let words = traced(&loads, family, &OPTIONS);
        let check = move |outputs: &Outputs<'_>| {
            (0..jobs).try_for_each(|job| {
                held(outputs, job, &loads).and_then(|()| exact(outputs, job, &loads, events))
            })
        };
        let name = format!("runs: {RUNS} × {}, {}", load.title(), family.name);
        (0..jobs).fold(Test::new(name, check).needs(family.need()), |test, _| {
            test.run(words.clone(), LONG_SECONDS)
        })
    };
    [FENTRY, KPROBE].map(test).into()
}

/// A wakeup per event that was asked for, to the last one and with both families: a miss excuses none here, since the kernel
/// drops only what it runs with preemption on, and epoll wakes with interrupts off.
fn exact(outputs: &Outputs<'_>, job: usize, loads: &[Load], events: u64) -> Result<(), Problem> {
    let trace = Trace::new(outputs.json_lines(job)?, outputs.guest())?;
    for run in trace.runs(loads)? {
        let wakeups = sum(&run.lines("epoll"), "wakeups")?;
        if wakeups != Some(events) {
            return Err(format!("{wakeups:?} wakeups by {events} events: {}", run.report).into());
        }
    }
    Ok(())
}
