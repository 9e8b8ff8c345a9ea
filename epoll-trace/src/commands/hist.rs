//! `hist`: histograms per process, thread or epoll, by intervals or over a command's life.

use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use super::child::{Gated, exit_code};
use super::output::Streams;
use crate::cli::{Format, GlobalArgs, HistArgs};
use crate::model::delta::Window;
use crate::model::filter::Filter;
use crate::model::group::group;
use crate::model::snapshot::Snapshot;
use crate::source::Source;
use crate::view::text::TextOptions;
use crate::view::{Report, csv, json, text};

/// What `hist` shows, from a source that is already attached.
pub struct Hist<'a> {
    args: &'a HistArgs,
    filter: Filter,
    text: TextOptions,
    source: Box<dyn Source>,
    plan: serde_json::Value,
    streams: Streams<'a>,
}

impl std::fmt::Debug for Hist<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hist")
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

impl<'a> Hist<'a> {
    /// Shows `source` as `args` say; `plan` is what the probes command prints as JSON.
    pub fn new(
        args: &'a HistArgs,
        global: &GlobalArgs,
        source: Box<dyn Source>,
        plan: serde_json::Value,
        streams: Streams<'a>,
    ) -> Self {
        Self {
            args,
            filter: args.filter.filter(),
            text: TextOptions {
                unit: args.unit.unit(),
                ascii: global.ascii,
            },
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
        let mut earlier = self.begin("Tracing epoll wakeups... Hit Ctrl-C to end.")?;
        let schedule = &self.args.schedule;
        let started = Instant::now();
        let end = schedule.duration.map(|duration| started + duration);
        let mut next = Some(started);
        let mut left = schedule.count().unwrap_or(u64::MAX);
        while left > 0 {
            next = next_block(next, schedule.interval());
            let until = [next, end].into_iter().flatten().min();
            let woken = self.read_on(&mut stop, until).await?;
            let later = self.source.snapshot()?;
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
        let later = self.source.snapshot()?;
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

    fn begin(&mut self, words: &str) -> anyhow::Result<Snapshot> {
        let first = self.source.snapshot()?;
        match self.args.output.format() {
            Format::Json => json::write_plan(
                self.streams.out,
                self.source.plan_line(),
                &self.plan,
                &first.absent,
            ),
            // The table stays clean: what people must know besides goes to stderr.
            Format::Csv => writeln!(self.streams.err, "{words}\n{}", self.source.plan_line())
                .and_then(|()| csv::write_header(self.streams.out, self.args.shows_counters())),
            Format::Text => writeln!(self.streams.err, "{words}")
                .and_then(|()| writeln!(self.streams.out, "{}", self.source.plan_line())),
        }
        .and_then(|()| self.streams.out.flush())
        .context("cannot write the output")?;
        Ok(first)
    }

    fn block(&mut self, earlier: &Snapshot, later: &Snapshot) -> anyhow::Result<()> {
        let window = Window::between(earlier, later);
        let mut entries = group(&window, self.args.group.by(), &self.filter);
        entries.sort_by(|left, right| self.args.sort.compare(left, right, false));
        entries.truncate(self.args.top.map_or(usize::MAX, |top| top as usize));
        let report = Report {
            window: &window,
            entries: &entries,
            metrics: &self.args.metrics,
            counters: self.args.shows_counters(),
        };
        let time = self
            .args
            .timestamp
            .then(|| chrono::Local::now().format("%H:%M:%S").to_string());
        match self.args.output.format() {
            Format::Json => json::write(self.streams.out, &report),
            Format::Csv => {
                csv::write(self.streams.out, &report).and_then(|()| text::notes(self.streams.err, &report))
            }
            Format::Text => text::write(self.streams.out, &report, &self.text, time.as_deref()),
        }
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
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use crate::commands::child::tests::spawn;
    use crate::commands::output::is_broken_pipe;
    use crate::source::synthetic::Synthetic;
    use clap::Parser;
    use std::io::{self, Write};

    async fn run(line: &str, out: &mut dyn Write) -> anyhow::Result<String> {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let Command::Hist(args) = &cli.command else {
            panic!("{line}")
        };
        let mut err = Vec::new();
        let streams = Streams { out, err: &mut err };
        let source = Box::new(Synthetic::demo());
        Hist::new(args, &cli.global, source, serde_json::json!({}), streams)
            .run()
            .await?;
        Ok(String::from_utf8(err).unwrap())
    }

    #[tokio::test]
    async fn as_many_blocks_as_asked_for() {
        let mut out = Vec::new();
        let err = run("epoll-trace hist 0.01 3 -T --top 1 -S wakeups", &mut out)
            .await
            .unwrap();
        assert_eq!(err, "Tracing epoll wakeups... Hit Ctrl-C to end.\n");
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("probes: synthetic"), "{text}");
        assert_eq!(text.matches("pid = 210 redis-server").count(), 3, "{text}");
        assert_eq!(text.matches("pid = ").count(), 3, "{text}");
        assert_eq!(text.matches("losses: none").count(), 3, "{text}");
    }

    #[tokio::test]
    async fn a_duration_gives_one_block_and_json_is_clean() {
        let mut out = Vec::new();
        let err = run("epoll-trace hist -d 0.05 --json -p 210 --counters", &mut out)
            .await
            .unwrap();
        assert!(err.is_empty(), "{err}");
        let text = String::from_utf8(out).unwrap();
        let kinds: Vec<_> = text
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"]
                    .as_str()
                    .unwrap()
                    .to_owned()
            })
            .collect();
        assert_eq!(kinds, ["plan", "hist", "process", "losses"]);
    }

    #[tokio::test]
    async fn csv_is_one_table_and_the_rest_goes_to_stderr() {
        let mut out = Vec::new();
        let err = run("epoll-trace hist 0.01 2 --format csv -p 210", &mut out)
            .await
            .unwrap();
        assert!(err.contains("probes: synthetic"), "{err}");
        assert_eq!(err.matches("losses: none").count(), 2, "{err}");
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 3, "{text}");
        assert_eq!(text.matches("at_ns,").count(), 1, "{text}");
        let columns: Vec<_> = text.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(columns, [16; 3], "{text}");
    }

