//! Epolls that are closed: sums of their processes, counted once.

use super::*;

#[test]
fn closed_epolls_are_one_entry_of_their_process() {
    let mut window = created_by_1(None, 0);
    window.counted.rows = vec![Row {
        key: RowKey {
            pid: 1,
            tid: None,
            epoll: None,
        },
        ..Row::default()
    }];
    let entries = group(&window, GroupBy::Epoll, &Filter::default());
    let names: Vec<_> = entries
        .iter()
        .filter_map(|entry| entry.key.epoll_name())
        .collect();
    assert_eq!(names, ["1:closed"]);
    assert_eq!(entries[0].epoll_counter(EpollCounter::Notifications), Some(7));
}

/// Notifications by process of two looks at an epoll that 1 created and `waiters` wait on: at the first it is open and has
/// 40, at the second it is closed and had 52.
fn shared_and_closed(waiters: [u32; 2], by: GroupBy) -> Vec<(u32, Option<u64>)> {
    let id = EpollId {
        address: 0x10,
        born_ns: 1,
    };
    let epoll = |id: EpollId, creator, notifications| {
        let mut epoll = Epoll {
            id,
            creator,
            ..Epoll::default()
        };
        epoll.counters[EpollCounter::Notifications as usize] = Some(notifications);
        epoll
    };
    let look = |of: Option<EpollId>, epolls| Snapshot {
        rows: waiters
            .map(|pid| Row {
                key: RowKey {
                    pid,
                    tid: None,
                    epoll: of,
                },
                ..Row::default()
            })
            .into(),
        epolls,
        ..Snapshot::default()
    };
    let sums = EpollId::closed_sums(Some(1), &waiters.into());
    let closed = sums
        .into_iter()
        .map(|sum| epoll(sum, sum.process_of_closed(), 52))
        .collect();
    let window = Window::between(&look(Some(id), vec![epoll(id, Some(1), 40)]), &look(None, closed));
    notifications(&window, by, &Filter::default())
}

#[test]
fn a_shared_epoll_that_was_closed_counts_once_among_epolls_and_with_each_of_its_processes() {
    assert_eq!(
        shared_and_closed([2, 3], GroupBy::Process),
        [(2, Some(12)), (3, Some(12))]
    );
    assert_eq!(
        shared_and_closed([2, 3], GroupBy::Epoll),
        [(2, Some(12)), (3, Some(0))]
    );
    assert_eq!(
        shared_and_closed([0, 1], GroupBy::Epoll),
        [(0, Some(0)), (1, Some(12))],
        "the creator holds it if it waited"
    );
}

#[test]
fn the_closed_epolls_of_a_process_are_one_line_whoever_holds_them() {
    let mut epolls = [
        Epoll {
            id: EpollId::closed_of(2),
            ..Epoll::default()
        },
        Epoll {
            id: EpollId::closed_with_another(2),
            ..Epoll::default()
        },
    ];
    for (epoll, count) in epolls.iter_mut().zip([5, 30]) {
        epoll.creator = epoll.id.process_of_closed();
        epoll.counters[EpollCounter::Notifications as usize] = Some(count);
    }
    let counted = Snapshot {
        epolls: epolls.into(),
        ..Snapshot::default()
    };
    let window = Window { span_ns: 1, counted };
    let all = Filter::default();
    assert_eq!(notifications(&window, GroupBy::Process, &all), [(2, Some(35))]);
    assert_eq!(notifications(&window, GroupBy::Epoll, &all), [(2, Some(5))]);
}

#[test]
fn without_an_epoll_nothing_was_counted_and_that_is_known() {
    let closed = Row {
        key: RowKey {
            pid: 7,
            ..RowKey::default()
        },
        ..Row::default()
    };
    let counters = |absent: &[&str]| {
        let counted = Snapshot {
            rows: vec![closed.clone()],
            absent: absent
                .iter()
                .map(|&name| (name.to_owned(), "no probe".to_owned()))
                .collect::<BTreeMap<_, _>>()
                .into(),
            ..Snapshot::default()
        };
        let window = Window { span_ns: 1, counted };
        group(&window, GroupBy::Epoll, &Filter::default())[0].epoll_counters
    };
    assert_eq!(counters(&[]), [Some(0); EpollCounter::COUNT]);
    let scans = EpollCounter::Scans;
    assert_eq!(counters(&[scans.name()])[scans as usize], None);
}
