//! D19 to D21: where the time goes.

use super::*;

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
