//! Events that were lost, told by what edge-triggered files keep: D06.

use super::super::entry::Entry;
use super::super::look::{Kept, Left, LookedAt, Unseen, WATCHED_FILES};
use super::super::source::SOURCES;
use super::files::{BY_URING, by_uring};
use super::looked::seen;
use super::{Amount, Diagnosis, Judgement, Limit, Raised, Rule, Scene, Severity, evidence};

pub(super) static D06: Diagnosis = Diagnosis {
    id: "D06",
    name: "an edge-triggered event was lost",
    means: "A file watched with EPOLLET was not used up: a connection was not read, or a listener not accepted from, until EAGAIN. What is \
            left waits for an event that does not come: the loop sleeps, and if the other end waits for its reply, both wait for ever.",
    measured: "At the end one look at what edge-triggered files keep: connections in the accept queues of TCP listeners, unread bytes of TCP \
               connections. No event of the file was delivered or notified for some time, a thread sleeps in epoll_wait on that epoll, and \
               the thread that got the last event of a connection waits again too (not known of one from before the start). Of two files that got the same word by epoll_ctl \
               the one with the later event counts for both. A file that is disarmed (EPOLLONESHOT), or not asked for input, is left out; so is a \
               connection whose own peer has not taken all that was written to it. Unix sockets, datagram sockets and pipes cannot be looked \
               into: /proc does not tell what they hold.",
    severity: "warn: connections or bytes that wait for {lost-quiet-ms} ms without an event, and the loop asleep; this needs no number of \
               samples; info: of bytes, while peers of other connections of this epoll have not taken all that was written to them",
    false_alarm: "A program may have stopped on purpose: at its limit of connections, or as a proxy that reads no more than the other side takes. \
                  It may never read what it does not expect on a connection that it only writes to; a thread that does not wait on this epoll may \
                  be at work on it, as runtimes do that hand connections to other threads; or it wants more bytes at once (SO_RCVLOWAT).",
    remedy: "Read or accept until EAGAIN after each event; or remember that the file was not used up, and go on with it before the next wait; \
             or arm it again by EPOLL_CTL_MOD, which tells at once what is ready.",
    price: "One call per event that finds nothing, or one call of epoll_ctl; and a file that never ends to be ready needs a limit, else it \
            starves the others (D05).",
    source: "sipwise/rtpengine#346; vibe-d/eventcore#20; measured: 5 connects and one accept leave 4, and later connects free one each",
    command: "herd --all",
    needs: &[SOURCES, WATCHED_FILES],
    rule: Rule::Epoll(lost),
};

fn lost(entry: &Entry, scene: &Scene<'_>) -> Judgement {
    let looked = match seen(entry, scene) {
        Ok(looked) => looked,
        Err(unknown) => return unknown,
    };
    let patience = scene.limits.millis(Limit::LostQuiet);
    let is_lost = |left: &&Left| left.idle && left.quiet_ns >= patience;
    let lost: Vec<&Left> = looked.left.iter().filter(is_lost).collect();
    // A listener has one explanation less.
    let worst = lost
        .iter()
        .max_by_key(|left| (left.kept == Kept::Connections, left.queue));
    match (worst, looked.unseen) {
        (Some(worst), _) => raised(worst, lost.len(), looked).into(),
        (None, Some(Unseen { why, .. })) => Judgement::Unknown(why),
        // Who waits there sleeps in another system call.
        (None, None) if !looked.left.is_empty() && by_uring(entry, 0) => Judgement::Unknown(BY_URING),
        (None, None) => Judgement::Calm,
    }
}

/// Of `count` files `worst` keeps most.
fn raised(worst: &Left, count: usize, looked: &LookedAt) -> Raised {
    let (what, queue, severity, caveat) = match worst.kept {
        Kept::Connections => (
            "connections wait",
            "accept_queue",
            Severity::Warn,
            "the program may have stopped accepting on purpose",
        ),
        Kept::Bytes if looked.unsent > 0 => (
            "bytes wait unread",
            "unread_bytes",
            Severity::Info,
            "peers of other connections have not taken all that was written to them: reading may have stopped until they do",
        ),
        Kept::Bytes => (
            "bytes wait unread",
            "unread_bytes",
            Severity::Warn,
            "the program may have stopped reading on purpose, or a thread that does not wait on this epoll may be at it",
        ),
    };
    let mut sentence = format!(
        "{} {what} at {} (descriptor {}); for {:.1} s at least no event of it came, and the loop sleeps.",
        worst.queue,
        worst.address,
        worst.fd,
        worst.quiet_ns as f64 / 1e9
    );
    if count > 1 {
        sentence += &format!(" {} of its files are like that.", count);
    }
    if let Some(unseen) = looked.unseen {
        sentence += &format!(" {} of its files could not be looked into.", unseen.files);
    }
    Raised {
        severity,
        evidence: evidence([
            (queue, Amount::Count(worst.queue)),
            ("quiet_ns", Amount::Nanos(worst.quiet_ns)),
            ("fd", Amount::Count(worst.fd.cast_unsigned().into())),
        ]),
        sentence,
        samples: worst.queue,
        caveat: Some(caveat),
    }
}
