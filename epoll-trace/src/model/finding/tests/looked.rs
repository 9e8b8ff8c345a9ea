//! Rules on what a look at live processes tells, and on listeners at one address.

use super::super::super::look::{Ghost, LookedAt};
use super::super::super::source::Listening;
use super::rules::{calm, raised};
use super::*;

use Counter as C;
use EpollCounter as E;
use Severity::{Crit, Warn};

const MS: u64 = 1_000_000;

/// Listeners at one address, each with a process: connections, accept queue, and how busy the process is, in hundredths.
fn at_one_address(listeners: &[(u64, u64, u64)]) -> Window {
    let process = |&(connections, _, busy): &(u64, u64, u64)| {
        Process::new(
            &[
                (C::Waits, connections),
                (C::DeliveriesSlept, connections),
                (C::Accepts, connections),
                (C::BusyNs, busy * MS),
                (C::WaitingNs, (100 - busy) * MS),
            ],
            &[(E::Notifications, connections)],
        )
    };
    let case = Case {
        processes: listeners.iter().map(process).collect(),
        ..Case::default()
    };
    let mut window = case.window();
    let counted = &mut window.counted;
    for (index, &(connections, queue, _)) in listeners.iter().enumerate() {
        let (netns, inode, address) = (1, 100 + index as u64, "127.0.0.1:80".to_owned());
        counted.sources.push(SourceItem {
            counted: true,
            key: SourceItemKey {
                source: SourceId {
                    file: inode,
                    born_ns: 1,
                },
                epoll: id(index),
                fd: 7,
            },
            notifications: connections,
            woken: connections,
            passed_on: 0,
            first: 0,
            backlog: Some(128),
            events: 1,
            open: true,
            named: Ok(Arc::new(Named {
                kind: "tcp".to_owned(),
                name: Some(address.clone()),
                inode: Some(inode),
                netns: Some(netns),
                accept_queue: None,
            })),
            owner: None,
            waiters: vec![counted.rows[index].clone()],
        });
        counted.listening.push(Listening {
            netns,
            address,
            inode,
            queue,
        });
    }
    window
}

#[test]
fn d04() {
    let examined = |listeners: &[(u64, u64, u64)]| {
        examine(&at_one_address(listeners), &Filter::default(), &Limits::default())
    };
    let outcome = |listeners: &[(u64, u64, u64)]| {
        let checks = examined(listeners).checks;
        checks
            .into_iter()
            .find(|check| check.diagnosis.id == "D04")
            .unwrap()
            .outcome
    };
    let idle = [(40, 0, 10), (40, 1, 10), (40, 0, 10)];
    let with = |worst| outcome(&[idle[0], idle[1], worst, idle[2]]);
    assert_eq!(with((40, 5, 90)), Outcome::Found(1));
    assert_eq!(with((40, 4, 90)), Outcome::Clear(1));
    assert_eq!(with((40, 5, 89)), Outcome::Clear(1));
    // Every queue is long: four times the median, 12, is 48.
    let full = |queue| outcome(&[(40, 12, 95), (40, 12, 95), (40, queue, 95)]);
    assert_eq!((full(49), full(48)), (Outcome::Found(1), Outcome::Clear(1)));
    // Thirty connections for each, and a hundred samples in all.
    assert_eq!(
        outcome(&[idle[0], (80, 9, 95), (0, 0, 1), (0, 0, 1)]),
        Outcome::Found(1)
    );
    let few = outcome(&[idle[0], (79, 9, 95), (0, 0, 1), (0, 0, 1)]);
    assert!(
        matches!(&few, Outcome::Unchecked(why) if why.contains("too few connections")),
        "{few:?}"
    );
    assert_eq!(outcome(&[(49, 0, 1), (50, 9, 95)]), Outcome::TooFew(99));
    // One listener is no group.
    assert_eq!(outcome(&[(400, 9, 95)]), Outcome::Clear(0));
    let findings = examined(&[(40, 0, 10), (40, 9, 95), (40, 0, 10), (40, 0, 10)]).findings;
    let d04 = findings
        .iter()
        .find(|finding| finding.diagnosis.id == "D04")
        .unwrap();
    assert_eq!(d04.subject.key.pid, pid(1), "who has the longest queue");
    assert!(
        d04.sentence.contains("9 connections waiting, the median 0"),
        "{}",
        d04.sentence
    );
    assert_eq!(d04.severity, Warn);
}

