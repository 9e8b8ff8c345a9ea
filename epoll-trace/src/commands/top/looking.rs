//! From looks at a source to what the screen shows: the last interval, all since the start, and a window of 10 to 20 seconds.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::making::Made;
use crate::identity;
use crate::model::delta::Window;
use crate::model::entry::{Badge, Entry};
use crate::model::filter::Filter;
use crate::model::finding::{Examination, Limits, examine};
use crate::model::gone::Gone;
use crate::model::group::{GroupBy, group};
use crate::model::locks::{LockOrder, locks};
use crate::model::look::Look;
use crate::model::measures::{Measure, Measures};
use crate::model::overhead::Overhead;
use crate::model::own::own_rows;
use crate::model::reuseport::herds_and_groups;
use crate::model::snapshot::{EpollId, Snapshot};
use crate::model::totals::Totals;
use crate::view::tui::app::Sample;
use crate::view::tui::app::screen::Screen;

/// The window of findings, sources and locks is so long at least, once there is as much, and twice that at most; ns.
const WINDOW_NS: u64 = 10_000_000_000;
/// Between two examinations while nobody looks at findings, ns.
const EXAMINE_EACH_NS: u64 = 5_000_000_000;
/// And at least, ns.
const EXAMINE_AT_MOST_NS: u64 = 1_000_000_000;

/// With more rows than this nothing is compared with older looks unless somebody asks for what takes them: memory and time of a screen
/// that stays open for hours.
const FEW_ROWS: usize = 2_000;

/// What looks are compared with.
#[derive(Debug)]
pub(super) struct Looker {
    filter: Filter,
    screen: Screen,
    /// The start, or the last reset.
    since: Arc<Snapshot>,
    /// The look before the last one, and the last one.
    earlier: Arc<Snapshot>,
    now: Arc<Snapshot>,
    /// Begins of the window: this one's, and the next one's.
    anchors: [Arc<Snapshot>; 2],
    totals: Totals,
    thread_totals: Totals,
    gone: Gone,
    shown: Arc<Sample>,
    examined_at_ns: u64,
    /// Whether a screen was shown that takes older looks.
    asked: bool,
    /// What the last look at processes told, and when that was.
    processes: Option<Look>,
    processes_at_ns: u64,
    /// Why what was asked for is not measured; told once.
    pub(super) failed: Option<Arc<str>>,
}

impl Looker {
    /// Counts from `first` on, as far as `filter` lets it pass.
    pub(super) fn new(first: Snapshot, filter: Filter) -> Self {
        let first = Arc::new(first);
        Self {
            filter,
            screen: Screen::default(),
            since: Arc::clone(&first),
            earlier: Arc::clone(&first),
            now: Arc::clone(&first),
            anchors: [Arc::clone(&first), first],
            totals: Totals::default(),
            thread_totals: Totals::default(),
            gone: Gone::default(),
            shown: Arc::default(),
            examined_at_ns: 0,
            asked: false,
            processes: None,
            processes_at_ns: 0,
            failed: None,
        }
    }

    /// Forgets all, and counts from `first` on.
    pub(super) fn restart(&mut self, first: Snapshot) {
        *self = Self {
            screen: self.screen,
            asked: self.asked,
            ..Self::new(first, self.filter.clone())
        };
    }

    /// Processes that were seen to wait.
    pub(super) fn seen(&self) -> Vec<u32> {
        let pids: BTreeSet<u32> = self.now.rows.iter().map(|row| row.key.pid).collect();
        pids.into_iter().collect()
    }

    /// Whether older looks are kept.
    fn keeps_looks(&self, made: &Made) -> bool {
        self.asked || made.measures != Measures::NONE || self.now.rows.len() <= FEW_ROWS
    }

    /// Whether `now` must have what processes have open: that takes reads of /proc, so once in a window, for who measures findings.
    /// Asked once of each look.
    pub(super) fn wants_processes(&mut self, now: &Snapshot, made: &Made) -> bool {
        let last = self.processes_at_ns.max(self.since.at_ns);
        let due = made.measures.has(Measure::Findings) && now.at_ns.saturating_sub(last) >= WINDOW_NS;
        if due {
            self.processes_at_ns = now.at_ns;
        }
        due
    }

