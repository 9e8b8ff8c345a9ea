//! What the screen costs: a frame, a key until it is on the screen, and a new look, with 100, 1,000 and 10,000 processes.
//!
//! `cargo bench -p epoll-trace --bench screen`

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use epoll_trace::model::delta::Window;
use epoll_trace::model::entry::Entry;
use epoll_trace::model::filter::Filter;
use epoll_trace::model::group::{GroupBy, group};
use epoll_trace::source::Source;
use epoll_trace::source::synthetic::Synthetic;
use epoll_trace::view::tui::actions::Key;
use epoll_trace::view::tui::app::{App, Sample};
use epoll_trace::view::tui::draw::draw;
use epoll_trace::view::tui::style::Look;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

const ROWS: [usize; 3] = [100, 1_000, 10_000];
const WIDTH: u16 = 200;
const HEIGHT: u16 = 60;

fn main() {
    divan::main();
}

/// So many processes, made of the few that there are.
fn sample(rows: usize) -> Arc<Sample> {
    let mut source = Synthetic::everything();
    let mut look = || source.snapshot().unwrap_or_default();
    let first = look();
    let window = Window::between(&first, &look());
    let few = group(&window, GroupBy::Process, &Filter::default());
    let many = few.iter().cycle().zip(1..).take(rows).map(|(entry, pid)| {
        let mut entry: Entry = entry.clone();
        entry.key.pid = pid;
        entry
    });
    Arc::new(Sample {
        entries: many.collect(),
        since_ns: window.span_ns,
        ..Sample::default()
    })
}

fn app(rows: usize) -> App {
    let mut app = App::new("p99", Duration::from_secs(1));
    app.resize(WIDTH, HEIGHT);
    app.update(sample(rows));
    app
}

fn screen() -> Option<Terminal<TestBackend>> {
    Terminal::new(TestBackend::new(WIDTH, HEIGHT)).ok()
}

fn frame(terminal: &mut Option<Terminal<TestBackend>>, app: &App) {
    if let Some(terminal) = terminal {
        _ = black_box(terminal.draw(|frame| draw(frame, app, Look::simple(false, false))));
    }
}

/// Drawing alone.
#[divan::bench(args = ROWS)]
fn a_frame(bencher: Bencher<'_, '_>, rows: usize) {
    let (mut terminal, app) = (screen(), app(rows));
    bencher.bench_local(|| frame(&mut terminal, &app));
}

/// From a key to the screen: the next row.
#[divan::bench(args = ROWS)]
fn a_key(bencher: Bencher<'_, '_>, rows: usize) {
    let (mut terminal, mut app) = (screen(), app(rows));
    bencher.bench_local(|| {
        black_box(app.key(Key::Down));
        frame(&mut terminal, &app);
    });
}

/// From a key to the screen: a letter of the filter, for which all rows are looked through.
#[divan::bench(args = ROWS)]
fn a_letter_of_the_filter(bencher: Bencher<'_, '_>, rows: usize) {
    let (mut terminal, mut app) = (screen(), app(rows));
    app.key(Key::Char('/'));
    bencher.bench_local(|| {
        black_box(app.key(Key::Char('n')));
        frame(&mut terminal, &app);
        black_box(app.key(Key::Backspace));
    });
}

/// A new look: sorted, filtered and drawn.
#[divan::bench(args = ROWS)]
fn a_look(bencher: Bencher<'_, '_>, rows: usize) {
    let (mut terminal, mut app, sample) = (screen(), app(rows), sample(rows));
    bencher.bench_local(|| {
        app.update(Arc::clone(&sample));
        frame(&mut terminal, &app);
    });
}
