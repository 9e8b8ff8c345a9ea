//! The detail of known numbers at every size, and that no size, name or lack of numbers breaks it.

use std::sync::Arc;

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::*;
use crate::model::entry::EpollRef;
use crate::model::history::Span;
use crate::model::snapshot::{Counter, EpollId};
use crate::view::tui::style::{Depth, Theme};

const SECOND: u64 = 1_000_000_000;
const SIZES: [(u16, u16); 4] = [(80, 24), (120, 40), (200, 60), (40, 12)];

/// What a test shows.
struct Known {
    entry: Entry,
    absent: BTreeMap<String, String>,
    history: History,
}

fn shape() -> Arc<[u64]> {
    (10..34).map(|exponent| 1 << exponent).collect()
}

fn values(counts: &[(u16, u64)]) -> Option<Histogram> {
    let sum = counts.iter().map(|&(bin, count)| count << (bin + 10)).sum();
    Some(Histogram::new(shape(), counts.to_vec(), sum))
}

/// A busy loop, `look` seconds after the start: its wakeups get slower and faster again, and each 20 s there is a very late one.
fn looked(look: u64) -> Entry {
    let mut entry = Entry {
        name: "nginx".to_owned(),
        span_ns: SECOND,
        epolls: 1,
        ..Entry::default()
    };
    entry.key.pid = 185;
    let mut counts = [0; 13];
    for second in 0..look {
        let slow = (second / 8) % 6;
        counts[3 + slow as usize] += 200;
        counts[4 + slow as usize] += 40;
        counts[12] += u64::from(second % 20 == 0);
    }
    let counts: Vec<_> = (0..).zip(counts).collect();
    entry.metrics[Metric::Wakeup as usize] = values(&counts);
    entry.metrics[Metric::Runqueue as usize] = values(&[(2, 200 * look), (5, 30 * look), (11, look)]);
    entry.metrics[Metric::Delivery as usize] = values(&[(1, 230 * look), (3, look)]);
    let waits = 240 + 30 * (look % 7);
    for (counter, count) in [
        (Counter::Waits, waits),
        (Counter::DeliveriesSlept, waits - 21),
        (Counter::DeliveriesAtOnce, 12),
        (Counter::Timeouts, 8),
        (Counter::ZeroTimeouts, 0),
        (Counter::Interrupted, 0),
        (Counter::Errors, 1),
        (Counter::Events, 2 * waits),
        (Counter::WakeupsUnclassified, waits - 10),
    ] {
        entry.counters[counter as usize] = Some(count);
    }
    entry
}

fn known() -> Known {
    let mut history = History::default();
    for look in 1..=100 {
        history.take(look * SECOND, &[looked(look)]);
    }
    let absent = ["callback", "queue", "busy", "scan"].map(|name| (name.to_owned(), NOT_MEASURED.to_owned()));
    Known {
        entry: looked(100),
        absent: absent.into(),
        history,
    }
}

impl Known {
    fn subject(&self, span: Span) -> Subject<'_> {
        Subject {
            entry: &self.entry,
            absent: &self.absent,
            history: &self.history,
            until_ns: 100 * SECOND,
            window_ns: span.window_ns(self.history.reach_ns()),
        }
    }

    fn drawn(&self, (width, height): (u16, u16), look: Look) -> TestBackend {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let subject = self.subject(Span::Auto);
        terminal
            .draw(|frame| show(frame, frame.area(), &subject, look))
            .unwrap();
        terminal.backend().clone()
    }

    fn screen(&self, size: (u16, u16), look: Look) -> String {
        self.drawn(size, look).to_string()
    }
}

#[test]
fn colors_tell_phases_and_heat_and_without_them_there_are_none() {
    let known = known();
    let fills = |theme, depth| {
        let look = Look {
            ascii: false,
            theme,
            depth,
        };
        let backend = known.drawn((120, 40), look);
        let cells = backend.buffer().content().iter();
        let full = cells.filter(|cell| "█▓▒░".contains(cell.symbol()));
        full.map(|cell| cell.fg).collect::<std::collections::HashSet<_>>()
    };
    for theme in [Theme::Default, Theme::ColorBlind] {
        for depth in [Depth::Ansi16, Depth::Ansi256, Depth::True] {
            let used = fills(theme, depth);
            assert!(used.len() >= 4, "{theme:?} {depth:?}: {used:?}");
        }
        assert_eq!(fills(theme, Depth::None).len(), 1);
    }
    assert_eq!(
        fills(Theme::Monochrome, Depth::True)
            .into_iter()
            .collect::<Vec<_>>(),
        [Color::Reset]
    );
}