#[test]
fn what_a_worker_does_that_never_came_back_is_not_known() {
    let mut window = at_one_address(&[(40, 0, 10), (40, 9, 95), (40, 0, 10)]);
    window.counted.sources[1].waiters.clear();
    window.counted.absent = Arc::default();
    let checks = examine(&window, &Filter::default(), &Limits::default()).checks;
    let d04 = checks
        .into_iter()
        .find(|check| check.diagnosis.id == "D04")
        .unwrap();
    assert!(matches!(d04.outcome, Outcome::Unchecked(_)), "{:?}", d04.outcome);
}

/// A process that waits, and what a look at its epoll saw.
pub(super) fn looked(seen: LookedAt) -> Case {
    let mut case = Case::of(Process::new(&[(C::Waits, 1)], &[]));
    case.look = Some(Look {
        epolls: vec![LookedAt {
            id: id(0),
            items: 3,
            ..seen
        }],
    });
    case
}

#[test]
fn d08() {
    let ghost = |reused| Ghost {
        fd: 9,
        inode: 4242,
        reused,
    };
    let closed = |ghosts: &[Ghost]| {
        looked(LookedAt {
            ghosts: Some(ghosts.to_vec()),
            ..LookedAt::default()
        })
    };
    raised(&closed(&[ghost(false)]), "D08", Warn);
    raised(&closed(&[ghost(false), ghost(true)]), "D08", Warn);
    calm(&closed(&[]), "D08");
    // Its events come back again and again.
    let mut spins = closed(&[ghost(true)]);
    spins.processes[0].counters = vec![
        (C::Waits, 5_000),
        (C::DeliveriesAtOnce, 5_000),
        (C::Events, 5_000),
    ];
    assert_eq!(spins.found(), [("D08", Crit), ("D11", Warn)]);
    // Where that is not known it is no worse.
    spins.absent = vec!["ctl_add"];
    assert_eq!(spins.found(), [("D08", Warn)]);
}

#[test]
fn d18() {
    let case = |readers: &[(u32, u64, u64)]| {
        let mut case = Case::of(Process::new(&[(C::Waits, 10)], &[]));
        case.readers = readers.to_vec();
        case
    };
    raised(&case(&[(900, 1, 1_100_000)]), "D18", Warn);
    calm(&case(&[(900, 100, 900_000)]), "D18");
    calm(&case(&[]), "D18");
    let two = case(&[(900, 100, 900_000), (901, 2, 9_000_000)]);
    let sentence = two.examine().findings[0].sentence.clone();
    assert!(
        sentence.starts_with("Process 901 (agent) reads its fdinfo: 2 times"),
        "{sentence}"
    );
    // Its epoll was closed: all of them together have it.
    let mut closed = two.window();
    let earlier = closed.counted.clone();
    closed.counted.rows[0].key.epoll = None;
    closed.counted.epolls[0].id = EpollId::closed_of(pid(0));
    closed.counted.readers.remove(0);
    closed.counted.readers[0].epoll = EpollId::closed_of(pid(0));
    let found = |window: &Window| {
        let findings = examine(window, &Filter::default(), &Limits::default()).findings;
        findings
            .iter()
            .map(|finding| finding.diagnosis.id)
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&closed), ["D18"]);
    // What was counted before is not counted again.
    let since = Window::between(&earlier, &closed.counted);
    assert_eq!(found(&since), [""; 0]);
    // Another epoll's reader is none of this one's.
    let mut other = two.window();
    other
        .counted
        .readers
        .iter_mut()
        .for_each(|reader| reader.epoll = id(7));
    assert_eq!(
        examine(&other, &Filter::default(), &Limits::default())
            .findings
            .len(),
        0
    );
    let mut unknown = two;
    unknown.absent = vec![READERS];
    assert_eq!(
        unknown.outcome("D18"),
        Outcome::Unchecked("fdinfo_readers: refused".into())
    );
}

#[test]
fn what_nobody_looked_at_is_not_fine() {
    let unchecked = |case: &Case, id: &str, part: &str| {
        let outcome = case.outcome(id);
        assert!(
            matches!(&outcome, Outcome::Unchecked(why) if why.contains(part)),
            "{id}: {outcome:?}"
        );
    };
    let mut case = looked(LookedAt::default());
    unchecked(&case, "D08", "were seen to wait");
    assert_eq!(case.outcome("D06"), Outcome::Clear(1));
    case.look = Some(Look::default());
    for id in ["D06", "D08"] {
        unchecked(&case, id, "could not be looked at");
    }
    case.look = None;
    for id in ["D06", "D08"] {
        unchecked(&case, id, "not looked at in this block");
    }
    case.absent = vec![WATCHED_FILES];
    for id in ["D06", "D08"] {
        unchecked(&case, id, "watched_files: refused");
    }
}
