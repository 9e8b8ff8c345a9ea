//! What is shown: text, JSON Lines, tables, CSV and the screen, all from the same entries and fields.

pub mod csv;
pub mod findings;
pub mod herds;
pub mod json;
pub mod locks;
pub mod metrics;
pub mod overhead;
pub mod probes;
pub mod sanitize;
pub mod table;
pub mod text;
pub mod tui;
pub mod units;
pub mod wrap;

use std::collections::BTreeMap;

use crate::model::delta::Window;
use crate::model::entry::Entry;
use crate::model::snapshot::Metric;

/// What one block of a view is made from.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// What was counted, with losses and absent reasons.
    pub window: &'a Window,
    /// In the order to show.
    pub entries: &'a [Entry],
    /// Which histograms.
    pub metrics: &'a [Metric],
    /// Whether counters are shown too.
    pub counters: bool,
    /// Whether wakers are shown too.
    pub wakers: bool,
}

impl<'a> Report<'a> {
    /// Why a counter or metric cannot be known in this run, by name.
    pub fn absent(&self) -> &'a BTreeMap<String, String> {
        &self.window.counted.absent
    }

    /// Loss counters by name.
    pub fn losses(&self) -> &'a BTreeMap<String, u64> {
        &self.window.counted.losses
    }
}

/// All losses in one line: `losses: none`, or `LOST:` and those that are not 0.
pub fn losses_line(losses: &BTreeMap<String, u64>) -> String {
    let lost: Vec<_> = losses
        .iter()
        .filter(|&(_, &count)| count > 0)
        .map(|(name, count)| format!("{name}={count}"))
        .collect();
    if lost.is_empty() {
        "losses: none".to_owned()
    } else {
        format!("LOST: {}", lost.join(" "))
    }
}
