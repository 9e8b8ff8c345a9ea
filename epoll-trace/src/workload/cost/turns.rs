//! What the threads do: system calls, a counter, and nothing else. No clock, no memory, no lock, no timeout.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use nix::errno::Errno;

use crate::workload::waiter::{read8, write8};

/// The futex is the leader's.
const LEADER: u32 = 0;
/// The futex is the follower's.
const FOLLOWER: u32 = 1;

/// Futexes taken in turn. The kernel keeps waiters in a table by address; a thread of any other process may wait in the same place of it, and a wake
/// then goes past that one each time. Of so many addresses at most a few meet with it.
#[derive(Default)]
pub(super) struct Futexes([AtomicU32; 32]);

impl Futexes {
    /// The one of a turn, which count from 0.
    fn of(&self, turn: u64) -> &AtomicU32 {
        &self.0[turn as usize % self.0.len()]
    }
}

/// Turns of the leader in all, so that who watches sees a run that hangs. Written by the leader only.
#[derive(Default)]
pub(super) struct Progress(AtomicU64);

impl Progress {
    fn step(&self) {
        // One writer: no locked instruction in the loop.
        self.0
            .store(self.0.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// Turns so far.
    pub(super) fn turns(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one thread did, as the kernel told it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Waits that returned an event, or were handed the futex.
    pub(super) delivered: u64,
    /// Events it took, not another.
    pub(super) taken: u64,
}

impl Tally {
    /// Both together.
    pub(super) fn plus(self, more: Self) -> Self {
        Self {
            delivered: self.delivered + more.delivered,
            taken: self.taken + more.taken,
        }
    }
}

/// Waits without a limit for one event, and gives its data.
fn wait(epfd: RawFd) -> Result<u64, Errno> {
    let mut event = libc::epoll_event { events: 0, u64: 0 };
    // SAFETY: `event` is room for the one event asked for.
    match unsafe { libc::epoll_wait(epfd, &raw mut event, 1, -1) } {
        1 => Ok(event.u64),
        _ => Err(Errno::last()),
    }
}

/// The descriptor in the data of an event.
fn descriptor(data: u64) -> Result<RawFd, Errno> {
    RawFd::try_from(data).map_err(|_| Errno::EBADF)
}

/// Writes to `target`, waits on `epfd` and reads what is ready. With the own eventfd as `target` no wait sleeps.
///
/// # Errors
/// The errno of a system call.
pub(super) fn lead_epoll(
    epfd: RawFd,
    target: RawFd,
    turns: u64,
    progress: &Progress,
) -> Result<Tally, Errno> {
    let mut tally = Tally::default();
    for _ in 0..turns {
        write8(target)?;
        let data = loop {
            match wait(epfd) {
                // Stopped and continued.
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        };
        tally.delivered += 1;
        read8(descriptor(data)?)?;
        tally.taken += 1;
        progress.step();
    }
    Ok(tally)
}

/// Writes to one of `targets` after the other, and sleeps in a read of `acknowledged` after each.
///
/// # Errors
/// The errno of a system call.
pub(super) fn lead_writes(
    targets: &[RawFd],
    acknowledged: RawFd,
    turns: u64,
    progress: &Progress,
) -> Result<Tally, Errno> {
    let mut left = turns;
    for &target in targets.iter().cycle() {
        if left == 0 {
            break;
        }
        left -= 1;
        write8(target)?;
        while let Err(error) = read8(acknowledged) {
            if error != Errno::EINTR {
                return Err(error);
            }
        }
        progress.step();
    }
    Ok(Tally::default())
}

/// Waits on `epfd`, reads what is ready and answers by a write to `answer` if nobody was faster. A signal ends it once `over`.
///
/// # Errors
/// The errno of a system call.
pub(super) fn follow_epoll(epfd: RawFd, answer: RawFd, over: &AtomicBool) -> Result<Tally, Errno> {
    let mut tally = Tally::default();
    loop {
        let fd = match wait(epfd) {
            Ok(data) => descriptor(data)?,
            Err(Errno::EINTR) if over.load(Ordering::Acquire) => return Ok(tally),
            Err(Errno::EINTR) => continue,
            Err(error) => return Err(error),
        };
        tally.delivered += 1;
        match read8(fd) {
            Ok(()) => {
                tally.taken += 1;
                write8(answer)?;
            }
            Err(Errno::EAGAIN) => {}
            Err(error) => return Err(error),
        }
    }
}

/// FUTEX_WAIT for `word` to be something else than `value`. EAGAIN, which says that it is, is no error.
fn futex_wait(word: &AtomicU32, value: u32) -> Result<(), Errno> {
    // SAFETY: `word` outlives the call, and a null timeout is none.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
            value,
            std::ptr::null::<libc::timespec>(),
        )
    };
    match Errno::result(result) {
        Ok(_) | Err(Errno::EAGAIN) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Gives the futex to `next` and wakes who waits for it.
fn futex_pass(word: &AtomicU32, next: u32) -> Result<(), Errno> {
    word.store(next, Ordering::Release);
    // SAFETY: `word` outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
            1,
        )
    };
    Errno::result(result).map(drop)
}

/// Hands a futex over and sleeps until it comes back.
///
/// # Errors
/// The errno of a system call.
pub(super) fn lead_futex(words: &Futexes, turns: u64, progress: &Progress) -> Result<Tally, Errno> {
    let mut tally = Tally::default();
    for _ in 0..turns {
        let word = words.of(progress.turns());
        futex_pass(word, FOLLOWER)?;
        while word.load(Ordering::Acquire) != LEADER {
            match futex_wait(word, FOLLOWER) {
                Ok(()) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
        tally.delivered += 1;
        progress.step();
    }
    Ok(tally)
}

/// Sleeps until a futex comes and hands it back. A signal ends it once `over`.
///
/// # Errors
/// The errno of a system call.
pub(super) fn follow_futex(words: &Futexes, over: &AtomicBool) -> Result<Tally, Errno> {
    let mut tally = Tally::default();
    loop {
        let word = words.of(tally.delivered);
        while word.load(Ordering::Acquire) != FOLLOWER {
            match futex_wait(word, LEADER) {
                Err(Errno::EINTR) if over.load(Ordering::Acquire) => return Ok(tally),
                Ok(()) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error),
            }
        }
        tally.delivered += 1;
        futex_pass(word, LEADER)?;
    }
}

/// Calls getppid, past a C library that might remember the answer.
///
/// # Errors
/// None.
pub(super) fn lead_getppid(turns: u64, progress: &Progress) -> Result<Tally, Errno> {
    for _ in 0..turns {
        // SAFETY: the call takes nothing and cannot fail.
        unsafe { libc::syscall(libc::SYS_getppid) };
        progress.step();
    }
    Ok(Tally::default())
}
