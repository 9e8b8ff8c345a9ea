use super::*;
use crate::model::delta::Window;
use crate::model::filter::Filter;
use crate::model::finding::{Limits, Outcome, examine};
use crate::model::snapshot::Metric;

fn after(seconds: usize) -> (Snapshot, Snapshot) {
    let mut story = Story::default();
    let first = story.snapshot().unwrap();
    let mut last = None;
    for _ in 0..seconds {
        last = Some(story.snapshot().unwrap());
    }
    (first, last.unwrap())
}

#[test]
fn the_troubles_are_found_and_the_neighbours_are_well() {
    for seconds in [5, 20, 60] {
        let (first, last) = after(seconds);
        let window = Window::between(&first, &last);
        let examination = examine(&window, &Filter::default(), &Limits::default());
        let found: Vec<_> = examination
            .findings
            .iter()
            .map(|finding| finding.diagnosis.id)
            .collect();
        assert_eq!(found, ["D01", "D02", "D12", "D19", "D20"], "after {seconds} s");
        let unchecked = examination
            .checks
            .iter()
            .filter(|check| matches!(check.outcome, Outcome::Unchecked(_)));
        let unchecked: Vec<_> = unchecked.map(|check| check.diagnosis.id).collect();
        assert_eq!(unchecked, ["D05", "D06", "D07", "D08"]);
    }
}

#[test]
fn numbers_agree_with_each_other() {
    let (_, last) = after(30);
    for row in &last.rows {
        let count = |counter| row.numbers.counters[counter as usize].unwrap();
        let values = |metric| {
            let found = row.numbers.metrics.iter().find(|(known, _)| *known == metric);
            found.map_or(0, |(_, histogram)| histogram.count())
        };
        let (slept, at_once) = (count(Counter::DeliveriesSlept), count(Counter::DeliveriesAtOnce));
        for metric in [
            Metric::Wakeup,
            Metric::Callback,
            Metric::Runqueue,
            Metric::Delivery,
        ] {
            assert_eq!(values(metric), slept, "{row:?}");
        }
        assert_eq!(values(Metric::Queue), at_once, "{row:?}");
        assert_eq!(values(Metric::Busy), count(Counter::Waits), "{row:?}");
        let wakeups = count(Counter::WakeupsSource) + count(Counter::WakeupsChain);
        assert_eq!(wakeups, slept + count(Counter::EmptyWakeups), "{row:?}");
        assert_eq!(count(Counter::BusyNs) + count(Counter::WaitingNs), 30 * SECOND);
    }
    for item in &last.sources {
        assert!(item.woken <= item.notifications, "{item:?}");
    }
}

#[test]
fn each_start_is_the_same() {
    assert_eq!(after(12), after(12));
}
