//! The terminal: taken over, and given back however the program ends.

use std::io::{self, stdout};
use std::mem::ManuallyDrop;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::Show;
use crossterm::event::{
    DisableMouseCapture, EnableMouseCapture, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers,
    MouseButton, MouseEvent, MouseEventKind,
};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use nix::sys::signal::{Signal, raise};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use super::actions::Key;

/// Whether the terminal is ours at the moment.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Whether it tells us what the mouse does, so that it must be told to stop.
static MOUSE: AtomicBool = AtomicBool::new(false);

/// The taken-over terminal. Given back on drop, and on a panic of any thread.
#[derive(Debug)]
pub struct Screen {
    /// What to draw on. Its own drop would show the cursor, as [`give_back`] does, and panic on a terminal that went away.
    pub terminal: ManuallyDrop<Terminal<CrosstermBackend<io::Stdout>>>,
    mouse: bool,
}

impl Screen {
    /// Takes the terminal over: raw mode, alternate screen, where asked for the mouse too, and a panic hook that undoes all of it.
    ///
    /// # Errors
    /// When the terminal refuses.
    pub fn enter(mouse: bool) -> io::Result<Self> {
        let next = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            give_back();
            next(panic);
        }));
        let entered = take_over(mouse).and_then(|()| Terminal::new(CrosstermBackend::new(stdout())));
        entered
            .map(|terminal| Self {
                terminal: ManuallyDrop::new(terminal),
                mouse,
            })
            .inspect_err(|_| give_back())
    }

    /// Gives the terminal back and stops the process, as Ctrl-Z does with others; takes it over again when the shell lets it go on.
    ///
    /// # Errors
    /// When the terminal refuses.
    pub fn suspend(&mut self) -> io::Result<()> {
        give_back();
        // SIGTSTP is caught, so that it can come here; SIGSTOP stops whatever is done about it.
        raise(Signal::SIGSTOP)?;
        take_over(self.mouse)?;
        // Knows nothing of what was drawn, so it draws all.
        *self.terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
        Ok(())
    }

    /// Columns and lines of the terminal.
    ///
    /// # Errors
    /// When it does not tell.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        let size = self.terminal.size()?;
        Ok((size.width, size.height))
    }

    /// Asks the terminal to take `text` into its clipboard (OSC 52); whether it does it does not say.
    ///
    /// # Errors
    /// When the terminal cannot be written.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(stdout(), CopyToClipboard::to_clipboard_from(text))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn take_over(mouse: bool) -> io::Result<()> {
    TAKEN.store(true, Ordering::SeqCst);
    enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen)?;
    if mouse {
        MOUSE.store(true, Ordering::SeqCst);
        execute!(stdout(), EnableMouseCapture)?;
    }
    Ok(())
}

/// Once only: to leave the alternate screen again would move the cursor back to where it was before, over a panic's message.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // A terminal that went away cannot be restored, and needs no word about it.
        _ = disable_raw_mode();
        if MOUSE.swap(false, Ordering::SeqCst) {
            _ = execute!(stdout(), DisableMouseCapture);
        }
        _ = execute!(stdout(), LeaveAlternateScreen, Show);
    }
}

/// The key or click of an event, if it is one that the table can know.
pub fn key(event: &Event) -> Option<Key> {
    match event {
        Event::Key(event) => pressed(event),
        Event::Mouse(event) => clicked(event),
        _ => None,
    }
}

fn clicked(event: &MouseEvent) -> Option<Key> {
    match event.kind {
        MouseEventKind::Down(MouseButton::Left) => Some(Key::Click {
            col: event.column,
            row: event.row,
        }),
        MouseEventKind::ScrollDown => Some(Key::Wheel(1)),
        MouseEventKind::ScrollUp => Some(Key::Wheel(-1)),
        _ => None,
    }
}

fn pressed(event: &KeyEvent) -> Option<Key> {
    if event.kind == KeyEventKind::Release {
        return None;
    }
    Some(match event.code {
        KeyCode::Char(c) if event.modifiers.contains(KeyModifiers::CONTROL) => {
            Key::Ctrl(c.to_ascii_lowercase())
        }
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}
