//! What `demo` shows: loads in pairs, one with the trouble and one without, what to look at in each, and what the change costs.

/// One load of a demonstration.
#[derive(Clone, Copy, Debug)]
pub struct Act {
    /// What runs, in a sentence.
    pub scene: &'static str,
    /// The load, as words behind `epoll-trace bench`.
    pub load: &'static str,
    /// What makes it take some seconds, for text.
    pub short: &'static str,
    /// What makes it take a minute, for `top`.
    pub long: &'static str,
    /// What to look at in the text.
    pub look: &'static str,
    /// What to look at in `top`.
    pub look_at_top: &'static str,
}

/// A demonstration.
#[derive(Clone, Copy, Debug)]
pub struct Demo {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it shows, in a line.
    pub about: &'static str,
    /// The command that shows it in text, with its options.
    pub view: &'static str,
    /// `top` with what its screens need to show it.
    pub top: &'static str,
    /// The trouble, then the cure.
    pub acts: [Act; 2],
    /// What the cure costs.
    pub price: &'static str,
}

impl Demo {
    /// The demonstration called `name`.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        DEMOS.iter().find(|demo| demo.name == name)
    }
}

/// All of them.
pub const DEMOS: &[Demo] = &[
    Demo {
        name: "herd",
        about: "four workers woken for each connection, and one with EPOLLEXCLUSIVE",
        view: "herd",
        top: "top --measure herd,findings",
        acts: [
            Act {
                scene: "Four processes watch one listener, each with an epoll of its own.",
                load: "scenario herd-tcp --waiters 4 --rate 250 --quiet",
                short: "--events 1000",
                long: "--events 15000",
                look: "woken per event 4.00: a connection makes all four run, and one of them gets it. EMPTY are wakeups that found \
                       nothing. Most of those never return from epoll_wait, so strace does not see them.",
                look_at_top: "3 shows the listener: FAN-OUT and WOKEN are 4.0, and Enter whom it wakes. After ten seconds 5 has the \
                              finding, D01, with what to do about it. On 1 the waiters have the same WAKE/s and far fewer WAITS/s: \
                              most wakeups found nothing and slept again inside the kernel.",
            },
            Act {
                scene: "The same load, the listener added with EPOLLEXCLUSIVE.",
                load: "scenario herd-tcp-exclusive --waiters 4 --rate 250 --quiet",
                short: "--events 1000",
                long: "--events 15000",
                look: "woken per event 1.00, no EMPTY.",
                look_at_top: "on 3 WOKEN is 1.0. On 1 one waiter has all of WAKE/s, as many WAITS/s, and three sleep: 5 says that too.",
            },
        ],
        price: "Price: the kernel always begins with the same waiter. As long as that one keeps up it gets everything. \
                That is cheap for the caches, and bad where connections live long.",
    },
    Demo {
        name: "locks",
        about: "eight threads that fight for one epoll, and eight epolls",
        view: "locks",
        top: "top --measure locks",
        acts: [
            Act {
                scene: "Eight threads wait on one epoll, as fast as they can.",
                load: "wait -t 8 -f 8",
                short: "-r 3",
                long: "-r 60",
                look: "many waits for a mutex: each epoll_wait that copies events out holds ep->mtx, and the others wait for it.",
                look_at_top: "4 shows the mutex, and how long it was waited for.",
            },
            Act {
                scene: "The same with an epoll for each thread.",
                load: "wait -t 8 -f 8 --multiq",
                short: "-r 3",
                long: "-r 60",
                look: "no waits, or few: each thread has its own locks.",
                look_at_top: "4 stays as good as empty, and on 1 there are more WAITS/s.",
            },
        ],
        price: "Price: a connection stays with the thread it was given to, so a slow one holds up only its own thread's others, and load \
                must be spread by whoever accepts.",
    },
    Demo {
        name: "slow",
        about: "events that wait for a busy loop, and a loop that is quick",
        view: "hist --metric queue,wakeup",
        top: "top --measure queue",
        acts: [
            Act {
                scene: "A loop works 20 ms on each event, and the next one comes meanwhile.",
                load: "scenario slow-handler --quiet",
                short: "--events 50",
                long: "--events 1500",
                look: "queue: events lay ready for about 20 ms while nobody waited. It is the loop, not the scheduler.",
                look_at_top: "QUEUE99 of about 20 ms and hardly any WAKE/s: the loop never sleeps when an event comes, so there is no \
                              wakeup to measure.",
            },
            Act {
                scene: "A loop that is back before the next event.",
                load: "scenario pipe-lt --rate 100 --quiet",
                short: "--events 300",
                long: "--events 6000",
                look: "no queue: each event found the loop asleep, so its time is all wakeup.",
                look_at_top: "WAKE/s as high as WAITS/s, and times of microseconds.",
            },
        ],
        price: "Price: what takes long must go to another thread, with a queue between, and that queue wants a bound.",
    },
    Demo {
        name: "spin",
        about: "a loop that never reads what it is told of, and one that does",
        view: "epolls",
        top: "top",
        acts: [
            Act {
                scene: "One byte is sent, and a level-triggered loop leaves it unread.",
                load: "scenario unread-level --quiet",
                short: "--events 200000",
                long: "--events 20000000",
                look: "WAITS/s in the thousands for one byte: epoll_wait returns at once, again and again.",
                look_at_top: "WAITS/s in the thousands, WAKE/s near none: it never sleeps.",
            },
            Act {
                scene: "The same kind of loop, which reads: 1,000 bytes.",
                load: "scenario pipe-lt --rate 250 --quiet",
                short: "--events 1000",
                long: "--events 15000",
                look: "WAITS/s as many as bytes were sent.",
                look_at_top: "WAITS/s and WAKE/s at 250.",
            },
        ],
        price: "Price: none. Read until EAGAIN, or take the interest away with EPOLL_CTL_MOD until there is room for the data.",
    },
];
