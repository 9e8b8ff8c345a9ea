//! `top` on a real terminal: what it shows, its keys, and the terminal it leaves behind.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails in a helper fails its test"
)]

mod common;
#[path = "common/pty.rs"]
mod pty;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use common::{BINARY, can_trace};
use epoll_trace::view::tui::terminal::Screen;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use pty::OnTerminal;

/// A known load that runs longer than any test here. Killed when dropped.
struct Load(Child);

impl Load {
    fn start() -> Self {
        let mut load = Command::new(BINARY);
        load.args(["bench", "scenario", "pipe-lt", "--events", "100000000"]);
        Self(load.stdout(Stdio::null()).spawn().unwrap())
    }

    /// PID of its only waiter.
    fn waiter(&self) -> String {
        let id = self.0.id();
        let children = format!("/proc/{id}/task/{id}/children");
        for _ in 0..500 {
            if let Some(first) = fs::read_to_string(&children).unwrap().split_whitespace().next() {
                return first.to_owned();
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("the load has no waiter");
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

fn top(args: &[&str]) -> OnTerminal {
    OnTerminal::start(command(args))
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("top").args(args).env_remove("NO_COLOR");
    command
}

/// Whether the header, two lines above the table, says `word`.
fn header_says(text: &str, word: &str) -> bool {
    text.lines().take(2).any(|line| line.contains(word))
}

#[test]
fn rows_keys_sizes_and_the_end() {
    if !can_trace("rows_keys_sizes_and_the_end") {
        return;
    }
    let load = Load::start();
    let pid = load.waiter();
    let directory = tempfile::tempdir().unwrap();
    let mut command = command(&["0.2"]);
    command.current_dir(directory.path());
    let mut top = OnTerminal::start(command);
    top.wait_for("the load's row", |text| {
        text.lines()
            .any(|line| line.contains(&pid) && line.contains("waiter"))
    });
    assert!(top.screen().screen().alternate_screen());
    top.wait_for("its phases", |text| {
        text.contains("run queue") && text.contains("p99.9=")
    });

    top.press("?");
    top.wait_for("the keys", |text| text.contains("these keys"));
    top.press("x");
    top.wait_for("no keys", |text| !text.contains("these keys"));

    top.press("s");
    top.wait_for("the columns", |text| {
        text.contains("sort by") && text.contains("EV/WAIT")
    });
    top.press("\u{1b}");
    top.wait_for("no columns", |text| !text.contains("sort by"));

    top.press("/nobody-is-called-so");
    top.wait_for("no row", |text| text.contains("0 processes"));
    top.press("\u{1b}");
    top.wait_for("the row again", |text| text.contains(&pid));
    top.press(&format!("/{pid}\r"));
    top.wait_for("one row", |text| header_says(text, "1 process"));

    top.press(" ");
    top.wait_for("frozen", |text| header_says(text, "FROZEN"));
    top.press(" ");
    top.wait_for("not frozen", |text| !header_says(text, "FROZEN"));
    top.press("\r");
    top.wait_for("the process alone", |text| !text.contains("WAKE/s"));
    top.press("\u{1b}");
    top.wait_for("the table", |text| text.contains("WAKE/s"));

    for (rows, columns) in [(12, 40), (40, 120), (3, 10), (24, 80)] {
        top.resize(rows, columns);
        top.wait_for("another size", |text| {
            let losses = header_says(text, "losses: no") || header_says(text, "LOST");
            text.lines().count() <= rows.into() && losses
        });
    }
    top.wait_for("the row at 80x24", |text| text.contains(&pid));

    top.press("w");
    top.wait_for("the file's name", |text| text.contains("wrote epoll-trace-top-"));
    let written = fs::read_dir(directory.path()).unwrap().next().unwrap().unwrap();
    let written = fs::read_to_string(written.path()).unwrap();
    assert!(
        written.contains("PID COMM") && written.contains(&pid),
        "{written}"
    );
    top.press("y");
    top.wait_for("the clipboard", |text| text.contains("in the clipboard"));
    for (screen, row) in [("2", "epoll"), ("6", "signals"), ("1", "process")] {
        top.press(screen);
        top.wait_for("another screen", |text| header_says(text, &format!(" {row}")));
    }

    top.press("q");
    assert_eq!(top.ended().code(), Some(0));
    top.is_restored();
}

#[test]
fn each_end_gives_the_terminal_back() {
    if !can_trace("each_end_gives_the_terminal_back") {
        return;
    }
    type End = fn(&mut OnTerminal);
    let ends: [(&str, End); 3] = [
        ("Ctrl-C", |top| top.press("\u{3}")),
        ("SIGTERM", |top| signal(top, Signal::SIGTERM)),
        ("SIGINT", |top| signal(top, Signal::SIGINT)),
    ];
    for (name, end) in ends {
        let mut top = top(&["--ascii", "--color", "never"]);
        top.wait_for("the footer", |text| text.contains("q quit"));
        end(&mut top);
        assert_eq!(top.ended().code(), Some(0), "{name}");
        top.is_restored();
        // On a slow machine a word stands there of before the screen.
        let left = top.text().replace(
            "Attaching the probes: the kernel checks the programs first...",
            "",
        );
        assert_eq!(left.trim(), "", "{name}");
    }
}

#[test]
fn a_command_is_traced_and_ended_with_the_screen() {
    if !can_trace("a_command_is_traced_and_ended_with_the_screen") {
        return;
    }
    let load = "bench scenario pipe-lt --events 100000000";
    let mut words = vec!["0.2", "--", BINARY];
    words.extend(load.split(' '));
    let mut running = top(&words);
    running.wait_for("the command's row alone", |text| {
        header_says(text, "1 process") && !header_says(text, "1 processes") && text.contains("waiter")
    });
    let pid: u32 = running
        .text()
        .lines()
        .find_map(|line| {
            line.contains("waiter")
                .then(|| line.split_whitespace().next()?.parse().ok())?
        })
        .unwrap();
    running.press("q");
    assert_eq!(running.ended().code(), Some(0));
    running.is_restored();
    let ends =
        || !fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("scenario"));
    assert!((0..100).any(|_| ends() || {
        thread::sleep(Duration::from_millis(20));
        false
    }));

    // With other measures it is still the same tree: the load's processes are children of the command.
    let mut words = vec!["0.2", "--", "sh", "-c"];
    let line = format!("{BINARY} {load}; true");
    words.push(&line);
    let mut running = top(&words);
    running.wait_for("the command's row", |text| text.contains("waiter"));
    running.press("m");
    running.wait_for("the attaching", |text| header_says(text, "attaching..."));
    running.wait_for("the row again, alone", |text| {
        let attached = !header_says(text, "attaching...") && text.contains("waiter");
        attached && header_says(text, "1 process")
    });
    running.press("2");
    running.wait_for("its epoll", |text| header_says(text, "1 epoll"));
    running.press("q");
    assert_eq!(running.ended().code(), Some(0));
    running.is_restored();

    let mut failing = top(&["0.2", "--", "sh", "-c", "echo words; exit 7"]);
    failing.wait_for("its end", |text| header_says(text, "command ended (7)"));
    assert!(!failing.text().contains("words"));
    failing.press("q");
    assert_eq!(failing.ended().code(), Some(7));
}

fn signal(top: &OnTerminal, signal: Signal) {
    kill(Pid::from_raw(top.child.id() as i32), signal).unwrap();
}

/// `top` on made-up numbers, which takes no right to trace.
fn demo() -> OnTerminal {
    let top = top(&["--demo"]);
    top.wait_for("the made-up processes", |text| {
        text.contains("synthetic") && text.contains("batch")
    });
    top
}

/// Whether process `id` is in state `state` soon (proc(5): T is stopped).
#[track_caller]
fn comes_to(id: u32, state: char) {
    let is = || {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        stat.rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with(state))
    };
    for _ in 0..500 {
        if is() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("process {id} never is in state {state}");
}

#[test]
fn stopped_it_gives_the_terminal_back_and_takes_it_again() {
    let mut top = demo();
    let id = top.child.id();
    for stop in ["Ctrl-Z", "SIGTSTP"] {
        match stop {
            "Ctrl-Z" => top.press("\u{1a}"),
            _ => signal(&top, Signal::SIGTSTP),
        }
        comes_to(id, 'T');
        top.is_restored();
        top.resize(30, 100);
        signal(&top, Signal::SIGCONT);
        top.wait_for("the screen again", |text| {
            text.contains("synthetic") && text.contains("batch")
        });
        assert!(top.screen().screen().alternate_screen(), "{stop}");
        top.resize(24, 80);
    }
    top.press("q");
    assert_eq!(top.ended().code(), Some(0));
    top.is_restored();
}

#[test]
fn a_key_beside_a_new_size_is_not_lost() {
    let mut top = demo();
    for round in 0..100 {
        top.resize(24 + round % 2, 80);
        top.press("?");
        let open = round % 2 == 0;
        top.wait_for("help come and go", |text| text.contains("batch") != open);
    }
    top.press("q");
    assert_eq!(top.ended().code(), Some(0));
}

#[test]
fn a_click_and_the_wheel_move() {
    let mut top = demo();
    let selected = |text: &str| {
        text.lines()
            .find(|line| line.contains("wakeup latency"))
            .map(str::to_owned)
    };
    let first = selected(&top.text());
    // The third row below the head of the table, as xterm tells it (SGR 1006).
    top.press("\u{1b}[<0;5;7M\u{1b}[<0;5;7m");
    top.wait_for("another process", |text| selected(text) != first);
    top.press("q");
    assert_eq!(top.ended().code(), Some(0));
    top.is_restored();
}

#[test]
fn a_terminal_that_goes_away_ends_it() {
    let mut top = demo();
    top.hang_up();
    // By SIGHUP in order, or because it cannot write any more: never by a panic or a signal.
    let code = top.ended().code();
    assert!(matches!(code, Some(0 | 1)), "{code:?}");
}

#[test]
fn what_fails_before_the_screen_is_one_line() {
    let mut top = top(&["-p", "4194305"]);
    assert_eq!(top.ended().code(), Some(1));
    top.is_restored();
    let words: Vec<String> = top.text().lines().map(str::to_owned).collect();
    assert!(
        words
            .concat()
            .starts_with("epoll-trace: there is no process 4194305"),
        "{words:?}"
    );
}

#[test]
#[ignore = "runs on a terminal of the test below"]
fn panics_while_it_has_the_screen() {
    if std::env::var_os("EPOLL_TRACE_TEST_PANIC").is_none() {
        return;
    }
    let _screen = Screen::enter(true).unwrap();
    panic!("on purpose");
}

#[test]
fn a_panic_gives_the_terminal_back_and_is_seen() {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "--ignored",
            "--exact",
            "--nocapture",
            "panics_while_it_has_the_screen",
        ])
        .env("EPOLL_TRACE_TEST_PANIC", "1")
        .env("RUST_BACKTRACE", "0");
    let mut panicking = OnTerminal::start(command);
    assert_eq!(panicking.ended().code(), Some(101));
    panicking.is_restored();
    assert!(panicking.text().contains("on purpose"), "{}", panicking.text());
}
