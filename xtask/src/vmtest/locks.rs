//! Contention: threads of one epoll fight for its mutex, and each wait is counted once, wherever it is shown.

use std::collections::BTreeSet;

use serde_json::Value;

use super::trace::{FAMILIES, FENTRY, Family, Load, Run, Trace, traced};
use super::{Need, Outputs, Problem, Test, number, races::LOCK_PATHS};
use crate::kernels::Capability;

/// So many that two of them scan at once again and again: each event wakes all, one by one.
const LOAD: Load = Load {
    scenario: "shared-lt",
    events: 2_000,
    waiters: Some(8),
};
/// An epoll each, with one waiter.
const ALONE: Load = Load {
    scenario: "pipe-lt",
    events: 200,
    waiters: None,
};
/// Writers and waiters meet at the spin lock of the ready list: dozens of times, as the emulator lets its CPUs take turns.
const SPUN: Load = Load {
    scenario: "lock-contention",
    events: 200_000,
    waiters: Some(4),
};
/// The fights need CPUs that run at once.
const CPUS: u32 = 4;
const SECONDS: u64 = 200;

/// Every family that sees contention here: before 5.19 that takes fentry.
pub(super) fn tests() -> Vec<Test> {
    let shown = FAMILIES.map(|family| {
        let name = format!("locks: a shared epoll's mutex, {}", family.name);
        Test::new(name, check_shared)
            .needs(sees(family))
            .needs(family.need())
            .run(words("locks", family, &[LOAD, ALONE]), SECONDS)
    });
    let counted = Test::new("locks: hist counts what it measures", check_counted)
        .needs(FENTRY.need())
        .run(
            traced(&[LOAD], FENTRY, &["-E", "--metric", "lock,mutex"]),
            SECONDS,
        );
    let bench = Test::new("locks: bench wait, one epoll against one each", check_bench)
        .needs(FENTRY.need())
        .run(bench_words(), SECONDS);
    let paths = Test::new("locks: fdinfo and close among the paths", check_paths)
        .needs(FENTRY.need())
        .run(words("locks", FENTRY, &[LOCK_PATHS]), SECONDS);
    let spun = Test::new("locks: the ready list's spin lock", check_spun)
        .needs(FENTRY.need())
        .run(words("locks", FENTRY, &[SPUN]), SECONDS);
    shown
        .into_iter()
        .chain([counted, bench, paths, spun])
        .map(|test| test.needs(Need::Can(Capability::ProbeRead)).cpus(CPUS))
        .collect()
}

/// fentry programs see the slow paths themselves where there is no tracepoint.
fn sees(family: Family) -> Need {
    if family == FENTRY {
        family.need()
    } else {
        Need::Since(6, 1)
    }
}

/// As [`traced`], for another command.
fn words(command: &str, family: Family, loads: &[Load]) -> Vec<String> {
    let mut words = traced(loads, family, &[]);
    words[1] = command.to_owned();
    words
}

/// What tells the runs of `bench wait` apart, one after the other.
const MODES: [&str; 2] = ["", "--multiq"];

/// So many that some threads meet at the mutex: how often they do is chance, and with 300 it was once on one kernel.
const OPERATIONS: u32 = 3_000;

fn bench_words() -> Vec<String> {
    let loads =
        MODES.map(|mode| format!("epoll-trace bench wait -t 8 -f 8 --ops {OPERATIONS} --json {mode}"));
    [
        "epoll-trace",
        "locks",
        "--json",
        "--",
        "sh",
        "-c",
        &loads.join(" && "),
    ]
    .map(str::to_owned)
    .to_vec()
}

/// Eight threads fight for the mutex of one epoll; with one each nobody does.
fn check_bench(outputs: &Outputs<'_>) -> Result<(), Problem> {
    let lines = outputs.json_lines(0)?;
    // No Trace: with so many threads a preemptible kernel drops returns of waits, which says nothing of locks.
    let of = |kind: &str| -> Vec<&Value> { lines.iter().filter(|line| line["kind"] == kind).collect() };
    let runs = of("bench_wait");
    let [shared, own] = runs[..] else {
        return Err(format!("{} runs reported, not {}", runs.len(), MODES.len()).into());
    };
    let contended = |run: &Value| -> Vec<&Value> {
        let mut locks = of("lock");
        locks.retain(|line| line["pid"] == run["pid"] && line["lock"] == "mutex");
        locks
    };
    let [mutex] = contended(shared)[..] else {
        return Err(format!("not one mutex with one epoll: {:?}", contended(shared)).into());
    };
    if number(mutex, "count")? == 0 {
        return Err(format!("nobody fights for it: {mutex}").into());
    }
    if !contended(own).is_empty() {
        return Err(format!("mutexes that one thread has alone: {:?}", contended(own)).into());
    }
    Ok(())
}

