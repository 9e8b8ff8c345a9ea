//! Names of processes and threads, what epolls they had at the start, and our own memory: the only reader of /proc after start.

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

/// What the epoll behind descriptor `fd` of process (or thread) `id` watches. The kernel writes the list with `ep->mtx` held
/// (`ep_show_fdinfo`, fs/eventpoll.c): never to be called again and again. `None` if it is gone, or longer than `most` bytes.
pub fn watched_by(id: u32, fd: i32, most: u64) -> Option<Watched> {
    let mut text = String::new();
    let file = File::open(format!("/proc/{id}/fdinfo/{fd}")).ok()?;
    let length = file.take(most).read_to_string(&mut text).ok()?;
    if length as u64 == most {
        return None;
    }
    Some(watched(&text))
}

/// Items are lines `tfd: FD events: MASK data: …`; whatever else there is belongs to the epoll's own file.
fn watched(text: &str) -> Watched {
    let mut watched = Watched::default();
    for line in text.lines().filter_map(|line| line.strip_prefix("tfd:")) {
        let mut words = line.split_whitespace().skip_while(|&word| word != "events:");
        let mask = words.nth(1).and_then(|mask| u32::from_str_radix(mask, 16).ok());
        watched.items += 1;
        watched.events |= mask.unwrap_or(0);
    }
    watched
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
        let (items, events) = (2, 0x9000_0019);
        assert_eq!(watched(text), Watched { items, events });
        assert_eq!(watched("pos:\t0\n"), Watched::default());
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
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
        epoll.add(&read, EpollEvent::new(flags, 1)).unwrap();
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
