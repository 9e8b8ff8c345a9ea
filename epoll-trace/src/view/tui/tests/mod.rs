//! The screens on known numbers: what they show at four sizes, what keys and clicks do, and that no size or key breaks them.

mod keys;
mod screens;

use std::sync::Arc;
use std::time::Duration;

use super::actions::Key;
use super::app::screen::Screen;
use super::app::{App, Effect, Sample};
use super::draw::as_text;
use super::style::Look;
use crate::kernel::canned;
use crate::model::delta::Window;
use crate::model::entry::Badge;
use crate::model::filter::Filter;
use crate::model::finding::{Limits, examine};
use crate::model::group::{GroupBy, group};
use crate::model::locks::locks;
use crate::model::measures::Measures;
use crate::model::own::{Host, own_rows};
use crate::model::reuseport::herds_and_groups;
use crate::model::totals::Totals;
use crate::probe::numbers::{self, Number};
use crate::probe::plan::{FamilyChoice, plan};
use crate::probe::status::attached;
use crate::source::Source;
use crate::source::synthetic::Synthetic;

const PLAIN: Look = Look::simple(false, false);
const ASCII: Look = Look::simple(true, false);

/// All that is measured, of ten seconds.
fn sample_of(mut source: Synthetic) -> Sample {
    let first = source.snapshot().unwrap();
    let last = (0..10).map(|_| source.snapshot().unwrap()).last();
    let window = Window::between(&first, &last.unwrap());
    let all = Filter::default();
    let examination = examine(&window, &all, &Limits::default());
    let mut entries = Totals::default().carry_on(group(&window, GroupBy::Process, &all));
    let mut threads = group(&window, GroupBy::Thread, &all);
    threads.retain(|thread| thread.key.tid.is_some());
    for entry in &mut entries {
        let findings = examination.findings.iter();
        let mut of_it = findings.filter(|finding| finding.subject.key.pid == entry.key.pid);
        let worst = of_it
            .next()
            .map(|finding| (finding.severity, finding.diagnosis.id));
        entry.finding = Some(Badge(worst));
    }
    let facts = canned::kernel("debian-6.1");
    let wanted = numbers::wanted(Number::all());
    let status = attached(
        &facts,
        &plan(&facts, &wanted, FamilyChoice::Auto),
        &Default::default(),
    );
    let (herds, groups) = herds_and_groups(&window, &all, true);
    Sample {
        entries,
        threads,
        epolls: Some(group(&window, GroupBy::Epoll, &all)),
        herds,
        groups,
        locks: locks(&window, &all),
        examination: Some(Arc::new(examination)),
        examined_ns: window.span_ns,
        own: own_rows(&status, None),
        own_bytes: Some(24 << 20),
        status: Some(Arc::new(status)),
        host: Arc::new(Host {
            name: "web1".to_owned(),
            kernel: "6.1.0-50-cloud-amd64".to_owned(),
        }),
        measures: Measures::all(),
        window_ns: window.span_ns,
        since_ns: window.span_ns,
        plan_line: source.plan_line().to_owned(),
        losses: window.counted.losses,
        absent: window.counted.absent,
        ..Sample::default()
    }
}

fn new_app() -> App {
    App::new("p99", Duration::from_secs(1))
}

fn app() -> App {
    let mut app = new_app();
    app.update(Arc::new(sample_of(Synthetic::everything())));
    app
}

fn text(app: &App, width: u16, height: u16, look: Look) -> String {
    as_text(app, look, width, height).unwrap()
}

fn pids(app: &App) -> Vec<u32> {
    let rows = app.rows().unwrap();
    let order = app.list().order().iter();
    order.map(|&row| rows.entry(row).unwrap().key.pid).collect()
}

fn press(app: &mut App, keys: &str) -> Vec<Effect> {
    let key = |c| match c {
        '\n' => Key::Enter,
        '\t' => Key::Tab,
        c => Key::Char(c),
    };
    keys.chars().filter_map(|c| app.key(key(c))).collect()
}

fn show(app: &mut App, screen: Screen) {
    let digit = (b'1' + screen as u8) as char;
    assert_eq!(app.key(Key::Char(digit)), Some(Effect::Show(screen)));
}
