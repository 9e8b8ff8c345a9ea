//! A load and the tool beside it, while they run: what the tool takes, read from outside.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

use super::agent::{Load, Tool};
use super::talk::{end, readable};

/// A tool or load that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// A tool that is told to end may take so long.
const FAREWELL: Duration = Duration::from_secs(5);

/// A load, killed when dropped; its processes end with it.
pub(super) struct RunningLoad {
    child: Child,
    held: bool,
}

impl RunningLoad {
    /// Starts it; a fleet waits for [`Self::begin`].
    pub(super) fn start(program: &Path, load: Load) -> Result<Self> {
        let mut command = Command::new(program);
        match load {
            Load::Fleet { processes, each } => {
                command.args(["bench", "scenario", "fleet", "--hold"]);
                command.args(["--waiters", &processes.to_string()]);
                command.args(["--epolls", &each.to_string()])
            }
            // More than anybody waits for.
            Load::PingPong => command.args(["bench", "cost", "pp", "--ops", "10000000", "--rounds", "100"]),
        };
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let child = command.spawn().context("cannot start the load")?;
        let mut load = Self {
            child,
            held: load != Load::PingPong,
        };
        if load.held {
            load.heard()?;
        }
        Ok(load)
    }

    /// Lets a fleet deliver on each of its epolls, and hold again.
    pub(super) fn begin(&mut self) -> Result<()> {
        if !self.held {
            return Ok(());
        }
        let input = self.child.stdin.as_mut().context("its input is piped")?;
        input.write_all(b"\n").context("cannot start the fleet")?;
        self.heard()
    }

    /// Waits for a line on its stderr.
    fn heard(&mut self) -> Result<()> {
        let errors = self.child.stderr.as_mut().context("its stderr is piped")?;
        if !readable(errors, PATIENCE)? {
            bail!("the load says nothing for {} s", PATIENCE.as_secs());
        }
        let mut line = String::new();
        // Not a byte beyond the line: the next one is waited for too.
        let read = BufReader::with_capacity(1, errors).read_line(&mut line);
        if read.context("cannot read from the load")? == 0 {
            bail!("the load ended before it began");
        }
        Ok(())
    }
}

impl Drop for RunningLoad {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The tool while it runs. Dropped, it is ended as by Ctrl-C.
pub(super) struct Running {
    child: Child,
}

impl Running {
    /// Starts it and waits for its first output.
    pub(super) fn start(program: &Path, tool: &Tool) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(tool.arguments).stdin(Stdio::null());
        let (child, output): (_, OwnedFd) = if tool.screen {
            on_terminal(&mut command)?
        } else {
            let mut child = command
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .context("cannot start the tool")?;
            let output = child.stdout.take().context("its output is piped")?;
            (child, output.into())
        };
        let running = Self { child };
        if !readable(&output, PATIENCE)? {
            bail!("{} shows nothing for {} s", tool.name, PATIENCE.as_secs());
        }
        // What nobody reads would hold it up.
        thread::spawn(move || drain(output.into()));
        Ok(running)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Processor time of all its threads, of those that ended too.
    pub(super) fn spent(&self) -> Result<Duration> {
        let clock = clock_getcpuclockid(self.pid()).context("the tool has ended")?;
        let time = clock_gettime(clock).context("the tool has ended")?;
        Ok(time.into())
    }

    /// A line of its `/proc/PID/status`, MB.
    pub(super) fn memory_mb(&self, line: &str) -> Result<f64> {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.child.id())).context("the tool has ended")?;
        kilobytes(&status, line)
            .map(|kilobytes| kilobytes / 1024.0)
            .with_context(|| format!("the tool's status has no {line}"))
    }
}

fn kilobytes(status: &str, name: &str) -> Option<f64> {
    let mut lines = status.lines();
    let value = lines.find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok()
}

impl Drop for Running {
    fn drop(&mut self) {
        _ = kill(self.pid(), Signal::SIGTERM);
        end(&mut self.child, FAREWELL);
    }
}

/// Starts `command` on a terminal of its own, and gives that terminal's other end.
fn on_terminal(command: &mut Command) -> Result<(Child, OwnedFd)> {
    let size = Winsize {
        ws_row: 40,
        ws_col: 120,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = openpty(Some(&size), None).context("cannot open a pty")?;
    let end = || {
        pty.slave
            .try_clone()
            .map(Stdio::from)
            .context("cannot share the pty")
    };
    let child = command
        .stdin(end()?)
        .stdout(end()?)
        .stderr(end()?)
        .env("TERM", "xterm-256color")
        .spawn()
        .context("cannot start the tool")?;
    Ok((child, pty.master))
}

/// Reads until the end, which a terminal reports as an error.
fn drain(mut output: fs::File) {
    let mut bytes = [0; 1 << 16];
    while let Ok(length) = output.read(&mut bytes)
        && length > 0
    {}
}

#[cfg(test)]
mod tests {
    use super::kilobytes;

    #[test]
    fn lines_of_a_status() {
        let status = "VmHWM:\t   12400 kB\nVmRSS:\t    9120 kB\n";
        assert_eq!(kilobytes(status, "VmRSS:"), Some(9120.0));
        assert_eq!(kilobytes(status, "VmSwap:"), None);
    }
}
