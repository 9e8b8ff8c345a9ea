//! Measuring in the VM what programs cost each other: a load of a known number of operations, alone and beside each subject.
//!
//! The VM counts instructions as nanoseconds (see `bench` of the command), so the time of a round is what it cost. Time that
//! nobody uses is skipped, so sleeping is free.

use std::io::{Read, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::pty::openpty;
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// From the start of a subject to the first round: all need a part of it to attach.
const ATTACH: Duration = Duration::from_secs(12);
/// From the end of a subject to the next one: programs and trampolines are freed late.
const DETACH: Duration = Duration::from_secs(5);
/// A subject that does not end at SIGINT within this time is ended otherwise.
const END: Duration = Duration::from_secs(60);
/// Of what a subject writes so many bytes are kept.
const KEPT: usize = 1 << 16;

/// What to measure.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Plan {
    /// Until the kernel has done what it does after a boot, ms. Another boot with the same pause is the same to the last instruction.
    pub settle_ms: u64,
    /// Rounds of each load beside each subject.
    pub rounds: u32,
    /// Loads, and the operations of a round.
    pub loads: Vec<Load>,
    /// In this order, each alone, between rounds with none.
    pub subjects: Vec<Subject>,
}

/// A load of `epoll-trace bench cost`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Load {
    /// Its name there.
    pub name: String,
    /// Operations of each round.
    pub ops: u64,
}

/// What runs beside the loads.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Subject {
    /// As the table names it.
    pub name: String,
    /// Command line.
    pub argv: Vec<String>,
    /// How it runs.
    pub kind: Kind,
}

/// How a subject runs.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum Kind {
    /// Beside the load, until SIGINT.
    Beside,
    /// Likewise, on a terminal.
    OnTerminal,
    /// It starts the load, whose command line follows its own.
    Starts,
    /// As beside, with the first load alone: what it writes at its end is what is wanted of it.
    Tells,
}

/// A line of what comes out.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Measured {
    /// A load beside a subject.
    Load {
        /// Its name, or [`BEFORE`] or [`AFTER`].
        subject: String,
        /// Name of the load.
        load: String,
        /// Nanoseconds per operation, one for each round.
        per_op: Vec<f64>,
    },
    /// What can be said of the subject itself.
    Subject {
        /// Its name.
        name: String,
        /// Nanoseconds from its start to the first byte that it writes.
        first_byte_ns: Option<u64>,
        /// Resident memory before it ends, kB.
        rss_kb: Option<u64>,
        /// The highest that this was.
        peak_kb: Option<u64>,
        /// The beginning of what it wrote.
        output: String,
    },
    /// A subject that could not be measured; the others are all the same.
    Failed {
        /// Its name.
        subject: String,
        /// Why.
        why: String,
    },
}

/// Rounds with none, before all subjects.
pub const BEFORE: &str = "none";
/// Rounds with none, after them.
pub const AFTER: &str = "none, again";

/// Measures, and writes a JSON line of [`Measured`] for each result as it comes.
///
/// # Errors
/// A load cannot be run with none.
pub fn run(plan: &Plan) -> Result<()> {
    thread::sleep(Duration::from_millis(plan.settle_ms));
    // What runs for the first time costs more.
    for load in &plan.loads {
        rounds(&[], load, 1)?;
    }
    all_loads(plan, BEFORE, &[])?;
    for subject in &plan.subjects {
        if let Err(error) = beside(plan, subject) {
            put(&Measured::Failed {
                subject: subject.name.clone(),
                why: format!("{error:#}"),
            })?;
        }
        thread::sleep(DETACH);
    }
    all_loads(plan, AFTER, &[])
}

fn all_loads(plan: &Plan, subject: &str, prefix: &[String]) -> Result<()> {
    for load in &plan.loads {
        put(&Measured::Load {
            subject: subject.to_owned(),
            load: load.name.clone(),
            per_op: rounds(prefix, load, plan.rounds)?,
        })?;
    }
    Ok(())
}

