//! Herds: of a file that several watch, an event reaches and wakes exactly as many as the kernel's rules say.

use serde_json::Value;

use super::trace::{FENTRY, Family, KPROBE, Load, Run, TRACEPOINT, Trace, traced};
use super::{Need, Outputs, Problem, Test, number};
use crate::kernels::Capability;

/// Events of each run: every one counts, so few are enough.
const EVENTS: u64 = 4;
/// How many wait.
const WAITERS: [u32; 3] = [2, 4, 8];
/// Every way to put waiters on one file: own epolls, threads on one epoll, and own epolls on an epoll; for a listener and for an
/// eventfd; level-triggered, EPOLLET, EPOLLONESHOT, EPOLLEXCLUSIVE. And EPOLLEXCLUSIVE behind an epoll that nobody waits on.
pub(super) const ARRANGEMENTS: [&str; 26] = [
    "herd-tcp",
    "herd-tcp-et",
    "herd-tcp-oneshot",
    "herd-tcp-exclusive",
    "herd-eventfd",
    "herd-eventfd-et",
    "herd-eventfd-oneshot",
    "herd-eventfd-exclusive",
    "shared-tcp-lt",
    "shared-tcp-et",
    "shared-tcp-oneshot",
    "shared-tcp-exclusive",
    "shared-eventfd-lt",
    "shared-eventfd-et",
    "shared-eventfd-oneshot",
    "shared-eventfd-exclusive",
    "nested-tcp-lt",
    "nested-tcp-et",
    "nested-tcp-oneshot",
    "nested-tcp-exclusive",
    "nested-eventfd-lt",
    "nested-eventfd-et",
    "nested-eventfd-oneshot",
    "nested-eventfd-exclusive",
    "idle-first",
    "in-turn-tcp",
];
/// Scenarios in which one epoll has each file alone, whoever waits on it: no source is shared.
const ALONE: [&str; 4] = ["pipe-lt", "eventfd-lt", "shared-lt", "nested"];
/// Loads that are there before the tool and stay longer: exclusive workers of which one gets all, and sockets at one address.
const BEFORE: &str = "\
epoll-trace bench scenario herd-eventfd-exclusive --waiters 4 --events 1000000 > /dev/null & herd=$!
epoll-trace bench scenario reuseport --waiters 4 --events 1000000 > /dev/null & group=$!
sleep 2
epoll-trace herd --json --path --probes fentry 1 4; code=$?
kill $herd $group
exit $code";
/// The name of the latter.
pub(super) const OF_ONE_ADDRESS: &str = "reuseport";
/// Blocks of it.
const BLOCKS: usize = 4;
/// Guest seconds for all loads of a start.
const SECONDS: u64 = 240;

