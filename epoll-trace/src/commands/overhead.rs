//! `overhead`: what our own programs cost while they trace as `hist` does.

use std::io::{self, Write};

use super::output::Streams;
use super::session::Blocks;
use crate::cli::{Format, OverheadArgs};
use crate::model::delta::Window;
use crate::model::overhead::Overhead;
use crate::view::overhead::{write_csv, write_csv_header, write_json, write_text};

/// What `overhead` prints of a run that counts its own cost.
#[derive(Debug)]
pub struct Cost<'a> {
    args: &'a OverheadArgs,
}

impl<'a> Cost<'a> {
    /// Prints as `args` say.
    pub const fn new(args: &'a OverheadArgs) -> Self {
        Self { args }
    }
}

impl Blocks for Cost<'_> {
    fn subject(&self) -> &'static str {
        "epoll wakeups"
    }

    fn csv_header(&self, out: &mut dyn Write) -> io::Result<()> {
        write_csv_header(out)
    }

    fn block(&self, streams: &mut Streams<'_>, window: &Window, time: Option<&str>) -> io::Result<()> {
        let Some(cost) = Overhead::of(window) else {
            return Err(io::Error::other("this source does not know what it costs"));
        };
        let at_ns = window.counted.at_ns;
        match self.args.trace.output.format() {
            Format::Json => write_json(streams.out, &cost, at_ns),
            Format::Csv => write_csv(streams.out, &cost, at_ns),
            Format::Text => time
                .map_or(Ok(()), |time| writeln!(streams.out, "{time}"))
                .and_then(|()| write_text(streams.out, &cost)),
        }
    }
}
