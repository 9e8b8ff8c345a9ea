//! What each signal does, one copy whatever hook delivers it.

mod aggregate;
mod epoll;
mod notification;
mod thread;
mod wait;
mod wakeup;

pub use epoll::{birth, death, scan_end};
pub use notification::{notification_enter, notification_exit};
pub use thread::{process_fork, task_exit};
pub use wait::{wait_enter, wait_return};
pub use wakeup::{on_cpu, wakeup, waking};
