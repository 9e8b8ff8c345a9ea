//! Colors and characters of the screen; without colors and with ASCII alone nothing is lost.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

const ASCII_BORDER: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

/// How the screen looks.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// No character beyond ASCII.
    pub ascii: bool,
    /// Whether colors are used.
    pub color: bool,
}

impl Look {
    /// What bars are made of.
    pub(super) fn bar(self) -> &'static str {
        if self.ascii { "*" } else { "█" }
    }

    /// What callback, run queue and delivery are made of.
    pub(super) fn phases(self) -> [&'static str; 3] {
        if self.ascii {
            ["c", "r", "d"]
        } else {
            ["░", "█", "▒"]
        }
    }

    /// Between two things of a line.
    pub(super) fn dot(self) -> &'static str {
        if self.ascii { " | " } else { " · " }
    }

    /// Where words are left out.
    pub(super) fn ellipsis(self) -> &'static str {
        if self.ascii { "..." } else { "…" }
    }

    /// What boxes are made of.
    pub(super) fn border(self) -> border::Set<'static> {
        if self.ascii { ASCII_BORDER } else { border::PLAIN }
    }

    pub(super) fn head(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub(super) fn dim(self) -> Style {
        self.colored(Color::DarkGray)
    }

    pub(super) fn alarm(self) -> Style {
        self.colored(Color::Red).add_modifier(Modifier::BOLD)
    }

    pub(super) fn warning(self) -> Style {
        self.colored(Color::Yellow)
    }

    pub(super) fn accent(self) -> Style {
        self.colored(Color::Cyan)
    }

    /// The column that is sorted by; to be seen without colors too.
    pub(super) fn sorted(self) -> Style {
        self.accent()
            .patch(self.head())
            .add_modifier(Modifier::UNDERLINED)
    }

    pub(super) fn cursor(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    fn colored(self, color: Color) -> Style {
        if self.color {
            Style::new().fg(color)
        } else {
            Style::new()
        }
    }
}
