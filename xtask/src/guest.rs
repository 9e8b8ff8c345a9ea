//! The job list that goes into the VM and the reports that come out of it.
//!
//! One JSON value per line and a serial port of its own, so that no kernel message can fall into a report.

use serde::{Deserialize, Serialize};

/// Where the initramfs holds the job list: a JSON array of [`Job`].
pub const JOBS_PATH: &str = "/jobs.json";
/// Serial port that carries the standard output of jobs with [`Output::Ports`].
pub const STDOUT_PORT: &str = "/dev/ttyS1";
/// Serial port that carries the standard error of jobs with [`Output::Ports`].
pub const STDERR_PORT: &str = "/dev/ttyS2";
/// Serial port that carries [`Report`] lines; the kernel's console is the port before all of these.
pub const REPORT_PORT: &str = "/dev/ttyS3";

/// A command that PID 1 runs; jobs run one after the other and nothing of one lives on into the next.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Job {
    /// Comes back in [`JobResult::job`]; unique within a list.
    pub name: String,
    /// Program and arguments; the program is searched in `/bin`.
    pub argv: Vec<String>,
    /// After this many milliseconds of guest time everything the job started is killed.
    pub timeout_ms: u64,
    /// Where its output goes.
    pub output: Output,
}

/// Where the output of a job goes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum Output {
    /// Collected, and sent with the result.
    Report,
    /// Written to [`STDOUT_PORT`] and [`STDERR_PORT`] while the job runs.
    Ports,
}

/// One line on the report port.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub enum Report {
    /// The first line: PID 1 runs on the kernel with this release (`uname -r`).
    Booted(String),
    /// Something that PID 1 could not set up; jobs run all the same.
    Warning(String),
    /// A job has ended.
    Job(JobResult),
    /// The last line before power off.
    Done,
}

/// How a job ended and what it wrote.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct JobResult {
    /// The name the job was given.
    pub job: String,
    /// How it ended.
    pub end: End,
    /// Its standard output, invalid UTF-8 replaced; empty with [`Output::Ports`].
    pub stdout: String,
    /// Its standard error, likewise.
    pub stderr: String,
    /// True if it wrote more than PID 1 keeps, so that `stdout` or `stderr` is only the beginning.
    pub truncated: bool,
    /// Guest milliseconds from start to end.
    pub ms: u64,
}

/// How a job ended.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub enum End {
    /// It returned this exit code.
    Exited(i32),
    /// This signal ended it.
    Signaled(i32),
    /// It ran longer than [`Job::timeout_ms`].
    TimedOut,
    /// It could not be started, for this reason.
    NotStarted(String),
}

impl End {
    /// The exit code a shell would show for it: 128 + signal, 124 for a timeout, 127 if it did not start.
    pub fn exit_code(&self) -> i32 {
        match self {
            Self::Exited(code) => *code,
            Self::Signaled(signal) => 128 + signal,
            Self::TimedOut => 124,
            Self::NotStarted(_) => 127,
        }
    }
}

impl std::fmt::Display for End {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit code {code}"),
            Self::Signaled(signal) => write!(f, "killed by signal {signal}"),
            Self::TimedOut => f.write_str("killed at its time limit"),
            Self::NotStarted(why) => write!(f, "not started: {why}"),
        }
    }
}
