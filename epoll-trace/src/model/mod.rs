//! What the numbers mean: snapshots and what is derived from them. Knows no kernel, no file system, no clock, no screen.

pub mod chains;
pub mod delta;
pub mod entry;
pub mod files;
pub mod filter;
pub mod finding;
pub mod gone;
pub mod group;
pub mod herds;
pub mod histogram;
pub mod history;
mod instances;
pub mod locks;
pub mod look;
pub mod measures;
pub mod overhead;
pub mod own;
pub mod probes;
pub mod readers;
pub mod reuseport;
pub mod shared;
pub mod snapshot;
pub mod source;
pub mod totals;
pub mod waker;