    /// Takes in a look at what `made` counts.
    pub(super) fn look(&mut self, mut now: Snapshot, made: &Made) -> Arc<Sample> {
        if now.look.is_some() {
            self.processes.clone_from(&now.look);
        } else {
            now.look.clone_from(&self.processes);
        }
        self.earlier = std::mem::replace(&mut self.now, Arc::new(now));
        let now = Arc::clone(&self.now);
        if now.at_ns.saturating_sub(self.anchors[1].at_ns) >= WINDOW_NS {
            self.anchors = [Arc::clone(&self.anchors[1]), Arc::clone(&now)];
        }
        let recent = Window::between(&self.earlier, &now);
        let mut entries = self
            .totals
            .carry_on(group(&recent, GroupBy::Process, &self.filter));
        let gone = self.gone.update(&self.shown.entries, &entries, now.at_ns);
        let threads = match made.measures.has(Measure::Threads) {
            true => self.threads(&recent),
            false => Vec::new(),
        };
        let (examination, examined_ns) = match self.keeps_looks(made) {
            true => self.examined(),
            false => (None, 0),
        };
        if let Some(examination) = &examination {
            add_badges(&mut entries, examination);
        }
        let mut sample = Sample {
            entries,
            gone,
            threads,
            examination,
            examined_ns,
            own_bytes: identity::own_memory(),
            status: made.status.clone(),
            host: Arc::clone(&made.host),
            measures: made.measures,
            failed: self.failed.take(),
            since_ns: now.at_ns.saturating_sub(self.since.at_ns),
            plan_line: made.source.plan_line().to_owned(),
            cost: Overhead::of(&recent),
            losses: recent.counted.losses,
            absent: recent.counted.absent,
            ..Sample::default()
        };
        self.add_lists(&mut sample);
        if !self.keeps_looks(made) {
            self.earlier = Arc::clone(&now);
            self.anchors = [Arc::clone(&now), now];
        }
        self.shown = Arc::new(sample);
        Arc::clone(&self.shown)
    }

    /// The last look again, for another screen; `None` where there was none yet, or it is not kept.
    pub(super) fn show(&mut self, screen: Screen, made: &Made) -> Option<Arc<Sample>> {
        self.screen = screen;
        self.asked |= matches!(screen, Screen::Sources | Screen::Locks | Screen::Findings);
        if Arc::ptr_eq(&self.earlier, &self.now) {
            return None;
        }
        let mut sample = Sample {
            epolls: None,
            herds: Vec::new(),
            groups: Vec::new(),
            locks: Vec::new(),
            own: Vec::new(),
            failed: None,
            status: made.status.clone(),
            host: Arc::clone(&made.host),
            measures: made.measures,
            plan_line: made.source.plan_line().to_owned(),
            ..(*self.shown).clone()
        };
        self.add_lists(&mut sample);
        self.shown = Arc::new(sample);
        Some(Arc::clone(&self.shown))
    }

    /// What only one screen shows: nobody else pays for it.
    fn add_lists(&self, sample: &mut Sample) {
        match self.screen {
            Screen::Processes => {}
            Screen::Epolls => sample.epolls = Some(self.epolls()),
            Screen::Own => {
                let status = sample.status.as_ref();
                sample.own = status.map_or_else(Vec::new, |status| own_rows(status, sample.cost.as_ref()));
            }
            Screen::Sources | Screen::Locks | Screen::Findings => {
                let window = self.window();
                sample.window_ns = window.span_ns;
                (sample.herds, sample.groups) = herds_and_groups(&window, &self.filter, false);
                sample.locks = locks(&window, &self.filter);
                LockOrder::Total.sort(&mut sample.locks);
            }
        }
    }

    fn threads(&mut self, recent: &Window) -> Vec<Entry> {
        let mut threads = self
            .thread_totals
            .carry_on(group(recent, GroupBy::Thread, &self.filter));
        // What is not known by thread stands with its process.
        threads.retain(|thread| thread.key.tid.is_some());
        threads
    }

    fn window(&self) -> Window {
        Window::between(&self.anchors[0], &self.now)
    }

    /// What the diagnoses say, and of how much time: as before, if that was a moment ago.
    fn examined(&mut self) -> (Option<Arc<Examination>>, u64) {
        let age = self
            .now
            .at_ns
            .saturating_sub(self.examined_at_ns.max(self.since.at_ns));
        let due = match self.screen {
            Screen::Findings => EXAMINE_AT_MOST_NS,
            _ => EXAMINE_EACH_NS,
        };
        if age < due {
            return (self.shown.examination.clone(), self.shown.examined_ns);
        }
        self.examined_at_ns = self.now.at_ns;
        let window = self.window();
        let examination = examine(&window, &self.filter, &Limits::default());
        (Some(Arc::new(examination)), window.span_ns)
    }

