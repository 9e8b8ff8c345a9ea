//! From a command's wishes to a running source: facts, plan, programs, maps.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::bail;

use crate::cli::{Counters, FilterArgs, GlobalArgs, ProbeFamily};
use crate::identity;
use crate::kernel::btf::Targets;
use crate::kernel::cgroup::Cgroup;
use crate::kernel::{Detail, Facts, caps::RunningKernel, offsets};
use crate::model::files::FILES;
use crate::model::look::WATCHED_FILES;
use crate::model::probes::{Outcome, Status};
use crate::model::readers::READERS;
use crate::model::snapshot::{Counter, EpollCounter, FIRST_LOCK_WAITS, LOCK_PATHS, Metric, NOT_MEASURED};
use crate::model::source::SOURCES;
use crate::model::waker::{CHAINS, WAKERS};
use crate::probe::catalog::{Family, Program, Signal};
use crate::probe::load::{Loaded, load};
use crate::probe::numbers::{Number, wanted};
use crate::probe::options::{Options, Scope};
use crate::probe::plan::{FamilyChoice, Identity, Plan, plan};
use crate::probe::status;
use crate::source::live::{Live, MAX_IDS};

/// What a command wants of the kernel.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Histograms.
    pub metrics: Vec<Metric>,
    /// Counters.
    pub counters: Option<Counters>,
    /// Read once what epolls of before watch; only where items are followed.
    pub fdinfo: bool,
    /// At the end of each block one look at what the waiting processes have open, and who reads fdinfo; with the above.
    pub look: bool,
    /// Which files deliveries return.
    pub files: bool,
    /// Who wakes.
    pub wakers: bool,
    /// What files that several watch, and listeners, bring, what their workers make of it, and who wakes the next thread of its epoll;
    /// with counters. Whoever else watches them belongs to that, so named processes and threads narrow only what is shown.
    pub sources: bool,
    /// Rows per thread.
    pub per_thread: bool,
    /// What the programs themselves cost; counting that costs time at each run.
    pub own_cost: bool,
    /// Whom to trace.
    pub scope: Scope,
    /// Their ids; with a cgroup those of its members that may sleep in a wait already.
    pub ids: Vec<u32>,
    /// The cgroup they must be in.
    pub cgroup: Option<Cgroup>,
}

impl Wishes {
    /// Narrows the tracing to the processes or threads that `filter` names; what it says besides is the model's to sort out.
    ///
    /// # Errors
    /// When a process, thread or cgroup does not exist, or the one is not in the other.
    pub fn narrow(&mut self, filter: &FilterArgs) -> anyhow::Result<()> {
        for &pid in &filter.pid {
            if !identity::exists(pid) {
                bail!("there is no process {pid}; see `ps -e` for the processes that run");
            }
        }
        for &tid in &filter.tid {
            if !identity::exists(tid) {
                bail!("there is no thread {tid}; see `ps -eL` for the threads that run");
            }
        }
        if self.sources {
            return match &filter.cgroup {
                Some(path) => self.narrow_to(Cgroup::find(Path::new("/"), path)?),
                None => Ok(()),
            };
        }
        // With both, processes narrow the kernel's work and the model picks the threads.
        if !filter.pid.is_empty() {
            (self.scope, self.ids) = (Scope::Processes, filter.pid.clone());
        } else if !filter.tid.is_empty() {
            (self.scope, self.ids) = (Scope::Threads, filter.tid.clone());
        }
        if let Some(path) = &filter.cgroup {
            self.narrow_to(Cgroup::find(Path::new("/"), path)?)?;
        }
        Ok(())
    }

