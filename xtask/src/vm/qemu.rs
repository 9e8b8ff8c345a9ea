//! One VM: starts QEMU, carries the four serial ports, watches console and clock.

use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use xtask::guest::{JobResult, Report};

use super::console::Console;
use crate::setup::QEMU;

/// PID 1 reports within 10 s on an idle machine; a boot that takes so much longer has died.
const BOOT_LIMIT: Duration = Duration::from_secs(120);
/// From the last report to the end of QEMU.
const POWER_OFF_LIMIT: Duration = Duration::from_secs(15);
/// From a bad line on the console to the end of the VM.
const LAST_WORDS: Duration = Duration::from_millis(700);
const MEMORY: &str = "1G";
/// Where time is instructions: room for programs that bring two hundred megabytes of libraries.
const MEMORY_TO_COUNT: &str = "3G";
/// Without cmpxchg16b: QEMU 7.2 emulates it with wrong flags now and then, and the allocator of 6.12, which uses it in
/// its fast path, then crashes the kernel in some runs, more on a busy machine.
const CPU: &str = "max,-cx16";
/// Without what is random besides.
const CPU_TO_COUNT: &str = "max,-cx16,-rdrand,-rdseed";
/// Each guest instruction is 1 ns of guest time, time that the guest sleeps is skipped, and every boot finds the same date: so
/// a second boot counts what the first did.
const COUNTING: [&str; 4] = ["-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01,clock=vm"];

/// What the clocks of a VM follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// This machine's.
    Real,
    /// The instructions that the guest executes; for one virtual CPU only.
    Instructions,
}

/// What to boot.
pub(crate) struct Boot<'a> {
    /// Kernel image.
    pub(crate) vmlinuz: &'a Path,
    /// Its file tree.
    pub(crate) initramfs: &'a Path,
    /// Added to the kernel command line.
    pub(crate) cmdline: &'a str,
    /// Virtual CPUs.
    pub(crate) smp: u32,
    /// Wall-clock limit of the whole run.
    pub(crate) limit: Duration,
    /// What its clocks follow.
    pub(crate) clock: Clock,
}

/// What came out of a VM.
pub(crate) struct Outcome {
    /// Kernel release as PID 1 saw it; nothing if the boot died before.
    pub(crate) release: Option<String>,
    /// What PID 1 could not set up.
    pub(crate) warnings: Vec<String>,
    /// Jobs that ended, in their order.
    pub(crate) results: Vec<JobResult>,
    /// Why the VM ended before its last report, with the end of its console.
    pub(crate) failure: Option<String>,
}

enum Event {
    Console(String),
    Report(String),
    ReportsEnded,
}

/// Boots and runs the job list of the initramfs. Fails only if QEMU cannot be started.
pub(crate) fn run(boot: &Boot<'_>) -> Result<Outcome> {
    let (events, inbox) = mpsc::channel();
    let pair = || UnixStream::pair().context("cannot make a socket pair");
    let (console, console_end) = pair()?;
    let (stdout, stdout_end) = pair()?;
    let (stderr, stderr_end) = pair()?;
    let (report, report_end) = pair()?;
    let ends = [console_end, stdout_end, stderr_end, report_end];
    let mut vm = Vm(spawn(boot, &ends)?);
    // Only QEMU holds them now, so that its end is the end of each stream.
    drop(ends);
    let mut streams = vec![pass(stdout, io::stdout()), pass(stderr, io::stderr())];
    streams.push(lines(console, events.clone(), Event::Console, None));
    streams.push(lines(report, events, Event::Report, Some(Event::ReportsEnded)));
    let outcome = watch(&inbox, boot.limit, &mut vm);
    vm.end();
    for stream in streams {
        drop(stream.join());
    }
    Ok(outcome)
}

/// QEMU, killed at the latest when this goes out of scope.
struct Vm(Child);

