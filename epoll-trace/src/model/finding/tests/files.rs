//! What delivered files tell: D05, D07, and where they tell nothing.

use super::super::super::files::{File, FileId, FileSums, Seen};
use super::super::super::snapshot::EDGE;
use super::rules::{calm, raised};
use super::*;

use Counter as C;
use EpollCounter as E;
use Severity::Warn;

const MS: u64 = 1_000_000;
const US: u64 = 1_000;

/// A file of the first process's epoll; its number is its word and its descriptor.
fn file(number: i32, deliveries: u64, waited: &[(u64, u64)]) -> File {
    File {
        id: FileId {
            epoll: id(0),
            data: u64::from(number.cast_unsigned()),
        },
        epoll: id(0),
        seen: Some(Seen {
            fd: number,
            stream: true,
            events: 1 | EDGE,
        }),
        ambiguous: false,
        deliveries,
        overlaps: 0,
        alone: 0,
        alone_ns: 0,
        waited: octaves(waited),
    }
}

/// As the programs count them: by powers of two.
fn octaves(values: &[(u64, u64)]) -> Histogram {
    let shape: Shape = (4..38).map(|exponent| 1 << exponent).collect();
    let counts = values
        .iter()
        .map(|&(value, count)| (value.ilog2() as u16 - 4, count));
    Histogram::new(shape, counts.collect(), 0)
}

/// The first process delivers `files`, is busy for `busy` ms, and `shared` ms of them after deliveries of several.
fn case(files: Vec<File>, busy: u64, shared: u64) -> Case {
    let mut waited = octaves(&[]);
    files.iter().for_each(|file| waited.merge(&file.waited));
    let deliveries = files.iter().map(|file| file.deliveries).sum();
    let mut case = Case::of(Process::new(
        &[
            (C::Waits, deliveries),
            (C::BusyNs, busy * MS),
            (C::WaitingNs, 100 * MS),
        ],
        &[],
    ));
    case.delivered = Delivered {
        files,
        sums: vec![FileSums {
            epoll: id(0),
            owner: Some(pid(0)),
            deliveries,
            unread: 0,
            shared_ns: shared * MS,
            waited,
        }],
    };
    case
}

/// A file that is alone in `alone` deliveries of `deliveries`, 40 ms each, beside another one whose events wait like that.
fn starving(alone: u64, deliveries: u64, waited: &[(u64, u64)]) -> Vec<File> {
    let mut greedy = file(3, deliveries, &[(50 * US, deliveries)]);
    (greedy.alone, greedy.alone_ns) = (alone, alone * 40 * MS);
    let others: u64 = waited.iter().map(|(_, count)| count).sum();
    vec![greedy, file(4, others, waited)]
}

/// Most events wait for 0.1 ms, four of a hundred for as long as the other file takes.
const LATE: &[(u64, u64)] = &[(100 * US, 96), (40 * MS, 4)];

#[test]
fn d05_one_file_starves_the_others() {
    raised(&case(starving(20, 20, LATE), 999, 0), "D05", Warn);
    calm(&case(starving(20, 20, LATE), 1000, 0), "D05");
    // All wait for about as long.
    calm(
        &case(starving(20, 20, &[(10 * MS, 96), (40 * MS, 4)]), 999, 0),
        "D05",
    );
    // Ten times a few microseconds is nothing.
    calm(
        &case(starving(20, 20, &[(2 * US, 96), (900 * US, 4)]), 999, 0),
        "D05",
    );
    let few = case(starving(20, 20, &[(100 * US, 95), (40 * MS, 4)]), 999, 0);
    assert_eq!(few.outcome("D05"), Outcome::TooFew(99));
    let sentence = case(starving(20, 20, LATE), 900, 0).examine().findings[0]
        .sentence
        .clone();
    assert!(
        sentence.starts_with(
            "While the loop is at descriptor 3 (edge-triggered), 89 % of its time, the others wait: "
        ),
        "{sentence}"
    );
    // 40 ms lie between 33.5 and 67: what is said is no more than what is sure.
    assert!(
        sentence.ends_with("half of their events 0.13 ms or less, 1 % of them 33.6 ms or more."),
        "{sentence}"
    );
}

#[test]
fn d05_what_comes_together_is_estimated_or_said_to_be_unknown() {
    // 20 of 25 deliveries were its own: the others count as these.
    let estimated = case(starving(20, 25, LATE), 1200, 400);
    raised(&estimated, "D05", Warn);
    let confidence = estimated.examine().findings[0].confidence.clone();
    assert!(confidence.why.contains("estimated"), "{}", confidence.why);
    calm(&case(starving(20, 25, LATE), 1260, 400), "D05");
    // But no more than there was.
    calm(&case(starving(20, 25, LATE), 1200, 100), "D05");
    // Alone too rarely to tell.
    let unknown = case(starving(9, 100, LATE), 1200, 800);
    assert!(
        matches!(unknown.outcome("D05"), Outcome::Unchecked(why) if why.contains("most returns hold several")),
        "{:?}",
        unknown.outcome("D05")
    );
}