fn put(measured: &Measured) -> Result<()> {
    let mut out = std::io::stdout();
    let line = serde_json::to_string(measured).context("a result as JSON")?;
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .context("cannot write a result")
}

/// Runs `load`, started by `prefix` if there is one; gives its time per operation, without that of its first round: a new process
/// pays there for what it touches first.
fn rounds(prefix: &[String], load: &Load, rounds: u32) -> Result<Vec<f64>> {
    let own = [
        "epoll-trace",
        "bench",
        "cost",
        &load.name,
        "--json",
        "--ops",
        &load.ops.to_string(),
        "--rounds",
        &(rounds + 1).to_string(),
    ]
    .map(str::to_owned);
    let argv: Vec<&String> = prefix.iter().chain(&own).collect();
    let (program, arguments) = argv.split_first().context("an empty command")?;
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut figures: Vec<f64> = text.lines().filter_map(per_op).collect();
    ensure!(
        output.status.success() && figures.len() == rounds as usize + 1,
        "load {} ended with {} after {} rounds: {}",
        load.name,
        output.status,
        figures.len(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(figures.split_off(1))
}

/// From a line of the load's report; a program that started it may write others.
fn per_op(line: &str) -> Option<f64> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let ops = line["ops"].as_f64().filter(|&ops| ops > 0.0)?;
    (line["kind"] == "cost").then_some(())?;
    Some(line["wall_ns"].as_f64()? / ops)
}

fn beside(plan: &Plan, subject: &Subject) -> Result<()> {
    if subject.kind == Kind::Starts {
        return all_loads(plan, &subject.name, &subject.argv);
    }
    let mut running = Running::start(subject)?;
    thread::sleep(ATTACH);
    let measured = running
        .alive()
        .and_then(|()| match (subject.kind, plan.loads.first()) {
            (Kind::Tells, Some(load)) => rounds(&[], load, plan.rounds).map(drop),
            _ => all_loads(plan, &subject.name, &[]),
        });
    let (rss_kb, peak_kb) = (running.memory("VmRSS:"), running.memory("VmHWM:"));
    let alive = running.alive();
    let (first_byte_ns, output) = running.end()?;
    measured
        .and(alive)
        .with_context(|| format!("its output: {output}"))?;
    put(&Measured::Subject {
        name: subject.name.clone(),
        first_byte_ns,
        rss_kb,
        peak_kb,
        output,
    })
}

/// What a stream carried, and when its first byte came.
struct Stream {
    first: Option<Duration>,
    text: String,
}

/// A subject that runs.
struct Running {
    child: Child,
    streams: Vec<Receiver<Stream>>,
}

impl Running {
    fn start(subject: &Subject) -> Result<Self> {
        let (program, arguments) = subject.argv.split_first().context("an empty command")?;
        let mut command = Command::new(program);
        command.args(arguments);
        let terminal = if subject.kind == Kind::OnTerminal {
            let pty = openpty(None, None).context("cannot open a terminal")?;
            let end = |end: &OwnedFd| end.try_clone().context("cannot share the terminal");
            command
                .stdin(end(&pty.slave)?)
                .stdout(end(&pty.slave)?)
                .stderr(end(&pty.slave)?);
            Some(pty.master)
        } else {
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            None
        };
        // Who starts this in the background of a script ignores SIGINT, and its children inherit that.
        // SAFETY: between fork and exec; sigaction may be called there, and no handler of ours is set.
        unsafe {
            command.pre_exec(|| Ok(signal(Signal::SIGINT, SigHandler::SigDfl).map(drop)?));
        }
        let start = Instant::now();
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        let mut streams = Vec::new();
        if let Some(master) = terminal {
            streams.push(follow(std::fs::File::from(master), start));
        }
        streams.extend(child.stdout.take().map(|stream| follow(stream, start)));
        streams.extend(child.stderr.take().map(|stream| follow(stream, start)));
        Ok(Self { child, streams })
    }

    fn alive(&mut self) -> Result<()> {
        match self.child.try_wait().context("cannot look after it")? {
            None => Ok(()),
            Some(status) => bail!("it ended too early, with {status}"),
        }
    }

    /// A line of its status in kB.
    fn memory(&self, name: &str) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse().ok()
    }

    /// When its first byte came, and what it wrote.
    fn end(mut self) -> Result<(Option<u64>, String)> {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
            // It may have ended by itself.
            let _ = kill(pid, signal);
            let limit = Instant::now() + END;
            while self.child.try_wait().context("cannot wait for it")?.is_none() && Instant::now() < limit {
                thread::sleep(Duration::from_millis(100));
            }
        }
        let streams: Vec<Stream> = self.streams.iter().filter_map(|end| end.recv().ok()).collect();
        let first = streams.first().and_then(|stream| stream.first);
        let text: Vec<String> = streams.into_iter().map(|stream| stream.text).collect();
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).ok();
        Ok((first.and_then(nanos), text.join("\n")))
    }
}

