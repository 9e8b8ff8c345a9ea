//! Runs every scenario with few events, and holds its numbers against its laws and against the kernel's own count
//! of voluntary switches.

mod asked;
mod crew;
mod laws;

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::kill;

use super::crew::Start;
use super::{CATALOG, Extra, Report, perform, perform_from};
use laws::broken_laws;

/// Scenarios whose events have no time of their own, or were there before the wait.
const UNSTAMPED: [&str; 13] = [
    "reuseport-slow",
    "lock-paths",
    "uring",
    "unread-level",
    "et-single-accept",
    "et-short-read",
    "lt-short-read",
    "oneshot-short-read",
    "et-slow-read",
    "ctl-churn",
    "overflow",
    "lock-contention",
    "mutex-contention",
];

fn check(name: &str, events: u64, waiters: Option<usize>) -> Report {
    let report = perform(name, Some(events), waiters).unwrap_or_else(|error| panic!("{error:#}"));
    assert_eq!(broken_laws(&report), Vec::<String>::new(), "{name}: {report:#?}");
    // The kernel's count of voluntary switches; sleeps on locks may add to it.
    let ends = ["wakeups", "interrupted"].map(|name| report.expect[name].exact().unwrap_or(0));
    let killed = if name == "killed" { report.waiters } else { 0 };
    assert!(
        report.sleeps + killed >= ends.iter().sum(),
        "{name}: fewer sleeps than ends of sleeps, {report:#?}"
    );
    let threads = |field: fn(&super::Waiter) -> u64| report.threads.iter().map(field).sum::<u64>();
    assert_eq!(threads(|waiter| waiter.waits), report.returns, "{name}");
    assert_eq!(
        report.expect["deliveries"].exact(),
        Some(threads(|waiter| waiter.deliveries)),
        "{name}"
    );
    if UNSTAMPED.contains(&name) {
        assert_eq!(report.latency_ns, None, "{name}");
        return report;
    }
    let stamped = report.latency_ns.map_or(0, |latency| latency.count);
    assert_eq!(
        stamped + report.stops,
        threads(|waiter| waiter.deliveries),
        "{name}: a latency per delivery"
    );
    report
}

#[test]
fn one_waiter_gets_each_event_once() {
    for scenario in CATALOG
        .iter()
        .filter(|scenario| scenario.waiters.is_none() && scenario.events == 200)
    {
        let report = check(scenario.name, 50, None);
        assert_eq!(report.events_sent, 50, "{}", scenario.name);
        assert_eq!(report.threads.len(), 1, "{}", scenario.name);
    }
}

#[test]
fn herds_wake_everybody_and_exclusive_ones_one() {
    for name in ["herd-tcp", "herd-eventfd"] {
        for waiters in [1, 2, 4] {
            let all = check(name, 50, Some(waiters));
            assert_eq!(all.expect["wakeups"].exact(), Some(51 * waiters as u64));
            let one = check(&format!("{name}-exclusive"), 50, Some(waiters));
            assert_eq!(one.expect["wakeups"].exact(), Some(50 + waiters as u64));
        }
    }
}

/// Every arrangement of epolls on one file: what an event reaches, against the kernel's count of voluntary switches.
#[test]
fn an_event_wakes_as_many_as_its_arrangement_says() {
    let competing = CATALOG.iter().filter(|row| {
        ["herd-", "shared-tcp", "shared-eventfd", "nested-"]
            .iter()
            .any(|start| row.name.starts_with(start))
    });
    let mut seen = 0;
    for waiters in [1, 3] {
        for scenario in competing.clone() {
            let report = check(scenario.name, 10, Some(waiters));
            let reach = report.reach.unwrap();
            let each = reach.woken_per_event + reach.chain_per_event.unwrap();
            let one = scenario.name.starts_with("herd") && scenario.name.ends_with("exclusive")
                || scenario.name.starts_with("shared")
                    && (scenario.name.ends_with("et") || scenario.name.ends_with("oneshot"));
            assert_eq!(
                each,
                if one { 1 } else { waiters as u64 },
                "{} {reach:?}",
                scenario.name
            );
            let wakeups = report.expect["wakeups"].exact().unwrap();
            assert_eq!(wakeups, 10 * each + report.stops, "{}", scenario.name);
            assert!(report.sleeps >= wakeups, "{}: {report:?}", scenario.name);
            seen += 1;
        }
    }
    assert_eq!(seen, 2 * 24, "two files, three arrangements, four modes");
}

#[test]
fn one_listener_of_several_gets_each_connection() {
    for waiters in [1, 4] {
        check("reuseport", 20, Some(waiters));
        check("reuseport-slow", 5, Some(waiters));
        let report = check("idle-first", 20, Some(waiters));
        assert_eq!(report.reach.map(|reach| reach.passed_on_per_event), Some(1));
    }
}

#[test]
fn who_goes_to_the_end_of_the_queue_lets_the_others_come() {
    let report = check("in-turn-tcp", 40, Some(4));
    // Its stop is a delivery too.
    assert!(
        report.threads.iter().all(|waiter| waiter.deliveries == 10 + 1),
        "{report:#?}"
    );
}

/// The chain law against the kernel's count of voluntary switches. A waiter may also sleep on `ep->mtx` or on the
/// memory map of its process, so switches may exceed wakeups, and never fall below.
#[test]
fn waiters_on_one_epoll_sleep_at_least_once_per_wakeup() {
    for name in ["shared-lt", "shared-et", "fork-shared-lt", "fork-shared-et"] {
        for waiters in [1, 2, 4] {
            let report = check(name, 100, Some(waiters));
            let wakeups = report.expect["wakeups"].exact().unwrap();
            assert!(
                report.sleeps >= wakeups,
                "{name} {waiters}: {} < {wakeups}",
                report.sleeps
            );
        }
    }
}

