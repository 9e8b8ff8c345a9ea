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
use super::expect::{Ctl, Expect, Known, Reach, expect};

/// What `uname -r` prints.
const OSRELEASE: &str = "/proc/sys/kernel/osrelease";

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
    /// Connections left in the listener, or bytes left in connections, when the waiter found nothing more; null where the scenario is not about them.
    pub stranded: Option<u64>,
    /// Whom an event of the source reaches; null where one waiter has it to itself. In `nested-*` the source is the epoll that is watched.
    pub reach: Option<Reach>,
    /// Calls of epoll_ctl; null where the scenario is not about them.
    pub ctl: Option<Ctl>,
    /// What a tracer must count over the whole run, by counter name.
    pub expect: BTreeMap<&'static str, Expect>,
    /// Equalities between the numbers of this report that hold in every run of this scenario.
    pub laws: &'static [&'static str],
    /// The waiters.
    pub threads: Vec<Waiter>,
    /// Time between waits by the waiters' own clock, ns; null where they do not take it.
    pub busy_ns: Option<u64>,
    /// Time in waits by the same clock, ns.
    pub waiting_ns: Option<u64>,
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
            reach: known.reach,
            ctl: known.ctl,
            expect: expect(scenario.family, known, |field| arena.sum(field)),
            laws: scenario.laws,
            threads: arena.slots().iter().map(waiter).collect(),
            busy_ns: Some(arena.sum(|slot| &slot.busy_ns)).filter(|&busy| busy > 0),
            waiting_ns: Some(arena.sum(|slot| &slot.waiting_ns)).filter(|&waiting| waiting > 0),
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
        if let Some(reach) = self.reach {
            let chain = reach
                .chain_per_event
                .map_or("-".to_owned(), |count| count.to_string());
            writeln!(
                out,
                "an event: notifies {} of {} items, wakes {}, then by chain {chain}",
                reach.fan_out, reach.items, reach.woken_per_event
            )?;
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
        self.write_expected(out)?;
        self.write_waiters(out)
    }

    fn write_expected(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "\n{:<22}{:>12}", "A TRACER MUST COUNT", "")?;
        for (name, expect) in &self.expect {
            match expect.exact() {
                Some(number) => writeln!(out, "{name:<22}{number:>12}")?,
                None => writeln!(out, "{name:<22}{:>12}", "unknown")?,
            }
        }
        Ok(())
    }

    fn write_waiters(&self, out: &mut dyn Write) -> io::Result<()> {
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
