//! The screen on known numbers: what it shows at three sizes, what keys do, and that no size or key breaks it.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::actions::Key;
use super::app::{App, Effect, Mode, Sample};
use super::draw::draw;
use super::style::Look;
use crate::fields::Field;
use crate::model::delta::Window;
use crate::model::filter::Filter;
use crate::model::group::{GroupBy, group};
use crate::source::Source;
use crate::source::synthetic::Synthetic;

const PLAIN: Look = Look::simple(false, false);

fn sample(mut source: Synthetic) -> Arc<Sample> {
    let first = source.snapshot().unwrap();
    let window = Window::between(&first, &source.snapshot().unwrap());
    Arc::new(Sample {
        cost: None,
        entries: group(&window, GroupBy::Process, &Filter::default()),
        since_ns: window.span_ns,
        plan_line: source.plan_line().to_owned(),
        losses: window.counted.losses,
        absent: window.counted.absent,
    })
}

fn app() -> App {
    let mut app = App::new(Field::from_id("p99").unwrap(), Duration::from_secs(1));
    app.update(sample(Synthetic::demo()));
    app
}

fn screen(app: &App, width: u16, height: u16, look: Look) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, app, look)).unwrap();
    terminal.backend().to_string()
}

fn pids(app: &App) -> Vec<u32> {
    app.rows().map(|entry| entry.key.pid).collect()
}

fn press(app: &mut App, keys: &str) -> Vec<Effect> {
    keys.chars()
        .filter_map(|c| app.key(if c == '\n' { Key::Enter } else { Key::Char(c) }))
        .collect()
}

#[test]
fn three_sizes() {
    let app = app();
    insta::assert_snapshot!("screen_80x24", screen(&app, 80, 24, PLAIN));
    insta::assert_snapshot!("screen_120x40", screen(&app, 120, 40, PLAIN));
    insta::assert_snapshot!("screen_40x12", screen(&app, 40, 12, PLAIN));
}

#[test]
fn help_menu_and_zoom() {
    let mut app = app();
    press(&mut app, "?");
    insta::assert_snapshot!("help", screen(&app, 80, 24, PLAIN));
    press(&mut app, "xs");
    insta::assert_snapshot!("sort_menu", screen(&app, 80, 24, PLAIN));
    press(&mut app, "\n\n");
    assert_eq!(app.mode, Mode::Zoomed);
    insta::assert_snapshot!("zoomed", screen(&app, 80, 24, PLAIN));
}

#[test]
fn ascii_is_ascii_and_losses_are_seen() {
    let mut source = Synthetic::demo();
    source.lose("rows_full", 3);
    source.without(&["callback", "waits"]);
    let mut app = app();
    app.update(sample(source));
    let shown = screen(&app, 80, 24, Look::simple(true, false));
    assert!(shown.is_ascii(), "{shown}");
    assert!(shown.contains("LOST: rows_full=3"), "{shown}");
    assert!(shown.contains("callback - "), "{shown}");
    for keys in ["?", "xs"] {
        press(&mut app, keys);
        let shown = screen(&app, 80, 24, Look::simple(true, false));
        assert!(shown.is_ascii(), "{shown}");
    }
}

#[test]
fn nothing_yet() {
    let mut app = App::new(Field::from_id("p99").unwrap(), Duration::from_secs(1));
    assert!(screen(&app, 80, 24, PLAIN).contains("Waiting for the first look"));
    app.update(sample(Synthetic::empty()));
    assert!(screen(&app, 80, 24, PLAIN).contains("No process has waited"));
}

#[test]
fn sorted_by_p99_where_there_are_enough_values() {
    let mut app = app();
    // 999 woke latest, but once.
    assert_eq!(pids(&app), [300, 301, 185, 210, 999]);
    press(&mut app, "I");
    assert_eq!(pids(&app), [210, 185, 301, 300, 999]);
    press(&mut app, "I>");
    assert_eq!((app.sort.id, pids(&app)[0]), ("max", 999));
    press(&mut app, "sg\n");
    assert_eq!((app.sort.id, pids(&app)), ("pid", vec![185, 210, 300, 301, 999]));
}

#[test]
fn a_selected_process_stays_selected() {
    let mut app = app();
    assert_eq!(app.selected().unwrap().key.pid, 300);
    press(&mut app, "sg\n");
    assert_eq!(
        app.selected().unwrap().key.pid,
        185,
        "without a choice the first row is shown"
    );
    press(&mut app, "jj<");
    assert_eq!(app.selected().unwrap().key.pid, 300);
    press(&mut app, "G");
    assert_eq!(app.place(), 4);
    app.update(sample(Synthetic::empty()));
    assert!(app.selected().is_none());
}

#[test]
fn filters() {
    let mut app = app();
    press(&mut app, "/WORK\n");
    assert_eq!(pids(&app), [300, 301]);
    assert_eq!(app.mode, Mode::Table);
    app.key(Key::Esc);
    assert_eq!(pids(&app).len(), 5);
    press(&mut app, "/q9");
    assert!(pids(&app).is_empty());
    app.key(Key::Ctrl('r'));
    app.key(Key::Esc);
    assert_eq!((pids(&app).len(), app.mode), (5, Mode::Table));
}

#[test]
fn frozen_keeps_what_is_shown_until_it_goes_on() {
    let mut app = app();
    press(&mut app, " ");
    app.update(sample(Synthetic::empty()));
    assert_eq!(pids(&app).len(), 5);
    assert!(screen(&app, 80, 24, PLAIN).contains("FROZEN"));
    press(&mut app, " ");
    assert!(pids(&app).is_empty());
}

#[test]
fn effects() {
    let mut app = app();
    assert_eq!(press(&mut app, "+"), [Effect::Interval(Duration::from_secs(2))]);
    assert_eq!(
        press(&mut app, "--"),
        [1000, 500].map(|ms| Effect::Interval(Duration::from_millis(ms)))
    );
    assert_eq!(press(&mut app, "-----").len(), 2, "0.1 s is the shortest");
    assert_eq!(app.key(Key::Ctrl('r')), Some(Effect::Reset));
    assert_eq!(press(&mut app, "q"), [Effect::Quit]);
    press(&mut app, "/");
    assert_eq!(press(&mut app, "q"), []);
    assert_eq!(app.key(Key::Ctrl('c')), Some(Effect::Quit));
}

fn any_key() -> impl Strategy<Value = Key> {
    prop_oneof![
        4 => any::<char>().prop_map(Key::Char),
        8 => prop::sample::select("q?/s<>Ijkg Gf+-h\u{202e}界".chars().collect::<Vec<_>>()).prop_map(Key::Char),
        1 => prop::char::range('a', 'z').prop_map(Key::Ctrl),
        6 => prop::sample::select(vec![
            Key::Enter, Key::Esc, Key::Backspace, Key::Up, Key::Down, Key::PageUp, Key::PageDown, Key::Home, Key::End,
        ]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_size_and_no_key_breaks_it(
        width in 1..200_u16, height in 1..60_u16, ascii: bool, color: bool,
        keys in prop::collection::vec(any_key(), 0..30), empty_after in 0..30_usize,
    ) {
        let mut app = app();
        let empty = sample(Synthetic::empty());
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        for (nth, key) in keys.into_iter().enumerate() {
            app.key(key);
            if nth == empty_after {
                app.update(Arc::clone(&empty));
            }
            terminal.draw(|frame| draw(frame, &app, Look::simple(ascii, color))).unwrap();
            prop_assert!(app.place() <= app.rows().len().saturating_sub(1));
        }
    }
}
