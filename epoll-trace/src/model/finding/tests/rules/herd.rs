//! D01 to D03 and D17: who is woken by one file, and for what.

use super::*;

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
pub(in super::super) fn chain(first: u64, next: u64) -> Case {
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