/// Reads to the end, so that nobody waits for room in a pipe, and keeps the beginning.
fn follow(mut stream: impl Read + Send + 'static, start: Instant) -> Receiver<Stream> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let (mut kept, mut first, mut bytes) = (Vec::new(), None, [0; 4096]);
        // A terminal whose program has ended says EIO.
        while let Ok(count @ 1..) = stream.read(&mut bytes) {
            first.get_or_insert_with(|| start.elapsed());
            kept.extend_from_slice(&bytes[..count.min(KEPT.saturating_sub(kept.len()))]);
        }
        // Nobody asks for it if the measuring failed.
        drop(sender.send(Stream {
            first,
            text: String::from_utf8_lossy(&kept).into_owned(),
        }));
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_load() {
        let line = r#"{"v":1,"kind":"cost","workload":"pp","round":1,"ops":400,"wall_ns":1000,"cpu_ns":1}"#;
        assert_eq!(per_op(line), Some(2.5));
        assert_eq!(per_op("Summary of events:"), None);
        assert_eq!(per_op(r#"{"kind":"other","ops":400,"wall_ns":1000}"#), None);
        assert_eq!(per_op(r#"{"kind":"cost","ops":0,"wall_ns":1000}"#), None);
    }

    fn subject(script: &str, kind: Kind) -> Subject {
        Subject {
            name: "it".to_owned(),
            argv: ["sh", "-c", script].map(str::to_owned).into(),
            kind,
        }
    }

    #[test]
    fn a_subject_is_ended_and_its_output_kept() {
        for kind in [Kind::Beside, Kind::OnTerminal] {
            let ready = tempfile::tempdir().unwrap();
            let file = ready.path().join("trap-is-set");
            let script = format!(
                "trap 'echo bye; exit' INT; echo up; : > {}; while :; do sleep 0.1; done",
                file.display()
            );
            let mut running = Running::start(&subject(&script, kind)).unwrap();
            let limit = Instant::now() + END;
            while !file.exists() && Instant::now() < limit {
                thread::sleep(Duration::from_millis(10));
            }
            running.alive().unwrap();
            assert!(running.memory("VmRSS:").is_some_and(|kb| kb > 0));
            let (first, output) = running.end().unwrap();
            assert!(first.is_some());
            assert!(output.contains("up") && output.contains("bye"), "{output}");
        }
    }

    #[test]
    fn one_that_ends_by_itself_is_noticed() {
        let mut running = Running::start(&subject("exit 3", Kind::Beside)).unwrap();
        let limit = Instant::now() + END;
        while running.alive().is_ok() && Instant::now() < limit {
            thread::sleep(Duration::from_millis(10));
        }
        assert!(running.alive().is_err());
    }
}
