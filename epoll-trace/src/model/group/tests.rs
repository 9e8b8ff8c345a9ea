//! Grouping: what is summed, what is told apart, and whose an epoll is.

mod closed;

use super::*;
use crate::model::snapshot::Counter;
use crate::model::snapshot::{Epoll, Metric, RowKey};
use crate::source::Source;
use crate::source::synthetic::{self, Synthetic};

fn window(source: &mut Synthetic, ticks: usize) -> Window {
    let first = source.snapshot().unwrap();
    let mut last = first.clone();
    for _ in 0..ticks {
        last = source.snapshot().unwrap();
    }
    Window::between(&first, &last)
}

fn of(entries: &[Entry], pid: u32) -> &Entry {
    entries.iter().find(|entry| entry.key.pid == pid).unwrap()
}

#[test]
fn a_process_sums_its_epolls() {
    let window = window(&mut Synthetic::demo(), 3);
    let entries = group(&window, GroupBy::Process, &Filter::default());
    let nginx = of(&entries, synthetic::NGINX);
    assert_eq!((nginx.name.as_str(), nginx.epolls), ("nginx", 2));
    assert_eq!(nginx.counter(Counter::DeliveriesSlept), Some(2 * 3 * 200));
    assert_eq!(nginx.metric(Metric::Wakeup).unwrap().count(), 2 * 3 * 200);
    assert_eq!(nginx.per_second(nginx.wakeups()), Some(2.0 * 200.0));
    assert!(nginx.has_enough_values());
}

#[test]
fn threads_and_epolls_are_told_apart() {
    let mut source = Synthetic::demo();
    source.per_thread();
    let window = window(&mut source, 1);
    let threads = group(&window, GroupBy::Thread, &Filter::default());
    let tids: Vec<_> = threads
        .iter()
        .filter(|entry| entry.key.pid == synthetic::NGINX)
        .map(|entry| entry.key.tid)
        .collect();
    assert_eq!(tids, [Some(synthetic::NGINX), Some(synthetic::NGINX + 1)]);
    let epolls = group(&window, GroupBy::Epoll, &Filter::default());
    let names: Vec<_> = epolls.iter().filter_map(|entry| entry.key.epoll_name()).collect();
    assert!(
        names.contains(&"185:8".to_owned()) && names.contains(&"185:9".to_owned()),
        "{names:?}"
    );
}

#[test]
fn a_shared_epoll_is_one_and_each_of_its_processes_shows_its_notifications() {
    let window = window(&mut Synthetic::demo(), 1);
    let shared: Vec<_> = group(&window, GroupBy::Epoll, &Filter::default())
        .into_iter()
        .filter(|entry| entry.name == "worker")
        .collect();
    assert_eq!(shared.len(), 1);
    assert_eq!(shared[0].key.epoll_name().as_deref(), Some("300:5"));
    assert_eq!(shared[0].counter(Counter::DeliveriesSlept), Some(100));
    let processes = group(&window, GroupBy::Process, &Filter::default());
    for pid in [300, 301] {
        assert_eq!(
            of(&processes, pid).epoll_counter(EpollCounter::Notifications),
            Some(100)
        );
        assert_eq!(of(&processes, pid).counter(Counter::DeliveriesSlept), Some(50));
    }
}

/// Process 1 created an epoll; `waiter` waits on it.
fn created_by_1(waiter: Option<u32>, address: u64) -> Window {
    let id = EpollId { address, born_ns: 1 };
    let mut epoll = Epoll {
        id,
        creator: Some(1),
        ..Epoll::default()
    };
    epoll.counters[EpollCounter::Notifications as usize] = Some(7);
    let row = |pid, epoll| Row {
        key: RowKey {
            pid,
            tid: None,
            epoll,
        },
        ..Row::default()
    };
    let counted = Snapshot {
        rows: waiter.map(|pid| row(pid, Some(id))).into_iter().collect(),
        epolls: vec![epoll],
        ..Snapshot::default()
    };
    Window { span_ns: 1, counted }
}

fn notifications(window: &Window, by: GroupBy, filter: &Filter) -> Vec<(u32, Option<u64>)> {
    let entries = group(window, by, filter);
    let numbers = |entry: &Entry| (entry.key.pid, entry.epoll_counter(EpollCounter::Notifications));
    entries.iter().map(numbers).collect()
}

/// A loop that changes items and never waits is what `ctl_*` is there to show.
#[test]
fn an_epoll_that_only_epoll_ctl_touched_is_shown() {
    let mut window = created_by_1(None, 0x10);
    let counters = &mut window.counted.epolls[0].counters;
    counters[EpollCounter::Notifications as usize] = Some(0);
    assert_eq!(group(&window, GroupBy::Epoll, &Filter::default()).len(), 0);
    window.counted.epolls[0].counters[EpollCounter::CtlAdd as usize] = Some(3);
    for by in [GroupBy::Process, GroupBy::Epoll] {
        let entries = group(&window, by, &Filter::default());
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].epoll_counter(EpollCounter::CtlAdd), Some(3));
    }
}

