//! What takes knowledge of each delivered file, which nothing here has: D05, D07.
//! They stand in the table so that a report says what it did not look for.

use super::{Diagnosis, Rule};

pub(super) static D05: Diagnosis = Diagnosis {
    id: "D05",
    name: "one file starves the others",
    means: "A loop reads one busy file on and on, and events of all its other files wait meanwhile.",
    measured: "It would take, of each event, when its file became ready, when it was returned, and when the program was done with it. Times \
               are kept for each epoll, and which files a delivery returns is not seen: the kernel writes them into the program's own \
               memory, and has no hook for each. Reading them back would cost every delivery of every loop; and when a program is done \
               with one file and turns to the next, no system call of epoll tells. That a loop is away for long is D20.",
    severity: "warn: the other files' p99 is ten times their median while one file takes four fifths of the loop's time",
    false_alarm: "A file may be busy for good reason, as a tunnel is.",
    remedy: "Read at most so many bytes, or accept so many connections, before the next file's turn.",
    price: "With EPOLLET the program must remember itself which files it has not finished.",
    source: "gunicorn#2266; mio#45",
    command: "hist -E --metric queue,busy",
    needs: &[],
    rule: Rule::NotYet(
        "which files a delivery returns is not seen, so times are those of the whole epoll; D20 tells of a loop that is away for long",
    ),
};

pub(super) static D07: Diagnosis = Diagnosis {
    id: "D07",
    name: "one file in two threads",
    means: "An event of a connection goes to a second thread while the first is still at it: both read, and the stream is torn.",
    measured: "It would take which thread got which file, delivery by delivery, and when it came back from it. Which files a delivery returns \
               is not seen: the kernel writes them into the program's own memory, and has no hook for each. That several threads wait on \
               one epoll, and how often one event wakes more than one of them, is D02.",
    severity: "warn: one of a thousand deliveries",
    false_alarm: "Listeners and datagrams may be shared; and the program may hold a lock of its own.",
    remedy: "EPOLLONESHOT, armed again by EPOLL_CTL_MOD when the thread is done, or an epoll for each thread.",
    price: "One call of epoll_ctl per event; or work no longer goes to whoever is free.",
    source: "piscisaureus/wepoll#28; Davidlohr Bueso's talks on epoll, 2019",
    command: "hist -E --counters",
    needs: &[],
    rule: Rule::NotYet(
        "which files a delivery returns, and so which thread has which, is not seen; D02 tells where one event wakes several threads",
    ),
};