#[test]
fn d05_files_with_one_word_are_nobodys_time() {
    let mut files = starving(20, 20, LATE);
    files[0].ambiguous = true;
    files.push(file(5, 1, &[]));
    let unknown = |case: &Case, part: &str| {
        let outcome = case.outcome("D05");
        assert!(
            matches!(&outcome, Outcome::Unchecked(why) if why.contains(part)),
            "{outcome:?}"
        );
    };
    unknown(&case(files.clone(), 900, 0), "same word");
    // Little time, whose ever it is.
    calm(&case(files.clone(), 1100, 0), "D05");
    files.iter_mut().for_each(|file| file.ambiguous = true);
    unknown(&case(files, 900, 0), "told apart");
}

/// `deliveries` of a socket, `overlaps` of them to a second thread.
fn torn(deliveries: u64, overlaps: u64) -> File {
    File {
        overlaps,
        ..file(3, deliveries, &[])
    }
}

#[test]
fn d07_one_file_in_two_threads() {
    raised(&case(vec![torn(1000, 1)], 1, 0), "D07", Warn);
    calm(&case(vec![torn(1001, 1)], 1, 0), "D07");
    raised(&case(vec![torn(100, 100)], 1, 0), "D07", Warn);
    assert_eq!(case(vec![torn(99, 99)], 1, 0).outcome("D07"), Outcome::TooFew(99));
    let two = case(
        vec![
            torn(100, 3),
            File {
                overlaps: 4,
                ..file(8, 100, &[])
            },
        ],
        1,
        0,
    );
    let sentence = two.examine().findings[0].sentence.clone();
    assert!(
        sentence.starts_with("7 of 200 events") && sentence.ends_with("4 of them were of descriptor 8."),
        "{sentence}"
    );
    // Nobody tears a listener or an eventfd.
    let mut shared = torn(1000, 900);
    shared.seen = shared.seen.map(|seen| Seen {
        stream: false,
        ..seen
    });
    calm(&case(vec![shared], 1, 0), "D07");
}

#[test]
fn d07_what_cannot_be_told_apart_is_left_out() {
    let mut unclear = torn(1000, 900);
    unclear.ambiguous = true;
    let mut unseen = torn(1000, 900);
    unseen.seen = None;
    for file in [unclear, unseen] {
        let unknown = case(vec![file.clone()], 1, 0);
        assert!(
            matches!(unknown.outcome("D07"), Outcome::Unchecked(why) if why.contains("told apart")),
            "{:?}",
            unknown.outcome("D07")
        );
        // Others are judged without it.
        let other = File {
            id: FileId { data: 9, ..file.id },
            ..torn(100, 0)
        };
        calm(&case(vec![file, other], 1, 0), "D07");
    }
}

#[test]
fn what_io_uring_returns_is_not_seen() {
    let mut by_uring = case(vec![torn(1000, 10)], 1, 0);
    by_uring.processes[0].epoll = vec![(E::UringWaits, 2000), (E::UringEvents, 2000)];
    for id in ["D05", "D07"] {
        let outcome = by_uring.outcome(id);
        assert!(
            matches!(&outcome, Outcome::Unchecked(why) if why.contains("io_uring")),
            "{id}: {outcome:?}"
        );
    }
}

#[test]
fn a_window_has_what_was_delivered_in_it() {
    let earlier = case(vec![torn(1000, 10)], 1, 0).window().counted;
    let mut later = case(vec![torn(1500, 10)], 1, 0).window().counted;
    let window = Window::between(&earlier, &later);
    let (file, sums) = (
        &window.counted.delivered.files[0],
        &window.counted.delivered.sums[0],
    );
    assert_eq!((file.deliveries, file.overlaps, sums.deliveries), (500, 0, 500));
    // Its epoll was closed: all of them together have it.
    let closed = EpollId::closed_of(pid(0));
    (later.delivered.files[0].epoll, later.delivered.sums[0].epoll) = (closed, closed);
    let window = Window::between(&earlier, &later);
    assert_eq!(window.counted.delivered.of(closed).count(), 1);
    assert_eq!(window.counted.delivered.files[0].deliveries, 500);
    assert_eq!(window.counted.delivered.sums_of(closed).unwrap().deliveries, 500);
    // One that was forgotten and came again has begun anew.
    let again = case(vec![torn(400, 2)], 1, 0).window().counted;
    let window = Window::between(&earlier, &again);
    assert_eq!(window.counted.delivered.files[0].deliveries, 400);
}

#[test]
fn losses_of_files_lower_no_other_confidence() {
    let mut window = case(vec![torn(2000, 20)], 1, 0).window();
    let losses = [("events_unread".to_owned(), 1000)];
    window.counted.losses = losses.into();
    let judged = |window: &Window| {
        let findings = examine(window, &Filter::default(), &Limits::default()).findings;
        findings[0].confidence.level
    };
    assert_eq!(judged(&window), Level::Low);
    let mut other = rules::chain(1000, 1000).window();
    other.counted.losses = window.counted.losses.clone();
    assert_eq!(judged(&other), Level::High);
}
