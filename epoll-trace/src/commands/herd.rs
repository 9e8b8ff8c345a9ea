//! `herd`: who is woken by files that several watch, and who gets the work.

use std::io;
use std::io::Write;

use super::output::Streams;
use super::session::Blocks;
use crate::cli::{Format, GlobalArgs, HerdArgs};
use crate::model::chains::chains;
use crate::model::delta::Window;
use crate::model::filter::Filter;
use crate::model::reuseport::herds_and_groups;
use crate::view::herds::{HerdReport, notes, write_csv, write_csv_header, write_json, write_text};

/// What `herd` shows of a run.
#[derive(Debug)]
pub struct Herds<'a> {
    args: &'a HerdArgs,
    filter: Filter,
    ascii: bool,
}

impl<'a> Herds<'a> {
    /// Blocks as `args` say.
    pub fn new(args: &'a HerdArgs, global: &GlobalArgs) -> Self {
        Self {
            args,
            filter: args.trace.filter.filter(),
            ascii: global.ascii,
        }
    }
}

impl Blocks for Herds<'_> {
    fn subject(&self) -> &'static str {
        "shared files and listeners"
    }

    fn csv_header(&self, out: &mut dyn Write) -> io::Result<()> {
        write_csv_header(out)
    }

    fn block(&self, streams: &mut Streams<'_>, window: &Window, time: Option<&str>) -> io::Result<()> {
        let (mut shown, mut groups) = herds_and_groups(window, &self.filter, self.args.all);
        let most = self.args.trace.most();
        shown.truncate(most);
        groups.truncate(most);
        let mut chains = chains(window, &self.filter);
        chains.truncate(most);
        let report = HerdReport {
            window,
            herds: &shown,
            groups: &groups,
            chains: &chains,
        };
        match self.args.trace.output.format() {
            Format::Json => write_json(streams.out, &report),
            Format::Csv => write_csv(streams.out, &report).and_then(|()| notes(streams.err, &report)),
            Format::Text => write_text(streams.out, &report, self.ascii, time),
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
        let Command::Herd(args) = &cli.command else {
            panic!("{line}")
        };
        let mut source = Synthetic::demo();
        source.share();
        shown(&args.trace, Herds::new(args, &cli.global), source).await
    }

    #[tokio::test]
    async fn blocks_are_cut_to_the_worst() {
        let text = run("epoll-trace herd 0.01 2 --top 1").await;
        assert_eq!(text.matches("tcp 127.0.0.1:8080").count(), 2, "{text}");
        assert!(!text.contains("eventfd"), "{text}");
    }

    #[tokio::test]
    async fn a_process_has_the_sources_that_it_watches_with_all_their_workers() {
        let text = run("epoll-trace herd -d 0.05 --json -p 210").await;
        assert_eq!(text.matches("\"kind\":\"source\"").count(), 1, "{text}");
        assert!(
            text.contains("\"pid\":210") && text.contains("\"pid\":300"),
            "{text}"
        );
    }
}
