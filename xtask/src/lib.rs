//! What the host and PID 1 of the test VM say to each other.
//!
//! Everything else of the crate belongs to the command `xtask`.

pub mod guest;
