//! `top`: a thread looks, the screen draws what it last saw; neither waits for the other.

mod looking;
mod making;
mod sampling;

use std::fs::File;
use std::io::{IsTerminal, Write, stdout};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use crossterm::event::EventStream;
use futures_util::StreamExt;
use nix::sys::signal::raise;
use tokio::signal::unix::{Signal, SignalKind, signal};

pub use making::{Attacher, Invented, Made, Maker, wishes};
use sampling::{Order, Sampling};

use super::child::{Gated, exit_code};
use super::config;
use crate::cli::{GlobalArgs, TopArgs};
use crate::config::Config;
use crate::view::tui::actions::{Bindings, manual};
use crate::view::tui::app::screen::Screen as Shown;
use crate::view::tui::app::{App, Effect};
use crate::view::tui::draw::{as_text, draw};
use crate::view::tui::style::Look;
use crate::view::tui::terminal::{Screen, key};

/// Name of the hidden command that prints the table of keys, for docs/keys.md.
pub const KEYS: &str = "__keys";

/// Prints the table of keys.
///
/// # Errors
/// When the output cannot be written.
pub fn keys(out: &mut dyn Write) -> anyhow::Result<u8> {
    write!(out, "{}", manual())
        .and_then(|()| out.flush())
        .context("cannot write the output")?;
    Ok(0)
}

/// Refuses when stdout is no terminal. To be asked before anything is attached.
///
/// # Errors
/// When stdout is no terminal.
pub fn check_terminal() -> anyhow::Result<()> {
    if stdout().is_terminal() {
        return Ok(());
    }
    bail!("top draws on a terminal and stdout is none; use `epoll-trace hist 1` for text")
}

/// Shows what `made` counts until the person leaves or SIGTERM comes, and `command` for as long, which it already follows; for other measures
/// `maker` makes it anew. Gives the exit code: 0, or the command's own if it failed by itself. Needs a terminal and a tokio runtime.
///
/// # Errors
/// When stdout is no terminal, the command cannot be executed or the source cannot be read any more.
pub async fn run(
    args: &TopArgs,
    chosen: &Config,
    global: &GlobalArgs,
    made: Made,
    maker: Box<dyn Maker>,
    mut command: Option<Gated>,
) -> anyhow::Result<u8> {
    check_terminal()?;
    let look = config::look(chosen, global);
    let sampling = Sampling::start(made, maker, args.filter.filter(), chosen.interval())?;
    let mut app = App::new(chosen.sort(), chosen.interval());
    app.bindings = Bindings::chosen(&chosen.keys);
    for screen in Shown::ALL {
        if let Some(columns) = chosen.columns.get(&screen.name()) {
            app.list_of(screen).choose_columns(columns);
        }
    }
    let released = command.as_mut().map_or(Ok(()), Gated::release);
    let shown = match released {
        Ok(()) => show(&mut app, look, &sampling, command.as_mut(), chosen.mouse()).await,
        Err(error) => Err(error),
    };
    if let Some(command) = command {
        command.end().await;
    }
    sampling.stop().and(shown)?;
    Ok(app.command_ended.unwrap_or(0))
}

/// Waits for the command's end; without one, for ever.
async fn ended(command: Option<&mut Gated>) -> anyhow::Result<u8> {
    match command {
        Some(command) => command.wait().await.map(exit_code),
        None => std::future::pending().await,
    }
}

async fn show(
    app: &mut App,
    look: Look,
    sampling: &Sampling,
    mut command: Option<&mut Gated>,
    mouse: bool,
) -> anyhow::Result<()> {
    const TERMINAL: &str = "cannot take over the terminal";
    let mut samples = sampling.samples.clone();
    let mut end = EndSignals::new()?;
    let mut stop = signal(SignalKind::from_raw(libc::SIGTSTP)).context(SIGNALS)?;
    let mut screen = Screen::enter(mouse).context(TERMINAL)?;
    let mut events = EventStream::new();
    loop {
        let (width, height) = screen.size().context("cannot learn the size of the terminal")?;
        app.resize(width, height);
        if app.take_changed() {
            screen
                .terminal
                .draw(|frame| draw(frame, app, look))
                .context("cannot draw on the terminal")?;
        }
        tokio::select! {
            changed = samples.changed() => match changed {
                Ok(()) => app.update(Arc::clone(&samples.borrow_and_update())),
                Err(_) => return Ok(()),
            },
            event = events.next() => {
                let Some(event) = event else { return Ok(()) };
                let event = event.context("cannot read keys from the terminal")?;
                let effect = key(&event).and_then(|key| app.key(key));
                if effect.is_some_and(|effect| obey(effect, app, look, sampling, &mut screen)) {
                    return Ok(());
                }
            }
            code = ended(command.as_deref_mut()), if app.command_ended.is_none() => app.ended(code?),
            () = end.recv() => return Ok(()),
            _ = stop.recv() => suspend(app, &mut screen).context(TERMINAL)?,
        }
    }
}

