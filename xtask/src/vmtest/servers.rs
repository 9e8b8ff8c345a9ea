//! Real servers: what their workers are woken for, beside what the kernel itself says of them. A worker that is woken runs, and goes to
//! sleep again by itself: each wakeup is one voluntary context switch, which `/proc/PID/task/TID/status` counts whoever traces. And what `diagnose`
//! finds: the herd where there is one, and nothing to warn of elsewhere.

use std::collections::BTreeMap;

use serde_json::Value;

use super::together::SHOW;
use super::trace::FENTRY;
use super::{Need, Outputs, Problem, Test, number};
use crate::builds::PRELOAD;
use crate::kernels::Capability;

/// Requests of each run.
const REQUESTS: u64 = 200;
const WORKERS: usize = 4;
/// How far wakeups and voluntary context switches may be apart, of the larger.
const APART: f64 = 0.05;
/// Guest seconds for all of a test.
const SECONDS: u64 = 240;
/// Milliseconds between two requests: the workers sleep when one comes.
const PAUSE_MS: u32 = 5;

/// Helpers of the scripts. `switches NAME PID...`: a line for each thread of the processes. `traced NAME PROTOCOL ADDRESS TOOL...`: the tool
/// over the requests, with the switches before and after.
const HELPERS: &str = r#"
mkdir -p /etc /var/lib/nginx
printf 'root:x:0:0::/:/bin/sh\n' > /etc/passwd
printf 'root:x:0:\n' > /etc/group
switches() {
    moment=$1; shift
    for pid in $*; do for task in /proc/$pid/task/*; do
        while read -r key value; do
            [ "$key" = voluntary_ctxt_switches: ] && echo "{\"kind\":\"switches\",\"moment\":\"$moment\",\"tid\":${task##*/},\"count\":$value}"
        done < $task/status
    done; done
}
traced() {
    protocol=$1; address=$2; shift 2
    : > /tmp/trace; : > /tmp/found
    epoll-trace diagnose --json --probes fentry -d 600 THRESHOLDS > /tmp/found & judge=$!
    until [ -s /tmp/found ]; do sleep 0.1; done
    "$@" > /tmp/trace & tool=$!
    until [ -s /tmp/trace ]; do sleep 0.1; done
    switches before $pids
    /init ask $protocol $address REQUESTS PAUSE || exit 1
    sleep 0.3
    switches after $pids
    kill -INT $tool $judge
    wait $tool || exit 1
    wait $judge || exit 1
    show /tmp/trace; show /tmp/found
}
"#;

const NGINX: &str = r#"
printf 'user root root; worker_processes 4; daemon off; pid /tmp/pid; events { worker_connections 64; }
http { access_log off; server { listen 127.0.0.1:8081 %s; location / { return 200 "x"; } } }' "$OPTION" > /tmp/conf
LD_PRELOAD=$LIBRARY nginx -e stderr -p /tmp -c /tmp/conf & server=$!
/init ask http 127.0.0.1:8081 0 0 || exit 1
sleep 1
read -r pids < /proc/$server/task/$server/children
traced http 127.0.0.1:8081 epoll-trace herd --json --all --probes fentry
kill $server; wait $server
"#;

/// Times are those of an emulated machine, and requests come slowly.
const THRESHOLDS: &str = "--threshold herd-rate=1 --threshold runqueue-p99-us=1000000 --threshold loop-max-ms=1000000 --threshold loop-p99-ms=1000000";

/// nginx as its users run it, each with what it must show.
struct Setting {
    name: &'static str,
    /// Loaded into it.
    library: &'static str,
    /// Workers that a connection makes run: at least and at most.
    woken: [f64; 2],
    /// Whether the items of the listener have EPOLLEXCLUSIVE.
    exclusive: bool,
    /// What is to be found, at least as a warning.
    found: &'static [&'static str],
}

const NAME_REUSEPORT: &str = "servers: nginx, a socket for each worker";
/// Above it the sockets of a group are unequal (D03 of `diagnose`).
const UNEQUAL: f64 = 0.5;

const SETTINGS: [Setting; 2] = [
    Setting {
        name: "as it comes",
        library: "",
        woken: [1.0, 1.3],
        exclusive: true,
        found: &[],
    },
    Setting {
        name: "without EPOLLEXCLUSIVE",
        library: PRELOAD,
        woken: [3.7, 4.3],
        exclusive: false,
        found: &["D01"],
    },
];

