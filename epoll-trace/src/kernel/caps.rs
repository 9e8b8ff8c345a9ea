//! Which program kinds the kernel takes, found by trying one of each: never by version and never by lockdown level.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::btf::Targets;
use super::{Support, bpf, names, text};

/// A kind of program, or a helper, that a probe may need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// fentry and fexit programs.
    Fentry,
    /// kprobe and kretprobe programs.
    Kprobe,
    /// Programs on tracepoints with typed arguments.
    TpBtf,
    /// `bpf_probe_read_kernel` inside a tp_btf program.
    ProbeReadKernel,
    /// Loads along typed pointers from `current` on (`bpf_get_current_task_btf`, 5.11).
    TypedTask,
    /// Loads through a pointer to no structure that such a load gave (6.17).
    UntypedLoad,
}

/// The answer for each [`Capability`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caps {
    /// [`Capability::Fentry`].
    pub fentry: Support,
    /// [`Capability::Kprobe`].
    pub kprobe: Support,
    /// [`Capability::TpBtf`].
    pub tp_btf: Support,
    /// [`Capability::ProbeReadKernel`].
    pub probe_read_kernel: Support,
    /// [`Capability::TypedTask`].
    pub typed_task: Support,
    /// [`Capability::UntypedLoad`].
    pub untyped_load: Support,
}

/// Offsets along which the table of descriptors is found: `task->files`, `files->fdt`, `fdt->fd`.
pub type TablePath = [i16; 3];

/// A program to try; it does nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TestProgram {
    /// fentry on the function with this BTF id.
    Fentry(u32),
    /// tp_btf on the tracepoint with this BTF id.
    TpBtf(u32),
    /// The same with a call of `bpf_probe_read_kernel`; only loaded.
    ProbeRead(u32),
    /// The same that walks to the table of descriptors; only loaded.
    Typed(u32, TablePath),
    /// The same that goes on into that table; only loaded.
    Untyped(u32, TablePath),
    /// kprobe on a function, through the perf PMU of this number.
    Kprobe(u32, &'static str),
}

/// Something that tries programs: the running kernel, or a canned one in tests.
pub trait CapabilityProbe {
    /// Loads and attaches `program`, then removes it again.
    fn test(&self, program: TestProgram) -> Support;

    /// Addresses of the symbols among `names` that the kernel has; `None` where it does not tell.
    fn addresses(&self, names: &[String]) -> Option<BTreeMap<String, u64>> {
        let _ = names;
        None
    }
}

/// The kernel this process runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunningKernel;

impl CapabilityProbe for RunningKernel {
    fn test(&self, program: TestProgram) -> Support {
        match bpf::try_program(program) {
            Ok(()) => Support::Yes,
            Err(reason) => Support::No(reason),
        }
    }

    fn addresses(&self, names: &[String]) -> Option<BTreeMap<String, u64>> {
        bpf::symbols::addresses(names)
    }
}

/// Number of the perf PMU that makes kprobes, below `root`.
pub(super) fn kprobe_pmu(root: &Path) -> Option<u32> {
    text(root, "sys/bus/event_source/devices/kprobe/type")?
        .parse()
        .ok()
}

/// Tries a program that walks from the current task to its table of descriptors.
fn walk(
    probe: &dyn CapabilityProbe,
    targets: &Targets,
    table: Option<TablePath>,
    program: fn(u32, TablePath) -> TestProgram,
) -> Support {
    match (targets.tracepoints.get(names::TRIED_TRACEPOINT), table) {
        (Some(&id), Some(path)) => probe.test(program(id, path)),
        _ => Support::no("BTF does not tell where a task's descriptors are"),
    }
}

impl Caps {
    /// The answer for `capability`.
    pub const fn get(&self, capability: Capability) -> &Support {
        match capability {
            Capability::Fentry => &self.fentry,
            Capability::Kprobe => &self.kprobe,
            Capability::TpBtf => &self.tp_btf,
            Capability::ProbeReadKernel => &self.probe_read_kernel,
            Capability::TypedTask => &self.typed_task,
            Capability::UntypedLoad => &self.untyped_load,
        }
    }

    /// Every kind of program works, unless loading shows that it does not. How far typed pointers lead is tried all the same: a program
    /// that relies on it is made otherwise where they do not, and not missed.
    pub(super) fn presumed(probe: &dyn CapabilityProbe, targets: &Targets, table: Option<TablePath>) -> Self {
        Self {
            fentry: Support::Yes,
            kprobe: Support::Yes,
            tp_btf: Support::Yes,
            probe_read_kernel: Support::Yes,
            typed_task: walk(probe, targets, table, TestProgram::Typed),
            untyped_load: walk(probe, targets, table, TestProgram::Untyped),
        }
    }

    /// Nothing works, for one common reason.
    pub fn none(reason: &str) -> Self {
        let no = || Support::no(reason);
        Self {
            fentry: no(),
            kprobe: no(),
            tp_btf: no(),
            probe_read_kernel: no(),
            typed_task: no(),
            untyped_load: no(),
        }
    }

