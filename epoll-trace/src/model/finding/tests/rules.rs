//! One test per rule: it is raised just beyond each of its thresholds, and not before.

use super::super::super::snapshot::{EXCLUSIVE, ONESHOT};
use super::*;

use Counter as C;
use EpollCounter as E;
use Severity::{Crit, Info, Warn};

const MS: u64 = 1_000_000;
const US: u64 = 1_000;

/// `case` has exactly this finding, with evidence that is named by its kind.
pub(super) fn raised(case: &Case, id: &str, severity: Severity) {
    assert_eq!(case.found(), [(id, severity)], "{case:?}");
    let finding = &case.examine().findings[0];
    for Evidence { name, amount } in finding.evidence {
        let named = match amount {
            Amount::Share(share) => name.ends_with("_share") && (0.0..=1.0).contains(&share),
            Amount::Rate(_) => name.ends_with("_per_s"),
            Amount::Nanos(_) => name.ends_with("_ns"),
            Amount::Count(_) | Amount::Ratio(_) | Amount::Unknown => true,
        };
        assert!(named, "{id}: {name} is {amount:?}");
    }
    assert_eq!(
        unexplained(&finding.sentence),
        Vec::<String>::new(),
        "{}",
        finding.sentence
    );
    assert!(finding.sentence.ends_with('.'), "{}", finding.sentence);
}

pub(super) fn calm(case: &Case, id: &str) {
    assert_eq!(case.found(), [], "{case:?}");
    assert!(
        matches!(case.outcome(id), Outcome::Clear(_)),
        "{:?}",
        case.outcome(id)
    );
}

/// `workers` of a listener that each of `events` wakes; what each of them found empty, and accepted.
fn herd(workers: usize, events: u64, empty: u64, accepts: &[u64]) -> Case {
    let process = |index: usize| {
        let mine = accepts.get(index).copied().unwrap_or(0);
        Process::new(
            &[
                (C::Waits, events),
                (C::WakeupsSource, events),
                (C::EmptyWakeups, empty),
                (C::DeliveriesSlept, events - empty),
                (C::Events, events - empty),
                (C::Accepts, mine),
                (C::AcceptEagain, (events - empty).saturating_sub(mine)),
                (C::WaitingNs, 900 * MS),
                (C::BusyNs, 100 * MS),
            ],
            &[(E::Notifications, events)],
        )
    };
    Case {
        processes: (0..workers).map(process).collect(),
        shared: Some(("tcp", vec![(0, events, events); workers])),
        ..Case::default()
    }
}

#[test]
fn d01() {
    // 3 of 4 wakeups are wasted.
    let even = [100; 4];
    raised(&herd(4, 400, 290, &even), "D01", Warn);
    raised(&herd(4, 4_000, 3_000, &[1_000; 4]), "D01", Crit);
    raised(&herd(2, 200, 100, &[100; 2]), "D01", Warn);
    // 19 per second.
    calm(&herd(2, 190, 95, &[95; 2]), "D01");
    // Not half of them.
    calm(&herd(4, 400, 199, &[201; 4]), "D01");
    let mut two = herd(2, 400, 200, &[200; 2]);
    raised(&two, "D01", Warn);
    // One notification in ten wakes nobody: 1.9 per event.
    two.shared = Some(("tcp", vec![(0, 400, 360), (0, 400, 400)]));
    calm(&two, "D01");
    // Nothing is wasted where each finds something.
    let mut busy = herd(4, 400, 0, &[400; 4]);
    calm(&busy, "D01");
    assert_eq!(herd(4, 99, 70, &[25; 4]).outcome("D01"), Outcome::TooFew(99));
    // Whom the listener notifies is not seen: 400 accepts, and 1,200 woken for nothing.
    let mut estimated = herd(4, 400, 290, &even);
    estimated.absent = vec!["sources"];
    raised(&estimated, "D01", Warn);
    assert!(
        estimated.examine().findings[0]
            .confidence
            .why
            .contains("estimated")
    );
    let mut exclusive = herd(4, 100, 0, &even);
    exclusive.absent = vec!["sources"];
    calm(&exclusive, "D01");
    // Woken by others too: some of the waste may be theirs.
    busy = herd(4, 400, 290, &even);
    assert_eq!(busy.examine().findings[0].confidence.level, Level::Medium);
    busy.processes[0].counters.push((C::WakeupsChain, 1000));
    let why = busy.examine().findings[0].confidence.why.clone();
    assert!(why.contains("other files"), "{why}");
}

