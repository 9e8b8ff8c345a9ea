//! Values on the command line: what is accepted, from the tables that define it.

use std::time::Duration;

use clap::ValueEnum;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::fields::{FIELDS, Field};
use crate::model::measures::{MEASURES, Measures};
use crate::model::snapshot::Metric;
use crate::view::tui::style::Theme;

/// How much is counted besides measuring times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Counters {
    /// Waits by outcome, events and wakeups: what `top` shows
    Waits,
    /// Notifications, scans, causes of wakeups, epoll_ctl, accepts too
    All,
}

/// An interval or a duration: a hundredth of a second to a week.
///
/// # Errors
/// In a phrase that tells the bounds.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    within(text, 0.01, 7.0 * 86_400.0)
}

/// As [`seconds`], between two looks of a screen: a tenth of a second to ten.
///
/// # Errors
/// In a phrase that tells the bounds.
pub(super) fn screen_seconds(text: &str) -> Result<Duration, String> {
    within(text, 0.1, 10.0)
}

fn within(text: &str, least: f64, most: f64) -> Result<Duration, String> {
    let wanted = || format!("give seconds from {least} to {most}");
    let seconds: f64 = text.parse().map_err(|_| wanted())?;
    if !(least..=most).contains(&seconds) {
        return Err(wanted());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wanted())
}

pub(super) fn metric_parser() -> impl TypedValueParser<Value = Metric> {
    PossibleValuesParser::new(Metric::ALL.iter().map(|metric| metric.name()))
        .try_map(|name| Metric::from_name(&name).ok_or("no such metric"))
}

pub(super) fn theme_parser() -> impl TypedValueParser<Value = Theme> {
    PossibleValuesParser::new(Theme::ALL.iter().map(|theme| theme.name()))
        .try_map(|name| Theme::from_name(&name).ok_or("no such theme"))
}

pub(super) fn field_parser() -> impl TypedValueParser<Value = &'static Field> {
    PossibleValuesParser::new(FIELDS.iter().map(|field| field.id))
        .try_map(|id| Field::from_id(&id).ok_or("no such field"))
}

pub(super) fn epoll_column_parser() -> impl TypedValueParser<Value = &'static Field> {
    PossibleValuesParser::new(crate::fields::epoll_columns().map(|field| field.id))
        .try_map(|id| Field::from_id(&id).ok_or("no such column"))
}

/// Everything there is to measure.
const ALL: &str = "all";

pub(super) fn measure_parser() -> impl TypedValueParser<Value = Measures> {
    let names = MEASURES.iter().map(|row| row.name).chain([ALL]);
    PossibleValuesParser::new(names).map(|name| match name.as_str() {
        ALL => Measures::all(),
        name => {
            let rows = MEASURES.iter().filter(|row| row.name == name);
            let sets = rows.map(|row| Measures::of(&[row.measure]));
            sets.fold(Measures::NONE, Measures::with)
        }
    })
}

pub(super) fn column_parser() -> impl TypedValueParser<Value = &'static Field> {
    PossibleValuesParser::new(crate::fields::columns().map(|field| field.id))
        .try_map(|id| Field::from_id(&id).ok_or("no such column"))
}
