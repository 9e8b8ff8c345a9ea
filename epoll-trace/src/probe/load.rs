//! Loads and attaches the programs of a plan. The only user of aya besides the live source.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
};

use anyhow::{Context as _, anyhow};
use aya::{Btf, Ebpf, EbpfLoader, programs::Program};
use epoll_trace_ebpf as abi;

use super::catalog::{Hook, Program as Spec};
use crate::model::snapshot::Metric;

/// The BPF object, made by build.rs.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/epoll-trace-ebpf"));

/// Whom to trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Every process but ourselves.
    #[default]
    Everything,
    /// Processes named later by their id.
    Processes,
    /// Threads named later by their id.
    Threads,
    /// Processes named later by their id, and what they fork.
    Trees,
}

/// What a run wants of the programs beyond the plan.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Histograms to keep, in the order of their slots.
    pub metrics: Vec<Metric>,
    /// Rows per thread instead of per process.
    pub per_thread: bool,
    /// Count notifications and scans per epoll.
    pub count_per_epoll: bool,
    /// Add up the time in and between waits.
    pub time_loops: bool,
    /// Epolls are known by descriptor number only.
    pub epoll_by_fd: bool,
    /// Whom to trace.
    pub scope: Scope,
    /// Only threads of a cgroup named later, and of those below it.
    pub by_cgroup: bool,
    /// Rows at most; 0 = the object's default.
    pub rows: u32,
    /// Log level of the programs, as aya-log numbers it; 0 = off, at no cost.
    pub log_level: u8,
}

impl Options {
    /// The globals that stand for these options. All are 64 bits wide.
    fn globals(&self) -> Vec<(String, u64)> {
        let slots = self.metrics.len() as u64;
        let mut globals = vec![
            ("OWN_TGID".to_owned(), u64::from(std::process::id())),
            ("FILTERED".to_owned(), u64::from(self.scope != Scope::Everything)),
            (
                "FILTER_BY_TID".to_owned(),
                u64::from(self.scope == Scope::Threads),
            ),
            ("BY_CGROUP".to_owned(), u64::from(self.by_cgroup)),
            ("FOLLOW_FORK".to_owned(), u64::from(self.scope == Scope::Trees)),
            ("PER_THREAD".to_owned(), u64::from(self.per_thread)),
            ("EPOLL_BY_FD".to_owned(), u64::from(self.epoll_by_fd)),
            ("COUNT_PER_EPOLL".to_owned(), u64::from(self.count_per_epoll)),
            ("TIME_LOOPS".to_owned(), u64::from(self.time_loops)),
            ("SLOTS".to_owned(), slots),
        ];
        for metric in Metric::ALL {
            let wanted = self.metrics.iter().position(|wanted| wanted == metric);
            let slot = wanted.map_or(slots, |slot| slot as u64);
            globals.push((format!("SLOT_{}", metric.name().to_uppercase()), slot));
        }
        globals
    }
}

/// Loaded programs. Dropping it unloads and detaches everything; the kernel does the same if we are killed.
pub struct Loaded {
    /// Owns programs and maps.
    pub ebpf: Ebpf,
    programs: Vec<&'static Spec>,
    /// Whether the programs were asked to say what they do.
    pub logs: bool,
    /// Programs that the plan chose and the kernel refused, with the kernel's word.
    pub broken: BTreeMap<String, String>,
}