/// Servers of one process with several threads or one.
const CACHES: [(&str, &str, &str); 2] = [
    (
        "memcached",
        "127.0.0.1:8082",
        "memcached -u root -l 127.0.0.1 -p 8082 -U 0 -t 4",
    ),
    (
        "redis",
        "127.0.0.1:8083",
        "redis-server --bind 127.0.0.1 --port 8083 --save '' --appendonly no --daemonize no",
    ),
];

/// Each server on a kernel that misses no hit; it takes a while to start two tools for each.
pub(super) fn tests() -> Vec<Test> {
    let nginx = SETTINGS.iter().map(|setting| {
        let library = match setting.library {
            "" => String::new(),
            library => format!("/bin/{library}"),
        };
        let script = format!("LIBRARY={library} OPTION=\n{NGINX}");
        test(format!("servers: nginx, {}", setting.name), &script, |outputs| {
            nginx(outputs, setting)
        })
        .with("nginx")
        .with(PRELOAD)
    });
    let reuseport = format!("LIBRARY= OPTION=reuseport\n{NGINX}");
    let reuseport = test(NAME_REUSEPORT.to_owned(), &reuseport, balanced).with("nginx");
    let caches = CACHES.iter().map(|&(name, address, command)| {
        let script = format!(
            "{command} > /tmp/said & server=$!
/init ask {name} {address} 0 0 || exit 1
sleep 1
pids=$server
traced {name} {address} epoll-trace hist -L --json --counters --probes fentry
kill $server; wait $server"
        );
        let program = command.split(' ').next().unwrap_or_default();
        test(format!("servers: {name}"), &script, cache).with(program)
    });
    nginx.chain([reuseport]).chain(caches).collect()
}

