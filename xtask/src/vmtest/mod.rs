//! Tests that run inside the VMs: what a test is, and helpers for its check.
//!
//! To add one: push a [`Test`] in a module like `basics` and list the module in [`all`]. Tests over scenarios and
//! families are made in a loop; name and check are owned, so closures may capture.

mod basics;
mod benches;
mod beside;
mod cgroup;
mod cost;
mod diagnose;
mod ends;
mod estimated;
mod herds;
mod instances;
mod judge;
mod laws;
mod light;
mod locks;
mod loops;
pub(crate) mod matrix;
mod races;
mod servers;
mod times;
mod together;
mod tour;
mod trace;
mod views;
mod wakers;

use std::fmt;

use serde_json::Value;
use xtask::guest::{End, JobResult};

use crate::kernels::{Capability, Guest};

/// Time limit of a job unless the test sets its own: TCG is about ten times slower than the machine, and that has more to do.
/// It ends what hangs; nothing is timed by it.
const JOB_SECONDS: u64 = 180;
/// Programs of this machine that every test VM has.
const PROGRAMS: [&str; 7] = ["sh", "sleep", "mkdir", "bpftool", "grep", "mount", "umount"];

/// How much is asked of each kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// What CI runs on every change.
    Short,
    /// Long repetitions on top.
    Long,
}

/// The whole number that `value` has under `key`.
fn number(value: &Value, key: &str) -> Result<u64, Problem> {
    value[key]
        .as_u64()
        .ok_or_else(|| format!("no {key} in {value}").into())
}

/// Every test, in the order of the matrix.
pub(crate) fn all(length: Length) -> Vec<Test> {
    let groups = [
        basics::tests(),
        laws::tests(),
        light::tests(),
        races::tests(),
        beside::tests(),
        benches::tests(),
        laws::repeated(length),
        views::tests(),
        times::tests(),
        cost::tests(),
        loops::tests(),
        wakers::tests(),
        locks::tests(),
        herds::tests(),
        estimated::tests(),
        diagnose::tests(),
        together::tests(),
        cgroup::tests(),
        servers::tests(),
        tour::tests(),
        instances::tests(),
        ends::tests(),
    ];
    groups.into_iter().flatten().collect()
}

/// One row of the matrix.
pub(crate) struct Test {
    name: String,
    needs: Vec<Need>,
    jobs: Vec<Spec>,
    cpus: u32,
    programs: Vec<&'static str>,
    check: Check,
}

type Check = Box<dyn Fn(&Outputs<'_>) -> Result<(), Problem>>;

/// A command of a test.
struct Spec {
    argv: Vec<String>,
    seconds: u64,
}

impl Test {
    /// A test that needs nothing, with no job yet. `check` sees the outputs of all its jobs.
    pub(crate) fn new(
        name: impl Into<String>,
        check: impl Fn(&Outputs<'_>) -> Result<(), Problem> + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            needs: Vec::new(),
            jobs: Vec::new(),
            cpus: 0,
            programs: Vec::new(),
            check: Box::new(check),
        }
    }

    /// Adds a need; where one is not met the test is skipped.
    pub(crate) fn needs(mut self, need: Need) -> Self {
        self.needs.push(need);
        self
    }

    /// Runs it in a VM with at least so many CPUs; tests with the same number share a boot.
    pub(crate) fn cpus(mut self, cpus: u32) -> Self {
        self.cpus = cpus;
        self
    }

    /// Brings one more program of this machine into its VM.
    pub(crate) fn with(mut self, program: &'static str) -> Self {
        self.programs.push(program);
        self
    }

    /// Adds a command; commands run in order, each in an empty system.
    pub(crate) fn job(self, argv: &[&str]) -> Self {
        self.job_with_limit(argv, JOB_SECONDS)
    }

    /// Adds a command with a time limit of its own, in guest seconds.
    pub(crate) fn job_with_limit(self, argv: &[&str], seconds: u64) -> Self {
        self.run(argv.iter().map(|&word| word.to_owned()).collect(), seconds)
    }

    /// Adds a command whose words were put together, with its time limit in guest seconds.
    pub(crate) fn run(mut self, argv: Vec<String>, seconds: u64) -> Self {
        self.jobs.push(Spec { argv, seconds });
        self
    }
}

/// What a test says it needs of a kernel. The matrix holds the test to it: skipping on a kernel that meets every need
/// is a failure, and so is a need that no kernel meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// This series or a later one.
    Since(u32, u32),
    /// A series before this one.
    Before(u32, u32),
    /// A kernel that can.
    Can(Capability),
    /// A kernel that cannot: for tests of refusals.
    Cannot(Capability),
}

impl Need {
    /// Why `guest` does not meet it; nothing if it does.
    fn unmet(self, guest: &Guest) -> Option<String> {
        let series = guest.image().series;
        let lack = |capability| guest.lacks.iter().find(|(lacked, _)| *lacked == capability);
        match self {
            Self::Since(major, minor) => (series < (major, minor)).then(|| format!("needs {major}.{minor}")),
            Self::Before(major, minor) => {
                (series >= (major, minor)).then(|| format!("for kernels before {major}.{minor}"))
            }
            Self::Can(capability) => {
                lack(capability).map(|(_, why)| format!("needs {}: {why}", capability.name()))
            }
            Self::Cannot(capability) => lack(capability)
                .is_none()
                .then(|| format!("for kernels without {}", capability.name())),
        }
    }
}

