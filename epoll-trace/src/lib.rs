//! epoll-trace: which event loop wakes late, wakes for nothing, or gets everything.
//!
//! Data goes one way: kernel → source → snapshot → model → fields → view.

pub mod cli;
pub mod commands;
pub mod config;
pub mod fields;
pub mod identity;
pub mod kernel;
pub mod model;
pub mod probe;
pub mod source;
pub mod view;
pub mod workload;
