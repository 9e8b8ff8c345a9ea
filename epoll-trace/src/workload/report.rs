//! What a run did, and what a tracer that watched all of it must have counted.
//! Everything here comes from the run itself: the generator's own steps and the waiters' own counters.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::arena::Slot;
use super::catalog::Scenario;
use super::crew::Crew;
use crate::model::snapshot::{Counter, EpollCounter};

/// What `uname -r` prints.
const OSRELEASE: &str = "/proc/sys/kernel/osrelease";

/// What the generator knows of a run; the rest the waiters know.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// Events fired on the watched file.
    pub(super) events_sent: u64,
    /// Events the generator itself took off again.
    pub(super) events_taken_back: u64,
    /// Waiters ended through a stop eventfd: one notification, wakeup and delivery each.
    pub(super) stops: u64,
    /// Epolls that were made.
    pub(super) epolls: u64,
    /// Calls of ep_poll_callback, stops included.
    pub(super) notifications: u64,
    /// Wakeups inside notifications, stops included.
    pub(super) wakeups_source: u64,
    /// Wakeups at the end of another waiter's scan.
    pub(super) wakeups_chain: u64,
    /// Scans of ready lists (`ep_done_scan`, before 6.1 `ep_scan_ready_list`), where they can be told.
    pub(super) scans: Option<u64>,
    /// Waiters killed while they waited.
    pub(super) killed: u64,
    /// Events came while waiters ran: who slept and who was woken cannot be told.
    pub(super) raced: bool,
    /// Connections that were left when the waiter found nothing more.
    pub(super) stranded: Option<u64>,
    /// Calls of epoll_ctl, of scenarios that are about them.
    pub(super) ctl: Option<Ctl>,
}

/// Calls of epoll_ctl by result, under the names of a tracer's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ctl {
    /// EPOLL_CTL_ADD done, those before the first event included.
    pub ctl_add: u64,
    /// EPOLL_CTL_MOD done.
    pub ctl_mod: u64,
    /// Those that changed nothing.
    pub ctl_mod_same: u64,
    /// EPOLL_CTL_DEL done.
    pub ctl_del: u64,
    /// Failed with EINVAL.
    pub ctl_einval: u64,
    /// Failed with EEXIST.
    pub ctl_eexist: u64,
    /// Failed with ENOENT.
    pub ctl_enoent: u64,
    /// Failed with EBADF.
    pub ctl_ebadf: u64,
}

impl Ctl {
    /// Every number with its name.
    pub fn named(&self) -> [(&'static str, u64); 8] {
        [
            ("ctl_add", self.ctl_add),
            ("ctl_mod", self.ctl_mod),
            ("ctl_mod_same", self.ctl_mod_same),
            ("ctl_del", self.ctl_del),
            ("ctl_einval", self.ctl_einval),
            ("ctl_eexist", self.ctl_eexist),
            ("ctl_enoent", self.ctl_enoent),
            ("ctl_ebadf", self.ctl_ebadf),
        ]
    }
}

/// What a tracer must count; in JSON `{"exact": N}`, or null where the run cannot tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Expect {
    /// This number.
    Exact {
        /// The number.
        exact: u64,
    },
    /// Not known.
    Unknown,
}

impl Expect {
    /// The number, where there is one.
    pub fn exact(self) -> Option<u64> {
        match self {
            Self::Exact { exact } => Some(exact),
            Self::Unknown => None,
        }
    }
}

/// One waiter by its own counters. A killed wait did not return and is in none of them.
#[derive(Clone, Debug, Serialize)]
pub struct Waiter {
    /// Process id.
    pub pid: i32,
    /// Thread id.
    pub tid: i32,
    /// What the thread was there for: `waiter`.
    pub role: &'static str,
    /// Waits that returned.
    pub waits: u64,
    /// Waits that returned events, after a sleep or at once.
    pub deliveries: u64,
    /// Those without a sleep.
    pub deliveries_at_once: u64,
    /// Events returned.
    pub events: u64,
    /// Waits that returned 0 at their timeout.
    pub timeouts: u64,
    /// Waits with timeout 0 that returned 0.
    pub zero_timeouts: u64,
    /// Waits that ended with EINTR.
    pub interrupted: u64,
    /// Reads and accepts after a delivery that found nothing.
    pub eagain: u64,
    /// Voluntary context switches within waits, by getrusage.
    pub sleeps: u64,
}

/// The generator's own clock: from just before the write (or connect) to the return of epoll_wait, ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Deliveries of the watched file.
    pub count: u64,
    /// Median, by nearest rank.
    pub p50: u64,
    /// 99th percentile, by nearest rank.
    pub p99: u64,
    /// Longest.
    pub max: u64,
}

