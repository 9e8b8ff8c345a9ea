//! `demo`: a load with a known trouble and one without, each under the command that shows it.

use std::ffi::OsString;
use std::fs;
use std::io::BufRead;

use anyhow::Context as _;

use super::output::Streams;
use super::top::check_terminal;
use crate::cli::{Cli, DemoArgs, GlobalArgs};
use crate::identity::OWN_PROGRAM;
use crate::view::wrap::wrapped;
use crate::workload::{Act, DEMOS, Demo};

/// Shows the demonstration of `args`, or lists all. `keys` are the person's; `run` is what runs a command line.
///
/// # Errors
/// As the commands it runs; when `top` is to draw and stdout is no terminal; when nothing can be written.
pub fn run(
    args: &DemoArgs,
    global: &GlobalArgs,
    keys: &mut dyn BufRead,
    streams: &mut Streams<'_>,
    mut run: impl FnMut(&Cli) -> anyhow::Result<u8>,
) -> anyhow::Result<u8> {
    const FAILED: &str = "cannot write the demonstration";
    let Some(demo) = args.name.as_deref().and_then(Demo::by_name) else {
        list(streams).context(FAILED)?;
        return Ok(0);
    };
    if !args.text {
        check_terminal()?;
    }
    for act in &demo.acts {
        let view = if args.text { demo.view } else { demo.top };
        introduce(act, args.text, view, streams).context(FAILED)?;
        if !args.text {
            writeln!(streams.out, "\nEnter starts it; q goes on from there.").context(FAILED)?;
            streams.out.flush().context(FAILED)?;
            keys.read_line(&mut String::new())
                .context("cannot read the key that goes on")?;
        }
        let mut cli = Cli::from_args(words(view, &load(act, args.text)))?;
        cli.global = global.clone();
        let code = run(&cli)?;
        if code != 0 {
            return Ok(code);
        }
        writeln!(streams.out).context(FAILED)?;
    }
    write!(streams.out, "{}", wrapped(demo.price, "", ""))
        .and_then(|()| streams.out.flush())
        .context(FAILED)?;
    Ok(0)
}

fn list(streams: &mut Streams<'_>) -> std::io::Result<()> {
    for demo in DEMOS {
        writeln!(streams.out, "{:<8}{}", demo.name, demo.about)?;
    }
    streams.out.flush()
}

fn introduce(act: &Act, text: bool, view: &str, streams: &mut Streams<'_>) -> std::io::Result<()> {
    let out = &mut *streams.out;
    let command = format!("epoll-trace {view} -- epoll-trace bench {}", load(act, text));
    let look = if text { act.look } else { act.look_at_top };
    write!(
        out,
        "{}{}{}",
        wrapped(act.scene, "", ""),
        wrapped(&command, "  $ ", "    "),
        wrapped(look, "What to see: ", "  ")
    )?;
    out.flush()
}

fn load(act: &Act, text: bool) -> String {
    let length = if text { act.short } else { act.long };
    format!("{} {length}", act.load)
}

/// The command line that shows `load` with `view`.
fn words(view: &str, load: &str) -> Vec<OsString> {
    let view = std::iter::once("epoll-trace").chain(view.split(' '));
    let load = std::iter::once("bench").chain(load.split(' '));
    view.chain(["--"])
        .map(OsString::from)
        .chain([own_program()])
        .chain(load.map(OsString::from))
        .collect()
}

/// This program by the name of its file, which is what the kernel calls a load; by the link, which it would call `exe`, once that file is gone.
fn own_program() -> OsString {
    let file = fs::read_link(OWN_PROGRAM).ok().filter(|file| file.exists());
    file.map_or_else(|| OWN_PROGRAM.into(), OsString::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Command;
    use clap::Parser as _;

    /// What `demo NAME --text` says, and of each command line it runs whether it is right; each ends with `code`.
    fn told(name: &str, code: u8) -> (String, Vec<bool>) {
        let cli = Cli::try_parse_from(["epoll-trace", "demo", name, "--text", "--ascii"]).unwrap();
        let Command::Demo(args) = &cli.command else {
            panic!("{name}")
        };
        let (mut out, mut err, mut ran) = (Vec::new(), Vec::new(), Vec::new());
        let mut streams = Streams {
            out: &mut out,
            err: &mut err,
        };
        let result = run(args, &cli.global, &mut std::io::empty(), &mut streams, |cli| {
            ran.push(cli.global.ascii && !matches!(cli.command, Command::Demo(_)));
            Ok(code)
        });
        assert_eq!(result.unwrap(), code);
        (String::from_utf8(out).unwrap(), ran)
    }

    #[test]
    fn both_loads_are_shown_then_the_price() {
        for demo in DEMOS {
            let (text, ran) = told(demo.name, 0);
            assert_eq!(ran, [true; 2]);
            assert_eq!(text.matches("What to see: ").count(), 2, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
            let price = text.split("\n\n").last().unwrap();
            assert!(price.starts_with("Price: "), "{text}");
        }
    }

    #[test]
    fn a_load_that_fails_ends_it() {
        assert_eq!(told("herd", 1).1.len(), 1);
    }

    #[test]
    fn every_load_is_a_command_line_under_each_view() {
        for demo in DEMOS {
            for act in &demo.acts {
                for (text, view) in [(false, demo.top), (true, demo.view)] {
                    let load = load(act, text);
                    let words = words(view, &load);
                    assert!(words.contains(&std::env::current_exe().unwrap().into()));
                    Cli::from_args(words).unwrap();
                    Cli::try_parse_from(format!("epoll-trace bench {load}").split(' ')).unwrap();
                }
            }
        }
    }
}
