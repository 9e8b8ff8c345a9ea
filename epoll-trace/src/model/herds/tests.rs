use proptest::prelude::*;

use super::*;
use crate::model::snapshot::Snapshot;
use crate::source::Source;
use crate::source::synthetic::{NGINX, Synthetic};

fn look(source: &mut Synthetic) -> Snapshot {
    source.snapshot().unwrap()
}

fn herds(window: &Window, filter: &Filter, all: bool) -> Vec<Herd> {
    super::shown(judged(window, filter), all)
}

/// Of the second of two windows, so that what was counted before must have been taken off.
fn shown(filter: &Filter, all: bool) -> Vec<Herd> {
    let mut source = Synthetic::demo();
    source.share();
    look(&mut source);
    let first = look(&mut source);
    let window = Window::between(&first, &look(&mut source));
    herds(&window, filter, all)
}

#[test]
fn an_event_reaches_as_many_as_there_are_items_and_the_first_item_counts_events() {
    let herds = shown(&Filter::default(), false);
    let [listener, eventfd] = &herds[..] else {
        panic!("{herds:?}")
    };
    assert_eq!((listener.events, listener.items), (100, 2));
    assert_eq!(listener.fan_out(), Some(2.0));
    assert_eq!(listener.woken_per_event(), Some(1.9));
    assert_eq!(listener.surplus(), 90);
    assert_eq!(listener.gini(), Some(0.0));
    assert_eq!((eventfd.events, eventfd.items), (50, 2));
    assert_eq!(eventfd.fan_out(), Some(1.0));
    assert_eq!(eventfd.surplus(), 0);
}

#[test]
fn all_processes_of_an_epoll_are_one_worker() {
    let herds = shown(&Filter::default(), false);
    let worker = &herds[1].workers[1];
    assert_eq!(
        (worker.key.epoll_name().as_deref(), worker.processes),
        (Some("300:5"), 2)
    );
    assert_eq!(worker.wakeups(), Some(150));
    assert_eq!(worker.deliveries(), Some(100));
    assert_eq!(worker.counter(Counter::EmptyWakeups), Some(50));
    // 1000 and 100 deliveries.
    assert!((herds[1].gini().unwrap() - 900.0 / 2200.0).abs() < 1e-9);
    assert_eq!(herds[1].shared_work(), Work::Deliveries);
}

#[test]
fn a_filter_chooses_sources_and_not_workers() {
    let filter = Filter {
        pids: vec![NGINX],
        ..Filter::default()
    };
    let herds = shown(&filter, false);
    assert_eq!(herds.len(), 1);
    assert_eq!(herds[0].workers.len(), 2);
}

#[test]
fn a_quiet_source_is_shown_where_all_are_asked_for() {
    let mut source = Synthetic::demo();
    source.share();
    let first = look(&mut source);
    let window = Window::between(&first, &first);
    assert!(herds(&window, &Filter::default(), false).is_empty());
    let all = herds(&window, &Filter::default(), true);
    assert_eq!(all.len(), 2);
    assert_eq!((all[0].fan_out(), all[0].gini()), (None, None));
}

#[test]
fn what_was_closed_before_the_window_is_not_shown_and_what_closed_in_it_is() {
    let mut source = Synthetic::demo();
    source.share();
    let first = look(&mut source);
    let mut second = first.clone();
    for item in &mut second.sources {
        item.open = false;
    }
    let window = Window::between(&first, &second);
    let shown = herds(&window, &Filter::default(), true);
    assert_eq!(shown.iter().map(|herd| herd.items).collect::<Vec<_>>(), [2, 2]);
    let window = Window::between(&second, &second.clone());
    assert!(herds(&window, &Filter::default(), true).is_empty());
}

#[test]
fn an_epoll_that_nobody_waited_on_yet_has_its_owners_name_and_no_work() {
    let mut source = Synthetic::demo();
    source.share();
    let first = look(&mut source);
    let mut second = look(&mut source);
    let idle = &mut second.sources[1];
    idle.waiters.clear();
    idle.owner = Some((77, Some(6)));
    let window = Window::between(&first, &second);
    let filter = Filter {
        pids: vec![77],
        ..Filter::default()
    };
    let herds = herds(&window, &filter, false);
    let [listener] = &herds[..] else {
        panic!("{herds:?}")
    };
    let worker = &listener.workers[0];
    assert_eq!(worker.key.epoll_name().as_deref(), Some("77:6"));
    assert_eq!((worker.deliveries(), worker.processes), (Some(0), 0));
    assert_eq!(listener.gini(), Some(0.5));
}

#[test]
fn utilization_is_of_the_time_in_and_between_waits() {
    let mut source = Synthetic::demo();
    source.share();
    let first = look(&mut source);
    let mut second = look(&mut source);
    let row = &mut second.sources[0].waiters[0];
    let mut numbers = crate::model::snapshot::Numbers::clone(&row.numbers);
    numbers.counters[Counter::BusyNs as usize] = Some(300);
    numbers.counters[Counter::WaitingNs as usize] = Some(100);
    row.numbers = numbers.into();
    let window = Window::between(&first, &second);
    let herds = herds(&window, &Filter::default(), false);
    let [busy, quiet] = &herds[0].workers[..] else {
        panic!("{herds:?}")
    };
    assert_eq!((busy.utilization(), quiet.utilization()), (Some(0.75), None));
}

