//! System calls that bring nothing: D09 to D13, D22.

use super::super::entry::Entry;
use super::super::histogram::Quantile;
use super::super::snapshot::{Counter, EXCLUSIVE, EpollCounter, Metric, ONESHOT};
use super::herd::asked;
use super::{Amount, Diagnosis, Judgement, Limit, Raised, Rule, Scene, Severity, evidence};

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

pub(super) static D09: Diagnosis = Diagnosis {
    id: "D09",
    name: "epoll_ctl for every event",
    means: "The program changes what it watches again and again: each change is a system call that takes the epoll's mutex, often \
            dearer than the event itself.",
    measured: "Calls of epoll_ctl per event, without those that are needed: one EPOLL_CTL_MOD per event where EPOLLONESHOT is in use \
               (or that is not known), and one EPOLL_CTL_ADD and one EPOLL_CTL_DEL per accepted connection. Of EPOLL_CTL_MOD also \
               those that change nothing.",
    severity: "info: more than {ctl-per-event} per event, or more than {ctl-same} of the EPOLL_CTL_MOD calls change nothing; warn: \
               more than {ctl-many} per event and {ctl-rate} per second",
    false_alarm: "A client that opens many short connections needs two calls for each.",
    remedy: "Leave EPOLLOUT in the mask together with EPOLLET in place of turning it on and off; change a mask only when it differs, \
             and only before the next wait.",
    price: "With EPOLLET the program must write until EAGAIN and keep in mind by itself what is ready. Many changes in one call exist \
            only in io_uring, which is another design.",
    source: "lalinsky/zio#510 (4 calls per echo; without them 93.8 to 121.5 thousand requests/s); ruby/ruby#18566",
    command: "epolls",
    needs: &["ctl_add", "ctl_mod", "ctl_del", "ctl_mod_same", "events"],
    rule: Rule::Epoll(churn),
};

/// Calls of epoll_ctl that the way a program works asks for.
fn needed(entry: &Entry, events: u64) -> u64 {
    let of = |counter| entry.epoll_counter(counter).unwrap_or(0);
    // A closed epoll's flags are gone: then it gets the benefit of the doubt.
    let oneshot = entry.flags.is_none_or(|flags| flags & ONESHOT != 0);
    let accepts = entry.counter(Counter::Accepts).unwrap_or(0);
    let armed = if oneshot {
        of(EpollCounter::CtlMod).min(events)
    } else {
        0
    };
    armed + of(EpollCounter::CtlAdd).min(accepts) + of(EpollCounter::CtlDel).min(accepts)
}

fn churn(entry: &Entry, scene: &Scene<'_>) -> Judgement {
    let (Some(events), Some(ctl)) = (entry.counter(Counter::Events), entry.ctl()) else {
        return Judgement::Unknown("its calls of epoll_ctl were counted with another epoll");
    };
    let changes = entry.epoll_counter(EpollCounter::CtlMod).unwrap_or(0);
    let same = entry.epoll_counter(EpollCounter::CtlModSame).unwrap_or(0);
    let enough = |samples| scene.few(samples).is_none();
    if !enough(events) && !enough(changes) {
        return Judgement::TooFew(events.max(changes));
    }
    let extra = ctl.saturating_sub(needed(entry, events));
    let per_event = enough(events).then(|| share(extra, events));
    let rate = scene.per_second(extra);
    let idle = enough(changes).then(|| share(same, changes));
    let above = |value: Option<f64>, limit| value.is_some_and(|value| value > scene.limit(limit));
    let severity = if above(per_event, Limit::CtlMany) && rate > scene.limit(Limit::CtlRate) {
        Severity::Warn
    } else if above(per_event, Limit::CtlPerEvent) || above(idle, Limit::CtlSame) {
        Severity::Info
    } else {
        return Judgement::Calm;
    };
    let idle_words = idle.map_or_else(String::new, |idle| {
        format!("; {:.0} % of the changes change nothing", idle * 100.0)
    });
    Raised {
        severity,
        evidence: evidence([
            ("ctl_per_event", per_event.map_or(Amount::Unknown, Amount::Ratio)),
            ("ctl_per_s", Amount::Rate(rate)),
            ("unchanged_share", idle.map_or(Amount::Unknown, Amount::Share)),
        ]),
        sentence: format!(
            "{extra} calls of epoll_ctl beyond those that are needed, for {events} events{idle_words}."
        ),
        samples: events.max(changes),
        caveat: None,
    }
    .into()
}

