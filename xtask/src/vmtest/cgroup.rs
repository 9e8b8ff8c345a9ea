//! `--cgroup`: the processes of one cgroup and of those below it, and no others, whether they slept before the tool came or not.

use super::together::{HERD, SHOW, THREADS, seen_late, tools};
use super::trace::{FAMILIES, Family, Run, sum};
use super::{Need, Outputs, Problem, Test};
use crate::kernels::Capability;

/// Two loads in a cgroup below the traced one, the same two outside; of each pair one waits before the tool comes.
const SCRIPT: &str = r#"
cd /sys/fs/cgroup
mkdir -p web/worker db
: > /tmp/plan
within() { echo 0 > $1/cgroup.procs; shift; exec "$@"; }
held() {
    : > /tmp/$1.held
    { until [ -s /tmp/plan ]; do sleep 0.1; done; echo; } | (within $1 THREADS --hold > /tmp/$1.threads 2> /tmp/$1.held)
}
held web/worker & one=$!
held db & two=$!
until [ -s /tmp/web/worker.held ] && [ -s /tmp/db.held ]; do sleep 0.1; done
epoll-trace hist -E --json --counters --probes FAMILY --cgroup /web > /tmp/plan & tool=$!
wait $one; wait $two
(within web/worker HERD > /tmp/web/worker.herd)
(within db HERD > /tmp/db.herd)
kill -INT $tool; wait $tool
echo $tool
for group in web/worker db; do show /tmp/$group.herd; show /tmp/$group.threads; done
show /tmp/plan
"#;

/// With every family.
pub(super) fn tests() -> Vec<Test> {
    FAMILIES.map(test).into()
}

fn test(family: Family) -> Test {
    let script = SCRIPT
        .replace("FAMILY", family.name)
        .replace("THREADS", &THREADS.argv().join(" "))
        .replace("HERD", &HERD.argv().join(" "));
    let script = format!("{SHOW}mkdir -p /tmp/web{script}");
    let check = move |outputs: &Outputs<'_>| {
        let tools = tools(outputs)?;
        let [(_, trace)] = &tools[..] else {
            return Err(format!("{} tools reported", tools.len()).into());
        };
        let runs = trace.runs(&[HERD, THREADS, HERD, THREADS])?;
        let [fresh, asleep, others @ ..] = &runs[..] else {
            return Err("the loads did not report".into());
        };
        held(fresh, trace.misses)?;
        let (expected, except) = seen_late(asleep, family)?;
        asleep.hold_to(expected, "epoll", except)?;
        for other in others {
            if let Some(line) = other.lines("epoll").first() {
                return Err(format!("this one is not in the cgroup: {line}").into());
            }
        }
        Ok(())
    };
    Test::new(
        format!("cgroup: those in it and no others, {}", family.name),
        check,
    )
    .needs(family.need())
    // Who sleeps already is found by reading kernel memory.
    .needs(Need::Can(Capability::ProbeRead))
    .job(&["sh", "-c", &script])
}

/// Of a thread that is woken the cgroup is not known, so one whose first begin of a wait was dropped is known at its next one: until then
/// its wakeups are missing too.
fn held(run: &Run<'_>, misses: u64) -> Result<(), Problem> {
    const OF_KNOWN_THREADS: [&str; 2] = ["wakeups", "wakeups_source"];
    if misses == 0 {
        return run.hold("epoll", &[]);
    }
    run.hold("epoll", &OF_KNOWN_THREADS)?;
    let expected = run.expected()?;
    for name in OF_KNOWN_THREADS {
        let Some(expected) = expected.get(name).copied() else {
            return Err(format!("the load does not say {name}").into());
        };
        match sum(&run.lines("epoll"), name)? {
            Some(counted) if counted.abs_diff(expected) <= run.excused(expected) => {}
            Some(counted) => {
                return Err(format!("{name} {counted} instead of {expected}, {misses} hits missed").into());
            }
            None if run.knows_why(name)? => {}
            None => return Err(format!("{name} unknown without a reason").into()),
        }
    }
    Ok(())
}
