//! Where threads of a load may run, and keeping one there.

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

/// CPUs that this process may use.
///
/// # Errors
/// When the kernel does not tell.
pub(super) fn allowed() -> Result<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(0)).context("cannot read the CPU affinity")?;
    Ok((0..CpuSet::count())
        .filter(|&cpu| set.is_set(cpu).unwrap_or(false))
        .collect())
}

/// Keeps the calling thread on `cpu`.
///
/// # Errors
/// EINVAL for a CPU that does not exist, is not allowed, or whose number is too high for a CPU set.
pub(super) fn pin(cpu: usize) -> Result<(), Errno> {
    let mut one = CpuSet::new();
    one.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &one)
}

/// Has the scheduler take the calling thread for a batch job: what it wakes does not preempt it (`check_preempt_wakeup` in
/// kernel/sched/fair.c), so that a waiter sleeps before its event comes.
///
/// # Errors
/// The errno of sched_setscheduler.
pub(super) fn batch() -> Result<(), Errno> {
    // SAFETY: all zero is valid, and the priority that this policy wants.
    let none: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: `none` is valid for the time of the call.
    Errno::result(unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const none) }).map(drop)
}
