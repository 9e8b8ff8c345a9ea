//! A table for people: one row per entry, columns from the field table, as many as fit.

use std::io::{self, Write};

use super::sanitize::sanitize;
use super::text::{TextOptions, notes_of};
use super::units::short;
use super::{Report, wrap};
use crate::fields::{Field, Value, epoll_columns_within};
use crate::model::entry::Entry;

/// Writes one block: an optional time of day, the head, a row per epoll, what is absent and why, and the losses.
/// `width` is that of the terminal, `None` where there is none.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(
    out: &mut dyn Write,
    report: &Report<'_>,
    options: &TextOptions,
    width: Option<u16>,
    time_of_day: Option<&str>,
) -> io::Result<()> {
    if let Some(time) = time_of_day {
        writeln!(out, "{time}")?;
    }
    let fields = epoll_columns_within(width.unwrap_or(wrap::COLUMNS as u16));
    if report.entries.is_empty() {
        writeln!(out, "No epoll seen.")?;
    } else {
        let titles: Vec<_> = fields.iter().map(|field| field.title.to_owned()).collect();
        line(out, &fields, &titles)?;
    }
    for entry in report.entries {
        let cells: Vec<_> = fields.iter().map(|field| cell(field, entry, options)).collect();
        line(out, &fields, &cells)?;
    }
    let names = fields.iter().flat_map(|field| match field.made_of {
        [] => std::slice::from_ref(&field.id),
        names => names,
    });
    notes_of(out, report, names.copied())?;
    writeln!(out)
}

fn cell(field: &Field, entry: &Entry, options: &TextOptions) -> String {
    match field.value(entry) {
        Value::Nanos(nanos) => options.unit.time(nanos),
        value => sanitize(&short(&value), options.ascii),
    }
}

/// Names stand at the left of their columns and lose their end, numbers stand at the right and lose nothing.
fn line(out: &mut dyn Write, fields: &[&Field], cells: &[String]) -> io::Result<()> {
    let mut text = String::new();
    for (field, cell) in fields.iter().zip(cells) {
        let width = usize::from(field.width);
        if !text.is_empty() {
            text.push(' ');
        }
        if field.is_name() {
            let cell: String = cell.chars().take(width).collect();
            text += &format!("{cell:width$}");
        } else {
            text += &format!("{cell:>width$}");
        }
    }
    writeln!(out, "{}", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::delta::Window;
    use crate::model::filter::Filter;
    use crate::model::group::{GroupBy, group};
    use crate::source::Source;
    use crate::source::synthetic::Synthetic;

    fn table(source: &mut Synthetic, width: Option<u16>) -> String {
        let first = source.snapshot().unwrap();
        let window = Window::between(&first, &source.snapshot().unwrap());
        let entries = group(&window, GroupBy::Epoll, &Filter::default());
        let report = Report {
            window: &window,
            entries: &entries,
            metrics: &[],
            counters: true,
            wakers: false,
        };
        let mut out = Vec::new();
        write(
            &mut out,
            &report,
            &TextOptions::default(),
            width,
            Some("12:00:01"),
        )
        .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn eighty_columns_and_all() {
        let text = table(&mut Synthetic::demo(), None);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        insta::assert_snapshot!("narrow", text);
        insta::assert_snapshot!("wide", table(&mut Synthetic::demo(), Some(200)));
    }

    #[test]
    fn unknown_is_a_dash_with_its_reason() {
        let mut source = Synthetic::demo();
        source.without(&["items", "queue", "scans"]);
        let text = table(&mut source, None);
        assert!(
            text.contains("\nitems, queue: - (this kernel refuses the probe)\n"),
            "{text}"
        );
        assert!(table(&mut Synthetic::empty(), None).contains("No epoll seen.\nlosses: none"));
    }
}
