//! `locks`: who waits for the locks of epolls and of what they watch.

use std::io;
use std::io::Write;

use super::output::Streams;
use super::session::Blocks;
use crate::cli::{Format, GlobalArgs, LocksArgs};
use crate::model::delta::Window;
use crate::model::filter::Filter;
use crate::model::locks::locks;
use crate::model::snapshot::Metric;
use crate::view::locks::{LockReport, notes, write_csv, write_csv_header, write_json, write_text};

/// What must be measured.
pub const METRICS: &[Metric] = &[Metric::Lock, Metric::Mutex];

/// What `locks` shows of a run.
#[derive(Debug)]
pub struct Locks<'a> {
    args: &'a LocksArgs,
    filter: Filter,
    ascii: bool,
}

impl<'a> Locks<'a> {
    /// Blocks as `args` say.
    pub fn new(args: &'a LocksArgs, global: &GlobalArgs) -> Self {
        Self {
            args,
            filter: args.trace.filter.filter(),
            ascii: global.ascii,
        }
    }
}

impl Blocks for Locks<'_> {
    fn subject(&self) -> &'static str {
        "locks of epolls"
    }

    fn csv_header(&self, out: &mut dyn Write) -> io::Result<()> {
        write_csv_header(out)
    }

    fn block(&self, streams: &mut Streams<'_>, window: &Window, time: Option<&str>) -> io::Result<()> {
        let mut entries = locks(window, &self.filter);
        self.args.sort.order().sort(&mut entries);
        entries.truncate(self.args.trace.most());
        let report = LockReport {
            window,
            entries: &entries,
        };
        match self.args.trace.output.format() {
            Format::Json => write_json(streams.out, &report),
            Format::Csv => write_csv(streams.out, &report).and_then(|()| notes(streams.err, &report)),
            Format::Text => write_text(
                streams.out,
                &report,
                self.args.trace.unit.chosen(),
                self.ascii,
                time,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use crate::commands::session::tests::shown;
    use crate::source::synthetic::Synthetic;
    use clap::Parser;

    async fn run(line: &str) -> String {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let Command::Locks(args) = &cli.command else {
            panic!("{line}")
        };
        let mut source = Synthetic::demo();
        source.contend();
        shown(&args.trace, Locks::new(args, &cli.global), source).await
    }

    #[tokio::test]
    async fn blocks_are_sorted_and_cut() {
        let text = run("epoll-trace locks 0.01 2 --top 1 -S count").await;
        assert_eq!(text.matches("300:5           mutex").count(), 2, "{text}");
        assert!(!text.contains(" source "), "{text}");
        assert_eq!(text.matches("losses: none").count(), 2, "{text}");
    }

    #[tokio::test]
    async fn json_has_a_line_per_lock() {
        let text = run("epoll-trace locks -d 0.05 --json -p 300").await;
        assert_eq!(text.matches("\"kind\":\"lock\"").count(), 2, "{text}");
    }
}
