//! Where a wakeup's time goes: from the notification to the waiter made runnable, on the run queue, and to the return with events.

use ratatui::text::{Line, Span};

use super::{Room, Subject, split};
use crate::model::histogram::Quantile;
use crate::model::snapshot::{Metric, NOT_MEASURED};
use crate::view::sanitize::sanitize;
use crate::view::tui::header::whole_words;
use crate::view::tui::style::Look;
use crate::view::units::{ABSENT, auto_time};

const PHASES: [(Metric, &str); 3] = [
    (Metric::Callback, "callback"),
    (Metric::Runqueue, "run queue"),
    (Metric::Delivery, "delivery"),
];
/// The shortest bar that tells something, and the longest that is read at a glance.
const BAR: [usize; 2] = [20, 60];

/// Two bars, and a line for what cannot be known.
pub(super) fn most(subject: &Subject<'_>) -> usize {
    match subject.wakeups() {
        Some(_) => 2 + usize::from(missing(subject).next().is_some()),
        None => 0,
    }
}

fn missing<'a>(subject: &'a Subject<'_>) -> impl Iterator<Item = (Metric, &'static str)> + 'a {
    let known = |metric| subject.entry.metric(metric).is_some();
    PHASES.into_iter().filter(move |&(metric, _)| !known(metric))
}

pub(super) fn lines(subject: &Subject<'_>, room: Room, look: Look) -> Vec<Line<'static>> {
    let bars = [("p50", Quantile::P50), ("p99", Quantile::P99)];
    let bars = bars.map(|(label, quantile)| Bar::of(subject, label, quantile, look));
    // Both of one length.
    let words = bars.iter().map(Bar::bare).max().unwrap_or(0);
    let full = room.width.saturating_sub(words + 1).min(BAR[1]);
    let mut lines: Vec<_> = bars.iter().map(|bar| bar.line(full, room.width, look)).collect();
    if let Some((first, name)) = missing(subject).next() {
        let names: Vec<_> = missing(subject).map(|(_, name)| name).collect();
        let reason = sanitize(subject.why(first.name()), look.ascii);
        // Without it the way begins where the waiter is made runnable. Where the kernel cannot tell it no option helps.
        let hint = if name == PHASES[0].1 && reason == NOT_MEASURED {
            "; top --callback has it"
        } else {
            ""
        };
        let text = format!("{}: {ABSENT} ({reason}{hint})", names.join(", "));
        lines.push(Line::styled(whole_words(&text, room.width, look), look.dim()));
    }
    lines
}

/// One stacked bar: each phase's own percentile, so the three need not add up to the whole's.
struct Bar {
    label: &'static str,
    times: [Option<u64>; PHASES.len()],
    /// Glyph, name and time of each phase.
    words: [String; PHASES.len()],
}

impl Bar {
    fn of(subject: &Subject<'_>, label: &'static str, quantile: Quantile, look: Look) -> Self {
        let times = PHASES.map(|(metric, _)| subject.entry.percentile(metric, quantile));
        let word = |place: usize| {
            let time = times[place].map_or(ABSENT.to_owned(), auto_time);
            format!(" {} {} {time}", look.phases()[place], PHASES[place].1)
        };
        Self {
            label,
            times,
            words: [0, 1, 2].map(word),
        }
    }

    /// How wide it is without the bar.
    fn bare(&self) -> usize {
        let words = self.words.iter().map(|word| word.chars().count());
        self.label.len() + words.sum::<usize>()
    }

    /// Where it is narrow, first the bar goes, then the phases that cannot be known.
    fn line(&self, full: usize, width: usize, look: Look) -> Line<'static> {
        if self.bare() > width {
            let known = self.words.iter().zip(self.times);
            let known = known.filter_map(|(word, time)| time.map(|_| word.as_str()));
            let text: String = std::iter::once(self.label).chain(known).collect();
            return Line::from(whole_words(&text, width, look));
        }
        let mut spans = vec![Span::raw(self.label)];
        if full >= BAR[0] {
            spans.push(Span::raw(" "));
            let lengths = split(self.times.map(Option::unwrap_or_default), full);
            for (place, length) in lengths.into_iter().enumerate() {
                let bar = look.phases()[place].repeat(length);
                spans.push(Span::styled(bar, look.phase(place)));
            }
        }
        spans.extend(self.words.iter().cloned().map(Span::raw));
        Line::from(spans)
    }
}
