//! What the words mean that findings use and not everybody knows.

/// Words and their meaning. A word is found in a text as it stands here.
pub const WORDS: &[(&str, &str)] = &[
    ("BPF", "small programs that the kernel runs for its users"),
    ("EAGAIN", "the error of a read or accept that finds nothing"),
    ("EBADF", "the error of a call on a descriptor that is not open"),
    (
        "EINVAL",
        "the error of a call with arguments that do not go together",
    ),
    (
        "EPOLLET",
        "edge-triggered: an event is told once, when the file becomes ready",
    ),
    (
        "EPOLLEXCLUSIVE",
        "a flag of EPOLL_CTL_ADD: an event of a file that several epolls watch wakes one of them, not all",
    ),
    (
        "EPOLLONESHOT",
        "a flag: after one event the file stays silent until EPOLL_CTL_MOD arms it again",
    ),
    ("EPOLLOUT", "the event that a file can be written to"),
    ("EPOLLRDHUP", "the event that the other end will send no more"),
    (
        "EPOLL_CTL_ADD",
        "the call of epoll_ctl that begins to watch a file",
    ),
    ("EPOLL_CTL_DEL", "the call of epoll_ctl that ends watching a file"),
    (
        "EPOLL_CTL_MOD",
        "the call of epoll_ctl that changes what is asked of a watched file",
    ),
    (
        "Gini",
        "a number for how unequal parts are: 0 where all are the same, near 1 where one has everything",
    ),
    (
        "SO_RCVLOWAT",
        "an option of a socket: with fewer unread bytes than that it is not ready",
    ),
    (
        "SO_REUSEPORT",
        "an option that lets each worker have a listener of its own on the same port; the kernel chooses one by the addresses",
    ),
    (
        "accept queue",
        "the finished connections of a listener that nobody has accepted yet",
    ),
    (
        "chain wakeup",
        "a wakeup by a waiter that has just scanned, because files were left ready",
    ),
    (
        "edge-triggered",
        "an event is told once, when the file becomes ready; what is not read then stays",
    ),
    (
        "ep->lock",
        "the spin lock of an epoll's ready list; each notification takes it",
    ),
    (
        "ep->mtx",
        "the mutex of an epoll; scans, epoll_ctl and readers of fdinfo take it",
    ),
    ("epoll_ctl", "the system call that changes what an epoll watches"),
    (
        "eventfd",
        "a file that holds a number, used to wake another thread",
    ),
    (
        "fdinfo",
        "the file /proc/PID/fdinfo/FD, which lists what an epoll watches",
    ),
    (
        "io_uring",
        "another interface for events and I/O, with far fewer system calls",
    ),
    (
        "level-triggered",
        "an event is told again and again as long as the file is ready; the way without EPOLLET",
    ),
    ("listener", "a socket that connections arrive at"),
    (
        "maxevents",
        "the argument of epoll_wait that says how many events may be returned at once",
    ),
    (
        "notification",
        "the kernel tells an epoll that a watched file may have become ready",
    ),
    (
        "overflow list",
        "where notifications put files while the ready list is being scanned",
    ),
    ("p99", "the value that 1 % of all values exceed"),
    (
        "TCP",
        "the protocol of most connections; its listeners are listed in /proc/PID/net/tcp",
    ),
    ("ready list", "the files of an epoll that may have events"),
    ("run queue", "the threads that could run and wait for a CPU"),
    (
        "scan",
        "a walk over the ready list, which asks each file for its events",
    ),
    (
        "steal",
        "time in which a virtual machine wanted to run and did not get the CPU",
    ),
    ("timerfd", "a file that becomes ready when a timer expires"),
    (
        "utilization",
        "the part of its time that a thread spends between waits",
    ),
    ("waiter", "a thread in epoll_wait"),
];

/// The words that stand in one of `texts` with their meaning, and those that stand in a meaning.
pub fn used_in(texts: &[&str]) -> Vec<(&'static str, &'static str)> {
    let mut used: Vec<bool> = WORDS
        .iter()
        .map(|(word, _)| texts.iter().any(|text| text.contains(word)))
        .collect();
    loop {
        let explained: Vec<&str> = WORDS
            .iter()
            .zip(&used)
            .filter_map(|((_, meaning), used)| used.then_some(*meaning))
            .collect();
        let all: Vec<bool> = WORDS
            .iter()
            .zip(&used)
            .map(|((word, _), used)| *used || explained.iter().any(|meaning| meaning.contains(word)))
            .collect();
        if all == used {
            break;
        }
        used = all;
    }
    let words = WORDS.iter().zip(used);
    words.filter_map(|(word, used)| used.then_some(*word)).collect()
}

/// Words of `text` that nobody outside the trade reads at once: names with an underscore or in capitals, and `ep->…`, that have no
/// meaning here.
#[cfg(test)]
pub(super) fn unexplained(text: &str) -> Vec<String> {
    let trade = |word: &&str| {
        let capitals = word.chars().filter(char::is_ascii_uppercase).count();
        word.contains("->") || word.contains('_') || (capitals > 2 && !word.starts_with("PID"))
    };
    let known = |word: &str| ["CPU", "CPUs", "epoll_wait"].contains(&word);
    text.split(|c: char| !(c.is_alphanumeric() || "_->".contains(c)))
        .filter(trade)
        .filter(|word| !known(word) && !WORDS.iter().any(|(own, _)| word.contains(own)))
        .map(str::to_owned)
        .collect()
}
