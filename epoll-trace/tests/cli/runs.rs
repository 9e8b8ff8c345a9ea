//! Runs from their begin to their end: whoever ends them, what was counted is printed, and the exit code says how it went.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::Failure as _;
use crate::common::{BINARY, Ran, can_trace, command, run};

/// Starts the binary and waits until it traces.
fn tracing(args: &[&str]) -> (Child, BufReader<ChildStderr>) {
    let mut child = command(args).spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut first = String::new();
    err.read_line(&mut first).unwrap();
    assert_eq!(first, "Tracing epoll wakeups... Hit Ctrl-C to end.\n");
    (child, err)
}

#[test]
fn a_reader_that_goes_is_no_error() {
    for args in [&["bench", "scenario", "--list"][..], &["probes"], &["--help"]] {
        let mut child = command(args).spawn().unwrap();
        drop(child.stdout.take());
        let ran: Ran = child.wait_with_output().unwrap().into();
        assert_eq!(ran.err, "", "{args:?}");
        let expected = if args == ["probes"] {
            run(args).code
        } else {
            Some(0)
        };
        assert_eq!(ran.code, expected, "{args:?}");
    }
    if !can_trace("a_reader_that_goes_is_no_error") {
        return;
    }
    let (mut child, mut err) = tracing(&["hist", "0.1"]);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with("probes: "), "{line}");
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn a_full_disk_is_one() {
    if !can_trace("a_full_disk_is_one") {
        return;
    }
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran: Ran = command(&["hist", "--json", "0.1", "1"])
        .stdout(full)
        .output()
        .unwrap()
        .into();
    ran.failed_with(&["cannot write the output", "No space left"]);
}

#[test]
fn ctrl_c_and_sigterm_print_what_was_counted() {
    if !can_trace("ctrl_c_and_sigterm_print_what_was_counted") {
        return;
    }
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let (mut child, mut err) = tracing(&["hist"]);
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0), "{signal}");
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        assert!(out.starts_with("probes: ") && out.contains("\nlosses: "), "{out}");
        let mut rest = String::new();
        err.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "{signal}");
    }
}

#[test]
fn a_commands_end_is_ours() {
    if !can_trace("a_commands_end_is_ours") {
        return;
    }
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143)] {
        let ran = run(&["hist", "--json", "--", "sh", "-c", script]);
        assert_eq!(
            (ran.code, ran.err.as_str()),
            (Some(code), ""),
            "{script}: {ran:#?}"
        );
        let kinds: Vec<String> = ran
            .out
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|line| line["kind"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(kinds.first().map(String::as_str), Some("plan"), "{kinds:?}");
        assert_eq!(kinds.last().map(String::as_str), Some("losses"), "{kinds:?}");
    }
    let text = run(&["hist", "--", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!(text.err, "Tracing epoll wakeups... Ends with the command.\nerr\n");
    assert!(text.out.contains("\nout\n"), "{text:#?}");
}

/// The whole way once: a load that says what it did, and the tool's count of it.
#[test]
fn a_known_load_is_counted() {
    if !can_trace("a_known_load_is_counted") {
        return;
    }
    const EVENTS: u64 = 200;
    let events = EVENTS.to_string();
    let load = [BINARY, "bench", "scenario", "eventfd-lt", "--events", &events];
    let args: Vec<&str> = ["hist", "--json", "--"].into_iter().chain(load).collect();
    let ran = run(&args);
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:#?}");
    let counted: u64 = ran
        .out
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|line| line["kind"] == "hist")
        .map(|line| line["count"].as_u64().unwrap())
        .sum();
    assert_eq!(counted, EVENTS, "{ran:#?}");
}

#[test]
fn costs_are_measured_round_by_round() {
    let args = ["bench", "cost", "pp", "--ops", "40", "--json", "--on-line"];
    let mut child = command(&args).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    for number in 1..=2 {
        input.write_all(b"\n").unwrap();
        let mut line = String::new();
        // A line that is not flushed would never come: the next round waits for us.
        out.read_line(&mut line).unwrap();
        let round: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&round["kind"], &round["round"], &round["ops"], &round["pid"]),
            (&"cost".into(), &number.into(), &40.into(), &child.id().into())
        );
    }
    drop(input);
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), child.wait().unwrap().code()), ("", Some(0)));
}

#[test]
fn a_cost_workload_has_a_name() {
    for args in [&["bench", "cost", "nosuch"][..], &["bench", "cost"]] {
        let wrong = run(args);
        assert_eq!((wrong.code, wrong.out.as_str()), (Some(2), ""), "{wrong:#?}");
    }
    let list = run(&["bench", "cost", "--list"]);
    assert_eq!((list.code, list.err.as_str()), (Some(0), ""), "{list:#?}");
    assert!(list.out.contains("\nherd-excl "), "{list:#?}");
}
