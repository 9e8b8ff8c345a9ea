//! What epolls watched before us: one read of each one's fdinfo at the start, joined by what the programs say it was about.

use std::thread;
use std::time::{Duration, Instant};

use aya::maps::{Array, MapData};
use epoll_trace_ebpf as abi;

use super::epolls::Epolls;
use super::instance::Before;
use crate::identity::{self, Watched};

/// Reads at most; what there is beyond is counted as [`FDINFO_CUT`].
const MOST_EPOLLS: usize = 4096;
/// Bytes of one fdinfo at most: some 100,000 items.
const MOST_BYTES: u64 = 8 << 20;
/// All reads together take no longer than about this.
const MOST_TIME: Duration = Duration::from_secs(2);
/// An epoll that changed while it was read is read again, so often in all.
const TRIES: usize = 3;
/// An ADD is in the list a moment before it is counted: a list holds if nothing was counted for so long after it.
const SETTLED: Duration = Duration::from_millis(10);

/// Name of the loss: epolls of the start whose items were not read, for there were too many, or too long ones, or no more time;
/// and processes that there was no time to look through.
pub const FDINFO_CUT: &str = "fdinfo_cut";

/// A list that was read, of an epoll whose changes are counted.
struct Listed {
    id: u32,
    fd: i32,
    shown: abi::Shown,
    watched: Watched,
}

/// Reads what the epolls of `processes` watch, and lets `epolls` count on from there. Gives how many were left out.
/// An epoll that keeps changing stays unknown.
///
/// # Errors
/// When the kernel refuses to read or write a map.
pub(super) fn read(
    epolls: &mut Epolls,
    shown: &mut Array<MapData, abi::Shown>,
    processes: &[u32],
) -> anyhow::Result<u64> {
    let end = Instant::now() + MOST_TIME;
    let mut cut = 0;
    let mut found = Vec::new();
    for &id in processes {
        if Instant::now() >= end {
            cut += 1;
            continue;
        }
        for fd in identity::epolls_of(id, end) {
            if found.len() < MOST_EPOLLS && Instant::now() < end {
                found.push((id, fd));
            } else {
                cut += 1;
            }
        }
    }
    for _ in 0..TRIES {
        let mut listed = Vec::new();
        for (id, fd) in found.drain(..) {
            if Instant::now() >= end {
                cut += 1;
                continue;
            }
            match list(epolls, shown, id, fd)? {
                Read::Listed(list) => listed.push(list),
                Read::TooLong => cut += 1,
                Read::Known | Read::Gone => {}
            }
        }
        if listed.is_empty() {
            break;
        }
        thread::sleep(SETTLED);
        for Listed {
            id,
            fd,
            shown,
            watched,
        } in listed
        {
            let before = Before {
                items: watched.items,
                flags: watched.events & abi::EVENT_FLAGS,
            };
            if !epolls.had(shown, before)? {
                found.push((id, fd));
            }
        }
    }
    Ok(cut)
}

/// What came of a read.
enum Read {
    Listed(Listed),
    /// Another process has the same epoll, and there it was read.
    Known,
    /// Closed meanwhile, or the programs did not see the read.
    Gone,
    TooLong,
}

fn list(
    epolls: &mut Epolls,
    slot: &mut Array<MapData, abi::Shown>,
    id: u32,
    fd: i32,
) -> anyhow::Result<Read> {
    slot.set(0, abi::Shown::default(), 0)?;
    let watched = identity::watched_by(id, fd, MOST_BYTES);
    let shown = slot.get(&0, 0)?;
    if shown.id.born_ns == 0 {
        return Ok(Read::Gone);
    }
    epolls.found(shown.id, identity::process_of(id).unwrap_or(id), fd);
    Ok(match watched {
        _ if epolls.knows_items_of(&shown.id) => Read::Known,
        Some(watched) => Read::Listed(Listed {
            id,
            fd,
            shown,
            watched,
        }),
        None => Read::TooLong,
    })
}
