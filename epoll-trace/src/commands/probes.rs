//! `probes`: what can be measured on this kernel. Loads and attaches everything once, so that each verdict was tried.

use anyhow::Context as _;

use super::attach::{facts, family};
use super::output::Streams;
use crate::cli::{GlobalArgs, ProbesArgs};
use crate::kernel::Detail;
use crate::kernel::offsets;
use crate::model::probes::Status;
use crate::model::snapshot::Metric;
use crate::probe::catalog::Signal;
use crate::probe::load::load;
use crate::probe::options::{Options, Scope};
use crate::probe::plan::{Identity, plan};
use crate::probe::status::{attached, planned};
use crate::view;

/// Prints the verdict on every signal; gives the exit code: 1 when the main job is impossible.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: &ProbesArgs, global: &GlobalArgs, streams: &mut Streams<'_>) -> anyhow::Result<u8> {
    let status = try_everything(global);
    if args.json {
        view::json::write_line(streams.out, &status)
    } else {
        write!(streams.out, "{}", view::probes::render(&status))
    }
    .and_then(|()| streams.out.flush())
    .context("cannot write the output")?;
    Ok(status.exit_code())
}

fn try_everything(global: &GlobalArgs) -> Status {
    let facts = facts(Detail::EVERYTHING);
    let wanted = Signal::ALL.iter().copied().collect();
    let plan = plan(&facts, &wanted, family(global.probes));
    if plan.check().is_err() {
        return planned(&facts, &plan);
    }
    let options = Options {
        metrics: Metric::ALL.to_vec(),
        count_per_epoll: true,
        follow_items: true,
        time_loops: true,
        locks: true,
        sources: true,
        epoll_by_fd: matches!(plan.identity, Identity::Descriptor(_)),
        // Nobody is named: the programs run and count nothing.
        scope: Scope::Processes,
        rows: 1,
        ..Options::default()
    };
    match load(
        &plan.programs(),
        &facts.targets,
        &offsets::globals(&facts),
        &options,
    ) {
        Ok(mut loaded) => {
            loaded.attach();
            attached(&facts, &plan, &loaded.broken)
        }
        Err(error) => {
            let why = format!("{error:#}");
            let all = plan
                .programs()
                .iter()
                .map(|program| (program.name.to_owned(), why.clone()))
                .collect();
            attached(&facts, &plan, &all)
        }
    }
}