/// The one epoll that threads share has a contended mutex; what a thread has alone has none.
fn check_shared(outputs: &Outputs<'_>) -> Result<(), Problem> {
    let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
    let runs = trace.runs(&[LOAD, ALONE])?;
    let mutexes = |lines: &[&Value]| -> Vec<Value> {
        let mut lines = lines.to_vec();
        lines.retain(|line| line["lock"] == "mutex");
        lines.into_iter().cloned().collect()
    };
    let [mutex] = &mutexes(&runs[0].lines("lock"))[..] else {
        return Err(format!("not one mutex among {:?}", runs[0].lines("lock")).into());
    };
    let count = number(mutex, "count")?;
    let by_wait = number(&mutex["paths"]["wait"], "count")?;
    let threads = number(mutex, "threads")?;
    // The main thread adds the files, before anybody waits: all that contend are waiters.
    if count == 0 || by_wait != count || !(1..=8).contains(&threads) {
        return Err(
            format!("{count} waits, {by_wait} of them in a wait, by {threads} threads: {mutex}").into(),
        );
    }
    let buckets = mutex["buckets"].as_array().map_or(0, |buckets| {
        buckets.iter().filter_map(|bucket| bucket[2].as_u64()).sum()
    });
    if buckets != count {
        return Err(format!("{buckets} values in the histogram of {count} waits").into());
    }
    let alone = mutexes(&runs[1].lines("lock"));
    if !alone.is_empty() {
        return Err(format!("nobody else takes these: {alone:?}").into());
    }
    Ok(())
}

/// Notifications and waits fight for the lock of the one epoll, in a guest without paravirtual spin locks too, where the tracepoints are
/// silent.
fn check_spun(outputs: &Outputs<'_>) -> Result<(), Problem> {
    let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
    let runs = trace.runs(&[SPUN])?;
    let spins = |run: &Run<'_>| -> Vec<Value> {
        let mut lines = run.lines("lock");
        lines.retain(|line| line["lock"] == "lock");
        lines.into_iter().cloned().collect()
    };
    let [lock] = &spins(&runs[0])[..] else {
        return Err(format!("not one spin lock among {:?}", runs[0].lines("lock")).into());
    };
    let by_notification = number(&lock["paths"]["notification"], "count")?;
    if by_notification == 0 || number(lock, "threads")? < 2 {
        return Err(format!("no notification waited for it, or one thread alone: {lock}").into());
    }
    Ok(())
}

/// Who reads fdinfo, closes files and adds some waits for the same mutex, each named by its path, and paths add up.
fn check_paths(outputs: &Outputs<'_>) -> Result<(), Problem> {
    let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
    let runs = trace.runs(&[LOCK_PATHS])?;
    let lines = runs[0].lines("lock");
    let mut mutexes = lines.iter().filter(|line| line["lock"] == "mutex");
    let (Some(mutex), None) = (mutexes.next(), mutexes.next()) else {
        return Err(format!("not one mutex among {lines:?}").into());
    };
    let paths = mutex["paths"].as_object().ok_or("a lock without paths")?;
    let counts = paths.values().map(|path| number(path, "count"));
    let sum: u64 = counts.sum::<Result<_, _>>()?;
    // What nobody waited on is not listed.
    let unseen = ["fdinfo", "close", "ctl"].map(|path| paths.get(path).is_none());
    println!(
        "VM {}: waits for a mutex by path: {paths:?}",
        outputs.guest().name
    );
    if unseen == [false; 3] && sum == number(mutex, "count")? && !paths.contains_key("other") {
        return Ok(());
    }
    Err(format!("{sum} waits by path: {mutex}").into())
}

/// The counter, the histogram and the epoll's name are of one kind.
fn check_counted(outputs: &Outputs<'_>) -> Result<(), Problem> {
    let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
    let runs = trace.runs(&[LOAD])?;
    let epolls: BTreeSet<&str> = runs[0]
        .lines("epoll")
        .iter()
        .filter_map(|line| line["epoll"].as_str())
        .collect();
    for (metric, counter) in [("lock", "lock_waits"), ("mutex", "mutex_waits")] {
        let counted: u64 = runs[0]
            .lines("epoll")
            .iter()
            .map(|line| number(line, counter))
            .sum::<Result<_, _>>()?;
        let measured: u64 = runs[0]
            .metric(metric)
            .iter()
            .map(|line| number(line, "count"))
            .sum::<Result<_, _>>()?;
        if counted != measured || (metric == "mutex" && counted == 0) {
            return Err(format!("{counter} {counted}, but {measured} values of {metric}").into());
        }
    }
    if epolls.len() != 1 {
        return Err(format!("epolls {epolls:?}, not one").into());
    }
    Ok(())
}
