//! Herds: of a file that several watch, an event reaches and wakes exactly as many as the kernel's rules say.

use serde_json::Value;

use super::trace::{FENTRY, Family, KPROBE, Load, Run, TRACEPOINT, Trace, traced};
use super::{Need, Outputs, Problem, Test};
use crate::kernels::Capability;

/// Events of each run.
const EVENTS: u64 = 50;
/// So many that a run lasts for several looks of the tool, a second apart.
const LOOKED_AT: u64 = 1_500;
/// How many wait.
const WAITERS: [u32; 3] = [2, 4, 8];
/// Scenarios in which each waiter has its own epoll on one file: kind of the file, as the tool calls it, and whether they ask for one
/// waiter per event.
const HERDS: [(&str, &str, bool); 4] = [
    ("herd-tcp", "tcp", false),
    ("herd-tcp-exclusive", "tcp", true),
    ("herd-eventfd", "eventfd", false),
    ("herd-eventfd-exclusive", "eventfd", true),
];
/// Scenarios in which one epoll has each file alone, whoever waits on it: no source is shared.
const ALONE: [&str; 3] = ["pipe-lt", "shared-lt", "nested"];
/// A load that is there before the tool and stays longer.
const BEFORE: &str = "\
epoll-trace bench scenario herd-eventfd-exclusive --waiters 4 --events 1000000 > /dev/null & load=$!
sleep 1
epoll-trace herd --json --probes fentry 1 4; code=$?
kill $load
exit $code";
/// Blocks of it.
const BLOCKS: usize = 4;
/// Guest seconds for all loads of a start.
const SECONDS: u64 = 240;

/// Every herd with both families that see notifications; that nothing else is one; and the reason where nothing can be known.
pub(super) fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for family in [FENTRY, KPROBE] {
        for waiters in WAITERS {
            let loads = HERDS.map(|(scenario, ..)| load(scenario, Some(waiters)));
            let name = format!("herds: {waiters} epolls on one file, {}", family.name);
            tests.push(herd(name, family, &loads, move |outputs| check(outputs, &loads)));
        }
        let loads = ALONE.map(|scenario| load(scenario, None));
        let name = format!("herds: a file of one epoll is none, {}", family.name);
        tests.push(herd(name, family, &loads, move |outputs| none(outputs, &loads)));
    }
    let long = [Load {
        events: LOOKED_AT,
        ..load("herd-tcp", Some(2))
    }];
    let name = "herds: a listener has its address";
    tests.push(herd(name.to_owned(), FENTRY, &long, move |outputs| {
        named(outputs, &long)
    }));
    let name = "herds: idle workers from before the tool";
    let idle = Test::new(name, idle_before)
        .needs(FENTRY.need())
        .needs(Need::Can(Capability::ProbeRead));
    tests.push(idle.job_with_limit(&["sh", "-c", BEFORE], SECONDS));
    let loads = [load("herd-eventfd", Some(2))];
    let name = "herds: tracepoints alone say why not";
    tests.push(herd(name.to_owned(), TRACEPOINT, &loads, absent));
    tests
}

const fn load(scenario: &'static str, waiters: Option<u32>) -> Load {
    Load {
        scenario,
        events: EVENTS,
        waiters,
    }
}

