//! What the tests of the real binary share.

use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_epoll-trace");

/// What became of one run.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; a signal is none.
    pub code: Option<i32>,
    /// All of stdout.
    pub out: String,
    /// All of stderr.
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The binary with `args`, without a terminal and without the caller's own configuration.
pub fn command(args: &[&str]) -> Command {
    prepared(Command::new(BINARY), args)
}

/// `command` with `args` and the same surroundings for everybody.
pub fn prepared<A: AsRef<OsStr>>(mut command: Command, args: &[A]) -> Command {
    command
        .args(args)
        .env_remove("NO_COLOR")
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs the binary to its end.
pub fn run(args: &[&str]) -> Ran {
    command(args).output().unwrap().into()
}

/// Whether this machine lets us trace. If not, says so past the test harness, which would hide it.
pub fn can_trace(test: &str) -> bool {
    let probes = run(&["probes"]);
    if probes.code == Some(0) {
        return true;
    }
    skipped(test, probes.out.lines().last().unwrap_or(&probes.err));
    false
}

/// Says past the test harness that `test` did not run.
pub fn skipped(test: &str, why: &str) {
    _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}
