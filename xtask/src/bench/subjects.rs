//! What is measured: loads, and what runs beside them.

use xtask::measure::{Kind, Load, Subject};

use super::Form;

/// A load, and how far it repeats.
#[derive(Debug)]
pub(super) struct LoadRow {
    /// Name in `epoll-trace bench cost`.
    pub(super) name: &'static str,
    /// Operations of each round.
    ops: u64,
    /// Whether it costs the same in each round: what wakes several waiters depends on who runs first, and a tracer shifts that.
    pub(super) steady: bool,
    /// Whether the short form has it.
    short: bool,
    /// What an operation is.
    pub(super) what: &'static str,
}

const fn load(name: &'static str, ops: u64, steady: bool, short: bool, what: &'static str) -> LoadRow {
    LoadRow {
        name,
        ops,
        steady,
        short,
        what,
    }
}

/// Loads, in the order of the columns.
pub(super) const LOADS: [LoadRow; 9] = [
    load(
        PP,
        4000,
        true,
        true,
        "write, epoll_wait that blocks, read; two threads take turns",
    ),
    load(NULL, 4000, true, true, "write, epoll_wait that finds it, read"),
    load(
        "shared",
        2000,
        false,
        false,
        "an event for four threads on one epoll",
    ),
    load("shared-et", 2000, true, false, "the same, edge-triggered"),
    load("multi", 2000, true, false, "an event for one of four epolls"),
    load(HERD, 1000, false, true, "an event that wakes four epolls"),
    load("herd-excl", 1000, true, false, "the same with EPOLLEXCLUSIVE"),
    load(
        FUTEX,
        4000,
        true,
        true,
        "a futex handed over: a context switch without epoll",
    ),
    load(GETPPID, 10_000, true, true, "a system call that is not epoll's"),
];
pub(super) const PP: &str = "pp";
pub(super) const NULL: &str = "null";
pub(super) const HERD: &str = "herd";
pub(super) const FUTEX: &str = "futex";
pub(super) const GETPPID: &str = "getppid";

/// The loads of a form of the benchmark.
pub(super) fn loads(form: Form) -> Vec<Load> {
    let chosen = LOADS.iter().filter(|load| load.short || form != Form::Short);
    chosen
        .map(|load| Load {
            name: load.name.to_owned(),
            ops: load.ops,
        })
        .collect()
}

/// Whose a subject is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Empty programs on the same hooks: what the kernel takes for them.
    Floor,
    /// epoll-trace.
    Ours,
    /// epoll-trace, asked what its programs cost by the kernel's own count.
    Told,
    /// Another tool.
    Peer,
    /// Another tool that leaves the kernel dearer than it found it, so it has a boot of its own.
    UpperMark,
}

/// A row of the table.
#[derive(Debug)]
pub(super) struct SubjectRow {
    /// Its name.
    pub(super) name: &'static str,
    /// Whose it is.
    pub(super) whose: Whose,
    kind: Kind,
    /// Its command line; of floors and ours what follows the program.
    argv: &'static [&'static str],
}

