//! What a watched file is: the link of a descriptor, and for a socket its line in its network namespace's tables.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _};
use std::os::unix::fs::MetadataExt as _;

use procfs_core::net::{TcpNetEntries, TcpNetEntry, TcpState, UdpNetEntries};
use procfs_core::{ExplicitSystemInfo, FromBufReadSI};

use crate::model::source::{Listening, Named};

/// Bytes of one table at most: some 50,000 sockets.
pub(super) const MOST_BYTES: u64 = 8 << 20;

/// A table of sockets: its file, the kind of its sockets, and the column of the inode (net/ipv4/tcp_ipv4.c,
/// net/ipv4/udp.c, net/unix/af_unix.c).
const TABLES: [(&str, &str, usize); 5] = [
    ("tcp", "tcp", 9),
    ("tcp6", "tcp", 9),
    ("udp", "udp", 9),
    ("udp6", "udp", 9),
    ("unix", "unix", 6),
];

/// Where descriptor `fd` of process `pid` points to, which must be the file with inode `inode` (0 = any).
///
/// # Errors
/// A reason for people: it is gone, may not be read, or is another file by now.
pub fn link_of(pid: u32, fd: i32, inode: u64) -> Result<String, String> {
    let path = format!("/proc/{pid}/fd/{fd}");
    let failed = |error| format!("descriptor {fd} of process {pid} cannot be looked up: {error}");
    let link = fs::read_link(&path).map_err(failed)?;
    let link = link.to_string_lossy().into_owned();
    // Some file systems number their files otherwise for user space.
    if inode != 0 && !link.starts_with('/') && fs::metadata(&path).map_err(failed)?.ino() != inode {
        return Err(format!("descriptor {fd} of process {pid} is another file by now"));
    }
    Ok(link)
}

/// What a process has under the number of a watched file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// That file, as far as it can be told.
    Same,
    /// Another one.
    Other,
    /// Nothing.
    Nothing,
}

/// Whether process `pid` has the file with this inode as descriptor `fd`. Only sockets and pipes are told by their inode: all files of an
/// anonymous kind have one, and some file systems number theirs otherwise for user space. `None` if it cannot be looked up.
pub fn held(pid: u32, fd: i32, inode: u64) -> Option<Held> {
    match fs::read_link(format!("/proc/{pid}/fd/{fd}")) {
        Ok(link) => match parts(&link.to_string_lossy()) {
            (_, Some(other)) if inode != 0 && other != inode => Some(Held::Other),
            _ => Some(Held::Same),
        },
        Err(error) if error.kind() == ErrorKind::NotFound && super::exists(pid) => Some(Held::Nothing),
        Err(_) => None,
    }
}

/// Inode of the network namespace of process `pid`; `None` once it is gone.
pub fn netns_of(pid: u32) -> Option<u64> {
    let link = fs::read_link(format!("/proc/{pid}/ns/net")).ok()?;
    let inode = link.to_str()?.strip_prefix("net:[")?.strip_suffix(']')?;
    inode.parse().ok()
}

/// The TCP sockets that listen in network namespace `netns`, which process `pid` must be in; `None` if it is not. The kernel lists them before
/// all others (`tcp_get_idx`, net/ipv4/tcp_ipv4.c), so connections cost nothing here.
pub fn listening(pid: u32, netns: u64) -> Option<Vec<Listening>> {
    if netns_of(pid) != Some(netns) {
        return None;
    }
    listeners(pid).map(|(_, found)| found)
}

/// The network namespace of process `pid`, by its inode, and the TCP sockets that listen there; `None` once the process is gone.
pub fn listeners(pid: u32) -> Option<(u64, Vec<Listening>)> {
    let netns = netns_of(pid)?;
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        let Ok(file) = File::open(format!("/proc/{pid}/net/{table}")) else {
            continue;
        };
        let lines = BufReader::new(file.take(MOST_BYTES)).lines().skip(1);
        for line in lines.map_while(Result::ok) {
            let Some(entry) = tcp_entry(&line).filter(|entry| entry.state == TcpState::Listen) else {
                break;
            };
            found.push(Listening {
                netns,
                address: entry.local_address.to_string(),
                inode: entry.inode,
                queue: u64::from(entry.rx_queue),
            });
        }
    }
    Some((netns, found))
}

