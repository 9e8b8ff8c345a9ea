//! Builds, runs, installs and tests epoll-trace.

fn main() {}
