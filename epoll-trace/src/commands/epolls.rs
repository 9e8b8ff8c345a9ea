//! `epolls`: one row per epoll, with what it watches, who uses it and how.

use std::io::{self, IsTerminal as _, Write, stdout};

use super::output::Streams;
use super::session::Blocks;
use crate::cli::{EpollsArgs, Format, GlobalArgs};
use crate::model::delta::Window;
use crate::model::filter::Filter;
use crate::model::group::{GroupBy, group};
use crate::view::text::TextOptions;
use crate::view::{Report, csv, json, table, text};

/// What `epolls` shows of a run.
#[derive(Debug)]
pub struct Epolls<'a> {
    args: &'a EpollsArgs,
    filter: Filter,
    text: TextOptions,
}

impl<'a> Epolls<'a> {
    /// Blocks as `args` say.
    pub fn new(args: &'a EpollsArgs, global: &GlobalArgs) -> Self {
        Self {
            args,
            filter: args.trace.filter.filter(),
            text: TextOptions {
                unit: args.trace.unit.unit(),
                ascii: global.ascii,
            },
        }
    }

    /// The terminal's width, where the table goes to one.
    fn width(&self) -> Option<u16> {
        let on_screen = self.args.trace.output.output.is_none() && stdout().is_terminal();
        let size = on_screen.then(crossterm::terminal::size)?;
        size.ok().map(|(width, _)| width)
    }
}

impl Blocks for Epolls<'_> {
    fn subject(&self) -> &'static str {
        "epolls"
    }

    fn csv_header(&self, out: &mut dyn Write) -> io::Result<()> {
        csv::write_header(out, true)
    }

    fn block(&self, streams: &mut Streams<'_>, window: &Window, time: Option<&str>) -> io::Result<()> {
        let mut entries = group(window, GroupBy::Epoll, &self.filter);
        entries.sort_by(|left, right| self.args.sort.compare(left, right, false));
        entries.truncate(self.args.trace.most());
        let report = Report {
            window,
            entries: &entries,
            metrics: EpollsArgs::METRICS,
            counters: true,
            wakers: false,
        };
        match self.args.trace.output.format() {
            Format::Json => json::write(streams.out, &report),
            Format::Csv => csv::write(streams.out, &report).and_then(|()| text::notes(streams.err, &report)),
            Format::Text => table::write(streams.out, &report, &self.text, self.width(), time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use crate::commands::session::tests::shown;
    use crate::source::synthetic::Synthetic;
    use clap::Parser as _;

    async fn run(line: &str) -> String {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let Command::Epolls(args) = &cli.command else {
            panic!("{line}")
        };
        let source = Synthetic::demo();
        shown(&args.trace, Epolls::new(args, &cli.global), source).await
    }

    #[tokio::test]
    async fn a_row_per_epoll_in_the_order_asked_for() {
        let text = run("epoll-trace epolls 0.01 2 -S items").await;
        let rows: Vec<_> = text
            .lines()
            .filter_map(|line| line.split_whitespace().next()?.split_once(':'))
            .filter_map(|(pid, _)| pid.parse::<u32>().ok())
            .collect();
        assert_eq!(rows, [999, 300, 210, 185, 185].repeat(2), "{text}");
    }

    #[tokio::test]
    async fn json_says_what_an_epoll_is() {
        let text = run("epoll-trace epolls -d 0.01 --json -p 301").await;
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let epoll = lines.iter().find(|line| line["kind"] == "epoll").unwrap();
        assert_eq!(epoll["items"], 5);
        assert_eq!(epoll["flags"], "LT");
        // Process 300 is not shown, and waits on it all the same.
        assert_eq!(epoll["processes"], 2);
    }
}
