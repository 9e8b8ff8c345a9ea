//! One file per command: from a source through the model to a view. No arithmetic, no formatting.

pub mod attach;
pub mod bench;
pub mod child;
pub mod config;
pub mod demo;
pub mod diagnose;
pub mod epolls;
pub mod floor;
pub mod herd;
pub mod hist;
pub mod locks;
pub mod metrics;
pub mod output;
pub mod overhead;
pub mod probes;
pub mod progress;
pub mod session;
pub mod switch;
pub mod top;
