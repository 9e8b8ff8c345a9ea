//! Which files a delivery returns, and what becomes of each: how long it waited for that, how long its thread is away with it, and
//! whether another thread gets it meanwhile.
//!
//! No hook tells: the kernel writes the events into the program's memory, so they are read back from there as soon as the wait
//! returns. Only where that is asked for: it costs two look-ups in each wait, and one more for each event.

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::generated::bpf_probe_read_user};
use epoll_trace_ebpf::{
    EVENTS_READ, EpollId, FileKey, FileRow, FileSums, ItemKey, Loss, NEW_STREAM, OCTAVES, Round, SUB_BUCKETS,
    UNSEEN_FILE, bucket,
};

use super::{
    aggregate::{add, add32, lose, since},
    ctl::Request,
};
use crate::{
    globals::{COUNT_FILES, OFF_ITEM_EVENTS, OFF_ITEM_FD, OFF_ITEM_FILE},
    kernel,
    maps::{FILE_SUMS, FILE_SUMS_ZERO, FILE_ZERO, FILES, ITEMS, ROUND_ZERO, ROUNDS},
};

/// Bytes of a `struct epoll_event`, packed on x86-64 (include/uapi/linux/eventpoll.h): mask, and the user's word in two halves.
const EVENT_BYTES: u32 = 12;
const EVENT_WORDS: usize = 3;

/// Whether any of this is wanted.
#[inline(always)]
pub fn wanted() -> bool {
    COUNT_FILES.load() != 0
}

/// The current thread enters a wait: what it did since its last delivery is over. A function of its own, as all that programs call here:
/// all functions that call each other share 512 bytes of stack.
#[inline(never)]
pub fn enters() -> u32 {
    let Some(round) = ROUNDS.get_ptr_mut(kernel::current_task()) else {
        return 0;
    };
    // SAFETY: a value of ROUNDS, written by its own thread; of FILES and FILE_SUMS.
    unsafe {
        let returned_ns = (*round).returned_ns;
        (*round).returned_ns = 0;
        if returned_ns == 0 {
            return 0;
        }
        let took = since(kernel::now(), returned_ns);
        if (*round).files > 1 {
            if let Some(sums) = FILE_SUMS.get_ptr_mut((*round).file.epoll) {
                add(&raw mut (*sums).shared_ns, took);
            }
        } else if let Some(row) = FILES.get_ptr_mut((*round).file) {
            add(&raw mut (*row).alone, 1);
            add(&raw mut (*row).alone_ns, took);
        }
    }
    0
}

/// The current thread's wait on the epoll at `address` returns `count` events, which the kernel wrote to `events` of its memory.
#[inline(never)]
pub fn returned(address: u64, born_ns: u64, events: u64, count: u32) -> u32 {
    let epoll = EpollId { address, born_ns };
    let (task, now) = (kernel::current_task(), kernel::now());
    let (Some(round), Some(sums)) = (round(task), sums(&epoll)) else {
        lose(Loss::FilesFull);
        return 0;
    };
    // SAFETY: values of ROUNDS, written by its own thread, and of FILE_SUMS.
    unsafe {
        (*round).turn += 1;
        (*round).files = count;
        (*round).file.epoll = epoll;
        // Whoever gets one of these files from here on gets it beside this thread.
        (*round).returned_ns = now;
        let read = read(round, events, count);
        if read == 0 {
            // Whose the time until the next wait is nobody knows.
            (*round).files = u32::MAX;
        }
        unread(sums, count.wrapping_sub(read));
        let mut nth = 0;
        while nth < EVENTS_READ {
            if nth as u32 >= read {
                break;
            }
            let words = (&raw const (*round).events).cast::<u32>().add(nth * EVENT_WORDS);
            let halves = [words.add(1).read_volatile(), words.add(2).read_volatile()];
            (*round).file.data = u64::from(halves[1]) << 32 | u64::from(halves[0]);
            delivered(&*round, task, sums, now);
            nth += 1;
        }
    }
    0
}