fn test(name: String, script: &str, check: impl Fn(&Outputs<'_>) -> Result<(), Problem> + 'static) -> Test {
    let helpers = HELPERS
        .replace("REQUESTS", &REQUESTS.to_string())
        .replace("PAUSE", &PAUSE_MS.to_string())
        .replace("THRESHOLDS", THRESHOLDS);
    let script = format!("{SHOW}{helpers}{script}\nexit 0");
    Test::new(name, check)
        .needs(FENTRY.need())
        .needs(Need::Since(6, 12))
        .needs(Need::Before(6, 18))
        .needs(Need::Can(Capability::ProbeRead))
        .job_with_limit(&["sh", "-c", &script], SECONDS)
}

/// The listener's connections: how many workers each made run, who got them, and that the kernel counts as many runs.
fn nginx(outputs: &Outputs<'_>, setting: &Setting) -> Result<(), Problem> {
    let lines = outputs.json_lines(0)?;
    let mut sources = lines
        .iter()
        .filter(|line| line["kind"] == "source" && line["source"] == "tcp");
    let (source, others) = (sources.next(), sources.count());
    let source = source.ok_or("the listener is no source")?;
    if others != 0 {
        return Err(format!("the listener is {} sources", 1 + others).into());
    }
    let empty = Vec::new();
    let workers = source["workers"].as_array().unwrap_or(&empty);
    if workers.len() != WORKERS {
        return Err(format!("{} workers: {source}", workers.len()).into());
    }
    let events = number(source, "events")?;
    // Before its first notification, and before its first wait, nothing is known of a worker that was there already.
    for (what, count) in [("events", events), ("accepts", number(source, "accepts")?)] {
        if !(REQUESTS - WORKERS as u64..=REQUESTS).contains(&count) {
            return Err(format!("{count} {what} of {REQUESTS} connections: {source}").into());
        }
    }
    let woken = number(source, "woken")? as f64 / events as f64;
    let [least, most] = setting.woken;
    if !(least..=most).contains(&woken) {
        return Err(format!("a connection wakes {woken}, not {least} to {most}: {source}").into());
    }
    let flagged = |worker: &Value| {
        worker["flags"]
            .as_str()
            .is_some_and(|flags| flags.contains("EXCL"))
    };
    if workers.iter().any(|worker| flagged(worker) != setting.exclusive) {
        return Err(format!("the flags are not those of the items: {source}").into());
    }
    warned(&lines, setting.found)?;
    checked(&lines, &["D01", "D03"])?;
    let wakeups = workers
        .iter()
        .map(|worker| Ok((number(worker, "pid")?, number(worker, "wakeups")?)));
    agree(&lines, &wakeups.collect::<Result<_, Problem>>()?)
}

/// With SO_REUSEPORT the kernel spreads the connections over the sockets of one address: they are one group, and nearly equal.
fn balanced(outputs: &Outputs<'_>) -> Result<(), Problem> {
    let lines = outputs.json_lines(0)?;
    let mut groups = lines.iter().filter(|line| line["kind"] == "reuseport");
    let group = groups.next_back().ok_or("no group of sockets")?;
    let sockets = group["sockets"].as_array().map_or(0, Vec::len);
    let connections = number(group, "connections")?;
    let gini = group["gini"].as_f64().ok_or("no Gini coefficient")?;
    if sockets != WORKERS || connections + (WORKERS as u64) < REQUESTS || gini >= UNEQUAL {
        return Err(format!("{sockets} sockets, {connections} connections, Gini {gini}: {group}").into());
    }
    warned(&lines, &[])?;
    let workers = group["sockets"].as_array().into_iter().flatten();
    let workers = workers.flat_map(|socket| socket["workers"].as_array().into_iter().flatten());
    let wakeups = workers.map(|worker| Ok((number(worker, "pid")?, number(worker, "wakeups")?)));
    agree(&lines, &wakeups.collect::<Result<_, Problem>>()?)
}

/// Each thread that waits on an epoll is woken as often as it went to sleep.
fn cache(outputs: &Outputs<'_>) -> Result<(), Problem> {
    let lines = outputs.json_lines(0)?;
    let threads = lines.iter().filter(|line| line["kind"] == "thread");
    let wakeups: BTreeMap<u64, u64> = threads
        .map(|line| {
            Ok((
                number(line, "tid")?,
                number(line, "wakeups")? + number(line, "timeouts")?,
            ))
        })
        .collect::<Result<_, Problem>>()?;
    let served = lines
        .iter()
        .filter(|line| line["kind"] == "thread")
        .map(|line| number(line, "events"))
        .sum::<Result<u64, Problem>>()?;
    if served < REQUESTS {
        return Err(format!("{served} events for {REQUESTS} requests").into());
    }
    warned(&lines, &[])?;
    agree(&lines, &wakeups)
}

/// What was found to warn of is `expected`, and no more.
fn warned(lines: &[Value], expected: &[&str]) -> Result<(), Problem> {
    let found = lines
        .iter()
        .filter(|line| line["kind"] == "finding" && line["severity"] != "info");
    let found: Vec<&Value> = found.collect();
    if found
        .iter()
        .map(|line| line["id"].as_str().unwrap_or_default())
        .ne(expected.iter().copied())
    {
        return Err(format!("found {found:?}, not {expected:?}").into());
    }
    Ok(())
}

/// Each of `ids` could be judged.
fn checked(lines: &[Value], ids: &[&str]) -> Result<(), Problem> {
    let report = lines.iter().find(|line| line["kind"] == "checks");
    let checks = report.and_then(|report| report["checks"].as_array());
    for id in ids {
        let mut outcomes = checks.into_iter().flatten().filter(|check| check["id"] == **id);
        let outcome = outcomes
            .next()
            .map(|check| check["outcome"].as_str().unwrap_or_default());
        if !matches!(outcome, Some("found" | "clear")) {
            return Err(format!("{id} is {outcome:?}: {report:?}").into());
        }
    }
    Ok(())
}

/// Wakeups by thread are as many as its voluntary context switches between the two moments, of the server's threads.
fn agree(lines: &[Value], wakeups: &BTreeMap<u64, u64>) -> Result<(), Problem> {
    let mut switches = BTreeMap::from([("before", 0), ("after", 0)]);
    let mut waiters = BTreeMap::new();
    for line in lines.iter().filter(|line| line["kind"] == "switches") {
        let moment = line["moment"].as_str().unwrap_or_default();
        let tid = number(line, "tid")?;
        if let (Some(sum), Some(&woken)) = (switches.get_mut(moment), wakeups.get(&tid)) {
            *sum += number(line, "count")?;
            waiters.insert(tid, woken);
        }
    }
    let switched = (switches["after"] - switches["before"]) as f64;
    let woken = waiters.values().sum::<u64>() as f64;
    if switched == 0.0 || (switched - woken).abs() > APART * switched.max(woken) {
        return Err(
            format!("{woken} wakeups, and {switched} voluntary context switches: {waiters:?}").into(),
        );
    }
    println!("{woken} wakeups beside {switched} voluntary context switches");
    Ok(())
}
