//! A command that is held before its exec, so that it can be followed from its first instruction.
//! The child is first this program again, which waits for a byte on a socket and then becomes the command under the same PID.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{AccessFlags, Pid, access};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::cli::GateArgs;
use crate::identity::OWN_PROGRAM;

/// Name of the hidden command that is the gate.
pub const GATE: &str = "__exec-gate";

const GO: u8 = 1;
/// How long a command may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// A command held before its exec. Dropped before [`Gated::release`], it ends without having run.
#[derive(Debug)]
pub struct Gated {
    child: Child,
    socket: UnixStream,
    program: OsString,
    /// Its PID, before and after the exec.
    pub pid: u32,
}

impl Gated {
    /// Starts `argv` up to its gate. Needs a tokio runtime.
    ///
    /// # Errors
    /// When `argv` is empty, its program cannot be found or no process can be started.
    pub fn spawn(argv: &[OsString]) -> anyhow::Result<Self> {
        Self::spawn_as(Command::new(OWN_PROGRAM), argv)
    }

    /// The same for a command that must leave the terminal alone: it reads nothing, and what it writes is dropped.
    ///
    /// # Errors
    /// As of [`Gated::spawn`].
    pub fn spawn_quiet(argv: &[OsString]) -> anyhow::Result<Self> {
        Self::spawn_as(quiet_gate(), argv)
    }

    fn spawn_as(mut gate: Command, argv: &[OsString]) -> anyhow::Result<Self> {
        if let Some(program) = argv.first() {
            look_for(program)?;
        }
        gate.arg(GATE);
        Self::spawn_through(gate, argv, |gate, fd| {
            gate.arg(fd.to_string()).arg("--").args(argv);
        })
    }

    fn spawn_through(
        mut gate: Command,
        argv: &[OsString],
        hand_over: impl FnOnce(&mut Command, i32),
    ) -> anyhow::Result<Self> {
        let Some(program) = argv.first().cloned() else {
            bail!("no command given; name one after --")
        };
        let (socket, theirs) = UnixStream::pair().context("cannot make a socket pair to hold the command")?;
        let keep_open = FcntlArg::F_SETFD(FdFlag::empty());
        fcntl(&theirs, keep_open).context("cannot pass a socket on to the command")?;
        hand_over(&mut gate, theirs.as_raw_fd());
        let child = gate
            .spawn()
            .with_context(|| format!("cannot start a process for {}", program.display()))?;
        let pid = child
            .id()
            .with_context(|| format!("{} ended before it began", program.display()))?;
        Ok(Self {
            child,
            socket,
            program,
            pid,
        })
    }

    /// Lets the command begin, and waits until it has: a moment.
    ///
    /// # Errors
    /// When the command cannot be executed.
    pub fn release(&mut self) -> anyhow::Result<()> {
        let program = self.program.display();
        self.socket
            .write_all(&[GO])
            .with_context(|| format!("{program} was killed before it began"))?;
        let mut errno = Vec::new();
        // The other end closes with the exec; what comes before that is why there was none.
        self.socket
            .read_to_end(&mut errno)
            .with_context(|| format!("cannot learn whether {program} began"))?;
        let Ok(errno) = <[u8; 4]>::try_from(errno.as_slice()) else {
            return Ok(());
        };
        Err(cannot_run(&self.program, i32::from_ne_bytes(errno)))
    }

    /// Waits until the command has ended.
    ///
    /// # Errors
    /// When somebody else waited for it.
    pub async fn wait(&mut self) -> anyhow::Result<ExitStatus> {
        self.child
            .wait()
            .await
            .with_context(|| format!("cannot learn how {} ended", self.program.display()))
    }
}

/// A gate, and so a command, without our terminal: Ctrl-C is a key of the screen. It ends if we are killed.
fn quiet_gate() -> Command {
    let mut gate = Command::new(OWN_PROGRAM);
    gate.stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    // SAFETY: prctl(PR_SET_PDEATHSIG) is async-signal-safe and touches no memory.
    unsafe { gate.pre_exec(|| set_pdeathsig(Signal::SIGTERM).map_err(Into::into)) };
    gate
}

impl Gated {
    /// Ends the command with its whole group, if it still runs: SIGTERM, and SIGKILL for what is left after [`GRACE`]. Only for one
    /// that [`Gated::spawn_quiet`] started.
    pub async fn end(mut self) {
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            let Ok(group) = i32::try_from(self.pid) else {
                return;
            };
            // It may end at any moment; who is gone needs no signal.
            _ = killpg(Pid::from_raw(group), signal);
            _ = timeout(GRACE, self.child.wait()).await;
        }
    }
}

/// Fails on a program that cannot be executed before anything is traced. What slips through, the exec itself reports.
fn look_for(program: &OsStr) -> anyhow::Result<()> {
    let path = std::env::var_os("PATH");
    let places: Vec<PathBuf> = match &path {
        _ if program.as_bytes().contains(&b'/') => vec![program.into()],
        Some(path) => std::env::split_paths(path)
            .map(|directory| directory.join(program))
            .collect(),
        None => return Ok(()),
    };
    let mut refusal = Errno::ENOENT;
    for place in places {
        match access(&place, AccessFlags::X_OK) {
            Ok(()) if place.is_file() => return Ok(()),
            Ok(()) => refusal = Errno::EACCES,
            // As execvp: a file that may not be executed says more than the places where there is none.
            Err(Errno::EACCES) => refusal = Errno::EACCES,
            Err(_) => {}
        }
    }
    Err(cannot_run(program, refusal as i32))
}