const fn row(name: &'static str, whose: Whose, kind: Kind, argv: &'static [&'static str]) -> SubjectRow {
    SubjectRow {
        name,
        whose,
        kind,
        argv,
    }
}

/// The same as row `name`, asked for its programs: what follows `overhead`.
const fn told(name: &'static str, argv: &'static [&'static str]) -> SubjectRow {
    row(name, Told, Tells, argv)
}

use Kind::{Beside, OnTerminal, Starts, Tells};
use Whose::{Floor, Ours, Peer, Told, UpperMark};

/// One latency histogram.
const WAKEUP: &str = "wakeup";
/// All phases.
const PHASES: &str = "wakeup,callback,runqueue,delivery";
/// Every histogram.
const EVERYTHING: &str =
    "wakeup,callback,runqueue,delivery,queue,busy,scan,events_per_wait,overflow_length,lock,mutex";
/// As a user would write it: the waiter woken, to the return.
const WAKE_TO_RETURN_KPROBE: &str = "kprobe:ep_autoremove_wake_function { \
     $e = (struct wait_queue_entry *)arg0; @ts[((struct task_struct *)$e->private)->pid] = nsecs; } \
     kretprobe:do_epoll_wait /@ts[tid]/ { @us[pid, comm] = hist((nsecs - @ts[tid]) / 1000); delete(@ts[tid]); }";
const WAKE_TO_RETURN_FENTRY: &str = "kfunc:ep_autoremove_wake_function { \
     @ts[((struct task_struct *)args->wq_entry->private)->pid] = nsecs; } \
     kretfunc:do_epoll_wait /@ts[tid]/ { @us[pid, comm] = hist((nsecs - @ts[tid]) / 1000); delete(@ts[tid]); }";
/// The callback of the watched file, to the return.
const CALLBACK_TO_RETURN: &str = "kprobe:ep_poll_callback { @cb[cpu] = nsecs; } \
     kprobe:ep_autoremove_wake_function { \
     $e = (struct wait_queue_entry *)arg0; @ts[((struct task_struct *)$e->private)->pid] = @cb[cpu]; } \
     kretprobe:do_epoll_wait /@ts[tid]/ { @us[pid, comm] = hist((nsecs - @ts[tid]) / 1000); delete(@ts[tid]); }";

/// All subjects, in the order in which they run.
pub(super) const SUBJECTS: [SubjectRow; 29] = [
    row(
        "floor: one histogram, fentry",
        Floor,
        Beside,
        &["--probes", "fentry", "--only", "wakeup_fentry,return_fexit"],
    ),
    row(
        HIST_FLOOR,
        Floor,
        Beside,
        &["--probes", "fentry", "--metric", WAKEUP],
    ),
    row(
        HIST,
        Ours,
        Beside,
        &["hist", "--json", "--probes", "fentry", "--metric", WAKEUP],
    ),
    row(
        HIST_PHASES,
        Ours,
        Beside,
        &["hist", "--json", "-E", "--probes", "fentry", "--metric", PHASES],
    ),
    row(
        "floor: all phases, fentry",
        Floor,
        Beside,
        &["--probes", "fentry", "--metric", PHASES],
    ),
    row(TOP_FLOOR, Floor, Beside, &["--probes", "fentry", "--top"]),
    row(TOP, Ours, OnTerminal, &["top", "--probes", "fentry"]),
    row(
        ALL_MEASURES,
        Ours,
        Beside,
        &[
            "hist",
            "--json",
            "-E",
            "--counters",
            "--wakers",
            "--probes",
            "fentry",
            "--metric",
            EVERYTHING,
        ],
    ),
    row(HERDS, Ours, Beside, &["herd", "--json", "--probes", "fentry"]),
    row(
        DIAGNOSE,
        Ours,
        Beside,
        &["diagnose", "--json", "-d", "3600", "--probes", "fentry"],
    ),
    row(
        HIST_FLOOR_KPROBE,
        Floor,
        Beside,
        &["--probes", "kprobe", "--metric", WAKEUP],
    ),
    row(
        HIST_KPROBE,
        Ours,
        Beside,
        &["hist", "--json", "--probes", "kprobe", "--metric", WAKEUP],
    ),
    row(TOP_FLOOR_KPROBE, Floor, Beside, &["--probes", "kprobe", "--top"]),
    row(TOP_KPROBE, Ours, OnTerminal, &["top", "--probes", "kprobe"]),
    row(
        HIST_FLOOR_TRACEPOINT,
        Floor,
        Beside,
        &["--probes", "tracepoint", "--metric", WAKEUP],
    ),
    row(
        HIST_TRACEPOINT,
        Ours,
        Beside,
        &["hist", "--json", "--probes", "tracepoint", "--metric", WAKEUP],
    ),
    row(
        TOP_FLOOR_TRACEPOINT,
        Floor,
        Beside,
        &["--probes", "tracepoint", "--top"],
    ),
    row(
        TOP_TRACEPOINT,
        Ours,
        OnTerminal,
        &["top", "--probes", "tracepoint"],
    ),
    told(HIST, &["--metric", WAKEUP]),
    told(HIST_PHASES, &["--metric", PHASES]),
    told(TOP, &["--counters=waits", "--metric", PHASES]),
    told(ALL_MEASURES, &["--counters", "--metric", EVERYTHING]),
    row(
        "bpftrace, wake to return, fentry",
        Peer,
        Beside,
        &["bpftrace", "-e", WAKE_TO_RETURN_FENTRY],
    ),
    row(
        "bpftrace, wake to return, kprobe",
        Peer,
        Beside,
        &["bpftrace", "-e", WAKE_TO_RETURN_KPROBE],
    ),
    row(
        "bpftrace, callback to return, kprobe",
        Peer,
        Beside,
        &["bpftrace", "-e", CALLBACK_TO_RETURN],
    ),
    row(
        "libbpf-tools runqlat -P",
        Peer,
        Beside,
        &["runqlat", "-P", "1000"],
    ),
    row("libbpf-tools runqlat", Peer, Beside, &["runqlat", "1000"]),
    row("perf trace -s", UpperMark, Starts, &["perf", "trace", "-s"]),
    row("strace -c -f", UpperMark, Starts, &["strace", "-c", "-f"]),
];
const ALL_MEASURES: &str = "all measures, fentry";
/// Who is woken by shared files and listeners.
const HERDS: &str = "herd, fentry";
/// What all diagnoses together take, for the seconds that it runs.
const DIAGNOSE: &str = "diagnose, fentry";
pub(super) const HIST: &str = "hist, fentry";
const HIST_FLOOR: &str = "floor: hist, fentry";
pub(super) const HIST_PHASES: &str = "hist -E, all phases, fentry";
pub(super) const TOP: &str = "top, fentry";
const TOP_FLOOR: &str = "floor: top, fentry";
const HIST_KPROBE: &str = "hist, kprobe";
const HIST_FLOOR_KPROBE: &str = "floor: hist, kprobe";
pub(super) const TOP_KPROBE: &str = "top, kprobe";
pub(super) const TOP_FLOOR_KPROBE: &str = "floor: top, kprobe";
pub(super) const HIST_TRACEPOINT: &str = "hist, tracepoint";
pub(super) const HIST_FLOOR_TRACEPOINT: &str = "floor: hist, tracepoint";
pub(super) const TOP_TRACEPOINT: &str = "top, tracepoint";
pub(super) const TOP_FLOOR_TRACEPOINT: &str = "floor: top, tracepoint";

/// What peers call: without a shell bpftrace 0.17 ends by SIGSEGV.
pub(super) const CALLED_BY_PEERS: &str = "sh";
/// Programs of the distribution that peers and upper marks are, with their packages.
pub(super) const PEERS: [(&str, &str); 4] = [
    ("bpftrace", "bpftrace"),
    ("runqlat", "libbpf-tools"),
    ("perf", "linux-perf"),
    ("strace", "strace"),
];

impl SubjectRow {
    /// Whether the short form has it: ours with the probes that are chosen first, but for what one asks for a while only.
    pub(super) fn is_short(&self) -> bool {
        self.whose == Ours && self.argv.contains(&"fentry") && ![HERDS, DIAGNOSE].contains(&self.name)
    }

    /// It as the VM runs it; `floor` is the object of the empty programs there.
    pub(super) fn subject(&self, floor: &str) -> Subject {
        let start: &[&str] = match self.whose {
            Floor => &["epoll-trace", "__floor", "--object", floor],
            Ours => &["epoll-trace"],
            Told => &["epoll-trace", "overhead", "--json", "--probes", "fentry"],
            Peer | UpperMark => &[],
        };
        Subject {
            name: self.name.to_owned(),
            argv: start
                .iter()
                .chain(self.argv)
                .map(|&word| word.to_owned())
                .collect(),
            kind: self.kind,
        }
    }
}
