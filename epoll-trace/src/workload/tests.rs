//! Runs every scenario with few events, and holds its numbers against its laws and against the kernel's own count
//! of voluntary switches.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use clap::Parser as _;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};

use super::crew::{Crew, Need, Start};
use super::source::{Kind, Source, epoll, epoll_on};
use super::waiter::{Duty, serve, wait_once};
use super::{CATALOG, Extra, Report, Scenario, ScenarioArgs, perform, perform_from};
use crate::model::snapshot::{Counter, EpollCounter};

/// Every number of a report by name.
fn numbers(report: &Report) -> BTreeMap<&str, u64> {
    let own = [
        ("waiters", report.waiters),
        ("events_sent", report.events_sent),
        ("events_received", report.events_received),
        ("events_taken_back", report.events_taken_back),
        ("stops", report.stops),
        ("epolls", report.epolls),
        ("returns", report.returns),
        ("eagain", report.eagain),
        ("sleeps", report.sleeps),
    ];
    let expected = report
        .expect
        .iter()
        .filter_map(|(&name, expect)| Some((name, expect.exact()?)));
    let stranded = report.stranded.map(|stranded| ("stranded", stranded));
    expected.chain(own).chain(stranded).collect()
}

/// Value of a sum of products such as `2 * events_sent - 1`.
fn value(side: &str, numbers: &BTreeMap<&str, u64>) -> i128 {
    let factor = |word: &str| match word.parse() {
        Ok(number) => number,
        Err(_) => i128::from(
            *numbers
                .get(word)
                .unwrap_or_else(|| panic!("`{word}` is no number of the report")),
        ),
    };
    let (mut sum, mut sign) = (0, 1);
    let mut words = side.split(' ').peekable();
    while let Some(word) = words.next() {
        let mut term = factor(word);
        while words.next_if_eq(&"*").is_some() {
            term *= factor(words.next().unwrap());
        }
        sum += sign * term;
        sign = match words.next() {
            Some("+") | None => 1,
            Some("-") => -1,
            Some(other) => panic!("`{other}` is no operator of a law"),
        };
    }
    sum
}

