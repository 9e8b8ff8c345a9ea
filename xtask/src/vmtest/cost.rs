//! `overhead`: the kernel's own count of our programs' runs, under a load that says how often it woke somebody.

use serde_json::Value;

use super::trace::{FAMILIES, Family};
use super::{Outputs, Problem, Test};

/// Events of the load, each a wakeup.
const EVENTS: u64 = 200;

/// The trace, the load's report, and what is loaded before and after. Programs go a little later than their process.
const SCRIPT: &str = r#"
before=$(bpftool -j prog show)
epoll-trace overhead --json --counters --probes FAMILY -- epoll-trace bench scenario pipe-lt --json --events EVENTS || exit 1
tries=0
while after=$(bpftool -j prog show); [ "$after" != "$before" ] && [ "$after" != "[]" ] && [ $tries -lt 50 ]; do
    tries=$((tries + 1))
    sleep 0.2
done
printf '%s\n' "$before" "$after"
"#;

/// Every family.
pub(super) fn tests() -> Vec<Test> {
    FAMILIES.map(test).into()
}

fn test(family: Family) -> Test {
    let script = SCRIPT
        .replace("FAMILY", family.name)
        .replace("EVENTS", &EVENTS.to_string());
    Test::new(format!("overhead: runs are counted, {}", family.name), check)
        .needs(family.need())
        .job(&["sh", "-c", &script])
}

fn check(outputs: &Outputs<'_>) -> Result<(), Problem> {
    let lines = outputs.json_lines(0)?;
    let [_plan, report, cost, before, after] = &lines[..] else {
        return Err(format!("not five lines: {lines:?}").into());
    };
    // What an earlier test left to the kernel to free may go meanwhile.
    let listed = |list: &Value| list.as_array().cloned().unwrap_or_default();
    if let Some(left) = listed(after).iter().find(|one| !listed(before).contains(one)) {
        return Err(format!("still loaded: {left}").into());
    }
    if report["events_sent"] != EVENTS
        || cost["kind"] != "overhead"
        || cost["absent"] != serde_json::json!({})
    {
        return Err(format!("the load says {report}, the tool {cost}").into());
    }
    let programs = cost["programs"].as_array().map_or(&[][..], Vec::as_slice);
    let named = |program: &&Value| {
        program["program"]
            .as_str()
            .is_some_and(|name| name.starts_with("wakeup_"))
    };
    let Some(wakeup) = programs.iter().find(named) else {
        return Err(format!("no program of the wakeup: {cost}").into());
    };
    let number = |from: &Value, name: &str| from[name].as_u64().unwrap_or(0);
    // A hit that was dropped is no run.
    let hits = number(wakeup, "runs") + number(wakeup, "misses");
    if hits < EVENTS || number(wakeup, "run_ns") == 0 {
        return Err(format!("{EVENTS} wakeups, and {wakeup}").into());
    }
    let memory = ["map_bytes", "agent_bytes", "agent_ns"].map(|name| number(cost, name));
    if memory.contains(&0) {
        return Err(format!("nothing is free, but {cost}").into());
    }
    Ok(())
}
