//! Wakeup times over the last minutes: time goes to the right, slower is higher, more is lighter. Both scales are logarithmic.

use ratatui::text::{Line, Span};

use super::{Room, Subject};
use crate::fields::Value;
use crate::model::history::{BINS, MOST_KEYS, Slice, bin_low};
use crate::view::tui::header::whole_words;
use crate::view::tui::style::Look;
use crate::view::units::{auto_time, short};
use std::ops::Range;

/// Time at the left of a row, and a blank.
const LABEL: usize = 7;
/// Lines of a row, where there is room.
const TALLEST: usize = 2;
/// A head and the axis of time.
const BESIDES: usize = 2;

pub(super) fn most(subject: &Subject<'_>) -> usize {
    match subject.wakeups() {
        Some(_) if subject.history.reach_ns() > 0 => BINS * TALLEST + BESIDES,
        _ => 0,
    }
}

pub(super) fn lines(subject: &Subject<'_>, room: Room, look: Look) -> Vec<Line<'static>> {
    let width = room.width.saturating_sub(LABEL);
    let minutes = subject.window_ns / 60_000_000_000;
    let slices = subject.slices(width);
    if width == 0 {
        return Vec::new();
    }
    let say = |text: String| vec![Line::styled(whole_words(&text, room.width, look), look.dim())];
    if slices.is_empty() {
        return say(format!(
            "no heat map yet: followed are the {MOST_KEYS} busiest and what is selected"
        ));
    }
    let rows = rows(&slices, room.height.saturating_sub(BESIDES));
    let rate = |slice: &Slice, row: &Range<usize>| slice.bins[row.clone()].iter().sum::<f64>();
    let seen = slices.iter().flatten();
    let rates = seen.flat_map(|slice| rows.iter().map(move |row| rate(slice, row)));
    let most = rates.fold(0.0, f64::max);
    if most <= 0.0 {
        return say(format!("heat map: no wakeup in the last {minutes} min"));
    }
    let rate_shown = short(&Value::Rate(most));
    let title = format!("wakeups by time, last {minutes} min, most {rate_shown}/s");
    let title = Span::styled(whole_words(&title, room.width, look), look.dim());
    let legend = legend(look, room.width.saturating_sub(title.width()));
    let mut lines = vec![Line::from_iter(std::iter::once(title).chain(legend))];
    let tall = (room.height.saturating_sub(BESIDES) / rows.len().max(1)).clamp(1, TALLEST);
    for row in rows.iter().rev() {
        let cells = slices.iter().map(|slice| {
            let rate = slice.as_ref().map_or(0.0, |slice| rate(slice, row));
            let (glyph, style) = look.heat(level(rate, most));
            Span::styled(glyph, style)
        });
        let cells: Vec<_> = cells.collect();
        for line in 1..=tall {
            // The smallest time of a row stands at its bottom.
            let label = if line == tall {
                edge(row.start)
            } else {
                String::new()
            };
            let label = Span::raw(format!("{label:>6} "));
            lines.push(Line::from_iter(
                std::iter::once(label).chain(cells.iter().cloned()),
            ));
        }
    }
    lines.push(Line::styled(axis(subject.window_ns, width), look.dim()));
    lines
}

/// How much of the scale `value` is: a tenth of the most still has two thirds of it.
fn level(value: f64, most: f64) -> f64 {
    // Below this part of the most all look alike.
    const LEAST: f64 = 1e-3;
    if value <= 0.0 {
        return 0.0;
    }
    let part = (value / most).clamp(LEAST, 1.0);
    (1.0 - part.ln() / LEAST.ln()).max(f64::MIN_POSITIVE)
}

/// Every step of the ramp, where there is room.
fn legend(look: Look, room: usize) -> Vec<Span<'static>> {
    const STEPS: usize = 8;
    const WORDS: [&str; 2] = ["  few ", " many"];
    if room < STEPS + WORDS[0].len() + WORDS[1].len() {
        return Vec::new();
    }
    let steps = (0..STEPS).map(|step| {
        let (glyph, style) = look.heat((step as f64 + 0.5) / STEPS as f64);
        Span::styled(glyph, style)
    });
    let mut spans = vec![Span::styled(WORDS[0], look.dim())];
    spans.extend(steps);
    spans.push(Span::styled(WORDS[1], look.dim()));
    spans
}