/// `first` wakeups by as many events, `next` of the chain.
pub(super) fn chain(first: u64, next: u64) -> Case {
    Case::of(Process::new(
        &[
            (C::Waits, first + next),
            (C::WakeupsSource, first),
            (C::WakeupsChain, next),
            (C::DeliveriesSlept, first + next),
            (C::Events, first + next),
        ],
        &[(E::Notifications, first)],
    ))
}

#[test]
fn d02() {
    raised(&chain(1000, 500), "D02", Warn);
    calm(&chain(1000, 499), "D02");
    raised(&chain(300, 199), "D02", Info);
    raised(&chain(300, 200), "D02", Warn);
    // Three files became ready for each wakeup, so two more wakeups have work.
    let mut several = chain(300, 600);
    several.processes[0].epoll = vec![(E::Notifications, 900)];
    calm(&several, "D02");
    // Reading an eventfd notifies too, but of nothing that anybody asks for.
    several.processes[0].epoll.push((E::NotificationsUnasked, 600));
    raised(&several, "D02", Warn);
}

/// Workers that share a listener exclusively, so that only those who accept are woken.
fn shares(accepts: &[u64]) -> Case {
    let mut case = herd(accepts.len(), 0, 0, &[]);
    for (process, &count) in case.processes.iter_mut().zip(accepts) {
        process
            .counters
            .retain(|(counter, _)| matches!(counter, C::WaitingNs | C::BusyNs));
        process.counters.extend([
            (C::WakeupsSource, count),
            (C::DeliveriesSlept, count),
            (C::Accepts, count),
            (C::Events, count),
            (C::Waits, count),
        ]);
    }
    let items = accepts.iter().map(|&count| (EXCLUSIVE, count, count)).collect();
    case.shared = Some(("tcp", items));
    case
}

#[test]
fn d03() {
    let all = shares(&[400, 0, 0, 0]);
    raised(&all, "D03", Warn);
    let sentence = &all.examine().findings[0].sentence;
    assert!(
        sentence.contains("100 % of 400 accepts") && sentence.contains("EPOLLEXCLUSIVE"),
        "{sentence}"
    );
    raised(&shares(&[70, 30, 0, 0]), "D03", Warn);
    calm(&shares(&[69, 31, 0, 0]), "D03");
    // Gini is 0.45.
    calm(&shares(&[70, 10, 10, 10]), "D03");
    calm(&shares(&[100, 100, 100, 100]), "D03");
    raised(&shares(&[100, 0]), "D03", Warn);
    calm(&shares(&[94, 6]), "D03");
    assert_eq!(shares(&[99, 0, 0, 0]).outcome("D03"), Outcome::TooFew(99));
    let time = |case: &mut Case, worker: usize, busy| {
        case.processes[worker].counters.insert(0, (C::BusyNs, busy));
    };
    let mut hot = all.clone();
    time(&mut hot, 0, 8_000 * MS);
    raised(&hot, "D03", Warn);
    time(&mut hot, 0, 8_100 * MS);
    raised(&hot, "D03", Crit);
    for worker in 1..4 {
        time(&mut hot, worker, 8_100 * MS);
    }
    raised(&hot, "D03", Info);
}

