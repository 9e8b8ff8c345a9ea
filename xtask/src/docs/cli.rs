//! The help text of every command, as the program prints it.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::exec;

/// One section per command, the program itself first.
pub(super) fn help(program: &Path) -> Result<String> {
    let mut text = String::new();
    add(program, &mut Vec::new(), &mut text)?;
    Ok(text)
}

/// Its manual of every number.
pub(super) fn numbers(program: &Path) -> Result<String> {
    exec::output(Command::new(program).arg("__metrics"))
}

/// Its manual of every diagnosis.
pub(super) fn diagnoses(program: &Path) -> Result<String> {
    exec::output(Command::new(program).arg("__diagnoses"))
}

/// Its table of keys.
pub(super) fn keys(program: &Path) -> Result<String> {
    exec::output(Command::new(program).arg("__keys"))
}

fn add(program: &Path, command: &mut Vec<String>, text: &mut String) -> Result<()> {
    let mut run = Command::new(program);
    // Without a terminal clap takes the width from here.
    run.arg("help").args(&*command).env("COLUMNS", "80");
    let help = exec::output(&mut run)?;
    let name = [&["epoll-trace".to_owned()], command.as_slice()]
        .concat()
        .join(" ");
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    *text += &format!("## {name}\n```text\n{}\n```\n\n", lines.join("\n"));
    for name in subcommands(&help) {
        command.push(name.to_owned());
        add(program, command, text)?;
        command.pop();
    }
    Ok(())
}

/// The names below `Commands:`, without clap's own `help`.
fn subcommands(help: &str) -> impl Iterator<Item = &str> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // A name stands two columns in; what goes on further in belongs to the line before.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
}

#[cfg(test)]
mod tests {
    use super::subcommands;

    #[test]
    fn names_of_commands() {
        let help = "Say\n\nUsage: x\n\nCommands:\n  top   Live\n        table\n  hist  Histograms\n  help  Print\n\nOptions:\n  -v\n";
        assert_eq!(subcommands(help).collect::<Vec<_>>(), ["top", "hist"]);
        assert_eq!(subcommands("Usage: x\n").count(), 0);
    }
}
