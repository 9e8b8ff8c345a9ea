//! A program on a terminal of its own, and what that terminal shows.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};

const PATIENCE: Duration = Duration::from_secs(30);

/// A program on a terminal. Killed when dropped.
pub struct OnTerminal {
    /// The program.
    pub child: Child,
    screen: Arc<Mutex<vt100::Parser>>,
    keys: File,
    ours: OwnedFd,
    /// Keeps the terminal alive past the program, so that its state can be read.
    theirs: OwnedFd,
    reader: Option<JoinHandle<()>>,
    hung_up: Arc<AtomicBool>,
}

fn size(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

fn cells(number: u16) -> NonZero<u16> {
    NonZero::new(number).unwrap()
}

impl OnTerminal {
    /// Starts `command` on a terminal of 80×24.
    pub fn start(command: Command) -> Self {
        let mut command = command;
        let pty = openpty(&size(24, 80), None).unwrap();
        // A program that has our end open too never sees it close.
        fcntl(&pty.master, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        let end = || pty.slave.try_clone().unwrap();
        command
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .env("TERM", "xterm-256color");
        // SAFETY: between fork and exec; setsid and ioctl may be called there and touch no memory.
        unsafe {
            command.pre_exec(|| {
                nix::unistd::setsid()?;
                if libc::ioctl(0, libc::TIOCSCTTY, 0) == -1 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = command.spawn().unwrap();
        let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(24), cells(80), 0)));
        let mut output = File::from(pty.master.try_clone().unwrap());
        let written = Arc::clone(&screen);
        let hung_up = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&hung_up);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while !over.load(Ordering::SeqCst) {
                let mut ready = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
                if poll(&mut ready, 50_u8) == Ok(0) {
                    continue;
                }
                match output.read(&mut bytes) {
                    Ok(length) if length > 0 => written.lock().unwrap().process(&bytes[..length]),
                    _ => return,
                }
            }
        });
        Self {
            child,
            screen,
            keys: File::from(pty.master.try_clone().unwrap()),
            ours: pty.master,
            theirs: pty.slave,
            reader: Some(reader),
            hung_up,
        }
    }

    /// Closes the terminal, as its window is or a connection: nobody reads it any more.
    pub fn hang_up(&mut self) {
        self.hung_up.store(true, Ordering::SeqCst);
        self.reader.take().unwrap().join().unwrap();
        self.keys = File::open("/dev/null").unwrap();
        self.ours = File::open("/dev/null").unwrap().into();
    }

    /// The terminal as it is now.
    pub fn screen(&self) -> MutexGuard<'_, vt100::Parser> {
        self.screen.lock().unwrap()
    }

    /// What it shows.
    pub fn text(&self) -> String {
        self.screen().screen().contents()
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Makes the terminal another size.
    pub fn resize(&self, rows: u16, columns: u16) {
        self.screen().screen_mut().set_size(cells(rows), cells(columns));
        let size = size(rows, columns);
        // SAFETY: a terminal of ours and a size of the kernel's type that outlives the call.
        let done = unsafe { libc::ioctl(self.ours.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        assert_eq!(done, 0);
    }

    /// Waits until what is shown holds true.
    #[track_caller]
    pub fn wait_for(&self, what: &str, shown: impl Fn(&str) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !shown(&self.text()) {
            assert!(Instant::now() < end, "never saw {what}:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the program's end.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // Its last words may still be on their way to us.
                std::thread::sleep(Duration::from_millis(200));
                return status;
            }
            assert!(Instant::now() < end, "does not end:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The terminal is as a shell wants it: line by line, echoing, with a cursor, on its main screen.
    #[track_caller]
    pub fn is_restored(&self) {
        let wanted = LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG;
        let flags = tcgetattr(&self.theirs).unwrap().local_flags;
        assert!(flags.contains(wanted), "{flags:?}");
        let parser = self.screen();
        assert!(
            !parser.screen().alternate_screen(),
            "still on the alternate screen"
        );
        assert!(!parser.screen().hide_cursor(), "the cursor is hidden");
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
