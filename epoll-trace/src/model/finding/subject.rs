//! Whom a finding is about.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::entry::{Entry, EntryKey};
use super::super::herds::Herd;
use super::super::locks::LockEntry;
use super::super::reuseport::Group;
use super::super::snapshot::LockKind;
use super::super::source::Named;

/// Processes that are kept of a file's watchers.
pub const PIDS: usize = 256;

/// Whom a finding is about.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// The process, and the epoll; of a file the first that watches it.
    pub key: EntryKey,
    /// Name of its process. Not yet safe for a terminal.
    pub name: String,
    /// What of it.
    pub what: What,
}

/// What a finding is about.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// The process, with all its epolls.
    Process,
    /// The epoll.
    Epoll,
    /// One of its locks.
    Lock {
        /// Which.
        kind: LockKind,
        /// Descriptor of the file whose wait queue it is of.
        fd: Option<i32>,
    },
    /// A file that it and others watch.
    Source {
        /// What it is; else why that is not known.
        named: Result<Arc<Named>, Arc<str>>,
        /// Its descriptor there.
        fd: Option<i32>,
        /// Epolls that watch it.
        workers: u64,
        /// Processes that wait on these, each once; of many the first [`PIDS`].
        pids: Vec<u32>,
    },
}

impl Subject {
    /// The processes it is about.
    pub fn pids(&self) -> &[u32] {
        match &self.what {
            What::Source { pids, .. } if !pids.is_empty() => pids,
            _ => std::slice::from_ref(&self.key.pid),
        }
    }
}

impl From<&Herd> for Subject {
    fn from(herd: &Herd) -> Self {
        // A worker of which no process is known names nothing.
        let first = herd.workers.iter().find(|worker| worker.key.pid != 0);
        let first = first.or(herd.workers.first());
        let pids: BTreeSet<u32> = herd.workers.iter().map(|worker| worker.key.pid).collect();
        Self {
            key: first.map(|worker| worker.key).unwrap_or_default(),
            name: first.map(|worker| worker.name.clone()).unwrap_or_default(),
            what: What::Source {
                named: herd.named.clone(),
                fd: first.map(|worker| worker.fd),
                workers: herd.workers.len() as u64,
                pids: pids.into_iter().take(PIDS).collect(),
            },
        }
    }
}

impl From<&Group> for Subject {
    /// The listener with the longest queue stands for all.
    fn from(group: &Group) -> Self {
        let herd = group.fullest().and_then(|socket| socket.herd.as_ref());
        herd.map_or_else(
            || Self {
                key: EntryKey::default(),
                name: String::new(),
                what: What::Source {
                    named: Err("nobody was seen to watch it".into()),
                    fd: None,
                    workers: 0,
                    pids: Vec::new(),
                },
            },
            Self::from,
        )
    }
}

impl From<&Entry> for Subject {
    fn from(entry: &Entry) -> Self {
        Self {
            key: entry.key,
            name: entry.name.clone(),
            what: if entry.key.epoll.is_some() {
                What::Epoll
            } else {
                What::Process
            },
        }
    }
}

impl From<&LockEntry> for Subject {
    fn from(lock: &LockEntry) -> Self {
        let (kind, fd) = (lock.kind, lock.fd);
        Self {
            key: lock.epoll,
            name: lock.name.clone(),
            what: What::Lock { kind, fd },
        }
    }
}