#[test]
fn d09() {
    let case = |events: u64, counters: &[(E, u64)], flags: Option<u32>| {
        let mut process = Process::new(
            &[
                (C::Waits, events),
                (C::DeliveriesSlept, events),
                (C::Events, events),
            ],
            counters,
        );
        process.epoll.push((E::Notifications, events));
        process.flags = flags;
        Case::of(process)
    };
    let plain = Some(0);
    raised(&case(1000, &[(E::CtlAdd, 1001)], plain), "D09", Info);
    calm(&case(1000, &[(E::CtlAdd, 1000)], plain), "D09");
    raised(&case(50_000, &[(E::CtlAdd, 100_001)], plain), "D09", Warn);
    // Exactly 10,000 per second.
    raised(&case(40_000, &[(E::CtlAdd, 100_000)], plain), "D09", Info);
    raised(
        &case(1000, &[(E::CtlMod, 900), (E::CtlModSame, 181)], plain),
        "D09",
        Info,
    );
    calm(
        &case(1000, &[(E::CtlMod, 900), (E::CtlModSame, 180)], plain),
        "D09",
    );
    // To arm a file again is what ONESHOT asks for; of a closed epoll nobody knows.
    for flags in [Some(ONESHOT), None] {
        calm(&case(1000, &[(E::CtlMod, 1000), (E::CtlAdd, 10)], flags), "D09");
    }
    raised(
        &case(1000, &[(E::CtlMod, 1000), (E::CtlAdd, 10)], plain),
        "D09",
        Info,
    );
    // Each connection is added and taken out once.
    let mut server = case(1000, &[(E::CtlAdd, 600), (E::CtlDel, 600)], plain);
    raised(&server, "D09", Info);
    server.processes[0].counters.push((C::Accepts, 200));
    calm(&server, "D09");
    assert_eq!(
        case(99, &[(E::CtlAdd, 900)], plain).outcome("D09"),
        Outcome::TooFew(99)
    );
}

/// Of 1000 deliveries so many full ones, and such that did not sleep.
fn batches(full: u64, at_once: u64, largest: u64) -> Case {
    let process = Process::new(
        &[
            (C::Waits, 1000),
            (C::DeliveriesSlept, 1000 - at_once),
            (C::DeliveriesAtOnce, at_once),
            (C::FullBatches, full),
            (C::Events, 1000 * largest),
        ],
        &[(E::Notifications, 1000 * largest)],
    );
    Case::of(process.with(Metric::EventsPerWait, &[(largest, 1000)]))
}

#[test]
fn d10() {
    raised(&batches(201, 200, 1), "D10", Info);
    calm(&batches(200, 200, 1), "D10");
    calm(&batches(201, 199, 1), "D10");
    calm(&batches(201, 200, 1024), "D10");
    // maxevents of 1 leaves work to the others.
    let mut prefork = batches(900, 900, 1);
    let peer = [(C::Waits, 1000), (C::DeliveriesSlept, 1000), (C::Events, 1000)];
    prefork
        .processes
        .push(Process::new(&peer, &[(E::Notifications, 1000)]));
    prefork.shared = Some(("tcp", vec![(0, 50, 50), (0, 50, 50)]));
    raised(&prefork, "D10", Info);
    prefork.shared = Some(("tcp", vec![(EXCLUSIVE, 50, 50), (EXCLUSIVE, 0, 0)]));
    assert_eq!(prefork.found(), []);
}

#[test]
fn d11() {
    let spin = |returns: u64, news: u64| {
        let counters = [
            (C::Waits, returns),
            (C::DeliveriesAtOnce, returns),
            (C::Events, returns),
        ];
        Case::of(Process::new(&counters, &[(E::Notifications, news)]))
    };
    raised(&spin(512, 1), "D11", Warn);
    calm(&spin(511, 1), "D11");
    calm(&spin(512, 2), "D11");
    // Ready since before the window.
    raised(&spin(512, 0), "D11", Warn);
    raised(&spin(99_999, 0), "D11", Warn);
    raised(&spin(100_000, 0), "D11", Crit);
    // One accept after each return drains a queue that was full.
    let mut backlog = spin(5_000, 1);
    backlog.processes[0].counters.push((C::Accepts, 5_000));
    calm(&backlog, "D11");
    assert_eq!(spin(99, 0).outcome("D11"), Outcome::TooFew(99));
}

