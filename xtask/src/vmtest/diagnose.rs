//! Findings on real kernels: each diagnosis with a load that must raise it, and one that nearly does.

use serde_json::Value;

use super::trace::{FENTRY, Family, KPROBE};
use super::{Need, Outputs, Problem, Test};
use crate::kernels::Capability;

/// A load below `epoll-trace bench`, the diagnoses it must raise, and those it must not.
type Row = (&'static str, &'static [&'static str], &'static [&'static str]);

/// One after the other, so rates are over the time of all: thresholds of rates and times are those of [`THRESHOLDS`].
const LOADS: &[Row] = &[
    (
        "scenario herd-tcp --waiters 8 --events 100",
        &["D01"],
        &["D02", "D17", "D22"],
    ),
    (
        "scenario herd-tcp-exclusive --waiters 4 --events 100",
        &["D03"],
        &["D01"],
    ),
    (
        "scenario in-turn-tcp --waiters 4 --events 400",
        &[],
        &["D01", "D03", "D09"],
    ),
    ("scenario shared-lt --waiters 4 --events 100", &["D02"], &["D01"]),
    ("scenario shared-et --waiters 4 --events 100", &[], &["D02"]),
    (
        "scenario shared-socketpair-lt --waiters 4 --events 100",
        &[TORN],
        &["D05"],
    ),
    (
        "scenario shared-socketpair-oneshot --waiters 4 --events 200",
        &[],
        &[TORN],
    ),
    ("scenario greedy --events 25", &["D05"], &[TORN]),
    ("scenario greedy-budget --events 25", &[], &["D05"]),
    ("scenario ctl-churn --events 100", &["D09", "D22"], &["D10"]),
    ("scenario pipe-oneshot --events 100", &[], &["D09", "D22"]),
    (
        "scenario unread-level --events 2000",
        &["D11"],
        &["D10", "D12", "D20"],
    ),
    ("scenario pipe-lt --events 200", &[], &["D10", "D11", "D21"]),
    ("scenario timeouts --events 60", &["D12", "D21"], &["D11"]),
    (
        "scenario slow-handler --events 40",
        &["D20"],
        &["D12", "D19", "D21"],
    ),
    ("scenario timers --events 100", &["D21"], &["D12"]),
    (
        "scenario many-blocked --waiters 200 --events 1000",
        &["D19"],
        &["D02"],
    ),
    ("scenario overflow --events 2000", &["D16"], &["D10"]),
    ("wait -t 1 -f 64 --ops 2000", &["D10"], &["D11"]),
];
/// Where the end of a read of fdinfo is seen.
const READ: &[Row] = &[
    ("scenario lock-paths --waiters 2 --events 100", &["D18"], &["D22"]),
    ("scenario pipe-et --events 100", &[], &["D18"]),
];
/// After those side by side, still alive at the end: what they watch is asked of them.
const LIVE: &[Row] = &[
    (
        "scenario et-single-accept --events 2 --stay 25000",
        &["D06"],
        &["D08"],
    ),
    ("scenario tcp-et --events 1000000 --rate 25", &[], &["D06", "D08"]),
    (
        "scenario et-short-read --events 3 --stay 25000",
        &["D06"],
        &["D08"],
    ),
    ("scenario et-slow-read --events 3 --stay 25000", &[], &["D06"]),
    (
        "scenario oneshot-short-read --events 3 --stay 25000",
        &[],
        &["D06"],
    ),
    (
        "scenario dup-close --events 1000000 --rate 25",
        &["D08"],
        &["D06", "D11"],
    ),
    (
        "scenario reuseport-slow --waiters 4 --events 1000000",
        &["D04"],
        &["D08"],
    ),
    (
        "scenario reuseport --waiters 4 --events 1000000 --rate 25",
        &[],
        &["D04"],
    ),
    ("scenario overflow --events 1000000", &["D13"], &["D17"]),
    (
        "scenario nested-tcp-lt --waiters 4 --events 1000000",
        &["D17"],
        &["D01", "D13"],
    ),
    ("scenario nested --events 1000000", &[], &["D17", "D13"]),
];
/// With four CPUs, which fight for the mutex and for the spin lock.
const FOUGHT: &[Row] = &[
    ("wait -t 8 -f 8 --ops 3000", &["D15"], &["D22"]),
    (
        "scenario lock-contention --waiters 4 --events 200000",
        &["D14"],
        &["D22"],
    ),
    ("scenario pipe-lt --events 200", &[], &["D14", "D15"]),
];
/// Rates are over the time of all loads, and times are those of an emulated machine.
const THRESHOLDS: &[&str] = &[
    "herd-rate=1",
    "chain-rate=1",
    "poll-share=0.4",
    "skew-each=5",
    "skew-queue=2",
    "nested-woken=1.5",
    "starve-p99-us=17000",
    "poll-rate=1",
    "timer-rate=1",
    "reader-us=1",
    "loop-p99-ms=15",
    "loop-max-ms=1000000",
    "overflow-share=0.01",
    "overflow-scan-us=1",
    "lock-p99-us=0.5",
    "mutex-p99-us=1",
];
/// Samples that a rule takes here, in place of 100; and of waits for a lock: who has it alone may lose its CPU with it once, and a writer waits.
const ENOUGH: u32 = 50;
const SOME: u32 = 3;
/// Who the loads are that were left behind: asked at the end, when all have their children.
const WHO: &str = r#"
sleep 3
for load in $loads; do
    read children < /proc/$load/task/$load/children
    echo "{\"kind\":\"load\",\"pids\":\"$load $children\"}"
done"#;
/// All diagnoses.
const ALL: usize = 22;
/// The one whose numbers the load knows itself.
const TORN: &str = "D07";
/// A load whose files have the same word in epoll_event.data.
const ONE_WORD: &str = "overflow";
/// Losses that say nothing of findings: of a preemptible kernel, of the start, and of deliveries larger than is looked at, as some loads
/// have them.
const HARMLESS: [&str; 4] = ["probe_misses", "returns_missed", "fdinfo_cut", "events_unread"];
const CPUS: u32 = 4;
const SECONDS: u64 = 240;
/// `--fail-on` found something.
const FOUND: i32 = 3;

/// Major and minor version of a kernel.
type Series = (u32, u32);

/// Where the table runs: family, the first series, and the first that is left out. Each run costs half a minute.
const RUNS: [(Family, Series, Series); 3] = [
    (FENTRY, (6, 1), (6, 12)),
    (FENTRY, (6, 18), (7, 0)),
    (KPROBE, (7, 3), (u32::MAX, 0)),
];

/// Where locks are fought for: the first series, and the first that is left out.
const FOUGHT_ON: [(Series, Series); 2] = [((6, 1), (6, 12)), ((6, 18), (7, 0))];

/// The table; locks; a calm system; and one that shows little.
pub(super) fn tests() -> Vec<Test> {
    let table = RUNS.map(|(family, (major, minor), end)| {
        let name = format!(
            "diagnose: raised and near misses, {}, {major}.{minor}",
            family.name
        );
        let loads = [LOADS, if family == FENTRY { READ } else { &[] }].concat();
        let rows = [&loads, LIVE].concat();
        Test::new(name, move |outputs| check(outputs, &rows))
            .needs(family.need())
            .needs(Need::Since(major, minor))
            .needs(Need::Before(end.0, end.1))
            .run(words(family, &loads, LIVE), SECONDS)
    });
    let fought = FOUGHT_ON.map(|((major, minor), end)| {
        Test::new(format!("diagnose: locks, {major}.{minor}"), |outputs| {
            check(outputs, FOUGHT)
        })
        .needs(FENTRY.need())
        .needs(Need::Since(major, minor))
        .needs(Need::Before(end.0, end.1))
        .cpus(CPUS)
        .run(words(FENTRY, FOUGHT, &[]), SECONDS)
    });
    let calm = "epoll-trace diagnose --fail-on info --threshold runqueue-p99-us=1000000 --threshold loop-max-ms=1000000 \
                --threshold loop-p99-ms=1000000 -- epoll-trace bench scenario tcp-lt --events 200 --json";
    let calm = Test::new("diagnose: a calm system, and what cannot be checked", check_calm)
        .needs(FENTRY.need())
        .needs(Need::Before(6, 1))
        .job(&calm.split_whitespace().collect::<Vec<_>>());
    let all = table.into_iter().chain(fought);
    all.map(|test| test.needs(Need::Can(Capability::ProbeRead)))
        .chain([calm, blind()])
        .collect()
}

/// Where the kernel shows no wakeup's cause, no diagnosis that rests on it may look as if all were well.
fn blind() -> Test {
    let words =
        "epoll-trace diagnose --json -- epoll-trace bench scenario herd-tcp --waiters 4 --events 200 --json";
    Test::new("diagnose: a herd that cannot be seen", |outputs| {
        let lines = outputs.json_lines(0)?;
        for id in ["D01", "D02", "D03", "D05", TORN, "D17"] {
            let outcome = outcome(&lines, id)?;
            if outcome["outcome"] != "unchecked" || outcome["why"].as_str().is_none_or(str::is_empty) {
                return Err(format!("{id} is {outcome}").into());
            }
        }
        Ok(())
    })
    .needs(Need::Cannot(Capability::ProbeRead))
    .job(&words.split(' ').collect::<Vec<_>>())
}

/// `one_by_one`, and then `alive` beside each other, which say who they are as a load's own report would, and are left behind.
fn words(family: Family, one_by_one: &[Row], alive: &[Row]) -> Vec<String> {
    let thresholds: Vec<String> = THRESHOLDS
        .iter()
        .map(|one| format!("--threshold {one}"))
        .collect();
    // How often threads meet at a lock is chance.
    let samples = if one_by_one == FOUGHT { SOME } else { ENOUGH };
    let tool = format!(
        "epoll-trace diagnose --json --fail-on warn --probes {} {} --threshold samples={samples}",
        family.name,
        thresholds.join(" ")
    );
    let loads: Vec<String> = one_by_one
        .iter()
        .map(|(load, ..)| format!("epoll-trace bench {load} --json || exit"))
        .collect();
    let mut script = loads.join("\n");
    for (load, ..) in alive {
        script += &format!("\nepoll-trace bench {load} > /dev/null & loads=\"$loads $!\"; sleep 0.5");
    }
    if !alive.is_empty() {
        script += WHO;
    }
    let mut words: Vec<String> = tool.split(' ').map(str::to_owned).collect();
    words.extend(["--".to_owned(), "sh".to_owned(), "-c".to_owned(), script]);
    words
}

/// The processes of each load, in their order.
fn processes(line: &Value) -> Option<Vec<u64>> {
    match line["kind"].as_str()? {
        "load" => {
            let pids = line["pids"].as_str()?.split_whitespace();
            Some(pids.filter_map(|pid| pid.parse().ok()).collect())
        }
        "scenario" | "bench_wait" => {
            let waiters = line["threads"].as_array().into_iter().flatten();
            let pids = waiters.filter_map(|waiter| waiter["pid"].as_u64());
            Some(pids.chain(line["pid"].as_u64()).collect())
        }
        _ => None,
    }
}

fn outcome<'a>(lines: &'a [Value], id: &str) -> Result<&'a Value, Problem> {
    let line = lines.iter().find(|line| line["kind"] == "checks");
    let checks = line.and_then(|line| line["checks"].as_array());
    let checks = checks.ok_or("nothing says what was checked")?;
    if checks.len() != ALL {
        return Err(format!("{} diagnoses, not {ALL}", checks.len()).into());
    }
    let found = checks.iter().find(|check| check["id"] == id);
    found.ok_or_else(|| format!("{id} is not among the checks").into())
}

/// Each load raised what it must, and not what it must not; each finding is whole; nothing that matters was lost.
fn check(outputs: &Outputs<'_>, rows: &[Row]) -> Result<(), Problem> {
    let text = &outputs.exited(0, FOUND)?.stdout;
    let parse = |line: &str| {
        serde_json::from_str(line).map_err(|error| Problem::from(format!("not JSON ({error}): {line}")))
    };
    let lines: Vec<Value> = text.lines().map(parse).collect::<Result<_, _>>()?;
    let loads: Vec<Vec<u64>> = lines.iter().filter_map(processes).collect();
    if loads.len() != rows.len() {
        return Err(format!("{} loads reported, not {}", loads.len(), rows.len()).into());
    }
    let findings: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "finding").collect();
    let mut wrong: Vec<String> = findings.iter().filter_map(|finding| broken(finding)).collect();
    for ((load, raises, calm), pids) in rows.iter().zip(&loads) {
        let own = |finding: &&&Value| finding["pid"].as_u64().is_some_and(|pid| pids.contains(&pid));
        let own: Vec<&Value> = findings.iter().filter(own).copied().collect();
        let has = |id: &str| own.iter().find(|finding| finding["id"] == id);
        for id in raises.iter().filter(|id| has(id).is_none()) {
            wrong.push(format!("{load}: no {id}, which is {}", outcome(&lines, id)?));
        }
        for finding in calm.iter().filter_map(|id| has(id)) {
            wrong.push(format!("{load}: {finding}"));
        }
    }
    wrong.extend(torn(&lines, &findings));
    let one_word = rows.iter().any(|(load, ..)| load.contains(ONE_WORD));
    let check = outcome(&lines, TORN)?;
    if one_word && check["unknown"] == 0 {
        wrong.push(format!("{ONE_WORD} has many files with one word, and {check}"));
    }
    wrong.extend(lines.iter().filter_map(lost));
    if wrong.is_empty() {
        return Ok(());
    }
    Err(wrong.join("\n").into())
}

