//! D09 to D13 and D22: how the calls are used.

use super::*;

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

#[test]
fn d22() {
    let refused = |count| Case::of(Process::new(&[(C::Waits, 1)], &[(E::CtlEinval, count)]));
    raised(&refused(1), "D22", Warn);
    calm(&refused(0), "D22");
}