impl Latency {
    /// Exact percentiles of `samples`, `None` without any.
    pub fn of(mut samples: Vec<u64>) -> Option<Self> {
        samples.sort_unstable();
        let rank = |percent: usize| {
            let rank = (samples.len() * percent).div_ceil(100);
            samples.get(rank.saturating_sub(1)).copied()
        };
        Some(Self {
            count: samples.len() as u64,
            p50: rank(50)?,
            p99: rank(99)?,
            max: *samples.last()?,
        })
    }
}

/// One run of one scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Version of this form: 1.
    pub v: u32,
    /// `scenario`.
    pub kind: &'static str,
    /// Which scenario.
    pub name: &'static str,
    /// Release of the running kernel.
    pub kernel: String,
    /// The process that sent the events; waiters are its threads or children.
    pub pid: u32,
    /// How many waiters there were, one after the other or at once.
    pub waiters: u64,
    /// Events fired on the watched file.
    pub events_sent: u64,
    /// Events the waiters took off it.
    pub events_received: u64,
    /// Events the generator took off again itself.
    pub events_taken_back: u64,
    /// Waiters ended through a stop eventfd: one notification, wakeup, delivery and event each, included below.
    pub stops: u64,
    /// Epolls made.
    pub epolls: u64,
    /// Waits that returned to user space.
    pub returns: u64,
    /// Reads and accepts after a delivery that found nothing.
    pub eagain: u64,
    /// Voluntary context switches of the waiters within waits: one per wakeup, now and then more, for sleeps on locks
    /// of the kernel (`ep->mtx`, memory map). A wakeup count above it is wrong.
    pub sleeps: u64,
    /// Connections left in the listener when its waiter found nothing more; null where the scenario is not about them.
    pub stranded: Option<u64>,
    /// Calls of epoll_ctl; null where the scenario is not about them.
    pub ctl: Option<Ctl>,
    /// What a tracer must count over the whole run, by counter name.
    pub expect: BTreeMap<&'static str, Expect>,
    /// Equalities between the numbers of this report that hold in every run of this scenario.
    pub laws: &'static [&'static str],
    /// The waiters.
    pub threads: Vec<Waiter>,
    /// Null where nothing was delivered, or a latency would mean nothing.
    pub latency_ns: Option<Latency>,
}

impl Report {
    /// The report of a finished run.
    ///
    /// # Errors
    /// When the kernel's release cannot be read.
    pub(super) fn new(scenario: &Scenario, known: &Known, crew: &Crew) -> Result<Self> {
        let arena = crew.arena();
        let kernel = std::fs::read_to_string(OSRELEASE).with_context(|| {
            format!("cannot read the kernel's release from {OSRELEASE}: is /proc mounted?")
        })?;
        Ok(Self {
            v: 1,
            kind: "scenario",
            name: scenario.name,
            kernel: kernel.trim_end().to_owned(),
            pid: std::process::id(),
            waiters: arena.slots().len() as u64,
            events_sent: known.events_sent,
            events_received: arena.sum(|slot| &slot.consumed),
            events_taken_back: known.events_taken_back,
            stops: known.stops,
            epolls: known.epolls,
            returns: arena.sum(|slot| &slot.waits),
            eagain: arena.sum(|slot| &slot.eagain),
            sleeps: arena.sum(|slot| &slot.sleeps),
            stranded: known.stranded,
            ctl: known.ctl,
            expect: expect(known, |field| arena.sum(field)),
            laws: scenario.laws,
            threads: arena.slots().iter().map(waiter).collect(),
            latency_ns: Latency::of(arena.latencies()),
        })
    }

    /// Writes a table for people.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_text(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "{} on {}: {} waiters, {} epolls",
            self.name, self.kernel, self.waiters, self.epolls
        )?;
        writeln!(
            out,
            "sent {}  received {}  taken back {}  stops {}  EAGAIN {}",
            self.events_sent, self.events_received, self.events_taken_back, self.stops, self.eagain
        )?;
        if let Some(stranded) = self.stranded {
            writeln!(out, "stranded {stranded}")?;
        }
        match self.latency_ns {
            Some(Latency { count, p50, p99, max }) => {
                writeln!(
                    out,
                    "own clock, ns: count {count}  p50 {p50}  p99 {p99}  max {max}"
                )?;
            }
            None => writeln!(out, "own clock: not taken")?,
        }
        writeln!(out, "\n{:<22}{:>12}", "A TRACER MUST COUNT", "")?;
        for (name, expect) in &self.expect {
            match expect.exact() {
                Some(number) => writeln!(out, "{name:<22}{number:>12}")?,
                None => writeln!(out, "{name:<22}{:>12}", "unknown")?,
            }
        }
        for (name, number) in self.ctl.iter().flat_map(Ctl::named) {
            writeln!(out, "{name:<22}{number:>12}")?;
        }
        writeln!(
            out,
            "\n{:>8}{:>8}{:>9}{:>12}{:>9}{:>8}{:>8}",
            "PID", "TID", "WAITS", "DELIVERIES", "EVENTS", "EAGAIN", "SLEEPS"
        )?;
        for Waiter {
            pid,
            tid,
            waits,
            deliveries,
            events,
            eagain,
            sleeps,
            ..
        } in &self.threads
        {
            writeln!(
                out,
                "{pid:>8}{tid:>8}{waits:>9}{deliveries:>12}{events:>9}{eagain:>8}{sleeps:>8}"
            )?;
        }
        Ok(())
    }
}