    /// Epolls: counters of the last interval, histograms since the start.
    fn epolls(&self) -> Vec<Entry> {
        let of = |earlier: &Snapshot| {
            let window = Window::between(earlier, &self.now);
            group(&window, GroupBy::Epoll, &self.filter)
        };
        let mut whole: HashMap<_, Entry> = of(&self.since)
            .into_iter()
            .map(|entry| (same_epoll(&entry), entry))
            .collect();
        let mut recent = of(&self.earlier);
        for entry in &mut recent {
            if let Some(whole) = whole.remove(&same_epoll(entry)) {
                entry.metrics = whole.metrics;
            }
        }
        recent
    }
}

/// What tells an epoll in two windows; those that are closed go by their process.
fn same_epoll(entry: &Entry) -> (Option<EpollId>, u32) {
    let id = entry.key.epoll.and_then(|epoll| epoll.id);
    match id {
        Some(id) if !id.is_private() => (Some(id), 0),
        id => (id, entry.key.pid),
    }
}

/// Gives each process the worst finding that it is the subject of.
fn add_badges(entries: &mut [Entry], examination: &Examination) {
    let mut worst: HashMap<u32, Badge> = HashMap::new();
    // They come worst first.
    for finding in &examination.findings {
        let badge = Badge(Some((finding.severity, finding.diagnosis.id)));
        for &pid in finding.subject.pids() {
            worst.entry(pid).or_insert(badge);
        }
    }
    for entry in entries {
        entry.finding = Some(worst.get(&entry.key.pid).copied().unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::{Row, RowKey};
    use crate::source::Source as _;
    use crate::source::story::Story;
    use crate::source::synthetic::Synthetic;

    /// A look at `rows` quiet epolls, at a second.
    fn snapshot(rows: usize, second: u64) -> Snapshot {
        let row = |pid| Row {
            key: RowKey {
                pid,
                ..RowKey::default()
            },
            ..Row::default()
        };
        Snapshot {
            at_ns: second * 1_000_000_000,
            rows: (1..).take(rows).map(row).collect(),
            ..Snapshot::default()
        }
    }

    #[test]
    fn with_many_rows_only_who_asks_pays_for_older_looks() {
        let made = Made {
            source: Box::new(Synthetic::empty()),
            measures: Measures::NONE,
            status: None,
            host: Arc::default(),
        };
        for (rows, examined) in [(FEW_ROWS, true), (FEW_ROWS + 1, false)] {
            let mut looker = Looker::new(snapshot(rows, 0), Filter::default());
            let look = |looker: &mut Looker, second| looker.look(snapshot(rows, second), &made);
            assert_eq!(look(&mut looker, 6).examination.is_some(), examined);
            assert_eq!(looker.show(Screen::Epolls, &made).is_some(), examined);
            assert_eq!(Arc::ptr_eq(&looker.anchors[0], &looker.since), examined);
            assert!(!looker.wants_processes(&snapshot(rows, 60), &made));
            looker.show(Screen::Findings, &made);
            look(&mut looker, 7);
            assert!(look(&mut looker, 9).examination.is_some(), "{rows} rows");
        }
    }

    #[test]
    fn processes_are_looked_at_once_in_a_window_and_remembered() {
        let made = Made {
            source: Box::new(Synthetic::empty()),
            measures: Measures::of(&[Measure::Findings]),
            status: None,
            host: Arc::default(),
        };
        let mut looker = Looker::new(snapshot(1, 0), Filter::default());
        let due: Vec<u64> = (1..=25)
            .filter(|&second| {
                let mut now = snapshot(1, second);
                let due = looker.wants_processes(&now, &made);
                now.look = due.then(Look::default);
                looker.look(now, &made);
                assert_eq!(looker.now.look.is_some(), second >= 10);
                due
            })
            .collect();
        assert_eq!(due, [10, 20]);
    }

    #[test]
    fn who_shares_a_file_shares_its_badge() {
        let mut story = Story::default();
        let first = story.snapshot().unwrap();
        let made = Made {
            source: Box::new(Synthetic::empty()),
            measures: Measures::all(),
            status: None,
            host: Arc::default(),
        };
        let mut looker = Looker::new(first, Filter::default());
        let samples = (0..10).map(|_| looker.look(story.snapshot().unwrap(), &made));
        let sample = samples.last().unwrap();
        let badges = |name: &str| -> Vec<Option<&str>> {
            let of = sample.entries.iter().filter(|entry| entry.name == name);
            of.map(|entry| entry.finding.unwrap().0.map(|(_, id)| id))
                .collect()
        };
        assert_eq!(badges("nginx"), [Some("D01"); 4]);
        assert_eq!(badges("unbound"), [None]);
    }
}
