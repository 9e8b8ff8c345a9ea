//! The only file that follows kernel pointers.

use aya_ebpf::{
    Global,
    helpers::{
        bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_probe_read_kernel,
        generated::{
            bpf_get_current_task, bpf_get_current_task_btf, bpf_get_smp_processor_id, bpf_ktime_get_ns,
        },
    },
};
use epoll_trace_ebpf::{COMM_LEN, EpollId, NEW_STREAM, OTHER_FILE, STREAM};

use crate::globals::{
    EPOLL_BY_FD, EVENTPOLL_FOPS, FILE_EP_IS_LIST, OFF_ENTRY_PREV, OFF_EP_WQ_HEAD, OFF_FDT_FD, OFF_FILE_EP,
    OFF_FILE_FOP, OFF_FILE_INODE, OFF_FILE_PRIVATE, OFF_FILES_FDT, OFF_INODE_INO, OFF_ITEM_EP, OFF_ITEM_FILE,
    OFF_ITEM_FLLINK, OFF_QUEUE_HEAD, OFF_SOCK_BACKLOG, OFF_SOCK_STATE, OFF_SOCKET_FILE, OFF_SOCKET_SK,
    OFF_SOCKET_TYPE, OFF_TASK_COMM, OFF_TASK_FILES, OFF_TASK_LEADER, OFF_TASK_STATE, OFF_WAIT_BASE,
    OFF_WAIT_WHEAD, PER_CPU_OFFSETS, PREEMPT_COUNT, TASK_IS_TYPED, TIMERFD_FOPS, UNTYPED_LOADS,
};

/// The load of a field through a pointer whose type the verifier knows: it faults harmlessly to 0.
///
/// # Safety
/// `base` must be an argument of a BTF-typed program, unchanged, or a pointer loaded from such.
#[inline(always)]
pub unsafe fn typed<T: Copy>(base: *const u8, offset: &Global<u64>) -> T {
    // SAFETY: the verifier checks the type behind `base` and that the offset is a field of it.
    unsafe { base.add(offset.load() as usize).cast::<T>().read_volatile() }
}

/// The load of a field at any kernel address; `None` where the kernel refuses.
#[inline(always)]
pub fn probed<T>(base: u64, offset: &Global<u64>) -> Option<T> {
    probed_at(base.wrapping_add(offset.load()))
}

/// As [`probed`], at the address itself.
#[inline(always)]
pub fn probed_at<T>(address: u64) -> Option<T> {
    // SAFETY: the helper copies with page faults off and fails on a bad address.
    unsafe { bpf_probe_read_kernel(address as *const T) }.ok()
}

/// CLOCK_MONOTONIC, ns.
#[inline(always)]
pub fn now() -> u64 {
    // SAFETY: no arguments, no failure.
    unsafe { bpf_ktime_get_ns() }
}

/// Address of the current `task_struct`.
#[inline(always)]
pub fn current_task() -> u64 {
    // SAFETY: no arguments, no failure.
    unsafe { bpf_get_current_task() }
}

/// (tgid, tid) of the current task, in the initial pid namespace.
#[inline(always)]
pub fn current_ids() -> (u32, u32) {
    let both = bpf_get_current_pid_tgid();
    ((both >> 32) as u32, both as u32)
}

/// TASK_INTERRUPTIBLE and TASK_UNINTERRUPTIBLE.
const TASK_NORMAL: u32 = 3;

/// Whether `task` can be woken. True where that cannot be read.
#[inline(always)]
pub fn is_asleep(task: u64) -> bool {
    EPOLL_BY_FD.load() != 0 || is_asleep_by_address(task)
}

/// As [`is_asleep`], where addresses are known.
#[inline(always)]
pub fn is_asleep_by_address(task: u64) -> bool {
    probed::<u32>(task, &OFF_TASK_STATE).is_none_or(|state| state & TASK_NORMAL != 0)
}

/// As [`is_asleep_by_address`], of the task behind `pointer`, which is a field that says nothing of its type.
///
/// # Safety
/// `pointer` must be such a field of a typed structure, as it was loaded.
#[inline(always)]
pub unsafe fn is_asleep_behind(pointer: *const u8) -> bool {
    if UNTYPED_LOADS.load() == 0 {
        return is_asleep_by_address(pointer as u64);
    }
    // SAFETY: the load faults harmlessly to 0.
    unsafe { typed::<u32>(pointer, &OFF_TASK_STATE) & TASK_NORMAL != 0 }
}