#[test]
fn an_epoll_is_its_creators_only_while_nobody_waits_on_it() {
    let all = Filter::default();
    for by in [GroupBy::Process, GroupBy::Epoll] {
        assert_eq!(
            notifications(&created_by_1(Some(2), 0x10), by, &all),
            [(2, Some(7))]
        );
        assert_eq!(notifications(&created_by_1(None, 0x10), by, &all), [(1, Some(7))]);
    }
    let creator = Filter {
        pids: vec![1],
        ..Filter::default()
    };
    assert_eq!(
        notifications(&created_by_1(Some(2), 0x10), GroupBy::Process, &creator),
        []
    );
    assert_eq!(
        notifications(&created_by_1(None, 0x10), GroupBy::Process, &creator),
        [(1, Some(7))]
    );
}

#[test]
fn descriptor_numbers_of_two_processes_are_two_epolls() {
    let id = EpollId {
        address: EpollId::BY_FD | 5,
        born_ns: 0,
    };
    let rows = [1, 2].map(|pid| Row {
        key: RowKey {
            pid,
            tid: None,
            epoll: Some(id),
        },
        epfd: Some(5),
        ..Row::default()
    });
    let counted = Snapshot {
        rows: rows.into(),
        ..Snapshot::default()
    };
    let entries = group(
        &Window { span_ns: 1, counted },
        GroupBy::Epoll,
        &Filter::default(),
    );
    let names: Vec<_> = entries
        .iter()
        .filter_map(|entry| entry.key.epoll_name())
        .collect();
    assert_eq!(names, ["1:5", "2:5"]);
}

#[test]
fn what_is_absent_is_absent_everywhere() {
    let mut source = Synthetic::demo();
    source.without(&["callback", "empty_wakeups", "notifications"]);
    let entries = group(&window(&mut source, 2), GroupBy::Process, &Filter::default());
    let nginx = of(&entries, synthetic::NGINX);
    assert_eq!(nginx.metric(Metric::Callback), None);
    assert_eq!(nginx.empty_share(), None);
    assert_eq!(nginx.epoll_counter(EpollCounter::Notifications), None);
    assert!(nginx.wakeups().is_some());
}

#[test]
fn filters_keep_what_they_name() {
    let window = window(&mut Synthetic::demo(), 1);
    let pids = |filter: Filter| -> Vec<u32> {
        group(&window, GroupBy::Process, &filter)
            .iter()
            .map(|entry| entry.key.pid)
            .collect()
    };
    assert_eq!(
        pids(Filter {
            pids: vec![185],
            ..Filter::default()
        }),
        [185]
    );
    assert_eq!(
        pids(Filter {
            comm: Some(regex::Regex::new("^work").unwrap()),
            ..Filter::default()
        }),
        [300, 301]
    );
    assert_eq!(
        pids(Filter {
            epfd: Some(9),
            ..Filter::default()
        }),
        [185]
    );
    assert!(
        pids(Filter {
            tids: vec![185],
            ..Filter::default()
        })
        .is_empty()
    );
}

#[test]
fn an_epoll_of_before_is_named_by_who_had_it_and_shown_for_its_items() {
    let mut window = created_by_1(None, 0x10);
    let epoll = &mut window.counted.epolls[0];
    (epoll.creator, epoll.opened, epoll.items, epoll.flags) = (None, Some((9, 4)), Some(3), Some(1 << 31));
    epoll.counters = [Some(0); EpollCounter::COUNT].into();
    let entries = group(&window, GroupBy::Epoll, &Filter::default());
    let [entry] = &entries[..] else {
        panic!("{entries:?}")
    };
    assert_eq!(entry.key.epoll_name().as_deref(), Some("9:4"));
    assert_eq!(
        (entry.items, entry.flags, entry.processes),
        (Some(3), Some(1 << 31), 0)
    );
    assert_eq!(group(&window, GroupBy::Process, &Filter::default()), []);
    window.counted.epolls[0].items = None;
    assert_eq!(group(&window, GroupBy::Epoll, &Filter::default()), []);
}

#[test]
fn a_shared_epoll_has_all_its_processes_and_a_process_all_its_items() {
    let window = window(&mut Synthetic::demo(), 1);
    let one = Filter {
        pids: vec![301],
        ..Filter::default()
    };
    assert_eq!(group(&window, GroupBy::Epoll, &one)[0].processes, 2);
    let processes = group(&window, GroupBy::Process, &Filter::default());
    let nginx = of(&processes, synthetic::NGINX);
    assert_eq!((nginx.items, nginx.flags), (Some(2 + 3), Some(1 << 31)));
}

#[test]
fn quiet_rows_leave_out_nothing_that_others_counted() {
    let of = |address, waits| {
        let mut row = Row {
            key: RowKey {
                pid: 1,
                tid: None,
                epoll: Some(EpollId { address, born_ns: 1 }),
            },
            ..Row::default()
        };
        row.numbers.counters[Counter::Waits as usize] = Some(waits);
        row
    };
    let (quiet, busy) = (of(1, 0), of(2, 3));
    let again = |row: &Row, address| Row {
        numbers: row.numbers.clone(),
        ..of(address, 0)
    };
    let counted = Snapshot {
        rows: vec![quiet.clone(), busy.clone(), again(&quiet, 3), again(&busy, 4)],
        ..Snapshot::default()
    };
    let entries = group(
        &Window { span_ns: 1, counted },
        GroupBy::Process,
        &Filter::default(),
    );
    assert_eq!(
        (entries[0].counter(Counter::Waits), entries[0].epolls),
        (Some(6), 4)
    );
}
