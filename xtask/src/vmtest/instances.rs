//! What epolls are: their items, flags and users, of those from before the tool as of those made under its eyes.

use serde_json::Value;

use super::together::SHOW;
use super::trace::{FAMILIES, FENTRY, Family, KPROBE, Load, TRACEPOINT};
use super::{Need, Outputs, Problem, Test};
use crate::kernels::Capability;

/// A load whose waiters sleep until they are let go, and what each of its epolls is.
struct Held {
    load: Load,
    epolls: usize,
    /// The source, and where there are several waiters the file that stops them.
    items: u64,
    flags: &'static str,
    /// Processes that wait on each.
    users: u64,
}

const fn held(
    scenario: &'static str,
    waiters: Option<u32>,
    epolls: usize,
    items: u64,
    flags: &'static str,
    users: u64,
) -> Held {
    Held {
        load: Load {
            scenario,
            events: 5,
            waiters,
        },
        epolls,
        items,
        flags,
        users,
    }
}

const LOADS: [Held; 5] = [
    held("herd-eventfd-exclusive", Some(3), 3, 2, "ET|EXCL", 1),
    held("fork-shared-et", Some(3), 1, 2, "ET", 3),
    held("fork-shared-lt", Some(2), 1, 2, "ET", 2),
    held("pipe-oneshot", None, 1, 1, "1SHOT", 1),
    held("pipe-lt", None, 1, 1, "LT", 1),
];
const SECONDS: u64 = 150;

/// With the families that see files go; the other one says why it cannot tell.
pub(super) fn tests() -> Vec<Test> {
    let known = [FENTRY, KPROBE].map(|family| {
        [
            test("from before, by fdinfo", BEFORE, family, |lines| {
                check(lines, Users::Unseen)
            }),
            test("made while tracing, by epoll_ctl", DURING, family, |lines| {
                check(lines, Users::All)
            }),
            without(family),
        ]
    });
    let blind = test("without the hooks", DURING, TRACEPOINT, |lines| {
        let scenarios: Vec<&str> = LOADS.iter().map(|held| held.load.scenario).collect();
        unknown(lines, &scenarios, "is not a tracepoint")
    });
    let mut tests: Vec<Test> = known.into_iter().flatten().collect();
    tests.push(blind);
    tests.extend(FAMILIES.map(reused));
    tests
}

/// The loads sleep when the tool comes and when it goes.
const BEFORE: &str = "
start
epoll-trace epolls --json --probes FAMILY -d 1 > /tmp/tool";
/// The tool is there first.
const DURING: &str = "
: > /tmp/tool
epoll-trace epolls --json --probes FAMILY > /tmp/tool & tool=$!
until [ -s /tmp/tool ]; do sleep 0.1; done
start
kill -INT $tool; wait $tool";

fn script(middle: &str, family: Family) -> String {
    let starts: String = LOADS
        .iter()
        .enumerate()
        .map(|(nth, held)| format!("held /tmp/load{nth} {}\n", held.load.argv().join(" ")))
        .collect();
    let waits: String = (0..LOADS.len())
        .map(|nth| format!("until [ -s /tmp/load{nth}.held ]; do sleep 0.1; done\n"))
        .collect();
    let shows: String = (0..LOADS.len())
        .map(|nth| format!("show /tmp/load{nth}\n"))
        .collect();
    format!(
        "{SHOW}
go=/tmp/go.$$
held() {{
    out=$1; shift; : > $out.held
    {{ until [ -e $go ]; do sleep 0.1; done; echo; }} | \"$@\" --hold > $out 2> $out.held &
}}
start() {{
{starts}{waits}
}}
{}
: > $go; wait
show /tmp/tool
{shows}",
        middle.replace("FAMILY", family.name)
    )
}

fn test(title: &str, middle: &str, family: Family, check: fn(&[Value]) -> Result<(), Problem>) -> Test {
    let checked = move |outputs: &Outputs<'_>| check(&outputs.json_lines(0)?);
    let words = ["sh".to_owned(), "-c".to_owned(), script(middle, family)];
    Test::new(format!("instances: {title}, {}", family.name), checked)
        .needs(family.need())
        .needs(Need::Can(Capability::ProbeRead))
        .run(words.into(), SECONDS)
}

