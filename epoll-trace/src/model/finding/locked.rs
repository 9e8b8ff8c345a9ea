//! Where epoll's own locks hurt: D14, D15, D16, D18.

use super::super::entry::Entry;
use super::super::histogram::Quantile;
use super::super::locks::LockEntry;
use super::super::readers::READERS;
use super::super::snapshot::{Counter, EpollCounter, EpollId, LockKind, LockPath, Metric};
use super::{Amount, Diagnosis, Judgement, Limit, Raised, Rule, Scene, Severity, evidence};

pub(super) static D14: Diagnosis = Diagnosis {
    id: "D14",
    name: "contention on the ready list",
    means: "Many CPUs bring events to one epoll at once, and each notification must have ep->lock. Who waits for it spins: the CPU does \
            nothing else, be it in the network stack or in a writer's system call.",
    measured: "Waits for ep->lock by everybody, with their times. With kprobes and tracepoints alone the first who waits is not seen, and in some \
               virtual machines nobody is: where no trouble is found then, it counts as not checked.",
    severity: "warn: a p99 of more than {lock-p99-us} us",
    false_alarm: "On a virtual machine the holder's CPU may have been taken away (steal), and everybody spins until it is back. Steal is \
                  not read here.",
    remedy: "An epoll for each thread in place of one for all.",
    price: "An event no longer goes to whoever is free, so work may pile up at one thread.",
    source: "the kernel's commit 0c43094f8cc9; measured: perf bench epoll wait, 4 threads, 143 against 231 thousand operations/s",
    command: "locks",
    needs: &["lock"],
    rule: Rule::Lock(LockKind::Lock, ready_list),
};

fn ready_list(lock: &LockEntry, scene: &Scene<'_>) -> Judgement {
    if let Some(few) = scene.few(lock.count()) {
        return few;
    }
    let p99 = lock.waited.percentile(Quantile::P99).unwrap_or(0);
    if p99 <= scene.limits.micros(Limit::LockP99) {
        return Judgement::Calm;
    }
    Raised {
        severity: Severity::Warn,
        evidence: evidence([
            ("wait_p99_ns", Amount::Nanos(p99)),
            ("waits_per_s", Amount::Rate(scene.per_second(lock.count()))),
            ("waited_ns", Amount::Nanos(lock.sum_ns())),
        ]),
        sentence: format!(
            "{} waits for the lock of its ready list, of which 1 % take more than {:.0} us.",
            lock.count(),
            p99 as f64 / 1e3
        ),
        samples: lock.count(),
        caveat: Some("on a virtual machine it may be time in which the host took CPUs away"),
    }
    .into()
}

pub(super) static D15: Diagnosis = Diagnosis {
    id: "D15",
    name: "contention on the epoll's mutex",
    means: "Threads in epoll_wait, epoll_ctl or close wait for ep->mtx, which only one may have while it scans or changes the epoll.",
    measured: "Waits for ep->mtx with their times, and those within epoll_wait as a part of all its waiters' time.",
    severity: "warn: more than {mutex-share} of the waiters' time, or a p99 of more than {mutex-p99-us} us",
    false_alarm: "A scan that copies events into memory that is not there yet holds the mutex while the page comes.",
    remedy: "Fewer threads in epoll_wait on one epoll, a smaller maxevents, or several epolls.",
    price: "Fewer waiters may answer later; a smaller maxevents is more system calls; several epolls divide the work once and for all.",
    source: "golang/go#65064 (192 cores); dotnet/runtime#35800",
    command: "locks",
    needs: &["mutex"],
    rule: Rule::Lock(LockKind::Mutex, mutex),
};

/// Part of the time of an epoll's waiters that they wait for its mutex; `None` where their time is not known.
fn waited_share(lock: &LockEntry, scene: &Scene<'_>) -> Option<f64> {
    let entry = scene.epoll(lock.epoll)?;
    let time = entry.counter(Counter::BusyNs)? + entry.counter(Counter::WaitingNs)?;
    let waited = lock.paths[LockPath::Wait as usize].sum_ns;
    (time > 0).then(|| waited as f64 / time as f64)
}

fn mutex(lock: &LockEntry, scene: &Scene<'_>) -> Judgement {
    if let Some(few) = scene.few(lock.count()) {
        return few;
    }
    let p99 = lock.waited.percentile(Quantile::P99).unwrap_or(0);
    let share = waited_share(lock, scene);
    let large = share.is_some_and(|share| share > scene.limit(Limit::MutexShare));
    if !large && p99 <= scene.limits.micros(Limit::MutexP99) {
        return Judgement::Calm;
    }
    Raised {
        severity: Severity::Warn,
        evidence: evidence([
            ("waited_share", share.map_or(Amount::Unknown, Amount::Share)),
            ("wait_p99_ns", Amount::Nanos(p99)),
            ("waits_per_s", Amount::Rate(scene.per_second(lock.count()))),
        ]),
        sentence: format!(
            "{} waits for its mutex, of which 1 % take more than {:.0} us.",
            lock.count(),
            p99 as f64 / 1e3
        ),
        samples: lock.count(),
        caveat: None,
    }
    .into()
}

