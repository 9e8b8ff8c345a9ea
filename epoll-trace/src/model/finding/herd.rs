//! Who is woken for nothing, and who gets the work: D01, D02, D03, D17.

use super::super::entry::Entry;
use super::super::herds::{Herd, Worker};
use super::super::snapshot::{Counter, EXCLUSIVE, EpollCounter};
use super::{Amount, Diagnosis, Judgement, Limit, Raised, Rule, Scene, Severity, evidence};

pub(super) static D01: Diagnosis = Diagnosis {
    id: "D01",
    name: "thundering herd",
    means: "Several workers watch one file, mostly a listener. One event wakes many of them, one takes the connection, and the \
            others were woken for nothing: each such wakeup is two context switches and a scan.",
    measured: "Wakeups are counted where waiters are made runnable, by the file that wakes them. Wasted are those after which the \
               wait went on in the kernel, and deliveries whose first accept gave EAGAIN; at most as many as are woken beyond one \
               per event. Reads that find nothing are not seen. It is the mean of all events: how many each single one woke is not kept, so \
               a herd at rest is hidden by a long time under load, where few wait.",
    severity: "warn: {herd-woken} waiters or more per event on average, {herd-wasted} or more of the wakeups wasted, and {herd-rate} \
               wasted per second; crit: {herd-critical} per second",
    false_alarm: "A worker that is busy does not wait, so a herd shrinks under load: what you see at rest is not what you pay at the \
                  peak. Where one event is work for several, as when a number of connections arrive at once, waking several is right.",
    remedy: "Add the file with EPOLLEXCLUSIVE; or give each worker a listener of its own with SO_REUSEPORT; or let one thread accept \
             for all.",
    price: "EPOLLEXCLUSIVE and a single acceptor can put all work on one worker: look at D03 afterwards. SO_REUSEPORT spreads by \
            addresses, not by who is free: in a test of Cloudflare's the longest time in the accept queue grew from 72 to 145 ms.",
    source: "unbit/uwsgi#115; the kernel's commit of EPOLLEXCLUSIVE, df0108c5da56; cloudflare-blog 2017-10-accept-balancing",
    command: "herd",
    needs: &["sources", "empty_wakeups", "accept_eagain"],
    rule: Rule::EstimatedSource(thundering_herd),
};

/// The files that are epolls are D17's.
const EPOLL_KIND: &str = "eventpoll";

/// Whether the shared file is an epoll; one without a name shows by what it notifies. `None` where that is not known.
fn is_epoll(herd: &Herd, scene: &Scene<'_>) -> Option<bool> {
    if let Ok(named) = &herd.named {
        return Some(named.kind == EPOLL_KIND);
    }
    let nested = |worker: &Worker| {
        let entry = scene.epoll(worker.key)?;
        let all = entry.epoll_counter(EpollCounter::Notifications)?;
        let nested = entry.epoll_counter(EpollCounter::NotificationsNested)?;
        // Without a notification there is nothing to tell by.
        (all > 0).then_some(nested * 2 > all)
    };
    herd.workers.iter().find_map(nested)
}

fn thundering_herd(herd: &Herd, scene: &Scene<'_>) -> Judgement {
    let epoll = is_epoll(herd, scene);
    if epoll == Some(true) {
        return Judgement::Calm;
    }
    if let Some(few) = scene.few(herd.events) {
        return few;
    }
    let woken = herd.woken();
    let per_event = herd.woken_per_event().unwrap_or(0.0);
    if per_event < scene.limit(Limit::HerdWoken) || woken == 0 {
        return Judgement::Calm;
    }
    let sum = |counter: Counter| herd.sum(|worker| worker.counter(counter));
    let seen = sum(Counter::EmptyWakeups).zip(sum(Counter::AcceptEagain));
    let Some((empty, eagain)) = seen else {
        return Judgement::Unknown("what became of the wakeups is not known of all workers");
    };
    let wasted = empty.saturating_add(eagain).min(herd.surplus());
    let (share, rate) = (wasted as f64 / woken as f64, scene.per_second(wasted));
    if share < scene.limit(Limit::HerdWasted) || rate < scene.limit(Limit::HerdRate) {
        return Judgement::Calm;
    }
    let others = herd
        .sum(Worker::wakeups)
        .is_none_or(|all| all > woken + woken / 10);
    Raised {
        severity: if rate >= scene.limit(Limit::HerdCritical) {
            Severity::Crit
        } else {
            Severity::Warn
        },
        evidence: evidence([
            ("woken_per_event", Amount::Ratio(per_event)),
            ("wasted_share", Amount::Share(share)),
            ("wasted_per_s", Amount::Rate(rate)),
        ]),
        sentence: format!(
            "Each event wakes {per_event:.1} waiters where one would do; {:.0} % of these wakeups were for nothing.",
            share * 100.0
        ),
        samples: herd.events,
        caveat: match (epoll, others) {
            _ if herd.estimated => Some("whom the listener wakes is estimated from accepts and empty wakeups"),
            (None, _) => Some("what file it is is not known; if it is an epoll, D17 says what to do"),
            (_, true) => Some("the same workers are woken by other files too, and some of the waste may be theirs"),
            _ => None,
        },
    }
    .into()
}

