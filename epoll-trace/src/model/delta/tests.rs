//! Differences: of counters, of what was closed in between, of addresses used again.

use super::*;
use crate::model::snapshot::{Counter, Epoll, EpollCounter, EpollId};

fn row(pid: u32, epoll: Option<u64>, waits: Option<u64>) -> Row {
    let mut row = Row {
        key: RowKey {
            pid,
            tid: None,
            epoll: epoll.map(|address| EpollId { address, born_ns: 1 }),
        },
        ..Row::default()
    };
    row.numbers.counters[Counter::Waits as usize] = waits;
    row
}

fn look(at_ns: u64, rows: Vec<Row>) -> Snapshot {
    Snapshot {
        at_ns,
        rows,
        ..Snapshot::default()
    }
}

fn waits(window: &Window) -> Vec<Option<u64>> {
    window
        .counted
        .rows
        .iter()
        .map(|row| row.numbers.counters[Counter::Waits as usize])
        .collect()
}

#[test]
fn counters_are_differences_and_never_negative() {
    let earlier = look(1_000, vec![row(1, Some(1), Some(5)), row(2, Some(2), Some(9))]);
    let later = look(
        4_000,
        vec![
            row(1, Some(1), Some(8)),
            row(2, Some(2), Some(7)),
            row(3, Some(3), Some(2)),
        ],
    );
    let window = Window::between(&earlier, &later);
    assert_eq!(window.span_ns, 3_000);
    assert_eq!(waits(&window), [Some(3), Some(0), Some(2)]);
}

#[test]
fn what_two_looks_share_was_quiet_and_what_is_absent_stays_so() {
    let mut shared = look(0, vec![row(1, Some(1), Some(5)), row(2, Some(2), None)]);
    shared.absent = Arc::new(
        [("timeouts", "no probe")]
            .map(|(name, why)| (name.into(), why.into()))
            .into(),
    );
    shared.rows[1].numbers = shared.rows[0].numbers.clone();
    let mut later = shared.clone();
    later.rows[1].numbers.counters[Counter::Waits as usize] = Some(7);
    let window = Window::between(&shared, &later);
    assert_eq!(waits(&window), [Some(0), Some(2)]);
    let quiet = &window.counted.rows[0].numbers;
    assert!(quiet.is_quiet() && !window.counted.rows[1].numbers.is_quiet());
    assert_eq!(quiet.counters[Counter::Timeouts as usize], None);
}

#[test]
fn unknown_stays_unknown() {
    let window = Window::between(
        &look(0, vec![row(1, None, None)]),
        &look(1, vec![row(1, None, None)]),
    );
    assert_eq!(waits(&window), [None]);
}

#[test]
fn a_closed_epolls_past_is_no_news_of_the_common_row() {
    let earlier = look(0, vec![row(1, Some(1), Some(100)), row(1, None, Some(10))]);
    let later = look(1, vec![row(1, None, Some(115))]);
    assert_eq!(waits(&Window::between(&earlier, &later)), [Some(5)]);
}

#[test]
fn a_closed_epolls_past_is_no_news_of_its_processes_sum() {
    let epoll = |id, created| {
        let mut epoll = Epoll {
            id,
            creator: Some(1),
            ..Epoll::default()
        };
        epoll.counters[EpollCounter::Created as usize] = Some(created);
        epoll
    };
    let id = EpollId {
        address: 7,
        born_ns: 1,
    };
    let look = |epolls| Snapshot {
        epolls,
        ..Snapshot::default()
    };
    let earlier = look(vec![epoll(EpollId::closed_of(1), 4), epoll(id, 1)]);
    let later = look(vec![epoll(EpollId::closed_of(1), 6)]);
    let window = Window::between(&earlier, &later);
    assert_eq!(
        window.counted.epolls[0].counters[EpollCounter::Created as usize],
        Some(1)
    );
}

#[test]
fn an_address_used_again_is_another_epoll() {
    let mut old = Epoll {
        id: EpollId {
            address: 7,
            born_ns: 1,
        },
        ..Epoll::default()
    };
    old.counters[EpollCounter::Notifications as usize] = Some(50);
    let mut new = Epoll {
        id: EpollId {
            address: 7,
            born_ns: 2,
        },
        ..Epoll::default()
    };
    new.counters[EpollCounter::Notifications as usize] = Some(3);
    let earlier = Snapshot {
        epolls: vec![old],
        ..Snapshot::default()
    };
    let later = Snapshot {
        epolls: vec![new],
        ..Snapshot::default()
    };
    let window = Window::between(&earlier, &later);
    assert_eq!(
        window.counted.epolls[0].counters[EpollCounter::Notifications as usize],
        Some(3)
    );
}

#[test]
fn a_shared_epolls_past_is_no_news_of_any_of_its_processes_sums() {
    let epoll = |id, notifications| {
        let mut epoll = Epoll {
            id,
            ..Epoll::default()
        };
        epoll.counters[EpollCounter::Notifications as usize] = Some(notifications);
        epoll
    };
    let shared = EpollId {
        address: 7,
        born_ns: 1,
    };
    let earlier = Snapshot {
        epolls: vec![epoll(EpollId::closed_with_another(2), 10), epoll(shared, 100)],
        ..look(0, vec![row(1, Some(7), None), row(2, Some(7), None)])
    };
    let later = Snapshot {
        epolls: vec![
            epoll(EpollId::closed_of(1), 103),
            epoll(EpollId::closed_with_another(2), 113),
        ],
        ..look(1, vec![row(1, None, None), row(2, None, None)])
    };
    let window = Window::between(&earlier, &later);
    let news: Vec<_> = window
        .counted
        .epolls
        .iter()
        .map(|epoll| epoll.counters[EpollCounter::Notifications as usize])
        .collect();
    assert_eq!(news, [Some(3), Some(3)]);
}
