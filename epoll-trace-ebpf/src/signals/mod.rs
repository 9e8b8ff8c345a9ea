//! What each signal does, one copy whatever hook delivers it.

mod aggregate;
mod ctl;
mod epoll;
mod notification;
mod scan;
mod thread;
mod wait;
mod wakeup;

pub use ctl::{Request, ctl, ctl_enter, ctl_return, uring_wait};
pub use epoll::{birth, death};
pub use notification::{notification_enter, notification_exit};
pub use scan::{scan, scan_end, scan_start, whole_scan};
pub use thread::{process_fork, task_exit};
pub use wait::{wait_enter, wait_return};
pub use wakeup::{on_cpu, wakeup, waking};