pub(super) static D02: Diagnosis = Diagnosis {
    id: "D02",
    name: "chain wakeups in a shared epoll",
    means: "Several threads wait on one epoll, and a file is level-triggered. Who is woken first puts the file back on the ready list \
            before it has read it, and that wakes the next waiter, and so on.",
    measured: "Wakeups by a notification against wakeups at the end of another waiter's scan, which is a chain wakeup. Events are \
               notifications of something the file is watched for, so several files that become ready count as several.",
    severity: "warn: {chain-woken} waiters or more per event, and {chain-rate} chain wakeups or more per second; info below that rate",
    false_alarm: "A chain wakeup is right where the first waiter took only a part of several ready files; these count as several \
                  events, unless they became ready before we looked.",
    remedy: "Watch with EPOLLET and read until EAGAIN; or with EPOLLONESHOT; or give each thread an epoll of its own.",
    price: "EPOLLET: who stops reading too early loses the event (D06). EPOLLONESHOT: one call of epoll_ctl more per event. An epoll \
            each: an event no longer goes to whoever is free.",
    source: "grpc/grpc#6110; cppalliance/corosio#33; measured: with a 30 ms handler all 8 of 8 threads return",
    command: "hist -E --counters",
    needs: &[
        "wakeups_source",
        "wakeups_chain",
        "notifications",
        "notifications_unasked",
    ],
    rule: Rule::Epoll(chain),
};

fn chain(entry: &Entry, scene: &Scene<'_>) -> Judgement {
    let count = |counter| entry.counter(counter).unwrap_or(0);
    let first = count(Counter::WakeupsSource) + count(Counter::WakeupsCtl);
    if let Some(few) = scene.few(first) {
        return few;
    }
    let Some(asked) = asked(entry) else {
        return Judgement::Unknown("its notifications were counted with another epoll");
    };
    let (next, events) = (count(Counter::WakeupsChain), asked.max(first));
    let per_event = (first + next) as f64 / events as f64;
    if per_event < scene.limit(Limit::ChainWoken) {
        return Judgement::Calm;
    }
    let rate = scene.per_second(next);
    Raised {
        severity: if rate >= scene.limit(Limit::ChainRate) {
            Severity::Warn
        } else {
            Severity::Info
        },
        evidence: evidence([
            ("woken_per_event", Amount::Ratio(per_event)),
            ("chain_share", Amount::Share(next as f64 / (first + next) as f64)),
            ("chain_per_s", Amount::Rate(rate)),
        ]),
        sentence: format!(
            "Each event wakes {per_event:.1} threads of this one epoll, each woken by the one before it."
        ),
        samples: first,
        caveat: None,
    }
    .into()
}

/// Notifications of something that the item asks for.
pub(super) fn asked(entry: &Entry) -> Option<u64> {
    let all = entry.epoll_counter(EpollCounter::Notifications)?;
    Some(all.saturating_sub(entry.epoll_counter(EpollCounter::NotificationsUnasked)?))
}

pub(super) static D03: Diagnosis = Diagnosis {
    id: "D03",
    name: "one worker gets the work",
    means: "Several workers watch one file, and one of them takes most connections or events. Its clients wait for it while the \
            others sleep; the other CPUs stay idle.",
    measured: "Accepts of each worker, or deliveries where nobody accepts; their largest part and their Gini coefficient. The part of \
               its time that a worker is busy is the time between its waits.",
    severity: "warn: the largest part is two fair ones and {share-margin} more, or {share-most}, and Gini is {share-gini} or more; crit if the \
               busiest worker is busy for {share-hot} of its time; info if all are busy for {share-busy} on average",
    false_alarm: "At low load it costs nothing, and keeps one CPU's caches warm: it is wanted then. Few connections that live long are \
                  spread badly by chance.",
    remedy: "Let another worker come first now and then: take the listener out of the epoll and add it again, as nginx does since \
             1.21.6; or SO_REUSEPORT; or hand connections on within the program.",
    price: "Adding again cost nginx a tenth of its requests per second in a benchmark of short connections. SO_REUSEPORT spreads by \
            addresses, not by who is free: some clients wait longer. Spreading a low load wakes more CPUs.",
    source: "nginx/nginx#1436; nginx/nginx#322; unbit/uwsgi#1605; cloudflare-blog 2017-10-accept-balancing",
    command: "herd",
    needs: &["sources", "accepts", "deliveries_slept", "busy_ns", "waiting_ns"],
    rule: Rule::EstimatedSource(imbalance),
};

