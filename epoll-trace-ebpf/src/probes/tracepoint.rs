//! BTF tracepoints: typed arguments, no address of an epoll.

use core::ffi::c_void;

use aya_ebpf::{
    EbpfContext as _, Global, helpers::bpf_probe_read_user, macros::btf_tracepoint,
    programs::BtfTracePointContext,
};

use aya_log_ebpf::debug;

use crate::{
    globals::{
        COUNT_ACCEPTS, EPOLL_BY_FD, OFF_REGS_DI, OFF_REGS_DX, OFF_REGS_ORIG_AX, OFF_REGS_R10, OFF_REGS_SI,
        OFF_SIGNAL_LIVE, OFF_TASK_PID, OFF_TASK_SIGNAL, OFF_TASK_STATE, OFF_TASK_TGID,
    },
    kernel::{current_task, typed},
    signals,
};

/// System call numbers of x86-64 (arch/x86/entry/syscalls/syscall_64.tbl).
mod nr {
    pub const ACCEPT: i64 = 43;
    pub const EPOLL_CREATE: i64 = 213;
    pub const EPOLL_WAIT: i64 = 232;
    pub const EPOLL_CTL: i64 = 233;
    pub const EPOLL_PWAIT: i64 = 281;
    pub const ACCEPT4: i64 = 288;
    pub const EPOLL_CREATE1: i64 = 291;
    pub const EPOLL_PWAIT2: i64 = 441;
}

const TASK_INTERRUPTIBLE: u32 = 1;

/// `sys_enter(regs, id)`.
#[btf_tracepoint(function = "sys_enter")]
fn enter_tp(ctx: BtfTracePointContext) -> i32 {
    match ctx.arg(1) {
        nr::EPOLL_WAIT | nr::EPOLL_PWAIT | nr::EPOLL_PWAIT2 | nr::EPOLL_CTL => enter_epoll(ctx.as_ptr()),
        _ => 0,
    }
}

/// What every system call of the machine passes through stays short: saving registers is most of what it costs those that are not
/// epoll's, so all that needs some is a function of its own. Likewise [`return_watched`].
#[inline(never)]
fn enter_epoll(ctx: *mut c_void) -> i32 {
    let ctx = BtfTracePointContext::new(ctx);
    let id: i64 = ctx.arg(1);
    if id == nr::EPOLL_CTL {
        enter_ctl(&ctx);
        return 0;
    }
    signals::wait_enter(
        register(ctx.arg(0), &OFF_REGS_DI) as i32,
        is_zero_timeout(ctx.arg(0), id),
    );
    0
}

/// A register of a system call's caller, as it still is at its end: a system call changes `ax` alone.
#[inline(always)]
fn register(regs: *const u8, offset: &Global<u64>) -> u64 {
    // SAFETY: a typed `struct pt_regs *`.
    unsafe { typed(regs, offset) }
}

/// Whether the wait that is system call `id` with these registers does not block.
#[inline(always)]
fn is_zero_timeout(regs: *const u8, id: i64) -> bool {
    let timeout = register(regs, &OFF_REGS_R10);
    if id != nr::EPOLL_PWAIT2 {
        return timeout as i32 == 0;
    }
    // Where kernel memory may not be read, aya turns this read into one that is refused too.
    // SAFETY: the helper checks the address; a bad one makes the call itself fail.
    EPOLL_BY_FD.load() == 0
        && timeout != 0
        && unsafe { bpf_probe_read_user(timeout as *const [i64; 2]) } == Ok([0, 0])
}

#[inline(always)]
fn enter_ctl(ctx: &BtfTracePointContext) {
    let [epfd, op, fd, event] =
        [&OFF_REGS_DI, &OFF_REGS_SI, &OFF_REGS_DX, &OFF_REGS_R10].map(|offset| register(ctx.arg(0), offset));
    let event = if EPOLL_BY_FD.load() != 0 {
        None
    } else {
        // SAFETY: the helper checks the address; a bad one makes the call itself fail.
        unsafe { bpf_probe_read_user(event as *const [u32; 3]) }.ok()
    };
    signals::ctl_enter(&signals::Request::new(
        epfd as i32,
        op as i32,
        fd as i32,
        event.unwrap_or([0; 3]),
    ));
}

/// `sys_exit(regs, ret)`: the end of waits and accepts, and the birth of epolls where `do_epoll_create` cannot be probed.
#[btf_tracepoint(function = "sys_exit")]
fn return_tp(ctx: BtfTracePointContext) -> i32 {
    match system_call(&ctx) {
        nr::EPOLL_WAIT
        | nr::EPOLL_PWAIT
        | nr::EPOLL_PWAIT2
        | nr::ACCEPT
        | nr::ACCEPT4
        | nr::EPOLL_CREATE
        | nr::EPOLL_CREATE1 => return_watched(ctx.as_ptr()),
        nr::EPOLL_CTL => return_ctl(ctx.as_ptr()),
        _ => 0,
    }
}

