//! Signal × mechanism: which programs deliver a signal in which family, what they tell and what is lost.

use std::collections::BTreeSet;

use super::{Family, Need, Program, Signal, program_named};
use crate::kernel::{Facts, Support};

/// How a row delivers its signal.
#[derive(Debug, PartialEq, Eq)]
pub enum Means {
    /// By these programs together.
    Programs(&'static [&'static str]),
    /// Not at all; the text says why.
    Never(&'static str),
}

/// One way to get a signal.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// What it delivers.
    pub signal: Signal,
    /// The families it belongs to.
    pub families: &'static [Family],
    /// By which programs.
    pub means: Means,
    /// What it tells.
    pub tells: &'static str,
    /// What it cannot tell and the signal's best row can; empty when nothing is lost.
    pub lost: &'static str,
}

impl Row {
    /// Its programs.
    pub fn programs(&self) -> impl Iterator<Item = &'static Program> {
        let names = match self.means {
            Means::Programs(names) => names,
            Means::Never(_) => &[],
        };
        names.iter().filter_map(|name| program_named(name))
    }

    /// Everything its programs need.
    pub fn needs(&self) -> impl Iterator<Item = Need> {
        self.programs().flat_map(Program::needs)
    }

    /// Whether this kernel can have it; the reason is the first need that is not met.
    pub fn check(&self, facts: &Facts) -> Support {
        if let Means::Never(why) = self.means {
            return Support::no(why);
        }
        let unmet = self
            .needs()
            .map(|need| need.check(facts))
            .find(|support| !support.is_yes());
        unmet.unwrap_or(Support::Yes)
    }

    /// Where it is attached, such as `fentry+fexit ep_poll_callback`; empty for a row without programs.
    pub fn hook(&self) -> String {
        let mut mechanisms: Vec<_> = self.programs().map(|program| program.hook.mechanism()).collect();
        let mut seen = BTreeSet::new();
        mechanisms.retain(|mechanism| seen.insert(*mechanism));
        let target = self.programs().next().map_or("", |program| program.hook.target());
        format!("{} {target}", mechanisms.join("+")).trim().to_owned()
    }

    /// What it is paid on, where that is more than the signal itself.
    pub fn paid_on(&self) -> Option<&'static str> {
        self.programs().find_map(|program| program.hook.paid_on())
    }

    /// Instructions per occurrence of the signal, on 6.1, with empty programs.
    pub fn instructions(&self) -> u32 {
        // Of all slow paths a wait for a lock runs one: its begin and its end.
        let most = if self.signal == Signal::Contention {
            2
        } else {
            usize::MAX
        };
        self.programs()
            .take(most)
            .map(|program| program.hook.instructions())
            .sum()
    }
}

const F: &[Family] = &[Family::Fentry];
const K: &[Family] = &[Family::Kprobe];
const T: &[Family] = &[Family::Tracepoint];
const F_K: &[Family] = &[Family::Fentry, Family::Kprobe];
const K_T: &[Family] = &[Family::Kprobe, Family::Tracepoint];
const ALL: &[Family] = Family::ALL;

const KPROBE_GUARD: &str = "a hit that interrupts another kprobe program on its CPU";
const WAIT: &str = "descriptor, maxevents, timeout";
const RETURN: &str = "events or error";
const NOTIFICATION: &str = "epoll, and what happens inside it";
const SCAN: &str = "epoll";
/// The tracepoints lie in the slow paths, behind the first who waits and behind what a guest does (kernel/locking/qspinlock.c).
const LOCK_BLIND: &str = "spin locks (kinds lock and source) on bare metal that two CPUs fight for, only from the third on; in a guest without \
     paravirtual spin locks any fight for one";
const SCAN_START: &str = "thread";
const WITH_MUTEX: &str = "the moment: ep_start_scan is inlined, so the window includes the wait for ep->mtx";
const FIRST_ITEM: &str = "the moment: the start is inlined, so the window begins with the first item polled; a scan without items has none";
const ONLY_WAITS: &str = "scans by poll, select and nested epolls: only those of a wait are counted";
const ACCEPT: &str = "thread, descriptor, result; not the accepts of io_uring";
const LOCK: &str = "lock, waiter, time";
const CTL: &str = "epoll, operation, mask, result";

const fn row(
    signal: Signal,
    families: &'static [Family],
    programs: &'static [&'static str],
    tells: &'static str,
    lost: &'static str,
) -> Row {
    Row {
        signal,
        families,
        means: Means::Programs(programs),
        tells,
        lost,
    }
}

const fn never(signal: Signal, families: &'static [Family], why: &'static str) -> Row {
    Row {
        signal,
        families,
        means: Means::Never(why),
        tells: "",
        lost: "",
    }
}

