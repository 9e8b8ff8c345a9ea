//! `cargo xtask bench`: what the tool costs those it watches, in instructions, beside empty programs and other tools.
//!
//! All subjects run one after the other in one boot of a VM that counts instructions as time, each beside the same loads of a
//! known number of operations; so they differ in nothing else.

mod agent;
mod ceilings;
mod figures;
mod native;
mod pairs;
mod peer;
pub(crate) mod reading;
mod report;
mod row;
mod running;
mod subjects;
mod talk;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use xtask::guest::{End, Job, Output};
use xtask::measure::{Measured, Plan};

use self::figures::Kernel;
use self::subjects::{CALLED_BY_PEERS, PEERS, SUBJECTS, SubjectRow, Whose};
use crate::builds;
use crate::kernels::{self, Guest, fetch};
use crate::paths;
use crate::setup::{apt, bpf};
use crate::vm::qemu::Clock;
use crate::vm::{Machine, Prepared};

/// Rounds of each load beside each subject.
const ROUNDS: u32 = 4;
/// So often a kernel is booted until nothing differs before and after all subjects.
const BOOTS: u32 = 3;
/// Until the guest has done what it does after its boot, ms.
const SETTLE_MS: u64 = 20_000;
/// So much longer in each further boot, so that ticks and background work fall elsewhere: a boot repeats to the last instruction.
const SETTLE_MORE_MS: u64 = 1_771;
/// Wall-clock limit of a VM.
const LIMIT: Duration = Duration::from_secs(1200);
/// Where the figures are on record, from the top of the project.
const RECORD: &str = "docs/cost.json";
const DOCUMENT: &str = "docs/cost.md";
/// The kernel of the short form.
const SHORT_KERNEL: &str = "6.18";

/// What to run.
#[derive(clap::Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: Option<Besides>,
    /// Kernels
    #[arg(long = "kernel", value_name = "KERNEL", default_values = ["6.1", "6.18", "7.3"], value_parser = kernels::names())]
    kernels: Vec<String>,
    /// Only subjects whose name contains this
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Without the other tools, which `apt` installs where they are missing
    #[arg(long)]
    no_peers: bool,
    /// Fail where a row of ours is more than 2 % from the one on record
    #[arg(long, conflicts_with = "record")]
    check: bool,
    /// Write docs/cost.json and docs/cost.md; kernels, and with --only subjects, that are not measured keep what is on record
    #[arg(long, conflicts_with = "no_peers")]
    record: bool,
    /// The figures as JSON
    #[arg(long)]
    json: bool,
}

/// What to measure instead.
#[derive(clap::Subcommand, Debug)]
enum Besides {
    /// On this machine, with real time: probes on tracepoints beside empty programs and bpftrace's runqlat
    Native(native::Arguments),
    /// The agent itself on this machine: time to its first output, memory, processor time per refresh
    Agent(agent::Arguments),
}

/// How much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Everything.
    Long,
    /// Loads that tell most, one kernel, no other tools.
    Short,
}

/// Measures, prints, and says whether all ceilings and the record hold.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    match &arguments.what {
        Some(Besides::Native(arguments)) => return native::run(arguments),
        Some(Besides::Agent(arguments)) => return agent::run(arguments),
        None => {}
    }
    let chosen: Vec<&SubjectRow> = SUBJECTS
        .iter()
        .filter(|row| !(arguments.no_peers && matches!(row.whose, Whose::Peer | Whose::UpperMark)))
        .filter(|row| {
            arguments
                .only
                .as_deref()
                .is_none_or(|part| row.name.contains(part))
        })
        .collect();
    if chosen.is_empty() {
        bail!(
            "no subject has {:?} in its name",
            arguments.only.as_deref().unwrap_or_default()
        );
    }
    let bench = Bench::new(&chosen)?;
    let mut measured = Vec::new();
    for name in &arguments.kernels {
        for guest in kernels::select(name) {
            let kernel = bench.steady_kernel(guest, &chosen, Form::Long)?;
            if !arguments.json {
                println!(
                    "{}{}{}",
                    report::text(&kernel),
                    report::programs(&kernel),
                    report::failed(&kernel)
                );
            }
            measured.push(kernel);
        }
    }
    if arguments.json {
        println!(
            "{}",
            serde_json::to_string_pretty(&measured).context("the figures as JSON")?
        );
    }
    if arguments.record {
        record(&measured)?;
    }
    let recorded = if arguments.check { recorded()? } else { Vec::new() };
    Ok(judge(&measured, &recorded))
}

