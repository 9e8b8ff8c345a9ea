//! What each delivered file tells: D05, D07.

use super::super::entry::Entry;
use super::super::files::{FILE_TIMES, FILES, File, Seen};
use super::super::histogram::{Histogram, Quantile};
use super::super::snapshot::{Counter, EpollCounter, EpollId};
use super::{Amount, Diagnosis, Judgement, Limit, Raised, Rule, Scene, Severity, evidence};

pub(super) const BY_URING: &str = "it is waited on through io_uring, which returns events elsewhere";
const UNTOLD: &str = "most of its events cannot be told apart: several files have the same word in epoll_event.data, or nothing told \
                      which file has which";

/// What deliveries of an epoll are found under.
fn id(entry: &Entry) -> EpollId {
    let id = entry.key.epoll.and_then(|epoll| epoll.id);
    id.unwrap_or(EpollId::closed_of(entry.key.pid))
}

/// Whether io_uring delivers more than `deliveries`, which were looked at.
pub(super) fn by_uring(entry: &Entry, deliveries: u64) -> bool {
    let events = entry.epoll_counter(EpollCounter::UringEvents);
    events.is_some_and(|events| events > deliveries)
}

/// What a file is called in a sentence.
fn name(file: &File) -> String {
    match file.seen {
        Some(Seen { fd, .. }) => format!("descriptor {fd}"),
        None => format!("the file of the word {:#x}", file.id.data),
    }
}

pub(super) static D05: Diagnosis = Diagnosis {
    id: "D05",
    name: "one file starves the others",
    means: "While the loop is at one file, the events of all its other files wait: most of them for a moment, some for as long as that \
            file takes. It is those that suffer; that the file is to blame is not said.",
    measured: "From a file's first notification to the return of epoll_wait that delivers it; and the time from a return that holds one \
               file alone to the thread's next wait, which is that file's. Which files a return holds is read back from the program's \
               memory, up to 16 of them, by the word that epoll_ctl got for each. Where several files are returned at once it is not known \
               which of them takes how long: that time counts for none, or, where a file was alone ten times at least, by what it \
               took then.",
    severity: "warn: one file takes more than {starve-share} of the loop's time, and 1 % of the events of the others wait more than \
               {starve-times} times their median and {starve-p99-us} us",
    false_alarm: "A file may be busy for good reason, as a tunnel is; then the others need a loop of their own.",
    remedy: "Read at most so many bytes, or accept so many connections, before the next file's turn.",
    price: "More rounds of the loop; and with EPOLLET the program must remember itself which files it has not finished.",
    source: "gunicorn#2266; mio#45",
    command: "hist -E --metric busy,queue",
    needs: &[FILES, FILE_TIMES, "busy_ns"],
    rule: Rule::Epoll(starved),
};

/// So many rounds tell what a file takes when it is alone.
const ROUNDS: u64 = 10;

fn starved(entry: &Entry, scene: &Scene<'_>) -> Judgement {
    let (delivered, own) = (&scene.window.counted.delivered, id(entry));
    let sums = delivered.sums_of(own);
    let deliveries = sums.map_or(0, |sums| sums.deliveries);
    if by_uring(entry, deliveries) {
        return Judgement::Unknown(BY_URING);
    }
    let (unclear, clear): (Vec<&File>, Vec<&File>) = delivered.of(own).partition(|file| file.ambiguous);
    let busiest = clear.into_iter().max_by_key(|file| file.alone_ns);
    let (Some(busiest), Some(sums)) = (busiest, sums) else {
        return scene.few(deliveries).unwrap_or(Judgement::Unknown(UNTOLD));
    };
    let others = sums.waited.minus(&busiest.waited);
    let samples = others.count();
    if let Some(few) = scene.few(samples) {
        return few;
    }
    let Some((median, late)) = apart(&others, scene) else {
        return Judgement::Calm;
    };
    let busy = entry.counter(Counter::BusyNs).unwrap_or(0);
    let unclear_ns = sums.shared_ns + unclear.iter().map(|file| file.alone_ns).sum::<u64>();
    let (share, sure) = match share(busiest, unclear_ns, busy, scene.limit(Limit::StarveShare)) {
        Share::Below => return Judgement::Calm,
        Share::Untold => {
            return Judgement::Unknown(
                "which file takes the time is not known: most returns hold several, or one of several with the same word",
            );
        }
        Share::Above { share, sure } => (share, sure),
    };
    Raised {
        severity: Severity::Warn,
        evidence: evidence([
            ("busiest_share", Amount::Share(share)),
            ("others_p99_ns", Amount::Nanos(late)),
            ("others_p50_ns", Amount::Nanos(median)),
        ]),
        sentence: format!(
            "While the loop is at {} ({}), {:.0} % of its time, the others wait: half of their events {:.2} ms or less, 1 % of them \
             {:.1} ms or more.",
            name(busiest),
            trigger(busiest),
            share * 100.0,
            median as f64 / 1e6,
            late as f64 / 1e6
        ),
        samples,
        caveat: (!sure)
            .then_some("most of its time is estimated: it was returned with others, and counts as what it takes alone"),
    }
    .into()
}

