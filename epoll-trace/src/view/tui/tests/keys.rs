//! What keys, clicks and the wheel do.

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::app::Mode;
use super::super::app::layout::Layout;
use super::super::draw::draw;
use super::*;
use crate::model::finding::{Examination, Subject};

#[test]
fn sorted_by_p99_where_there_are_enough_values() {
    let mut app = app();
    // 999 woke latest, but once.
    assert_eq!(pids(&app), [300, 301, 185, 210, 999]);
    press(&mut app, "I");
    assert_eq!(pids(&app), [210, 185, 301, 300, 999]);
    press(&mut app, "I>");
    assert_eq!((app.list().sorted_by().unwrap().id, pids(&app)[0]), ("max", 999));
    press(&mut app, "sg\n");
    assert_eq!(pids(&app), [185, 210, 300, 301, 999]);
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
    press(&mut app, "jj>");
    assert_eq!(app.selected().unwrap().key.pid, 300);
    press(&mut app, "G");
    assert_eq!(app.list().place(), 4);
    app.update(Arc::new(sample_of(Synthetic::empty())));
    assert!(app.selected().is_none());
}

#[test]
fn every_screen_has_its_own_place_order_and_filter() {
    let mut app = app();
    press(&mut app, "j/work\n");
    assert_eq!(press(&mut app, "\t"), [Effect::Show(Screen::Epolls)]);
    assert_eq!((app.list().filter(), app.list().place()), ("", 0));
    assert_eq!(app.key(Key::BackTab), Some(Effect::Show(Screen::Processes)));
    assert_eq!(app.list().filter(), "work");
    assert_eq!(app.key(Key::BackTab), Some(Effect::Show(Screen::Own)));
    assert_eq!(press(&mut app, "\t"), [Effect::Show(Screen::Processes)]);
}

#[test]
fn filters() {
    let mut app = app();
    press(&mut app, "/WORK\n");
    assert_eq!(pids(&app), [300, 301]);
    assert_eq!(app.mode, Mode::Table);
    app.key(Key::Esc);
    assert_eq!(pids(&app).len(), 5);
    press(&mut app, "/wakeups>99k ");
    assert!(pids(&app).is_empty());
    press(&mut app, "comm");
    assert_eq!(app.mode, Mode::Filter);
    press(&mut app, ">3\n");
    assert_eq!(app.mode, Mode::Filter, "a mistake is not kept");
    let shown = text(&app, 80, 24, PLAIN);
    assert!(shown.contains("comm holds words: ask comm:WORD"), "{shown}");
    app.key(Key::Ctrl('r'));
    app.key(Key::Esc);
    assert_eq!((pids(&app).len(), app.mode), (5, Mode::Table));
}

#[test]
fn each_screen_is_asked_for_what_it_has() {
    let mut app = app();
    for (screen, filter, rows) in [
        (Screen::Epolls, "flags:et waits/s>150", 2),
        (Screen::Sources, "fan-out>=2", 1),
        (Screen::Sources, "flags:excl", 1),
        (Screen::Locks, "kind:mutex", 1),
        (Screen::Locks, "p99>10us", 1),
        (Screen::Findings, "id:d02", 1),
        (Screen::Findings, "nginx severity:warn", 2),
        (Screen::Own, "verdict:fallback", 1),
    ] {
        show(&mut app, screen);
        press(&mut app, &format!("/{filter}\n"));
        assert_eq!((app.mode, app.list().mistake()), (Mode::Table, None), "{filter}");
        assert_eq!(app.list().order().len(), rows, "{filter}");
        app.key(Key::Esc);
    }
}

#[test]
fn threads_stand_below_their_processes() {
    let mut app = app();
    press(&mut app, "tsg\n");
    let rows = app.rows().unwrap();
    let keys = app.list().order().iter().map(|&row| rows.entry(row).unwrap().key);
    let keys: Vec<_> = keys.map(|key| (key.pid, key.tid)).take(4).collect();
    assert_eq!(
        keys,
        [(185, None), (185, Some(185)), (185, Some(186)), (210, None)]
    );
    assert_eq!((app.passing(), app.list().order().len()), (5, 11));
    press(&mut app, "t");
    assert_eq!(pids(&app).len(), 5);
    let mut without = sample_of(Synthetic::demo());
    without.measures = Measures::NONE;
    app.update(Arc::new(without));
    press(&mut app, "t");
    assert!(app.notice.as_ref().unwrap().text.contains("m measures them"));
}

