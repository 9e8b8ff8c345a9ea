//! What a run wants of the programs, and the globals that tell them.

use crate::model::snapshot::Metric;

/// Whom to trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Every process but ourselves.
    #[default]
    Everything,
    /// Processes named later by their id.
    Processes,
    /// Threads named later by their id.
    Threads,
    /// Processes named later by their id, and what they fork.
    Trees,
}

/// What a run wants of the programs beyond the plan.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Histograms to keep, in the order of their slots.
    pub metrics: Vec<Metric>,
    /// Rows per thread instead of per process.
    pub per_thread: bool,
    /// Begins of waits are seen.
    pub waits_seen: bool,
    /// Count all waits and wakeups, not only deliveries that slept.
    pub count_waits: bool,
    /// Count notifications and scans per epoll.
    pub count_per_epoll: bool,
    /// Keep what epoll_ctl and released files tell of items.
    pub follow_items: bool,
    /// Add up the time in and between waits.
    pub time_loops: bool,
    /// Count who wakes.
    pub count_wakers: bool,
    /// Count who wakes the next waiter of its own epoll.
    pub count_chains: bool,
    /// Count accepts after deliveries.
    pub count_accepts: bool,
    /// Epolls are known by descriptor number only.
    pub epoll_by_fd: bool,
    /// Whom to trace.
    pub scope: Scope,
    /// Only threads of a cgroup named later, and of those below it.
    pub by_cgroup: bool,
    /// Measure waits for locks.
    pub locks: bool,
    /// Count what files that several watch, and listeners, bring.
    pub sources: bool,
    /// Time who reads fdinfo.
    pub readers: bool,
    /// Look up which files deliveries return.
    pub files: bool,
    /// Notifications are seen.
    pub notifications_seen: bool,
    /// Rows at most; 0 = the object's default.
    pub rows: u32,
    /// Log level of the programs, as aya-log numbers it; 0 = off, at no cost.
    pub log_level: u8,
}

impl Options {
    /// The histograms that rows have, in the order of their slots.
    pub fn kept(&self) -> Vec<Metric> {
        let metrics = self.metrics.iter().copied();
        metrics.filter(|metric| !metric.is_of_locks()).collect()
    }

    /// Whether of wakeups there is one histogram, and nothing else is wanted.
    pub(super) fn wakeups_alone(&self) -> bool {
        let more = self.waits_seen || self.count_waits || self.count_wakers || self.sources;
        self.kept() == [Metric::Wakeup] && !more && !self.notifications_seen && !self.epoll_by_fd
    }

    /// The globals that stand for these options. All are 64 bits wide.
    pub(super) fn globals(&self) -> Vec<(String, u64)> {
        let kept = self.kept();
        let switches = [
            ("FILTERED", self.scope != Scope::Everything),
            ("FILTER_BY_TID", self.scope == Scope::Threads),
            ("BY_CGROUP", self.by_cgroup),
            ("FOLLOW_FORK", self.scope == Scope::Trees),
            ("PER_THREAD", self.per_thread),
            ("EPOLL_BY_FD", self.epoll_by_fd),
            ("WAITS_SEEN", self.waits_seen),
            ("COUNT_WAITS", self.count_waits),
            ("COUNT_PER_EPOLL", self.count_per_epoll),
            ("FOLLOW_ITEMS", self.follow_items),
            ("COUNT_WAKERS", self.count_wakers),
            ("COUNT_CHAINS", self.count_chains),
            ("COUNT_ACCEPTS", self.count_accepts),
            ("TIME_LOOPS", self.time_loops),
            ("LOCKS_WANTED", self.locks),
            ("COUNT_SOURCES", self.sources),
            ("COUNT_FILES", self.files),
            ("TIME_READS", self.readers),
            ("NOTIFICATIONS_SEEN", self.notifications_seen),
        ];
        let slots = Metric::ALL.iter().map(|metric| {
            let wanted = kept.iter().position(|wanted| wanted == metric);
            let slot = wanted.map_or(u64::MAX, |slot| slot as u64);
            (format!("SLOT_{}", metric.name().to_uppercase()), slot)
        });
        let own = ("OWN_TGID".to_owned(), u64::from(std::process::id()));
        std::iter::once(own)
            .chain(switches.map(|(name, on)| (name.to_owned(), u64::from(on))))
            .chain(slots)
            .collect()
    }
}
