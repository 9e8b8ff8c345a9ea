//! The manual of every number, from the field table, the lists of numbers and the catalog of probes.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;

use super::output::Streams;
use crate::fields::{Field, counters};
use crate::model::snapshot::Metric;
use crate::probe::catalog::{Family, Means, ROWS, Signal};
use crate::probe::numbers::Number;
use crate::view::metrics::{Section, write};

/// Name of the hidden command that prints the manual, for docs/metrics.md.
pub const MANUAL: &str = "__metrics";

/// Prints the manual.
///
/// # Errors
/// When the output cannot be written.
pub fn run(streams: &mut Streams<'_>) -> anyhow::Result<u8> {
    write(streams.out, &sections()).context("cannot write the output")?;
    streams.out.flush().context("cannot write the output")?;
    Ok(0)
}

/// What a number rests on, itself or through those it is made of.
fn signals(numbers: &[Number]) -> BTreeSet<Signal> {
    let of = |number: &Number| number.required().iter().chain(number.better_with()).copied();
    numbers.iter().flat_map(of).collect()
}

fn numbers_of(field: &Field) -> Vec<Number> {
    match field.made_of {
        [] => Number::from_name(field.id).into_iter().collect(),
        names => names.iter().filter_map(|name| Number::from_name(name)).collect(),
    }
}

fn sections() -> Vec<Section> {
    let mut by_signals: BTreeMap<BTreeSet<Signal>, Vec<[String; 3]>> = BTreeMap::new();
    for &metric in Metric::ALL {
        let unit = if metric.is_time() {
            "ns, histogram"
        } else {
            "count, histogram"
        };
        let row = [metric.name(), unit, metric.help()].map(str::to_owned);
        by_signals
            .entry(signals(&[Number::Metric(metric)]))
            .or_default()
            .push(row);
    }
    for field in counters() {
        let row = [field.id, field.unit, field.help].map(str::to_owned);
        by_signals
            .entry(signals(&numbers_of(field)))
            .or_default()
            .push(row);
    }
    let section = |(signals, numbers): (BTreeSet<Signal>, _)| Section {
        sources: signals.iter().map(|&signal| source(signal)).collect(),
        blind: signals.iter().flat_map(|&signal| blind(signal)).collect(),
        signals: signals.iter().map(|signal| signal.name().to_owned()).collect(),
        numbers,
    };
    by_signals.into_iter().map(section).collect()
}

fn names(families: &[Family]) -> String {
    families
        .iter()
        .map(|family| family.name())
        .collect::<Vec<_>>()
        .join(", ")
}

/// Where the kernel is watched for `signal`: of several ways of a family the first that the kernel has is taken.
fn source(signal: Signal) -> String {
    let ways = ROWS
        .iter()
        .filter(|row| row.signal == signal && matches!(row.means, Means::Programs(_)))
        .map(|row| format!("{}: `{}`", names(row.families), row.hook()));
    format!("{}: {}", signal.name(), ways.collect::<Vec<_>>().join("; "))
}

fn blind(signal: Signal) -> Vec<String> {
    let rows = ROWS.iter().filter(|row| row.signal == signal);
    let words = rows.filter_map(|row| {
        let families = names(row.families);
        match row.means {
            Means::Never(why) => Some(format!(
                "{}, {families} where no way above works: anything ({why})",
                signal.name()
            )),
            Means::Programs(_) if row.lost.is_empty() => None,
            Means::Programs(_) => Some(format!(
                "{}, {families} by `{}`: {}",
                signal.name(),
                row.hook(),
                row.lost
            )),
        }
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_rests_on_something_and_stands_once() {
        for field in counters() {
            let unknown = field
                .made_of
                .iter()
                .find(|name| Number::from_name(name).is_none());
            assert_eq!(unknown, None, "{}", field.id);
            assert!(
                !signals(&numbers_of(field)).is_empty(),
                "{} rests on nothing",
                field.id
            );
        }
        let sections = sections();
        let listed: Vec<_> = sections.iter().flat_map(|section| &section.numbers).collect();
        let ids: BTreeSet<_> = listed.iter().map(|[name, ..]| name).collect();
        // One name is a histogram and a derived number at once, or none.
        assert_eq!(listed.len(), Metric::COUNT + counters().count());
        assert!(ids.len() >= listed.len() - 1, "{ids:?}");
        assert!(sections.iter().all(|section| !section.sources.is_empty()));
    }
}