fn waiter(slot: &Slot) -> Waiter {
    let read = |counter: &AtomicU64| counter.load(Ordering::Acquire);
    let deliveries_at_once = read(&slot.deliveries_at_once);
    Waiter {
        pid: slot.pid.load(Ordering::Acquire),
        tid: slot.tid.load(Ordering::Acquire),
        role: "waiter",
        waits: read(&slot.waits),
        deliveries: read(&slot.deliveries_slept) + deliveries_at_once,
        deliveries_at_once,
        events: read(&slot.events),
        timeouts: read(&slot.timeouts),
        zero_timeouts: read(&slot.zero_timeouts),
        interrupted: read(&slot.interrupted),
        eagain: read(&slot.eagain),
        sleeps: read(&slot.sleeps),
    }
}

/// What a tracer must count: the generator's knowledge and the sums over the waiters.
fn expect(known: &Known, sum: impl Fn(fn(&Slot) -> &AtomicU64) -> u64) -> BTreeMap<&'static str, Expect> {
    let slept = sum(|slot| &slot.deliveries_slept);
    let at_once = sum(|slot| &slot.deliveries_at_once);
    let told = |number: u64| (!known.raced).then_some(number);
    let wakeups = known.wakeups_source + known.wakeups_chain;
    let of_waiter = |counter| match counter {
        // A killed wait returns -EINTR inside the kernel like any interrupted one.
        Counter::Waits => Some(sum(|slot| &slot.waits) + known.killed),
        Counter::Interrupted => Some(sum(|slot| &slot.interrupted) + known.killed),
        Counter::DeliveriesSlept => told(slept),
        Counter::DeliveriesAtOnce => told(at_once),
        Counter::Events => Some(sum(|slot| &slot.events)),
        Counter::Timeouts => Some(sum(|slot| &slot.timeouts)),
        Counter::ZeroTimeouts => Some(sum(|slot| &slot.zero_timeouts)),
        Counter::WakeupsSource => told(known.wakeups_source),
        Counter::WakeupsChain => told(known.wakeups_chain),
        // Every wakeup either leads to the delivery of that wait, or was for nothing.
        Counter::EmptyWakeups => wakeups.checked_sub(slept).and_then(told),
        // Nothing is added or changed while it is ready; no wait fails, and none is asked for as few events as are ready.
        Counter::FullBatches | Counter::Errors | Counter::WakeupsCtl => Some(0),
        // Depends on what the tracer can see, not on the run.
        Counter::WakeupsUnclassified => None,
    };
    let of_epoll = |counter| match counter {
        EpollCounter::Notifications => Some(known.notifications),
        EpollCounter::Scans => known.scans,
    };
    let waiters = Counter::ALL
        .iter()
        .map(|&counter| (counter.name(), of_waiter(counter)));
    let epolls = EpollCounter::ALL
        .iter()
        .map(|&counter| (counter.name(), of_epoll(counter)));
    let derived = [("wakeups", told(wakeups)), ("deliveries", Some(slept + at_once))];
    waiters
        .chain(epolls)
        .chain(derived)
        .map(|(name, number)| {
            (
                name,
                number.map_or(Expect::Unknown, |exact| Expect::Exact { exact }),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Latency;

    #[test]
    fn percentiles_are_samples_by_nearest_rank() {
        assert_eq!(Latency::of(Vec::new()), None);
        assert_eq!(
            Latency::of(vec![7]),
            Some(Latency {
                count: 1,
                p50: 7,
                p99: 7,
                max: 7
            })
        );
        let all = Latency::of((1..=200).rev().collect());
        assert_eq!(
            all,
            Some(Latency {
                count: 200,
                p50: 100,
                p99: 198,
                max: 200
            })
        );
    }
}