pub(super) static D10: Diagnosis = Diagnosis {
    id: "D10",
    name: "maxevents is too small",
    means: "Waits return as many events as fit, and the next wait returns at once with more: the program pays a system call for a few \
            events where one could bring many.",
    measured: "Deliveries with as many events as maxevents allows, deliveries that did not have to sleep, and the largest delivery. \
               What is left on the ready list is not counted; that waits return at once stands for it.",
    severity: "info: more than {full-share} of the deliveries are full, {full-at-once} or more return at once, and none has \
               {full-events} events",
    false_alarm: "maxevents of 1 may be wanted, to leave work to other processes: it is not reported of epolls that share a file by \
                  EPOLLEXCLUSIVE. A handler so slow that one event is always ready looks the same.",
    remedy: "Give epoll_wait a larger array, or double it whenever it comes back full, as libevent and netty do.",
    price: "A larger array is more memory, and a longer walk over the ready list while new events wait: the last event of a large \
            delivery is handled later.",
    source: "netty/netty#3378; status-im/nim-chronos#637; Shopify/pitchfork#40 for the false alarm",
    command: "epolls",
    needs: &[
        "full_batches",
        "deliveries_slept",
        "deliveries_at_once",
        "events_per_wait",
    ],
    rule: Rule::Epoll(full),
};

fn full(entry: &Entry, scene: &Scene<'_>) -> Judgement {
    let deliveries = entry.deliveries().unwrap_or(0);
    if let Some(few) = scene.few(deliveries) {
        return few;
    }
    let part = |counter| share(entry.counter(counter).unwrap_or(0), deliveries);
    let (full, at_once) = (part(Counter::FullBatches), part(Counter::DeliveriesAtOnce));
    let largest = entry
        .metric(Metric::EventsPerWait)
        .and_then(|values| values.max());
    let Some(largest) = largest else {
        return Judgement::Unknown("how many events its deliveries had is not known");
    };
    let large = largest as f64 >= scene.limit(Limit::FullEvents);
    let calm = full <= scene.limit(Limit::FullShare) || at_once < scene.limit(Limit::FullAtOnce);
    if calm || large || leaves_work(entry, scene) {
        return Judgement::Calm;
    }
    Raised {
        severity: Severity::Info,
        evidence: evidence([
            ("full_share", Amount::Share(full)),
            ("at_once_share", Amount::Share(at_once)),
            ("largest_delivery", Amount::Count(largest)),
        ]),
        sentence: format!(
            "{:.0} % of the deliveries were full, the largest with {largest} events, and {:.0} % came without sleeping.",
            full * 100.0,
            at_once * 100.0
        ),
        samples: deliveries,
        caveat: Some("how much was left on the ready list is not counted"),
    }
    .into()
}

/// Whether it shares a file with others by EPOLLEXCLUSIVE, so that what it does not take is theirs.
fn leaves_work(entry: &Entry, scene: &Scene<'_>) -> bool {
    let shares = |worker: &super::super::herds::Worker| {
        worker.events & EXCLUSIVE != 0
            && worker.key.epoll.and_then(|epoll| epoll.id) == entry.key.epoll.and_then(|epoll| epoll.id)
    };
    let mut herds = scene.herds.iter().filter(|herd| herd.workers.len() > 1);
    herds.any(|herd| herd.workers.iter().any(shares))
}

pub(super) static D11: Diagnosis = Diagnosis {
    id: "D11",
    name: "ready and never consumed",
    means: "A level-triggered file stays ready because nobody reads it, or because its other end has hung up and nobody closes it. \
            Each wait returns at once with the same event, and the loop takes a whole CPU.",
    measured: "Events returned, without those that an accept followed, against how often something became ready: notifications of \
               something the file is watched for, EPOLL_CTL_ADD and EPOLL_CTL_MOD. Reads and writes themselves are not seen, nor \
               which file it is.",
    severity: "warn: {spin-events} events or more for each time that something became ready; crit: and {spin-rate} returns per second",
    false_alarm: "A file that is read in more than {spin-events} small pieces looks the same, and so does one that was full of data \
                  before we looked.",
    remedy: "Read the file until EAGAIN, ask only for what is wanted (EPOLLOUT only while there is something to write), and close a \
             file that has hung up: that is told even with an empty mask.",
    price: "None where it is a mistake. To stop watching for a while costs two calls of epoll_ctl each time.",
    source: "netty's limit for rebuilding its selector (512 returns); swoole/swoole-src#2847; apple/cups#4605",
    command: "epolls",
    needs: &[
        "events",
        "deliveries_at_once",
        "notifications",
        "notifications_unasked",
        "ctl_add",
        "ctl_mod",
    ],
    rule: Rule::Epoll(spin),
};

