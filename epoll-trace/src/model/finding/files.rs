//! What takes a look at each file, or at each reader, which nothing here takes yet: D04 to D08, D18.
//! They stand in the table so that a report says what it did not look for.

use super::{Diagnosis, Rule};

pub(super) static D04: Diagnosis = Diagnosis {
    id: "D04",
    name: "uneven SO_REUSEPORT listeners",
    means: "Each worker has a listener of its own on one port, and the kernel chooses by the addresses of the connection. One accept \
            queue fills up behind a busy worker while others are empty.",
    measured: "It would take the accept queue and the accepts of each listener on one port.",
    severity: "warn: one queue is four times the median and its worker is busy for nine tenths of its time",
    false_alarm: "Few clients with long connections are spread badly by chance: it takes some thirty connections per listener to tell.",
    remedy: "Choose the listener by a BPF program, or let all workers share one listener.",
    price: "A shared listener brings back D01 or D03; a BPF program must be written and kept.",
    source: "Alibaba's Hermes, SIGCOMM 2025; cloudflare-blog 2017-10-accept-balancing",
    command: "herd",
    needs: &[],
    rule: Rule::NotYet("accept queues of listeners on one port are not compared yet"),
};

pub(super) static D05: Diagnosis = Diagnosis {
    id: "D05",
    name: "one file starves the others",
    means: "A loop reads one busy file on and on, and events of all its other files wait meanwhile.",
    measured: "It would take times for each watched file. Here they are kept for each epoll; that a loop is away for long is D20.",
    severity: "warn: the other files' p99 is ten times their median while one file takes four fifths of the loop's time",
    false_alarm: "A file may be busy for good reason, as a tunnel is.",
    remedy: "Read at most so many bytes, or accept so many connections, before the next file's turn.",
    price: "With EPOLLET the program must remember itself which files it has not finished.",
    source: "gunicorn#2266; mio#45",
    command: "hist -E --metric queue,busy",
    needs: &[],
    rule: Rule::NotYet("times are kept for each epoll, not for each watched file"),
};

pub(super) static D06: Diagnosis = Diagnosis {
    id: "D06",
    name: "an edge-triggered event was lost",
    means: "A file watched with EPOLLET was not read until EAGAIN. What is left waits for an event that does not come: connections or \
            data lie there while the loop sleeps.",
    measured: "It would take a look at what sockets hold while their epoll is quiet.",
    severity: "warn: something to read for a second, and the loop asleep",
    false_alarm: "A program may have stopped reading on purpose, to slow its peer down.",
    remedy: "Read or accept until EAGAIN after each event, or arm the file again by EPOLL_CTL_MOD, which tells at once what is ready.",
    price: "One call per event that finds nothing, or one call of epoll_ctl.",
    source: "sipwise/rtpengine#346; measured: 5 connects and one accept leave 4, and later connects free one each",
    command: "epolls",
    needs: &[],
    rule: Rule::NotYet("what sockets hold is not looked at yet"),
};

pub(super) static D07: Diagnosis = Diagnosis {
    id: "D07",
    name: "one file in two threads",
    means: "An event of a connection goes to a second thread while the first is still at it: both read, and the stream is torn.",
    measured: "It would take which thread got which file, delivery by delivery.",
    severity: "warn: one of a thousand deliveries",
    false_alarm: "Listeners and datagrams may be shared; and the program may hold a lock of its own.",
    remedy: "EPOLLONESHOT, armed again by EPOLL_CTL_MOD when the thread is done, or an epoll for each thread.",
    price: "One call of epoll_ctl per event; or work no longer goes to whoever is free.",
    source: "piscisaureus/wepoll#28; Davidlohr Bueso's talks on epoll, 2019",
    command: "hist -E --counters",
    needs: &[],
    rule: Rule::NotYet("which thread got which file is not followed"),
};

pub(super) static D08: Diagnosis = Diagnosis {
    id: "D08",
    name: "events of a closed file",
    means: "A descriptor was closed without EPOLL_CTL_DEL while a copy of it is still open, in a child or by dup. The epoll goes on to \
            report it, nobody can remove it, and its number may belong to another file by now.",
    measured: "It would take a comparison of what an epoll watches with what its process has open.",
    severity: "warn: any; crit if it also spins (D11)",
    false_alarm: "A descriptor may be handed to a child on purpose.",
    remedy: "EPOLL_CTL_DEL before close; and descriptors that children do not inherit.",
    price: "One call of epoll_ctl more per file.",
    source: "h2o/h2o#1100; measured: 1000 of 1000 waits return the closed file, and EPOLL_CTL_DEL gives EBADF",
    command: "epolls",
    needs: &[],
    rule: Rule::NotYet("what epolls watch is not compared with open files yet"),
};

pub(super) static D18: Diagnosis = Diagnosis {
    id: "D18",
    name: "somebody reads the epoll's fdinfo",
    means: "Whoever reads fdinfo of an epoll holds ep->mtx for as long as it takes to list all its files: 1 ms for 1,000. The loop and \
            everybody in epoll_ctl wait for so long.",
    measured: "It would take the time of each such read, and who reads.",
    severity: "warn: a read of more than 1 ms",
    false_alarm: "This tool reads it once, at its start; --no-fdinfo leaves that out.",
    remedy: "Have the agent that reads it do so more rarely, or not for epolls; or watch fewer files with each epoll.",
    price: "The agent knows less.",
    source: "tokio-rs/tokio#8450 (requests time out every five minutes)",
    command: "locks",
    needs: &[],
    rule: Rule::NotYet("reads of fdinfo are not timed yet"),
};
