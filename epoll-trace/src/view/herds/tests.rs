use super::*;
use crate::model::chains::chains;
use crate::model::filter::Filter;
use crate::model::reuseport::herds_and_groups;
use crate::source::Source;
use crate::source::synthetic::Synthetic;
use crate::view::wrap::COLUMNS as WIDTH;

fn shown(source: &mut Synthetic, write: impl Fn(&mut Vec<u8>, &HerdReport<'_>)) -> String {
    let first = source.snapshot().unwrap();
    let window = Window::between(&first, &source.snapshot().unwrap());
    let (herds, groups) = herds_and_groups(&window, &Filter::default(), false);
    let chains = chains(&window, &Filter::default());
    let report = HerdReport {
        window: &window,
        herds: &herds,
        groups: &groups,
        chains: &chains,
    };
    let mut out = Vec::new();
    write(&mut out, &report);
    String::from_utf8(out).unwrap()
}

fn text(source: &mut Synthetic) -> String {
    let text = shown(source, |out, report| {
        write_text(out, report, false, Some("12:00:01")).unwrap();
    });
    assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    text
}

fn sharing() -> Synthetic {
    let mut source = Synthetic::demo();
    source.share();
    source
}

#[test]
fn table() {
    insta::assert_snapshot!(text(&mut sharing()));
}

#[test]
fn what_cannot_be_known_is_told() {
    let mut source = sharing();
    source.without(&["empty_wakeups", "accepts", "accept_eagain"]);
    source.lose("source_items_full", 3);
    insta::assert_snapshot!(text(&mut source));
}

#[test]
fn quiet_says_so() {
    let text = text(&mut Synthetic::demo());
    assert!(
        text.contains("No listener and no file that several watch had an event.\n"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_counted_is_not_called_quiet() {
    let mut source = Synthetic::demo();
    source.without(&["sources", "chains", "wakeups_chain"]);
    assert_eq!(
        text(&mut source),
        "12:00:01\nsources, chains: - (this kernel refuses the probe)\nlosses: none\n\n"
    );
}

#[test]
fn large_counts_stay_in_their_columns() {
    assert_eq!(count(Some(9_999_999), 7), "9999999");
    assert_eq!(count(Some(123_456_789), 7), "123M");
    assert_eq!(count(None, 7), "-");
}

#[test]
fn json_lines() {
    insta::assert_snapshot!(shown(&mut sharing(), |out, report| {
        write_json(out, report).unwrap();
    }));
}

#[test]
fn csv_rows_have_the_columns_of_the_head() {
    let text = shown(&mut sharing(), |out, report| {
        write_csv_header(out).unwrap();
        write_csv(out, report).unwrap();
    });
    let columns: Vec<_> = text.lines().map(|line| line.split(',').count()).collect();
    assert_eq!(columns, [lines::COLUMNS.len(); 3], "{text}");
}