/// How busy a worker is, 0 to 1. Who slept all the time is not.
fn utilization(worker: &Worker) -> f64 {
    let (busy, waiting) = (
        worker.counter(Counter::BusyNs).unwrap_or(0),
        worker.counter(Counter::WaitingNs).unwrap_or(0),
    );
    busy as f64 / (busy + waiting).max(1) as f64
}

fn imbalance(herd: &Herd, scene: &Scene<'_>) -> Judgement {
    let workers = herd.workers.len();
    if workers < 2 {
        return Judgement::Calm;
    }
    let work = herd.shared_work();
    let whole = herd.sum(|worker| work.of(worker)).unwrap_or(0);
    if let Some(few) = scene.few(whole) {
        return few;
    }
    let largest = herd.workers.iter().filter_map(|worker| herd.share(worker));
    let largest = largest.fold(0.0, f64::max);
    let Some(gini) = herd.gini() else {
        return Judgement::Unknown("the work of some workers is not known");
    };
    let fair = 2.0 / workers as f64 + scene.limit(Limit::ShareMargin);
    if largest < fair.min(scene.limit(Limit::ShareMost)) || gini < scene.limit(Limit::ShareGini) {
        return Judgement::Calm;
    }
    let busy = herd.workers.iter().map(utilization);
    let (mean, most) = (
        busy.clone().sum::<f64>() / workers as f64,
        busy.fold(0.0, f64::max),
    );
    let exclusive = herd.workers.iter().any(|worker| worker.events & EXCLUSIVE != 0);
    let why = if exclusive {
        " EPOLLEXCLUSIVE wakes the first in the queue, and that is mostly the same one."
    } else {
        ""
    };
    Raised {
        severity: match () {
            () if mean >= scene.limit(Limit::ShareBusy) => Severity::Info,
            () if most >= scene.limit(Limit::ShareHot) => Severity::Crit,
            () => Severity::Warn,
        },
        evidence: evidence([
            ("largest_share", Amount::Share(largest)),
            ("gini", Amount::Ratio(gini)),
            ("busiest_share", Amount::Share(most)),
        ]),
        sentence: format!(
            "Of {workers} workers one has {:.0} % of {whole} {}.{why}",
            largest * 100.0,
            work.name()
        ),
        samples: whole,
        caveat: (most < 0.5).then_some("the busiest worker has time to spare, so nobody need wait for it"),
    }
    .into()
}

pub(super) static D17: Diagnosis = Diagnosis {
    id: "D17",
    name: "herd on a nested epoll",
    means: "An epoll is itself watched by several epolls, as libraries do that keep one inside. Each event of any file in it wakes a \
            waiter of each that watches it.",
    measured: "As D01, for watched files that are epolls.",
    severity: "warn: an event of the inner epoll wakes {nested-woken} waiters or more on average",
    false_alarm: "None known; with one epoll around it, nesting is harmless and is not reported. That EPOLL_CTL_ADD of nested epolls \
                  takes a lock of the whole system is not measured.",
    remedy: "Watch the files from one epoll each, without the inner one, or let one thread wait on the inner epoll and hand on what \
             comes. EPOLLET at both levels does not help, and EPOLLEXCLUSIVE cannot be used on an epoll (EINVAL).",
    price: "The library or framework must be changed or told; a thread that hands on costs a wakeup more per event.",
    source: "alibaba/PhotonLibOS#388; measured",
    command: "herd",
    needs: &["sources", "notifications_nested"],
    rule: Rule::Source(nested),
};

fn nested(herd: &Herd, scene: &Scene<'_>) -> Judgement {
    match is_epoll(herd, scene) {
        None => return Judgement::Unknown("of some shared files it is not known whether they are epolls"),
        Some(false) => return Judgement::Calm,
        Some(true) => {}
    }
    if let Some(few) = scene.few(herd.events) {
        return few;
    }
    let per_event = herd.woken_per_event().unwrap_or(0.0);
    if per_event < scene.limit(Limit::NestedWoken) {
        return Judgement::Calm;
    }
    Raised {
        severity: Severity::Warn,
        evidence: evidence([
            ("woken_per_event", Amount::Ratio(per_event)),
            ("epolls", Amount::Count(herd.workers.len() as u64)),
            ("woken_per_s", Amount::Rate(scene.per_second(herd.woken()))),
        ]),
        sentence: format!(
            "{} epolls watch one epoll, and each event in it wakes {per_event:.1} waiters.",
            herd.workers.len()
        ),
        samples: herd.events,
        caveat: None,
    }
    .into()
}
