//! Who of several listeners at one address has the queue: D04.

use super::super::herds::Worker;
use super::super::reuseport::Group;
use super::{Amount, Diagnosis, Judgement, Limit, Raised, Rule, Scene, Severity, evidence};

pub(super) static D04: Diagnosis = Diagnosis {
    id: "D04",
    name: "uneven SO_REUSEPORT listeners",
    means: "Each worker has a listener of its own on one port, and the kernel chooses by the addresses of the connection. One accept \
            queue fills up behind a busy worker while others are empty.",
    measured: "The accept queues of all listeners at one address at the end, and the part of its time that the worker behind the \
               longest one is busy. A median below 1 counts as 1. A worker that did not come back to epoll_wait at all is not known to \
               be busy.",
    severity: "warn: one queue is more than {skew-queue} times the median, its worker is busy for {skew-busy} of its time, and there \
               were {skew-each} connections per listener",
    false_alarm: "Few clients with long connections are spread badly by chance. A queue is looked at once: a burst may just have come.",
    remedy: "Choose the listener by a BPF program, or let all workers share one listener.",
    price: "A shared listener brings back D01 or D03; a BPF program must be written and kept.",
    source: "Alibaba's Hermes, SIGCOMM 2025; cloudflare-blog 2017-10-accept-balancing",
    command: "herd",
    needs: &["sources", "busy_ns", "waiting_ns"],
    rule: Rule::Group(uneven),
};

fn uneven(group: &Group, scene: &Scene<'_>) -> Judgement {
    let (listeners, connections) = (group.sockets.len(), group.connections());
    if let Some(few) = scene.few(connections) {
        return few;
    }
    if (connections as f64) < scene.limit(Limit::SkewEach) * listeners as f64 {
        return Judgement::Unknown("there were too few connections for so many listeners");
    }
    let Some(fullest) = group.fullest() else {
        return Judgement::Calm;
    };
    let (queue, median) = (fullest.queue, group.median_queue());
    if queue as f64 <= scene.limit(Limit::SkewQueue) * median.max(1) as f64 {
        return Judgement::Calm;
    }
    let workers = fullest.herd.iter().flat_map(|herd| &herd.workers);
    let busiest = workers.filter_map(Worker::utilization).max_by(f64::total_cmp);
    let Some(busy) = busiest else {
        return Judgement::Unknown("how busy the worker behind the longest queue is is not known");
    };
    if busy < scene.limit(Limit::SkewBusy) {
        return Judgement::Calm;
    }
    Raised {
        severity: Severity::Warn,
        evidence: evidence([
            ("longest_queue", Amount::Count(queue)),
            ("median_queue", Amount::Count(median)),
            ("worker_busy_share", Amount::Share(busy)),
        ]),
        sentence: format!(
            "Of {listeners} listeners at one address one keeps {queue} connections waiting, the median {median}; its worker is busy \
             for {:.0} % of its time.",
            busy * 100.0
        ),
        samples: connections,
        caveat: None,
    }
    .into()
}