/// Every herd with both families that see notifications; that nothing else is one; and the reason where nothing can be known.
pub(super) fn tests() -> Vec<Test> {
    let mut tests = Vec::new();
    for family in [FENTRY, KPROBE] {
        let each = |waiters| ARRANGEMENTS.map(|scenario| load(scenario, Some(waiters)));
        let loads = WAITERS.map(each).concat();
        let name = format!("herds: 2, 4 and 8 waiters in every arrangement, {}", family.name);
        let alone = ALONE.map(|scenario| load(scenario, None));
        let group = load(OF_ONE_ADDRESS, Some(4));
        let loads = [loads, alone.into(), vec![group]].concat();
        let table = loads.clone();
        tests.push(herd(name, family, &loads, move |outputs| check(outputs, &table)));
    }
    let name = "herds: idle workers from before the tool, and sockets of one address";
    let before = Test::new(name, |outputs| {
        idle_before(outputs)?;
        one_address(outputs)
    });
    let before = before
        .needs(FENTRY.need())
        .needs(Need::Can(Capability::ProbeRead));
    tests.push(before.job_with_limit(&["sh", "-c", BEFORE], SECONDS));
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
    for (run, load) in trace.runs(loads)?.iter().zip(loads) {
        if let Err(Problem::Failed(why)) = held(run, load) {
            wrong.push(format!("{}: {why}", load.title()));
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(wrong.join("\n").into())
}

/// The sources of `run` keep the laws of its arrangement.
fn held(run: &Run<'_>, load: &Load) -> Result<(), Problem> {
    if ALONE.contains(&load.scenario) {
        return none(run);
    }
    if load.scenario == OF_ONE_ADDRESS {
        return each_alone(run);
    }
    let has = |word: &str| load.scenario.split('-').any(|part| part == word);
    let kind = if has("nested") {
        "eventpoll"
    } else if has("tcp") || has("idle") {
        "tcp"
    } else {
        "eventfd"
    };
    let items = &run.report["reach"]["items"];
    let sources = run.lines("source");
    // The epoll that the others watch, or the file; and a listener that one epoll watches alone.
    let (main, inner): (Vec<&Value>, Vec<&Value>) = sources
        .iter()
        .partition(|source| !has("nested") || source["listener"] == false);
    let expected = match (has("shared"), has("tcp"), has("nested")) {
        (true, false, _) => (0, 0),
        (_, true, true) => (1, 1),
        _ => (1, 0),
    };
    if (main.len(), inner.len()) != expected {
        return Err(format!("not {expected:?} sources: {sources:?}").into());
    }
    for source in main {
        kept(run, source, kind)?;
    }
    let sent = number(run.report, "events_sent")?;
    // Nobody waits on the epoll inside, which EPOLLEXCLUSIVE tells by what the callback returns.
    let passed_on = if has("exclusive") { sent } else { 0 };
    for listener in inner {
        let keys = ["items", "events", "notifications", "woken", "passed_on"];
        let found = keys.map(|key| listener[key].as_u64());
        if found != [1, sent, sent, 0, passed_on].map(Some) {
            return Err(format!("{found:?} of the listener inside, of {items} outside: {listener}").into());
        }
    }
    chained(run, sent)
}

/// Listeners with a watcher each: together they get every connection, and accept it.
fn each_alone(run: &Run<'_>) -> Result<(), Problem> {
    let sources = run.lines("source");
    let sent = number(run.report, "events_sent")?;
    let sum = |key: &str| -> u64 { sources.iter().filter_map(|source| source[key].as_u64()).sum() };
    let alone = sources
        .iter()
        .all(|source| source["items"] == 1 && source["listener"] == true);
    let accepted = sum("accepts").abs_diff(sent) <= run.excused(sent);
    if !alone || (sum("events"), sum("woken")) != (sent, sent) || !accepted {
        return Err(format!("not {sent} connections, each to one listener: {sources:?}").into());
    }
    Ok(())
}

/// Of one epoll that several wait on, each wakeup at the end of a scan is there with the thread that caused it.
fn chained(run: &Run<'_>, sent: u64) -> Result<(), Problem> {
    let chains = run.lines("chain");
    let reach = &run.report["reach"];
    let Some(each) = reach["chain_per_event"].as_u64().filter(|&each| each > 0) else {
        return match chains.first() {
            None => Ok(()),
            Some(chain) => Err(format!("nobody wakes the next one here: {chain}").into()),
        };
    };
    let [chain] = chains[..] else {
        return Err(format!("{} chains, not one: {chains:?}", chains.len()).into());
    };
    let by_source = sent + number(run.report, "stops")?;
    let waiters = run.report["threads"].as_array().map_or(&[][..], Vec::as_slice);
    let causes = chain["causes"].as_array().map_or(&[][..], Vec::as_slice);
    let caused: u64 = causes.iter().filter_map(|cause| cause["wakeups"].as_u64()).sum();
    let strangers = causes
        .iter()
        .filter(|cause| waiters.iter().all(|waiter| waiter["tid"] != cause["tid"]));
    let found = (
        number(chain, "wakeups_source")?,
        number(chain, "wakeups_chain")?,
        caused,
    );
    let expected = (by_source, each * sent, each * sent);
    if found != expected || strangers.count() > 0 {
        return Err(format!(
            "by source, by chain, with a cause: {found:?}, not {expected:?}\n  the tool: {chain}\n  the load: {}",
            run.report
        )
        .into());
    }
    Ok(())
}

/// `source` is notified, and wakes, as often as the load says; what a dropped hit of a probe may cost is excused as everywhere, but no
/// notification and no wakeup is.
fn kept(run: &Run<'_>, source: &Value, kind: &str) -> Result<(), Problem> {
    let of = |key: &str| number(source, key);
    let reach = |key: &str| number(&run.report["reach"], key);
    let sent = number(run.report, "events_sent")?;
    let mut wrong = Vec::new();
    let mut exact = |what: &str, found: u64, expected: u64| {
        if found != expected {
            wrong.push(format!("{what} {found} instead of {expected}"));
        }
    };
    exact("items", of("items")?, reach("items")?);
    exact("events", of("events")?, sent);
    exact("notifications", of("notifications")?, reach("fan_out")? * sent);
    exact("woken", of("woken")?, reach("woken_per_event")? * sent);
    exact(
        "passed on",
        of("passed_on")?,
        reach("passed_on_per_event")? * sent,
    );
    exact(
        "workers",
        source["workers"].as_array().map_or(0, Vec::len) as u64,
        reach("items")?,
    );
    for ratio in ["fan_out", "woken_per_event"] {
        let expected = reach(ratio)?;
        if source[ratio].as_f64() != Some(expected as f64) {
            wrong.push(format!("{ratio} {} instead of {expected}", source[ratio]));
        }
    }
    let mut close = |what: &str, found: u64, expected: u64, of_all: u64| {
        if found.abs_diff(expected) > run.excused(of_all) {
            wrong.push(format!("{what} {found} instead of {expected}"));
        }
    };
    let wakeups = of("wakeups")?;
    // A wait whose return was missed has a wakeup and no delivery.
    close(
        "empty wakeups",
        of("empty_wakeups")?,
        wakeups - of("deliveries")?,
        wakeups,
    );
    let accepts = run.expected()?.get("accepts").copied().unwrap_or_default();
    if !source["accepts"].is_null() {
        close("accepts", of("accepts")?, accepts, accepts);
        let eagain = if accepts > 0 {
            number(run.report, "eagain")?
        } else {
            0
        };
        close("EAGAIN", of("accept_eagain")?, eagain, eagain);
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

/// Of exclusive workers one gets everything: the others are there nevertheless, in each block, and the inequality shows.
fn idle_before(outputs: &Outputs<'_>) -> Result<(), Problem> {
    let lines = outputs.json_lines(0)?;
    let sources = lines.iter().filter(|line| line["kind"] == "source");
    let sources: Vec<&Value> = sources.filter(|source| source["listener"] == false).collect();
    if sources.len() != BLOCKS {
        return Err(format!("{} blocks with the source: {sources:?}", sources.len()).into());
    }
    for source in sources {
        let workers = source["workers"].as_array().map_or(0, Vec::len);
        let unequal = source["gini"].as_f64().is_some_and(|gini| gini > 0.7);
        if number(source, "items")? != 4 || workers != 4 || !unequal {
            return Err(format!("not four items of which one gets all: {source}").into());
        }
        let busiest = source["workers"].as_array().into_iter().flatten();
        let busiest = busiest.max_by_key(|worker| worker["deliveries"].as_u64());
        // What is on its way at an edge of the block is in one histogram and not yet in the next.
        let path = busiest.is_some_and(|worker| {
            let parts = [
                "wakeup_p99_ns",
                "callback_p99_ns",
                "runqueue_p99_ns",
                "delivery_p99_ns",
            ];
            let share = worker["runqueue_share"].as_f64();
            parts.iter().all(|part| worker[part].as_u64() > Some(0)) && share.is_some_and(|share| share < 1.0)
        });
        if !path {
            return Err(format!("no wake path: {source}").into());
        }
    }
    Ok(())
}

/// Four listeners, each a source of its own with one item and the address; together they get every connection, and each has its accept queue and its limit.
fn one_address(outputs: &Outputs<'_>) -> Result<(), Problem> {
    let lines = outputs.json_lines(0)?;
    let groups: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "reuseport").collect();
    if groups.len() < BLOCKS - 1 {
        return Err(format!("{} blocks with the group: {groups:?}", groups.len()).into());
    }
    for source in lines.iter().filter(|line| line["listener"] == true) {
        let address = source["name"].as_str().unwrap_or_default();
        let alone = (source["items"].as_u64(), source["fan_out"].as_f64()) == (Some(1), Some(1.0));
        if !alone || !address.starts_with("127.0.0.1:") || source["accept_queue"].is_null() {
            return Err(format!("no listener on the loopback with one watcher: {source}").into());
        }
    }
    for group in groups {
        let sockets = group["sockets"].as_array().map_or(&[][..], Vec::as_slice);
        let of = |key: &str| -> u64 { sockets.iter().filter_map(|socket| socket[key].as_u64()).sum() };
        let limits: Vec<&Value> = sockets.iter().map(|socket| &socket["backlog"]).collect();
        let workers = sockets.iter().all(|socket| {
            let workers = socket["workers"].as_array();
            workers.is_some_and(|workers| workers.len() == 1 && workers[0]["pid"].is_u64())
        });
        let connections = number(group, "connections")?;
        // Rows and items are not read at the same moment, so accepts are held to connections in the table only.
        if sockets.len() != 4
            || of("connections") != connections
            || connections == 0
            || of("accepts") == 0
            || !workers
            || limits.iter().any(|&limit| limit != limits[0] || limit.is_null())
        {
            return Err(format!("not four sockets that share all connections: {group}").into());
        }
    }
    Ok(())
}

fn none(run: &Run<'_>) -> Result<(), Problem> {
    match run.lines("source").first() {
        None => Ok(()),
        Some(source) => Err(format!("nobody shares this, and it is no listener: {source}").into()),
    }
}

fn absent(outputs: &Outputs<'_>) -> Result<(), Problem> {
    let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
    match (trace.absent("sources")?, trace.kind("source")[..].first()) {
        (Some(why), None) if !why.is_empty() => Ok(()),
        (why, source) => Err(format!("reason {why:?}, source {source:?}").into()),
    }
}