/// D11: far more events come at once than anything became ready for, other than by accepts.
pub(super) fn spin(entry: &Entry, scene: &Scene<'_>) -> Judgement {
    let returns = entry.counter(Counter::DeliveriesAtOnce).unwrap_or(0);
    if let Some(few) = scene.few(returns) {
        return few;
    }
    let of = |counter| entry.epoll_counter(counter).unwrap_or(0);
    let Some(asked) = asked(entry) else {
        return Judgement::Unknown("its notifications were counted with another epoll");
    };
    let news = asked + of(EpollCounter::CtlAdd) + of(EpollCounter::CtlMod);
    let accepts = entry.counter(Counter::Accepts).unwrap_or(0);
    let events = entry
        .counter(Counter::Events)
        .unwrap_or(0)
        .saturating_sub(accepts);
    let each = share(events, news);
    if each < scene.limit(Limit::SpinEvents) {
        return Judgement::Calm;
    }
    let rate = scene.per_second(returns);
    Raised {
        severity: if rate >= scene.limit(Limit::SpinRate) {
            Severity::Crit
        } else {
            Severity::Warn
        },
        evidence: evidence([
            ("events", Amount::Count(events)),
            ("became_ready", Amount::Count(news)),
            ("at_once_per_s", Amount::Rate(rate)),
        ]),
        sentence: format!(
            "{events} events were returned, and only {news} times did something become ready: the same events come back again and again."
        ),
        samples: returns,
        caveat: Some("reads are not seen, so a file drained in very many pieces looks the same"),
    }
    .into()
}

pub(super) static D12: Diagnosis = Diagnosis {
    id: "D12",
    name: "polling without sleeping",
    means: "The loop asks epoll_wait with timeout 0 and gets nothing, many thousand times a second: a CPU is busy with asking.",
    measured: "Waits with timeout 0 that returned 0, of all waits of the epoll; and their rate for each of its threads. How many threads there \
               are follows from the time in waits and between them, of all of them together: threads that wait more often than others \
               are not told apart.",
    severity: "warn: more than {poll-share} of the waits, and more than {poll-rate} per second and thread",
    false_alarm: "It is done on purpose where each microsecond counts and the CPU is given for it.",
    remedy: "Wait with a timeout, or poll for a short while only and then sleep; from Linux 6.9 on the kernel can poll the network card \
             for an epoll by itself.",
    price: "A sleep costs some microseconds at each wakeup, more where CPUs fall into deep idle states.",
    source: "netty/netty#8267; ndhc#7",
    command: "hist -E --counters",
    needs: &["zero_timeouts", "waits", "busy_ns", "waiting_ns"],
    rule: Rule::Epoll(polling),
};

fn polling(entry: &Entry, scene: &Scene<'_>) -> Judgement {
    let (waits, polls) = (
        entry.counter(Counter::Waits).unwrap_or(0),
        entry.counter(Counter::ZeroTimeouts).unwrap_or(0),
    );
    if let Some(few) = scene.few(waits) {
        return few;
    }
    let time = |counter| entry.counter(counter).unwrap_or(0);
    let spent_ns = time(Counter::BusyNs) + time(Counter::WaitingNs);
    // One that came late, or has not ended its first wait, is one all the same.
    let threads = (spent_ns as f64 / scene.window.span_ns.max(1) as f64).max(1.0);
    let (part, rate) = (share(polls, waits), scene.per_second(polls) / threads);
    if part <= scene.limit(Limit::PollShare) || rate <= scene.limit(Limit::PollRate) {
        return Judgement::Calm;
    }
    Raised {
        severity: Severity::Warn,
        evidence: evidence([
            ("polling_share", Amount::Share(part)),
            ("thread_polls_per_s", Amount::Rate(rate)),
            (
                "events_per_wait",
                entry.events_per_wait().map_or(Amount::Unknown, Amount::Ratio),
            ),
        ]),
        sentence: format!(
            "{:.0} % of the waits only looked and found nothing, {rate:.0} times a second by each thread.",
            part * 100.0
        ),
        samples: waits,
        caveat: None,
    }
    .into()
}