/// What `link` stands for; a socket is looked up in the network namespace of process `pid`.
pub fn named(pid: u32, link: &str) -> Named {
    let (kind, inode) = parts(link);
    if kind == "socket"
        && let Some(inode) = inode
    {
        return socket(pid, inode);
    }
    Named {
        name: (kind == "file").then(|| link.to_owned()),
        kind,
        inode,
        accept_queue: None,
        netns: None,
    }
}

/// Kind and inode from `socket:[7]`, `pipe:[7]`, `anon_inode:[eventfd]`, `anon_inode:inotify` or a path.
fn parts(link: &str) -> (String, Option<u64>) {
    let within = |text: &str| text.strip_prefix('[')?.strip_suffix(']').map(str::to_owned);
    match link.split_once(':') {
        Some(("anon_inode", kind)) => (within(kind).unwrap_or_else(|| kind.to_owned()), None),
        Some((kind @ ("socket" | "pipe"), rest)) => {
            (kind.to_owned(), within(rest).and_then(|inode| inode.parse().ok()))
        }
        _ => ("file".to_owned(), None),
    }
}

/// The socket with this inode; without a name where no table has it.
fn socket(pid: u32, inode: u64) -> Named {
    let netns = netns_of(pid);
    let found = TABLES.iter().find_map(|&(table, kind, column)| {
        let line = line_of(&format!("/proc/{pid}/net/{table}"), column, inode)?;
        let (name, accept_queue) = match kind {
            "tcp" => tcp(&line)?,
            "udp" => (udp(&line)?, None),
            _ => (unix(&line)?, None),
        };
        Some(Named {
            kind: kind.to_owned(),
            name: Some(name),
            inode: Some(inode),
            accept_queue,
            netns,
        })
    });
    found.unwrap_or_else(|| Named {
        kind: "socket".to_owned(),
        name: None,
        inode: Some(inode),
        accept_queue: None,
        netns,
    })
}

/// The line of the table at `path` whose `column` is `inode`.
fn line_of(path: &str, column: usize, inode: u64) -> Option<String> {
    let wanted = inode.to_string();
    let table = BufReader::new(File::open(path).ok()?.take(MOST_BYTES));
    table
        .split(b'\n')
        .map_while(Result::ok)
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .find(|line| line.split_whitespace().nth(column) == Some(&wanted))
}

/// Of the machine only the order of bytes matters here.
const MACHINE: ExplicitSystemInfo = ExplicitSystemInfo {
    boot_time_secs: 0,
    ticks_per_second: 0,
    page_size: 0,
    is_little_endian: cfg!(target_endian = "little"),
};

/// A line of `/proc/net/tcp` or `tcp6` (`get_tcp4_sock`, net/ipv4/tcp_ipv4.c).
pub(super) fn tcp_entry(line: &str) -> Option<TcpNetEntry> {
    // The first line of a table is its head.
    let table = format!("\n{line}");
    let TcpNetEntries(entries) = TcpNetEntries::from_buf_read(table.as_bytes(), &MACHINE).ok()?;
    entries.into_iter().next()
}

/// Both ends of a connection; of a listener its address and how many connections wait to be accepted.
fn tcp(line: &str) -> Option<(String, Option<u64>)> {
    let entry = tcp_entry(line)?;
    if entry.state == TcpState::Listen {
        return Some((entry.local_address.to_string(), Some(u64::from(entry.rx_queue))));
    }
    let name = format!("{} > {}", entry.local_address, entry.remote_address);
    Some((name, None))
}

fn udp(line: &str) -> Option<String> {
    let table = format!("\n{line}");
    let UdpNetEntries(entries) = UdpNetEntries::from_buf_read(table.as_bytes(), &MACHINE).ok()?;
    Some(entries.first()?.local_address.to_string())
}

