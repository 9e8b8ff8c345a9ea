//! Building `epoll-trace`: for this machine, and static for the test VM.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::exec;
use crate::paths;
use crate::setup::bpf::BpfToolchain;

const BINARY: &str = "epoll-trace";
/// The test-only object of empty programs, and the feature that it takes.
const FLOOR: &str = "floor";
/// No musl target is at hand everywhere: glibc linked statically runs in a VM without any library just as well.
const GUEST_TARGET: &str = "x86_64-unknown-linux-gnu";

/// Rust's name of the BPF target.
pub(crate) const BPF_TARGET: &str = "bpfel-unknown-none";

/// What the VM needs of ours.
pub(crate) struct GuestBinaries {
    /// The program under test.
    pub(crate) epoll_trace: PathBuf,
    /// PID 1.
    pub(crate) init: PathBuf,
}

/// Builds `epoll-trace` for this machine and returns the binary.
pub(crate) fn host(toolchain: &BpfToolchain, release: bool) -> Result<PathBuf> {
    let mut command = exec::cargo();
    command.args(["build", "--locked", "--package", BINARY]);
    if release {
        command.arg("--release");
    }
    toolchain.apply(&mut command)?;
    binary(&executables(&mut command)?, BINARY)
}

/// The `epoll-trace` that its own tests run. After these nothing is built anew: what only tests depend on switches on features of what
/// the program depends on, so that `cargo build` would make another one.
pub(crate) fn tested(toolchain: &BpfToolchain) -> Result<PathBuf> {
    let mut command = exec::cargo();
    command.args(["test", "--locked", "--workspace", "--no-run"]);
    toolchain.apply(&mut command)?;
    binary(&executables(&mut command)?, BINARY)
}

/// Builds `epoll-trace` and PID 1 as static release binaries.
pub(crate) fn guest(toolchain: &BpfToolchain) -> Result<GuestBinaries> {
    let mut command = exec::cargo();
    command.args(["build", "--locked", "--release", "--target", GUEST_TARGET]);
    command.args([
        "--package",
        BINARY,
        "--bin",
        BINARY,
        "--package",
        "xtask",
        "--bin",
        "init",
    ]);
    // With an explicit target these flags do not reach build scripts and macros, which cannot be static.
    command.env(
        "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
        "-C target-feature=+crt-static",
    );
    toolchain.apply(&mut command)?;
    let built = executables(&mut command)?;
    Ok(GuestBinaries {
        epoll_trace: binary(&built, BINARY)?,
        init: binary(&built, "init")?,
    })
}

/// Builds the object of empty programs as aya-build builds the product's, whose target directory it does not share.
pub(crate) fn floor(toolchain: &BpfToolchain) -> Result<PathBuf> {
    let mut command = toolchain.program("cargo")?;
    command.args(["build", "--locked", "--release", "--package", "epoll-trace-ebpf"]);
    command.args(["--bin", FLOOR, "--features", FLOOR]);
    command.args(["--target", BPF_TARGET, "-Z", "build-std=core"]);
    command.env("CARGO_TARGET_DIR", paths::workspace().join("target/floor-bpf"));
    command.env(
        "CARGO_ENCODED_RUSTFLAGS",
        [
            "--cfg=bpf_target_arch=\"x86_64\"",
            "-Cdebuginfo=2",
            "-Clink-arg=--btf",
        ]
        .join("\x1f"),
    );
    binary(&executables(&mut command)?, FLOOR)
}

/// File name of what [`preload`] builds.
pub(crate) const PRELOAD: &str = "libstrip_exclusive.so";

/// Builds the library that takes EPOLLEXCLUSIVE off what a server asks for. It needs nothing but the libc of its process.
pub(crate) fn preload() -> Result<PathBuf> {
    let directory = paths::workspace().join("target/preload");
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let library = directory.join(PRELOAD);
    let mut command = Command::new("rustc");
    command.args(["--edition", "2024", "--crate-type", "cdylib"]);
    command.args(["-C", "panic=abort", "-C", "opt-level=2", "-D", "warnings", "-o"]);
    command
        .arg(&library)
        .arg(paths::workspace().join("xtask/preload/strip_exclusive.rs"));
    exec::run(&mut command)?;
    Ok(library)
}

/// Becomes the release build with `arguments`, as root. Returns only on failure.
pub(crate) fn run(toolchain: &BpfToolchain, arguments: &[String]) -> Result<()> {
    let path = host(toolchain, true)?;
    let error = exec::as_root(&path, "load BPF programs")?.args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {}", path.display()))
}

/// Puts the release build into `root`/bin.
pub(crate) fn install(toolchain: &BpfToolchain, root: &Path) -> Result<()> {
    let path = host(toolchain, true)?;
    let target = root.join("bin").join(BINARY);
    // Whoever may write there needs no root.
    let writable = nix::unistd::access(root, nix::unistd::AccessFlags::W_OK).is_ok();
    let mut command = if writable {
        Command::new("install")
    } else {
        exec::as_root("install", &format!("write to {}", root.display()))?
    };
    exec::run(command.args(["-D", "--mode=755"]).arg(&path).arg(&target))?;
    println!("installed {}", target.display());
    Ok(())
}

/// Runs a cargo build and lists (target name, program); cargo knows where they lie, whatever is configured.
fn executables(command: &mut Command) -> Result<Vec<(String, PathBuf)>> {
    command
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot start cargo")?;
    let mut found = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            found.extend(executable(&line.context("cannot read cargo's messages")?));
        }
    }
    let status = child.wait().context("cannot wait for cargo")?;
    if !status.success() {
        bail!("the build failed ({status}); its messages stand above");
    }
    Ok(found)
}

fn executable(message: &str) -> Option<(String, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(message).ok()?;
    // A program's own tests have its name.
    if message
        .pointer("/profile/test")
        .and_then(serde_json::Value::as_bool)
        == Some(true)
    {
        return None;
    }
    let path = message.get("executable")?.as_str()?;
    Some((
        message.get("target")?.get("name")?.as_str()?.to_owned(),
        path.into(),
    ))
}

fn binary(built: &[(String, PathBuf)], name: &str) -> Result<PathBuf> {
    built
        .iter()
        .find_map(|(target, path)| (target == name).then(|| path.clone()))
        .with_context(|| format!("cargo built no executable called {name}"))
}

#[cfg(test)]
mod tests {
    use super::executable;

    #[test]
    fn executables_of_cargo_messages() {
        let artifact = r#"{"reason":"compiler-artifact","target":{"name":"init"},"executable":"/t/init"}"#;
        assert_eq!(executable(artifact), Some(("init".to_owned(), "/t/init".into())));
        let tests = artifact.replace("\"executable\"", "\"profile\":{\"test\":true},\"executable\"");
        assert_eq!(executable(&tests), None);
        assert_eq!(
            executable(r#"{"reason":"compiler-artifact","target":{"name":"x"},"executable":null}"#),
            None
        );
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
    }
}
