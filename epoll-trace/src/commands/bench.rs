//! `bench`: a known load, and its report.

use std::io::Write;

use anyhow::{Context as _, Result};
use serde::Serialize;

use super::output::Streams;
use crate::cli::{BenchArgs, BenchKind, GlobalArgs};
use crate::workload;

const FAILED: &str = "cannot write the report";

/// Runs the load and writes what it did.
///
/// # Errors
/// When the load fails, or the report cannot be written.
pub fn run(args: &BenchArgs, global: &GlobalArgs, streams: &mut Streams<'_>) -> Result<()> {
    let verbose = global.verbose > 0;
    let out = &mut *streams.out;
    match &args.kind {
        BenchKind::Scenario(args) => workload::run(args, out),
        BenchKind::Wait(args) if args.load.json => json(&workload::wait(args, &mut std::io::sink())?, out),
        BenchKind::Wait(args) => workload::wait(args, out)?
            .write_text(verbose, out)
            .and_then(|()| out.flush())
            .context(FAILED),
        BenchKind::Cost(args) => workload::cost(args, &mut std::io::stdin().lock(), out),
        BenchKind::Ctl(args) if args.load.json => json(&workload::ctl(args, &mut std::io::sink())?, out),
        BenchKind::Ctl(args) => workload::ctl(args, out)?
            .write_text(verbose, out)
            .and_then(|()| out.flush())
            .context(FAILED),
    }
}

fn json(report: &impl Serialize, out: &mut dyn Write) -> Result<()> {
    serde_json::to_writer(&mut *out, report).context(FAILED)?;
    writeln!(out).and_then(|()| out.flush()).context(FAILED)
}
