//! Whether this process may load tracing programs.

use std::path::Path;

use super::{Support, text};

// linux/capability.h
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Reads the effective capabilities of this process below `root`: CAP_SYS_ADMIN, or CAP_BPF together with CAP_PERFMON (since 5.8).
pub(super) fn read(root: &Path) -> Support {
    let Some(effective) = effective(root) else {
        return Support::no(
            "cannot read the capabilities of this process from /proc/self/status: is /proc mounted?",
        );
    };
    let has = |capability: u32| effective & (1 << capability) != 0;
    if has(CAP_SYS_ADMIN) || (has(CAP_BPF) && has(CAP_PERFMON)) {
        Support::Yes
    } else {
        Support::no("not root: run it with sudo, or give it CAP_BPF and CAP_PERFMON")
    }
}

fn effective(root: &Path) -> Option<u64> {
    let status = text(root, "proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(mask: &str) -> Support {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("proc/self")).unwrap();
        std::fs::write(
            root.path().join("proc/self/status"),
            format!("Name:\tx\nCapEff:\t{mask}\n"),
        )
        .unwrap();
        read(root.path())
    }

    #[test]
    fn root_or_the_two_capabilities() {
        assert_eq!(with("000001fffeffffff"), Support::Yes);
        assert_eq!(with("000000c000000000"), Support::Yes);
        for too_few in ["0000000000000000", "0000008000000000", "0000004000000000"] {
            assert!(
                with(too_few).reason().unwrap().starts_with("not root"),
                "{too_few}"
            );
        }
    }

    #[test]
    fn no_proc_is_said() {
        let root = tempfile::tempdir().unwrap();
        assert!(read(root.path()).reason().unwrap().contains("/proc/self/status"));
    }
}
