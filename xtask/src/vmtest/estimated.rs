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
/// One that is traced from its beginning and is gone when the tool prints.
const COMMAND: &str = "epoll-trace herd --json --probes tracepoint -- \
    epoll-trace bench scenario SCENARIO --waiters 4 --events 80 --rate 40 --quiet";
/// Each load with how many waiters an event wakes: at least and at most.
const LOADS: [(&str, [f64; 2]); 2] = [("herd-tcp", [3.7, 4.3]), ("herd-tcp-exclusive", [1.0, 1.3])];
/// Fewer tell nothing.
const ACCEPTS: u64 = 20;

pub(super) fn tests() -> Vec<Test> {
    let tests = LOADS.map(|(scenario, woken)| {
        let script = SCRIPT.replace("SCENARIO", scenario);
        let command = COMMAND.replace("SCENARIO", scenario);
        let command: Vec<&str> = command.split_whitespace().collect();
        Test::new(format!("herds: estimated, {scenario}"), move |outputs| {
            check(outputs, woken)
        })
        .needs(TRACEPOINT.need())
        .job(&["sh", "-c", &script])
        .job(&command)
    });
    tests.into()
}

fn check(outputs: &Outputs<'_>, woken: [f64; 2]) -> Result<(), Problem> {
    let sources = |job| -> Result<Vec<Value>, Problem> {
        let lines = outputs.json_lines(job)?;
        Ok(lines
            .into_iter()
            .filter(|line| line["kind"] == "source")
            .collect())
    };
    // In the first block a waiter that was asleep before is known from its next wait on.
    let (blocks, command) = (sources(0)?, sources(1)?);
    let ([_, block], [whole]) = (&blocks[..], &command[..]) else {
        return Err(format!("not one source in each block: {blocks:?} {command:?}").into());
    };
    check_source(block, woken)?;
    check_source(whole, woken)
}

fn check_source(source: &Value, [least, most]: [f64; 2]) -> Result<(), Problem> {
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
