//! With tracepoints alone a listener's herd is estimated, and says so: from accepts, accepts that found nothing and empty wakeups.

use serde_json::Value;

use super::trace::TRACEPOINT;
use super::{Outputs, Problem, Test, number};

const WAITERS: usize = 4;
/// A load that is there before the tool, and stays longer.
const SCRIPT: &str = "\
epoll-trace bench scenario SCENARIO --waiters 4 --events 100000 --rate 40 > /dev/null & load=$!
sleep 1
epoll-trace herd --json --probes tracepoint 3 2; code=$?
kill $load
exit $code";
/// Each load with how many waiters an event wakes: at least and at most.
const LOADS: [(&str, [f64; 2]); 2] = [("herd-tcp", [3.7, 4.3]), ("herd-tcp-exclusive", [1.0, 1.3])];
/// Fewer tell nothing.
const ACCEPTS: u64 = 20;

pub(super) fn tests() -> Vec<Test> {
    let tests = LOADS.map(|(scenario, woken)| {
        let script = SCRIPT.replace("SCENARIO", scenario);
        Test::new(format!("herds: estimated, {scenario}"), move |outputs| {
            check(outputs, woken)
        })
        .needs(TRACEPOINT.need())
        .job(&["sh", "-c", &script])
    });
    tests.into()
}

fn check(outputs: &Outputs<'_>, [least, most]: [f64; 2]) -> Result<(), Problem> {
    let lines = outputs.json_lines(0)?;
    // In the first block a waiter that was asleep before is known from its next wait on.
    let sources: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "source").collect();
    let [_, source] = sources[..] else {
        return Err(format!("not one source in each of two blocks: {lines:?}").into());
    };
    let failed = |what: &str| Err(format!("{what}: {source}").into());
    if source["estimated"] != true || source["listener"] != true {
        return failed("it is not said to be an estimate");
    }
    if source["fan_out"] != Value::Null || source["notifications"] != Value::Null {
        return failed("notifications cannot be known here");
    }
    let woken = source["woken_per_event"].as_f64().unwrap_or(0.0);
    if number(source, "accepts")? < ACCEPTS || !(least..=most).contains(&woken) {
        return failed("too few accepts, or woken by each");
    }
    // An exclusive waiter that nothing wakes is not known of here.
    let workers = source["workers"].as_array().map_or(0, Vec::len);
    if least > 1.0 && workers != WAITERS {
        return failed("not every worker");
    }
    Ok(())
}
