//! What people meet on the command line, of the real binary: exit codes, and one clear sentence for each thing that fails.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

mod common;
#[path = "cli/runs.rs"]
mod runs;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use common::{BINARY, Ran, can_trace, command, prepared, run, skipped};

trait Failure {
    fn failed_with(&self, words: &[&str]);
}

impl Failure for Ran {
    /// Code 1, nothing on stdout, and on stderr one sentence that holds all of `words`.
    #[track_caller]
    fn failed_with(&self, words: &[&str]) {
        assert_eq!((self.code, self.out.as_str()), (Some(1), ""), "{self:#?}");
        assert!(self.err.starts_with("epoll-trace: "), "{self:#?}");
        assert!(
            self.err.ends_with('\n') && self.err.lines().count() == 1,
            "{self:#?}"
        );
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in {self:#?}");
        }
    }
}

/// Whether this is root. If not, says so.
fn is_root(test: &str) -> bool {
    if nix::unistd::geteuid().is_root() {
        return true;
    }
    skipped(test, "needs root");
    false
}

/// Runs the binary as a user without any privilege.
fn run_unprivileged(args: &[&str]) -> Ran {
    if !nix::unistd::geteuid().is_root() {
        return run(args);
    }
    const NOBODY: u32 = 65534;
    // The build directory may lie where only root can read.
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("epoll-trace");
    fs::copy(BINARY, &copy).unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = prepared(Command::new(copy), args);
    command.uid(NOBODY).gid(NOBODY).output().unwrap().into()
}

#[test]
fn without_root() {
    for args in [
        &["hist", "0.1", "1"][..],
        &["hist", "--json", "0.1", "1"],
        &["hist", "--", "true"],
        &["hist", "--probes", "tracepoint", "0.1", "1"],
    ] {
        run_unprivileged(args).failed_with(&["not root", "sudo", "CAP_BPF and CAP_PERFMON"]);
    }
    let probes = run_unprivileged(&["probes"]);
    assert_eq!((probes.code, probes.err.as_str()), (Some(1), ""), "{probes:#?}");
    assert!(probes.out.contains("not root"), "{probes:#?}");
}

#[test]
fn without_btf() {
    if !is_root("without_btf") {
        return;
    }
    let script = "mount -t tmpfs none /sys/kernel/btf && exec \"$0\" \"$@\"";
    let mut hidden = Command::new("unshare");
    hidden.args(["--mount", "sh", "-c", script, BINARY]);
    let ran: Ran = prepared(hidden, &["hist", "0.1", "1"]).output().unwrap().into();
    if ran.err.contains("unshare") || ran.err.contains("mount:") {
        return skipped("without_btf", ran.err.trim());
    }
    ran.failed_with(&["/sys/kernel/btf/vmlinux does not exist", "CONFIG_DEBUG_INFO_BTF"]);
}

#[test]
fn a_process_or_thread_that_is_not() {
    // One more than the highest that Linux can give.
    run(&["hist", "-p", "4194305", "0.1", "1"]).failed_with(&["no process 4194305", "ps -e"]);
    run(&["hist", "-t", "4194305", "0.1", "1"]).failed_with(&["no thread 4194305", "ps -eL"]);
}

#[test]
fn a_cgroup_that_is_not() {
    let missing = ["hist", "--cgroup", "no/such.slice", "0.1", "1"];
    let ran = run(&missing);
    let words = if ran.err.contains("cgroup2") {
        ["no cgroup2 hierarchy", "-p"]
    } else {
        ["no cgroup no/such.slice", "/proc/PID/cgroup"]
    };
    ran.failed_with(&words);
}

/// A forced family works, or fails with its reason; `probes` and `hist` agree on which.
#[test]
fn a_family_that_this_kernel_refuses() {
    if !is_root("a_family_that_this_kernel_refuses") {
        return;
    }
    let families = ["fentry", "kprobe", "tracepoint"];
    let refused = families.map(|family| {
        let probes = run(&["probes", "--probes", family]);
        let hist = run(&["hist", "--probes", family, "0.1", "1"]);
        assert_eq!(probes.code, hist.code, "{probes:#?} {hist:#?}");
        if hist.code == Some(0) {
            return false;
        }
        let sentence = format!("--probes {family} cannot work on this kernel: ");
        hist.failed_with(&[&sentence, "try --probes auto"]);
        true
    });
    let kprobes = fs::exists("/sys/bus/event_source/devices/kprobe/type").unwrap();
    assert!(kprobes || refused[1], "kprobes work on a kernel without them");
    if refused == [false; 3] {
        skipped("a_family_that_this_kernel_refuses", "this kernel refuses none");
    }
}

#[test]
fn a_file_that_cannot_be_written() {
    run(&["hist", "-o", "/no-such-directory/x", "0.1", "1"]).failed_with(&[
        "cannot write /no-such-directory/x",
        "-o",
        "No such file or directory",
    ]);
}