/// Stops as others do for Ctrl-Z; tracing goes on meanwhile.
fn suspend(app: &mut App, screen: &mut Screen) -> std::io::Result<()> {
    screen.suspend()?;
    app.redraw();
    Ok(())
}

/// Does what a key asks for; whether that is to end.
fn obey(effect: Effect, app: &mut App, look: Look, sampling: &Sampling, screen: &mut Screen) -> bool {
    match effect {
        Effect::Quit => return true,
        Effect::Reset => sampling.order(Order::Reset),
        Effect::Suspend => {
            // The process itself: what else there is of the shell's job, such as sudo, is stopped by the terminal only for a key it sees.
            if let Err(error) = raise(nix::sys::signal::Signal::SIGTSTP) {
                app.told(Err(format!("cannot stop: {error}")));
            }
        }
        Effect::Interval(interval) => sampling.order(Order::Interval(interval)),
        Effect::Show(shown) => sampling.order(Order::Show(shown)),
        Effect::Measure(measures) => sampling.order(Order::Measure(measures)),
        Effect::Write => {
            let size = screen.size().map_err(|error| error.to_string());
            let text = size.and_then(|(width, height)| as_text(app, look, width, height));
            app.told(text.and_then(|text| write_new(Path::new("."), &text)));
        }
        Effect::Copy(text) => {
            let copied = screen.copy(&text);
            app.told(match copied {
                Ok(()) => Ok("the row is in the clipboard, if this terminal takes OSC 52".to_owned()),
                Err(error) => Err(format!("cannot copy: {error}")),
            });
        }
        Effect::SaveColumns(shown, columns) => app.told(save(shown, &columns)),
    }
    false
}

/// Keeps the columns of a screen for the next run, and says where.
fn save(screen: Shown, columns: &[&str]) -> Result<String, String> {
    let Some(file) = config::path(|name| std::env::var_os(name)) else {
        return Err("columns are not kept: neither XDG_CONFIG_HOME nor HOME is set".to_owned());
    };
    match config::save_columns(&file, &screen.name(), columns) {
        Ok(()) => Ok(format!("kept in {}", file.display())),
        Err(error) => Err(format!("{error:#}")),
    }
}

/// Writes `text` to a new file in `directory`, and says which.
fn write_new(directory: &Path, text: &str) -> Result<String, String> {
    let name = chrono::Local::now()
        .format("epoll-trace-top-%Y%m%d-%H%M%S.txt")
        .to_string();
    let path = directory.join(&name);
    let written = File::create_new(&path).and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => Ok(format!("wrote {name}")),
        Err(error) => Err(format!("cannot write {name}: {error}")),
    }
}

const SIGNALS: &str = "cannot listen to signals";

/// Signals that end the screen as `q` does. Ctrl-C is a key here, but SIGINT may come from elsewhere.
struct EndSignals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl EndSignals {
    fn new() -> anyhow::Result<Self> {
        let on = |kind| signal(kind).context(SIGNALS);
        Ok(Self {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_new_and_where_it_is_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let said = write_new(directory.path(), "rows\n").unwrap();
        let name = said.strip_prefix("wrote ").unwrap();
        assert_eq!(
            std::fs::read_to_string(directory.path().join(name)).unwrap(),
            "rows\n"
        );
        let missing = write_new(&directory.path().join("nowhere"), "").unwrap_err();
        assert!(missing.starts_with("cannot write epoll-trace-top-"), "{missing}");
    }
}
