//! What each signal does, one copy whatever hook delivers it.

mod accept;
mod aggregate;
mod alone;
mod ctl;
mod delivery;
mod epoll;
mod follow;
mod item;
mod lock;
mod notification;
mod places;
mod reader;
mod scan;
mod source;
mod thread;
mod wait;
mod waker;
mod wakeup;

pub use accept::accept_return;
pub use alone::wakeup_alone;
pub use ctl::{Request, ctl, ctl_enter, ctl_return, uring_wait};
pub use epoll::{birth, death};
pub use item::{file_released, shown};
pub use lock::{lock_begin, lock_end};
pub use notification::{notification_enter, notification_exit};
pub use reader::shown_end;
pub use scan::{scan, scan_end, scan_start, whole_scan};
pub use thread::{process_fork, task_exit};
pub use wait::{Call, wait_enter, wait_return};
pub use wakeup::{on_cpu, wakeup, waking};
