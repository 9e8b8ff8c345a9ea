//! One row as it is followed from look to look: what was read of it, and what the model was told.

use std::array;

use epoll_trace_ebpf as abi;

use super::{
    chunks::Chunks,
    mapped::Mapped,
    tally::{self, Part},
    wakers::Woken,
};
use crate::model::{
    histogram::{Histogram, Shape},
    shared::Shared,
    snapshot::{EpollId, Known, Metric, Numbers, RowKey},
};

/// A row but for its table of chunks, which is three quarters of it and only for the programs: each chunk says whose it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) key: abi::RowKey,
    pub(super) epfd: i32,
    zeroes: u32,
    pub(super) comm: [u8; abi::COMM_LEN],
    counters: [u64; abi::Counter::COUNT],
}

/// What is known of one row.
pub(super) struct Followed {
    pub(super) last: Reading,
    /// Where its histograms are counted, by slot and place.
    pub(super) parts: Vec<Part>,
    /// Nothing was counted between the last two readings, so the histograms were read after the last count.
    settled: bool,
    /// What the model gets; the only place where histograms are kept.
    pub(super) numbers: Shared<Numbers>,
    /// These are to be read anew.
    stale: bool,
}

/// Reads the row at `index`, whoever else writes there.
///
/// # Errors
/// As of [`Mapped::get`].
pub(super) fn read(map: &mut Mapped<abi::Row>, index: u32) -> anyhow::Result<Reading> {
    map.read(index, |row| {
        // SAFETY: `read` gives the address of a row in mapped memory, and every bit pattern is one.
        unsafe {
            Reading {
                key: (&raw const (*row).key).read_volatile(),
                epfd: (&raw const (*row).epfd).read_volatile(),
                zeroes: (&raw const (*row).zeroes).read_volatile(),
                comm: (&raw const (*row).comm).read_volatile(),
                counters: (&raw const (*row).counters).read_volatile(),
            }
        }
    })
}

impl Followed {
    /// A row that was first read now.
    pub(super) fn new(last: Reading) -> Self {
        Self {
            last,
            parts: Vec::new(),
            settled: false,
            numbers: Shared::default(),
            stale: true,
        }
    }

    /// Takes a new reading; histograms are read too unless nothing can have changed: each value changes a sum or, if it is 0, the row.
    ///
    /// # Errors
    /// When the kernel refuses to read a sum.
    pub(super) fn update(&mut self, reading: Reading, chunks: &mut Chunks) -> anyhow::Result<()> {
        let mut quiet = self.last == reading;
        for part in &mut self.parts {
            let sum = chunks.sum(part.chunk)?;
            quiet &= part.sum == sum;
            part.sum = sum;
        }
        self.stale |= !(quiet && self.settled);
        self.settled = quiet;
        if !quiet {
            self.last = reading;
        }
        Ok(())
    }

    /// Takes a chunk of its histograms.
    pub(super) fn own(&mut self, part: Part) {
        let place = self.parts.partition_point(|other| other.place() <= part.place());
        self.parts.insert(place, part);
        self.stale = true;
    }

    /// Whose it is, as the model has it.
    pub(super) fn key(&self) -> RowKey {
        let key = self.last.key;
        RowKey {
            pid: key.tgid,
            tid: (key.tid != 0).then_some(key.tid),
            epoll: Some(EpollId {
                address: key.epoll.address,
                born_ns: key.epoll.born_ns,
            }),
        }
    }

    /// Reads its histograms and makes what the model gets, if anything may have changed. `slots` are all metrics in the
    /// order of their slots.
    ///
    /// # Errors
    /// When the kernel refuses to read a histogram.
    pub(super) fn refresh(
        &mut self,
        slots: &[Metric],
        chunks: &mut Chunks,
        shape: &Shape,
        known: &Known,
        woken: impl FnOnce() -> Woken,
    ) -> anyhow::Result<()> {
        if !self.stale {
            return Ok(());
        }
        let metrics = self.metrics(slots, chunks, shape, known)?;
        let mut counters = tally::counters(&self.last.counters);
        // The programs count only those that are in no histogram.
        let wakeups = metrics.iter().find(|(metric, _)| *metric == Metric::Wakeup);
        tally::add_measured(
            &mut counters,
            wakeups.map_or(0, |(_, histogram)| histogram.count()),
        );
        let Woken { wakers, chains } = woken();
        let numbers = Numbers {
            counters: array::from_fn(|index| known.counters[index].then_some(counters[index])),
            wakers,
            chains,
            metrics,
        };
        // Looks share what did not change, though it had to be read.
        if *self.numbers != numbers {
            self.numbers = numbers.into();
        }
        self.stale = false;
        Ok(())
    }

    /// Its histograms, by metric: those of before and what was counted since.
    fn metrics(
        &self,
        slots: &[Metric],
        chunks: &mut Chunks,
        shape: &Shape,
        known: &Known,
    ) -> anyhow::Result<Vec<(Metric, Histogram)>> {
        let mut metrics = Vec::with_capacity(slots.len());
        for (slot, &metric) in slots.iter().enumerate() {
            if !known.metrics[metric as usize] {
                continue;
            }
            let mut old = self.numbers.metrics.iter();
            let old = old.find_map(|(of, histogram)| (*of == metric).then(|| histogram.counts()));
            let read = |chunk| chunks.counts(chunk);
            let counts = tally::carried(old.unwrap_or_default(), &self.parts, slot, read)?;
            let of_slot = self.parts.iter().filter(|part| part.is_of(slot));
            let sum_ns = of_slot.map(|part| part.sum).sum();
            metrics.push((metric, Histogram::new(shape.clone(), counts, sum_ns)));
        }
        metrics.sort_unstable_by_key(|&(metric, _)| metric);
        Ok(metrics)
    }
}