#[test]
fn a_shared_level_triggered_epoll_hands_wakeups_on() {
    let report = check("shared-lt", 50, Some(4));
    let chain = report.expect["wakeups_chain"].exact().unwrap();
    assert!(
        chain >= 50,
        "each event's first delivery finds three sleepers, {chain}"
    );
}

#[test]
fn waits_without_events_end_as_asked() {
    let report = check("timeouts", 3, None);
    assert_eq!(report.expect["timeouts"].exact(), Some(3));
    let report = check("signals", 3, None);
    assert_eq!(report.expect["interrupted"].exact(), Some(3));
}

#[test]
fn a_byte_taken_back_stays_hidden() {
    let report = check("hidden", 100, None);
    // How many depends on privilege and load.
    assert!(
        report.events_taken_back > 0 && report.expect["empty_wakeups"].exact() > Some(0),
        "{report:#?}"
    );
}

#[test]
fn an_unread_level_comes_back_with_every_wait() {
    let report = check("unread-level", 300, None);
    assert_eq!(report.returns, 300);
    assert_eq!(report.expect["deliveries_at_once"].exact(), Some(299));
}

#[test]
fn connections_of_a_burst_are_stranded_but_one() {
    let report = check("et-single-accept", 5, None);
    assert_eq!((report.events_sent, report.stranded), (20, Some(15)));
    let most = check("et-single-accept", 1000, None);
    assert_eq!(most.stranded, Some(120), "cut to what a listener holds");
}

#[test]
fn what_a_short_read_leaves_is_counted() {
    for name in ["et-short-read", "oneshot-short-read"] {
        assert_eq!(check(name, 3, None).stranded, Some(9), "{name}");
    }
    assert_eq!(check("lt-short-read", 3, None).returns, 15);
    assert_eq!(check("et-slow-read", 3, None).waiters, 2);
}

#[test]
fn churn_knows_its_calls_by_result() {
    let report = check("ctl-churn", 20, None);
    let ctl = report.expect.iter().filter(|(name, _)| name.starts_with("ctl_"));
    let ctl: u64 = ctl.map(|(_, number)| number.exact().unwrap()).sum();
    // Nine calls per round, of which the redundant MOD stands in two counters.
    assert_eq!(ctl, 20 * 10);
}

#[test]
fn a_race_knows_what_was_sent_and_delivered_and_not_who_slept() {
    for (name, waiters) in [("lock-contention", 3), ("mutex-contention", 2), ("lock-paths", 2)] {
        let report = check(name, 5003, Some(waiters));
        assert_eq!(
            report.expect["notifications"].exact(),
            Some(5003 + waiters as u64),
            "{name}"
        );
        let events = report.expect["events"].exact().unwrap();
        assert!(events >= report.expect["deliveries"].exact().unwrap(), "{name}");
        // An item that is notified twice before a scan is delivered once.
        assert!(events <= 5003 + waiters as u64, "{name}: {events}");
        assert!(report.expect["wakeups"].exact().is_none() && report.expect["scans"].exact().is_none());
        assert_eq!(report.expect["full_batches"].exact(), Some(0), "{name}");
    }
}

#[test]
fn timers_expire_while_their_waiter_scans() {
    let report = check("overflow", 100, None);
    assert_eq!(report.expect["notifications_queued"].exact(), Some(100));
    let met = report.expect["ovf_notifications"].exact();
    assert_eq!(met, None, "that depends on the machine");
    assert_eq!(
        perform("pipe-lt", Some(3), None).unwrap().expect["ovf_notifications"].exact(),
        Some(0)
    );
}

#[test]
fn io_uring_waits_or_says_in_a_sentence_why_not() {
    if let Err(error) = perform("uring", Some(1), None) {
        let error = format!("{error:#}");
        assert!(error.contains("io_uring"), "{error}");
        println!("skip: {error}");
        return;
    }
    // Neither the first nor the second of each pair is missed.
    let report = check("uring", 21, None);
    assert_eq!(report.expect["uring_waits"].exact(), Some(21));
    assert_eq!(report.returns, 0, "it never calls epoll_wait");
}

#[test]
fn killed_waiters_are_reaped() {
    let report = check("killed", 5, None);
    assert_eq!(report.threads.len(), 5);
    for waiter in &report.threads {
        let pid = nix::unistd::Pid::from_raw(waiter.pid);
        assert_eq!(kill(pid, None), Err(Errno::ESRCH));
    }
}

#[test]
fn many_blocked_threads_each_wake_as_often_as_written_to() {
    let report = check("many-blocked", 250, Some(100));
    let waits: Vec<u64> = report.threads.iter().map(|waiter| waiter.waits).collect();
    assert_eq!(waits, [[3; 50], [2; 50]].concat());
}

#[test]
fn a_fleet_uses_every_epoll_of_every_process() {
    let report = check("fleet", 1, Some(7));
    assert_eq!((report.epolls, report.events_sent), (70, 77));
}

#[test]
fn events_come_at_a_rate_at_most() {
    let start = Start {
        on_line: false,
        period: Some(Duration::from_millis(5)),
    };
    let begun = Instant::now();
    perform_from(start, "pipe-lt", Some(21), None, Extra::default()).unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(100));
}