/// Copies the first of `count` events to `round`; how many, 0 where that failed.
///
/// # Safety
/// `round` must be a value of ROUNDS.
#[inline(always)]
unsafe fn read(round: *mut Round, events: u64, count: u32) -> u32 {
    let count = count.min(EVENTS_READ as u32);
    // What the compiler knows the verifier does not.
    let bytes = core::hint::black_box(count * EVENT_BYTES) & 0xff;
    if bytes > EVENTS_READ as u32 * EVENT_BYTES {
        return 0;
    }
    // SAFETY: `events` has room for EVENTS_READ events; the helper checks the address of what it reads.
    let refused = unsafe {
        let room = (&raw mut (*round).events).cast();
        bpf_probe_read_user(room, bytes, events as *const _)
    };
    if refused == 0 { count } else { 0 }
}

/// # Safety
/// `sums` must be a value of FILE_SUMS.
#[inline(always)]
unsafe fn unread(sums: *mut FileSums, count: u32) {
    if count > 0 {
        // SAFETY: the caller's promise.
        unsafe { add(&raw mut (*sums).unread, u64::from(count)) };
        lose(Loss::EventsUnread);
    }
}

/// The file that `round` is at is delivered to the thread at `task`. A function of its own: the loop around it stays short.
#[inline(never)]
fn delivered(round: &Round, task: u64, sums: *mut FileSums, now: u64) -> u32 {
    let Some(row) = row(&round.file) else { return 0 };
    // SAFETY: values of FILES and FILE_SUMS. Two threads that get the file in the same 100 ns may both miss each other.
    unsafe {
        add(&raw mut (*row).deliveries, 1);
        add(&raw mut (*sums).deliveries, 1);
        let (last, turn) = ((*row).last_task, (*row).last_turn);
        (*row).last_turn = round.turn;
        (*row).last_task = task;
        (*row).last_ns = now;
        if last != 0
            && last != task
            && let Some(other) = ROUNDS.get_ptr(last)
            && (*other).turn == turn
            && (*other).returned_ns != 0
        {
            add(&raw mut (*row).overlaps, 1);
        }
        let ready_ns = (*row).ready_ns;
        if ready_ns != 0 {
            (*row).ready_ns = 0;
            let octave = octave(since(now, ready_ns));
            if octave < OCTAVES {
                add32((&raw mut (*row).waited).cast::<u32>().add(octave), 1);
                add32((&raw mut (*sums).waited).cast::<u32>().add(octave), 1);
            }
        }
    }
    0
}

/// The power of two that `ns` belongs to, of which the verifier knows that it is small.
#[inline(always)]
fn octave(ns: u64) -> usize {
    let octave = core::hint::black_box(bucket(ns)) / SUB_BUCKETS as usize;
    octave & (OCTAVES.next_power_of_two() - 1)
}

/// `item` of `epoll` is notified of something that it asks for with `events`.
#[inline(always)]
pub fn notified(epoll: EpollId, item: u64, events: u32, now: u64) {
    if !wanted() {
        return;
    }
    ready(epoll.address, epoll.born_ns, item, events, now);
}

/// As [`notified`]. A function of its own: the programs of notifications are long.
#[inline(never)]
fn ready(address: u64, born_ns: u64, item: u64, events: u32, now: u64) -> u32 {
    // The word stands behind the mask, without padding.
    let Some(data) = kernel::probed::<u64>(item.wrapping_add(size_of::<u32>() as u64), &OFF_ITEM_EVENTS)
    else {
        return 0;
    };
    let key = FileKey {
        epoll: EpollId { address, born_ns },
        data,
    };
    let Some(row) = row(&key) else { return 0 };
    // SAFETY: a value of FILES.
    unsafe {
        let is_another = (*row).item != item;
        if is_another {
            if (*row).item != 0 {
                // EPOLL_CTL_ADD of a new one would have cleared it.
                (*row).ambiguous = 1;
            }
            (*row).item = item;
        }
        if (is_another || may_change((*row).kind))
            && let (Some(file), Some(fd)) = (
                kernel::probed::<u64>(item, &OFF_ITEM_FILE),
                kernel::probed::<i32>(item, &OFF_ITEM_FD),
            )
        {
            look_at(row, file, fd);
        }
        (*row).events = events;
        (*row).last_ns = now;
        if (*row).ready_ns == 0 {
            (*row).ready_ns = now;
        }
    }
    0
}