/// A load whose threads all get each event before any takes it: one of them first, the others while that is still at it. A return that
/// was dropped takes its delivery along, and what another thread would have met in it.
fn torn(lines: &[Value], findings: &[&Value]) -> Option<String> {
    let finding = findings.iter().find(|finding| finding["id"] == TORN)?;
    let load = lines
        .iter()
        .find(|line| line["kind"] == "scenario" && line["pid"] == finding["pid"])?;
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let events = load["threads"].as_array().into_iter().flatten();
    let delivered = events.map(|thread| count(&thread["events"])).sum::<u64>() - count(&load["stops"]);
    let overlapping = delivered - count(&load["events_sent"]);
    let losses = lines.iter().find(|line| line["kind"] == "losses")?;
    let missed = ["probe_misses", "returns_missed"].map(|loss| count(&losses["losses"][loss]));
    let missed: u64 = missed.iter().sum();
    let evidence = &finding["evidence"];
    let (ours, overlaps) = (
        count(&evidence["stream_deliveries"]),
        count(&evidence["overlaps"]),
    );
    let whole = (delivered.saturating_sub(missed)..=delivered).contains(&ours);
    // Two threads that return within 100 ns of each other may each not see the other; and once in some runs the first of a round was
    // counted too.
    let off = overlapping / 20;
    let least = overlapping.saturating_sub(2 * missed + off);
    let met = (least..=overlapping + off).contains(&overlaps);
    (!whole || !met)
        .then(|| format!("{delivered} deliveries, {overlapping} of them to another thread too: {finding}"))
}

