//! The other tool of the native benchmark: bpftrace with its runqlat script.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::Signal;

use super::talk::Talker;
use crate::exec;

/// runqlat.bt of bpftrace 0.17 without its include of linux/sched.h, which does not compile here (TASK_RUNNING is 0),
/// and with a word once all is attached: bpftrace attaches in the order of the script.
const RUNQLAT: &str = r#"
tracepoint:sched:sched_wakeup, tracepoint:sched:sched_wakeup_new { @qtime[args->pid] = nsecs; }
tracepoint:sched:sched_switch {
    if (args->prev_state == 0) { @qtime[args->prev_pid] = nsecs; }
    $ns = @qtime[args->next_pid];
    if ($ns) { @usecs = hist((nsecs - $ns) / 1000); }
    delete(@qtime[args->next_pid]);
}
interval:ms:100 /@said == 0/ { @said = 1; printf("attached\n"); }
END { clear(@qtime); clear(@said); }
"#;
/// bpftrace looks tracepoints up in tracefs. Where nobody has mounted it, this is one for bpftrace alone.
const WITH_TRACEFS: &str =
    r#"[ -e /sys/kernel/tracing/events ] || mount -t tracefs nodev /sys/kernel/tracing && exec "$0" "$@""#;
/// The histogram is printed at its end, which takes a moment.
const ENDING: Duration = Duration::from_secs(10);

/// bpftrace on this machine.
pub(super) struct Bpftrace {
    program: PathBuf,
    /// What it says of itself: `bpftrace v0.17.0`.
    pub(super) version: String,
}

impl Bpftrace {
    /// The one on PATH, if there is one.
    pub(super) fn find() -> Result<Option<Self>> {
        let Some(program) = exec::find_program("bpftrace") else {
            return Ok(None);
        };
        let version = exec::output(Command::new(&program).arg("--version"))?;
        Ok(Some(Self {
            program,
            version: version.trim().to_owned(),
        }))
    }

    /// Starts runqlat and returns once it is attached. Dropped, it is ended as by Ctrl-C.
    pub(super) fn runqlat(&self) -> Result<Runqlat> {
        Runqlat::start(&self.program)
    }
}

/// A running runqlat.
pub(super) struct Runqlat {
    talker: Talker,
}

impl Runqlat {
    fn start(program: &Path) -> Result<Self> {
        let mut command = exec::as_root("unshare", "attach probes")?;
        command.args(["--mount", "sh", "-c", WITH_TRACEFS]).arg(program);
        command.args(["-B", "line", "-e", RUNQLAT]);
        // It warns of limits that do not apply.
        command.stderr(std::process::Stdio::null());
        let mut talker = Talker::start(&mut command, "bpftrace")?;
        // It also says how many probes it attaches, and empty lines.
        for _ in 0..4 {
            if talker.line().context("runqlat was not attached")?.trim() == "attached" {
                return Ok(Self { talker });
            }
        }
        bail!("runqlat does not say that it is attached")
    }
}

impl Drop for Runqlat {
    fn drop(&mut self) {
        self.talker.end_by(Signal::SIGINT, ENDING);
    }
}