    async fn run_command(command: &str) -> (anyhow::Result<u8>, String) {
        let cli = Cli::try_parse_from(["epoll-trace", "hist", "-p", "210"]).unwrap();
        let Command::Hist(args) = &cli.command else {
            panic!("no hist")
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let streams = Streams {
            out: &mut out,
            err: &mut err,
        };
        let source = Box::new(Synthetic::demo());
        let hist = Hist::new(args, &cli.global, source, serde_json::json!({}), streams);
        let code = hist.run_command(spawn(command)).await;
        (code, String::from_utf8(out).unwrap())
    }

    #[tokio::test]
    async fn a_command_gives_one_block_and_its_code() {
        for (command, expected) in [("true", 0), ("false", 1)] {
            let (code, text) = run_command(command).await;
            assert_eq!(code.unwrap(), expected);
            assert_eq!(text.matches("pid = 210 redis-server").count(), 1, "{text}");
        }
        let (code, text) = run_command("no-such-command-here").await;
        assert!(
            code.unwrap_err()
                .to_string()
                .starts_with("cannot run no-such-command-here")
        );
        assert!(!text.contains("pid ="), "{text}");
    }

    struct Closed;

    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_reader_that_goes_is_told_from_other_errors() {
        for line in ["epoll-trace hist 0.01 3", "epoll-trace hist 0.01 3 --json"] {
            assert!(
                is_broken_pipe(&run(line, &mut Closed).await.unwrap_err()),
                "{line}"
            );
        }
        assert!(!is_broken_pipe(&anyhow::anyhow!("no")));
    }
}
