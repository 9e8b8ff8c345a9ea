//! What the host and PID 1 of the test VM say to each other, and what PID 1 does besides running jobs.
//!
//! Everything else of the crate belongs to the command `xtask`.

pub mod client;
pub mod guest;
pub mod measure;
pub mod screen;
