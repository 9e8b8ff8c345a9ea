//! `cargo xtask test`: everything that CI runs, from formatting to the kernels.
//!
//! A failed step does not stop the next ones: one run shows all that is wrong.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::bench;
use crate::builds::{self, BPF_TARGET};
use crate::docs;
use crate::exec;
use crate::layers;
use crate::paths;
use crate::setup::bpf::{self, BpfToolchain};
use crate::tally::Tally;
use crate::vmtest::matrix::{self, Selection};

/// How cargo-deny says that the list of known holes is out of reach.
const NO_ADVISORIES: &str = "failed to fetch advisory database";

/// Runs everything, or with `--only` some VM tests, and says whether nothing failed. The last line counts.
pub(crate) fn run(selection: &Selection) -> Result<bool> {
    let toolchain = bpf::ensure()?;
    let mut tally = Tally::default();
    if selection.only.is_none() {
        step(&mut tally, "fmt", || {
            single(exec::cargo().args(["fmt", "--all", "--check"]))
        });
        step(&mut tally, "clippy", || clippy(&toolchain));
        step(&mut tally, "clippy for BPF", || clippy_bpf(&toolchain));
        step(&mut tally, "host tests", || host_tests(&toolchain));
        step(&mut tally, "deny", deny);
        step(&mut tally, "docs", || Ok(Tally::of(docs::check()?)));
        step(&mut tally, "layers", || Ok(Tally::of(layers::run()?)));
    }
    if selection.only.is_none() {
        step(&mut tally, "reading", || reading(&toolchain));
    }
    step(&mut tally, "VM tests", || matrix::run(selection));
    if selection.only.is_none() {
        step(&mut tally, "cost", || Ok(Tally::of(bench::short()?)));
    }
    println!("{tally}");
    Ok(tally.failed == 0)
}

fn step(tally: &mut Tally, name: &str, body: impl FnOnce() -> Result<Tally>) {
    println!("== {name}");
    let done = body().unwrap_or_else(|error| {
        println!("{error:#}");
        Tally::of(false)
    });
    if done.failed > 0 {
        println!("FAIL {name}");
    }
    *tally += done;
}

/// A command that counts as one test.
fn single(command: &mut Command) -> Result<Tally> {
    exec::run(command).map(|()| Tally::of(true))
}

fn clippy(toolchain: &BpfToolchain) -> Result<Tally> {
    let mut command = exec::cargo();
    command.args([
        "clippy",
        "--quiet",
        "--locked",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
    toolchain.apply(&mut command)?;
    single(&mut command)
}

/// The programs of the object exist for the BPF target only, so the host's clippy does not see them.
fn clippy_bpf(toolchain: &BpfToolchain) -> Result<Tally> {
    if exec::output(toolchain.program("cargo-clippy")?.arg("--version")).is_err() {
        println!(
            "skip: toolchain {} has no clippy (`rustup component add clippy`, or Debian's package rust-web-clippy)",
            toolchain.name
        );
        return Ok(Tally::skip());
    }
    let mut command = toolchain.program("cargo")?;
    command.args(["clippy", "--quiet", "--locked", "--package", "epoll-trace-ebpf"]);
    // Empty programs too.
    command.args(["--bins", "--features", "floor"]);
    command.args(["--target", BPF_TARGET, "-Z", "build-std=core"]);
    command.args(["--", "-D", "warnings"]);
    command.env("CARGO_TARGET_DIR", paths::workspace().join("target/clippy-bpf"));
    single(&mut command)
}

fn host_tests(toolchain: &BpfToolchain) -> Result<Tally> {
    let mut command = exec::cargo();
    command
        .args(["test", "--quiet", "--locked", "--workspace", "--no-fail-fast"])
        .stdout(Stdio::piped());
    toolchain.apply(&mut command)?;
    let mut child = command.spawn().context("cannot start cargo test")?;
    let mut tally = Tally::default();
    let stdout = child.stdout.take().context("cargo test has no output")?;
    for line in BufReader::new(stdout).lines() {
        let line = line.context("cannot read the output of cargo test")?;
        println!("{line}");
        if let Some(counts) = Tally::of_harness(&line) {
            tally += counts;
        }
    }
    let status = child.wait().context("cannot wait for cargo test")?;
    if !status.success() && tally.failed == 0 {
        bail!("cargo test failed with {status}, and no test says so: it did not build or a test was killed");
    }
    Ok(tally)
}

/// What a refresh costs with many epolls known. Host tests are not optimized; the VMs' build is, and needed anyway.
fn reading(toolchain: &BpfToolchain) -> Result<Tally> {
    bench::reading::run(&builds::guest(toolchain)?.epoll_trace)
}

/// Licences, sources, duplicate crates and known holes, as `.cargo/deny.toml` wants them.
fn deny() -> Result<Tally> {
    if exec::find_program("cargo-deny").is_none() {
        println!("skip: cargo-deny is not installed (`cargo install cargo-deny --locked`)");
        return Ok(Tally::skip());
    }
    let check = |what: &[&str]| {
        let mut command = exec::cargo();
        // Duplicates are only warned of, at great length.
        command
            .args(["deny", "--log-level", "error", "--locked", "check"])
            .args(what);
        command
    };
    let mut tally = single(&mut check(&["bans", "licenses", "sources"]))?;
    tally += match exec::output(&mut check(&["advisories"])) {
        Ok(_) => Tally::of(true),
        Err(error) if error.to_string().contains(NO_ADVISORIES) => {
            println!("skip: advisories, their database cannot be fetched from here");
            Tally::skip()
        }
        Err(error) => return Err(error),
    };
    Ok(tally)
}
