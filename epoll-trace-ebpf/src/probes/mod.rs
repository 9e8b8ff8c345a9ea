//! Shims: each takes its mechanism's arguments and calls the signal's body. Program names are `<signal>_<mechanism>`.

mod fentry;
mod kprobe;
mod slowpath;
mod tracepoint;
