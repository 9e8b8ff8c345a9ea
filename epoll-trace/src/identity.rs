//! Names of processes and threads, what epolls they had at the start, and our own memory: the only reader of /proc after start.

pub mod connections;
pub mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Instant;

/// The program that runs now, even after its file was replaced.
pub const OWN_PROGRAM: &str = "/proc/self/exe";

/// The kernel's name (`comm`) of thread `tid` of process `pid`, or of the process without one; `None` once it is gone.
/// Raw: not yet safe for a terminal.
pub fn comm(pid: u32, tid: Option<u32>) -> Option<String> {
    let path = match tid {
        Some(tid) => format!("/proc/{pid}/task/{tid}/comm"),
        None => format!("/proc/{pid}/comm"),
    };
    // One read gives all of it (`comm_show`, fs/proc/base.c): at most the 64 bytes of a worker's name, and a newline.
    let mut bytes = [0; 128];
    let length = File::open(path).ok()?.read(&mut bytes).ok()?;
    let name = bytes.get(..length)?;
    Some(String::from_utf8_lossy(name.strip_suffix(b"\n").unwrap_or(name)).into_owned())
}

/// Whether this process sees process ids as the kernel's programs do: in the initial pid namespace (`PROC_PID_INIT_INO`,
/// include/linux/proc_ns.h).
pub fn sees_all_processes() -> bool {
    const INITIAL: &str = "pid:[4026531836]";
    fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() == INITIAL)
}

/// Resident memory of this process, bytes (`VmRSS`); `None` where /proc does not tell.
pub fn own_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Whether a process `pid` exists now.
pub fn exists(pid: u32) -> bool {
    PathBuf::from(format!("/proc/{pid}")).exists()
}

/// Name of this machine.
pub fn host_name() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned())
}

/// The children of `root` and of those of `known` that still run, their children and so on, and whoever is in the process group of `root`. Who
/// left that group and lost its parent is found only if it is `known`.
pub fn descendants(root: u32, known: &[u32]) -> BTreeSet<u32> {
    let mut running: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let mut family = BTreeSet::from([root]);
    for pid in processes() {
        let Some((parent, group)) = parent_and_group(pid) else {
            continue;
        };
        running.entry(parent).or_default().push(pid);
        if group == root || known.contains(&pid) {
            family.insert(pid);
        }
    }
    let mut open: Vec<u32> = family.iter().copied().collect();
    while let Some(parent) = open.pop() {
        let children = running.remove(&parent).unwrap_or_default();
        open.extend(children.into_iter().filter(|&child| family.insert(child)));
    }
    family
}

/// Parent and process group (`do_task_stat`, fs/proc/array.c); a name may hold anything, so what counts begins after its last bracket.
fn parent_and_group(pid: u32) -> Option<(u32, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut words = rest.split(' ').skip(1);
    Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

/// Where an epoll's descriptor points to (`anon_inode_getfile`, fs/eventpoll.c).
const EPOLL: &str = "anon_inode:[eventpoll]";

/// Every process that exists now.
pub fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Threads of one process that are asked what they do, at most.
const MOST_THREADS: usize = 256;
/// The system calls that wait on an epoll.
const WAITS: [libc::c_long; 3] = [
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
];

/// Whether a thread of process `pid` sleeps in a wait on its descriptor `epfd`: `/proc/PID/task/TID/syscall` is the call's number and
/// its arguments (`proc_pid_syscall`, fs/proc/base.c). `None` where no thread's can be read.
pub fn waits_on(pid: u32, epfd: i32) -> Option<bool> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let mut told = None;
    for task in tasks.flatten().take(MOST_THREADS) {
        let Ok(call) = fs::read_to_string(task.path().join("syscall")) else {
            continue;
        };
        if is_wait(&call, epfd) {
            return Some(true);
        }
        told = Some(false);
    }
    told
}

/// `232 0x5 0x7ffd… …`, or `running`.
fn is_wait(call: &str, epfd: i32) -> bool {
    let mut words = call.split(' ');
    let number = words.next().and_then(|word| word.parse().ok());
    let first = words.next().and_then(|word| word.strip_prefix("0x"));
    let first = first.and_then(|word| u64::from_str_radix(word, 16).ok());
    number.is_some_and(|number| WAITS.contains(&number)) && first.is_some_and(|first| first as i32 == epfd)
}

/// The process of thread `id`; `None` once it is gone.
pub fn process_of(id: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let tgid = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
    tgid.trim().parse().ok()
}

/// Descriptors of process (or thread) `id` that are epolls; none once it is gone. Looks at none after `end`: there may be
/// a million of others.
pub fn epolls_of(id: u32, end: Instant) -> Vec<i32> {
    let entries = fs::read_dir(format!("/proc/{id}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    entries
        .take_while(|_| Instant::now() < end)
        .filter(|entry| fs::read_link(entry.path()).is_ok_and(|target| target.as_os_str() == EPOLL))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// What an epoll watches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// How many items it has.
    pub items: u64,
    /// Masks of all of them together.
    pub events: u32,
}

/// One file that an epoll watches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// The descriptor it was added as.
    pub fd: i32,
    /// Its mask and flags.
    pub events: u32,
    /// The word that the program gave it (`epoll_event.data`).
    pub data: u64,
    /// Number of its inode.
    pub inode: u64,
}

/// What the epoll behind descriptor `fd` of process (or thread) `id` watches, in sum. As of [`items_of`].
pub fn watched_by(id: u32, fd: i32, most: u64) -> Option<Watched> {
    let items = items_of(id, fd, most)?;
    Some(Watched {
        items: items.len() as u64,
        events: items.iter().fold(0, |events, item| events | item.events),
    })
}

/// The files that the epoll behind descriptor `fd` of process (or thread) `id` watches. The kernel writes the list with `ep->mtx` held
/// (`ep_show_fdinfo`, fs/eventpoll.c): never to be called again and again. `None` if it is gone, or longer than `most` bytes.
pub fn items_of(id: u32, fd: i32, most: u64) -> Option<Vec<Item>> {
    let mut text = String::new();
    let file = File::open(format!("/proc/{id}/fdinfo/{fd}")).ok()?;
    let length = file.take(most).read_to_string(&mut text).ok()?;
    if length as u64 == most {
        return None;
    }
    Some(items(&text))
}

/// Items are lines `tfd: FD events: MASK data: … ino:INODE …`; whatever else there is belongs to the epoll's own file.
fn items(text: &str) -> Vec<Item> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("tfd:"));
    lines.map(item).collect()
}