pub(super) static D16: Diagnosis = Diagnosis {
    id: "D16",
    name: "events during scans",
    means: "Many events come while a scan is running. They go to the overflow list, and the scan's end must move them to the ready list \
            with the lock held. By itself that is cheap; with long scans or a contended lock it makes both worse.",
    measured: "Notifications that find a scan in progress, of all; the length of scans; and D14 and D15 of the same epoll.",
    severity: "warn: more than {overflow-share} of the notifications, together with D14, D15 or a p99 of the scans of more than \
               {overflow-scan-us} us",
    false_alarm: "Above a hundred thousand events per second it is normal.",
    remedy: "Shorter scans by a smaller maxevents, or several epolls.",
    price: "A smaller maxevents is more system calls; several epolls divide the work once and for all.",
    source: "Davidlohr Bueso's talks on epoll's scaling, 2019",
    command: "epolls",
    needs: &["ovf_notifications", "notifications", "scan"],
    rule: Rule::Epoll(overflow),
};

fn overflow(entry: &Entry, scene: &Scene<'_>) -> Judgement {
    let counts = entry
        .epoll_counter(EpollCounter::NotificationsInScan)
        .zip(entry.epoll_counter(EpollCounter::Notifications));
    let Some((during, all)) = counts else {
        return Judgement::Unknown("its notifications were counted with another epoll");
    };
    if let Some(few) = scene.few(all) {
        return few;
    }
    let share = during as f64 / all as f64;
    let p99 = entry.percentile(Metric::Scan, Quantile::P99);
    let long = p99.is_some_and(|p99| p99 > scene.limits.micros(Limit::OverflowScan));
    if share <= scene.limit(Limit::OverflowShare) || !(long || contended(entry, scene)) {
        return Judgement::Calm;
    }
    Raised {
        severity: Severity::Warn,
        evidence: evidence([
            ("in_scan_share", Amount::Share(share)),
            ("scan_p99_ns", p99.map_or(Amount::Unknown, Amount::Nanos)),
            ("in_scan_per_s", Amount::Rate(scene.per_second(during))),
        ]),
        sentence: format!(
            "{:.0} % of {all} notifications came while a scan was running.",
            share * 100.0
        ),
        samples: all,
        caveat: None,
    }
    .into()
}

/// Whether D14 or D15 holds of one of its locks.
fn contended(entry: &Entry, scene: &Scene<'_>) -> bool {
    let mut own = scene.locks.iter().filter(|lock| lock.epoll == entry.key);
    own.any(|lock| {
        let judgement = match lock.kind {
            LockKind::Lock => ready_list(lock, scene),
            LockKind::Mutex => mutex(lock, scene),
            LockKind::Source => return false,
        };
        matches!(judgement, Judgement::Raised(_))
    })
}

pub(super) static D18: Diagnosis = Diagnosis {
    id: "D18",
    name: "somebody reads the epoll's fdinfo",
    means: "Whoever reads fdinfo of an epoll holds ep->mtx for as long as it takes to list all its files: 1 ms for 1,000. The loop and \
            everybody in epoll_ctl wait for so long.",
    measured: "The time that the kernel takes to write an epoll's fdinfo, for each process that reads it; this tool's own reads are left \
               out. One read of a long list is several, since the kernel begins again each time that its buffer is too small.",
    severity: "warn: one took {reader-us} us or more; this needs no number of samples",
    false_alarm: "The time in which the reader itself waits for ep->mtx is part of it: where D15 holds too, the reader may be the one who \
                  suffers.",
    remedy: "Have the agent that reads it do so more rarely, or not for epolls; or watch fewer files with each epoll.",
    price: "The agent knows less.",
    source: "tokio-rs/tokio#8450 (requests time out every five minutes); measured: 10,000 files take 8.6 ms, and stop epoll_ctl for 8.2",
    command: "locks",
    needs: &[READERS],
    rule: Rule::Epoll(reader),
};

fn reader(entry: &Entry, scene: &Scene<'_>) -> Judgement {
    let id = entry.key.epoll.and_then(|epoll| epoll.id);
    let id = id.unwrap_or(EpollId::closed_of(entry.key.pid));
    let all = scene.window.counted.readers.iter();
    let own = all.filter(|reader| reader.epoll == id && reader.took.count() > 0);
    let Some(worst) = own.max_by_key(|reader| reader.took.max()) else {
        return Judgement::Calm;
    };
    let longest = worst.took.max().unwrap_or(0);
    if longest < scene.limits.micros(Limit::ReaderMost) {
        return Judgement::Calm;
    }
    let waits = entry.epoll_counter(EpollCounter::MutexWaits);
    Raised {
        severity: Severity::Warn,
        evidence: evidence([
            ("longest_read_ns", Amount::Nanos(longest)),
            ("reads", Amount::Count(worst.took.count())),
            ("mutex_waits", waits.map_or(Amount::Unknown, Amount::Count)),
        ]),
        sentence: format!(
            "Process {} ({}) reads its fdinfo: {} times, the longest for {:.1} ms, and nobody else gets its mutex meanwhile.",
            worst.pid,
            worst.name.escape_debug(),
            worst.took.count(),
            longest as f64 / 1e6
        ),
        samples: worst.took.count(),
        caveat: Some("the time in which the reader waits for the mutex itself is part of it"),
    }
    .into()
}
