//! Where a number begins to be a finding: every threshold once, each with its name on the command line.

/// Declares the thresholds with name, default and meaning.
macro_rules! limits {
    ($($variant:ident = $name:literal, $default:literal, $help:literal;)*) => {
        /// A threshold.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Limit { $(#[doc = $help] $variant,)* }

        impl Limit {
            /// Every threshold.
            pub const ALL: &[Limit] = &[$(Limit::$variant,)*];

            /// The name on the command line. Times end with their unit.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Its value unless the user says another.
            pub const fn default(self) -> f64 {
                match self { $(Self::$variant => $default,)* }
            }

            /// One line of help.
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }
        }
    };
}

limits! {
    Samples = "samples", 100.0, "With fewer samples a rule says: not enough data";
    HerdWoken = "herd-woken", 2.0, "D01: waiters that an event of one file wakes, on average";
    HerdWasted = "herd-wasted", 0.5, "D01: part of these wakeups that were for nothing";
    HerdRate = "herd-rate", 20.0, "D01: wasted wakeups per second";
    HerdCritical = "herd-critical", 1000.0, "D01: from so many per second on it is critical";
    ChainWoken = "chain-woken", 1.5, "D02: waiters of one epoll that an event wakes";
    ChainRate = "chain-rate", 20.0, "D02: below so many chain wakeups per second it is for information";
    ShareMargin = "share-margin", 0.2, "D03: the largest part, beyond two fair ones";
    ShareMost = "share-most", 0.95, "D03: but a part as large as this is always too large";
    ShareGini = "share-gini", 0.5, "D03: Gini coefficient of the parts";
    ShareBusy = "share-busy", 0.7, "D03: where all workers are so busy on average it is for information";
    ShareHot = "share-hot", 0.9, "D03: where the busiest worker is so busy it is critical";
    SkewQueue = "skew-queue", 4.0, "D04: how many times the median the longest accept queue is";
    SkewBusy = "skew-busy", 0.9, "D04: part of its time that the worker behind it is busy";
    SkewEach = "skew-each", 30.0, "D04: connections per listener that it takes to tell";
    StarveShare = "starve-share", 0.8, "D05: part of the loop's time that one file alone takes";
    StarveTimes = "starve-times", 10.0, "D05: how many times their median 1 % of the other files' events wait";
    StarveP99 = "starve-p99-us", 1000.0, "D05: microseconds that these wait at least";
    LostQuiet = "lost-quiet-ms", 1000.0, "D06: milliseconds for which connections or bytes wait and no event comes";
    TornShare = "torn-share", 0.001, "D07: part of the deliveries of connected sockets that go to a second thread";
    Ghosts = "ghosts", 1.0, "D08: watched files whose descriptor is closed";
    CtlPerEvent = "ctl-per-event", 1.0, "D09: calls of epoll_ctl per event, beyond those that are needed";
    CtlMany = "ctl-many", 2.0, "D09: more than so many, and ctl-rate, are a warning";
    CtlRate = "ctl-rate", 10_000.0, "D09: such calls per second";
    CtlSame = "ctl-same", 0.2, "D09: part of the EPOLL_CTL_MOD calls that change nothing";
    FullShare = "full-share", 0.2, "D10: part of the deliveries with maxevents events";
    FullAtOnce = "full-at-once", 0.2, "D10: part of the deliveries that did not have to sleep";
    FullEvents = "full-events", 1024.0, "D10: so many events in one delivery are enough";
    SpinEvents = "spin-events", 512.0, "D11: events returned for each time that something became ready";
    SpinRate = "spin-rate", 10_000.0, "D11: from so many returns per second on it is critical";
    PollShare = "poll-share", 0.5, "D12: part of the waits that only looked and found nothing";
    PollRate = "poll-rate", 20_000.0, "D12: such waits per second, of each thread";
    ReadyShare = "ready-share", 0.5, "D13: part of the watched files that a delivery returns, by the median";
    ReadyItems = "ready-items", 64.0, "D13: only epolls that watch more than so many files";
    LockP99 = "lock-p99-us", 20.0, "D14: microseconds that 1 % of the waits for ep->lock exceed";
    MutexShare = "mutex-share", 0.05, "D15: part of its waiters' time that goes into waiting for ep->mtx";
    MutexP99 = "mutex-p99-us", 1000.0, "D15: microseconds that 1 % of these waits exceed";
    OverflowShare = "overflow-share", 0.1, "D16: part of the notifications that find a scan in progress";
    OverflowScan = "overflow-scan-us", 100.0, "D16: microseconds that 1 % of the scans exceed";
    NestedWoken = "nested-woken", 2.0, "D17: waiters that an event of a watched epoll wakes";
    ReaderMost = "reader-us", 1000.0, "D18: microseconds that the longest read of an epoll's fdinfo takes";
    RunqueueShare = "runqueue-share", 0.6, "D19: part of the wakeup latency spent waiting for a CPU";
    RunqueueP99 = "runqueue-p99-us", 1000.0, "D19: microseconds of wakeup latency that 1 % exceed";
    LoopP99 = "loop-p99-ms", 10.0, "D20: milliseconds between two waits that 1 % exceed";
    LoopMost = "loop-max-ms", 100.0, "D20: milliseconds of the longest time between two waits";
    TimerShare = "timer-share", 0.5, "D21: part of the waits that a timeout or timer ended";
    TimerRate = "timer-rate", 50.0, "D21: such waits per second";
    TimerBusy = "timer-busy", 0.5, "D21: only loops that are less busy than this";
    Refused = "refused", 1.0, "D22: calls of epoll_ctl that gave EINVAL";
}