/// Every row, by signal, best first.
///
/// `wait_return` is never a kretprobe: `do_epoll_wait` sleeps, and its returns beyond maxactive are lost.
pub const ROWS: &[Row] = &[
    row(Signal::WaitEnter, F, &["enter_fentry"], WAIT, ""),
    row(Signal::WaitEnter, K, &["enter_kprobe"], WAIT, ""),
    row(Signal::WaitEnter, T, &["enter_tp"], WAIT, ""),
    row(Signal::WaitReturn, F, &["return_fexit"], RETURN, ""),
    row(Signal::WaitReturn, K_T, &["return_tp"], RETURN, ""),
    row(
        Signal::Notification,
        F,
        &["notify_fentry", "notify_fexit"],
        NOTIFICATION,
        "",
    ),
    row(
        Signal::Notification,
        K,
        &["notify_kprobe", "notify_kret"],
        NOTIFICATION,
        KPROBE_GUARD,
    ),
    never(Signal::Notification, T, "ep_poll_callback is not a tracepoint"),
    row(Signal::Wakeup, F, &["wakeup_fentry"], "epoll, waiter, cause", ""),
    row(
        Signal::Wakeup,
        K,
        &["wakeup_kprobe"],
        "epoll, waiter, cause",
        KPROBE_GUARD,
    ),
    row(
        Signal::Wakeup,
        T,
        &["wakeup_tp"],
        "waiter",
        "cause and callback time: it starts at made-runnable; that epoll did it is inferred from how the wait ends",
    ),
    row(Signal::OnCpu, ALL, &["oncpu_tp"], "waiter", ""),
    row(Signal::ScanStart, F, &["scan0_fentry"], SCAN_START, ""),
    row(Signal::ScanStart, F, &["scan05_fentry"], SCAN_START, ""),
    row(Signal::ScanStart, F, &["send_fentry"], SCAN_START, WITH_MUTEX),
    row(Signal::ScanStart, K, &["scan0_kprobe"], SCAN_START, ""),
    row(Signal::ScanStart, K, &["scan05_kprobe"], SCAN_START, ""),
    row(Signal::ScanStart, K, &["send_kprobe"], SCAN_START, WITH_MUTEX),
    row(Signal::ScanStart, F_K, &["item_kprobe"], SCAN_START, FIRST_ITEM),
    never(Signal::ScanStart, T, "ep_start_scan is not a tracepoint"),
    row(Signal::Scan, F, &["scan_fentry"], SCAN, ""),
    row(Signal::Scan, K, &["scan_kprobe"], SCAN, ""),
    row(Signal::Scan, F_K, &["scan5_kprobe"], SCAN, ""),
    row(Signal::Scan, F, &["scan5_fexit"], SCAN, ONLY_WAITS),
    never(Signal::Scan, T, "ep_done_scan is not a tracepoint"),
    row(Signal::ScanEnd, F, &["scan_fentry"], SCAN, ""),
    row(Signal::ScanEnd, F, &["end5_fexit"], SCAN, ONLY_WAITS),
    row(Signal::ScanEnd, K, &["scan_kprobe"], SCAN, ""),
    never(
        Signal::ScanEnd,
        K,
        "without ep_done_scan only a kretprobe could see the end of a scan, which may sleep",
    ),
    never(Signal::ScanEnd, T, "ep_done_scan is not a tracepoint"),
    row(Signal::Ctl, F, &["ctl_fexit"], CTL, ""),
    row(
        Signal::Ctl,
        K,
        &["ctl_kprobe", "return_tp"],
        CTL,
        "epoll_ctl by io_uring",
    ),
    row(
        Signal::Ctl,
        T,
        &["enter_tp", "return_tp"],
        CTL,
        "epoll_ctl by io_uring",
    ),
    row(Signal::FileRelease, F, &["release_fentry"], "epolls", ""),
    row(
        Signal::FileRelease,
        K,
        &["release_kprobe"],
        "epolls",
        KPROBE_GUARD,
    ),
    never(
        Signal::FileRelease,
        T,
        "eventpoll_release_file is not a tracepoint: a closed file takes its items along unseen",
    ),
    row(Signal::EpollShown, F, &["shown_fentry"], "epoll, reader", ""),
    row(Signal::EpollShown, K, &["shown_kprobe"], "epoll, reader", ""),
    never(Signal::EpollShown, T, "ep_show_fdinfo is not a tracepoint"),
    row(
        Signal::FdinfoRead,
        F,
        &["shown_fentry", "shown_fexit"],
        "epoll, reader, time",
        "",
    ),
    never(
        Signal::FdinfoRead,
        K_T,
        "ep_show_fdinfo waits for ep->mtx: no kretprobe sees all its returns, and it is no tracepoint",
    ),
    row(Signal::Accept, F, &["accept_fexit"], ACCEPT, ""),
    row(Signal::Accept, K_T, &["return_tp"], ACCEPT, ""),
    row(
        Signal::Contention,
        F,
        &[
            "rlock_fentry",
            "rlock_fexit",
            "wlock_fentry",
            "wlock_fexit",
            "mutex_fentry",
            "mutex_fexit",
            "spin_fentry",
            "spin_fexit",
            "pv_fentry",
            "pv_fexit",
        ],
        LOCK,
        "",
    ),
    row(
        Signal::Contention,
        ALL,
        &["lock_tp", "unlock_tp"],
        LOCK,
        LOCK_BLIND,
    ),
    never(
        Signal::Contention,
        K_T,
        "before 5.19 there is no tracepoint of contention, and a kretprobe loses returns of __mutex_lock_slowpath, which sleeps",
    ),
    row(Signal::UringWait, F, &["uring_fexit"], "epoll, events", ""),
    never(
        Signal::UringWait,
        K_T,
        "epoll_sendevents may sleep: no kretprobe sees all its returns, and it is no tracepoint",
    ),
    row(Signal::EpollBirth, F, &["birth_fexit"], "descriptor, creator", ""),
    row(Signal::EpollBirth, K_T, &["return_tp"], "descriptor, creator", ""),
    row(Signal::EpollDeath, F, &["death_fentry"], "epoll", ""),
    row(Signal::EpollDeath, K, &["death_kprobe"], "epoll", ""),
    never(
        Signal::EpollDeath,
        T,
        "ep_eventpoll_release is not a tracepoint: closed epolls age out",
    ),
    row(Signal::ProcessFork, ALL, &["fork_tp"], "parent, child", ""),
    row(Signal::TaskExit, ALL, &["exit_tp"], "thread", ""),
];
