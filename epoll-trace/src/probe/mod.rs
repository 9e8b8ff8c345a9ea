//! Which probes are used and why: a table, a pure function over it, and the verdicts.
//!
//! Nothing here but the loaders touches the kernel.

pub mod catalog;
pub mod floor;
pub mod load;
mod loader;
pub mod numbers;
pub mod options;
pub mod plan;
pub mod status;
mod types;
