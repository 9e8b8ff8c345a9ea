//! Loads and attaches the programs of a plan. The only user of aya besides the live source.

use std::{
    any::Any,
    collections::BTreeMap,
    fs,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
};

use anyhow::{Context as _, anyhow};
use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::Map,
    programs::Program,
    sys::{Stats, enable_stats},
};
use epoll_trace_ebpf as abi;

use super::catalog::{Hook, Program as Spec};
use super::options::{Options, Scope};
use super::{loader, types};
use crate::kernel::btf::Targets;
use crate::model::overhead::{MapMemory, ProgramRuns};

/// The BPF object, made by build.rs.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/epoll-trace-ebpf"));

/// Maps that nothing writes unless sources are wanted; likewise below.
const OF_SOURCES: &[&str] = &["SOURCE_ITEMS"];
const OF_READERS: &[&str] = &["READS", "READERS"];
const OF_FILES: &[&str] = &["FILES", "FILE_SUMS", "ROUNDS"];
const OF_LOCKS: &[&str] = &["LOCKS", "LOCK_THREADS", "MUTEX_WAITS", "SOURCES"];

/// Loaded programs. Dropping it unloads and detaches everything; the kernel does the same if we are killed.
pub struct Loaded {
    /// Owns programs and maps.
    pub ebpf: Ebpf,
    programs: Vec<&'static Spec>,
    links: Vec<Link>,
    /// Memory of each map, by name.
    pub maps: Vec<MapMemory>,
    stats: Option<OwnedFd>,
    /// Whether the programs were asked to say what they do.
    pub logs: bool,
    /// Programs that the plan chose and the kernel refused, with the kernel's word.
    pub broken: BTreeMap<String, String>,
}

/// Whether entries of wait queues have their fields where the programs expect them when they ask no global.
fn entries_are_as_known(offsets: &[(String, u64)]) -> bool {
    let is_at = |name, place| offsets.iter().any(|(of, at)| of == name && *at == place);
    is_at("OFF_ENTRY_PRIVATE", abi::ENTRY_PRIVATE) && is_at("OFF_ENTRY_PREV", abi::ENTRY_PREV)
}

/// Loads `programs`, which attach to `targets`, with the offsets of this kernel. One that fails does not stop the rest: see [`Loaded::broken`].
///
/// # Errors
/// When the object as a whole cannot be used: no BTF, no memory for the maps, no permission.
pub fn load(
    programs: &[&'static Spec],
    targets: &Targets,
    offsets: &[(String, u64)],
    options: &Options,
) -> anyhow::Result<Loaded> {
    let btf = types::only(targets)?;
    let options_globals = options.globals();
    let mut loader = loader::loader();
    for (name, value) in offsets.iter().chain(&options_globals) {
        loader.override_global(name, value, false);
    }
    let wakeups_alone = u64::from(options.wakeups_alone() && entries_are_as_known(offsets));
    loader.override_global("WAKEUPS_ALONE", &wakeups_alone, false);
    loader.override_global("AYA_LOG_LEVEL", &options.log_level, false);
    size_maps(&mut loader, options);
    let mut ebpf = loader.load(OBJECT).context("cannot load the BPF object")?;
    let mut broken = BTreeMap::new();
    for program in programs {
        if let Err(error) = load_program(&mut ebpf, program, &btf) {
            broken.insert(program.name.to_owned(), first_lines(&error));
        }
    }
    Ok(Loaded {
        maps: map_memory(&ebpf),
        stats: None,
        ebpf,
        programs: programs.to_vec(),
        links: Vec::new(),
        logs: options.log_level > 0,
        broken,
    })
}

/// Gives the maps as many entries as `options` need: one where nothing is written.
fn size_maps(loader: &mut EbpfLoader<'_>, options: &Options) {
    let rows = if options.rows == 0 {
        abi::DEFAULT_ROWS
    } else {
        options.rows
    };
    for map in ["ROWS", "ROW_INDEX", "FREE_ROWS"] {
        loader.map_max_entries(map, rows);
    }
    loader.map_max_entries("ROW_BLOCKS", rows.div_ceil(abi::BLOCK));
    let blocks = chunk_blocks(rows, options.kept().len() as u32);
    loader.map_max_entries("FREE_BLOCKS", blocks);
    for map in ["CHUNKS", "FREE_CHUNKS"] {
        loader.map_max_entries(map, blocks * abi::BLOCK);
    }
    if !options.count_wakers && !options.count_chains {
        loader.map_max_entries("WAKERS", 1);
    }
    if !options.follow_items {
        loader.map_max_entries("ITEMS", 1);
    }
    if options.scope == Scope::Everything && !options.by_cgroup {
        loader.map_max_entries("TRACED", 1);
    }
    for (wanted, maps) in [
        (options.sources, OF_SOURCES),
        (options.readers, OF_READERS),
        (options.files, OF_FILES),
        (options.locks, OF_LOCKS),
    ] {
        for map in maps.iter().filter(|_| !wanted) {
            loader.map_max_entries(map, 1);
        }
    }
}

/// Chunks for each histogram: most values of one lie within so many times two powers of two.
const CHUNKS_PER_HISTOGRAM: u32 = 4;
/// Chunks for each row at most, whatever it measures: rows are seldom all in use, and seldom all by everything.
const CHUNKS_PER_ROW: u32 = 24;

fn chunk_blocks(rows: u32, metrics: u32) -> u32 {
    let per_row = metrics
        .saturating_mul(CHUNKS_PER_HISTOGRAM)
        .clamp(1, CHUNKS_PER_ROW);
    rows.saturating_mul(per_row).div_ceil(abi::BLOCK)
}

fn program<'a>(ebpf: &'a mut Ebpf, spec: &Spec) -> anyhow::Result<&'a mut Program> {
    ebpf.program_mut(spec.name)
        .ok_or_else(|| anyhow!("the BPF object has no program {}", spec.name))
}

