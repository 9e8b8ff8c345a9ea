//! What a selected source, lock, finding or signal is made of, in the words of the commands that print it.

use std::io::{self, Write};

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph, Wrap};

use super::app::screen::Rows;
use super::app::{App, Mode, Sample};
use super::style::Look;
use crate::model::finding::{Limits, Outcome};
use crate::model::measures::MEASURES;
use crate::model::probes::SignalStatus;
use crate::model::reuseport::Socket;
use crate::model::snapshot::FIRST_LOCK_WAITS;
use crate::view::findings::{TextStyle, write_finding};
use crate::view::herds::{write_group, write_source};
use crate::view::locks::{write_head, write_row};
use crate::view::sanitize::sanitize;
use crate::view::text::write_absent;
use crate::view::units::{ABSENT, auto_bytes, auto_time};
use crate::view::wrap::{COLUMNS, wrapped};
use crate::view::{losses_line, overhead, probes};

/// Draws it, from the line on that the app is scrolled to.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, look: Look) {
    let (Some(sample), Some(rows), Some(row)) = (app.sample(), app.rows(), app.selected_row()) else {
        return;
    };
    if area.height == 0 {
        return;
    }
    let zoomed = app.mode == Mode::Zoomed;
    let mut out = Vec::new();
    // Writing to memory does not fail.
    _ = write(&mut out, sample, &rows, row, zoomed, look);
    let text = String::from_utf8_lossy(&out);
    let lines: Vec<Line<'static>> = text
        .lines()
        .map(|line| Line::from(sanitize(line, look.ascii)))
        .collect();
    let block = Block::new()
        .borders(Borders::TOP)
        .border_set(look.border())
        .title(title(app));
    let inner = block.inner(area);
    let most = lines.len().saturating_sub(usize::from(inner.height).max(1));
    let first = if zoomed { app.scrolled.min(most) } else { 0 };
    let lines: Vec<_> = lines.into_iter().skip(first).collect();
    let mut page = Paragraph::new(lines);
    if usize::from(inner.width) < COLUMNS {
        page = page.wrap(Wrap { trim: false });
    }
    frame.render_widget(block, area);
    frame.render_widget(page, inner);
}

fn title(app: &App) -> String {
    let [one, _] = app.screen.rows_are();
    match app.mode {
        Mode::Zoomed => format!(" the {one}: j and k scroll, Esc goes back "),
        _ => format!(" the selected {one} "),
    }
}

fn write(
    out: &mut dyn Write,
    sample: &Sample,
    rows: &Rows<'_>,
    row: usize,
    zoomed: bool,
    look: Look,
) -> io::Result<()> {
    match rows {
        Rows::Entries { .. } => Ok(()),
        Rows::Sources(herds) => {
            let Some(herd) = herds.get(row) else { return Ok(()) };
            write_source(out, herd, look.ascii)?;
            let is_it = |socket: &Socket| socket.herd.as_ref().is_some_and(|other| other.id == herd.id);
            let mut groups = sample.groups.iter();
            let group = groups.find(|group| group.sockets.iter().any(is_it));
            group.map_or(Ok(()), |group| write_group(out, group, look.ascii))
        }
        Rows::Locks(locks) => {
            let Some(lock) = locks.get(row) else { return Ok(()) };
            write_head(out)?;
            write_row(out, lock, None, look.ascii)?;
            write_absent(out, &sample.absent, [FIRST_LOCK_WAITS].into_iter())
        }
        Rows::Findings(findings) => {
            let Some(finding) = findings.get(row) else {
                return Ok(());
            };
            let style = TextStyle {
                ascii: look.ascii,
                unit: None,
            };
            write_finding(out, finding, &Limits::default(), style, true)?;
            write!(out, "{}", wrapped(&conclusion(sample), "", ""))
        }
        Rows::Own(signals) => {
            if let Some(row) = signals.get(row) {
                signal(out, &row.signal)?;
            }
            own(out, sample, zoomed)
        }
    }
}

/// What the diagnoses come to, in a sentence or two.
pub(super) fn conclusion(sample: &Sample) -> String {
    let Some(examination) = &sample.examination else {
        return "The diagnoses need some seconds of data first.".to_owned();
    };
    let checks = &examination.checks;
    let count = |is: fn(&Outcome) -> bool| checks.iter().filter(|check| is(&check.outcome)).count();
    let unchecked = count(|outcome| matches!(outcome, Outcome::Unchecked(_)));
    let few = count(|outcome| matches!(outcome, Outcome::TooFew(_)));
    let found = match examination.findings.len() {
        0 => "Nothing found".to_owned(),
        1 => "1 finding".to_owned(),
        many => format!("{many} findings"),
    };
    format!(
        "{found} in {}; of {} diagnoses {unchecked} could not be checked and {few} had too little data.",
        auto_time(sample.examined_ns),
        checks.len()
    )
}

/// What a signal's probes tell, and what of it is lost or cannot be had.
fn signal(out: &mut dyn Write, signal: &SignalStatus) -> io::Result<()> {
    let parts = [
        ("tells", &signal.tells),
        ("lost", &signal.lost),
        ("why", &signal.why),
    ];
    let parts = parts.into_iter();
    let known = parts.filter_map(|(name, text)| Some(format!("; {name}: {}", text.as_ref()?)));
    let line = format!(
        "{}: {}{}",
        signal.signal,
        signal.verdict.name(),
        known.collect::<String>()
    );
    write!(out, "{}", wrapped(&line, "", "  "))
}

/// What this run measures, loses and takes; with `all` each probe and program too.
fn own(out: &mut dyn Write, sample: &Sample, all: bool) -> io::Result<()> {
    let mut lines = vec![losses_line(&sample.losses), sample.plan_line.clone()];
    let resident = sample.own_bytes.map_or(ABSENT.to_owned(), auto_bytes);
    lines.push(format!("this process: {resident} resident (VmRSS)"));
    for line in &lines {
        write!(out, "{}", wrapped(line, "", "  "))?;
    }
    for row in MEASURES {
        let on = if sample.measures.has(row.measure) {
            "on "
        } else {
            "off"
        };
        let line = format!("{on} {}: {}; price: {}", row.name, row.what, row.price);
        write!(out, "{}", wrapped(&line, "", "    "))?;
    }
    if let Some(cost) = &sample.cost {
        writeln!(out)?;
        overhead::write_text(out, cost)?;
    }
    if let Some(status) = sample.status.as_ref().filter(|_| all) {
        write!(out, "\n{}", probes::render(status))?;
    }
    Ok(())
}