#[test]
fn four_sizes_in_colors_without_and_in_ascii() {
    let known = known();
    let color = Look {
        ascii: false,
        theme: Theme::Default,
        depth: Depth::Ansi256,
    };
    for (name, look) in [
        ("color", color),
        ("plain", Look::simple(false, false)),
        ("ascii", Look::simple(true, false)),
    ] {
        for (width, height) in SIZES {
            let screen = known.screen((width, height), look);
            assert!(!look.ascii || screen.is_ascii(), "{screen}");
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), screen);
        }
    }
}

#[test]
fn what_is_not_measured_says_so() {
    let nothing = Known {
        entry: Entry {
            name: "quiet".to_owned(),
            ..Entry::default()
        },
        absent: ["wakeup", "waits", "events", "wakeups_unclassified"]
            .map(|name| (name.to_owned(), "no probe for it".to_owned()))
            .into(),
        history: History::default(),
    };
    insta::assert_snapshot!(
        "not_measured",
        nothing.screen((80, 12), Look::simple(false, false))
    );
    let mut idle = known();
    idle.entry.metrics[Metric::Wakeup as usize] = values(&[]);
    for counter in Counter::ALL {
        idle.entry.counters[*counter as usize] = Some(0);
    }
    idle.history = History::default();
    insta::assert_snapshot!("idle", idle.screen((80, 12), Look::simple(false, false)));
    let mut stranger = known();
    stranger.entry.key.pid = 1;
    let screen = stranger.screen((120, 40), Look::simple(false, false));
    assert!(screen.contains("no heat map yet"), "{screen}");
}

#[test]
fn names_of_every_kind_stay_in_their_line() {
    for name in [
        "\u{1b}[2Jx",
        "界界界界界界界界界界界界界界界界",
        "e\u{301}\u{301}\u{301}",
        "\u{202e}abc",
        &"long".repeat(99),
    ] {
        let mut known = known();
        known.entry.name = name.to_owned();
        for size in SIZES {
            let screen = known.screen(size, Look::simple(false, false));
            assert!(!screen.contains(['\u{1b}', '\u{202e}']), "{screen}");
            assert_eq!(screen.lines().count(), usize::from(size.1));
        }
    }
}

#[test]
fn an_epoll_has_its_own_name() {
    let mut known = known();
    let id = EpollId {
        address: 1,
        born_ns: 0,
    };
    known.entry.key.epoll = Some(EpollRef {
        id: Some(id),
        epfd: Some(8),
    });
    assert!(
        known
            .screen((80, 24), Look::simple(false, false))
            .contains(" 185:8 nginx: ")
    );
}

#[test]
fn panels_go_in_the_order_told() {
    let known = known();
    let marks = ["count=", "p50 ", "usecs", "waits ", "few ", "wakeups/s", "time  "];
    let mut before = marks.len();
    for height in (1..60).rev() {
        let screen = known.screen((80, height), Look::simple(false, false));
        let seen = marks.iter().take_while(|mark| screen.contains(**mark)).count();
        let all = marks.iter().filter(|mark| screen.contains(**mark)).count();
        assert_eq!(seen, all, "only the last ones are left out: {screen}");
        assert!(seen <= before, "{height}");
        before = seen;
    }
    assert_eq!(before, 0);
}

#[test]
fn parts_use_the_whole_bar() {
    assert_eq!(split([1, 2, 1], 20), [5, 10, 5]);
    assert_eq!(split([0, 0, 0], 20), [0, 0, 0]);
    assert_eq!(split([1, 1, 1], 20).iter().sum::<usize>(), 20);
    assert_eq!(split([0, u64::MAX, u64::MAX], 20), [0, 10, 10]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn no_size_breaks_it(
        width in 1..400_u16, height in 1..200_u16, ascii: bool, minutes in 0..4_u64, without in prop::collection::vec(0..Metric::COUNT, 0..6),
        unknown in prop::collection::vec(0..Counter::COUNT, 0..9), theme in prop::sample::select(Theme::ALL), name in ".*",
    ) {
        let mut known = known();
        known.entry.name = name;
        without.into_iter().for_each(|metric| known.entry.metrics[metric] = None);
        unknown.into_iter().for_each(|counter| known.entry.counters[counter] = None);
        let span = [Span::Auto, Span::Minutes(1), Span::Minutes(5), Span::Minutes(15)][minutes as usize];
        let look = Look { ascii, theme, depth: Depth::True };
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let subject = known.subject(span);
        terminal.draw(|frame| show(frame, frame.area(), &subject, look)).unwrap();
        if ascii {
            prop_assert!(terminal.backend().to_string().is_ascii());
        }
    }
}
