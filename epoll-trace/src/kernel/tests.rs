use std::cell::Cell;
use std::fs;
use std::io::Write;

use super::caps::{RunningKernel, TestProgram};
use super::*;

/// Counts how often it is asked; a kernel without BTF or privilege must not be asked at all.
#[derive(Default)]
struct Counting(Cell<u32>);

impl CapabilityProbe for Counting {
    fn test(&self, _: TestProgram) -> Support {
        self.0.set(self.0.get() + 1);
        Support::Yes
    }
}

fn root_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

#[test]
fn no_privilege_is_one_sentence_and_nothing_is_tried() {
    let root = root_with(&[
        ("proc/self/status", "CapEff:\t0000000000000000\n"),
        ("proc/sys/kernel/osrelease", "6.1.0-test\n"),
    ]);
    let probe = Counting::default();
    let facts = Facts::read(root.path(), &probe, Detail::EVERYTHING);
    assert_eq!(facts.release, "6.1.0-test");
    assert!(facts.privilege.reason().unwrap().starts_with("not root"));
    assert_eq!(
        facts.caps.fentry, facts.privilege,
        "privilege comes before every other reason"
    );
    assert_eq!(probe.0.get(), 0);
}

#[test]
fn no_btf_is_one_sentence_and_nothing_is_tried() {
    let root = root_with(&[("proc/self/status", "CapEff:\t000001ffffffffff\n")]);
    let probe = Counting::default();
    let facts = Facts::read(root.path(), &probe, Detail::EVERYTHING);
    assert_eq!(facts.privilege, Support::Yes);
    let reason = facts.btf.reason().unwrap();
    assert_eq!(Some(reason), canned::no_btf().btf.reason());
    assert_eq!(facts.caps, Caps::none(reason));
    assert_eq!(probe.0.get(), 0);
    assert!(
        facts
            .symbols
            .readable
            .reason()
            .unwrap()
            .contains("/proc/kallsyms")
    );
}

#[test]
fn a_damaged_btf_is_a_reason() {
    let root = root_with(&[
        ("proc/self/status", "CapEff:\t000001ffffffffff\n"),
        ("sys/kernel/btf/vmlinux", "nonsense"),
    ]);
    assert!(
        Facts::read(root.path(), &Counting::default(), Detail::EVERYTHING)
            .btf
            .reason()
            .is_some()
    );
}

#[test]
fn a_function_in_btf_without_its_symbol_is_not_traceable() {
    let mut facts = canned::kernel("debian-6.12");
    assert_eq!(facts.traceable("ep_done_scan"), Support::Yes);
    facts.symbols.present.remove("ep_done_scan");
    facts.symbols.present.insert("ep_done_scan.isra.0".to_owned());
    assert_eq!(
        facts.traceable("ep_done_scan"),
        Support::no("no symbol ep_done_scan, only ep_done_scan.isra.0")
    );
    assert_eq!(facts.probeable("ep_done_scan.isra.0"), Support::Yes);
    assert_eq!(
        facts.traceable("ep_poll"),
        Support::no("BTF has no function ep_poll")
    );
}

#[test]
fn without_symbols_btf_is_believed() {
    let mut facts = canned::kernel("debian-6.1");
    facts.symbols.readable = Support::no("cannot read /proc/kallsyms: x");
    facts.symbols.present.clear();
    assert_eq!(facts.traceable("ep_poll_callback"), Support::Yes);
    assert_eq!(facts.probeable("ep_poll_callback"), Support::Yes);
    assert!(
        facts
            .probeable("ep_scan_ready_list.constprop.0")
            .reason()
            .unwrap()
            .contains("/proc/kallsyms")
    );
}

#[test]
fn facts_survive_json() {
    for name in canned::KERNELS {
        let facts = canned::kernel(name);
        let json = serde_json::to_string(&facts).unwrap();
        assert_eq!(serde_json::from_str::<Facts>(&json).unwrap(), facts);
    }
}

/// On the kernel at hand: what is read must be consistent, whatever that kernel allows.
#[test]
fn this_kernel() {
    let facts = Facts::read(Path::new("/"), &RunningKernel, Detail::EVERYTHING);
    if let Some(reason) = [&facts.privilege, &facts.btf]
        .iter()
        .find_map(|support| support.reason())
    {
        // Not eprintln!: the harness would swallow it, and a skip must be seen.
        writeln!(std::io::stderr(), "SKIP this_kernel: {reason}").unwrap();
        return;
    }
    for function in [
        "do_epoll_wait",
        "ep_poll_callback",
        "ep_autoremove_wake_function",
        "ep_eventpoll_release",
    ] {
        assert_eq!(facts.traceable(function), Support::Yes);
    }
    assert_eq!(facts.types.tracepoints.len(), names::TRACEPOINTS.len());
    let missing: Vec<_> = Field::ALL
        .iter()
        // Up to 5.10 only, and only from 6.2 to 6.14.
        .filter(|field| ![Field::FileEpLinks, Field::PcpuHotPreemptCount].contains(field))
        .filter(|field| !facts.types.fields.contains_key(field))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(offsets::Offset::WaitBase.of(&facts), Ok(8));
    assert!(facts.types.timeout_is_pointer.is_some());
    assert_eq!(facts.caps.tp_btf, Support::Yes);
    if facts
        .config
        .get("CONFIG_KPROBES")
        .is_some_and(|value| value == "n")
    {
        assert_eq!(
            facts.caps.kprobe,
            Support::no("the kernel has no kprobe events (CONFIG_KPROBES is not set)")
        );
    }
}
