//! The rule on what edge-triggered files keep.

use super::super::super::look::{Kept, Left, LookedAt, Unseen};
use super::looked::looked;
use super::rules::{calm, raised};
use super::*;

use Severity::{Info, Warn};

const MS: u64 = 1_000_000;

fn left(kept: Kept, queue: u64, quiet_ms: u64, idle: bool) -> Left {
    Left {
        fd: 7,
        address: "127.0.0.1:80".to_owned(),
        kept,
        queue,
        quiet_ns: quiet_ms * MS,
        idle,
    }
}

fn of(left: Vec<Left>) -> LookedAt {
    LookedAt {
        left,
        ..LookedAt::default()
    }
}

fn sentence(seen: LookedAt) -> String {
    looked(seen).examine().findings[0].sentence.clone()
}

#[test]
fn what_is_kept_for_long_while_the_loop_sleeps_is_lost() {
    for kept in [Kept::Connections, Kept::Bytes] {
        let one = |queue, quiet_ms, idle| looked(of(vec![left(kept, queue, quiet_ms, idle)]));
        raised(&one(1, 1_000, true), "D06", Warn);
        calm(&one(1, 999, true), "D06");
        // The loop, or the thread that got it, is busy: D20 tells of that.
        calm(&one(9, 5_000, false), "D06");
    }
    calm(&looked(of(Vec::new())), "D06");
}

#[test]
fn of_several_the_listener_is_told_then_who_keeps_most() {
    let bytes = |queue| left(Kept::Bytes, queue, 2_500, true);
    let late = left(Kept::Bytes, 900, 10, true);
    let told = sentence(of(vec![bytes(4), late.clone(), bytes(40)]));
    assert_eq!(
        told,
        "40 bytes wait unread at 127.0.0.1:80 (descriptor 7); for 2.5 s at least no event of it came, and the loop sleeps. \
         2 of its files are like that."
    );
    let listener = left(Kept::Connections, 4, 2_000, true);
    let told = sentence(of(vec![bytes(40), listener, late]));
    assert!(told.starts_with("4 connections wait at 127.0.0.1:80"), "{told}");
}

#[test]
fn where_others_wait_for_their_peers_reading_may_have_stopped_for_them() {
    let with = |kept, unsent| {
        looked(LookedAt {
            unsent,
            ..of(vec![left(kept, 4, 2_000, true)])
        })
    };
    raised(&with(Kept::Bytes, 1), "D06", Info);
    raised(&with(Kept::Connections, 1), "D06", Warn);
    let finding = &with(Kept::Bytes, 1).examine().findings[0];
    assert!(
        finding.confidence.why.contains("have not taken all"),
        "{finding:?}"
    );
}

#[test]
fn whether_io_uring_sleeps_is_not_known() {
    let with = |left| {
        let mut case = looked(of(left));
        case.processes[0].epoll = vec![(EpollCounter::UringEvents, 1)];
        case
    };
    let awake = left(Kept::Bytes, 4, 2_000, false);
    let outcome = with(vec![awake]).outcome("D06");
    assert!(
        matches!(&outcome, Outcome::Unchecked(why) if why.contains("io_uring")),
        "{outcome:?}"
    );
    calm(&with(Vec::new()), "D06");
    raised(&with(vec![left(Kept::Bytes, 4, 2_000, true)]), "D06", Warn);
}

#[test]
fn files_that_could_not_be_looked_into_are_not_fine() {
    let with = |left: Vec<Left>| LookedAt {
        unseen: Some(Unseen {
            files: 3,
            why: "pipes are closed books",
        }),
        ..of(left)
    };
    let unchecked = Outcome::Unchecked("pipes are closed books".into());
    assert_eq!(looked(with(Vec::new())).outcome("D06"), unchecked);
    let late = left(Kept::Bytes, 4, 10, true);
    assert_eq!(looked(with(vec![late])).outcome("D06"), unchecked);
    let told = sentence(with(vec![left(Kept::Bytes, 4, 2_000, true)]));
    assert!(
        told.ends_with("3 of its files could not be looked into."),
        "{told}"
    );
}
