//! What epolls are: their items, flags and users, of those from before the tool as of those made under its eyes.

use super::together::SHOW;
use super::trace::{FAMILIES, FENTRY, Family, KPROBE, Load, TRACEPOINT, Trace, sum};
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
            test("from before, by fdinfo", BEFORE, family, |trace| {
                check(trace, Users::Unseen)
            }),
            test("made while tracing, by epoll_ctl", DURING, family, |trace| {
                check(trace, Users::All)
            }),
            without(family),
        ]
    });
    let blind = test("without the hooks", DURING, TRACEPOINT, |trace| {
        unknown(trace, &LOADS.map(|held| held.load), "is not a tracepoint")
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

/// Starts a load that waits for the file `$go` once its waiters sleep, and says so in its own file.
const HELD: &str = r#"go=/tmp/go.$$
held() {
    out=$1; shift; : > $out.held
    { until [ -e $go ]; do sleep 0.1; done; echo; } | "$@" --hold > $out 2> $out.held &
}
"#;

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
        "{SHOW}{HELD}start() {{
{starts}{waits}
}}
{}
: > $go; wait
show /tmp/tool
{shows}",
        middle.replace("FAMILY", family.name)
    )
}

fn test(title: &str, middle: &str, family: Family, check: fn(&Trace) -> Result<(), Problem>) -> Test {
    let checked = move |outputs: &Outputs<'_>| check(&Trace::new(outputs.json_lines(0)?, outputs.guest())?);
    let words = ["sh".to_owned(), "-c".to_owned(), script(middle, family)];
    Test::new(format!("instances: {title}, {}", family.name), checked)
        .needs(family.need())
        .needs(Need::Can(Capability::ProbeRead))
        .run(words.into(), SECONDS)
}

/// Which of its processes the tool can have seen on an epoll.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Users {
    /// They sleep since before it came.
    Unseen,
    All,
}

fn check(trace: &Trace, users: Users) -> Result<(), Problem> {
    let runs = trace.runs(&LOADS.map(|held| held.load))?;
    let (mut wrong, mut unread) = (Vec::new(), 0);
    for (held, run) in LOADS.iter().zip(runs) {
        let found = run.lines("epoll");
        if found.len() > held.epolls {
            return Err(format!("{}: {} epolls", held.load.scenario, found.len()).into());
        }
        unread += held.epolls - found.len();
        for line in found {
            let seen = users == Users::Unseen || line["processes"] == held.users;
            if seen && line["items"].is_null() && line["flags"].is_null() {
                unread += 1;
            } else if line["items"] != held.items || line["flags"] != held.flags || !seen {
                wrong.push(format!("{}: {line}", held.load.scenario));
            }
        }
    }
    // Of those made under its eyes nothing is read.
    let cut = if users == Users::Unseen {
        trace.left_out()?
    } else {
        0
    };
    if cut > 0 {
        println!("{unread} epolls unknown, {cut} left out in one run");
    }
    let unexplained = unread.saturating_sub(usize::try_from(cut).unwrap_or(usize::MAX));
    wrong.extend((0..unexplained).map(|_| "an epoll is unknown".to_owned()));
    ended(trace, LOADS.iter().map(|held| held.epolls).sum(), wrong)
}

/// Nobody says how many items there are, and the reason has `words`.
fn unknown(trace: &Trace, loads: &[Load], words: &str) -> Result<(), Problem> {
    let mut unseen = Vec::new();
    for (load, run) in loads.iter().zip(trace.runs(loads)?) {
        let found = run.lines("epoll");
        if let Some(known) = found.iter().find(|line| !line["items"].is_null()) {
            return Err(known.to_string().into());
        }
        if found.is_empty() {
            unseen.push(format!("{} has no epoll", load.scenario));
        }
    }
    says_why(trace, words)?;
    ended(trace, loads.len(), unseen)
}

fn says_why(trace: &Trace, words: &str) -> Result<(), Problem> {
    match trace.absent("items")? {
        Some(reason) if reason.contains(words) => Ok(()),
        reason => Err(format!("the reason is {reason:?}").into()),
    }
}

/// An epoll from before that is waited on under the tool's eyes, and whose fdinfo may not be read.
fn without(family: Family) -> Test {
    /// Begins when the tool is there, and lasts longer than that, however slow both are; what a job leaves is killed.
    const LOAD: Load = Load {
        scenario: "pipe-lt",
        events: 500_000,
        waiters: None,
    };
    let script = format!(
        "{SHOW}{HELD}
held /tmp/load {}
until [ -s /tmp/load.held ]; do sleep 0.1; done
: > /tmp/tool
epoll-trace epolls --json --probes {} --no-fdinfo > /tmp/tool & tool=$!
until [ -s /tmp/tool ]; do sleep 0.1; done
: > $go; sleep 3
kill -INT $tool; wait $tool
show /tmp/tool",
        LOAD.argv().join(" "),
        family.name
    );
    let check = |outputs: &Outputs<'_>| {
        let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
        let epolls = trace.kind("epoll");
        if epolls.is_empty() || epolls.iter().any(|line| !line["items"].is_null()) {
            return Err(format!("not an epoll whose items are unknown: {epolls:?}").into());
        }
        says_why(&trace, "not read")
    };
    let words = ["sh".to_owned(), "-c".to_owned(), script];
    Test::new(
        format!("instances: from before, without fdinfo, {}", family.name),
        check,
    )
    .needs(family.need())
    .needs(Need::Can(Capability::ProbeRead))
    .run(words.into(), SECONDS)
}

/// Each line of so many is right, but that a hit the kernel dropped is one of one epoll: its epoll_ctl or wait is not counted.
fn ended(trace: &Trace, of: usize, wrong: Vec<String>) -> Result<(), Problem> {
    if wrong.len() as u64 <= trace.excused(of as u64) {
        return Ok(());
    }
    Err(format!(
        "{} hits missed, but wrong:\n  {}",
        trace.misses,
        wrong.join("\n  ")
    )
    .into())
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
        let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
        let lines = trace.kind("epoll");
        // A begin or an end is one hit: what the kernel dropped is missing here.
        let least = ROUNDS - trace.excused(ROUNDS);
        let all = |count: Option<u64>| count.is_some_and(|count| (least..=ROUNDS).contains(&count));
        let (created, closed) = (sum(&lines, "created")?, sum(&lines, "closed")?);
        let ends = if family == TRACEPOINT {
            closed.is_none()
        } else {
            all(closed)
        };
        if !all(created) || !ends {
            return Err(format!("{created:?} created and {closed:?} closed, not {ROUNDS}").into());
        }
        Ok(())
    };
    Test::new(format!("instances: addresses used again, {}", family.name), check)
        .needs(family.need())
        .needs(Need::Can(Capability::ProbeRead))
        .run(words, SECONDS)
}