/// The load's report, and the tool's lines about its epolls.
fn of<'a>(lines: &'a [Value], scenario: &str) -> Result<Vec<&'a Value>, Problem> {
    let report = lines
        .iter()
        .find(|line| line["kind"] == "scenario" && line["name"] == scenario)
        .ok_or_else(|| format!("{scenario} has no report"))?;
    let waiters = report["threads"].as_array();
    let is_of = |pid: &Value| {
        report["pid"] == *pid
            || waiters.is_some_and(|waiters| waiters.iter().any(|waiter| waiter["pid"] == *pid))
    };
    let epolls = lines
        .iter()
        .filter(|line| line["kind"] == "epoll" && is_of(&line["pid"]));
    Ok(epolls.collect())
}

/// Which of its processes the tool can have seen on an epoll.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Users {
    /// They sleep since before it came.
    Unseen,
    All,
}

fn check(lines: &[Value], users: Users) -> Result<(), Problem> {
    let mut wrong = Vec::new();
    for held in &LOADS {
        let found = of(lines, held.load.scenario)?;
        if found.len() != held.epolls {
            wrong.push(format!("{}: {} epolls", held.load.scenario, found.len()));
        }
        for line in found {
            let seen = users == Users::Unseen || line["processes"] == held.users;
            if line["items"] != held.items || line["flags"] != held.flags || !seen {
                wrong.push(format!("{}: {line}", held.load.scenario));
            }
        }
    }
    ended(wrong)
}

/// Nobody says how many items there are, and the reason has `words`.
fn unknown(lines: &[Value], scenarios: &[&str], words: &str) -> Result<(), Problem> {
    let mut wrong = Vec::new();
    for scenario in scenarios {
        let found = of(lines, scenario)?;
        let known = found.iter().filter(|line| !line["items"].is_null());
        wrong.extend(known.map(ToString::to_string));
        if found.is_empty() {
            wrong.push(format!("{scenario} has no epoll"));
        }
    }
    let losses = lines.iter().rfind(|line| line["kind"] == "losses");
    let reason = losses.and_then(|line| line["absent"]["items"].as_str());
    if !reason.is_some_and(|reason| reason.contains(words)) {
        wrong.push(format!("the reason is {reason:?}"));
    }
    ended(wrong)
}

/// An epoll from before that is waited on under the tool's eyes, and whose fdinfo may not be read.
fn without(family: Family) -> Test {
    /// It lasts 8 s.
    const LOAD: Load = Load {
        scenario: "slow-handler",
        events: 200,
        waiters: None,
    };
    let script = format!(
        "{SHOW}
{} > /tmp/slow & load=$!
sleep 0.5
epoll-trace epolls --json --probes {} -d 1 --no-fdinfo
wait $load; show /tmp/slow",
        LOAD.argv().join(" "),
        family.name
    );
    let check = |outputs: &Outputs<'_>| unknown(&outputs.json_lines(0)?, &[LOAD.scenario], "not read");
    let words = ["sh".to_owned(), "-c".to_owned(), script];
    Test::new(
        format!("instances: from before, without fdinfo, {}", family.name),
        check,
    )
    .needs(family.need())
    .needs(Need::Can(Capability::ProbeRead))
    .run(words.into(), SECONDS)
}

fn ended(wrong: Vec<String>) -> Result<(), Problem> {
    if wrong.is_empty() {
        return Ok(());
    }
    Err(wrong.join("\n  ").into())
}

/// One address after the other is the same epoll to nobody: as many are created and closed as there were.
fn reused(family: Family) -> Test {
    const ROUNDS: u64 = 20;
    let load = Load {
        scenario: "reuse",
        events: ROUNDS,
        waiters: None,
    };
    let mut words: Vec<String> = ["epoll-trace", "epolls", "--json", "--probes", family.name, "--"]
        .map(str::to_owned)
        .into();
    words.extend(load.argv());
    let check = move |outputs: &Outputs<'_>| {
        let lines = outputs.json_lines(0)?;
        let epolls = || lines.iter().filter(|line| line["kind"] == "epoll");
        let sum = |name: &str| epolls().map(|line| line[name].as_u64()).sum::<Option<u64>>();
        let closed = if family == TRACEPOINT { None } else { Some(ROUNDS) };
        let found = (sum("created"), sum("closed"));
        if found != (Some(ROUNDS), closed) {
            return Err(format!("{found:?} of {ROUNDS} created and closed").into());
        }
        Ok(())
    };
    Test::new(format!("instances: addresses used again, {}", family.name), check)
        .needs(family.need())
        .needs(Need::Can(Capability::ProbeRead))
        .run(words, SECONDS)
}