fn herd(
    name: String,
    family: Family,
    loads: &[Load],
    check: impl Fn(&Outputs<'_>) -> Result<(), Problem> + 'static,
) -> Test {
    let mut words = traced(loads, family, &[]);
    words[1] = "herd".to_owned();
    let test = Test::new(name, check).needs(family.need()).run(words, SECONDS);
    if family == TRACEPOINT {
        return test;
    }
    test.needs(Need::Can(Capability::ProbeRead))
}

fn check(outputs: &Outputs<'_>, loads: &[Load]) -> Result<(), Problem> {
    let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
    let mut wrong = Vec::new();
    for ((run, load), (_, kind, exclusive)) in trace.runs(loads)?.iter().zip(loads).zip(HERDS) {
        let said = held(run, kind, exclusive);
        if let Err(Problem::Failed(why)) = said {
            wrong.push(format!("{}: {why}", load.title()));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(wrong.join("\n").into())
}

fn number(value: &Value, key: &str) -> Result<u64, Problem> {
    value[key]
        .as_u64()
        .ok_or_else(|| Problem::from(format!("no {key} in {value}")))
}

/// The one source of `run` keeps the laws; what a dropped hit of a probe may cost is excused as everywhere, but no notification and
/// no wakeup is.
fn held(run: &Run<'_>, kind: &str, exclusive: bool) -> Result<(), Problem> {
    let sources = run.lines("source");
    let [source] = sources[..] else {
        return Err(format!("{} sources, not one: {sources:?}", sources.len()).into());
    };
    let of = |key: &str| number(source, key);
    let (waiters, sent) = (number(run.report, "waiters")?, number(run.report, "events_sent")?);
    let each = if exclusive { 1 } else { waiters };
    let mut wrong = Vec::new();
    let mut exact = |what: &str, found: u64, expected: u64| {
        if found != expected {
            wrong.push(format!("{what} {found} instead of {expected}"));
        }
    };
    exact("items", of("items")?, waiters);
    exact("events", of("events")?, sent);
    exact("notifications", of("notifications")?, each * sent);
    exact("woken", of("woken")?, each * sent);
    exact(
        "workers",
        source["workers"].as_array().map_or(0, Vec::len) as u64,
        waiters,
    );
    for ratio in ["fan_out", "woken_per_event"] {
        if source[ratio].as_f64() != Some(each as f64) {
            wrong.push(format!("{ratio} {} instead of {each}", source[ratio]));
        }
    }
    let mut close = |what: &str, found: u64, expected: u64| {
        if found.abs_diff(expected) > run.excused(expected) {
            wrong.push(format!("{what} {found} instead of {expected}"));
        }
    };
    close(
        "empty wakeups",
        of("empty_wakeups")?,
        of("wakeups")? - of("deliveries")?,
    );
    if kind == "tcp" && !source["accepts"].is_null() {
        close("accepts", of("accepts")?, sent);
        close("EAGAIN", of("accept_eagain")?, number(run.report, "eagain")?);
    }
    // A load that is over before the tool looks leaves nobody to ask.
    if !source["source"].is_null() && source["source"] != kind {
        wrong.push(format!("it is called {}", source["source"]));
    }
    if source["source"].is_null() && source["unnamed"].as_str().is_none_or(str::is_empty) {
        wrong.push("it has no name and no reason".to_owned());
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}\n  the tool: {source}\n  the load: {}",
        wrong.join(", "),
        run.report
    )
    .into())
}

/// Names come from the processes, so while they live.
fn named(outputs: &Outputs<'_>, loads: &[Load]) -> Result<(), Problem> {
    let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
    for run in trace.runs(loads)? {
        held(&run, "tcp", false)?;
        for source in run.lines("source") {
            let address = source["name"].as_str().unwrap_or_default();
            if !address.starts_with("127.0.0.1:") || source["accept_queue_when_found"].is_null() {
                return Err(format!("no listener on the loopback: {source}").into());
            }
        }
    }
    Ok(())
}

/// Of exclusive workers one gets everything: the others are there nevertheless, in each block, and the inequality shows.
fn idle_before(outputs: &Outputs<'_>) -> Result<(), Problem> {
    let lines = outputs.json_lines(0)?;
    let sources: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "source").collect();
    if sources.len() != BLOCKS {
        return Err(format!("{} blocks with the source: {sources:?}", sources.len()).into());
    }
    for source in sources {
        let workers = source["workers"].as_array().map_or(0, Vec::len);
        let unequal = source["gini"].as_f64().is_some_and(|gini| gini > 0.7);
        if number(source, "items")? != 4 || workers != 4 || !unequal {
            return Err(format!("not four items of which one gets all: {source}").into());
        }
    }
    Ok(())
}

fn none(outputs: &Outputs<'_>, loads: &[Load]) -> Result<(), Problem> {
    let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
    let runs = trace.runs(loads)?;
    match runs.iter().flat_map(|run| run.lines("source")).next() {
        None => Ok(()),
        Some(source) => Err(format!("nobody shares this: {source}").into()),
    }
}

fn absent(outputs: &Outputs<'_>) -> Result<(), Problem> {
    let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
    match (trace.absent("sources")?, trace.kind("source")[..].first()) {
        (Some(why), None) if !why.is_empty() => Ok(()),
        (why, source) => Err(format!("reason {why:?}, source {source:?}").into()),
    }
}