/// What a finding lacks.
fn broken(finding: &Value) -> Option<String> {
    let text = |key: &str| finding[key].as_str().is_some_and(|text| !text.is_empty());
    let texts = ["severity", "confidence", "sentence", "remedy", "price", "command"];
    let whole = texts.into_iter().all(text);
    let evidence = finding["evidence"].as_object().map_or(0, serde_json::Map::len);
    (!whole || evidence != 3).then(|| format!("not whole: {finding}"))
}

fn lost(line: &Value) -> Option<String> {
    let losses = line["losses"].as_object()?;
    let counts = |name: &String, count: &Value| *count != 0 && !HARMLESS.contains(&name.as_str());
    let lost = losses.iter().any(|(name, count)| counts(name, count));
    lost.then(|| format!("losses: {}", line["losses"]))
}

/// Words for a person: nothing found, what was checked, and what could not be.
fn check_calm(outputs: &Outputs<'_>) -> Result<(), Problem> {
    let text = outputs.stdout(0)?;
    let said = [
        "Nothing found in",
        "checked, and does not hold: ",
        "could not be checked:",
        "D06 an edge-triggered event was lost: ",
        "losses: ",
    ];
    for part in said {
        if !text.contains(part) {
            return Err(format!("it does not say `{part}`: {text}").into());
        }
    }
    Ok(())
}
