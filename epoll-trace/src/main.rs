//! The command `epoll-trace`: arguments in, exit code out.

use std::cell::Cell;
use std::ffi::OsString;
use std::io::{Write as _, stderr, stdin};
use std::process::ExitCode;

use anyhow::Context as _;
use epoll_trace::cli::{
    Cli, Command, Counters, DiagnoseArgs, EpollsArgs, GlobalArgs, HerdArgs, HistArgs, LocksArgs,
    OverheadArgs, TopArgs, TraceArgs,
};
use epoll_trace::commands::attach::{Wishes, start};
use epoll_trace::commands::child::{Gated, gate};
use epoll_trace::commands::diagnose::{self, Diagnoses};
use epoll_trace::commands::epolls::Epolls;
use epoll_trace::commands::herd::Herds;
use epoll_trace::commands::hist::Hist;
use epoll_trace::commands::locks::{self, Locks};
use epoll_trace::commands::output::{Streams, is_broken_pipe, open};
use epoll_trace::commands::overhead::Cost;
use epoll_trace::commands::progress::told_while;
use epoll_trace::commands::session::{Blocks, Session};
use epoll_trace::commands::top::{Attacher, Invented, Maker as _};
use epoll_trace::commands::{bench, config, demo, floor, metrics, probes, switch, top};
use epoll_trace::config::{Config, ConfigError};
use epoll_trace::probe::options::Scope;
use log::LevelFilter;

/// Said where it takes long: with much to count the kernel's check of the programs takes seconds.
const ATTACHING: &str = "Attaching the probes: the kernel checks the programs first...";

