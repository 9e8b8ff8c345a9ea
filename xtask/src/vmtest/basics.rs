//! The VM itself is what these tests test: that the right kernel runs, and that jobs report what they did.

use std::time::Duration;

use xtask::guest::End;

use super::{Need, Test};
use crate::kernels::Capability;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// A time limit that is to be met. A shell has begun by then on a busy host too.
const SHORT_SECONDS: u64 = 5;

/// Tests that need no BPF.
pub(super) fn tests() -> Vec<Test> {
    vec![
        kernel(),
        Test::new("guest: loopback carries TCP", |outputs| {
            match outputs.stdout(0)? {
                "x\n" => Ok(()),
                other => Err(format!("the byte came back as {other:?}").into()),
            }
        })
        .job(&["/init", "loopback"]),
        job_reports(),
        time_limit(),
        leftovers(),
        Test::new("guest: lockdown is as asked for", |outputs| {
            let state = outputs.stdout(0)?;
            state
                .contains("[confidentiality]")
                .then_some(())
                .ok_or_else(|| format!("it is {state}").into())
        })
        .needs(Need::Cannot(Capability::ProbeRead))
        .job(&[
            "sh",
            "-c",
            "read line < /sys/kernel/security/lockdown; echo $line",
        ]),
        Test::new("epoll-trace: starts", |outputs| {
            outputs.stdout(1)?;
            let version = outputs.stdout(0)?;
            // The first line names the program and its version, once there is a command line to ask.
            if version.is_empty() || version.contains(VERSION) {
                return Ok(());
            }
            Err(format!("--version says {version:?}, not {VERSION}").into())
        })
        .job(&["epoll-trace", "--version"])
        .job(&["epoll-trace", "--help"]),
    ]
}

fn kernel() -> Test {
    Test::new("guest: kernel is of the series", |outputs| {
        let (major, minor) = outputs.guest().image().series;
        let read = outputs.stdout(0)?.trim();
        if read != outputs.release() {
            return Err(format!("PID 1 says {}, a job reads {read}", outputs.release()).into());
        }
        if !read.starts_with(&format!("{major}.{minor}.")) {
            return Err(format!("{read} is not {major}.{minor}").into());
        }
        Ok(())
    })
    .job(&[
        "sh",
        "-c",
        "read release < /proc/sys/kernel/osrelease; echo $release",
    ])
}

fn job_reports() -> Test {
    Test::new("guest: exit code, stdout and stderr of a job", |outputs| {
        let job = outputs.exited(0, 7)?;
        if (job.stdout.as_str(), job.stderr.as_str()) != ("out\n", "err\n") {
            return Err(format!("stdout {:?}, stderr {:?}", job.stdout, job.stderr).into());
        }
        let killed = &outputs.job(1)?.end;
        if *killed != End::Signaled(9) {
            return Err(format!("kill -9 shows as {killed}").into());
        }
        match &outputs.job(2)?.end {
            End::NotStarted(_) => Ok(()),
            end => Err(format!("a program that is not there shows as {end}").into()),
        }
    })
    .job(&["sh", "-c", "echo out; echo err >&2; exit 7"])
    .job(&["sh", "-c", "kill -9 $$"])
    .job(&["no-such-program"])
}

fn time_limit() -> Test {
    Test::new("guest: a job ends at its time limit", |outputs| {
        let job = outputs.job(0)?;
        if job.end != End::TimedOut || job.stdout != "begun\n" {
            return Err(format!("{}, stdout {:?}", job.end, job.stdout).into());
        }
        if Duration::from_millis(job.ms) < Duration::from_secs(SHORT_SECONDS) {
            return Err(format!("ended after {} ms already", job.ms).into());
        }
        Ok(())
    })
    .job_with_limit(&["sh", "-c", "echo begun; while :; do :; done"], SHORT_SECONDS)
}

fn leftovers() -> Test {
    Test::new("guest: nothing of a job lives on", |outputs| {
        outputs.stdout(0)?;
        match outputs.stdout(1)?.trim() {
            // PID 1, the shell itself, and kernel threads, which have no command line.
            "2" => Ok(()),
            count => Err(format!("{count} user processes are left").into()),
        }
    })
    .job(&["sh", "-c", "(while :; do :; done) & echo"])
    .job(&[
        "sh",
        "-c",
        "n=0; for p in /proc/[0-9]*; do if read -r x < $p/statm && [ \"${x%% *}\" != 0 ]; then n=$((n+1)); fi; done; echo $n",
    ])
}
