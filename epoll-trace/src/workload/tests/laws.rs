//! What a law says, worked out from the numbers of a report.

use std::collections::BTreeMap;

use super::super::{Report, perform};

/// Every number of a report by name.
fn numbers(report: &Report) -> BTreeMap<&str, u64> {
    let own = [
        ("waiters", report.waiters),
        ("events_sent", report.events_sent),
        ("events_received", report.events_received),
        ("events_taken_back", report.events_taken_back),
        ("stops", report.stops),
        ("epolls", report.epolls),
        ("returns", report.returns),
        ("eagain", report.eagain),
        ("sleeps", report.sleeps),
    ];
    let expected = report
        .expect
        .iter()
        .filter_map(|(&name, expect)| Some((name, expect.exact()?)));
    let stranded = report.stranded.map(|stranded| ("stranded", stranded));
    expected.chain(own).chain(stranded).collect()
}

/// Value of a sum of products such as `2 * events_sent - 1`.
fn value(side: &str, numbers: &BTreeMap<&str, u64>) -> i128 {
    let factor = |word: &str| match word.parse() {
        Ok(number) => number,
        Err(_) => i128::from(
            *numbers
                .get(word)
                .unwrap_or_else(|| panic!("`{word}` is no number of the report")),
        ),
    };
    let (mut sum, mut sign) = (0, 1);
    let mut words = side.split(' ').peekable();
    while let Some(word) = words.next() {
        let mut term = factor(word);
        while words.next_if_eq(&"*").is_some() {
            term *= factor(words.next().unwrap());
        }
        sum += sign * term;
        sign = match words.next() {
            Some("+") | None => 1,
            Some("-") => -1,
            Some(other) => panic!("`{other}` is no operator of a law"),
        };
    }
    sum
}

/// The laws of `report` that its numbers break, with both sides.
pub(super) fn broken_laws(report: &Report) -> Vec<String> {
    let numbers = numbers(report);
    let mut broken = Vec::new();
    for law in report.laws {
        let (left, right) = law.split_once(" = ").expect("a law is an equality");
        let (left, right) = (value(left, &numbers), value(right, &numbers));
        if left != right {
            broken.push(format!("{law}: {left} is not {right}"));
        }
    }
    broken
}

#[test]
fn laws_are_evaluated_as_written() {
    let numbers = BTreeMap::from([("a", 3), ("b", 2)]);
    assert_eq!(value("2 * a * b - 1 + b", &numbers), 13);
    let mut report = perform("pipe-et", Some(3), None).unwrap();
    report.events_sent += 1;
    assert_ne!(
        broken_laws(&report),
        Vec::<String>::new(),
        "a lost event must show"
    );
}
