//! Loaded into a server (LD_PRELOAD): takes EPOLLEXCLUSIVE off what it adds to its epolls, and changes nothing else. So a server that
//! asks for one waiter per event runs as one that does not, with the same code and configuration.
#![no_std]

use core::ffi::{c_int, c_long};

/// `struct epoll_event` on x86-64.
#[repr(C, packed)]
#[derive(Clone, Copy)]
pub struct Event {
    events: u32,
    data: u64,
}

const EPOLLEXCLUSIVE: u32 = 1 << 28;
/// Number of the system call epoll_ctl on x86-64.
const EPOLL_CTL: c_long = 233;

unsafe extern "C" {
    /// libc's, which sets errno.
    fn syscall(number: c_long, ...) -> c_long;
}

/// In place of libc's.
///
/// # Safety
/// `event` is null or points to an event, as for libc's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn epoll_ctl(epfd: c_int, op: c_int, fd: c_int, event: *const Event) -> c_int {
    let stripped;
    let passed = if event.is_null() {
        event
    } else {
        // SAFETY: the caller's word, as above.
        let given = unsafe { *event };
        stripped = Event {
            events: given.events & !EPOLLEXCLUSIVE,
            ..given
        };
        &raw const stripped
    };
    // SAFETY: the call and its arguments are those of the caller, whose event was copied to our stack.
    unsafe { syscall(EPOLL_CTL, c_long::from(epfd), c_long::from(op), c_long::from(fd), passed) as c_int }
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // Nothing above panics.
    loop {}
}
