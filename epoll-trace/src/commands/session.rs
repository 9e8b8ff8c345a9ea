//! A traced run: reads a source by a schedule, or for a command's life, and lets a view print what was counted between.

use std::io;
use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use super::child::{Gated, exit_code};
use super::output::Streams;
use crate::cli::{Format, TraceArgs};
use crate::model::delta::Window;
use crate::model::snapshot::Snapshot;
use crate::source::Source;
use crate::view::json;

/// What a command prints of a run: one implementation per command.
pub trait Blocks {
    /// What is traced, in words: `epoll wakeups`.
    fn subject(&self) -> &'static str;

    /// Whether the processes are looked at for each block.
    fn looks(&self) -> bool {
        false
    }

    /// Writes the head of the table, where the format is CSV.
    ///
    /// # Errors
    /// When `out` cannot be written.
    fn csv_header(&self, out: &mut dyn Write) -> io::Result<()>;

    /// Writes what was counted in `window`; `time` is the time of day where asked for.
    ///
    /// # Errors
    /// When a stream cannot be written.
    fn block(&self, streams: &mut Streams<'_>, window: &Window, time: Option<&str>) -> io::Result<()>;
}

/// A source that is already attached, with what shows it.
pub struct Session<'a, B> {
    args: &'a TraceArgs,
    blocks: B,
    source: Box<dyn Source>,
    plan: serde_json::Value,
    streams: Streams<'a>,
}

impl<B> std::fmt::Debug for Session<'_, B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("args", self.args)
            .finish_non_exhaustive()
    }
}

/// Between two readings at most: counts of 32 bits must not wrap twice unseen, and closed epolls give up their room.
const READING: Duration = Duration::from_secs(1);

/// A shell's number for the end by Ctrl-C.
const INTERRUPTED: u8 = 128 + 2;

/// Why a wait was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    Time,
    Stop,
}

impl<'a, B: Blocks> Session<'a, B> {
    /// Lets `blocks` show `source` as `args` say; `plan` is what the probes command prints as JSON.
    pub fn new(
        args: &'a TraceArgs,
        blocks: B,
        source: Box<dyn Source>,
        plan: serde_json::Value,
        streams: Streams<'a>,
    ) -> Self {
        Self {
            args,
            blocks,
            source,
            plan,
            streams,
        }
    }

    /// Traces until the schedule, Ctrl-C or SIGTERM ends it; each way prints what was counted since the last block.
    ///
    /// # Errors
    /// When the source cannot be read or the output cannot be written.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut stop = Stop::new()?;
        let mut earlier = self.begin("Hit Ctrl-C to end.")?;
        let schedule = &self.args.schedule;
        let started = Instant::now();
        let end = schedule.duration.map(|duration| started + duration);
        let mut next = Some(started);
        let mut left = schedule.count().unwrap_or(u64::MAX);
        while left > 0 {
            next = next_block(next, schedule.interval());
            let until = [next, end].into_iter().flatten().min();
            let woken = self.read_on(&mut stop, until).await?;
            let later = self.last_look()?;
            self.block(&earlier, &later)?;
            earlier = later;
            left -= 1;
            if woken == Woken::Stop || end.is_some_and(|end| Instant::now() >= end) {
                break;
            }
        }
        Ok(())
    }

    /// Traces `command`, which `source` already follows, for its whole life; then prints one block with counters.
    /// Gives the exit code: 0, or the command's own when it failed. Ctrl-C is the command's to obey; the second one ends the trace.
    ///
    /// # Errors
    /// When the command cannot be executed, the source cannot be read or the output cannot be written.
    pub async fn run_command(mut self, mut command: Gated) -> anyhow::Result<u8> {
        let mut stop = Stop::new()?;
        let earlier = self.begin("Ends with the command.")?;
        command.release()?;
        let mut interrupts = 0;
        let code = loop {
            tokio::select! {
                status = command.wait() => break exit_code(status?),
                woken = self.read_on(&mut stop, None) => {
                    woken?;
                    interrupts += 1;
                }
            }
            if interrupts > 1 {
                break INTERRUPTED;
            }
        };
        let later = self.last_look()?;
        self.block(&earlier, &later)?;
        Ok(code)
    }

    /// Waits for a signal, at most until `time`; reads meanwhile.
    async fn read_on(&mut self, stop: &mut Stop, time: Option<Instant>) -> anyhow::Result<Woken> {
        loop {
            let reading = Instant::now() + READING;
            let woken = stop
                .or_until(Some(time.map_or(reading, |time| time.min(reading))))
                .await;
            if woken == Woken::Stop || time.is_some_and(|time| time <= Instant::now()) {
                return Ok(woken);
            }
            self.source.snapshot()?;
        }
    }

    /// Takes the first look; `ending` says how the run ends.
    fn begin(&mut self, ending: &str) -> anyhow::Result<Snapshot> {
        let first = self.source.snapshot()?;
        let words = format!("Tracing {}... {ending}", self.blocks.subject());
        let Streams { out, err } = &mut self.streams;
        match self.args.output.format() {
            Format::Json => json::write_plan(*out, self.source.plan_line(), &self.plan, &first.absent),
            // The table stays clean: what people must know besides goes to stderr.
            Format::Csv => writeln!(err, "{words}\n{}", self.source.plan_line())
                .and_then(|()| self.blocks.csv_header(*out)),
            Format::Text => {
                writeln!(err, "{words}").and_then(|()| writeln!(out, "{}", self.source.plan_line()))
            }
        }
        .and_then(|()| out.flush())
        .context("cannot write the output")?;
        Ok(first)
    }

    /// The snapshot that ends a block.
    fn last_look(&mut self) -> anyhow::Result<Snapshot> {
        let mut last = self.source.snapshot()?;
        if self.blocks.looks() {
            self.source.look(&mut last)?;
        }
        Ok(last)
    }

    fn block(&mut self, earlier: &Snapshot, later: &Snapshot) -> anyhow::Result<()> {
        let window = Window::between(earlier, later);
        let time = self
            .args
            .timestamp
            .then(|| chrono::Local::now().format("%H:%M:%S").to_string());
        self.blocks
            .block(&mut self.streams, &window, time.as_deref())
            .and_then(|()| self.streams.out.flush())
            .context("cannot write the output")
    }
}

/// When the block after `last` is due; without an interval never. Blocks that a suspended machine missed are left out.
fn next_block(last: Option<Instant>, interval: Option<Duration>) -> Option<Instant> {
    let next = last? + interval?;
    Some(next.max(Instant::now()))
}

/// Ctrl-C and SIGTERM.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn new() -> anyhow::Result<Self> {
        let on = |kind| signal(kind).context("cannot listen to Ctrl-C");
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
        })
    }

    /// Waits for a signal, at most until `time`.
    async fn or_until(&mut self, time: Option<Instant>) -> Woken {
        let timer = async {
            match time {
                Some(time) => sleep_until(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = timer => Woken::Time,
            _ = self.interrupt.recv() => Woken::Stop,
            _ = self.terminate.recv() => Woken::Stop,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::source::synthetic::Synthetic;

    /// What `blocks` print of a run over `source`.
    pub(in crate::commands) async fn shown(
        args: &TraceArgs,
        blocks: impl Blocks,
        source: Synthetic,
    ) -> String {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let streams = Streams {
            out: &mut out,
            err: &mut err,
        };
        Session::new(args, blocks, Box::new(source), serde_json::json!({}), streams)
            .run()
            .await
            .unwrap();
        String::from_utf8(out).unwrap()
    }
}
