//! The terminal: taken over, and given back however the program ends.

use std::io::{self, stdout};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::Show;
use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::execute;
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use super::actions::Key;

/// Whether the terminal is ours at the moment.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The taken-over terminal. Given back on drop, and on a panic of any thread.
#[derive(Debug)]
pub struct Screen {
    /// What to draw on.
    pub terminal: Terminal<CrosstermBackend<io::Stdout>>,
}

impl Screen {
    /// Takes the terminal over: raw mode, alternate screen, and a panic hook that undoes both.
    ///
    /// # Errors
    /// When the terminal refuses.
    pub fn enter() -> io::Result<Self> {
        let next = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            give_back();
            next(panic);
        }));
        TAKEN.store(true, Ordering::SeqCst);
        let entered = enable_raw_mode()
            .and_then(|()| execute!(stdout(), EnterAlternateScreen))
            .and_then(|()| Terminal::new(CrosstermBackend::new(stdout())));
        entered
            .map(|terminal| Self { terminal })
            .inspect_err(|_| give_back())
    }
}

impl Screen {
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

/// Once only: to leave the alternate screen again would move the cursor back to where it was before, over a panic's message.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // A terminal that went away cannot be restored, and needs no word about it.
        _ = disable_raw_mode();
        _ = execute!(stdout(), LeaveAlternateScreen, Show);
    }
}

/// The key of an event, if it is one that was pressed and that the table can know.
pub fn key(event: &Event) -> Option<Key> {
    let Event::Key(event) = event else { return None };
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