/// Whether what kind of file it is may be another answer the next time.
#[inline(always)]
fn may_change(kind: u32) -> bool {
    kind == UNSEEN_FILE || kind == NEW_STREAM
}

/// # Safety
/// `row` must be a value of FILES.
#[inline(always)]
unsafe fn look_at(row: *mut FileRow, file: u64, fd: i32) {
    // SAFETY: the caller's promise.
    unsafe {
        (*row).file = file;
        (*row).fd = fd;
        (*row).kind = kernel::kind_of_file(file);
    }
}

/// The current process put what `request` names into the epoll at `address`, or changed it there.
#[inline(never)]
pub fn added(address: u64, born_ns: u64, request: &Request, is_new: bool) -> u32 {
    let Some(file) = kernel::file_of_fd(request.fd) else {
        return 0;
    };
    let key = FileKey {
        epoll: EpollId { address, born_ns },
        data: request.data,
    };
    let Some(row) = row(&key) else { return 0 };
    // SAFETY: a value of FILES.
    unsafe {
        let before = (*row).file;
        if before != 0 && before != file && kernel::file_of_fd((*row).fd) == Some(before) {
            // The other file of this word is still there.
            (*row).ambiguous = 1;
        }
        if is_new || before != file {
            (*row).item = 0;
            (*row).last_task = 0;
            (*row).ready_ns = 0;
        }
        (*row).events = request.events;
        (*row).last_ns = kernel::now();
        look_at(row, file, request.fd);
    }
    0
}

/// The current process took what `request` names out of the epoll at `address`; what was asked of it before is not forgotten yet.
#[inline(never)]
pub fn removed(address: u64, born_ns: u64, request: &Request) -> u32 {
    let item = ItemKey {
        epoll: address,
        fd: request.fd,
        pad: 0,
    };
    let Some(event) = ITEMS.get_ptr(item) else {
        return 0;
    };
    let key = FileKey {
        epoll: EpollId { address, born_ns },
        // SAFETY: a value of ITEMS.
        data: unsafe { (*event).data },
    };
    if let Some(row) = FILES.get_ptr_mut(key) {
        // SAFETY: a value of FILES.
        unsafe {
            if (*row).fd == request.fd {
                (*row).file = 0;
                (*row).item = 0;
            }
        }
    }
    0
}

/// The thread at `task` ends, and its task_struct will be another one's.
#[inline(always)]
pub fn exited(task: u64) {
    if wanted() {
        // One that got nothing has nothing to remove.
        let _ = ROUNDS.remove(task);
    }
}

#[inline(always)]
fn row(key: &FileKey) -> Option<*mut FileRow> {
    if let Some(row) = FILES.get_ptr_mut(key) {
        return Some(row);
    }
    // SAFETY: a value of FILE_ZERO, which nobody writes. By reference: the stack has no room for a copy. Likewise below.
    let zero = unsafe { &*FILE_ZERO.get_ptr(0)? };
    // Another thread may be first: the look-up tells.
    let _ = FILES.insert(key, zero, u64::from(BPF_NOEXIST));
    FILES.get_ptr_mut(key)
}

#[inline(always)]
fn sums(epoll: &EpollId) -> Option<*mut FileSums> {
    if let Some(sums) = FILE_SUMS.get_ptr_mut(epoll) {
        return Some(sums);
    }
    // SAFETY: as above.
    let zero = unsafe { &*FILE_SUMS_ZERO.get_ptr(0)? };
    let _ = FILE_SUMS.insert(epoll, zero, u64::from(BPF_NOEXIST));
    FILE_SUMS.get_ptr_mut(epoll)
}

#[inline(always)]
fn round(task: u64) -> Option<*mut Round> {
    if let Some(round) = ROUNDS.get_ptr_mut(task) {
        return Some(round);
    }
    // SAFETY: as above.
    let zero = unsafe { &*ROUND_ZERO.get_ptr(0)? };
    let _ = ROUNDS.insert(task, zero, u64::from(BPF_NOEXIST));
    ROUNDS.get_ptr_mut(task)
}
