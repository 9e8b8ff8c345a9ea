//! The tool over a system that does other things: a second tool at work, and waiters that slept before it came.

use std::collections::BTreeMap;

use serde_json::Value;

use super::trace::{FAMILIES, FENTRY, Family, KPROBE, Load, Run, TRACEPOINT, Trace};
use super::{Need, Outputs, Problem, Test};
use crate::kernels::Capability;

/// Prints the file: there is no `cat`.
pub(super) const SHOW: &str = r#"show() { while read -r line; do printf '%s\n' "$line"; done < $1; }
"#;

/// Two instances, and coming late with every family.
pub(super) fn tests() -> Vec<Test> {
    let late = FAMILIES.map(late);
    std::iter::once(two_instances()).chain(late).collect()
}

/// Processes with an own epoll each.
pub(super) const HERD: Load = Load {
    scenario: "herd-eventfd",
    events: 50,
    waiters: Some(2),
};
/// Threads on one epoll.
pub(super) const THREADS: Load = Load {
    scenario: "shared-et",
    events: 50,
    waiters: Some(3),
};

/// Both trace everything, one with each family, and both count the load right; neither lists itself.
fn two_instances() -> Test {
    let script = format!(
        "{SHOW}
: > /tmp/first; : > /tmp/second
epoll-trace hist -E --json --counters --probes {} > /tmp/first & one=$!
epoll-trace hist -E --json --counters --probes {} > /tmp/second & two=$!
until [ -s /tmp/first ] && [ -s /tmp/second ]; do sleep 0.1; done
{} > /tmp/load
kill -INT $one $two; wait $one; wait $two
echo $one; show /tmp/load; show /tmp/first; echo $two; show /tmp/load; show /tmp/second",
        FENTRY.name,
        KPROBE.name,
        HERD.argv().join(" "),
    );
    let check = |outputs: &Outputs<'_>| {
        let tools = tools(outputs)?;
        if tools.len() != 2 {
            return Err(format!("{} instances reported", tools.len()).into());
        }
        for (tool, trace) in tools {
            not_itself(tool, &trace)?;
            trace.runs(&[HERD])?[0].hold("epoll", &[])?;
        }
        Ok(())
    };
    Test::new("together: a fentry and a kprobe instance at once", check)
        .needs(FENTRY.need())
        .needs(KPROBE.need())
        .job(&["sh", "-c", &script])
}

/// The waiters sleep before the tool comes. Their first wakeup counts like every other.
fn late(family: Family) -> Test {
    let script = format!(
        "{SHOW}
: > /tmp/plan; : > /tmp/herd.held; : > /tmp/threads.held
held() {{
    out=$1; shift
    {{ until [ -s /tmp/plan ]; do sleep 0.1; done; echo; }} | \"$@\" --hold > $out 2> $out.held
}}
held /tmp/herd {} & herd=$!
held /tmp/threads {} & threads=$!
until [ -s /tmp/herd.held ] && [ -s /tmp/threads.held ]; do sleep 0.1; done
epoll-trace hist -E --json --counters --probes {} > /tmp/plan & tool=$!
wait $herd; wait $threads
kill -INT $tool; wait $tool
echo $tool; show /tmp/herd; show /tmp/threads; show /tmp/plan",
        HERD.argv().join(" "),
        THREADS.argv().join(" "),
        family.name,
    );
    let check = move |outputs: &Outputs<'_>| {
        let tools = tools(outputs)?;
        let [(tool, trace)] = &tools[..] else {
            return Err(format!("{} tools reported", tools.len()).into());
        };
        not_itself(*tool, trace)?;
        for run in trace.runs(&[HERD, THREADS])? {
            let (expected, except) = seen_late(&run, family)?;
            run.hold_to(expected, "epoll", except)?;
        }
        Ok(())
    };
    Test::new(
        format!("together: waiters asleep before the tool comes, {}", family.name),
        check,
    )
    .needs(family.need())
    // Who sleeps already is found by reading kernel memory.
    .needs(Need::Can(Capability::ProbeRead))
    .job(&["sh", "-c", &script])
}

/// What is counted of a load whose waiters slept already, and what cannot be said.
pub(super) fn seen_late<'a>(
    run: &Run<'a>,
    family: Family,
) -> Result<(BTreeMap<&'a str, u64>, &'static [&'static str]), Problem> {
    /// Counted when a wait returns.
    const AT_RETURN: [&str; 4] = ["waits", "deliveries", "deliveries_slept", "events"];
    let mut expected = run.expected()?;
    let mut lower = |names: &[&str], by: &Value| {
        let by = by.as_u64().unwrap_or_default();
        for (_, count) in expected.iter_mut().filter(|(name, _)| names.contains(name)) {
            *count = count.saturating_sub(by);
        }
    };
    // They were created before, and closed under the tool's eyes.
    lower(&["created"], &run.report["epolls"]);
    // What returns from a function is seen only if its begin was; the return of the system call is seen by itself.
    if family != KPROBE {
        lower(&AT_RETURN, &run.report["waiters"]);
    }
    // The scheduler alone does not say that a thread it wakes sleeps on an epoll: the first wait is not seen at all, however
    // often it was woken.
    // And scans of a wait are counted at its return, so where that is not seen those of the first wait are missing.
    let except: &[&str] = match family {
        TRACEPOINT => &["wakeups", "empty_wakeups", "wasted_wakeups"],
        FENTRY => &["scans_spurious"],
        _ => &[],
    };
    Ok((expected, except))
}

/// Each tool's process id, printed before what its load and the tool printed.
pub(super) fn tools(outputs: &Outputs<'_>) -> Result<Vec<(u64, Trace)>, Problem> {
    let mut tools: Vec<(u64, Vec<Value>)> = Vec::new();
    for line in outputs.json_lines(0)? {
        match (line.as_u64(), tools.last_mut()) {
            (Some(pid), _) => tools.push((pid, Vec::new())),
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => return Err(format!("a line before any process id: {line}").into()),
        }
    }
    let trace = |(pid, lines)| Ok((pid, Trace::new(lines, outputs.guest())?));
    tools.into_iter().map(trace).collect()
}

fn not_itself(tool: u64, trace: &Trace) -> Result<(), Problem> {
    if trace.kind("epoll").iter().any(|line| line["pid"] == tool) {
        return Err(format!("process {tool} lists itself").into());
    }
    Ok(())
}
