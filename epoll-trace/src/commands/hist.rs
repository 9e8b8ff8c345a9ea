//! `hist`: histograms per process, thread or epoll.

use std::io;
use std::io::Write;

use super::output::Streams;
use super::session::Blocks;
use crate::cli::{Format, GlobalArgs, HistArgs};
use crate::model::delta::Window;
use crate::model::filter::Filter;
use crate::model::group::group;
use crate::view::text::TextOptions;
use crate::view::{Report, csv, json, text};

/// What `hist` shows of a run.
#[derive(Debug)]
pub struct Hist<'a> {
    args: &'a HistArgs,
    filter: Filter,
    text: TextOptions,
}

impl<'a> Hist<'a> {
    /// Blocks as `args` say.
    pub fn new(args: &'a HistArgs, global: &GlobalArgs) -> Self {
        Self {
            args,
            filter: args.trace.filter.filter(),
            text: TextOptions {
                unit: args.trace.unit.unit(),
                ascii: global.ascii,
            },
        }
    }
}

impl Blocks for Hist<'_> {
    fn subject(&self) -> &'static str {
        "epoll wakeups"
    }

    fn csv_header(&self, out: &mut dyn Write) -> io::Result<()> {
        csv::write_header(out, self.args.shows_counters())
    }

    fn block(&self, streams: &mut Streams<'_>, window: &Window, time: Option<&str>) -> io::Result<()> {
        let mut entries = group(window, self.args.group.by(), &self.filter);
        entries.sort_by(|left, right| self.args.sort.compare(left, right, false));
        entries.truncate(self.args.trace.most());
        let report = Report {
            window,
            entries: &entries,
            metrics: &self.args.metrics,
            counters: self.args.shows_counters(),
        };
        match self.args.trace.output.format() {
            Format::Json => json::write(streams.out, &report),
            Format::Csv => csv::write(streams.out, &report).and_then(|()| text::notes(streams.err, &report)),
            Format::Text => text::write(streams.out, &report, &self.text, time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use crate::commands::child::tests::spawn;
    use crate::commands::output::is_broken_pipe;
    use crate::commands::session::Session;
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
        let hist = Hist::new(args, &cli.global);
        Session::new(&args.trace, hist, source, serde_json::json!({}), streams)
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
        let hist = Hist::new(args, &cli.global);
        let session = Session::new(&args.trace, hist, source, serde_json::json!({}), streams);
        let code = session.run_command(spawn(command)).await;
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
