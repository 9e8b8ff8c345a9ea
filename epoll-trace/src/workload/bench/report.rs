//! What the reports of both loads have in common: what was asked for, and what each thread did.

use std::os::fd::RawFd;
use std::time::Duration;

use serde::Serialize;

use super::{LoadArgs, span};

/// What both loads are asked for, and who did it.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// Version of this form: 1.
    pub v: u32,
    /// `bench_wait` or `bench_ctl`.
    pub kind: &'static str,
    /// The process; all threads are its own.
    pub pid: u32,
    /// Seconds asked for, null with `ops`.
    pub runtime_s: Option<u32>,
    /// Operations (calls, of `bench ctl`) asked of each thread, null with `runtime_s`.
    pub ops: Option<u64>,
    /// Threads that waited, or called epoll_ctl.
    pub threads: usize,
    /// Eventfds per thread.
    pub nfds: u32,
    /// Epolls nested below each epoll.
    pub nested: u32,
    /// Whether threads stayed on their CPU.
    pub affinity: bool,
}

impl Asked {
    /// Of `args`, by which `threads` were started.
    pub(super) fn of(kind: &'static str, args: &LoadArgs, threads: usize) -> Self {
        Self {
            v: 1,
            kind,
            pid: std::process::id(),
            runtime_s: args.ops.is_none().then_some(args.runtime),
            ops: args.ops,
            threads,
            nfds: args.nfds,
            nested: args.nested,
            affinity: !args.noaffinity,
        }
    }
}

/// One thread of a report.
#[derive(Clone, Debug, Serialize)]
pub struct Thread<C> {
    /// Thread id.
    pub tid: i32,
    /// The CPU it stayed on, null without affinity.
    pub cpu: Option<usize>,
    /// Operations (calls, of `bench ctl`, failed ones included) per second.
    pub ops_per_s: f64,
    /// What it did.
    #[serde(flatten)]
    pub counts: C,
    /// Its descriptors, `5 ... 68`.
    #[serde(skip)]
    pub(super) fds: String,
}

/// A thread of the report for each of `workers` (thread id and counts), which had these descriptors and places for the `elapsed` time.
pub(super) fn per_thread<C: Copy>(
    workers: &[(i32, C)],
    fds: &[Vec<RawFd>],
    places: &[Option<usize>],
    elapsed: Duration,
    operations: impl Fn(&C) -> u64,
) -> Vec<Thread<C>> {
    let threads = workers.iter().zip(fds).zip(places);
    threads
        .map(|((&(tid, counts), fds), &cpu)| Thread {
            tid,
            cpu,
            ops_per_s: operations(&counts) as f64 / elapsed.as_secs_f64(),
            counts,
            fds: span(fds),
        })
        .collect()
}
