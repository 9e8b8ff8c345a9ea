//! Which rows a view is about.

use regex::Regex;

use super::snapshot::{Row, RowKey, Snapshot};

/// Conditions that a row must all meet; an empty one lets everything pass.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Processes.
    pub pids: Vec<u32>,
    /// Threads; needs per-thread rows.
    pub tids: Vec<u32>,
    /// Name of the process or of the thread.
    pub comm: Option<Regex>,
    /// Descriptor number of the epoll.
    pub epfd: Option<i32>,
}

impl Filter {
    /// Whether nothing is filtered.
    pub fn is_empty(&self) -> bool {
        self.pids.is_empty() && self.tids.is_empty() && self.comm.is_none() && self.epfd.is_none()
    }

    /// Whether a row of `snapshot` passes.
    pub fn passes(&self, row: &Row, snapshot: &Snapshot) -> bool {
        self.admits(row.key, row.epfd, snapshot)
    }

    /// Whether `key`, whose epoll has the number `epfd`, passes.
    pub fn admits(&self, key: RowKey, epfd: Option<i32>, snapshot: &Snapshot) -> bool {
        (self.pids.is_empty() || self.pids.contains(&key.pid))
            && (self.tids.is_empty() || key.tid.is_some_and(|tid| self.tids.contains(&tid)))
            && self.epfd.is_none_or(|wanted| epfd == Some(wanted))
            && self.comm.as_ref().is_none_or(|comm| {
                [Some(key.pid), key.tid]
                    .into_iter()
                    .flatten()
                    .filter_map(|id| snapshot.names.get(&id))
                    .any(|name| comm.is_match(name))
            })
    }
}