    fn narrow_to(&mut self, cgroup: Cgroup) -> anyhow::Result<()> {
        let (kind, members) = match self.scope {
            Scope::Threads => ("thread", cgroup.threads()?),
            _ => ("process", cgroup.processes()?),
        };
        if self.scope == Scope::Everything {
            // Beyond that many a thread is known by its next wait instead.
            self.ids = members.into_iter().take(MAX_IDS).collect();
        } else if let Some(stranger) = self.ids.iter().find(|id| !members.contains(id)) {
            bail!(
                "{kind} {stranger} is not in cgroup {}; its own stands in /proc/{stranger}/cgroup",
                cgroup.path.display()
            );
        }
        self.cgroup = Some(cgroup);
        Ok(())
    }

    /// Whether waits for locks are measured.
    fn locks(&self) -> bool {
        self.metrics.iter().any(|metric| metric.is_of_locks())
    }

    /// Whether it is known which items epolls have.
    pub fn follows_items(&self) -> bool {
        self.sources || self.counters == Some(Counters::All)
    }

    /// Whether `number` is measured where the kernel tells it.
    fn counts(&self, number: Number) -> bool {
        match number {
            Number::Metric(metric) => self.metrics.contains(&metric),
            Number::Wakers => self.wakers,
            Number::Readers => self.look,
            Number::Files | Number::FileTimes => self.files,
            Number::Chains | Number::Sources => self.sources,
            Number::Items | Number::Flags => self.follows_items(),
            _ if number.is_of_locks() => self.locks(),
            // They keep identities right.
            Number::Epoll(EpollCounter::Created | EpollCounter::Closed) => true,
            Number::Epoll(_) => self.counters == Some(Counters::All),
            Number::Counter(counter) => match self.counters {
                Some(Counters::All) => true,
                Some(Counters::Waits) if self.sources => number.is_of_workers(),
                Some(Counters::Waits) => number.is_of_waits(),
                None => counter == Counter::DeliveriesSlept,
            },
        }
    }

    fn detail(&self, capabilities: bool) -> Detail {
        Detail {
            // A waiter's stack tells what it does, once it is known where functions begin and end.
            extents: self.locks(),
            capabilities,
        }
    }

    fn signals(&self) -> BTreeSet<Signal> {
        let mut signals = wanted(Number::all().filter(|&number| self.counts(number)));
        if !self.fdinfo {
            signals.remove(&Signal::EpollShown);
        }
        if self.scope == Scope::Trees {
            signals.insert(Signal::ProcessFork);
        }
        signals
    }
}

/// What a family on the command line means to the plan.
pub fn family(choice: ProbeFamily) -> FamilyChoice {
    match choice {
        ProbeFamily::Auto => FamilyChoice::Auto,
        ProbeFamily::Fentry => FamilyChoice::Force(Family::Fentry),
        ProbeFamily::Kprobe => FamilyChoice::Force(Family::Kprobe),
        ProbeFamily::Tracepoint => FamilyChoice::Force(Family::Tracepoint),
    }
}

/// The facts of the running kernel.
pub fn facts(detail: Detail) -> Facts {
    Facts::read(Path::new("/"), &RunningKernel, detail)
}

/// The programs that a run with these wishes attaches, and what there is to attach to.
///
/// # Errors
/// When this kernel cannot do the main job, with the reason.
pub fn programs(global: &GlobalArgs, wishes: &Wishes) -> anyhow::Result<(Vec<&'static Program>, Targets)> {
    let facts = facts(wishes.detail(true));
    let plan = plan(&facts, &wishes.signals(), family(global.probes));
    plan.check()?;
    Ok((plan.programs(), facts.targets))
}