/// The part that every `cargo xtask test` runs.
///
/// # Errors
/// When nothing could be measured.
pub(crate) fn short() -> Result<bool> {
    let chosen: Vec<&SubjectRow> = SUBJECTS.iter().filter(|row| row.is_short()).collect();
    let bench = Bench::new(&chosen)?;
    let guest = kernels::select(SHORT_KERNEL);
    let guest = guest
        .first()
        .context("the kernel of the short form is not in the list")?;
    let kernel = bench.steady_kernel(guest, &chosen, Form::Short)?;
    println!("{}", report::text(&kernel));
    let recorded = if file(RECORD).exists() {
        recorded()?
    } else {
        println!("{RECORD} is missing: nothing to compare with; `cargo xtask bench --record` writes it");
        Vec::new()
    };
    Ok(judge(&[kernel], &recorded))
}

/// Prints each ceiling and each change, and says whether all is well.
fn judge(measured: &[Kernel], recorded: &[Kernel]) -> bool {
    let mut good = true;
    for kernel in measured {
        if let Err(why) = kernel.sound() {
            println!("FAIL kernel {}: {why}", kernel.kernel);
            good = false;
        }
        for (holds, line) in kernel.ceilings() {
            println!("{line}");
            good &= holds;
        }
        let record = recorded.iter().find(|record| record.kernel == kernel.kernel);
        for change in record.map(|record| kernel.changes(record)).unwrap_or_default() {
            println!("FAIL {change}; `cargo xtask bench --record` writes the new figures");
            good = false;
        }
    }
    good
}

fn file(name: &str) -> PathBuf {
    paths::workspace().join(name)
}

fn recorded() -> Result<Vec<Kernel>> {
    let text = fs::read_to_string(file(RECORD)).with_context(|| format!("cannot read {RECORD}"))?;
    serde_json::from_str(&text).with_context(|| format!("{RECORD} is no record"))
}

fn record(measured: &[Kernel]) -> Result<()> {
    for kernel in measured {
        kernel
            .sound()
            .map_err(|why| anyhow!("kernel {}: {why}", kernel.kernel))?;
    }
    let before = if file(RECORD).exists() {
        recorded()?
    } else {
        Vec::new()
    };
    let all = merged(before, measured);
    let json = serde_json::to_string_pretty(&all).context("the figures as JSON")?;
    fs::write(file(RECORD), json + "\n").with_context(|| format!("cannot write {RECORD}"))?;
    fs::write(file(DOCUMENT), report::markdown(&all)).with_context(|| format!("cannot write {DOCUMENT}"))
}

/// What is on record with what was `measured` in its place, in the order of the kernels' own list. Figures of another package of a kernel
/// are not put beside new ones.
fn merged(recorded: Vec<Kernel>, measured: &[Kernel]) -> Vec<Kernel> {
    let renewed = measured.iter().map(|new| {
        let mut new = new.clone();
        let mut old = recorded.iter();
        if let Some(old) = old.find(|old| (&old.kernel, &old.version) == (&new.kernel, &new.version)) {
            new.keep(old);
        }
        new
    });
    let renewed: Vec<Kernel> = renewed.collect();
    let is_new = |old: &Kernel| measured.iter().any(|new| new.kernel == old.kernel);
    let kept = recorded.into_iter().filter(|old| !is_new(old));
    let mut all: Vec<Kernel> = kept.chain(renewed).collect();
    let place = |kernel: &Kernel| {
        let mut guests = kernels::GUESTS.iter();
        guests.position(|guest| guest.name == kernel.kernel)
    };
    // One that is in the list no more comes first.
    all.sort_by_key(place);
    all
}

/// What the VM needs.
struct Bench {
    prepared: Prepared,
    /// The object of the empty programs.
    floor: PathBuf,
    /// Other programs.
    peers: Vec<String>,
}

impl Bench {
    fn new(chosen: &[&SubjectRow]) -> Result<Self> {
        let others = chosen
            .iter()
            .any(|row| matches!(row.whose, Whose::Peer | Whose::UpperMark));
        let mut peers = Vec::new();
        if others {
            let packages = PEERS.map(|(_, package)| package);
            apt::ensure(
                &packages,
                "is measured beside epoll-trace (`--no-peers` does without)",
            )?;
            peers.extend(PEERS.map(|(program, _)| program.to_owned()));
            peers.push(CALLED_BY_PEERS.to_owned());
        }
        Ok(Self {
            prepared: Prepared::new()?,
            floor: builds::floor(&bpf::ensure()?)?,
            peers,
        })
    }

