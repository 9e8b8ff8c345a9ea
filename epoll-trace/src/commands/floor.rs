//! The hidden command that attaches empty programs in place of ours, for the benchmark: what tracing takes at least.

use std::fs;
use std::io::Write;

use anyhow::{Context as _, bail};
use nix::sys::signal::{SigSet, Signal};
use serde::Serialize;

use super::attach::{Wishes, programs};
use super::top;
use crate::cli::{FloorArgs, GlobalArgs};
use crate::model::measures::Measures;
use crate::probe::catalog::Program;
use crate::probe::floor::Floor;

/// Name of the hidden command.
pub const FLOOR: &str = "__floor";

/// What stands on stdout once all programs are attached.
#[derive(Serialize)]
struct Attached {
    v: u32,
    kind: &'static str,
    programs: Vec<&'static str>,
}

/// Attaches empty programs where the traced run that `args` describe would attach ours, says so in a line of JSON on
/// `out`, and keeps them until SIGINT or SIGTERM.
///
/// # Errors
/// When the plan is impossible, or one of the programs cannot be attached.
pub fn run(args: &FloorArgs, global: &GlobalArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    // From here on, so that a signal that comes while programs load is not lost.
    let end = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    end.thread_block().context("cannot hold signals back")?;
    let mut floor = load(args, global)?;
    floor.attach()?;
    let attached = Attached {
        v: 1,
        kind: "attached",
        programs: floor.names(),
    };
    serde_json::to_writer(&mut *out, &attached).context("cannot write the output")?;
    writeln!(out)
        .and_then(|()| out.flush())
        .context("cannot write the output")?;
    end.wait().context("cannot wait for a signal")?;
    Ok(0)
}

/// The empty programs for what `args` describe, not attached.
///
/// # Errors
/// As of [`run`].
pub(super) fn load(args: &FloorArgs, global: &GlobalArgs) -> anyhow::Result<Floor> {
    let object = fs::read(&args.object).with_context(|| {
        format!(
            "cannot read {}: give the object of empty programs with --object",
            args.object.display()
        )
    })?;
    let (programs, targets) = programs(global, &wishes(args))?;
    Floor::load(&object, &only(programs, &args.only)?, &targets)
}

/// What `top` wants, or `hist` with the metrics that are asked for.
pub(super) fn wishes(args: &FloorArgs) -> Wishes {
    if args.top {
        return top::wishes(Measures::NONE);
    }
    let mut metrics = args.metrics.clone();
    metrics.sort_unstable();
    metrics.dedup();
    Wishes {
        metrics,
        ..Wishes::default()
    }
}

/// Those of `programs` that are called one of `names`; all where no name is given.
fn only(mut programs: Vec<&'static Program>, names: &[String]) -> anyhow::Result<Vec<&'static Program>> {
    let known = |name: &&String| programs.iter().any(|program| program.name == **name);
    if let Some(stranger) = names.iter().find(|name| !known(name)) {
        let names: Vec<_> = programs.iter().map(|program| program.name).collect();
        bail!(
            "--only {stranger}: this run has no such program, only {}",
            names.join(", ")
        );
    }
    programs.retain(|program| names.is_empty() || names.iter().any(|name| name == program.name));
    Ok(programs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::catalog::PROGRAMS;

    fn named(programs: &[&Program]) -> Vec<&'static str> {
        programs.iter().map(|program| program.name).collect()
    }

    #[test]
    fn some_programs_or_all_and_no_strangers() {
        let programs = || PROGRAMS.iter().take(3).collect::<Vec<_>>();
        assert_eq!(only(programs(), &[]).unwrap(), programs());
        let picked = only(programs(), &["enter_tp".to_owned(), "enter_fentry".to_owned()]).unwrap();
        assert_eq!(named(&picked), ["enter_fentry", "enter_tp"]);
        let error = only(programs(), &["enter_tp".to_owned(), "exit_tp".to_owned()]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "--only exit_tp: this run has no such program, only enter_fentry, enter_kprobe, enter_tp"
        );
    }
}
