//! `overhead`: what our own programs cost while they trace as `hist` does.

use anyhow::Context as _;
use tokio::time::Instant;

use super::child::{Gated, exit_code};
use super::hist::{INTERRUPTED, READING, Stop, Woken, next_block};
use super::output::Streams;
use crate::cli::{Format, OverheadArgs};
use crate::model::overhead::{Overhead, Spent};
use crate::source::Source;
use crate::view::overhead::{write_json, write_text};

/// What `overhead` shows, of a source that is already attached and counts its cost.
pub struct Cost<'a> {
    args: &'a OverheadArgs,
    source: Box<dyn Source>,
    streams: Streams<'a>,
}

impl std::fmt::Debug for Cost<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cost")
            .field("args", self.args)
            .finish_non_exhaustive()
    }
}

impl<'a> Cost<'a> {
    /// Shows the cost of `source` as `args` say.
    pub fn new(args: &'a OverheadArgs, source: Box<dyn Source>, streams: Streams<'a>) -> Self {
        Self {
            args,
            source,
            streams,
        }
    }

    /// Traces until the schedule, Ctrl-C or SIGTERM ends it; each way prints what was spent since the last block.
    ///
    /// # Errors
    /// When the source cannot be read or the output cannot be written.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut stop = Stop::new()?;
        let mut earlier = self.begin("Tracing epoll wakeups... Hit Ctrl-C to end.")?;
        let schedule = &self.args.schedule;
        let started = Instant::now();
        let end = schedule.duration.map(|duration| started + duration);
        let mut next = Some(started);
        for _ in 0..schedule.count().unwrap_or(u64::MAX) {
            next = next_block(next, schedule.interval());
            let until = [next, end].into_iter().flatten().min();
            let woken = self.read_on(&mut stop, until).await?;
            earlier = self.block(&earlier)?;
            if woken == Woken::Stop || end.is_some_and(|end| Instant::now() >= end) {
                break;
            }
        }
        Ok(())
    }

    /// Traces `command`, which the source already follows, for its whole life; then prints one block. Gives the exit code:
    /// 0, or the command's own when it failed.
    ///
    /// # Errors
    /// When the command cannot be executed, the source cannot be read or the output cannot be written.
    pub async fn run_command(mut self, mut command: Gated) -> anyhow::Result<u8> {
        let mut stop = Stop::new()?;
        let earlier = self.begin("Tracing epoll wakeups... Ends with the command.")?;
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
        self.block(&earlier)?;
        Ok(code)
    }

    /// Waits for a signal, at most until `time`; reads meanwhile, since that is part of the cost.
    async fn read_on(&mut self, stop: &mut Stop, time: Option<Instant>) -> anyhow::Result<Woken> {
        loop {
            let reading = Instant::now() + READING;
            let until = time.map_or(reading, |time| time.min(reading));
            let woken = stop.or_until(Some(until)).await;
            self.source.snapshot()?;
            if woken == Woken::Stop || time.is_some_and(|time| time <= Instant::now()) {
                return Ok(woken);
            }
        }
    }

    fn begin(&mut self, words: &str) -> anyhow::Result<Spent> {
        if self.args.output.format() == Format::Text {
            writeln!(self.streams.err, "{words}")
                .and_then(|()| writeln!(self.streams.out, "{}", self.source.plan_line()))
                .and_then(|()| self.streams.out.flush())
                .context("cannot write the output")?;
        }
        self.source.snapshot()?;
        self.spent()
    }

    fn spent(&self) -> anyhow::Result<Spent> {
        self.source
            .spent()
            .context("this source does not know what it costs")
    }

    fn block(&mut self, earlier: &Spent) -> anyhow::Result<Spent> {
        let later = self.spent()?;
        let cost = Overhead::between(earlier, &later);
        match self.args.output.format() {
            Format::Json => write_json(self.streams.out, &cost),
            Format::Text => write_text(self.streams.out, &cost),
        }
        .and_then(|()| self.streams.out.flush())
        .context("cannot write the output")?;
        Ok(later)
    }
}