    /// The figures of a boot in which nothing differs before and after all subjects. A boot in which something does is refused and
    /// made again: the guest's own background work falls where it will. The last one is returned as it is, for [`judge`] to refuse.
    fn steady_kernel(&self, guest: &Guest, chosen: &[&SubjectRow], form: Form) -> Result<Kernel> {
        let mut kernel = self.kernel(guest, chosen, form, 1)?;
        for boot in 2..=BOOTS {
            let Err(why) = kernel.steady() else { break };
            eprintln!("xtask: kernel {}: {why}; boot {boot} of {BOOTS}", guest.name);
            kernel = self.kernel(guest, chosen, form, boot)?;
        }
        Ok(kernel)
    }

    /// All of `chosen` on one kernel. The upper marks have a boot of their own.
    fn kernel(&self, guest: &Guest, chosen: &[&SubjectRow], form: Form, boot: u32) -> Result<Kernel> {
        let (marks, others): (Vec<_>, Vec<_>) = chosen.iter().partition(|row| row.whose == Whose::UpperMark);
        let version = fetch::ensure(guest.image())?.version;
        let made = |measured: &[Measured]| {
            Kernel::new(guest.name, &version, measured).map_err(|why| anyhow!("kernel {}: {why}", guest.name))
        };
        let mut kernel = made(&self.boot(guest, &others, form, boot)?)?;
        if !marks.is_empty() {
            // Its own none is what they are compared with.
            kernel.add(made(&self.boot(guest, &marks, form, boot)?)?);
        }
        Ok(kernel)
    }

    fn boot(&self, guest: &Guest, chosen: &[&SubjectRow], form: Form, boot: u32) -> Result<Vec<Measured>> {
        let floor_name = self
            .floor
            .file_name()
            .context("the object has a name")?
            .to_string_lossy();
        let plan = Plan {
            settle_ms: SETTLE_MS + u64::from(boot - 1) * SETTLE_MORE_MS,
            rounds: ROUNDS,
            loads: subjects::loads(form),
            subjects: chosen
                .iter()
                .map(|row| row.subject(&format!("/bin/{floor_name}")))
                .collect(),
        };
        let job = Job {
            name: "measure".to_owned(),
            argv: vec![
                "/init".to_owned(),
                "measure".to_owned(),
                serde_json::to_string(&plan).context("the plan as JSON")?,
            ],
            // Guest time is not this machine's: the VM's own limit ends what hangs.
            timeout_ms: u64::from(u32::MAX),
            output: Output::Report,
        };
        let mut programs = vec![self.floor.display().to_string()];
        programs.extend(self.peers.clone());
        eprintln!(
            "xtask: kernel {}: {} subjects, {} loads",
            guest.name,
            chosen.len(),
            plan.loads.len()
        );
        let machine = Machine::single(LIMIT);
        let outcome = self.prepared.boot_by(
            Clock::Instructions,
            guest,
            &machine,
            &programs,
            std::slice::from_ref(&job),
        )?;
        if let Some(failure) = outcome.failure {
            bail!("VM {}: {failure}", guest.name);
        }
        let result = outcome.results.first().context("PID 1 reported no result")?;
        if result.end != End::Exited(0) {
            bail!("VM {}: {}: {}", guest.name, result.end, result.stderr.trim());
        }
        let lines = result.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).with_context(|| format!("unreadable result: {line}")))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use xtask::measure::Measured;

    use super::figures::Kernel;
    use super::merged;

    #[test]
    fn a_record_keeps_the_kernels_that_were_not_measured() {
        let kernel = |name, version| Kernel::new(name, version, &[]).unwrap();
        let recorded = vec![kernel("6.18", "old"), kernel("6.1", "old")];
        let all = merged(recorded, &[kernel("7.3", "new"), kernel("6.18", "new")]);
        let told: Vec<_> = all
            .iter()
            .map(|kernel| (kernel.kernel.as_str(), kernel.version.as_str()))
            .collect();
        assert_eq!(told, [("6.1", "old"), ("6.18", "new"), ("7.3", "new")]);
    }

    #[test]
    fn a_record_keeps_the_subjects_that_were_not_measured() {
        let load = |subject: &str, op: f64| Measured::Load {
            subject: subject.to_owned(),
            load: "pp".to_owned(),
            per_op: vec![op],
        };
        let kernel = |all: &[Measured]| Kernel::new("6.18", "same", all).unwrap();
        let old = kernel(&[load("none", 10.0), load("ours", 30.0), load("theirs", 50.0)]);
        let new = kernel(&[load("none", 10.0), load("ours", 20.0)]);
        let all = merged(vec![old], &[new]);
        let above = |subject| all[0].figure(subject, "pp").map(|figure| figure.above);
        assert_eq!(
            [above("ours"), above("theirs"), above("none")],
            [Some(10.0), Some(40.0), Some(0.0)]
        );
        assert_eq!(all[0].figures.len(), 3);
    }
}
