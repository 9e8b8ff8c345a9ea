//! The command `epoll-trace`.

fn main() {}