#[test]
fn a_queue_that_passes_on_and_a_listener_have_their_numbers() {
    let herds = shown(&Filter::default(), false);
    let [listener, eventfd] = &herds[..] else {
        panic!("{herds:?}")
    };
    assert_eq!((listener.backlog, listener.accept_queue), (Some(511), Some(3)));
    assert_eq!((listener.passed_on(), eventfd.passed_on()), (0, 4));
    assert!(listener.is_listener() && !eventfd.is_listener());
}

#[test]
fn who_stood_first_tells_the_events_where_workers_take_turns() {
    let mut source = Synthetic::demo();
    source.share();
    let first = look(&mut source);
    let mut second = look(&mut source);
    let file = second.sources[0].key.source.file;
    for item in second
        .sources
        .iter_mut()
        .filter(|item| item.key.source.file == file)
    {
        let earlier = first
            .sources
            .iter()
            .find(|earlier| earlier.key == item.key)
            .unwrap();
        item.notifications = earlier.notifications + 50;
        item.first = earlier.first + 50;
    }
    let window = Window::between(&first, &second);
    let herds = herds(&window, &Filter::default(), false);
    let rotated = herds.iter().find(|herd| herd.id.file == file).unwrap();
    assert_eq!((rotated.events, rotated.notifications()), (100, 100));
    assert_eq!(rotated.fan_out(), Some(1.0));
}

#[test]
fn an_item_whose_waiters_were_there_before_it_does_not_have_their_past() {
    let mut source = Synthetic::demo();
    look(&mut source);
    let first = look(&mut source);
    source.share();
    let window = Window::between(&first, &look(&mut source));
    let herds = herds(&window, &Filter::default(), false);
    assert_eq!(herds[0].workers[0].wakeups(), Some(200));
}

#[test]
fn what_cannot_be_known_stays_so() {
    let mut source = Synthetic::demo();
    source.share();
    source.without(&["empty_wakeups", "accepts"]);
    let first = look(&mut source);
    let window = Window::between(&first, &look(&mut source));
    let herds = herds(&window, &Filter::default(), false);
    assert_eq!(herds[0].empty_share(), None);
    assert_eq!(herds[0].sum(|worker| worker.counter(Counter::Accepts)), None);
    assert_eq!(herds[0].shared_work(), Work::Deliveries);
}

/// Half the mean difference of any two, over the mean: the definition.
fn by_pairs(parts: &[u64]) -> f64 {
    let count = parts.len() as f64;
    let mean = parts.iter().map(|&part| part as f64).sum::<f64>() / count;
    let differences: f64 = parts
        .iter()
        .flat_map(|&one| parts.iter().map(move |&other| one.abs_diff(other) as f64))
        .sum();
    differences / (2.0 * count * count * mean)
}

#[test]
fn gini_of_the_extremes() {
    assert_eq!(gini(&[5, 5, 5, 5]), Some(0.0));
    assert_eq!(gini(&[0, 8, 0, 0]), Some(0.75));
    assert_eq!(gini(&[0, 0]), None);
    assert_eq!(gini(&[]), None);
}

proptest! {
    #[test]
    fn gini_is_the_mean_difference_whatever_order_and_scale(parts in prop::collection::vec(0u64..1_000_000, 1..40), scale in 1u64..1000) {
        prop_assume!(parts.iter().any(|&part| part > 0));
        let found = gini(&parts).unwrap();
        prop_assert!((found - by_pairs(&parts)).abs() < 1e-9);
        prop_assert!((0.0..1.0).contains(&found));
        let mut scaled: Vec<u64> = parts.iter().rev().map(|part| part * scale).collect();
        prop_assert!((gini(&scaled).unwrap() - found).abs() < 1e-9);
        scaled.sort_unstable();
        prop_assert!((gini(&scaled).unwrap() - found).abs() < 1e-9);
    }
}

#[test]
fn without_items_a_listener_is_estimated_from_what_its_workers_count() {
    let mut source = Synthetic::demo();
    source.share();
    let first = look(&mut source);
    let mut window = Window::between(&first, &look(&mut source));
    let listener = window.counted.sources[0].key.source;
    window.counted.sources.retain(|item| item.key.source == listener);
    for item in &mut window.counted.sources {
        item.counted = false;
        (item.notifications, item.woken, item.first, item.passed_on) = (0, 0, 0, 0);
        for waiter in &mut item.waiters {
            let counters = &mut waiter.numbers.counters;
            counters[Counter::Accepts as usize] = Some(40);
            counters[Counter::AcceptEagain as usize] = Some(3);
            counters[Counter::EmptyWakeups as usize] = Some(7);
        }
    }
    let herds = herds(&window, &Filter::default(), false);
    let [herd] = &herds[..] else { panic!("{herds:?}") };
    assert!(herd.estimated && herd.is_listener());
    assert_eq!((herd.fan_out(), herd.notifications()), (None, 0));
    assert_eq!(
        Some(herd.events),
        herd.sum(|worker| worker.counter(Counter::Accepts))
    );
    for worker in &herd.workers {
        let of = |counter| worker.counter(counter).unwrap();
        let all = of(Counter::Accepts) + of(Counter::AcceptEagain) + of(Counter::EmptyWakeups);
        assert_eq!(worker.woken, all.min(worker.wakeups().unwrap()));
        assert!(worker.woken > 0);
    }
}
