//! What screens show.

use super::*;
use crate::fields::{columns, epoll_columns};
use crate::model::measures::Measure;

const SIZES: [(u16, u16); 4] = [(80, 24), (120, 40), (200, 60), (40, 12)];

fn pages(app: &mut App, look: Look) -> String {
    let page = |(width, height): (u16, u16)| {
        app.resize(width, height);
        let text = text(app, width, height, look);
        assert!(!look.ascii || text.is_ascii(), "{text}");
        assert_eq!(text.lines().count(), usize::from(height));
        format!("--- {width} x {height}\n{text}")
    };
    SIZES.map(page).concat()
}

#[test]
fn every_screen_at_every_size() {
    for screen in Screen::ALL {
        let mut app = app();
        show(&mut app, screen);
        let name = screen.title().to_lowercase();
        insta::assert_snapshot!(name.clone(), pages(&mut app, PLAIN));
        insta::assert_snapshot!(format!("{name}_ascii"), pages(&mut app, ASCII));
    }
}

#[test]
fn one_row_alone() {
    for screen in [Screen::Sources, Screen::Locks, Screen::Findings, Screen::Own] {
        let mut app = app();
        show(&mut app, screen);
        press(&mut app, "\n");
        let name = format!("{}_alone", screen.title().to_lowercase());
        insta::assert_snapshot!(name, text(&app, 80, 24, PLAIN));
    }
}

#[test]
fn help_and_menus() {
    let mut app = app();
    press(&mut app, "?");
    insta::assert_snapshot!("help", text(&app, 80, 40, PLAIN));
    press(&mut app, "xs");
    insta::assert_snapshot!("sort_menu", text(&app, 80, 24, PLAIN));
    press(&mut app, "qcj ");
    insta::assert_snapshot!("columns_menu", text(&app, 80, 24, PLAIN));
}

#[test]
fn without_numbers_a_sentence_says_why() {
    let mut app = new_app();
    let says = |app: &App, words: &str| {
        let text = text(app, 80, 24, PLAIN);
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(flat.contains(words), "{words}\n{text}");
    };
    says(&app, "Waiting for the first look");
    let mut nothing = sample_of(Synthetic::empty());
    nothing.own.clear();
    app.update(Arc::new(nothing.clone()));
    for screen in Screen::ALL {
        show(&mut app, screen);
        let words = match screen {
            Screen::Findings => "Nothing found in 10.0s; of 22 diagnoses",
            screen => screen.nothing(),
        };
        says(&app, words);
    }
    nothing.measures = Measures::NONE;
    app.update(Arc::new(nothing));
    show(&mut app, Screen::Sources);
    says(&app, "Not measured. m measures");
    says(
        &app,
        "Price: a program at every notification, and a look-up for those of such a file.",
    );
    let wanted = Measures::of(&[Measure::Herd]);
    assert_eq!(press(&mut app, "m"), [Effect::Measure(wanted)]);
    says(&app, "attaching...");
    says(&app, "Attaching what this screen needs");
    assert_eq!(press(&mut app, "m"), [], "once is enough");
    let mut late = sample_of(Synthetic::empty());
    late.measures = Measures::NONE;
    app.update(Arc::new(late.clone()));
    says(&app, "attaching...");
    late.measures = wanted;
    app.update(Arc::new(late));
    says(&app, Screen::Sources.nothing());
}

#[test]
fn what_is_not_measured_goes_first_and_is_named() {
    let mut source = Synthetic::everything();
    source.without(&["queue", "busy_ns", "items"]);
    let mut sample = sample_of(source);
    sample.measures = Measures::NONE;
    let mut app = new_app();
    app.update(Arc::new(sample));
    let shown = text(&app, 80, 24, PLAIN);
    assert!(!shown.contains("QUEUE99") && !shown.contains("UTIL"), "{shown}");
    assert!(
        shown.contains("EMPTY%") && shown.contains("Not measured: counters, queue. m measures it"),
        "{shown}"
    );
    assert!(text(&app, 200, 60, PLAIN).contains("QUEUE99"));
}

#[test]
fn losses_and_frozen_stay_on_the_narrowest_line() {
    let mut source = Synthetic::everything();
    source.lose("rows_full", 3);
    let mut app = new_app();
    app.update(Arc::new(sample_of(source)));
    press(&mut app, " ");
    let first = |app: &App, width| text(app, width, 12, PLAIN).lines().next().unwrap().to_owned();
    assert_eq!(first(&app, 30), "LOST: rows_full=3 · FROZEN");
    assert!(first(&app, 200).starts_with("epoll-trace · web1 · 6.1.0-50-cloud-amd64 · up 10.0s · fentry"));
    assert!(first(&app, 200).contains(" · W D"), "{}", first(&app, 200));
}

#[test]
fn who_left_is_marked() {
    let mut sample = sample_of(Synthetic::everything());
    let left = sample.entries.remove(0);
    sample.gone = vec![left.clone()];
    let mut app = new_app();
    app.update(Arc::new(sample));
    assert!(pids(&app).contains(&left.key.pid));
    let mark = format!("({})", left.name);
    assert!(text(&app, 80, 24, PLAIN).contains(&mark));
}

/// A row of the field table is a column of its screen, of both menus, of the keys that sort, and of what is copied.
#[test]
fn a_new_column_is_one_row() {
    let fields = [
        (
            Screen::Processes,
            columns().map(|field| field.id).collect::<Vec<_>>(),
        ),
        (Screen::Epolls, epoll_columns().map(|field| field.id).collect()),
    ];
    for (screen, ids) in fields {
        let mut app = app();
        show(&mut app, screen);
        assert_eq!(app.list().column_ids(), ids);
        let heads = screen.heads();
        let wide = text(&app, 400, 60, PLAIN);
        let head_line = wide.lines().nth(3).unwrap();
        press(&mut app, "s");
        let sort_menu = text(&app, 200, 100, PLAIN);
        press(&mut app, "qc");
        let menu = text(&app, 200, 100, PLAIN);
        press(&mut app, "q");
        let Some(Effect::Copy(row)) = app.key(Key::Char('y')) else {
            panic!()
        };
        for head in heads {
            assert!(head_line.contains(head.title), "{}: {wide}", head.title);
            assert!(sort_menu.contains(head.help), "{}", head.id);
            assert!(menu.contains(&format!("[x] {}", head.title)), "{}", head.id);
            assert!(row.contains(&format!("{}=", head.id)), "{row}");
        }
    }
}

#[test]
fn ten_thousand_rows_are_sorted_and_only_those_seen_are_drawn() {
    let mut sample = sample_of(Synthetic::everything());
    let first = sample.entries[0].clone();
    sample.entries = (1..=10_000)
        .map(|pid| {
            let mut entry = first.clone();
            entry.key.pid = pid;
            entry
        })
        .collect();
    let mut app = new_app();
    app.update(Arc::new(sample));
    press(&mut app, "G");
    assert_eq!(app.selected().unwrap().key.pid, 10_000);
    assert!(text(&app, 80, 24, PLAIN).contains("10000 nginx"));
    app.key(Key::PageUp);
    assert!((9_980..10_000).contains(&app.selected().unwrap().key.pid));
    press(&mut app, "/999\n");
    assert_eq!(app.list().order().len(), 19);
}