/// Bins by row, from the fastest on: those that count. Where they are a little more than `most` rows, the fastest share one, since
/// the slow ones matter; else several neighbours share each.
fn rows(slices: &[Option<Slice>], most: usize) -> Vec<Range<usize>> {
    let counts = |bin: &usize| slices.iter().flatten().any(|slice| slice.bins[*bin] > 0.0);
    let first = (0..BINS).find(counts).unwrap_or(0);
    let end = (0..BINS).rfind(counts).map_or(first + 1, |last| last + 1);
    let excess = (end - first).saturating_sub(most);
    let (fastest, each) = match excess * 3 <= most {
        true => (excess + 1, 1),
        false => (0, (end - first).div_ceil(most.max(1)).max(1)),
    };
    let joined = (fastest > 0).then(|| first..first + fastest);
    let others = (first + fastest..end).step_by(each);
    let mut rows: Vec<_> = joined
        .into_iter()
        .chain(others.map(|low| low..(low + each).min(end)))
        .collect();
    rows.truncate(most);
    rows
}

/// The smallest time of a bin: a power of two, short.
fn edge(bin: usize) -> String {
    match bin_low(bin) {
        0 => "<1us".to_owned(),
        low => auto_time(low),
    }
}

/// `-5m`, …, `now` under the columns they stand for.
fn axis(window_ns: u64, width: usize) -> String {
    const NOW: &str = "now";
    let minutes = usize::try_from(window_ns / 60_000_000_000).unwrap_or(0);
    let mut axis = vec![b' '; width];
    let mut put = |at: usize, text: &str, blank: usize| {
        let free = axis.get_mut(at..at + text.len() + blank);
        if let Some(free) = free.filter(|free| free.iter().all(|&byte| byte == b' ')) {
            free[..text.len()].copy_from_slice(text.as_bytes());
        }
    };
    if let Some(end) = width.checked_sub(NOW.len()) {
        put(end, NOW, 0);
    }
    for back in (1..=minutes).rev() {
        put(
            (minutes - back) * width / minutes.max(1),
            &format!("|-{back}m"),
            1,
        );
    }
    if minutes == 1 {
        put(width / 2, "|-30s", 1);
    }
    format!("{}{}", " ".repeat(LABEL), String::from_utf8_lossy(&axis))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_says_where_minutes_are() {
        let axis = |minutes: u64, width| axis(minutes * 60_000_000_000, width);
        assert_eq!(axis(1, 24), "       |-1m        |-30s    now");
        assert_eq!(axis(5, 30), "       |-5m  |-4m  |-3m  |-2m     now");
        assert_eq!(axis(15, 3), "       now");
        assert_eq!(axis(15, 0), "       ");
    }

    #[test]
    fn levels_are_logarithmic() {
        assert_eq!((level(0.0, 5.0), level(5.0, 5.0)), (0.0, 1.0));
        assert!((level(0.5, 5.0) - 2.0 / 3.0).abs() < 1e-9);
        assert!(level(1e-9, 5.0) > 0.0, "one is seen");
    }

    #[test]
    fn rows_hold_every_bin_that_counts() {
        let mut slice = Slice {
            bins: [0.0; BINS],
            rates: [None; 3],
        };
        (slice.bins[3], slice.bins[12]) = (1.0, 1.0);
        for most in 1..30 {
            let rows = rows(&[None, Some(slice)], most);
            assert!(rows.len() <= most && rows.windows(2).all(|pair| pair[0].end == pair[1].start));
            assert_eq!((rows[0].start, rows[rows.len() - 1].end), (3, 13), "{most}");
        }
        assert!(rows(&[Some(slice)], 0).is_empty());
    }
}
