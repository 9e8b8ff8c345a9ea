//! `cargo xtask bench`: what the tool costs those it watches, and what it takes itself.

mod agent;
mod native;
mod pairs;
mod peer;
mod row;
mod talk;

use anyhow::Result;

/// `cargo xtask bench`.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    kind: Kind,
}

/// What to measure.
#[derive(clap::Subcommand, Debug)]
enum Kind {
    /// On this machine, with real time: probes on tracepoints beside empty programs and bpftrace's runqlat
    Native(native::Arguments),
    /// The agent itself on this machine: time to its first output, memory, processor time per refresh
    Agent(agent::Arguments),
}

/// Measures, prints, and says whether all bars hold.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    match &arguments.kind {
        Kind::Native(arguments) => native::run(arguments),
        Kind::Agent(arguments) => agent::run(arguments),
    }
}