/// Loads `programs` with the offsets of this kernel. One that fails does not stop the rest: see [`Loaded::broken`].
///
/// # Errors
/// When the object as a whole cannot be used: no BTF, no memory for the maps, no permission.
pub fn load(
    programs: &[&'static Spec],
    offsets: &[(&'static str, u64)],
    options: &Options,
) -> anyhow::Result<Loaded> {
    let btf = Btf::from_sys_fs().context("cannot read the kernel's BTF")?;
    let options_globals = options.globals();
    let globals: Vec<(&str, u64)> = offsets
        .iter()
        .copied()
        .chain(
            options_globals
                .iter()
                .map(|(name, value)| (name.as_str(), *value)),
        )
        .collect();
    let rows = if options.rows == 0 {
        abi::DEFAULT_ROWS
    } else {
        options.rows
    };
    let mut loader = EbpfLoader::new();
    loader.btf(Some(&btf));
    for (name, value) in &globals {
        loader.override_global(name, value, false);
    }
    loader.override_global("AYA_LOG_LEVEL", &options.log_level, false);
    for map in ["ROWS", "ROW_INDEX", "FREE_ROWS"] {
        loader.map_max_entries(map, rows);
    }
    loader.map_max_entries(
        "HISTOGRAMS",
        rows.saturating_mul(options.metrics.len() as u32).max(1),
    );
    let mut ebpf = loader.load(OBJECT).context("cannot load the BPF object")?;
    let mut broken = BTreeMap::new();
    for program in programs {
        if let Err(error) = load_program(&mut ebpf, program, &btf) {
            broken.insert(program.name.to_owned(), first_lines(&error));
        }
    }
    Ok(Loaded {
        ebpf,
        programs: programs.to_vec(),
        logs: options.log_level > 0,
        broken,
    })
}

fn program<'a>(ebpf: &'a mut Ebpf, spec: &Spec) -> anyhow::Result<&'a mut Program> {
    ebpf.program_mut(spec.name)
        .ok_or_else(|| anyhow!("the BPF object has no program {}", spec.name))
}

fn load_program(ebpf: &mut Ebpf, spec: &Spec, btf: &Btf) -> anyhow::Result<()> {
    match program(ebpf, spec)? {
        Program::FEntry(program) => program.load(spec.hook.target(), btf)?,
        Program::FExit(program) => program.load(spec.hook.target(), btf)?,
        Program::BtfTracePoint(program) => program.load(spec.hook.target(), btf)?,
        Program::KProbe(program) => program.load()?,
        _ => anyhow::bail!("program {} is of an unexpected kind", spec.name),
    }
    Ok(())
}

fn attach_program(ebpf: &mut Ebpf, spec: &Spec) -> anyhow::Result<()> {
    match program(ebpf, spec)? {
        Program::FEntry(program) => program.attach().map(|_| ())?,
        Program::FExit(program) => program.attach().map(|_| ())?,
        Program::BtfTracePoint(program) => program.attach().map(|_| ())?,
        Program::KProbe(program) => program.attach(spec.hook.target(), 0).map(|_| ())?,
        _ => anyhow::bail!("program {} is of an unexpected kind", spec.name),
    }
    Ok(())
}

impl Loaded {
    /// Attaches every program that loaded, ends before beginnings, so that no pair is left open.
    /// Never stops at one program: what could not be attached goes to [`Self::broken`] as well.
    pub fn attach(&mut self) {
        let mut programs: Vec<&'static Spec> = self
            .programs
            .iter()
            .filter(|program| !self.broken.contains_key(program.name))
            .copied()
            .collect();
        programs.sort_by_key(|program| !matches!(program.hook, Hook::Fexit(_) | Hook::Kretprobe(_)));
        for program in programs {
            if let Err(error) = attach_program(&mut self.ebpf, program) {
                self.broken.insert(program.name.to_owned(), first_lines(&error));
            }
        }
    }

    /// Hits that the kernel dropped because a program was already running on that CPU; `None` where it does not count them
    /// (before 5.12).
    pub fn misses(&self) -> Option<u64> {
        let loaded = self
            .programs
            .iter()
            .filter(|program| !self.broken.contains_key(program.name));
        loaded.map(|spec| misses_of(self.ebpf.program(spec.name)?)).sum()
    }
}

/// From the descriptor's fdinfo (`bpf_prog_show_fdinfo`, kernel/bpf/syscall.c).
fn misses_of(program: &Program) -> Option<u64> {
    let fd = program.fd().ok()?.as_fd().as_raw_fd();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
    info.lines()
        .find_map(|line| line.strip_prefix("recursion_misses:")?.trim().parse().ok())
}

/// An error with its causes on one line; a verifier log is cut to its end, where the reason stands.
fn first_lines(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    match lines.as_slice() {
        [first, .., before, last] => format!("{first} … {before} {last}"),
        lines => lines.join(" "),
    }
}
