//! Where time goes, and who wakes without need: D19, D20, D21.

use super::super::entry::Entry;
use super::super::histogram::Quantile;
use super::super::snapshot::{Counter, Metric};
use super::{Amount, Diagnosis, Judgement, Limit, Raised, Rule, Scene, Severity, evidence};

fn nanos(value: Option<u64>) -> Amount {
    value.map_or(Amount::Unknown, Amount::Nanos)
}

fn millis(ns: u64) -> f64 {
    ns as f64 / 1e6
}

pub(super) static D19: Diagnosis = Diagnosis {
    id: "D19",
    name: "woken and no CPU free",
    means: "The event is there and the waiter is woken, but it stands in the run queue: other threads have the CPUs. The loop and epoll \
            are not to blame, and no change there will help.",
    measured: "Of the wakeup latency of a process the part between being made runnable and being on a CPU, by sums; and the p99 of the \
               whole.",
    severity: "warn: more than {runqueue-share} of the time, with a p99 of more than {runqueue-p99-us} us",
    false_alarm: "The time a CPU takes to leave a deep idle state counts here, and so does a container's CPU limit that holds its \
                  threads back.",
    remedy: "More CPU for its container, fewer busy threads beside it, a higher priority, or CPUs of its own.",
    price: "What one thread gets another waits for. A thread that is bound to a CPU cannot move to a free one.",
    source: "an article of Tempesta's on nginx's tail latency; linux-kernel, March 2025 (wakeups mistaken for delays)",
    command: "hist --metric wakeup,runqueue",
    needs: &["wakeup", "runqueue"],
    rule: Rule::Process(no_cpu),
};

fn no_cpu(entry: &Entry, scene: &Scene<'_>) -> Judgement {
    let samples = entry.metric(Metric::Wakeup).map_or(0, |values| values.count());
    if let Some(few) = scene.few(samples) {
        return few;
    }
    let (Some(share), Some(p99)) = (
        entry.runqueue_share(),
        entry.percentile(Metric::Wakeup, Quantile::P99),
    ) else {
        return Judgement::Unknown("its times on the run queue are not known");
    };
    if share <= scene.limit(Limit::RunqueueShare) || p99 <= scene.limits.micros(Limit::RunqueueP99) {
        return Judgement::Calm;
    }
    Raised {
        severity: Severity::Warn,
        evidence: evidence([
            ("runqueue_share", Amount::Share(share)),
            ("wakeup_p99_ns", Amount::Nanos(p99)),
            (
                "runqueue_p99_ns",
                nanos(entry.percentile(Metric::Runqueue, Quantile::P99)),
            ),
        ]),
        sentence: format!(
            "{:.0} % of the time from wakeup to delivery is waiting for a CPU, and 1 % of the wakeups take more than {:.1} ms.",
            share * 100.0,
            millis(p99)
        ),
        samples,
        caveat: None,
    }
    .into()
}

pub(super) static D20: Diagnosis = Diagnosis {
    id: "D20",
    name: "the loop is blocked",
    means: "Between two waits the thread is away for long: every file of its epoll waits for as long, whatever its own event costs.",
    measured: "The time between a return of epoll_wait and the same thread's next wait.",
    severity: "warn: a p99 of more than {loop-p99-ms} ms, or a longest of more than {loop-max-ms} ms",
    false_alarm: "A thread that has other work than its loop, or that computes by design and has nobody waiting.",
    remedy: "Find the handler: a profile by time off CPU shows what blocks, one on CPU what computes. Give it to another thread, or cut \
             it into pieces.",
    price: "Handing over costs a queue and two wakeups for each piece of work, and the order of events is lost.",
    source: "nodejs/diagnostics#569; coroot/coroot#690; tokio-rs/tokio#2702 (30 ms within socket())",
    command: "hist -E --metric busy",
    needs: &["busy"],
    rule: Rule::Epoll(blocked),
};

fn blocked(entry: &Entry, scene: &Scene<'_>) -> Judgement {
    let busy = entry.metric(Metric::Busy);
    let samples = busy.map_or(0, |values| values.count());
    if let Some(few) = scene.few(samples) {
        return few;
    }
    let p99 = entry.percentile(Metric::Busy, Quantile::P99).unwrap_or(0);
    let longest = busy.and_then(|values| values.max()).unwrap_or(0);
    if p99 <= scene.limits.millis(Limit::LoopP99) && longest <= scene.limits.millis(Limit::LoopMost) {
        return Judgement::Calm;
    }
    Raised {
        severity: Severity::Warn,
        evidence: evidence([
            ("busy_p99_ns", Amount::Nanos(p99)),
            ("busy_max_ns", Amount::Nanos(longest)),
            (
                "utilization_share",
                entry.utilization().map_or(Amount::Unknown, Amount::Share),
            ),
        ]),
        sentence: format!(
            "1 % of the rounds take {:.1} ms or more, the longest {:.1} ms; meanwhile all its events wait.",
            millis(p99),
            millis(longest)
        ),
        samples,
        caveat: None,
    }
    .into()
}

pub(super) static D21: Diagnosis = Diagnosis {
    id: "D21",
    name: "woken by timers alone",
    means: "Most waits end because time has passed, not because something happened. Each wakes a CPU from its sleep, which costs power, \
            and over many processes it adds up.",
    measured: "Waits that returned 0 at their timeout, and wakeups by timerfds that expired, of all waits but those with timeout 0.",
    severity: "warn: more than {timer-share} of the waits and more than {timer-rate} per second, of a loop that is busy for less than \
               {timer-busy} of its time",
    false_alarm: "A program may need its ticks: audio, games, polling of devices.",
    remedy: "Keep one timer for all that is due at about the same time, let one process own it, and sleep until the next real deadline.",
    price: "What is due then is done a little late, or in one larger lump.",
    source: "OpenSIPS/opensips#983 (200 idle children, 60 to 80 thousand context switches/s); scylladb/seastar#2790",
    command: "hist -E --counters",
    needs: &["waits", "timeouts", "zero_timeouts", "busy_ns"],
    rule: Rule::Epoll(timers),
};

fn timers(entry: &Entry, scene: &Scene<'_>) -> Judgement {
    let count = |counter| entry.counter(counter).unwrap_or(0);
    let waits = count(Counter::Waits).saturating_sub(count(Counter::ZeroTimeouts));
    if let Some(few) = scene.few(waits) {
        return few;
    }
    let expired = entry.counter(Counter::WakeupsTimer);
    let ticks = count(Counter::Timeouts) + expired.unwrap_or(0);
    let (share, rate) = (ticks as f64 / waits as f64, scene.per_second(ticks));
    let idle = entry
        .utilization()
        .is_none_or(|busy| busy < scene.limit(Limit::TimerBusy));
    if share <= scene.limit(Limit::TimerShare) || rate <= scene.limit(Limit::TimerRate) || !idle {
        return Judgement::Calm;
    }
    Raised {
        severity: Severity::Warn,
        evidence: evidence([
            ("timer_share", Amount::Share(share.min(1.0))),
            ("timers_per_s", Amount::Rate(rate)),
            (
                "utilization_share",
                entry.utilization().map_or(Amount::Unknown, Amount::Share),
            ),
        ]),
        sentence: format!(
            "{:.0} % of the waits ended because time had passed, {rate:.0} times a second.",
            share.min(1.0) * 100.0
        ),
        samples: waits,
        caveat: expired
            .is_none()
            .then_some("timerfds cannot be told from other files here"),
    }
    .into()
}
