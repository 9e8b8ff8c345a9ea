//! Who makes waiters runnable, and how often.

use std::collections::BTreeMap;

/// In what context a waiter was made runnable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WakerId {
    /// By a thread: in a system call, as a thread of the kernel, or for io_uring.
    Thread {
        /// Its process.
        pid: u32,
        /// Its id.
        tid: u32,
    },
    /// In a softirq, whoever ran before.
    Softirq,
    /// In an interrupt, whoever ran before.
    Interrupt,
    /// By a timerfd that expired.
    Timer,
}

impl WakerId {
    /// The name of the context, in JSON and text.
    pub const fn context(self) -> &'static str {
        match self {
            Self::Thread { .. } => "process",
            Self::Softirq => "softirq",
            Self::Interrupt => "interrupt",
            Self::Timer => "timer",
        }
    }
}

/// What they are called among numbers, where they may be absent.
pub const WAKERS: &str = "wakers";

/// What threads are called among numbers that wake the next one of their epoll at the end of a scan, where they may be absent.
pub const CHAINS: &str = "chains";

/// Wakeups by waker.
pub type Wakers = BTreeMap<WakerId, u64>;

/// One waker with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waker {
    /// Who.
    pub id: WakerId,
    /// Name of the thread, empty for none. Not yet safe for a terminal.
    pub name: String,
    /// Waiters it made runnable.
    pub wakeups: u64,
}

/// Adds `more` to `sum`.
pub fn add(sum: &mut Wakers, more: &Wakers) {
    for (&id, wakeups) in more {
        *sum.entry(id).or_default() += wakeups;
    }
}

/// Takes `earlier` off `later`; a waker of which nothing is left goes.
pub(super) fn take_off(later: &mut Wakers, earlier: &Wakers) {
    later.retain(|id, wakeups| {
        *wakeups = wakeups.saturating_sub(earlier.get(id).copied().unwrap_or(0));
        *wakeups > 0
    });
}

/// With their names, most wakeups first.
pub fn ranked(wakers: &Wakers, names: &BTreeMap<u32, String>) -> Vec<Waker> {
    let name = |id| match id {
        WakerId::Thread { tid, .. } => names.get(&tid).cloned().unwrap_or_default(),
        _ => String::new(),
    };
    let mut ranked: Vec<Waker> = wakers
        .iter()
        .map(|(&id, &wakeups)| Waker {
            id,
            name: name(id),
            wakeups,
        })
        .collect();
    ranked.sort_by(|left, right| {
        right
            .wakeups
            .cmp(&left.wakeups)
            .then_with(|| left.id.cmp(&right.id))
    });
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREAD: WakerId = WakerId::Thread { pid: 7, tid: 8 };

    #[test]
    fn a_window_holds_what_was_added_and_names_come_with_threads() {
        let earlier = Wakers::from([(THREAD, 2), (WakerId::Softirq, 5)]);
        let mut later = earlier.clone();
        add(&mut later, &Wakers::from([(THREAD, 1), (WakerId::Timer, 4)]));
        take_off(&mut later, &earlier);
        assert_eq!(later, Wakers::from([(THREAD, 1), (WakerId::Timer, 4)]));
        let names = BTreeMap::from([(8, "writer".to_owned())]);
        let ranked = ranked(&later, &names);
        let found: Vec<_> = ranked
            .iter()
            .map(|waker| (waker.id, waker.name.as_str()))
            .collect();
        assert_eq!(found, [(WakerId::Timer, ""), (THREAD, "writer")]);
    }
}