/// Loads the program of `ebpf` that has the name of `spec`.
///
/// # Errors
/// The kernel's word, with the verifier's log where it has one; or the object has no such program.
pub(super) fn load_program(ebpf: &mut Ebpf, spec: &Spec, btf: &Btf) -> anyhow::Result<()> {
    match program(ebpf, spec)? {
        Program::FEntry(program) => program.load(spec.hook.target(), btf)?,
        Program::FExit(program) => program.load(spec.hook.target(), btf)?,
        Program::BtfTracePoint(program) => program.load(spec.hook.target(), btf)?,
        Program::KProbe(program) => program.load()?,
        _ => anyhow::bail!("program {} is of an unexpected kind", spec.name),
    }
    Ok(())
}

/// An attached program: dropped, it is detached.
pub(super) type Link = Box<dyn Any + Send>;

/// Attaches the program of `ebpf` that has the name of `spec` and was loaded.
///
/// # Errors
/// The kernel's word, or the object has no such program.
pub(super) fn attach_program(ebpf: &mut Ebpf, spec: &Spec) -> anyhow::Result<Link> {
    macro_rules! link {
        ($program:ident, $id:expr) => {{
            let id = $id?;
            Box::new($program.take_link(id)?)
        }};
    }
    Ok(match program(ebpf, spec)? {
        Program::FEntry(program) => link!(program, program.attach()),
        Program::FExit(program) => link!(program, program.attach()),
        Program::BtfTracePoint(program) => link!(program, program.attach()),
        Program::KProbe(program) => link!(program, program.attach(spec.hook.target(), 0)),
        _ => anyhow::bail!("program {} is of an unexpected kind", spec.name),
    })
}