pub(super) static D13: Diagnosis = Diagnosis {
    id: "D13",
    name: "nearly all files are always ready",
    means: "Each delivery returns most of what the epoll watches. The strength of epoll is to find few ready files among many; here \
            there is nothing to find, and each event still costs its way through the ready list.",
    measured: "The median of the events per delivery against the files that the epoll watches at the end.",
    severity: "info: more than {ready-share} of more than {ready-items} files",
    false_alarm: "A burst does that for a moment; the median leaves short ones out.",
    remedy: "Hand whole batches of reads and writes to io_uring; for few files poll does as well.",
    price: "io_uring is another design, and not allowed everywhere. With poll the kernel looks at all files each time.",
    source: "Davidlohr Bueso's talks on epoll's scaling, 2019; an article on Habr about epoll",
    command: "epolls",
    // Where it is not known of one epoll how many files it watches, it may be of others.
    needs: &["events_per_wait"],
    rule: Rule::Epoll(ready),
};

fn ready(entry: &Entry, scene: &Scene<'_>) -> Judgement {
    let deliveries = entry.metric(Metric::EventsPerWait);
    let samples = deliveries.map_or(0, |values| values.count());
    if let Some(few) = scene.few(samples) {
        return few;
    }
    let median = entry
        .percentile(Metric::EventsPerWait, Quantile::P50)
        .unwrap_or(0);
    // One that was closed watches nothing any more.
    let Some(items) = entry.items.filter(|&items| items > 0) else {
        return Judgement::Unknown("how many files it watches is not known: `epoll-trace epolls` says why");
    };
    let part = share(median, items);
    if items as f64 <= scene.limit(Limit::ReadyItems) || part <= scene.limit(Limit::ReadyShare) {
        return Judgement::Calm;
    }
    Raised {
        severity: Severity::Info,
        evidence: evidence([
            ("ready_share", Amount::Share(part)),
            ("median_events", Amount::Count(median)),
            ("items", Amount::Count(items)),
        ]),
        sentence: format!("Half of the deliveries return {median} or more of its {items} files."),
        samples,
        caveat: None,
    }
    .into()
}

pub(super) static D22: Diagnosis = Diagnosis {
    id: "D22",
    name: "flags that cannot work",
    means: "epoll_ctl refused a combination of flags with EINVAL. If nobody looks at the error, the file is not watched, or not as the \
            author thinks.",
    measured: "Calls of epoll_ctl that failed with EINVAL. Their arguments are not kept.",
    severity: "warn: {refused} or more; this needs no number of samples",
    false_alarm: "EINVAL has other causes, such as adding an epoll to itself; and a program may try flags to learn what the kernel \
                  knows.",
    remedy: "EPOLLEXCLUSIVE goes with EPOLL_CTL_ADD alone, and not with EPOLLONESHOT or EPOLLRDHUP: remove the file and add it again \
             in place of EPOLL_CTL_MOD, and leave EPOLLRDHUP out, as nginx does.",
    price: "Two calls in place of one. Without EPOLLRDHUP a half-closed connection is noticed at the next read.",
    source: "pjsip/pjproject#2604; unbit/uwsgi#1252; measured",
    command: "epolls",
    needs: &["ctl_einval"],
    rule: Rule::Epoll(refused),
};

fn refused(entry: &Entry, scene: &Scene<'_>) -> Judgement {
    let Some(refused) = entry.epoll_counter(EpollCounter::CtlEinval) else {
        return Judgement::Unknown("its calls of epoll_ctl were counted with another epoll");
    };
    if (refused as f64) < scene.limit(Limit::Refused) {
        return Judgement::Calm;
    }
    let all = entry.ctl().unwrap_or(refused);
    Raised {
        severity: Severity::Warn,
        evidence: evidence([
            ("refused", Amount::Count(refused)),
            ("refused_share", Amount::Share(share(refused, all))),
            ("refused_per_s", Amount::Rate(scene.per_second(refused))),
        ]),
        sentence: format!(
            "{refused} of {all} calls of epoll_ctl were refused: their arguments do not go together."
        ),
        samples: refused,
        caveat: Some("why they were refused is not known"),
    }
    .into()
}
