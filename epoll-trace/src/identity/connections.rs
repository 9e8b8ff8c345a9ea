//! What connected TCP sockets hold, by the tables of a network namespace.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::FileTypeExt as _;
use std::time::Instant;

use procfs_core::net::{TcpNetEntry, TcpState};

use super::source::{MOST_BYTES, tcp_entry};

/// The column of the inode (`get_tcp4_sock`, `get_timewait4_sock`, net/ipv4/tcp_ipv4.c).
const INODE: usize = 9;

/// A TCP socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// Bytes that came and were not read; 0 of a listener.
    pub unread: u64,
    /// Bytes that were written and that the peer has not acknowledged; 0 of a listener.
    pub unsent: u64,
    /// Both ends, where there is something unread.
    pub name: Option<String>,
}

/// The TCP sockets of a network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connections {
    /// By inode.
    pub sockets: HashMap<u64, Connection>,
    /// Whether all are here: there were not too many, and there was time.
    pub whole: bool,
}

/// The TCP sockets in the network namespace of process `pid`: 8 MB of each table, and none after `end`.
pub fn connections(pid: u32, end: Instant) -> Connections {
    let mut found = Connections {
        sockets: HashMap::new(),
        whole: true,
    };
    for table in ["tcp", "tcp6"] {
        // A kernel without IPv6 has no such table.
        let Ok(file) = File::open(format!("/proc/{pid}/net/{table}")) else {
            found.whole &= table == "tcp6";
            continue;
        };
        let mut read = 0;
        for line in BufReader::new(file.take(MOST_BYTES))
            .lines()
            .map_while(Result::ok)
        {
            read += line.len() as u64 + 1;
            if Instant::now() >= end {
                found.whole = false;
                break;
            }
            // Most connections of a table may be those that nobody has open any more (TIME_WAIT): these have inode 0. Its head has no number there.
            if !is_open(&line) {
                continue;
            }
            if let Some(entry) = tcp_entry(&line) {
                found.sockets.insert(entry.inode, connection(&entry));
            }
        }
        found.whole &= read < MOST_BYTES;
    }
    found
}

fn is_open(line: &str) -> bool {
    let inode = line.split_ascii_whitespace().nth(INODE);
    inode.is_some_and(|inode| inode.parse::<u64>().is_ok_and(|inode| inode != 0))
}

/// The columns of `get_tcp4_sock` (net/ipv4/tcp_ipv4.c): what was received less what was read, and what was written less what was
/// acknowledged. The end of a stream has a place in both sequences (`tcp_fin`, net/ipv4/tcp_input.c), and no byte.
fn connection(entry: &TcpNetEntry) -> Connection {
    let (unread, unsent) = (u64::from(entry.rx_queue), u64::from(entry.tx_queue));
    let (unread, unsent) = match entry.state {
        TcpState::Established => (unread, unsent),
        TcpState::FinWait1 => (unread, unsent.saturating_sub(1)),
        TcpState::FinWait2 => (unread, 0),
        TcpState::CloseWait => (unread.saturating_sub(1), unsent),
        // It is a listener's queue, or nothing is to come any more.
        _ => (0, 0),
    };
    let name = (unread > 0).then(|| format!("{} > {}", entry.local_address, entry.remote_address));
    Connection { unread, unsent, name }
}

/// Whether descriptor `fd` of process `pid` is a socket or a pipe, which may hold bytes.
pub fn may_hold_bytes(pid: u32, fd: i32) -> bool {
    let kind = fs::metadata(format!("/proc/{pid}/fd/{fd}")).map(|file| file.file_type());
    kind.is_ok_and(|kind| kind.is_socket() || kind.is_fifo())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Shutdown, TcpListener, TcpStream};
    use std::os::fd::{AsFd, AsRawFd as _};
    use std::time::Duration;

    use nix::sys::stat::fstat;

    use super::*;

    fn now(of: &impl AsFd) -> Connection {
        let inode = fstat(of).unwrap().st_ino;
        let all = connections(std::process::id(), Instant::now() + Duration::from_secs(10));
        all.sockets.get(&inode).cloned().unwrap_or_default()
    }

    /// Loopback delivers before the call returns, or a moment later.
    fn becomes(of: &impl AsFd, unread: u64) {
        let end = Instant::now() + Duration::from_secs(10);
        while now(of).unread != unread && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(now(of).unread, unread);
    }

    fn pair(address: &str) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(address).unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, far)
    }

    #[test]
    fn bytes_that_nobody_read_are_counted_and_the_end_of_a_stream_is_none() {
        let (mut near, mut far) = pair("127.0.0.1:0");
        becomes(&near, 0);
        far.write_all(b"12345").unwrap();
        becomes(&near, 5);
        let ends = format!("{} > {}", near.local_addr().unwrap(), near.peer_addr().unwrap());
        assert_eq!(now(&near).name, Some(ends));
        near.read_exact(&mut [0; 2]).unwrap();
        becomes(&near, 3);
        far.shutdown(Shutdown::Write).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        becomes(&near, 3);
        near.read_exact(&mut [0; 3]).unwrap();
        becomes(&near, 0);
        assert_eq!(now(&far).unsent, 0);
        // Half closed, and still read from.
        near.write_all(b"1").unwrap();
        becomes(&far, 1);
        let (_near, mut far) = pair("[::1]:0");
        far.write_all(b"12").unwrap();
        becomes(&_near, 2);
    }

    #[test]
    fn bytes_that_the_peer_does_not_take_are_counted() {
        let (near, mut far) = pair("127.0.0.1:0");
        far.set_nonblocking(true).unwrap();
        while far.write(&[0; 1 << 16]).is_ok() {}
        assert!(now(&far).unsent > 0 && now(&near).unread > 0);
        assert_eq!(now(&far).unread, 0);
    }

    #[test]
    fn a_listener_holds_no_bytes_and_no_time_is_no_table() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _waiting = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        assert_eq!(now(&listener), Connection::default());
        let none = connections(std::process::id(), Instant::now());
        assert!(!none.whole && none.sockets.is_empty(), "{none:?}");
        assert!(!connections(0, Instant::now()).whole);
    }

    #[test]
    fn a_line_is_open_that_has_an_inode() {
        const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
        const LINE: &str = "   1: 0100007F:1F90 0100007F:C350 01 00000000:00000003 00:00000000 00000000     0        0 4242 1 0";
        assert!(is_open(LINE) && !is_open(&LINE.replace("4242", "0")));
        assert!(!is_open(HEAD) && !is_open(""));
    }

    #[test]
    fn sockets_and_pipes_may_hold_bytes() {
        let own = std::process::id();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (read, _write) = nix::unistd::pipe().unwrap();
        let file = File::open("/dev/null").unwrap();
        assert!(may_hold_bytes(own, listener.as_raw_fd()) && may_hold_bytes(own, read.as_raw_fd()));
        assert!(!may_hold_bytes(own, file.as_raw_fd()) && !may_hold_bytes(own, 1_000_000));
    }
}