    /// Tries one program of each kind.
    pub(super) fn find(
        probe: &dyn CapabilityProbe,
        targets: &Targets,
        pmu: Option<u32>,
        table: Option<TablePath>,
    ) -> Self {
        let on = |target: Option<u32>, name: &str, program: fn(u32) -> TestProgram| match target {
            Some(id) => probe.test(program(id)),
            None => Support::No(format!("BTF has no {name} to try it on")),
        };
        let tracepoint = |program| {
            let id = targets.tracepoints.get(names::TRIED_TRACEPOINT);
            on(id.copied(), names::TRIED_TRACEPOINT, program)
        };
        let function = targets.functions.get(names::TRIED_FUNCTION);
        Self {
            fentry: on(function.copied(), names::TRIED_FUNCTION, TestProgram::Fentry),
            kprobe: match pmu {
                Some(pmu) => probe.test(TestProgram::Kprobe(pmu, names::TRIED_FUNCTION)),
                None => Support::no("the kernel has no kprobe events"),
            },
            tp_btf: tracepoint(TestProgram::TpBtf),
            probe_read_kernel: tracepoint(TestProgram::ProbeRead),
            typed_task: walk(probe, targets, table, TestProgram::Typed),
            untyped_load: walk(probe, targets, table, TestProgram::Untyped),
        }
    }

    /// Adds to each refusal what the configuration and the lockdown level suggest as its cause.
    pub(super) fn explained(mut self, config: &BTreeMap<String, String>, lockdown: Option<&str>) -> Self {
        let causes = [
            (&mut self.fentry, "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS", false),
            (&mut self.kprobe, "CONFIG_KPROBES", true),
            (&mut self.tp_btf, "CONFIG_BPF_EVENTS", false),
            (&mut self.probe_read_kernel, "CONFIG_BPF_EVENTS", true),
        ];
        for (support, option, locked) in causes {
            let Support::No(reason) = support else { continue };
            if config.get(option).is_some_and(|value| value == "n") {
                reason.push_str(&format!(" ({option} is not set)"));
            } else if let (true, Some(level @ "confidentiality")) = (locked, lockdown) {
                reason.push_str(&format!(" (lockdown={level})"));
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Refuses(fn(TestProgram) -> bool);

    impl CapabilityProbe for Refuses {
        fn test(&self, program: TestProgram) -> Support {
            if self.0(program) {
                Support::no("refused")
            } else {
                Support::Yes
            }
        }
    }

    fn targets() -> Targets {
        Targets {
            functions: BTreeMap::from([(names::TRIED_FUNCTION.to_owned(), 1)]),
            tracepoints: BTreeMap::from([(names::TRIED_TRACEPOINT.to_owned(), 2)]),
            ..Targets::default()
        }
    }

    const TABLE: TablePath = [8, 16, 24];

    #[test]
    fn loads_without_a_type_are_tried_on_their_own() {
        let caps = Caps::find(
            &Refuses(|program| program == TestProgram::Untyped(2, TABLE)),
            &targets(),
            Some(6),
            Some(TABLE),
        );
        assert!(caps.typed_task.is_yes());
        assert_eq!(caps.untyped_load, Support::no("refused"));
    }

    #[test]
    fn each_kind_is_tried_on_its_own() {
        let caps = Caps::find(
            &Refuses(|program| matches!(program, TestProgram::Fentry(1))),
            &targets(),
            Some(6),
            Some(TABLE),
        );
        assert_eq!(caps.fentry, Support::no("refused"));
        assert!(caps.kprobe.is_yes() && caps.tp_btf.is_yes() && caps.probe_read_kernel.is_yes());

        let caps = Caps::find(
            &Refuses(|program| program == TestProgram::ProbeRead(2)),
            &targets(),
            None,
            None,
        );
        assert_eq!(
            caps.typed_task,
            Support::no("BTF does not tell where a task's descriptors are")
        );
        assert!(caps.fentry.is_yes() && caps.tp_btf.is_yes());
        assert_eq!(caps.probe_read_kernel, Support::no("refused"));
        assert_eq!(caps.kprobe, Support::no("the kernel has no kprobe events"));
    }

    #[test]
    fn without_a_target_nothing_is_loaded() {
        let caps = Caps::find(&Refuses(|_| false), &Targets::default(), None, Some(TABLE));
        assert_eq!(
            caps.fentry,
            Support::no("BTF has no ep_poll_callback to try it on")
        );
        assert_eq!(caps.tp_btf, Support::no("BTF has no sched_switch to try it on"));
    }

    #[test]
    fn a_cause_is_added_to_refusals_only() {
        let config = BTreeMap::from([("CONFIG_KPROBES".to_owned(), "n".to_owned())]);
        let refuses_all = || Caps::find(&Refuses(|_| true), &targets(), None, Some(TABLE));
        let caps = refuses_all().explained(&config, Some("confidentiality"));
        assert_eq!(
            caps.kprobe,
            Support::no("the kernel has no kprobe events (CONFIG_KPROBES is not set)")
        );
        assert_eq!(
            caps.probe_read_kernel,
            Support::no("refused (lockdown=confidentiality)")
        );
        assert_eq!(
            caps.fentry,
            Support::no("refused"),
            "lockdown never refuses fentry"
        );
        let allowed = Caps::find(&Refuses(|_| false), &targets(), Some(6), Some(TABLE));
        assert_eq!(
            allowed.clone().explained(&config, Some("confidentiality")),
            allowed
        );
    }
}
