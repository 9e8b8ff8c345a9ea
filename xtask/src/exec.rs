//! Running other programs, with errors that say what failed and what to do.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Where administration tools lie; not on everybody's PATH.
const ADMIN_DIRS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The file that `name` stands for: itself if it is a path, else the first one on PATH or in an administration directory.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(ADMIN_DIRS.iter().map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
}

/// Runs `command` with our own standard streams. Fails if it cannot start or does not exit with 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    if !status.success() {
        bail!("{} failed with {status}", shown(command));
    }
    Ok(())
}

/// Standard output of `command`. Fails as [`run`] does, and then says what it wrote to standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", shown(command)))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let said: Vec<&str> = stderr
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        bail!(
            "{} failed with {}: {}",
            shown(command),
            output.status,
            said.join("; ")
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `program` run as root: directly where we are root, else through sudo.
///
/// # Errors
/// Neither root nor sudo; the sentence says what to do. `purpose` completes "root is needed to ...".
pub(crate) fn as_root(program: impl AsRef<OsStr>, purpose: &str) -> Result<Command> {
    if nix::unistd::geteuid().is_root() {
        return Ok(Command::new(program));
    }
    let Some(sudo) = find_program("sudo") else {
        bail!("root is needed to {purpose}, and there is no sudo: run the same command as root");
    };
    let mut command = Command::new(sudo);
    command.arg(program);
    Ok(command)
}

/// The cargo that runs us, or the one on PATH.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(crate::paths::workspace());
    command
}

/// `command` with `dir` first on its PATH.
pub(crate) fn prepend_path(command: &mut Command, dir: &Path) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::iter::once(dir.to_owned()).chain(std::env::split_paths(&path));
    let joined = std::env::join_paths(dirs).with_context(|| format!("put {} on PATH", dir.display()))?;
    command.env("PATH", joined);
    Ok(())
}

/// The command as a message shows it: without the options apt takes as `-o NAME=VALUE`, which hide the rest.
fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    let mut arguments = command.get_args();
    while let Some(argument) = arguments.next() {
        if argument == "-o" {
            arguments.next();
        } else {
            words.push(argument.to_string_lossy());
        }
    }
    format!("`{}`", words.join(" "))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{output, shown};

    #[test]
    fn commands_are_shown_without_configuration() {
        let mut command = Command::new("apt-get");
        command.args(["-o", "Dir::Cache=/x", "update", "--quiet"]);
        assert_eq!(shown(&command), "`apt-get update --quiet`");
    }

    #[test]
    fn failures_say_what_the_program_said_on_one_line() {
        let error =
            output(Command::new("sh").args(["-c", "echo one >&2; echo; echo two >&2; exit 3"])).unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("exit status: 3") && text.ends_with("one; two"),
            "{text}"
        );
    }
}