/// Starts tracing: from here on the kernel counts. Dropping the source ends it.
///
/// # Errors
/// When this kernel cannot do the main job, with the reason.
pub fn start(global: &GlobalArgs, wishes: &Wishes) -> anyhow::Result<(Live, Status)> {
    // To try each kind of program first takes as long as a start that works; where one fails it is worth it, and if they do not all
    // work, a second start.
    let taken = attached(global, wishes, false).ok();
    let taken = taken
        .filter(|(presumed, _, live)| live.is_whole() || facts(wishes.detail(true)).caps == presumed.caps);
    let (facts, plan, mut live) = match taken {
        Some(taken) => taken,
        None => attached(global, wishes, true)?,
    };
    let status = status::attached(&facts, &plan, &live.loaded().broken);
    if let Some(error) = &status.error {
        bail!("{error}");
    }
    let mut absent = status.absent.clone();
    add_unmeasured(wishes, &mut absent);
    if wishes.locks() && facts.symbols.texts.is_empty() {
        let why = "the kernel hides its addresses (kptr_restrict), so who is in epoll_ctl, close or fdinfo counts as other";
        absent.insert(LOCK_PATHS.to_owned(), why.to_owned());
    }
    if wishes.locks()
        && let Some(why) = lost_of(&status, Signal::Contention)
    {
        absent.insert(FIRST_LOCK_WAITS.to_owned(), why.to_owned());
    }
    if wishes.look && !(wishes.fdinfo && is_seen(&status, Signal::EpollShown)) {
        let why = if wishes.fdinfo {
            "ep_show_fdinfo cannot be probed, so which epoll a list is of is not known"
        } else {
            "fdinfo is not read in this run"
        };
        absent.insert(WATCHED_FILES.to_owned(), why.to_owned());
    }
    let deaths_are_seen = is_seen(&status, Signal::EpollDeath);
    learn_items(&mut live, wishes, &status)?;
    if wishes.sources && wishes.fdinfo && absent.contains_key(SOURCES) {
        live.find_listeners();
    }
    live.describe(absent, status.line(), deaths_are_seen);
    give_memory_back();
    Ok((live, status))
}

/// Returns what only the start took to the system: the allocator keeps it for more of the kind, which never comes.
fn give_memory_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes no pointer, and touches only memory that nobody uses.
    unsafe {
        libc::malloc_trim(0)
    };
}

/// All that [`start`] does but attaching: the kernel counts nothing yet.
///
/// # Errors
/// As of [`start`].
pub fn loaded(global: &GlobalArgs, wishes: &Wishes) -> anyhow::Result<Live> {
    prepare(global, wishes, true).map(|(_, _, live)| live)
}

/// As [`prepare`], and attached as far as the kernel lets it.
fn attached(global: &GlobalArgs, wishes: &Wishes, capabilities: bool) -> anyhow::Result<(Facts, Plan, Live)> {
    let (facts, plan, mut live) = prepare(global, wishes, capabilities)?;
    live.loaded().attach();
    Ok((facts, plan, live))
}

fn prepare(global: &GlobalArgs, wishes: &Wishes, capabilities: bool) -> anyhow::Result<(Facts, Plan, Live)> {
    if !identity::sees_all_processes() {
        bail!(
            "this is not the host's pid namespace, so process ids would be wrong; in a container use --pid=host"
        );
    }
    let facts = facts(wishes.detail(capabilities));
    let plan = plan(&facts, &wishes.signals(), family(global.probes));
    plan.check()?;
    let loaded = load_plan(&facts, &plan, wishes, global.verbose)?;
    let mut live = Live::new(loaded, wishes.metrics.clone())?;
    for &id in &wishes.ids {
        live.trace(id)?;
    }
    if let Some(cgroup) = &wishes.cgroup {
        live.trace_within(&cgroup.path)?;
    }
    if wishes.own_cost {
        live.count_runs();
    }
    Ok((facts, plan, live))
}

/// What the programs that tell `signal` do not see of it.
fn lost_of(status: &Status, signal: Signal) -> Option<&str> {
    let mut signals = status.signals.iter();
    let found = signals.find(|found| found.signal == signal.name())?;
    found.lost.as_deref()
}

/// Whether programs that were attached tell `signal`.
fn is_seen(status: &Status, signal: Signal) -> bool {
    let found = status.signals.iter().find(|found| found.signal == signal.name());
    found.is_some_and(|found| matches!(found.verdict, Outcome::Chosen | Outcome::Fallback))
}

