//! Colors and characters of the screen; without colors and with ASCII alone nothing is lost.

mod palette;

use ratatui::style::{Modifier, Style};
use ratatui::symbols::border;

pub use palette::{Depth, Theme};
use palette::{Role, step};

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

/// From few to many, for what colors cannot tell; the first is for none.
const SHADES: [&str; 5] = [" ", "░", "▒", "▓", "█"];
const ASCII_SHADES: [&str; 10] = [" ", ".", ":", "-", "=", "+", "*", "#", "%", "@"];

/// From low to high.
const HEIGHTS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/// How the screen looks.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// No character beyond ASCII.
    pub ascii: bool,
    /// Which colors.
    pub theme: Theme,
    /// How many the terminal has.
    pub depth: Depth,
}

impl Look {
    /// The default theme with the 16 colors, or without any.
    pub const fn simple(ascii: bool, color: bool) -> Self {
        Self {
            ascii,
            theme: Theme::Default,
            depth: if color { Depth::Ansi16 } else { Depth::None },
        }
    }

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

    /// The color of part `place` of a wakeup, see [`Look::phases`].
    pub(super) fn phase(self, place: usize) -> Style {
        self.colored(Role::Phase(place))
    }

    /// A cell of a heat map: `level` goes from 0, nothing, to 1.
    pub fn heat(self, level: f64) -> (&'static str, Style) {
        if level <= 0.0 {
            return (" ", Style::new());
        }
        match palette::heat(self.theme, self.depth, level) {
            Some(color) if !self.ascii => ("█", Style::new().fg(color)),
            // Where glyphs tell, a color besides would make two scales of one.
            _ => (self.shade(level), Style::new()),
        }
    }

    fn shade(self, level: f64) -> &'static str {
        let shades = if self.ascii {
            &ASCII_SHADES[..]
        } else {
            &SHADES[..]
        };
        shades[1 + step(level, shades.len() - 1)]
    }

    /// A column of a line of small bars: `level` goes from 0 to 1; whatever is above 0 is seen.
    pub fn height(self, level: f64) -> &'static str {
        match level {
            level if level <= 0.0 => " ",
            level if self.ascii => self.shade(level),
            level => HEIGHTS[1 + step(level, HEIGHTS.len() - 1)],
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
        self.colored(Role::Dim)
    }

    pub(super) fn alarm(self) -> Style {
        self.colored(Role::Alarm).add_modifier(Modifier::BOLD)
    }

    /// What may become trouble.
    pub fn warning(self) -> Style {
        self.colored(Role::Warning)
    }

    /// What is worth a look.
    pub fn note(self) -> Style {
        self.colored(Role::Note)
    }

    pub(super) fn accent(self) -> Style {
        self.colored(Role::Accent)
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

    fn colored(self, role: Role) -> Style {
        match palette::color(self.theme, self.depth, role) {
            Some(color) => Style::new().fg(color),
            None => Style::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::style::Color;

    const DEPTHS: [Depth; 4] = [Depth::None, Depth::Ansi16, Depth::Ansi256, Depth::True];

    /// Every style that a look has, with its name.
    fn styles(look: Look) -> Vec<(String, Style)> {
        let roles = [
            ("head", look.head()),
            ("dim", look.dim()),
            ("alarm", look.alarm()),
            ("warning", look.colored(Role::Warning)),
            ("note", look.colored(Role::Note)),
            ("accent", look.accent()),
            ("sorted", look.sorted()),
            ("cursor", look.cursor()),
        ];
        let roles = roles.map(|(name, style)| (name.to_owned(), style));
        let phases = (0..3).map(|at| (format!("phase {at}"), look.phase(at)));
        let heat = (0..=10).map(|at| (format!("heat {at}"), look.heat(f64::from(at) / 10.0).1));
        roles.into_iter().chain(phases).chain(heat).collect()
    }

    fn looks(theme: Theme) -> impl Iterator<Item = Look> {
        let both = [false, true].into_iter();
        both.flat_map(move |ascii| DEPTHS.map(|depth| Look { ascii, theme, depth }))
    }

    fn is_colored(style: Style) -> bool {
        style.fg.is_some() || style.bg.is_some()
    }

    #[test]
    fn without_colors_there_is_none() {
        for look in looks(Theme::Monochrome) {
            assert!(
                styles(look).iter().all(|&(_, style)| !is_colored(style)),
                "{look:?}"
            );
        }
        for &theme in Theme::ALL {
            for look in looks(theme).filter(|look| look.depth == Depth::None) {
                assert!(
                    styles(look).iter().all(|&(_, style)| !is_colored(style)),
                    "{look:?}"
                );
            }
        }
    }

    #[test]
    fn the_default_theme_leaves_text_to_the_users_own_colors() {
        for look in looks(Theme::Default).filter(|look| look.depth != Depth::None) {
            let text = styles(look)
                .into_iter()
                .filter(|(name, _)| !name.starts_with("heat"));
            let fixed = |color: Option<Color>| matches!(color, Some(Color::Rgb(..) | Color::Indexed(_)));
            for (name, style) in text {
                assert!(!fixed(style.fg), "{name} {look:?}");
            }
            assert!(is_colored(look.alarm()) && is_colored(look.accent()));
        }
    }

    #[test]
    fn no_red_and_green_for_the_color_blind() {
        for look in looks(Theme::ColorBlind).filter(|look| look.depth == Depth::Ansi16) {
            let used: Vec<_> = styles(look).iter().filter_map(|(_, style)| style.fg).collect();
            let red = [Color::Red, Color::LightRed]
                .iter()
                .any(|color| used.contains(color));
            let green = [Color::Green, Color::LightGreen]
                .iter()
                .any(|color| used.contains(color));
            assert!(!red && !green, "{used:?}");
        }
        for look in looks(Theme::ColorBlind).filter(|look| look.depth == Depth::True) {
            let phases = (0..3)
                .map(|at| look.phase(at).fg)
                .collect::<std::collections::HashSet<_>>();
            assert_eq!(phases.len(), 3);
            assert_eq!(look.alarm().fg, Some(Color::Rgb(0xd5, 0x5e, 0x00)));
        }
    }

    #[test]
    fn more_never_looks_like_less() {
        let levels = (0..=200).map(|at| f64::from(at) / 200.0);
        for look in [Look::simple(false, false), Look::simple(true, false)] {
            let shades = if look.ascii {
                &ASCII_SHADES[..]
            } else {
                &SHADES[..]
            };
            let place = |glyph| shades.iter().position(|&shade| shade == glyph).unwrap();
            let seen: Vec<_> = levels.clone().map(|level| place(look.heat(level).0)).collect();
            assert!(seen.is_sorted());
            assert_eq!(
                (seen[0], seen[1], seen[200]),
                (0, 1, shades.len() - 1),
                "all are used"
            );
            assert_eq!(look.heat(f64::NAN).0, shades[1]);
        }
        for (ascii, all) in [(false, &HEIGHTS[..]), (true, &ASCII_SHADES[..])] {
            let look = Look::simple(ascii, true);
            let place = |glyph| all.iter().position(|&height| height == glyph).unwrap();
            let seen: Vec<_> = levels.clone().map(|level| place(look.height(level))).collect();
            assert!(seen.is_sorted() && seen[0] == 0 && seen[1] == 1 && seen[200] == all.len() - 1);
        }
    }

    #[test]
    fn ascii_looks_are_ascii() {
        for look in looks(Theme::Default).filter(|look| look.ascii) {
            for level in [0.0, 0.3, 1.0] {
                assert!(look.heat(level).0.is_ascii() && look.height(level).is_ascii());
            }
        }
    }
}