#[test]
fn d12() {
    let polls =
        |empty: u64, all: u64| Case::of(Process::new(&[(C::Waits, all), (C::ZeroTimeouts, empty)], &[]));
    raised(&polls(200_001, 400_000), "D12", Warn);
    calm(&polls(200_000, 400_000), "D12");
    calm(&polls(200_000, 300_000), "D12");
    calm(&polls(200_001, 400_002), "D12");
    // Of ten seconds, so one thread; two share the rate.
    let by = |busy: u64| {
        let mut case = polls(300_000, 400_000);
        case.processes[0]
            .counters
            .extend([(C::BusyNs, busy * MS), (C::WaitingNs, 1_000 * MS)]);
        case
    };
    raised(&by(9_000), "D12", Warn);
    raised(&by(13_900), "D12", Warn);
    calm(&by(14_000), "D12");
}

#[test]
fn d13() {
    let ready = |median: u64, items: Option<u64>| {
        let counters = [
            (C::Waits, 1000),
            (C::DeliveriesSlept, 1000),
            (C::Events, 1000 * median),
        ];
        let process = Process::new(&counters, &[(E::Notifications, 1000 * median)]);
        let mut process = process.with(Metric::EventsPerWait, &[(median, 1000)]);
        process.items = items;
        Case::of(process)
    };
    raised(&ready(40, Some(65)), "D13", Info);
    calm(&ready(40, Some(64)), "D13");
    calm(&ready(40, Some(100)), "D13");
    for unknown in [ready(40, None), ready(40, Some(0))] {
        assert_eq!(unknown.found(), []);
        assert!(matches!(unknown.outcome("D13"), Outcome::Unchecked(_)));
    }
}

/// A quiet epoll whose lock is waited for.
fn contended(waits: Waits) -> Case {
    let mut case = Case::of(Process::new(&[(C::Waits, 10), (C::WaitingNs, 10_000 * MS)], &[]));
    case.locks = vec![waits];
    case
}

#[test]
fn d14() {
    let lock = |count, each| contended((LockKind::Lock, LockPath::Notification, count, each));
    raised(&lock(1000, 21 * US), "D14", Warn);
    calm(&lock(1000, 19 * US), "D14");
    assert_eq!(lock(99, 21 * US).outcome("D14"), Outcome::TooFew(99));
    // No wait at all is no contention, as long as there was anything to look at.
    let none = Case::of(Process::new(&[(C::Waits, 10)], &[]));
    assert_eq!(none.outcome("D14"), Outcome::Clear(0));
    // The lock of a watched file is another one.
    let source = contended((LockKind::Source, LockPath::Other, 1000, 21 * US));
    assert_eq!(
        (source.found(), source.outcome("D14")),
        (vec![], Outcome::Clear(0))
    );
}

#[test]
fn d15() {
    let mutex = |path, count, each| contended((LockKind::Mutex, path, count, each));
    raised(&mutex(LockPath::Ctl, 100, 1_100 * US), "D15", Warn);
    calm(&mutex(LockPath::Ctl, 100, 900 * US), "D15");
    // Of ten seconds of waiters' time.
    raised(&mutex(LockPath::Wait, 1_001, 500 * US), "D15", Warn);
    calm(&mutex(LockPath::Wait, 1_000, 500 * US), "D15");
    calm(&mutex(LockPath::Ctl, 1_001, 500 * US), "D15");
    // The same once the epoll is closed.
    let case = mutex(LockPath::Wait, 1_001, 500 * US);
    let mut window = case.window();
    window.counted.rows[0].key.epoll = None;
    window.counted.epolls[0].id = EpollId::closed_of(pid(0));
    window.counted.locks[0].key.epoll = None;
    let findings = examine(&window, &Filter::default(), &Limits::default()).findings;
    let ids: Vec<&str> = findings.iter().map(|finding| finding.diagnosis.id).collect();
    assert_eq!(ids, ["D15"]);
}

#[test]
fn d16() {
    let busy = |during: u64, scan: u64| {
        let counters = [(E::Notifications, 1000), (E::NotificationsInScan, during)];
        Case::of(Process::new(&[(C::Waits, 10)], &counters).with(Metric::Scan, &[(scan, 100)]))
    };
    raised(&busy(101, 110 * US), "D16", Warn);
    calm(&busy(100, 110 * US), "D16");
    calm(&busy(101, 90 * US), "D16");
    let mut fought = busy(101, 90 * US);
    fought.locks = vec![(LockKind::Lock, LockPath::Notification, 1000, 21 * US)];
    assert_eq!(fought.found(), [("D14", Warn), ("D16", Warn)]);
}