fn cannot_run(program: &OsStr, errno: i32) -> anyhow::Error {
    let reason = std::io::Error::from_raw_os_error(errno);
    anyhow!(
        "cannot run {}: {reason}; check the name, or give its full path",
        program.display()
    )
}

/// A shell's number for how a process ended: its own code, or 128 + signal.
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

/// The child's side: waits for the word, then becomes the command. Returns only when it did not, with the exit code.
/// Must be called while nobody else uses descriptors of this process: before a runtime starts.
pub fn gate(args: &GateArgs) -> u8 {
    // SAFETY: the parent made this descriptor for us alone and nothing else of this process owns it.
    let mut socket = UnixStream::from(unsafe { OwnedFd::from_raw_fd(args.fd) });
    let mut word = [0];
    let Some((program, rest)) = args.command.split_first() else {
        return 1;
    };
    let held = fcntl(&socket, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).is_ok();
    if !held || socket.read_exact(&mut word).is_err() || word != [GO] {
        return 1;
    }
    let error = std::process::Command::new(program).args(rest).exec();
    let errno = error.raw_os_error().unwrap_or(libc::EINVAL);
    // The parent is gone when this fails: then nobody wants to know.
    _ = socket.write_all(&errno.to_ne_bytes());
    1
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::fs;

    /// The gate, as another process of this test binary.
    #[test]
    #[ignore = "runs in a child of the other tests"]
    fn as_gate() {
        let Some(fd) = std::env::var("EPOLL_TRACE_TEST_GATE")
            .ok()
            .and_then(|fd| fd.parse().ok())
        else {
            return;
        };
        let command = std::env::var("EPOLL_TRACE_TEST_COMMAND")
            .unwrap()
            .split(' ')
            .map(OsString::from)
            .collect();
        std::process::exit(gate(&GateArgs { fd, command }).into());
    }

    pub(in crate::commands) fn spawn(command: &str) -> Gated {
        through(Command::new(OWN_PROGRAM), command)
    }

    fn quiet(command: &str) -> Gated {
        through(quiet_gate(), command)
    }

    fn through(mut gate: Command, command: &str) -> Gated {
        let argv: Vec<OsString> = command.split(' ').map(OsString::from).collect();
        gate.args([
            "--exact",
            "commands::child::tests::as_gate",
            "--ignored",
            "--nocapture",
        ]);
        Gated::spawn_through(gate, &argv, |gate, fd| {
            gate.env("EPOLL_TRACE_TEST_GATE", fd.to_string())
                .env("EPOLL_TRACE_TEST_COMMAND", command);
        })
        .unwrap()
    }

    #[tokio::test]
    async fn nothing_runs_before_its_release() {
        let directory = tempfile::tempdir().unwrap();
        let trace = directory.path().join("ran");
        let mut child = spawn(&format!("touch {}", trace.display()));
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(!trace.exists());
        child.release().unwrap();
        assert!(child.wait().await.unwrap().success());
        assert!(trace.exists());
    }

    #[tokio::test]
    async fn the_pid_stays_and_the_code_comes_back() {
        let mut child = spawn("sleep 30");
        child.release().unwrap();
        let name = fs::read_to_string(format!("/proc/{}/comm", child.pid)).unwrap();
        assert_eq!(name, "sleep\n");
        nix::sys::signal::kill(Pid::from_raw(child.pid as i32), Signal::SIGTERM).unwrap();
        assert_eq!(exit_code(child.wait().await.unwrap()), 128 + 15);
        let mut child = spawn("false");
        child.release().unwrap();
        assert_eq!(exit_code(child.wait().await.unwrap()), 1);
    }

    #[tokio::test]
    async fn a_quiet_command_is_ended_with_its_children() {
        let mut shell = quiet("sh -c sleep${IFS}30&wait");
        shell.release().unwrap();
        let children = format!("/proc/{0}/task/{0}/children", shell.pid);
        let mut sleep = String::new();
        while sleep.is_empty() {
            sleep = fs::read_to_string(&children).unwrap();
        }
        let stat = format!("/proc/{}/stat", sleep.trim());
        shell.end().await;
        // Told to end, it needs a moment.
        for _ in 0..200 {
            let left = fs::read_to_string(&stat).unwrap_or_default();
            if left.is_empty() || left.contains(") Z ") {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the child of the command still runs");
    }

    #[tokio::test]
    async fn an_unknown_command_is_one_sentence() {
        let mut child = spawn("no-such-command-here");
        let error = child.release().unwrap_err().to_string();
        assert_eq!(
            error,
            "cannot run no-such-command-here: No such file or directory (os error 2); check the name, or give its full path"
        );
        assert!(!child.wait().await.unwrap().success());
    }

    #[tokio::test]
    async fn a_tracer_that_fails_leaves_nothing_running() {
        let Gated {
            mut child, socket, ..
        } = spawn("sleep 30");
        drop(socket);
        assert!(!child.wait().await.unwrap().success());
    }
}