/// Why a check is not content.
#[derive(Debug, PartialEq, Eq)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the tests of the probes use the second")
)]
pub(crate) enum Problem {
    /// It is wrong.
    Failed(String),
    /// This kernel cannot; a failure if the declared needs say it can.
    Unsupported(String),
}

impl<T: Into<String>> From<T> for Problem {
    fn from(text: T) -> Self {
        Self::Failed(text.into())
    }
}

/// What the jobs of one test gave on one kernel.
pub(crate) struct Outputs<'a> {
    guest: &'a Guest,
    release: &'a str,
    jobs: Vec<&'a JobResult>,
}

impl<'a> Outputs<'a> {
    /// The column of the matrix.
    pub(crate) fn guest(&self) -> &'a Guest {
        self.guest
    }

    /// `uname -r` in the VM.
    pub(crate) fn release(&self) -> &'a str {
        self.release
    }

    /// The job at this place of the test, however it ended.
    pub(crate) fn job(&self, index: usize) -> Result<&'a JobResult, Problem> {
        self.jobs
            .get(index)
            .copied()
            .ok_or_else(|| format!("the test has no job {index}").into())
    }

    /// Standard output of a job that must have exited with 0.
    pub(crate) fn stdout(&self, index: usize) -> Result<&'a str, Problem> {
        self.exited(index, 0).map(|job| job.stdout.as_str())
    }

    /// A job that must have exited with `code`, and must not have written more than is kept.
    pub(crate) fn exited(&self, index: usize, code: i32) -> Result<&'a JobResult, Problem> {
        let job = self.job(index)?;
        if job.end != End::Exited(code) || job.truncated {
            return Err(format!("expected exit code {code}: {}", Shown(job)).into());
        }
        Ok(job)
    }

    /// Standard output of a job that must have exited with 0, one JSON value per line.
    pub(crate) fn json_lines(&self, index: usize) -> Result<Vec<Value>, Problem> {
        let parse = |line: &str| {
            serde_json::from_str(line).map_err(|error| format!("not JSON ({error}): {line}").into())
        };
        self.stdout(index)?.lines().map(parse).collect()
    }
}

/// A job result as a failure shows it.
pub(crate) struct Shown<'a>(pub(crate) &'a JobResult);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = if self.0.truncated { ", output cut" } else { "" };
        writeln!(f, "{} after {} ms{cut}", self.0.end, self.0.ms)?;
        for (title, text) in [("stdout", &self.0.stdout), ("stderr", &self.0.stderr)] {
            for line in text.lines().take(40) {
                writeln!(f, "    {title}: {line}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{End, JobResult, Need, Outputs, Problem};
    use crate::kernels::{Capability, Guest, select};

    fn guest(name: &str) -> &'static Guest {
        select(name)[0]
    }

    fn result(end: End, stdout: &str) -> JobResult {
        JobResult {
            job: "0".into(),
            end,
            stdout: stdout.into(),
            stderr: String::new(),
            truncated: false,
            ms: 1,
        }
    }

    #[test]
    fn needs() {
        assert_eq!(Need::Since(6, 1).unmet(guest("6.12")), None);
        assert_eq!(
            Need::Since(6, 12).unmet(guest("6.1")).as_deref(),
            Some("needs 6.12")
        );
        assert!(Need::Before(6, 1).unmet(guest("5.10")).is_none());
        let kprobe = Need::Can(Capability::Kprobe);
        assert_eq!(kprobe.unmet(guest("6.18")), None);
        assert_eq!(
            kprobe.unmet(guest("6.18-lockdown")).as_deref(),
            Some("needs kprobe: lockdown=confidentiality refuses it")
        );
        assert!(Need::Cannot(Capability::Kprobe).unmet(guest("6.18")).is_some());
    }

    #[test]
    fn outputs() {
        let jobs = [
            result(End::Exited(0), "{\"a\":1}\n{\"a\":2}\n"),
            result(End::TimedOut, ""),
        ];
        let outputs = Outputs {
            guest: guest("6.1"),
            release: "6.1.0",
            jobs: jobs.iter().collect(),
        };
        let lines = outputs.json_lines(0).unwrap();
        assert_eq!(
            lines
                .iter()
                .map(|line| line["a"].as_u64().unwrap())
                .collect::<Vec<_>>(),
            [1, 2]
        );
        let Err(Problem::Failed(text)) = outputs.stdout(1) else {
            panic!("a timeout is no success")
        };
        assert!(text.contains("time limit"), "{text}");
        assert!(outputs.job(2).is_err());
    }

    #[test]
    fn output_that_was_cut_is_not_taken_for_whole() {
        let mut job = result(End::Exited(0), "{}");
        job.truncated = true;
        let outputs = Outputs {
            guest: guest("6.1"),
            release: "6.1.0",
            jobs: vec![&job],
        };
        assert!(outputs.json_lines(0).is_err());
    }
}