#[test]
fn from_a_process_to_its_epolls_and_from_a_finding_to_whom_it_is_about() {
    let mut app = app();
    press(&mut app, "\n");
    assert_eq!(app.mode, Mode::Zoomed);
    assert_eq!(press(&mut app, "\n"), [Effect::Show(Screen::Epolls)]);
    assert_eq!(pids(&app), [300]);
    let mut sample = sample_of(Synthetic::everything());
    let mut examination = Examination::clone(sample.examination.as_ref().unwrap());
    let mut of_others = examination.findings[0].clone();
    let subjects = [Subject::from(&sample.herds[0]), Subject::from(&sample.locks[0])];
    for subject in subjects {
        of_others.subject = subject;
        examination.findings.push(of_others.clone());
    }
    sample.examination = Some(Arc::new(examination));
    app.update(Arc::new(sample));
    show(&mut app, Screen::Findings);
    let mut screens = Vec::new();
    for _ in 0..app.list().order().len() {
        let pid = app.finding().unwrap().subject.key.pid;
        let Some(Effect::Show(screen)) = app.key(Key::Char('o')) else {
            panic!()
        };
        if let Some(entry) = app.selected() {
            assert_eq!(entry.key.pid, pid);
        }
        assert!(app.list().filter().is_empty() && app.selected_row().is_some());
        screens.push(screen);
        show(&mut app, Screen::Findings);
        press(&mut app, "j");
    }
    let all = [Screen::Processes, Screen::Epolls, Screen::Sources, Screen::Locks];
    assert!(all.iter().all(|screen| screens.contains(screen)), "{screens:?}");
}

#[test]
fn frozen_keeps_what_is_shown_until_it_goes_on() {
    let mut app = app();
    press(&mut app, " ");
    app.take_changed();
    app.update(Arc::new(sample_of(Synthetic::empty())));
    assert!(!app.take_changed(), "nothing new to draw");
    assert_eq!(pids(&app).len(), 5);
    assert!(text(&app, 80, 24, PLAIN).contains("FROZEN"));
    press(&mut app, " ");
    assert!(pids(&app).is_empty());
}

#[test]
fn frozen_a_screen_gets_its_rows_once() {
    let mut app = new_app();
    let all = sample_of(Synthetic::everything());
    let of_processes = Sample {
        epolls: None,
        own: Vec::new(),
        herds: Vec::new(),
        locks: Vec::new(),
        window_ns: 0,
        ..all.clone()
    };
    app.update(Arc::new(of_processes));
    press(&mut app, " ");
    for (screen, rows) in [
        (Screen::Epolls, 5),
        (Screen::Sources, 2),
        (Screen::Locks, 3),
        (Screen::Own, all.own.len()),
    ] {
        show(&mut app, screen);
        app.update(Arc::new(all.clone()));
        assert_eq!(app.list().order().len(), rows, "{screen:?}");
    }
    let mut nothing = sample_of(Synthetic::empty());
    nothing.epolls = Some(Vec::new());
    app.update(Arc::new(nothing));
    show(&mut app, Screen::Epolls);
    assert_eq!(app.list().order().len(), 5);
    press(&mut app, " ");
    assert_eq!(app.list().order().len(), 0);
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
    assert_eq!(press(&mut app, "w"), [Effect::Write]);
    app.told(Err("cannot write x: no room".to_owned()));
    assert!(text(&app, 80, 24, PLAIN).ends_with("cannot write x: no room\n"));
    assert_eq!(press(&mut app, "q"), [Effect::Quit]);
    press(&mut app, "/");
    assert_eq!(press(&mut app, "q"), []);
    assert_eq!(app.key(Key::Ctrl('c')), Some(Effect::Quit));
    assert_eq!(press(&mut app, "\nm"), [], "all is measured");
}

#[test]
fn columns_are_shown_hidden_and_moved() {
    let mut app = app();
    press(&mut app, "c"); // PID
    press(&mut app, "J");
    press(&mut app, "j ");
    let Some(Effect::SaveColumns(Screen::Processes, ids)) = app.key(Key::Enter) else {
        panic!()
    };
    assert_eq!(ids[..2], ["comm", "pid"]);
    assert!(!ids.contains(&"epolls"), "{ids:?}");
    let list = app.list_of(Screen::Processes);
    list.choose_columns(&[
        "p99".to_owned(),
        "nonsense".to_owned(),
        "pid".to_owned(),
        "p99".to_owned(),
    ]);
    assert_eq!(list.column_ids(), ["p99", "pid"]);
    list.choose_columns(&["nonsense".to_owned()]);
    assert_eq!(list.column_ids(), ["p99", "pid"]);
    press(&mut app, "c j  ");
    assert_eq!(app.list().column_ids().len(), 1, "the last one stays");
}