/// What epolls of before watch, as far as that is wanted and can be had; where not, why.
fn learn_items(live: &mut Live, wishes: &Wishes, status: &Status) -> anyhow::Result<()> {
    if !wishes.follows_items() {
        return Ok(());
    }
    let missing = !is_seen(status, Signal::EpollShown);
    live.items_known_partly(match (wishes.fdinfo, missing) {
        (false, _) => "of epolls from before the start: their fdinfo is not read in this run",
        (true, true) => "of epolls from before the start: ep_show_fdinfo cannot be probed",
        (true, false) => "of some epolls: they kept changing, or came from a process that is not traced",
    });
    if !wishes.fdinfo || missing {
        return Ok(());
    }
    match wishes.scope {
        // The command has not begun: it has no epoll.
        Scope::Trees => Ok(()),
        Scope::Everything if wishes.cgroup.is_none() => {
            let own = std::process::id();
            let others: Vec<u32> = identity::processes()
                .into_iter()
                .filter(|&id| id != own)
                .collect();
            live.read_items(&others)
        }
        Scope::Everything | Scope::Processes | Scope::Threads => live.read_items(&wishes.ids),
    }
}

/// Metrics that have a value for each wait that returns, whether it slept or not.
const OF_RETURNS: &[Metric] = &[Metric::Queue, Metric::Busy, Metric::EventsPerWait];
/// Metrics that rest on what is kept of each epoll.
const PER_EPOLL: &[Metric] = &[Metric::Queue, Metric::OverflowLength];

/// `-v` so often turns on the programs' own diagnostics.
const DIAGNOSTICS: u8 = 2;

fn load_plan(facts: &Facts, plan: &Plan, wishes: &Wishes, verbose: u8) -> anyhow::Result<Loaded> {
    let everything = wishes.counters == Some(Counters::All);
    let any_of = |list: &[Metric]| wishes.metrics.iter().any(|metric| list.contains(metric));
    let seen = |signal| plan.missing(signal).is_none();
    let options = Options {
        metrics: wishes.metrics.clone(),
        per_thread: wishes.per_thread,
        waits_seen: seen(Signal::WaitEnter),
        count_waits: wishes.counters.is_some() || any_of(OF_RETURNS),
        count_per_epoll: everything || any_of(PER_EPOLL),
        count_wakers: wishes.wakers && !plan.absent().contains_key(WAKERS),
        count_chains: wishes.sources && !plan.absent().contains_key(CHAINS),
        follow_items: wishes.follows_items(),
        count_accepts: everything || wishes.sources,
        time_loops: everything || wishes.sources || wishes.metrics.contains(&Metric::Busy),
        locks: wishes.locks(),
        sources: wishes.sources && !plan.absent().contains_key(SOURCES),
        readers: wishes.look && !plan.absent().contains_key(READERS),
        files: wishes.files && !plan.absent().contains_key(FILES),
        notifications_seen: seen(Signal::Notification),
        epoll_by_fd: matches!(plan.identity, Identity::Descriptor(_)),
        scope: wishes.scope.clone(),
        by_cgroup: wishes.cgroup.is_some(),
        rows: 0,
        log_level: if verbose >= DIAGNOSTICS {
            aya_log::Level::Debug as u8
        } else {
            0
        },
    };
    load(
        &plan.programs(),
        &facts.targets,
        &offsets::globals(facts),
        &options,
    )
}

/// What the kernel could tell and nobody asked for.
fn add_unmeasured(wishes: &Wishes, absent: &mut BTreeMap<String, String>) {
    for number in Number::all().filter(|&number| !wishes.counts(number)) {
        absent
            .entry(number.name().to_owned())
            .or_insert_with(|| NOT_MEASURED.to_owned());
    }
}