impl Vm {
    fn end(&mut self) {
        // Both fail only if it has ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }

    fn wait(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline && matches!(self.0.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.end();
    }
}

fn spawn(boot: &Boot<'_>, ports: &[UnixStream; 4]) -> Result<Child> {
    let mut command = machine(boot);
    for (n, port) in ports.iter().enumerate() {
        command
            .arg("-chardev")
            .arg(format!("socket,id=port{n},fd={}", port.as_raw_fd()));
        command.arg("-serial").arg(format!("chardev:port{n}"));
    }
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
    let passed_on = ports.each_ref().map(UnixStream::as_raw_fd);
    let prepare = move || {
        // A VM must not outlive us, however we end.
        set_pdeathsig(Signal::SIGKILL)?;
        for port in passed_on {
            // Only in this child: one that starts at the same time would hold the ports open until its own end.
            // SAFETY: `ports` outlives the start of the child.
            let port = unsafe { BorrowedFd::borrow_raw(port) };
            fcntl(port, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(())
    };
    // SAFETY: prctl and fcntl are async-signal-safe and touch no memory.
    unsafe { command.pre_exec(prepare) };
    command
        .spawn()
        .with_context(|| format!("cannot start {QEMU}; `cargo xtask setup --vm` installs it"))
}

/// QEMU's command line up to the ports.
fn machine(boot: &Boot<'_>) -> Command {
    let mut command = Command::new(QEMU);
    let (cpu, memory, kaslr) = match boot.clock {
        Clock::Real => (CPU, MEMORY, ""),
        Clock::Instructions => (CPU_TO_COUNT, MEMORY_TO_COUNT, "nokaslr"),
    };
    // One host thread for all guest CPUs: with one each, a guest that patches its own code (static branches, on each attach to
    // sys_exit) now and then ran into the breakpoint of a patch already finished, and died of it.
    command.args([
        "-accel",
        "tcg,thread=single",
        "-cpu",
        cpu,
        "-m",
        memory,
        "-smp",
        &boot.smp.to_string(),
    ]);
    // A panic reboots (panic=-1), and a reboot ends QEMU.
    command.args([
        "-no-reboot",
        "-display",
        "none",
        "-monitor",
        "none",
        "-nodefaults",
        "-no-user-config",
    ]);
    command
        .arg("-kernel")
        .arg(boot.vmlinuz)
        .arg("-initrd")
        .arg(boot.initramfs);
    command
        .arg("-append")
        .arg(format!("console=ttyS0 quiet panic=-1 {kaslr} {}", boot.cmdline));
    if boot.clock == Clock::Instructions {
        command.args(COUNTING);
    }
    command
}

/// Copies a port to one of our own streams as it comes.
fn pass(mut port: UnixStream, mut to: impl Write + Send + 'static) -> JoinHandle<()> {
    thread::spawn(move || {
        // If nobody reads our output any more, the port is drained all the same: the VM would stand still otherwise.
        if io::copy(&mut port, &mut to).and_then(|_| to.flush()).is_err() {
            drop(io::copy(&mut port, &mut io::sink()));
        }
    })
}

fn lines(
    port: UnixStream,
    events: Sender<Event>,
    make: fn(String) -> Event,
    last: Option<Event>,
) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut port = BufReader::new(port);
        let mut line = Vec::new();
        while matches!(port.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if events.send(make(text)).is_err() {
                break;
            }
        }
        if let Some(last) = last {
            // Nobody listens once the outcome is known.
            drop(events.send(last));
        }
    })
}

fn watch(inbox: &Receiver<Event>, limit: Duration, vm: &mut Vm) -> Outcome {
    let mut outcome = Outcome {
        release: None,
        warnings: Vec::new(),
        results: Vec::new(),
        failure: None,
    };
    let mut console = Console::default();
    let start = Instant::now();
    let failure = loop {
        let limit = if outcome.release.is_some() {
            limit
        } else {
            limit.min(BOOT_LIMIT)
        };
        match inbox.recv_timeout(limit.saturating_sub(start.elapsed())) {
            Ok(Event::Console(line)) => {
                if let Some(reason) = console.line(&line) {
                    break reason;
                }
            }
            Ok(Event::Report(line)) => match serde_json::from_str(&line) {
                Ok(Report::Booted(release)) => outcome.release = Some(release),
                Ok(Report::Warning(warning)) => outcome.warnings.push(warning),
                Ok(Report::Job(result)) => outcome.results.push(result),
                Ok(Report::Done) => {
                    vm.wait(POWER_OFF_LIMIT);
                    return outcome;
                }
                Err(error) => break format!("unreadable report ({error}): {line}"),
            },
            Ok(Event::ReportsEnded) | Err(RecvTimeoutError::Disconnected) => {
                // The console of the same VM may still have the reason on its way.
                thread::sleep(Duration::from_millis(100));
                let reasons = inbox.try_iter().filter_map(|event| match event {
                    Event::Console(line) => console.line(&line),
                    Event::Report(_) | Event::ReportsEnded => None,
                });
                break reasons
                    .last()
                    .unwrap_or_else(|| "QEMU ended before PID 1 was done".to_owned());
            }
            Err(RecvTimeoutError::Timeout) => {
                break format!("still running after {} s", start.elapsed().as_secs());
            }
        }
    };
    let reason = last_words(inbox, &mut console).unwrap_or(failure);
    outcome.failure = Some(format!("{reason}\n{}", console.tail()));
    outcome
}

/// Reads the console a little further: the lines after the first bad one say where it happened. Returns the first bad
/// line that was still on its way.
fn last_words(inbox: &Receiver<Event>, console: &mut Console) -> Option<String> {
    let deadline = Instant::now() + LAST_WORDS;
    let mut reason = None;
    while let Ok(event) = inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        if let Event::Console(line) = event {
            let bad = console.line(&line);
            reason = reason.or(bad);
        }
    }
    reason
}