#[test]
fn clicks_and_the_wheel() {
    let mut app = app();
    app.resize(80, 24);
    let layout = Layout::of(&app, 80, 24);
    let click = |app: &mut App, col, row| app.key(Key::Click { col, row });
    click(&mut app, 3, layout.rows.y + 2);
    assert_eq!(app.selected().unwrap().key.pid, 185);
    click(&mut app, layout.columns[0].x + 2, layout.head.y);
    assert_eq!(app.list().sorted_by().unwrap().id, "pid");
    click(&mut app, layout.columns[0].x + 2, layout.head.y);
    assert!(app.list().inverted() && pids(&app)[0] == 999);
    click(&mut app, 0, layout.rows.y);
    assert_eq!(app.selected().unwrap().key.pid, 999);
    app.key(Key::Wheel(1));
    assert_eq!(app.list().place(), 3);
    app.key(Key::Wheel(-1));
    assert_eq!(app.list().place(), 0);
    assert_eq!(
        click(&mut app, 14, layout.tabs.y),
        Some(Effect::Show(Screen::Epolls))
    );
    assert_eq!(click(&mut app, 79, 23), None);
    press(&mut app, "s");
    click(&mut app, 1, 1);
    assert_eq!(app.mode, Mode::Table);
    let text = text(&app, 80, 24, PLAIN);
    let heads = Layout::of(&app, 80, 24);
    let line = text.lines().nth(usize::from(heads.head.y)).unwrap();
    for placed in &heads.columns {
        let under: String = line
            .chars()
            .skip(usize::from(placed.x))
            .take(usize::from(placed.width))
            .collect();
        assert_eq!(under.trim(), app.screen.heads()[placed.column].title);
    }
}

#[test]
fn what_is_measured_grows_and_goes_back() {
    let mut app = new_app();
    let mut sample = sample_of(Synthetic::demo());
    sample.measures = Measures::NONE;
    app.update(Arc::new(sample.clone()));
    let [Effect::Measure(more)] = press(&mut app, "m")[..] else {
        panic!()
    };
    assert!(!more.is_empty());
    sample.measures = more;
    app.update(Arc::new(sample.clone()));
    assert!(!app.is_attaching());
    assert_eq!(press(&mut app, "M"), [Effect::Measure(Measures::NONE)]);
    sample.failed = Some("the kernel refuses".into());
    app.update(Arc::new(sample));
    assert!(!app.is_attaching() && app.notice.as_ref().unwrap().failed);
}

fn any_key() -> impl Strategy<Value = Key> {
    let known = "q?/s<>Ijkg GcJKf+-tmMeowyh123456\u{202e}界";
    prop_oneof![
        2 => any::<char>().prop_map(Key::Char),
        12 => prop::sample::select(known.chars().collect::<Vec<_>>()).prop_map(Key::Char),
        1 => prop::char::range('a', 'z').prop_map(Key::Ctrl),
        8 => prop::sample::select(vec![
            Key::Enter, Key::Esc, Key::Backspace, Key::Up, Key::Down, Key::PageUp, Key::PageDown, Key::Home, Key::End,
            Key::Tab, Key::BackTab, Key::Left, Key::Right,
        ]),
        3 => (0..400_u16, 0..200_u16).prop_map(|(col, row)| Key::Click { col, row }),
        2 => any::<i8>().prop_map(Key::Wheel),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn no_size_and_no_key_breaks_it(
        width in 1..=400_u16, height in 1..=200_u16, narrow: bool, ascii: bool, color: bool,
        keys in prop::collection::vec(any_key(), 0..40), empty_after in 0..40_usize,
    ) {
        let (width, height) = if narrow { (width / 8 + 1, height / 8 + 1) } else { (width, height) };
        let mut app = app();
        app.resize(width, height);
        let empty = Arc::new(sample_of(Synthetic::empty()));
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        for (nth, key) in keys.into_iter().enumerate() {
            app.key(key);
            if nth == empty_after {
                app.update(Arc::clone(&empty));
            }
            terminal.draw(|frame| draw(frame, &app, Look::simple(ascii, color))).unwrap();
            prop_assert!(app.list().place() <= app.list().order().len().saturating_sub(1));
        }
    }
}

#[test]
fn a_frozen_detail_stands_still_while_the_history_goes_on() {
    let mut app = app();
    press(&mut app, "\n ");
    let before = text(&app, 120, 40, PLAIN);
    assert!(before.contains("last 1 min"), "{before}");
    let mut later = sample_of(Synthetic::everything());
    later.since_ns += 30_000_000_000;
    app.update(Arc::new(later));
    assert_eq!(text(&app, 120, 40, PLAIN), before);
    assert_eq!(app.history().reach_ns(), 40_000_000_000);
    press(&mut app, " ");
    assert_ne!(text(&app, 120, 40, PLAIN), before);
    press(&mut app, "zz");
    assert!(text(&app, 120, 40, PLAIN).contains("last 5 min"));
}