/// The path, which may hold spaces; nothing else names a unix socket.
fn unix(line: &str) -> Option<String> {
    let mut rest = line.trim_start();
    for _ in 0..7 {
        let end = rest.find(char::is_whitespace)?;
        rest = rest[end..].trim_start();
    }
    (!rest.is_empty()).then(|| rest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixListener;

    fn own(file: &impl AsRawFd) -> Named {
        let pid = std::process::id();
        named(pid, &link_of(pid, file.as_raw_fd(), 0).unwrap())
    }

    #[test]
    fn links_have_a_kind_and_maybe_an_inode() {
        let parts = |link| {
            let (kind, inode) = parts(link);
            (kind, inode)
        };
        assert_eq!(parts("socket:[7]"), ("socket".to_owned(), Some(7)));
        assert_eq!(parts("pipe:[81]"), ("pipe".to_owned(), Some(81)));
        assert_eq!(parts("anon_inode:[eventfd]"), ("eventfd".to_owned(), None));
        assert_eq!(parts("anon_inode:inotify"), ("inotify".to_owned(), None));
        assert_eq!(parts("/tmp/socket:[7]"), ("file".to_owned(), None));
    }

    #[test]
    fn own_sockets_have_their_addresses() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let waiting = TcpStream::connect(address).unwrap();
        let named = own(&listener);
        assert_eq!((named.kind.as_str(), named.accept_queue), ("tcp", Some(1)));
        assert_eq!(named.name, Some(address.to_string()));
        let client = own(&waiting).name.unwrap();
        assert!(client.ends_with(&format!(" > {address}")), "{client}");
        let six = TcpListener::bind("[::1]:0").unwrap();
        assert_eq!(own(&six).name, Some(six.local_addr().unwrap().to_string()));
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(own(&udp).name, Some(udp.local_addr().unwrap().to_string()));
    }

    #[test]
    fn a_path_may_hold_spaces() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a b");
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(own(&listener).kind, "unix");
        assert_eq!(own(&listener).name.as_deref(), path.to_str());
    }

    #[test]
    fn what_is_gone_has_a_reason() {
        let why = link_of(std::process::id(), 1_000_000, 0).unwrap_err();
        assert!(why.contains("No such file"), "{why}");
    }

    #[test]
    fn a_descriptor_that_is_another_file_by_now_is_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (own_pid, fd) = (std::process::id(), listener.as_raw_fd());
        let inode = own(&listener).inode.unwrap();
        assert!(link_of(own_pid, fd, inode).is_ok());
        let why = link_of(own_pid, fd, inode + 1).unwrap_err();
        assert!(why.contains("another file"), "{why}");
    }

    #[test]
    fn a_number_that_is_another_socket_by_now_shows() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (own_pid, fd) = (std::process::id(), listener.as_raw_fd());
        let inode = own(&listener).inode.unwrap();
        assert_eq!(held(own_pid, fd, inode), Some(Held::Same));
        assert_eq!(held(own_pid, fd, inode + 1), Some(Held::Other));
        assert_eq!(held(own_pid, 1_000_000, inode), Some(Held::Nothing));
        assert_eq!(held(0, fd, inode), None);
        // A path may have any number.
        let file = File::open("/dev/null").unwrap();
        assert_eq!(held(own_pid, file.as_raw_fd(), inode), Some(Held::Same));
    }

    #[test]
    fn sockets_of_one_address_are_all_found_with_their_queues() {
        use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, sockopt};
        use nix::sys::socket::{bind, getsockname, listen, setsockopt, socket};
        let one = |address: &SockaddrIn| {
            let socket = socket(
                AddressFamily::Inet,
                SockType::Stream,
                SockFlag::SOCK_CLOEXEC,
                None,
            )
            .unwrap();
            setsockopt(&socket, sockopt::ReusePort, &true).unwrap();
            bind(socket.as_raw_fd(), address).unwrap();
            listen(&socket, Backlog::new(8).unwrap()).unwrap();
            socket
        };
        let first = one(&SockaddrIn::new(127, 0, 0, 1, 0));
        let address: SockaddrIn = getsockname(first.as_raw_fd()).unwrap();
        let second = one(&address);
        let mut clients = Vec::new();
        for _ in 0..5 {
            clients.push(TcpStream::connect(("127.0.0.1", address.port())).unwrap());
        }
        let named = own(&first);
        let netns = named.netns.unwrap();
        let mut found = listening(std::process::id(), netns).unwrap();
        found.retain(|socket| Some(&socket.address) == named.name.as_ref());
        let inodes: Vec<_> = [&first, &second].map(|socket| own(socket).inode.unwrap()).into();
        assert!(
            found.len() == 2 && found.iter().all(|socket| inodes.contains(&socket.inode)),
            "{found:?}"
        );
        assert_eq!(found.iter().map(|socket| socket.queue).sum::<u64>(), 5);
        assert_eq!(listening(std::process::id(), netns + 1), None);
    }
}
