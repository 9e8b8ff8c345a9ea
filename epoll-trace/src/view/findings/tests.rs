use super::*;
use crate::model::filter::Filter;
use crate::model::finding::{DIAGNOSES, Diagnosis, examine};
use crate::source::Source;
use crate::source::synthetic::Synthetic;

fn window(source: &mut Synthetic) -> Window {
    let first = source.snapshot().unwrap();
    Window::between(&first, &source.snapshot().unwrap())
}

/// What the demo processes have, or with `absent` what can be said without these numbers.
fn shown(absent: &[&str], write: impl Fn(&mut Vec<u8>, &FindingReport<'_>)) -> String {
    let mut source = Synthetic::demo();
    source.share();
    source.contend();
    source.without(absent);
    let window = window(&mut source);
    let limits = Limits::default();
    let examination = examine(&window, &Filter::default(), &limits);
    let mut out = Vec::new();
    let report = FindingReport {
        window: &window,
        examination: &examination,
        limits: &limits,
        most: usize::MAX,
    };
    write(&mut out, &report);
    String::from_utf8(out).unwrap()
}

fn text(absent: &[&str]) -> String {
    let style = TextStyle {
        ascii: false,
        unit: None,
    };
    shown(absent, |out, report| {
        write_text(out, report, style, None).unwrap()
    })
}

#[test]
fn as_text() {
    insta::assert_snapshot!(text(&[]));
}

#[test]
fn what_cannot_be_checked_is_no_calm() {
    let absent = ["sources", "events", "ctl_einval", "wakeups_chain", "wakeup"];
    let text = text(&absent);
    insta::assert_snapshot!(text);
    assert!(
        text.contains("D01 thundering herd: sources: this kernel refuses the probe"),
        "{text}"
    );
}

#[test]
fn as_json() {
    insta::assert_snapshot!(shown(&[], |out, report| write_json(out, report).unwrap()));
}

#[test]
fn as_csv() {
    insta::assert_snapshot!(shown(&[], |out, report| {
        write_csv_header(out).unwrap();
        write_csv(out, report).unwrap();
    }));
}

#[test]
fn nothing_in_use_is_said_so() {
    let (window, limits) = (window(&mut Synthetic::empty()), Limits::default());
    let examination = examine(&window, &Filter::default(), &limits);
    let report = FindingReport {
        window: &window,
        examination: &examination,
        limits: &limits,
        most: 1,
    };
    assert!(conclusion(&report).starts_with("No epoll was in use in these 1.00s"));
}

#[test]
fn a_remedy_never_comes_without_its_price() {
    for text in [text(&[]), text(&["sources"])] {
        assert!(text.contains("remedy: "), "{text}");
        assert_eq!(
            text.matches("  remedy: ").count(),
            text.matches("  price: ").count(),
            "{text}"
        );
    }
}

#[test]
fn text_fits_the_screen_and_carries_no_escape() {
    let mut all = text(&[]) + &text(&["sources", "wakeup"]);
    for diagnosis in DIAGNOSES {
        let mut out = Vec::new();
        explain(&mut out, diagnosis, &Limits::default()).unwrap();
        all += &String::from_utf8(out).unwrap();
    }
    for line in all.lines() {
        assert!(line.chars().count() <= 80 && !line.contains('\u{1b}'), "{line}");
    }
}

#[test]
fn explanations() {
    for id in ["D01", "D05", "D06"] {
        let mut out = Vec::new();
        explain(&mut out, Diagnosis::from_id(id).unwrap(), &Limits::default()).unwrap();
        insta::assert_snapshot!(id, String::from_utf8(out).unwrap());
    }
}