/// The hidden commands of the benchmark.
#[test]
fn an_object_of_empty_programs_that_is_not() {
    for command in ["__floor", "__switch"] {
        run(&[command, "--object", "/no-such-object"]).failed_with(&[
            "cannot read /no-such-object",
            "--object",
            "No such file",
        ]);
    }
    if can_trace("an_object_of_empty_programs_that_is_not") {
        let strange = run(&["__floor", "--object", "/dev/null"]);
        strange.failed_with(&["cannot load the BPF object"]);
        let stranger = run(&["__floor", "--object", "/dev/null", "--only", "no_such"]);
        stranger.failed_with(&["--only no_such: this run has no such program", "return_"]);
    }
}

#[test]
fn a_command_that_is_not() {
    run(&["hist", "--", "no-such-program-anywhere"]).failed_with(&[
        "cannot run no-such-program-anywhere",
        "No such file",
        "full path",
    ]);
    run(&["hist", "--", "/etc/passwd"]).failed_with(&["cannot run /etc/passwd", "Permission denied"]);
    let none = run(&["hist", "--"]);
    assert_eq!((none.code, none.out.as_str()), (Some(2), ""), "{none:#?}");
    assert!(none.err.starts_with("error: no command after `--`"), "{none:#?}");
}

#[test]
fn misuse_is_2_and_says_where() {
    for (args, first) in [
        (&["hist", "1", "x"][..], "error: invalid value 'x' for '[COUNT]'"),
        (&["hist", "0"], "error: invalid value '0' for '[INTERVAL]'"),
        (
            &["hist", "-S", "nothing"],
            "error: invalid value 'nothing' for '--sort <KEY>'",
        ),
        (
            &["hist", "-p", "1", "--", "true"],
            "error: the argument '--pid <PID>' cannot be used with",
        ),
        (
            &["hist", "-L", "-E"],
            "error: the argument '--threads' cannot be used with",
        ),
        (&["histt"], "error: unrecognized subcommand 'histt'"),
        (
            &["top", "--probes", "magic"],
            "error: invalid value 'magic' for '--probes <PROBES>'",
        ),
    ] {
        let ran = run(args);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{ran:#?}");
        assert!(ran.err.starts_with(first), "{ran:#?}");
        assert!(ran.err.trim_end().ends_with("try '--help'."), "{ran:#?}");
    }
}

#[test]
fn help_and_version() {
    let version = run(&["--version"]);
    let expected = concat!("epoll-trace ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!((version.code, version.out.as_str()), (Some(0), expected));
    for args in [
        &["--help"][..],
        &["hist", "--help"],
        &["top", "-h"],
        &["probes", "-h"],
        &["bench", "scenario", "-h"],
    ] {
        let help = run(args);
        assert_eq!((help.code, help.err.as_str()), (Some(0), ""), "{help:#?}");
        assert!(help.out.contains("Usage: epoll-trace"), "{help:#?}");
        assert!(!help.out.contains("__exec-gate"), "{help:#?}");
    }
}

#[test]
fn top_without_a_terminal() {
    run(&["top"]).failed_with(&["stdout is none", "epoll-trace hist 1"]);
}

#[test]
fn the_configuration_is_shown_without_a_terminal_and_a_wrong_one_is_misuse() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("epoll-trace/config.toml");
    let with_file = |args: &[&str]| -> Ran {
        let mut command = command(args);
        command.env("XDG_CONFIG_HOME", directory.path());
        command.output().unwrap().into()
    };
    let shown = with_file(&["top", "--dump-config"]);
    assert_eq!((shown.code, shown.err.as_str()), (Some(0), ""), "{shown:#?}");
    assert!(shown.out.contains("does not exist") && shown.out.contains("\ninterval = 1.0\n"));
    fs::create_dir(directory.path().join("epoll-trace")).unwrap();
    fs::write(&file, "interval = 5\nsort = \"max\"\ntheme = \"monochrome\"\n").unwrap();
    let shown = with_file(&["top", "--dump-config", "--theme", "color-blind", "--ascii", "0.5"]);
    for line in [
        "interval = 0.5",
        "sort = \"max\"",
        "theme = \"color-blind\"",
        "ascii = true",
        "mouse = true",
    ] {
        assert!(
            shown.out.lines().any(|shown| shown == line),
            "no {line} in {shown:#?}"
        );
    }
    fs::write(&file, "# mine\ntheme = \"pink\"\n").unwrap();
    for args in [&["top"][..], &["top", "--dump-config"]] {
        let ran = with_file(args);
        assert_eq!((ran.code, ran.out.as_str()), (Some(2), ""), "{ran:#?}");
        let expected =
            "config.toml:2: theme: no theme \"pink\", give one of default, color-blind, monochrome\n";
        assert!(
            ran.err.starts_with("epoll-trace: ") && ran.err.ends_with(expected),
            "{ran:#?}"
        );
    }
}

#[test]
fn probes_json_is_one_object() {
    let ran = run(&["probes", "--json"]);
    assert_eq!(ran.err, "");
    assert_eq!(ran.out.matches('\n').count(), 1, "{ran:#?}");
    let plan: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&plan["v"], &plan["kind"]), (&1.into(), &"plan".into()));
    assert_eq!(ran.code, Some(i32::from(!plan["error"].is_null())), "{plan:#}");
    assert_eq!(plan["family"].is_null(), !plan["error"].is_null(), "{plan:#}");
    assert!(
        plan["signals"]
            .as_array()
            .is_some_and(|signals| signals.len() >= 8)
    );
}