#[test]
fn d17() {
    let mut inner = herd(2, 1000, 0, &[]);
    for process in &mut inner.processes {
        process
            .counters
            .retain(|(counter, _)| *counter != C::AcceptEagain);
    }
    inner.shared = Some(("eventpoll", vec![(0, 1000, 1000); 2]));
    raised(&inner, "D17", Warn);
    inner.shared = Some(("eventpoll", vec![(0, 1000, 1000), (0, 1000, 999)]));
    calm(&inner, "D17");
    // Without a name it shows by what it notifies; without that D01 says what it does not know.
    inner.shared = Some(("", vec![(0, 1000, 1000); 2]));
    let mut unknown = inner.clone();
    for process in &mut inner.processes {
        process.epoll.push((E::NotificationsNested, 1000));
    }
    raised(&inner, "D17", Warn);
    for process in &mut unknown.processes {
        process.epoll.clear();
        process.counters.insert(0, (C::EmptyWakeups, 600));
    }
    assert!(matches!(unknown.outcome("D17"), Outcome::Unchecked(_)));
    let findings = unknown.examine().findings;
    let d01 = findings
        .iter()
        .find(|finding| finding.diagnosis.id == "D01")
        .unwrap();
    assert!(d01.confidence.why.contains("D17"), "{}", d01.confidence.why);
}

#[test]
fn d19() {
    let late = |waiting: u64, delivery: u64| {
        let process = Process::new(
            &[(C::Waits, 1000), (C::DeliveriesSlept, 1000)],
            &[(E::Notifications, 1000)],
        );
        let process = process.with(Metric::Wakeup, &[(waiting + delivery, 1000)]);
        Case::of(process.with(Metric::Runqueue, &[(waiting, 1000)]))
    };
    raised(&late(1_200 * US, 700 * US), "D19", Warn);
    calm(&late(600 * US, 400 * US), "D19");
    // Half of it is on the CPU.
    calm(&late(1_000 * US, 1_000 * US), "D19");
}

#[test]
fn d20() {
    let rounds = |values: &[(u64, u64)]| {
        let process = Process::new(
            &[(C::Waits, 1000), (C::DeliveriesSlept, 1000)],
            &[(E::Notifications, 1000)],
        );
        Case::of(process.with(Metric::Busy, values))
    };
    raised(&rounds(&[(US, 980), (11 * MS, 20)]), "D20", Warn);
    calm(&rounds(&[(US, 980), (9 * MS, 20)]), "D20");
    calm(&rounds(&[(US, 999), (90 * MS, 1)]), "D20");
    raised(&rounds(&[(US, 999), (101 * MS, 1)]), "D20", Warn);
    assert_eq!(rounds(&[(101 * MS, 99)]).outcome("D20"), Outcome::TooFew(99));
}

#[test]
fn d21() {
    let ticks = |timeouts: u64, expired: u64, others: u64, busy: u64| {
        Case::of(Process::new(
            &[
                (C::Waits, timeouts + expired + others),
                (C::Timeouts, timeouts),
                (C::WakeupsTimer, expired),
                (C::WakeupsSource, expired),
                (C::DeliveriesSlept, expired + others),
                (C::Events, expired + others),
                (C::WaitingNs, 1000 * MS),
                (C::BusyNs, busy),
            ],
            &[(E::Notifications, expired + others)],
        ))
    };
    raised(&ticks(501, 0, 500, 0), "D21", Warn);
    raised(&ticks(300, 201, 500, 0), "D21", Warn);
    calm(&ticks(501, 0, 501, 0), "D21");
    calm(&ticks(500, 0, 0, 0), "D21");
    calm(&ticks(501, 0, 500, 1000 * MS), "D21");
}

#[test]
fn d22() {
    let refused = |count| Case::of(Process::new(&[(C::Waits, 1)], &[(E::CtlEinval, count)]));
    raised(&refused(1), "D22", Warn);
    calm(&refused(0), "D22");
}
