//! Known epoll loads that report what they did.
