//! What is kept, for how long, of whom, and that it stays bounded.

use std::sync::Arc;

use proptest::prelude::*;

use super::track::bin_of;
use super::*;
use crate::model::histogram::Histogram;
use crate::model::snapshot::Metric;

const KEY: u32 = 185;

/// A process with `waits` per second and, since the start, as many wakeups of 5 us and of 3 ms.
fn entry(pid: u32, waits: u64, fast: u64, slow: u64) -> Entry {
    let shape: Arc<[u64]> = Arc::from([0, 4_096, 8_192, 2 << 20, 4 << 20]);
    let mut entry = Entry {
        span_ns: SECOND,
        ..Entry::default()
    };
    entry.key.pid = pid;
    entry.counters[Counter::Waits as usize] = Some(waits);
    entry.metrics[Metric::Wakeup as usize] = Some(Histogram::new(shape, vec![(1, fast), (3, slow)], 0));
    entry
}

fn key(pid: u32) -> EntryKey {
    entry(pid, 0, 0, 0).key
}

const FAST: usize = 3;
const SLOW: usize = 12;

#[test]
fn bins_are_powers_of_two() {
    for (nanos, bin) in [
        (0, 0),
        (1_023, 0),
        (1_024, 1),
        (5_000, FAST),
        (3_000_000, SLOW),
        (u64::MAX, 23),
    ] {
        assert_eq!(bin_of(nanos), bin, "{nanos}");
        assert!(bin_low(bin) <= nanos);
    }
    for bin in 1..BINS {
        assert_eq!((bin_of(bin_low(bin)), bin_of(bin_low(bin) - 1)), (bin, bin - 1));
    }
}

#[test]
fn a_slice_holds_what_came_between_two_looks() {
    let mut history = History::default();
    history.take(SECOND, &[entry(KEY, 7, 100, 10)]);
    history.take(2 * SECOND, &[entry(KEY, 8, 130, 10)]);
    history.take(3 * SECOND, &[entry(KEY, 9, 130, 12)]);
    let slices = history.slices(&key(KEY), history.now_ns, 4 * SECOND, 4);
    assert_eq!(slices[0], None, "before the start");
    let [first, second, third] = [1, 2, 3].map(|at| slices[at].unwrap());
    assert_eq!(
        first.bins, [0.0; BINS],
        "what was before the first look is not of it"
    );
    assert_eq!((second.bins[FAST], second.bins[SLOW]), (30.0, 0.0));
    assert_eq!((third.bins[FAST], third.bins[SLOW]), (0.0, 2.0));
    assert_eq!(third.rates, [None, Some(9.0), None]);
    let both = history.slices(&key(KEY), history.now_ns, 2 * SECOND, 1)[0].unwrap();
    assert_eq!(
        (both.bins[FAST], both.bins[SLOW], both.rates[1]),
        (15.0, 1.0, Some(8.5))
    );
    let halves = history.slices(&key(KEY), history.now_ns, SECOND, 2);
    assert_eq!(
        (halves[0], halves[1]),
        (slices[3], slices[3]),
        "a part of a column shows it"
    );
    let earlier = history.slices(&key(KEY), 2 * SECOND, SECOND, 1);
    assert_eq!(earlier[0], slices[2], "what is shown may stand still");
    assert!(history.slices(&key(1), history.now_ns, SECOND, 2).is_empty());
}

#[test]
fn a_histogram_of_the_last_interval_alone_counts_from_the_first_look() {
    let mut history = History::default();
    let mut new = entry(KEY, 7, 100, 10);
    new.counters[Counter::DeliveriesSlept as usize] = Some(110);
    history.take(SECOND, &[new]);
    let slice = history.slices(&key(KEY), history.now_ns, SECOND, 1)[0].unwrap();
    assert_eq!((slice.bins[FAST], slice.bins[SLOW]), (100.0, 10.0));
}

#[test]
fn a_reset_begins_anew() {
    let mut history = History::default();
    for look in 1..=5 {
        history.take(look * SECOND, &[entry(KEY, 7, 100 * look, 0)]);
    }
    history.take(SECOND, &[entry(KEY, 7, 600, 0)]);
    assert_eq!(history.reach_ns(), SECOND);
    history.take(2 * SECOND, &[entry(KEY, 7, 650, 0)]);
    history.take(3 * SECOND, &[entry(KEY, 7, 20, 0)]);
    let slices = history.slices(&key(KEY), history.now_ns, 3 * SECOND, 3);
    assert_eq!(
        (slices[0], slices[1]),
        (None, None),
        "smaller counts are of another run"
    );
    assert_eq!(slices[2].unwrap().bins, [0.0; BINS]);
}

