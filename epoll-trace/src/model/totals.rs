//! Histograms since a moment, carried on from window to window: who counted nothing costs nothing.

use std::collections::HashMap;

use super::delta::add_metric;
use super::entry::{Entry, EntryKey, Metrics};
use super::shared::Shared;

/// Histograms of processes (or threads), of all windows so far.
#[derive(Debug, Default)]
pub struct Totals {
    by_key: HashMap<EntryKey, Shared<Metrics>>,
}

impl Totals {
    /// Takes in the entries of the next window, and gives them with its counters and the histograms of all windows: rates that are of
    /// now, percentiles that rest on many values. A process that a filter hides counts from when it shows.
    /// What closed its last epoll before this window has left.
    pub fn carry_on(&mut self, recent: Vec<Entry>) -> Vec<Entry> {
        let mut before = std::mem::take(&mut self.by_key);
        self.by_key.reserve(recent.len());
        let mut entries = recent;
        entries.retain_mut(|entry| {
            let mut all = before.remove(&entry.key).unwrap_or_default();
            add(&mut all, &entry.metrics);
            entry.metrics = all.clone();
            self.by_key.insert(entry.key, all);
            entry.epolls > 0 || !entry.is_idle()
        });
        entries
    }
}

fn add(all: &mut Shared<Metrics>, more: &Metrics) {
    if more.iter().all(Option::is_none) {
        return;
    }
    for (sum, more) in all.iter_mut().zip(more) {
        if let Some(more) = more {
            add_metric(sum, more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Totals;
    use crate::model::delta::Window;
    use crate::model::entry::Entry;
    use crate::model::filter::Filter;
    use crate::model::group::{GroupBy, group};
    use crate::model::snapshot::{Counter, Metric, Snapshot};
    use crate::source::Source;
    use crate::source::synthetic::Synthetic;

    fn entries(earlier: &Snapshot, later: &Snapshot) -> Vec<Entry> {
        group(
            &Window::between(earlier, later),
            GroupBy::Process,
            &Filter::default(),
        )
    }

    #[test]
    fn histograms_are_of_all_windows_and_counters_of_the_last() {
        let mut source = Synthetic::demo();
        let since = source.snapshot().unwrap();
        let (mut totals, mut earlier) = (Totals::default(), since.clone());
        for _ in 0..3 {
            let now = source.snapshot().unwrap();
            let (recent, whole) = (entries(&earlier, &now), entries(&since, &now));
            let shown = totals.carry_on(recent.clone());
            assert_eq!(shown.len(), whole.len());
            for ((shown, recent), whole) in shown.iter().zip(&recent).zip(&whole) {
                assert_eq!((shown.key, shown.counters), (recent.key, recent.counters));
                for &metric in Metric::ALL {
                    assert_eq!(shown.metric(metric), whole.metric(metric), "{:?}", shown.key);
                }
            }
            earlier = now;
        }
        let quiet = totals.carry_on(entries(&earlier, &earlier));
        assert_eq!(quiet[0].counter(Counter::Waits), Some(0));
        let whole = entries(&since, &earlier);
        assert_eq!(quiet[0].metric(Metric::Wakeup), whole[0].metric(Metric::Wakeup));
    }

    #[test]
    fn what_closed_its_last_epoll_leaves_and_may_come_back() {
        let entry = |pid, epolls, waits| {
            let mut entry = Entry {
                epolls,
                ..Entry::default()
            };
            entry.key.pid = pid;
            entry.counters[Counter::Waits as usize] = Some(waits);
            entry
        };
        let mut totals = Totals::default();
        let pids = |entries: Vec<Entry>| entries.iter().map(|entry| entry.key.pid).collect::<Vec<_>>();
        let recent = vec![entry(1, 1, 0), entry(2, 0, 0), entry(3, 0, 5)];
        assert_eq!(pids(totals.carry_on(recent)), [1, 3]);
        assert_eq!(totals.by_key.len(), 3, "what it counted is kept with it");
        assert_eq!(pids(totals.carry_on(vec![entry(2, 1, 0)])), [2]);
        assert_eq!(
            totals.by_key.len(),
            1,
            "who is in no window any more is forgotten"
        );
    }
}
