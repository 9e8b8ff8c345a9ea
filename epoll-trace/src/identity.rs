//! Names of processes and threads, and our own memory: the only reader of /proc after start.

use std::path::PathBuf;

/// The program that runs now, even after its file was replaced.
pub const OWN_PROGRAM: &str = "/proc/self/exe";

/// The kernel's name (`comm`) of thread `tid` of process `pid`, or of the process without one; `None` once it is gone.
/// Raw: not yet safe for a terminal.
pub fn comm(pid: u32, tid: Option<u32>) -> Option<String> {
    let mut path = PathBuf::from(format!("/proc/{pid}"));
    if let Some(tid) = tid {
        path.push(format!("task/{tid}"));
    }
    let name = std::fs::read(path.join("comm")).ok()?;
    Some(String::from_utf8_lossy(name.strip_suffix(b"\n").unwrap_or(&name)).into_owned())
}

/// Whether this process sees process ids as the kernel's programs do: in the initial pid namespace (`PROC_PID_INIT_INO`,
/// include/linux/proc_ns.h).
pub fn sees_all_processes() -> bool {
    const INITIAL: &str = "pid:[4026531836]";
    std::fs::read_link("/proc/self/ns/pid").is_ok_and(|link| link.as_os_str() == INITIAL)
}

/// Resident memory of this process, bytes (`VmRSS`); `None` where /proc does not tell.
pub fn own_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// Whether a process `pid` exists now.
pub fn exists(pid: u32) -> bool {
    PathBuf::from(format!("/proc/{pid}")).exists()
}