/// Ends before beginnings: attached in this order, no pair is left open.
pub(super) fn ends_first(programs: &mut [&'static Spec]) {
    programs.sort_by_key(|program| !matches!(program.hook, Hook::Fexit(_) | Hook::Kretprobe(_)));
}

impl Loaded {
    /// Attaches every program that loaded.
    /// Never stops at one program: what could not be attached goes to [`Self::broken`] as well.
    pub fn attach(&mut self) {
        let mut programs: Vec<&'static Spec> = self
            .programs
            .iter()
            .filter(|program| !self.broken.contains_key(program.name))
            .copied()
            .collect();
        ends_first(&mut programs);
        for program in programs {
            match attach_program(&mut self.ebpf, program) {
                Ok(link) => self.links.push(link),
                Err(error) => {
                    self.broken.insert(program.name.to_owned(), first_lines(&error));
                }
            }
        }
    }

    /// Detaches every program; they stay loaded, and can be attached again.
    pub fn detach(&mut self) {
        self.links.clear();
    }

    /// Lets the kernel count runs and their time, for all BPF programs there are, until this is dropped (`BPF_ENABLE_STATS`, 5.8).
    ///
    /// # Errors
    /// The kernel's refusal, in a phrase.
    pub fn count_runs(&mut self) -> Result<(), String> {
        let stats = enable_stats(Stats::RunTime);
        self.stats = Some(stats.map_err(|error| format!("BPF_ENABLE_STATS: {}", error.io_error))?);
        Ok(())
    }

    /// What each program ran so far, by name; runs are absent where they are not counted.
    pub fn runs(&self) -> Vec<ProgramRuns> {
        let counted = |count: Option<u64>| count.filter(|_| self.stats.is_some());
        let mut runs: Vec<_> = self
            .loaded()
            .map(|spec| {
                let info = self.ebpf.program(spec.name).and_then(program_info);
                let field = |name| info.as_deref().and_then(|info| number(info, name));
                ProgramRuns {
                    name: spec.name.to_owned(),
                    runs: counted(field("run_cnt:")),
                    run_ns: counted(field("run_time_ns:")),
                    misses: field("recursion_misses:"),
                }
            })
            .collect();
        runs.sort_by(|left, right| left.name.cmp(&right.name));
        runs
    }

    fn loaded(&self) -> impl Iterator<Item = &'static Spec> {
        let programs = self.programs.iter().copied();
        programs.filter(|program| !self.broken.contains_key(program.name))
    }

    /// Hits that the kernel dropped because a program was already running on that CPU; `None` where it does not count them
    /// (before 5.12).
    pub fn misses(&self) -> Option<u64> {
        self.loaded()
            .map(|spec| number(&program_info(self.ebpf.program(spec.name)?)?, "recursion_misses:"))
            .sum()
    }
}

/// From the descriptor's fdinfo (`bpf_prog_show_fdinfo`, kernel/bpf/syscall.c).
fn program_info(program: &Program) -> Option<String> {
    fdinfo(program.fd().ok()?.as_fd())
}

fn fdinfo(fd: BorrowedFd<'_>) -> Option<String> {
    fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()
}

fn number(info: &str, name: &str) -> Option<u64> {
    let mut lines = info.lines();
    lines.find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// What the kernel accounts for each map (`memlock` of `bpf_map_show_fdinfo`): the real use from 6.4 on, the size asked for before.
fn map_memory(ebpf: &Ebpf) -> Vec<MapMemory> {
    let memory = |(name, map): (&str, &Map)| {
        let (Map::Array(data)
        | Map::PerCpuArray(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::Queue(data)
        | Map::RingBuf(data)) = map
        else {
            return None;
        };
        let bytes = number(&fdinfo(data.fd().as_fd())?, "memlock:")?;
        Some(MapMemory {
            name: name.to_owned(),
            bytes,
        })
    };
    let mut maps: Vec<_> = ebpf.maps().filter_map(memory).collect();
    maps.sort_by(|left, right| left.name.cmp(&right.name));
    maps
}

/// An error with its causes on one line. A verifier log is cut to its beginning and to what stands before its statistics: the reason.
pub(super) fn first_lines(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let statistics = |line: &&str| {
        ["verification time", "stack depth", "processed "]
            .iter()
            .any(|start| line.starts_with(start))
    };
    let end = lines.iter().position(statistics);
    match (lines.as_slice(), end) {
        ([first, .., last], Some(end)) if end > 1 => format!("{first} … {} {last}", lines[end - 1]),
        ([first, .., before, last], None) => format!("{first} … {before} {last}"),
        (lines, _) => lines.join(" "),
    }
}
