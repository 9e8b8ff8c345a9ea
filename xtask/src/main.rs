//! Builds, runs, installs and tests epoll-trace.

mod bench;
mod builds;
mod checks;
mod compare;
mod docs;
mod exec;
mod kernels;
mod layers;
mod paths;
mod setup;
mod tally;
mod tour;
mod vm;
mod vmtest;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what is missing to build, after saying what
    Setup {
        /// Also QEMU and the kernels of the tests
        #[arg(long)]
        vm: bool,
    },
    /// Build epoll-trace
    Build {
        /// Optimized
        #[arg(long)]
        release: bool,
        /// Instead the object of empty programs, which the benchmark attaches in place of ours
        #[arg(long, conflicts_with = "release")]
        floor: bool,
    },
    /// Build epoll-trace and run it as root
    Run {
        /// Its arguments, after `--`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Build epoll-trace and put it where `sudo epoll-trace` finds it
    Install {
        /// The binary goes to bin below this directory
        #[arg(long, default_value = "/usr/local")]
        root: PathBuf,
    },
    /// Run a command in a VM with another kernel and with epoll-trace on PATH
    Vm(vm::Arguments),
    /// Everything that CI runs: formatting, lints, tests, layers, and the tests on every kernel
    #[command(alias = "ci")]
    Test(vmtest::matrix::Selection),
    /// Write the generated parts of the documents: help texts, maps, kernels, screens
    Docs(docs::Arguments),
    /// Run `bench wait` beside `perf bench epoll wait`: their rates must not be apart
    Compare(compare::Arguments),
    /// Count what the tool costs, in instructions per operation, beside empty programs and other tools
    Bench(bench::Arguments),
    /// Check which module names which other
    Layers,
}

fn main() -> ExitCode {
    match run(Cli::parse().task) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> Result<ExitCode> {
    match task {
        Task::Setup { vm } => setup::run(vm)?,
        Task::Build { release, floor } => {
            let toolchain = setup::bpf::ensure()?;
            let built = if floor {
                builds::floor(&toolchain)
            } else {
                builds::host(&toolchain, release)
            };
            println!("{}", built?.display());
        }
        Task::Run { arguments } => builds::run(&setup::bpf::ensure()?, &arguments)?,
        Task::Install { root } => builds::install(&setup::bpf::ensure()?, &root)?,
        Task::Vm(arguments) => return vm::run(&arguments),
        Task::Test(selection) => return Ok(exit_code(checks::run(&selection)?)),
        Task::Docs(arguments) => return Ok(exit_code(docs::run(&arguments)?)),
        Task::Compare(arguments) => return Ok(exit_code(compare::run(&arguments)?)),
        Task::Bench(arguments) => return Ok(exit_code(bench::run(&arguments)?)),
        Task::Layers => return Ok(exit_code(layers::run()?)),
    }
    Ok(ExitCode::SUCCESS)
}

fn exit_code(ok: bool) -> ExitCode {
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