/// Name of `task`, or of its process.
#[inline(always)]
pub fn comm(task: u64, of_process: bool) -> [u8; COMM_LEN] {
    if EPOLL_BY_FD.load() != 0 {
        return bpf_get_current_comm().unwrap_or_default();
    }
    let task = if of_process {
        probed(task, &OFF_TASK_LEADER).unwrap_or(task)
    } else {
        task
    };
    probed(task, &OFF_TASK_COMM).unwrap_or_default()
}

/// Address of the eventpoll behind descriptor `epfd` of the current process; `None` if it is not an epoll.
#[inline(always)]
pub fn epoll_of_fd(epfd: i32) -> Option<u64> {
    if EPOLL_BY_FD.load() != 0 {
        return (epfd >= 0).then(|| EpollId::address_by_fd(current_ids().0, epfd));
    }
    epoll_of_file(file_of_fd(epfd)?)
}

/// Address of the file behind descriptor `fd` of the current process: `current->files->fdt->fd[fd]`, as `epoll_wait` itself
/// finds it.
#[inline(always)]
pub fn file_of_fd(fd: i32) -> Option<u64> {
    if fd < 0 {
        return None;
    }
    let descriptors = if TASK_IS_TYPED.load() != 0 {
        // SAFETY: typed pointers, each loaded from the one before.
        let descriptors: *const u64 = unsafe {
            let task: *const u8 = bpf_get_current_task_btf().cast();
            let files = typed(task, &OFF_TASK_FILES);
            let table = typed(files, &OFF_FILES_FDT);
            typed(table, &OFF_FDT_FD)
        };
        if UNTYPED_LOADS.load() != 0 {
            // SAFETY: the load faults harmlessly to 0; of a number that is no descriptor the call itself makes an error.
            return Some(unsafe { descriptors.add(fd as usize).read_volatile() });
        }
        descriptors as u64
    } else {
        let files: u64 = probed(current_task(), &OFF_TASK_FILES)?;
        let table: u64 = probed(files, &OFF_FILES_FDT)?;
        probed(table, &OFF_FDT_FD)?
    };
    probed_at(descriptors.wrapping_add(fd as u64 * 8))
}

/// Address of the eventpoll behind the file at `file`; `None` if it is not an epoll.
///
/// `f_op` tells an epoll from anything else, where the address of epoll's is known; elsewhere a wait on something else ends
/// with an error anyway.
#[inline(always)]
pub fn epoll_of_file(file: u64) -> Option<u64> {
    let operations = EVENTPOLL_FOPS.load();
    if operations != 0 && probed(file, &OFF_FILE_FOP) != Some(operations) {
        return None;
    }
    probed(file, &OFF_FILE_PRIVATE)
}

/// Addresses of the item and the eventpoll that watch through wait-queue entry `wait` (the `wait` of a `struct eppoll_entry`).
#[inline(always)]
pub fn item_and_epoll_of_watch(wait: u64) -> Option<(u64, u64)> {
    let item: u64 = probed_at(wait.wrapping_sub(OFF_WAIT_BASE.load()))?;
    Some((item, probed(item, &OFF_ITEM_EP)?))
}

/// Whether anybody sleeps on the eventpoll at `address`. Read without its lock, as `waitqueue_active` does.
#[inline(always)]
pub fn has_sleeper(address: u64) -> bool {
    let head = address.wrapping_add(OFF_EP_WQ_HEAD.load());
    // `list_head.next` comes first.
    probed_at::<u64>(head).is_some_and(|first| first != head)
}

/// Whether what watches through wait-queue entry `wait` (see [`item_and_epoll_of_watch`]) stands first in the file's wait queue.
#[inline(always)]
pub fn is_first_in_queue(wait: u64) -> bool {
    let Some(queue) = probed::<u64>(wait, &OFF_WAIT_WHEAD) else {
        return false;
    };
    probed(wait, &OFF_ENTRY_PREV) == Some(queue.wrapping_add(OFF_QUEUE_HEAD.load()))
}

/// The items that watch a file, one after the other: `file->f_ep`, whose nodes are the items' `fllink`.
pub struct Watchers {
    /// Where the walk ends besides at 0.
    head: u64,
    next: u64,
}

impl Watchers {
    /// Those of `file`.
    #[inline(always)]
    pub fn of(file: u64) -> Self {
        if FILE_EP_IS_LIST.load() != 0 {
            let head = file.wrapping_add(OFF_FILE_EP.load());
            let next = probed_at(head).unwrap_or(0);
            return Self { head, next };
        }
        let list = probed(file, &OFF_FILE_EP).unwrap_or(0);
        let next = if list == 0 {
            0
        } else {
            probed_at(list).unwrap_or(0)
        };
        Self { head: 0, next }
    }

