//! Commands in a VM with a kernel of the list: builds the file tree, boots, carries output and exit code.

mod console;
mod initramfs;
mod programs;
pub(crate) mod qemu;

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use xtask::guest::{JOBS_PATH, Job, Output};

use crate::builds::{self, GuestBinaries};
use crate::kernels::{self, Guest, fetch};
use crate::setup;
use initramfs::Initramfs;
use qemu::{Boot, Clock, Outcome};

/// A boot that dies before PID 1 reports is tried so often; nothing else is tried again.
const BOOT_ATTEMPTS: u32 = 3;

/// `cargo xtask vm`.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Kernel: 5.10, 6.1, 6.12, 6.18, 7.3, 6.18-lockdown or all
    #[arg(long, default_value = "6.18", value_parser = kernels::names())]
    kernel: String,
    #[command(flatten)]
    machine: Machine,
    /// Program of this machine to put into /bin of the VM, with its shared libraries
    #[arg(long, value_name = "PROGRAM")]
    with: Vec<String>,
    /// One virtual CPU and a clock that counts instructions: each is 1 ns, so what measures time measures them
    #[arg(long)]
    instructions: bool,
    /// What to run
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// What can be said about a VM apart from its kernel.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Machine {
    /// Number of virtual CPUs
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    smp: u32,
    /// Added to the kernel command line
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    cmdline: String,
    /// Wall-clock limit in seconds for each VM [default: 300, for tests as long as their jobs may take]
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
}

/// Wall-clock limit of a VM in seconds, unless the command line says otherwise: enough for a boot and one command.
const TIMEOUT: u64 = 300;
/// Jobs end long before their own limits. When all of them together take this part of theirs on top, the VM stands still.
const JOBS_TIMEOUT_PART: u64 = 4;

impl Machine {
    /// One CPU, and at most `limit`.
    pub(crate) fn single(limit: Duration) -> Self {
        Self {
            smp: 1,
            cmdline: String::new(),
            timeout: Some(limit.as_secs()),
        }
    }

    fn with_one_cpu(&self) -> Self {
        Self {
            smp: 1,
            ..self.clone()
        }
    }

    /// With at least `cpus` CPUs.
    pub(crate) fn with_cpus(&self, cpus: u32) -> Self {
        Self {
            smp: self.smp.max(cpus),
            ..self.clone()
        }
    }

    /// Wall-clock limit of a VM that runs `jobs`.
    fn limit(&self, jobs: &[Job]) -> Duration {
        let all: u64 = jobs.iter().map(|job| job.timeout_ms / 1000).sum();
        Duration::from_secs(self.timeout.unwrap_or_else(|| TIMEOUT + all / JOBS_TIMEOUT_PART))
    }
}

/// Runs the command in each chosen VM; the exit code is that of the first one that is not 0.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let prepared = Prepared::new()?;
    let job = Job {
        name: "vm".to_owned(),
        argv: arguments.command.clone(),
        timeout_ms: arguments.machine.timeout.unwrap_or(TIMEOUT).saturating_mul(1000),
        output: Output::Ports,
    };
    let (clock, machine) = match arguments.instructions {
        true => (Clock::Instructions, arguments.machine.with_one_cpu()),
        false => (Clock::Real, arguments.machine.clone()),
    };
    let guests = kernels::select(&arguments.kernel);
    let mut code = 0;
    for guest in &guests {
        if guests.len() > 1 {
            eprintln!("== {}", guest.name);
        }
        let outcome = prepared.boot_by(
            clock,
            guest,
            &machine,
            &arguments.with,
            std::slice::from_ref(&job),
        )?;
        for warning in &outcome.warnings {
            eprintln!("xtask: VM {}: {warning}", guest.name);
        }
        if let Some(failure) = outcome.failure {
            bail!("VM {}: {failure}", guest.name);
        }
        let result = outcome.results.first().context("PID 1 reported no result")?;
        if !matches!(result.end, xtask::guest::End::Exited(_)) {
            eprintln!("xtask: VM {}: {}", guest.name, result.end);
        }
        if code == 0 {
            code = result.end.exit_code();
        }
    }
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// Everything a VM needs, built and fetched.
pub(crate) struct Prepared {
    binaries: GuestBinaries,
}

impl Prepared {
    /// Installs and builds what is missing.
    pub(crate) fn new() -> Result<Self> {
        setup::ensure_qemu()?;
        Ok(Self {
            binaries: builds::guest(&setup::bpf::ensure()?)?,
        })
    }

    /// Fetches the kernel of `guest` if it is not there; to be done before several boots at once.
    pub(crate) fn fetch(guest: &Guest) -> Result<()> {
        fetch::ensure(guest.image()).map(drop)
    }

    /// Boots `guest` with `programs` of this machine and runs `jobs` in it.
    pub(crate) fn boot(
        &self,
        guest: &Guest,
        machine: &Machine,
        programs: &[String],
        jobs: &[Job],
    ) -> Result<Outcome> {
        self.boot_by(Clock::Real, guest, machine, programs, jobs)
    }

    /// As [`Self::boot`], with the clocks of the VM as `clock` says.
    pub(crate) fn boot_by(
        &self,
        clock: Clock,
        guest: &Guest,
        machine: &Machine,
        programs: &[String],
        jobs: &[Job],
    ) -> Result<Outcome> {
        let kernel = fetch::ensure(guest.image())?;
        let work = tempfile::tempdir().context("cannot create a temporary directory")?;
        let initramfs = work.path().join("initramfs");
        self.write_initramfs(&initramfs, programs, jobs)?;
        let boot = Boot {
            vmlinuz: &kernel.vmlinuz,
            initramfs: &initramfs,
            cmdline: &format!("{} {}", guest.cmdline, machine.cmdline),
            smp: machine.smp,
            limit: machine.limit(jobs),
            clock,
        };
        let mut attempt = 1;
        loop {
            let outcome = qemu::run(&boot)?;
            match &outcome.failure {
                Some(failure) if outcome.release.is_none() && attempt < BOOT_ATTEMPTS => {
                    eprintln!(
                        "xtask: VM {} died at boot, attempt {attempt} of {BOOT_ATTEMPTS}: {failure}",
                        guest.name
                    );
                    attempt += 1;
                }
                _ => return Ok(outcome),
            }
        }
    }

    fn write_initramfs(&self, path: &Path, programs: &[String], jobs: &[Job]) -> Result<()> {
        let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
        let mut archive = Initramfs::new(BufWriter::new(file));
        archive.copy("/init", &self.binaries.init)?;
        archive.copy("/bin/epoll-trace", &self.binaries.epoll_trace)?;
        for program in programs {
            programs::add(&mut archive, program)?;
        }
        archive.file(JOBS_PATH, &serde_json::to_vec(jobs)?)?;
        archive
            .finish()
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(())
    }
}