fn item(line: &str) -> Item {
    let hexadecimal = |word: &str| u64::from_str_radix(word, 16).ok();
    let mut words = line.split_whitespace();
    let fd = words.next().and_then(|fd| fd.parse().ok());
    let mut words = words.skip_while(|&word| word != "events:").skip(1);
    let events = words.next().and_then(hexadecimal);
    let mut words = words.skip_while(|&word| word != "data:").skip(1);
    let data = words.next().and_then(hexadecimal);
    let inode = words.find_map(|word| hexadecimal(word.strip_prefix("ino:")?));
    Item {
        fd: fd.unwrap_or(-1),
        events: events.unwrap_or(0) as u32,
        data: data.unwrap_or(0),
        inode: inode.unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
    use std::os::fd::AsRawFd as _;

    #[test]
    fn items_and_masks_of_a_text() {
        let text = "pos:\t0\nflags:\t02\nmnt_id:\t15\nino:\t1056\n\
                    tfd:        5 events:       19 data:                5  pos:0 ino:e sdev:9\n\
                    tfd:        7 events: 90000001 data: ffffffffffffffff  pos:0 ino:e sdev:9\n";
        let item = |fd, events, data| Item {
            fd,
            events,
            data,
            inode: 14,
        };
        assert_eq!(items(text), [item(5, 0x19, 5), item(7, 0x9000_0001, u64::MAX)]);
        assert_eq!(items("pos:\t0\n"), []);
    }

    #[test]
    fn a_thread_in_a_wait_shows_by_its_system_call() {
        let wait = format!(
            "{} 0x5 0x7ffd 0x80 0xffffffffffffffff 0x0 0x0 0x7ffd 0x7f01\n",
            libc::SYS_epoll_wait
        );
        assert!(is_wait(&wait, 5) && !is_wait(&wait, 6));
        assert!(!is_wait("running\n", 5) && !is_wait("0 0x5 0x7ffd 0x80\n", 5));
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        let (own, fd) = (std::process::id(), epoll.0.as_raw_fd());
        assert_ne!(waits_on(own, fd), Some(true));
        assert_eq!(waits_on(0, fd), None);
    }

    #[test]
    fn children_and_their_children_belong_to_a_command() {
        let mut shell = std::process::Command::new("sh");
        let mut shell = shell.args(["-c", "sleep 30 & echo $!; wait"]);
        shell = shell.stdout(std::process::Stdio::piped());
        let mut shell = shell.spawn().unwrap();
        let mut line = String::new();
        let out = shell.stdout.take().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
        let sleeper: u32 = line.trim().parse().unwrap();
        assert_eq!(
            descendants(shell.id(), &[]),
            BTreeSet::from([shell.id(), sleeper])
        );
        shell.kill().unwrap();
        shell.wait().unwrap();
        let known = descendants(shell.id(), &[sleeper]);
        assert_eq!(known, BTreeSet::from([shell.id(), sleeper]), "it lost its parent");
        assert_eq!(descendants(shell.id(), &[]), BTreeSet::from([shell.id()]));
        let sleeper = nix::unistd::Pid::from_raw(sleeper.cast_signed());
        nix::sys::signal::kill(sleeper, nix::sys::signal::Signal::SIGKILL).unwrap();
    }

    #[test]
    fn an_own_epoll_is_found_and_read() {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        let (read, _write) = nix::unistd::pipe().unwrap();
        let inode = nix::sys::stat::fstat(&read).unwrap().st_ino;
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        epoll.add(&read, EpollEvent::new(flags, 0x1_0000_002a)).unwrap();
        let (own, fd) = (std::process::id(), epoll.0.as_raw_fd());
        assert!(processes().contains(&own));
        assert_eq!(
            process_of(nix::unistd::gettid().as_raw().cast_unsigned()),
            Some(own)
        );
        let soon = Instant::now() + std::time::Duration::from_secs(10);
        assert!(epolls_of(own, soon).contains(&fd));
        assert!(epolls_of(own, Instant::now()).is_empty());
        let found = watched_by(own, fd, 1 << 20).unwrap();
        assert_eq!(found.items, 1);
        let [item] = items_of(own, fd, 1 << 20).unwrap()[..] else {
            panic!("one file is watched")
        };
        assert_eq!(
            (item.fd, item.inode, item.data),
            (read.as_raw_fd(), inode, 0x1_0000_002a)
        );
        assert_eq!(found.events & 1 << 31, 1 << 31);
        assert_eq!(watched_by(own, fd, 10), None);
        assert_eq!(
            watched_by(own, read.as_raw_fd(), 1 << 20),
            Some(Watched::default())
        );
        drop(epoll);
        assert_eq!(watched_by(own, fd, 1 << 20), None);
    }
}
