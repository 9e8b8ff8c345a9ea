//! D14 to D16: locks, and what comes while a scan holds them.

use super::*;
use crate::model::snapshot::FIRST_LOCK_WAITS;

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
    // Where the first waiter is not seen, what is found is true, and nothing found is no proof.
    let blind = |mut case: Case| {
        case.absent = vec![FIRST_LOCK_WAITS];
        case
    };
    raised(&blind(lock(1000, 21 * US)), "D14", Warn);
    for hidden in [blind(lock(1000, 19 * US)), blind(lock(99, 21 * US)), blind(none)] {
        assert!(
            matches!(hidden.outcome("D14"), Outcome::Unchecked(why) if why.starts_with(FIRST_LOCK_WAITS))
        );
        assert_eq!(hidden.outcome("D15"), Outcome::Clear(0));
    }
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