fn broken_laws(report: &Report) -> Vec<String> {
    let numbers = numbers(report);
    let mut broken = Vec::new();
    for law in report.laws {
        let (left, right) = law.split_once(" = ").expect("a law is an equality");
        let (left, right) = (value(left, &numbers), value(right, &numbers));
        if left != right {
            broken.push(format!("{law}: {left} is not {right}"));
        }
    }
    broken
}

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
fn laws_are_evaluated_as_written() {
    let numbers = BTreeMap::from([("a", 3), ("b", 2)]);
    assert_eq!(value("2 * a * b - 1 + b", &numbers), 13);
    let mut report = perform("pipe-et", Some(3), None).unwrap();
    report.events_sent += 1;
    assert_ne!(
        broken_laws(&report),
        Vec::<String>::new(),
        "a lost event must show"
    );
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
fn json_has_every_counter_and_null_for_the_unknown() {
    let report = perform("shared-lt", Some(5), None).unwrap();
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(
        (json["v"].as_u64(), json["kind"].as_str()),
        (Some(1), Some("scenario"))
    );
    assert_eq!(json["expect"]["wakeups_source"]["exact"], 5 + 4);
    assert!(json["expect"]["scans"].is_null());
    assert!(json["latency_ns"]["p50"].as_u64() > Some(0));
    let names = Counter::ALL.iter().map(|counter| counter.name());
    for name in names.chain(EpollCounter::ALL.iter().map(|counter| counter.name())) {
        assert!(json["expect"].get(name).is_some(), "{name}");
    }
}

#[test]
fn text_fits_eighty_columns() {
    let mut text = Vec::new();
    perform("herd-eventfd-exclusive", Some(5), None)
        .unwrap()
        .write_text(&mut text)
        .unwrap();
    super::list(false, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > 80).collect();
    assert_eq!(wide, Vec::<&str>::new());
}

#[test]
fn parameters_are_checked() {
    let refusal = |name, waiters| perform(name, Some(1), waiters).unwrap_err().to_string();
    assert!(refusal("pipe", None).contains("--list"));
    assert!(refusal("pipe-lt", Some(2)).contains("leave --waiters out"));
    assert!(refusal("herd-tcp", Some(0)).contains("1 to 64"));
    let started = |on_line, period| {
        let start = Start { on_line, period };
        perform_from(start, "timeouts", None, None, Extra::default())
            .unwrap_err()
            .to_string()
    };
    let held = started(true, None);
    assert!(held.contains("leave --hold out"), "{held}");
    let paced = started(false, Some(Duration::from_millis(1)));
    assert!(paced.contains("leave --rate out"), "{paced}");
    let names: std::collections::BTreeSet<&str> = CATALOG.iter().map(|scenario| scenario.name).collect();
    assert_eq!(names.len(), CATALOG.len(), "a name stands twice");
    assert!(
        CATALOG
            .iter()
            .all(|scenario| Scenario::by_name(scenario.name).is_some())
    );
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

#[test]
fn the_command_line_knows_the_names() {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: ScenarioArgs,
    }
    let parse = |line: &str| Line::try_parse_from(line.split(' ')).map(|line| line.args);
    assert_eq!(parse("scenario herd-tcp --waiters 4").unwrap().waiters, Some(4));
    assert!(parse("scenario --list").unwrap().list);
    for wrong in ["scenario", "scenario herd", "scenario pipe-lt --events 0"] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_failing_waiter_ends_the_run_at_once() {
    let mut crew = Crew::new(1, 0).unwrap();
    crew.fork(|place| wait_once(place, -1, -1).map(drop)).unwrap();
    let error = crew.settle(&Need::default()).unwrap_err().to_string();
    assert!(error.contains("Bad file descriptor"), "{error}");
}

#[test]
fn a_waiter_killed_from_outside_ends_the_run_at_once() {
    let epoll = epoll().unwrap();
    let epfd = std::os::fd::AsRawFd::as_raw_fd(&epoll.0);
    let mut crew = Crew::new(1, 0).unwrap();
    let child = crew.fork(|place| wait_once(place, epfd, -1).map(drop)).unwrap();
    crew.settle(&Need::default()).unwrap();
    kill(child, Signal::SIGKILL).unwrap();
    let error = crew
        .settle(&Need {
            woken: 0..1,
            ..Need::default()
        })
        .unwrap_err()
        .to_string();
    assert!(error.contains("killed from outside"), "{error}");
}

#[test]
fn a_crew_given_up_leaves_no_process() {
    let source = Source::new(Kind::Pipe).unwrap();
    let epoll = epoll_on(&source, super::single::Mode::Level.flags()).unwrap();
    let epfd = std::os::fd::AsRawFd::as_raw_fd(&epoll.0);
    let duty = Duty {
        epfd,
        fd: source.fd(),
        take: source.take(),
        rearm: None,
        quota: None,
    };
    let mut crew = Crew::new(1, 0).unwrap();
    let child = crew.fork(|place| serve(place, &duty)).unwrap();
    crew.settle(&Need::default()).unwrap();
    drop(crew);
    assert_eq!(kill(child, None), Err(Errno::ESRCH));
}

/// A waiter that is late to sleep: the witness must not take its other sleep for the one in epoll_wait.
#[test]
fn a_sleep_elsewhere_is_not_taken_for_the_wait() {
    let epoll = epoll().unwrap();
    let epfd = std::os::fd::AsRawFd::as_raw_fd(&epoll.0);
    let mut crew = Crew::new(1, 0).unwrap();
    crew.fork(|place| {
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(20));
        }
        wait_once(place, epfd, 10_000).map(drop)
    })
    .unwrap();
    crew.settle(&Need::default()).unwrap();
    let entered = crew.arena().sum(|slot| &slot.entered);
    let returned = crew.arena().sum(|slot| &slot.waits);
    assert_eq!((entered, returned), (1, 0));
}