/// Number of the system call that returns.
#[inline(always)]
fn system_call(ctx: &BtfTracePointContext) -> i64 {
    register(ctx.arg(0), &OFF_REGS_ORIG_AX) as i64
}

/// Apart from the others: an item that comes is followed by functions of functions, and all of them share 512 bytes of stack.
#[inline(never)]
fn return_ctl(ctx: *mut c_void) -> i32 {
    signals::ctl_return(BtfTracePointContext::new(ctx).arg::<i64>(1) as i32);
    0
}

#[inline(never)]
fn return_watched(ctx: *mut c_void) -> i32 {
    let ctx = BtfTracePointContext::new(ctx);
    let (id, ret) = (system_call(&ctx), ctx.arg::<i64>(1));
    match id {
        nr::EPOLL_WAIT | nr::EPOLL_PWAIT | nr::EPOLL_PWAIT2 => {
            let call = || signals::Call {
                epfd: register(ctx.arg(0), &OFF_REGS_DI) as i32,
                maxevents: register(ctx.arg(0), &OFF_REGS_DX) as i32,
            };
            let events = || register(ctx.arg(0), &OFF_REGS_SI);
            signals::wait_return(|| ret as i32, call, || is_zero_timeout(ctx.arg(0), id), events);
        }
        nr::ACCEPT | nr::ACCEPT4 if COUNT_ACCEPTS.load() != 0 => {
            signals::accept_return(register(ctx.arg(0), &OFF_REGS_DI) as i32, ret as i32);
        }
        nr::EPOLL_CREATE | nr::EPOLL_CREATE1 if signals::birth(ret as i32) => {
            debug!(&ctx, "epoll created as descriptor {}", ret);
        }
        _ => {}
    }
    0
}

/// `sched_waking(p)`: `p` still has the state it sleeps in.
#[btf_tracepoint(function = "sched_waking")]
fn wakeup_tp(ctx: BtfTracePointContext) -> i32 {
    let task: *const u8 = ctx.arg(0);
    // SAFETY: a typed `struct task_struct *`.
    let (tid, state): (u32, u32) = unsafe { (typed(task, &OFF_TASK_PID), typed(task, &OFF_TASK_STATE)) };
    if state & TASK_INTERRUPTIBLE != 0 {
        signals::waking(tid, || Some(task as u64));
    }
    0
}

/// `sched_switch(preempt, prev, next, …)`.
#[btf_tracepoint(function = "sched_switch")]
fn oncpu_tp(ctx: BtfTracePointContext) -> i32 {
    let next: *const u8 = ctx.arg(2);
    // SAFETY: a typed `struct task_struct *`.
    let tid = unsafe { typed(next, &OFF_TASK_PID) };
    signals::on_cpu(tid, || Some(next as u64));
    0
}

/// `contention_begin(lock, flags)`.
#[btf_tracepoint(function = "contention_begin")]
fn lock_tp(ctx: BtfTracePointContext) -> i32 {
    signals::lock_begin(ctx.as_ptr(), ctx.arg(0));
    0
}

/// `contention_end(lock, ret)`.
#[btf_tracepoint(function = "contention_end")]
fn unlock_tp(ctx: BtfTracePointContext) -> i32 {
    signals::lock_end(ctx.arg(0));
    0
}

/// `sched_process_fork(parent, child)`.
#[btf_tracepoint(function = "sched_process_fork")]
fn fork_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: typed `struct task_struct *`.
    let (parent, child) = unsafe {
        (
            typed(ctx.arg(0), &OFF_TASK_TGID),
            typed(ctx.arg(1), &OFF_TASK_TGID),
        )
    };
    if signals::process_fork(parent, child) {
        debug!(&ctx, "process {} forked {}, traced too", parent, child);
    }
    0
}

/// `sched_process_exit(p, …)`: `signal->live` was lowered before (kernel/exit.c).
#[btf_tracepoint(function = "sched_process_exit")]
fn exit_tp(ctx: BtfTracePointContext) -> i32 {
    let task: *const u8 = ctx.arg(0);
    // SAFETY: a typed `struct task_struct *`, and the typed pointer in it.
    let (tgid, live): (u32, i32) = unsafe {
        let signal: *const u8 = typed(task, &OFF_TASK_SIGNAL);
        (typed(task, &OFF_TASK_TGID), typed(signal, &OFF_SIGNAL_LIVE))
    };
    signals::task_exit(current_task(), tgid, live == 0);
    0
}
