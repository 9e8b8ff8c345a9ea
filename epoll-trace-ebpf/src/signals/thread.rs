//! Who is followed: threads that wait on epolls, the filter, the process tree.

use aya_ebpf::bindings::BPF_NOEXIST;
use epoll_trace_ebpf::{Loss, TID_FILTER_SLOTS};

use super::{
    aggregate::{add32, lose},
    ctl::Request,
};
use crate::{
    globals::{BY_CGROUP, FILTER_BY_TID, FILTERED, FOLLOW_FORK, OFF_TASK_PID, OFF_TASK_TGID, OWN_TGID},
    kernel,
    maps::{CGROUP, NO_ROW, THREADS, TID_FILTER, TRACED, Thread, UNSEEN},
};

#[inline(always)]
fn is_own(tgid: u32) -> bool {
    u64::from(tgid) == OWN_TGID.load()
}

/// Whether the agent or a fork put the thread among the traced.
#[inline(always)]
fn is_listed(tgid: u32, tid: u32) -> bool {
    let id = if FILTER_BY_TID.load() != 0 { tid } else { tgid };
    TRACED.get_ptr(id).is_some()
}

#[inline(always)]
fn current_is_wanted(tgid: u32, tid: u32) -> bool {
    !is_own(tgid)
        && (FILTERED.load() == 0 || is_listed(tgid, tid))
        && (BY_CGROUP.load() == 0 || CGROUP.current_task_under_cgroup(0) == Ok(true))
}

#[inline(always)]
fn filter_slot(tid: u32) -> *mut u32 {
    // SAFETY: the index is below the array's length.
    unsafe {
        (&raw mut TID_FILTER)
            .cast::<u32>()
            .add(tid as usize & (TID_FILTER_SLOTS - 1))
    }
}

/// False if no thread with id `tid` was ever seen waiting on an epoll: then there is nothing to look up.
#[inline(always)]
pub fn may_be_known(tid: u32) -> bool {
    // SAFETY: an element of TID_FILTER; a stale value costs a look-up or the edge of a window.
    unsafe { filter_slot(tid).read_volatile() != 0 }
}

#[inline(always)]
fn create(task: u64, tgid: u32, tid: u32, wanted: bool) -> Option<*mut Thread> {
    let thread = Thread {
        tgid,
        tid,
        task,
        epoll: 0,
        epoch: 0,
        notified_ns: 0,
        runnable_ns: 0,
        on_cpu_ns: 0,
        entered_ns: 0,
        returned_ns: 0,
        scan_ns: 0,
        queued_ns: 0,
        row: NO_ROW,
        wakeups: 0,
        scans_before: 0,
        scans_after: 0,
        epfd: UNSEEN,
        maxevents: 0,
        ctl: Request::NONE,
        waiting: 0,
        zero_timeout: 0,
        traced: u8::from(wanted),
        inferred: 0,
        pad: 0,
    };
    if THREADS.insert(task, thread, u64::from(BPF_NOEXIST)).is_ok() {
        // SAFETY: an element of TID_FILTER.
        unsafe { add32(filter_slot(tid), 1) };
    }
    let found = THREADS.get_ptr_mut(task);
    if found.is_none() {
        lose(Loss::ThreadsFull);
    }
    found
}

#[inline(always)]
fn if_traced(thread: *mut Thread) -> Option<*mut Thread> {
    // SAFETY: a value of THREADS.
    (unsafe { (*thread).traced } != 0).then_some(thread)
}

/// The thread at `task`, if it is known and traced.
#[inline(always)]
pub fn known(task: u64) -> Option<*mut Thread> {
    if_traced(THREADS.get_ptr_mut(task)?)
}

/// The thread at `task`, if it is traced; `identify` is asked for its address where it is not known yet.
#[inline(always)]
pub fn known_or_sleeping(task: u64, identify: impl FnOnce() -> Option<u64>) -> Option<*mut Thread> {
    match THREADS.get_ptr_mut(task) {
        Some(thread) => if_traced(thread),
        None => sleeping(identify()?),
    }
}

/// The current thread, made known if it was not; `None` if it is not to be traced.
#[inline(always)]
pub fn current() -> Option<*mut Thread> {
    let task = kernel::current_task();
    let (tgid, tid) = kernel::current_ids();
    if let Some(thread) = THREADS.get_ptr_mut(task) {
        // SAFETY: a value of THREADS. An exec by another thread than the leader changes the ids of a task.
        if unsafe { (*thread).tid } == tid {
            return if_traced(thread);
        }
        forget(task);
    }
    if_traced(create(task, tgid, tid, current_is_wanted(tgid, tid))?)
}

/// The thread at `task`, which went to sleep before we looked, made known; `None` if it is not to be traced.
#[inline(always)]
fn sleeping(task: u64) -> Option<*mut Thread> {
    let (Some(tid), Some(tgid)) = (
        kernel::probed(task, &OFF_TASK_PID),
        kernel::probed(task, &OFF_TASK_TGID),
    ) else {
        lose(Loss::WaitersUnidentified);
        return None;
    };
    let by_cgroup = BY_CGROUP.load() != 0;
    let wanted = !is_own(tgid) && ((FILTERED.load() == 0 && !by_cgroup) || is_listed(tgid, tid));
    if by_cgroup && !wanted {
        // Only of the current thread is the cgroup known: its next wait tells.
        return None;
    }
    let thread = if_traced(create(task, tgid, tid, wanted)?)?;
    // SAFETY: a value of THREADS.
    unsafe { (*thread).waiting = 1 };
    Some(thread)
}

#[inline(always)]
fn forget(task: u64) {
    let Some(thread) = THREADS.get_ptr(task) else {
        return;
    };
    // SAFETY: a value of THREADS.
    let tid = unsafe { (*thread).tid };
    if THREADS.remove(task).is_ok() {
        // SAFETY: an element of TID_FILTER.
        unsafe { add32(filter_slot(tid), u32::MAX) };
    }
}

/// A thread ends. `last` says that its process ends with it.
#[inline(always)]
pub fn task_exit(task: u64, tgid: u32, last: bool) {
    forget(task);
    if FOLLOW_FORK.load() != 0 && last {
        // A process that was not in the tree has nothing to remove.
        let _ = TRACED.remove(tgid);
    }
}

/// Process `parent` made process `child`. True if the child is traced because of that.
#[inline(always)]
pub fn process_fork(parent: u32, child: u32) -> bool {
    if parent == child || FOLLOW_FORK.load() == 0 || TRACED.get_ptr(parent).is_none() {
        return false;
    }
    let inserted = TRACED.insert(child, 1, 0).is_ok();
    if !inserted {
        lose(Loss::TreeFull);
    }
    inserted
}