impl Limit {
    /// Whether it is a part of a whole, which texts show in percent.
    const fn is_part(self) -> bool {
        matches!(
            self,
            Self::HerdWasted
                | Self::ShareMargin
                | Self::ShareMost
                | Self::ShareBusy
                | Self::ShareHot
                | Self::SkewBusy
                | Self::StarveShare
                | Self::TornShare
                | Self::CtlSame
                | Self::FullShare
                | Self::FullAtOnce
                | Self::PollShare
                | Self::ReadyShare
                | Self::MutexShare
                | Self::OverflowShare
                | Self::RunqueueShare
                | Self::TimerShare
                | Self::TimerBusy
        )
    }

    /// The threshold called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|limit| limit.name() == name)
    }
}

/// The thresholds of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits(Vec<f64>);

impl Default for Limits {
    fn default() -> Self {
        Self(Limit::ALL.iter().map(|limit| limit.default()).collect())
    }
}

impl Limits {
    /// The value of `limit`.
    pub fn get(&self, limit: Limit) -> f64 {
        self.0.get(limit as usize).copied().unwrap_or(limit.default())
    }

    /// Makes `value` that of `limit`.
    pub fn set(&mut self, limit: Limit, value: f64) {
        if let Some(old) = self.0.get_mut(limit as usize) {
            *old = value;
        }
    }

    /// A threshold in microseconds, as ns.
    pub(super) fn micros(&self, limit: Limit) -> u64 {
        (self.get(limit) * 1e3) as u64
    }

    /// A threshold in milliseconds, as ns.
    pub(super) fn millis(&self, limit: Limit) -> u64 {
        (self.get(limit) * 1e6) as u64
    }

    /// `text` with the value of each threshold in place of its name in braces: `{samples}`.
    pub fn filled(&self, text: &str) -> String {
        let mut filled = text.to_owned();
        for &limit in Limit::ALL {
            let value = self.get(limit);
            let text = if limit.is_part() {
                // 0.07 is no whole number of hundredths to a computer.
                format!("{} %", (value * 1e6).round() / 1e4)
            } else {
                value.to_string()
            };
            filled = filled.replace(&format!("{{{}}}", limit.name()), &text);
        }
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_lead_back() {
        for &limit in Limit::ALL {
            assert_eq!(Limit::from_name(limit.name()), Some(limit));
            assert_eq!(Limits::default().get(limit), limit.default());
        }
    }

    #[test]
    fn a_value_replaces_the_default_and_stands_in_texts() {
        let mut limits = Limits::default();
        limits.set(Limit::HerdWoken, 3.5);
        assert_eq!(limits.get(Limit::HerdWoken), 3.5);
        limits.set(Limit::HerdWasted, 0.07);
        assert_eq!(
            limits.filled("{herd-woken} and {herd-critical}, {herd-wasted}"),
            "3.5 and 1000, 7 %"
        );
        assert_eq!(limits.micros(Limit::LockP99), 20_000);
        assert_eq!(limits.millis(Limit::LoopP99), 10_000_000);
    }
}
