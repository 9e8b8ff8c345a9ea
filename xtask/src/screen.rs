//! What a program shows on a terminal: runs it on a pty and reads its escape sequences as a terminal would.

use std::fs::File;
use std::io::Read as _;
use std::num::NonZero;
use std::os::fd::AsFd as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};

/// Size of the terminal.
const ROWS: NonZero<u16> = NonZero::<u16>::MIN.saturating_add(23);
const COLUMNS: NonZero<u16> = NonZero::<u16>::MIN.saturating_add(79);

/// The screen of 80 × 24 as plain text after `time`, or when the program has ended. The program is killed then.
///
/// # Errors
/// There is no pty, or the program cannot be started.
pub fn capture(argv: &[String], time: Duration) -> Result<String> {
    let (program, arguments) = argv.split_first().context("no program given")?;
    let size = Winsize {
        ws_row: ROWS.get(),
        ws_col: COLUMNS.get(),
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = openpty(Some(&size), None).context("cannot open a pty")?;
    let slave = || {
        pty.slave
            .try_clone()
            .map(Stdio::from)
            .context("cannot share the pty")
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(slave()?)
        .stdout(slave()?)
        .stderr(slave()?)
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    // Else the end of the program would never be the end of what it writes.
    drop(pty.slave);
    let screen = read(pty.master.into(), Instant::now() + time);
    child.kill().context("cannot end the program")?;
    child.wait().context("cannot wait for the program")?;
    screen
}

fn read(mut master: File, end: Instant) -> Result<String> {
    let mut terminal = vt100::Parser::new(ROWS, COLUMNS, 0);
    let mut bytes = [0; 4096];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut ready = [PollFd::new(master.as_fd(), PollFlags::POLLIN)];
        if left.is_zero() || poll(&mut ready, timeout).context("cannot wait for the pty")? == 0 {
            break;
        }
        match master.read(&mut bytes) {
            // The kernel says EIO once nobody has the other end open.
            Ok(0) | Err(_) => break,
            Ok(count) => terminal.process(&bytes[..count]),
        }
    }
    Ok(terminal.screen().contents())
}

#[cfg(test)]
mod tests {
    use super::{Duration, capture};

    #[test]
    fn the_screen_is_what_a_person_sees() {
        let script = r"printf 'old\033[2J\033[2;3Hnew'; stty size";
        let argv = ["sh", "-c", script].map(str::to_owned);
        let screen = capture(&argv, Duration::from_secs(20)).unwrap();
        assert_eq!(screen, "\n  new24 80", "{screen:?}");
    }
}