#[test]
fn columns_are_joined_and_no_wakeup_is_lost_for_15_minutes() {
    let mut history = History::default();
    let looks = 900;
    for look in 0..=looks {
        history.take((look + 1) * SECOND, &[entry(KEY, 7, 10 * look, 0)]);
        assert!(history.columns.len() <= MOST_COLUMNS);
    }
    assert_eq!(history.column_ns, COLUMN_NS[1]);
    let whole = history.slices(&key(KEY), history.now_ns, 901 * SECOND, 1)[0].unwrap();
    assert!(
        (whole.bins[FAST] * 901.0 - 9_000.0).abs() < 1.0,
        "{}",
        whole.bins[FAST]
    );
    let slices = history.slices(&key(KEY), history.now_ns, LONGEST_NS, 100);
    assert!(
        slices[1..]
            .iter()
            .all(|slice| slice.is_some_and(|slice| (9.0..11.0).contains(&slice.bins[FAST])))
    );
    for look in looks + 1..2_000 {
        history.take((look + 1) * SECOND, &[entry(KEY, 7, 10 * look, 0)]);
    }
    assert!(
        history.reach_ns() <= LONGEST_NS + COLUMN_NS[1] * 2,
        "{}",
        history.reach_ns()
    );
}

#[test]
fn short_and_long_intervals_give_the_same_rates() {
    for interval in [SECOND / 10, SECOND / 2, 2 * SECOND, 10 * SECOND] {
        let mut history = History::default();
        for look in 1..=200 {
            let now = look * interval;
            history.take(now, &[entry(KEY, 7, now / (SECOND / 100), 0)]);
        }
        let slices = history.slices(&key(KEY), history.now_ns, 20 * SECOND, 7);
        // In the first part is the first look, of which nothing is known.
        for slice in &slices[1..] {
            let rate = slice.unwrap().bins[FAST];
            assert!((99.0..101.0).contains(&rate), "{interval}: {rate}");
        }
    }
}

#[test]
fn the_busiest_and_who_is_wanted_are_kept() {
    let mut history = History::default();
    let idle: Vec<_> = (0..MOST_KEYS as u32).map(|pid| entry(pid, 10, 0, 0)).collect();
    history.take(SECOND, &idle);
    let mut more = idle.clone();
    more.extend([
        entry(1_000, 15, 0, 0),
        entry(1_001, 50, 0, 0),
        entry(1_002, 1, 0, 0),
    ]);
    history.want(Some(key(1_002)));
    history.take(2 * SECOND, &more);
    let follows = |history: &History, pid| !history.slices(&key(pid), history.now_ns, SECOND, 1).is_empty();
    assert!(
        !follows(&history, 1_000),
        "a little busier is not enough to drop somebody"
    );
    assert!(follows(&history, 1_001) && follows(&history, 1_002));
    assert_eq!(history.tracks.len(), MOST_KEYS);
    history.take(3 * SECOND, &more[MOST_KEYS / 2..]);
    assert_eq!(history.tracks.len(), MOST_KEYS);
    assert!(follows(&history, 1_000), "who is unseen makes room");
    history.take(30 * SECOND, &more[MOST_KEYS..]);
    assert_eq!(history.tracks.len(), 3, "who is unseen is forgotten");
}

#[test]
fn its_bytes_are_bounded() {
    let mut history = History::default();
    for look in 1..=1_500 {
        let from = u32::try_from(look / 100).unwrap() * 7;
        let entries: Vec<_> = (from..from + 300)
            .map(|pid| entry(pid, u64::from(pid), look, look))
            .collect();
        history.take(look * SECOND, &entries);
        assert!(history.bytes() <= MOST_BYTES, "{} after {look}", history.bytes());
    }
    assert!(
        history.bytes() > MOST_BYTES / 2,
        "the bound is near: {}",
        history.bytes()
    );
}

proptest! {
    #[test]
    fn whatever_comes_every_track_has_a_cell_per_column(
        looks in prop::collection::vec((0..40_000_000_000_u64, prop::collection::vec((0..4_u32, 0..9_u64, any::<u32>()), 0..4)), 0..40),
        until: u64, window: u64, count in 0..400_usize,
    ) {
        let mut history = History::default();
        for (now, entries) in looks {
            let entries: Vec<_> = entries.into_iter().map(|(pid, waits, fast)| entry(pid, waits, fast.into(), 0)).collect();
            history.take(now, &entries);
            for track in history.tracks.values() {
                prop_assert_eq!(track.cells.len(), history.columns.len());
            }
            for pid in 0..4 {
                let slices = history.slices(&key(pid), until, window, count);
                prop_assert!(slices.is_empty() || slices.len() == count);
            }
        }
    }
}

#[test]
fn spans_grow_with_what_is_known_or_as_chosen() {
    let minutes = |span: Span, reach_s: u64| span.window_ns(reach_s * SECOND) / (60 * SECOND);
    let grown = [0, 150, 151, 750, 751, 5_000].map(|reach| minutes(Span::Auto, reach));
    assert_eq!(grown, [1, 1, 5, 5, 15, 15]);
    let mut span = Span::Auto;
    let turns = [(); 4].map(|()| {
        span = span.next();
        span
    });
    assert_eq!(
        turns,
        [Span::Minutes(1), Span::Minutes(5), Span::Minutes(15), Span::Auto]
    );
    assert_eq!(minutes(Span::Minutes(5), 1), 5);
}