    /// Whether there is another one.
    #[inline(always)]
    pub fn has_next(&self) -> bool {
        self.next != 0 && self.next != self.head
    }

    /// Addresses of the next item and its eventpoll; [`Watchers::has_next`] comes first.
    #[inline(always)]
    pub fn next_item(&mut self) -> Option<(u64, u64)> {
        let item = self.next.wrapping_sub(OFF_ITEM_FLLINK.load());
        // `next` comes first in both kinds of nodes.
        self.next = probed_at(self.next).unwrap_or(0);
        Some((item, probed(item, &OFF_ITEM_EP)?))
    }
}

/// Whether what watches through wait-queue entry `wait` (see [`item_and_epoll_of_watch`]) watches a timerfd.
#[inline(always)]
pub fn is_timer(wait: u64) -> bool {
    let operations = TIMERFD_FOPS.load();
    // Where addresses are hidden the helper that reads is refused, and a program that holds it with it.
    EPOLL_BY_FD.load() == 0
        && operations != 0
        && probed_at::<u64>(wait.wrapping_sub(OFF_WAIT_BASE.load()))
            .and_then(|item| probed::<u64>(item, &OFF_ITEM_FILE))
            .and_then(|file| probed::<u64>(file, &OFF_FILE_FOP))
            == Some(operations)
}

/// The inode number of the file at `file`; 0 where it cannot be read.
#[inline(always)]
pub fn inode_of(file: u64) -> u64 {
    let inode: Option<u64> = probed(file, &OFF_FILE_INODE);
    inode.and_then(|inode| probed(inode, &OFF_INODE_INO)).unwrap_or(0)
}

/// TCP_LISTEN (include/net/tcp_states.h), which listening sockets of other kinds have too.
const LISTEN: u8 = 10;

/// Of a listening socket how many connections may wait to be accepted; `None` of any other file. That a file is a socket is told by the
/// pointer back from what would be its `struct socket` (`sock_alloc_file`, net/socket.c).
#[inline(always)]
pub fn backlog_of_listener(file: u64) -> Option<u32> {
    let socket: u64 = probed(file, &OFF_FILE_PRIVATE)?;
    if socket == 0 || probed::<u64>(socket, &OFF_SOCKET_FILE)? != file {
        return None;
    }
    let sock: u64 = probed(socket, &OFF_SOCKET_SK)?;
    if probed::<u8>(sock, &OFF_SOCK_STATE)? != LISTEN {
        return None;
    }
    probed(sock, &OFF_SOCK_BACKLOG)
}

/// SOCK_STREAM (include/linux/net.h).
const STREAM_TYPE: u16 = 1;
/// TCP_SYN_SENT, TCP_SYN_RECV, TCP_CLOSE and TCP_NEW_SYN_RECV (include/net/tcp_states.h): not connected yet. Sockets that are no TCP
/// use TCP_ESTABLISHED and TCP_CLOSE.
const NOT_CONNECTED: [u8; 4] = [2, 3, 7, 12];

/// What the file at `file` is to who reads it: one of `STREAM`, `NEW_STREAM` and `OTHER_FILE`.
#[inline(always)]
pub fn kind_of_file(file: u64) -> u32 {
    let Some(socket) = probed::<u64>(file, &OFF_FILE_PRIVATE) else {
        return OTHER_FILE;
    };
    // As in `backlog_of_listener`.
    if socket == 0
        || probed::<u64>(socket, &OFF_SOCKET_FILE) != Some(file)
        || probed::<u16>(socket, &OFF_SOCKET_TYPE) != Some(STREAM_TYPE)
    {
        return OTHER_FILE;
    }
    let state = probed::<u64>(socket, &OFF_SOCKET_SK).and_then(|sock| probed::<u8>(sock, &OFF_SOCK_STATE));
    match state {
        None | Some(LISTEN) => OTHER_FILE,
        Some(state) if NOT_CONNECTED.contains(&state) => NEW_STREAM,
        Some(_) => STREAM,
    }
}

/// Address of this CPU's `preempt_count()`; `None` where the kernel does not tell.
#[inline(always)]
pub fn preempt_count_address() -> Option<u64> {
    let offsets = PER_CPU_OFFSETS.load();
    if offsets == 0 {
        return None;
    }
    // SAFETY: no arguments, no failure.
    let cpu = u64::from(unsafe { bpf_get_smp_processor_id() });
    let offset: u64 = probed_at(offsets.wrapping_add(cpu * 8))?;
    Some(PREEMPT_COUNT.load().wrapping_add(offset))
}