fn main() -> ExitCode {
    let cli = Cli::from_args(std::env::args_os()).unwrap_or_else(|error| error.exit());
    match run(&cli) {
        Ok(code) => code.into(),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Not eprintln: a terminal that went away would be a panic.
            _ = writeln!(stderr(), "epoll-trace: {error:#}");
            // As clap has it for a mistake in what was asked for.
            let misused = error.is::<ConfigError>();
            ExitCode::from(if misused { 2 } else { 1 })
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<u8> {
    let global = &cli.global;
    match &cli.command {
        Command::ExecGate(args) => Ok(gate(args)),
        Command::Floor(args) => floor::run(args, global, &mut open(None)?),
        Command::Switch(args) => switch::run(args, global, &mut stdin().lock(), &mut open(None)?),
        Command::Metrics => printed(metrics::run),
        Command::Keys => top::keys(&mut open(None)?),
        Command::Diagnoses => diagnose::manual(&mut open(None)?),
        Command::Probes(args) => printed(|streams| probes::run(args, global, streams)),
        Command::Bench(args) => printed(|streams| bench::run(args, global, streams).map(|()| 0)),
        Command::Demo(args) => printed(|streams| demo::run(args, global, &mut stdin().lock(), streams, run)),
        Command::Hist(args) => block_on(hist(args, global)),
        Command::Epolls(args) => block_on(epolls(args, global)),
        Command::Herd(args) => block_on(herd(args, global)),
        Command::Locks(args) => block_on(show_locks(args, global)),
        Command::Diagnose(args) => match args.explain {
            Some(diagnosis) => {
                let mut out = open(args.run().output.output.as_deref())?;
                diagnose::explained(args, diagnosis, &mut out)
            }
            None => block_on(diagnose(args, global)),
        },
        Command::Overhead(args) => block_on(overhead(args, global)),
        Command::Top(args) if args.dump_config => {
            printed(|streams| config::print(args, global, streams).map(|()| 0))
        }
        Command::Top(args) => {
            let (chosen, _) = config::effective(args, global)?;
            top::check_terminal()?;
            block_on(show_top(args, &chosen, global))
        }
    }
}

/// Runs a command that writes to stdout and traces nothing itself.
fn printed(command: impl FnOnce(&mut Streams<'_>) -> anyhow::Result<u8>) -> anyhow::Result<u8> {
    command(&mut Streams {
        out: &mut open(None)?,
        err: &mut stderr(),
    })
}

fn block_on(command: impl Future<Output = anyhow::Result<u8>>) -> anyhow::Result<u8> {
    tokio::runtime::Runtime::new()
        .context("cannot start the runtime")?
        .block_on(command)
}

async fn hist(args: &HistArgs, global: &GlobalArgs) -> anyhow::Result<u8> {
    let wishes = Wishes {
        metrics: args.needed_metrics(),
        counters: args.needed_counters(),
        wakers: args.wakers,
        per_thread: args.needs_threads(),
        ..Wishes::default()
    };
    trace(&args.trace, global, wishes, Hist::new(args, global)).await
}

async fn epolls(args: &EpollsArgs, global: &GlobalArgs) -> anyhow::Result<u8> {
    let wishes = Wishes {
        metrics: EpollsArgs::METRICS.to_vec(),
        counters: Some(Counters::All),
        per_thread: args.trace.filter.needs_threads(),
        ..Wishes::default()
    };
    trace(&args.trace, global, wishes, Epolls::new(args, global)).await
}

async fn herd(args: &HerdArgs, global: &GlobalArgs) -> anyhow::Result<u8> {
    let wishes = Wishes {
        metrics: args.metrics(),
        counters: Some(Counters::Waits),
        sources: true,
        per_thread: args.trace.filter.needs_threads(),
        ..Wishes::default()
    };
    trace(&args.trace, global, wishes, Herds::new(args, global)).await
}

async fn show_locks(args: &LocksArgs, global: &GlobalArgs) -> anyhow::Result<u8> {
    let wishes = Wishes {
        metrics: locks::METRICS.to_vec(),
        per_thread: args.trace.filter.needs_threads(),
        ..Wishes::default()
    };
    trace(&args.trace, global, wishes, Locks::new(args, global)).await
}

async fn diagnose(args: &DiagnoseArgs, global: &GlobalArgs) -> anyhow::Result<u8> {
    let (run, worst) = (args.run(), Cell::new(None));
    let wishes = Wishes {
        metrics: diagnose::METRICS.to_vec(),
        counters: Some(Counters::All),
        sources: true,
        look: true,
        files: true,
        per_thread: run.filter.needs_threads(),
        ..Wishes::default()
    };
    let blocks = Diagnoses::new(args, &run, global, &worst);
    let code = trace(&run, global, wishes, blocks).await?;
    Ok(diagnose::exit_code(args, code, worst.get()))
}

async fn overhead(args: &OverheadArgs, global: &GlobalArgs) -> anyhow::Result<u8> {
    let mut metrics = args.metrics.clone();
    metrics.sort_unstable();
    metrics.dedup();
    let wishes = Wishes {
        metrics,
        counters: args.counters,
        own_cost: true,
        ..Wishes::default()
    };
    trace(&args.trace, global, wishes, Cost::new(args)).await
}

/// Traces what `args` name, for what `wishes` say besides, and lets `blocks` print it.
async fn trace(
    args: &TraceArgs,
    global: &GlobalArgs,
    mut wishes: Wishes,
    blocks: impl Blocks,
) -> anyhow::Result<u8> {
    log_to_stderr(global);
    let mut out = open(args.output.output.as_deref())?;
    wishes.narrow(&args.filter)?;
    wishes.fdinfo = wishes.follows_items() && !args.no_fdinfo;
    let command = held(&args.command, Gated::spawn, &mut wishes)?;
    let (live, status) = told_while(ATTACHING, || start(global, &wishes))?;
    let plan = serde_json::to_value(&status).context("cannot write the plan as JSON")?;
    let streams = Streams {
        out: &mut out,
        err: &mut stderr(),
    };
    let session = Session::new(args, blocks, Box::new(live), plan, streams);
    match command {
        Some(command) => session.run_command(command).await,
        None => session.run().await.map(|()| 0),
    }
}

/// The command to trace, if there is one, held before its start; `wishes` are then narrowed to it and its children.
fn held(
    argv: &[OsString],
    spawn: impl FnOnce(&[OsString]) -> anyhow::Result<Gated>,
    wishes: &mut Wishes,
) -> anyhow::Result<Option<Gated>> {
    if argv.is_empty() {
        return Ok(None);
    }
    let command = spawn(argv)?;
    (wishes.scope, wishes.ids) = (Scope::Trees, vec![command.pid]);
    Ok(Some(command))
}

fn log_to_stderr(global: &GlobalArgs) {
    // aya's own diagnostics are for its authors: they take a third -v.
    let (ours, others) = match global.verbose {
        0 => (LevelFilter::Warn, LevelFilter::Warn),
        1 | 2 => (LevelFilter::Debug, LevelFilter::Warn),
        _ => (LevelFilter::Debug, LevelFilter::Debug),
    };
    let started = env_logger::Builder::new()
        .filter_module("epoll_trace", ours)
        .filter_level(others)
        .try_init();
    // A demonstration makes several runs; the first has started it.
    _ = started;
}

async fn show_top(args: &TopArgs, chosen: &Config, global: &GlobalArgs) -> anyhow::Result<u8> {
    if args.demo {
        let made = Invented.make(args.measures(), &[])?;
        return top::run(args, chosen, global, made, Box::new(Invented), None).await;
    }
    // Before the command, which would be held for nothing.
    Attacher::new(global, &args.filter, None)?;
    let command = held(&args.command, Gated::spawn_quiet, &mut Wishes::default())?;
    let root = command.as_ref().map(|command| command.pid);
    let mut maker = Attacher::new(global, &args.filter, root)?;
    let made = told_while(ATTACHING, || maker.make(args.measures(), &[]))?;
    top::run(args, chosen, global, made, Box::new(maker), command).await
}
