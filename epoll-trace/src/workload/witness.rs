//! Knows whether a waiter really sleeps in epoll_wait, without privilege.
//! Rests on `/proc/PID/task/TID/status`: the state letter and the count of voluntary switches.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, Result, bail};

use super::arena::Slot;

/// A status file has about 1.5 KiB.
const STATUS_BYTES: usize = 4096;

/// What one look at a waiter shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// It will not wait again.
    Done,
    /// It sleeps in the wait numbered `entered`, having gone to sleep `switches` times in its life.
    Asleep { entered: u64, switches: u64 },
    /// It runs, or blocks elsewhere; with the state letter.
    Busy(char),
}

/// The open status file of one waiter. Reading at offset 0 makes the kernel write it anew.
pub(super) struct Witness {
    status: File,
    syscall: Option<File>,
    tid: i32,
}

impl Witness {
    /// Opens the status file of a thread.
    ///
    /// # Errors
    /// When `/proc` is not mounted, hides the thread, or descriptors ran out.
    pub(super) fn open(pid: i32, tid: i32) -> Result<Self> {
        let path = format!("/proc/{pid}/task/{tid}/status");
        let status = File::open(&path)
            .with_context(|| format!("cannot open {path} to watch a waiter: is /proc mounted?"))?;
        // Not every kernel or policy offers it.
        let syscall = File::open(format!("/proc/{pid}/task/{tid}/syscall")).ok();
        Ok(Self { status, syscall, tid })
    }

    /// Whether the waiter, queued by its looks, is off the CPU too. Between the two a wakeup still counts but ends
    /// no sleep. The kernel writes `running` unless the task is inactive (`wait_task_inactive`); true where it does not tell.
    pub(super) fn off_cpu(&self) -> bool {
        let mut bytes = [0_u8; 7];
        let read = self
            .syscall
            .as_ref()
            .map(|file| file.read_exact_at(&mut bytes, 0));
        !matches!(read, Some(Ok(()))) || &bytes != b"running"
    }

    /// State letter and voluntary switches; `None` once the thread has ended.
    ///
    /// # Errors
    /// When the kernel writes neither.
    pub(super) fn state(&self) -> Result<Option<(char, u64)>> {
        let mut bytes = [0_u8; STATUS_BYTES];
        // An error is ESRCH: the thread has ended.
        let Ok(length) = self.status.read_at(&mut bytes, 0) else {
            return Ok(None);
        };
        parse(bytes.get(..length).unwrap_or_default())
            .with_context(|| format!("the status of waiter {} has no state or switches", self.tid))
            .map(Some)
    }

    /// Looks once. A waiter on an epoll's queue is TASK_INTERRUPTIBLE from before it is queued (ep_poll sets
    /// both under `ep->lock`), and nothing between the announcement of a wait and the queue sleeps
    /// interruptibly (`ep->mtx` is uninterruptible): so `S` after the announcement means queued. The count of
    /// voluntary switches tells that it also left the CPU, and a sleep from the one before it.
    ///
    /// # Errors
    /// When the waiter failed or vanished.
    pub(super) fn look(&self, slot: &Slot) -> Result<Sight> {
        let failure = slot.failure.load(Ordering::Acquire);
        if failure != 0 {
            bail!(
                "waiter {} failed: {}",
                self.tid,
                std::io::Error::from_raw_os_error(failure)
            );
        }
        if slot.done.load(Ordering::Acquire) != 0 {
            return Ok(Sight::Done);
        }
        let entered = slot.entered.load(Ordering::Acquire);
        let at_entry = slot.entry_switches.load(Ordering::Acquire);
        // It ended. It said so before, unless it was killed from outside.
        let (state, switches) = self.state()?.unwrap_or(('X', 0));
        if matches!(state, 'X' | 'Z') {
            if slot.done.load(Ordering::Acquire) != 0 {
                return Ok(Sight::Done);
            }
            bail!(
                "waiter {} was killed from outside: run the scenario again",
                self.tid
            );
        }
        if state == 'S' && entered > 0 && switches > at_entry {
            return Ok(Sight::Asleep { entered, switches });
        }
        Ok(Sight::Busy(state))
    }
}

/// State letter and voluntary switches out of a status file.
fn parse(status: &[u8]) -> Option<(char, u64)> {
    let text = str::from_utf8(status).ok().or_else(|| {
        // A thread's name may be cut within a character; it stands in the first line only.
        let line = status.iter().position(|&byte| byte == b'\n')?;
        str::from_utf8(status.get(line..)?).ok()
    })?;
    let state = text.split_once("State:\t")?.1.chars().next()?;
    let switches = text.split_once("\nvoluntary_ctxt_switches:\t")?.1;
    Some((state, switches.lines().next()?.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn status_gives_state_and_voluntary_switches_only() {
        let text = b"Name:\tw\nState:\tS (sleeping)\nThreads:\t1\nvoluntary_ctxt_switches:\t17\nnonvoluntary_ctxt_switches:\t5\n";
        assert_eq!(parse(text), Some(('S', 17)));
        let cut_name = b"Name:\t\xc3\nState:\tR (running)\nvoluntary_ctxt_switches:\t2\nnonvoluntary_ctxt_switches:\t5\n";
        assert_eq!(parse(cut_name), Some(('R', 2)));
        assert_eq!(
            parse(b"Name:\tw\nState:\tS (sleeping)\nnonvoluntary_ctxt_switches:\t5\n"),
            None
        );
    }
}
