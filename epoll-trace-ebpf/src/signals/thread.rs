//! Who is followed: threads that wait on epolls, the filter, the process tree.

use epoll_trace_ebpf::{Loss, TID_FILTER_SLOTS};

use super::{
    aggregate::{add32, lose},
    ctl::Request,
    delivery, places,
};
use crate::{
    globals::{
        BY_CGROUP, EPOLL_BY_FD, FILTER_BY_TID, FILTERED, FOLLOW_FORK, OFF_TASK_PID, OFF_TASK_TGID, OWN_TGID,
    },
    kernel,
    maps::{CGROUP, NO_ROW, NOT_DELIVERED, PHASES, Part, THREADS, TID_FILTER, TRACED, Thread, UNSEEN},
};

/// Whether process `tgid` is the agent.
#[inline(always)]
pub fn is_own(tgid: u32) -> bool {
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
fn may_be_known(tid: u32) -> bool {
    // SAFETY: an element of TID_FILTER; a stale value costs a look-up or the edge of a window.
    unsafe { filter_slot(tid).read_volatile() != 0 }
}

/// The thread at `task`, if it is known.
#[inline(always)]
pub fn find(task: u64) -> Option<*mut Thread> {
    let home = places::home(task);
    let thread = THREADS.get_ptr_mut(home)?;
    // SAFETY: a value of THREADS.
    if unsafe { (*thread).task } == task {
        return Some(thread);
    }
    if places::is_crowded(home) {
        return THREADS.get_ptr_mut(places::strayed_to(task));
    }
    None
}

#[inline(always)]
fn create(task: u64, tgid: u32, tid: u32, wanted: bool) -> Option<*mut Thread> {
    THREADS.get_ptr_mut(create_at(task, tgid, tid, wanted))
}

/// The place of a new thread, [`places::NONE`] if there is none. A function of its own: it is needed rarely, and long.
#[inline(never)]
fn create_at(task: u64, tgid: u32, tid: u32, wanted: bool) -> u32 {
    let place = places::take(task);
    let Some(thread) = THREADS.get_ptr_mut(place) else {
        lose(Loss::ThreadsFull);
        return places::NONE;
    };
    // SAFETY: a value of THREADS whose place is this thread's alone; whoever sees its address in it sees all the rest.
    unsafe {
        if (*thread).task == task {
            return place;
        }
        *thread = Thread {
            tgid,
            tid,
            task: 0,
            epoll: 0,
            head: 0,
            epoch: 0,
            notified_ns: 0,
            runnable_ns: 0,
            on_cpu_ns: 0,
            entered_ns: 0,
            returned_ns: 0,
            scan_ns: 0,
            queued_ns: 0,
            file: 0,
            file_epoll: 0,
            file_epoch: 0,
            parts: [Part::NONE; PHASES],
            row: NO_ROW,
            wakeups: 0,
            scans_before: 0,
            scans_after: 0,
            epfd: UNSEEN,
            scanned: 0,
            named: UNSEEN,
            pad: 0,
            listed: 0,
            ctl: Request::NONE,
            waiting: 0,
            zero_timeout: 0,
            traced: u8::from(wanted),
            inferred: 0,
            delivered: NOT_DELIVERED,
            pad2: [0; 3],
        };
        (&raw mut (*thread).task).write_volatile(task);
        add32(filter_slot(tid), 1);
    }
    place
}

#[inline(always)]
fn if_traced(thread: *mut Thread) -> Option<*mut Thread> {
    // SAFETY: a value of THREADS.
    (unsafe { (*thread).traced } != 0).then_some(thread)
}

/// The thread at `task`, if it is known and traced.
#[inline(always)]
pub fn known(task: u64) -> Option<*mut Thread> {
    if_traced(find(task)?)
}

/// Thread `tid`, if it is known and traced; `task` gives its address, asked only if any thread with such an id is known.
#[inline(always)]
pub fn known_as(tid: u32, task: impl FnOnce() -> Option<u64>) -> Option<*mut Thread> {
    if may_be_known(tid) { known(task()?) } else { None }
}

/// The thread at `task`, if it is known.
#[inline(always)]
pub fn known_traced_or_not(task: u64) -> Option<*mut Thread> {
    find(task)
}

/// The thread at `task`, which sleeps, if it is traced; made known if it was not and its fields can be read.
#[inline(always)]
pub fn known_or_sleeping(task: u64) -> Option<*mut Thread> {
    match find(task) {
        Some(thread) => if_traced(thread),
        None if EPOLL_BY_FD.load() != 0 => None,
        None => if_traced(THREADS.get_ptr_mut(sleeping(task))?),
    }
}

/// The current thread, made known if it was not; `None` if it is not to be traced.
#[inline(always)]
pub fn current() -> Option<*mut Thread> {
    if_traced(current_traced_or_not()?)
}

/// The current thread, made known if it was not.
#[inline(always)]
pub fn current_traced_or_not() -> Option<*mut Thread> {
    let task = kernel::current_task();
    let (tgid, tid) = kernel::current_ids();
    if let Some(thread) = find(task) {
        // SAFETY: a value of THREADS. An exec by another thread than the leader changes the ids of a task.
        if unsafe { (*thread).tid } == tid {
            return Some(thread);
        }
        forget(task);
    }
    create(task, tgid, tid, current_is_wanted(tgid, tid))
}

/// As [`known_or_sleeping`], with its place.
#[inline(always)]
pub fn place_of_sleeping(task: u64) -> Option<(u32, *mut Thread)> {
    let mut place = places::home(task);
    let is_at = |place| {
        let thread = THREADS.get_ptr(place);
        // SAFETY: a value of THREADS.
        thread.is_some_and(|thread| unsafe { (*thread).task } == task)
    };
    if !is_at(place) {
        place = places::strayed_to(task);
        if !is_at(place) {
            place = sleeping(task);
        }
    }
    Some((place, if_traced(THREADS.get_ptr_mut(place)?)?))
}

/// The place of the thread at `task`, which went to sleep before we looked, made known; [`places::NONE`] if that is not to be. A
/// function of its own: it is needed once for each thread, and long.
#[inline(never)]
fn sleeping(task: u64) -> u32 {
    let (Some(tid), Some(tgid)) = (
        kernel::probed(task, &OFF_TASK_PID),
        kernel::probed(task, &OFF_TASK_TGID),
    ) else {
        lose(Loss::WaitersUnidentified);
        return places::NONE;
    };
    let by_cgroup = BY_CGROUP.load() != 0;
    let wanted = !is_own(tgid) && ((FILTERED.load() == 0 && !by_cgroup) || is_listed(tgid, tid));
    if by_cgroup && !wanted {
        // Only of the current thread is the cgroup known: its next wait tells.
        return places::NONE;
    }
    let place = create_at(task, tgid, tid, wanted);
    if let Some(thread) = THREADS.get_ptr_mut(place) {
        // SAFETY: a value of THREADS.
        unsafe { (*thread).waiting = 1 };
    }
    place
}

#[inline(always)]
fn forget(task: u64) {
    let Some(thread) = find(task) else {
        return;
    };
    // SAFETY: a value of THREADS, and an element of TID_FILTER.
    unsafe {
        (&raw mut (*thread).task).write_volatile(0);
        add32(filter_slot((*thread).tid), u32::MAX);
    }
    places::give_back(task);
}

/// A thread ends. `last` says that its process ends with it.
#[inline(always)]
pub fn task_exit(task: u64, tgid: u32, last: bool) {
    forget(task);
    delivery::exited(task);
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
