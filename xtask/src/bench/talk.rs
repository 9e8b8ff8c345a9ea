//! Programs that answer a line on stdin with a line on stdout.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What takes longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// A program whose input has ended may take so long to end.
const FAREWELL: Duration = Duration::from_secs(5);

/// A running program. Dropped, its input ends, and it is killed if that does not end it.
pub(super) struct Talker {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Talker {
    /// Starts `command`; messages call it `name`.
    pub(super) fn start(command: &mut Command, name: &str) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let output = child.stdout.take().context("a piped stdout is there")?;
        Ok(Self {
            name: name.to_owned(),
            input: child.stdin.take(),
            output: BufReader::new(output),
            child,
        })
    }

    /// Says `line` and gives the answer.
    pub(super) fn ask(&mut self, line: &str) -> Result<String> {
        let input = self.input.as_mut().context("its input is open")?;
        let said = writeln!(input, "{line}").and_then(|()| input.flush());
        said.with_context(|| format!("{} has ended", self.name))?;
        self.line()
    }

    /// Its next line.
    pub(super) fn line(&mut self) -> Result<String> {
        if self.output.buffer().is_empty() && !readable(self.output.get_ref(), PATIENCE)? {
            bail!("{} says nothing for {} s", self.name, PATIENCE.as_secs());
        }
        let mut line = String::new();
        let read = self.output.read_line(&mut line);
        if read.with_context(|| format!("cannot read from {}", self.name))? == 0 {
            bail!("{} ended without an answer; its messages stand above", self.name);
        }
        Ok(line)
    }

    /// Its process.
    pub(super) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Ends it by `signal`, and after `time` by force.
    pub(super) fn end_by(&mut self, signal: Signal, time: Duration) {
        _ = kill(self.pid(), signal);
        end(&mut self.child, time);
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        drop(self.input.take());
        end(&mut self.child, FAREWELL);
    }
}

/// Waits for the end of `child`, and after `time` enforces it.
pub(super) fn end(child: &mut Child, time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    _ = child.kill();
    _ = child.wait();
}

/// Whether something can be read within `time`; the end of the file counts.
pub(super) fn readable(file: &impl AsFd, time: Duration) -> Result<bool> {
    let mut ready = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
    Ok(poll(&mut ready, timeout).context("cannot wait for output")? > 0)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::Talker;

    #[test]
    fn lines_go_back_and_forth_until_the_end() {
        let mut talker = Talker::start(
            Command::new("sh").args(["-c", "read a; echo 1$a; read b; echo 2$b"]),
            "the shell",
        )
        .unwrap();
        assert_eq!(talker.ask("x").unwrap(), "1x\n");
        assert_eq!(talker.ask("y").unwrap(), "2y\n");
        let error = talker.line().unwrap_err().to_string();
        assert!(error.starts_with("the shell ended"), "{error}");
    }
}