/// How an event of it is told.
fn trigger(file: &File) -> &'static str {
    match file.seen {
        Some(seen) if seen.is_edge() => "edge-triggered",
        Some(_) => "level-triggered",
        None => "not seen being added",
    }
}

/// Median and p99 of the times that the `others` wait, ns, if they are far enough apart. Times are known to a power of two: of both it is
/// the edge that makes them less far apart.
fn apart(others: &Histogram, scene: &Scene<'_>) -> Option<(u64, u64)> {
    let median = others.percentile(Quantile::P50)?;
    let late = others.percentile(Quantile::P99)?.div_ceil(2);
    let apart = late as f64 > scene.limit(Limit::StarveTimes) * median as f64;
    (apart && late > scene.limits.micros(Limit::StarveP99)).then_some((median, late))
}

/// How much of a loop's time a file takes.
#[derive(Debug, PartialEq)]
enum Share {
    Below,
    Above { share: f64, sure: bool },
    Untold,
}

/// Whether `file` takes more than `limit` of `busy` ns: by the rounds that were its own, else by these for all that it was in. Whose
/// `unclear_ns` of them were nobody knows.
fn share(file: &File, unclear_ns: u64, busy: u64, limit: f64) -> Share {
    let part = |ns: f64| ns / (busy.max(1) as f64);
    let own = part(file.alone_ns as f64);
    let most = part((file.alone_ns + unclear_ns) as f64);
    if own > limit {
        return Share::Above {
            share: own.min(1.0),
            sure: true,
        };
    }
    if most <= limit {
        return Share::Below;
    }
    if file.alone < ROUNDS {
        return Share::Untold;
    }
    let each = file.alone_ns as f64 / file.alone as f64;
    let share = part(each * file.deliveries as f64).min(most).min(1.0);
    if share > limit {
        Share::Above { share, sure: false }
    } else {
        Share::Below
    }
}

pub(super) static D07: Diagnosis = Diagnosis {
    id: "D07",
    name: "one file in two threads",
    means: "An event of a connection goes to a second thread while the first is still at it: both read, and the stream is torn.",
    measured: "Deliveries of a connected stream socket to another thread than the one before, which has not come back to a wait since. Which \
               files a return holds is read back from the program's memory, up to 16 of them, by the word that epoll_ctl got for each; \
               what file that is, epoll_ctl and notifications tell. Two files of one epoll with the same word cannot be told apart, and are \
               left out.",
    severity: "warn: {torn-share} of the deliveries of connected stream sockets",
    false_alarm: "The first thread may have been done with the file and busy with something else; or the program holds a lock of its own.",
    remedy: "EPOLLONESHOT, armed again by EPOLL_CTL_MOD when the thread is done; or an epoll for each thread, with EPOLLET or without.",
    price: "One call of epoll_ctl per event; or work no longer goes to whoever is free.",
    source: "piscisaureus/wepoll#28; Davidlohr Bueso's talks on epoll, 2019",
    command: "hist -E --counters",
    needs: &[FILES],
    rule: Rule::Epoll(two_threads),
};

fn two_threads(entry: &Entry, scene: &Scene<'_>) -> Judgement {
    let (delivered, own) = (&scene.window.counted.delivered, id(entry));
    let all = delivered.sums_of(own).map_or(0, |sums| sums.deliveries);
    if by_uring(entry, all) {
        return Judgement::Unknown(BY_URING);
    }
    if let Some(few) = scene.few(all) {
        return few;
    }
    let told = delivered.of(own).filter(|file| !file.ambiguous);
    let sum = |wanted: fn(Seen) -> bool| -> u64 {
        let files = told.clone().filter(|file| file.seen.is_some_and(wanted));
        files.map(|file| file.deliveries).sum()
    };
    let (streams, others) = (sum(|seen| seen.stream), sum(|seen| !seen.stream));
    if (streams as f64) < scene.limit(Limit::Samples) {
        // What can be shared by threads is no matter of this one.
        let untold = all.saturating_sub(streams + others);
        return if untold > others {
            Judgement::Unknown(UNTOLD)
        } else if streams == 0 {
            Judgement::Calm
        } else {
            Judgement::TooFew(streams)
        };
    }
    let torn = told.filter(|file| file.seen.is_some_and(|seen| seen.stream) && file.overlaps > 0);
    let overlaps: u64 = torn.clone().map(|file| file.overlaps).sum();
    let share = overlaps as f64 / streams as f64;
    let Some(worst) = torn
        .max_by_key(|file| file.overlaps)
        .filter(|_| share >= scene.limit(Limit::TornShare))
    else {
        return Judgement::Calm;
    };
    Raised {
        severity: Severity::Warn,
        evidence: evidence([
            ("overlaps", Amount::Count(overlaps)),
            ("overlap_share", Amount::Share(share)),
            ("stream_deliveries", Amount::Count(streams)),
        ]),
        sentence: format!(
            "{overlaps} of {streams} events of connected sockets went to a second thread while the first had not come back to wait; {} of \
             them were of {}.",
            worst.overlaps,
            name(worst)
        ),
        samples: streams,
        caveat: Some("the program may hold a lock of its own, or the first thread have been done with the file"),
    }
    .into()
}
