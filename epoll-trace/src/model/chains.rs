//! Chain wakeups: on a level-triggered epoll that several wait on, a thread that returns with an event wakes the next one, which may find the
//! event taken already.

use std::collections::BTreeMap;

use super::delta::Window;
use super::entry::{EntryKey, EpollRef};
use super::filter::Filter;
use super::snapshot::{Counter, EpollId, Row};
use super::waker::{self, Waker, Wakers, ranked};

/// The chain wakeups of an epoll in a window. `None` is "cannot be known here".
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Its name: of several processes the lowest. Without an epoll all closed ones of the process.
    pub key: EntryKey,
    /// Name of that process. Not yet safe for a terminal.
    pub name: String,
    /// Wakeups inside notifications.
    pub by_source: Option<u64>,
    /// Wakeups by threads of its own.
    pub by_chain: u64,
    /// Waits that returned events.
    pub deliveries: Option<u64>,
    /// Wakeups after which there was nothing to deliver.
    pub empty: Option<u64>,
    /// The threads that caused them, the one that caused most first.
    pub causes: Vec<Waker>,
}

impl Chain {
    /// Waiters made runnable for each one that a source woke; `None` where that is not known, or no source woke any.
    pub fn woken_per_event(&self) -> Option<f64> {
        let events = self.by_source.filter(|&events| events > 0)?;
        Some((events + self.by_chain) as f64 / events as f64)
    }
}

/// The epolls with chain wakeups of which a waiter passes `filter`, most first.
pub fn chains(window: &Window, filter: &Filter) -> Vec<Chain> {
    let counted = &window.counted;
    let mut groups: BTreeMap<(Option<EpollId>, Option<u32>), Vec<&Row>> = BTreeMap::new();
    for row in &counted.rows {
        // Closed epolls of one process are one, those of another are others.
        let process = row.key.epoll.is_none().then_some(row.key.pid);
        groups.entry((row.key.epoll, process)).or_default().push(row);
    }
    let mut chains: Vec<Chain> = groups
        .into_iter()
        .filter(|(_, rows)| filter.is_empty() || rows.iter().any(|row| filter.passes(row, counted)))
        .filter_map(|((epoll, _), rows)| chain(window, epoll, &rows))
        .collect();
    chains.sort_by_key(|chain| (std::cmp::Reverse(chain.by_chain), chain.key));
    chains
}

fn chain(window: &Window, epoll: Option<EpollId>, rows: &[&Row]) -> Option<Chain> {
    let sum = |counter: Counter| -> Option<u64> {
        let counts = rows.iter().map(|row| row.numbers.counters[counter as usize]);
        counts.sum()
    };
    let by_chain = sum(Counter::WakeupsChain).filter(|&wakeups| wakeups > 0)?;
    let first = rows.iter().min_by_key(|row| row.key)?;
    let mut causes = Wakers::new();
    for row in rows {
        waker::add(&mut causes, &row.numbers.chains);
    }
    let pid = first.key.pid;
    Some(Chain {
        key: EntryKey {
            pid,
            tid: None,
            epoll: epoll.map(|id| EpollRef {
                id: Some(id),
                epfd: first.epfd,
            }),
        },
        name: window.counted.names.get(&pid).cloned().unwrap_or_default(),
        by_source: sum(Counter::WakeupsSource),
        by_chain,
        deliveries: sum(Counter::DeliveriesSlept)
            .zip(sum(Counter::DeliveriesAtOnce))
            .map(|(slept, at_once)| slept + at_once),
        empty: sum(Counter::EmptyWakeups),
        causes: ranked(&causes, &window.counted.names),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::waker::WakerId;
    use crate::source::Source as _;
    use crate::source::synthetic::Synthetic;

    fn shown(filter: &Filter) -> Vec<Chain> {
        let mut source = Synthetic::demo();
        source.snapshot().unwrap();
        let first = source.snapshot().unwrap();
        let window = Window::between(&first, &source.snapshot().unwrap());
        chains(&window, filter)
    }

    #[test]
    fn all_waiters_of_an_epoll_are_one_chain_with_its_causes() {
        let [chain] = &shown(&Filter::default())[..] else {
            panic!("only one epoll of the demo has several waiters")
        };
        assert_eq!(chain.key.epoll_name().as_deref(), Some("300:5"));
        assert_eq!((chain.by_source, chain.by_chain), (Some(100), 50));
        assert_eq!(chain.woken_per_event(), Some(1.5));
        let causes: Vec<_> = chain
            .causes
            .iter()
            .map(|cause| (cause.id, cause.wakeups))
            .collect();
        let thread = |pid| WakerId::Thread { pid, tid: pid + 1000 };
        assert_eq!(causes, [(thread(300), 25), (thread(301), 25)]);
    }

    #[test]
    fn strangers_do_not_see_it() {
        let of = |pid| Filter {
            pids: vec![pid],
            ..Filter::default()
        };
        assert_eq!(shown(&of(301)).len(), 1);
        assert_eq!(shown(&of(210)), []);
    }
}
