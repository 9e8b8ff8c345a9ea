//! The colors of each theme, and how they come out on terminals that have fewer.

use ratatui::style::Color;

/// How many colors the terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// None are used.
    None,
    /// The 16 of every color terminal, which people set to their taste.
    Ansi16,
    /// 6 × 6 × 6 and 24 greys.
    Ansi256,
    /// 24 bits.
    True,
}

impl Depth {
    /// What a terminal says of itself by the values of COLORTERM and TERM; ssh passes on TERM alone.
    pub fn of_terminal(colorterm: Option<&str>, term: Option<&str>) -> Self {
        let term = term.unwrap_or_default();
        let family = term.split('-').next().unwrap_or_default();
        if matches!(colorterm, Some("truecolor" | "24bit")) || term.ends_with("-direct") {
            return Self::True;
        }
        // Terminals that all have 24 bits, by the names they give themselves.
        let modern = ["xterm-kitty", "xterm-ghostty", "alacritty", "foot", "wezterm"];
        if modern.iter().any(|name| below(term, name)) {
            return Self::True;
        }
        match family {
            _ if term.contains("256") => Self::Ansi256,
            "" | "dumb" => Self::None,
            // DEC's had none; vt340 and later emulations say so by another name.
            "vt100" | "vt102" | "vt220" if colorterm.is_none() => Self::None,
            _ => Self::Ansi16,
        }
    }
}

/// Whether `term` is `name`, or a variant of it.
fn below(term: &str, name: &str) -> bool {
    term.strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Which colors are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    /// The terminal's own 16 colors; the heat map goes from blue over purple to yellow.
    #[default]
    Default,
    /// For eyes that do not tell red from green: the palette of Okabe and Ito, and cividis for the heat map.
    ColorBlind,
    /// Bold and reversed text alone.
    Monochrome,
}

impl Theme {
    /// Every theme.
    pub const ALL: &[Self] = &[Self::Default, Self::ColorBlind, Self::Monochrome];

    /// Its name on the command line and in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::ColorBlind => "color-blind",
            Self::Monochrome => "monochrome",
        }
    }

    /// The theme called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|theme| theme.name() == name)
    }
}

/// What a color is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Bars, the sorted column, what is typed.
    Accent,
    /// What matters least.
    Dim,
    /// Trouble, losses.
    Alarm,
    /// What may become trouble.
    Warning,
    /// What is worth a look.
    Note,
    /// Parts of a wakeup: callback, run queue, delivery.
    Phase(usize),
}

/// One color: what it is where the terminal can show it, and which of the 16 comes closest in meaning.
#[derive(Clone, Copy, Debug)]
struct Tone {
    rgb: Option<(u8, u8, u8)>,
    ansi: Color,
}

/// The user's own color, on every terminal.
const fn own(ansi: Color) -> Tone {
    Tone { rgb: None, ansi }
}

const fn tone(red: u8, green: u8, blue: u8, ansi: Color) -> Tone {
    Tone {
        rgb: Some((red, green, blue)),
        ansi,
    }
}

impl Tone {
    fn on(self, depth: Depth) -> Option<Color> {
        match (depth, self.rgb) {
            (Depth::None, _) => None,
            (Depth::Ansi256, Some(rgb)) => Some(Color::Indexed(nearest_256(rgb))),
            (Depth::True, Some((red, green, blue))) => Some(Color::Rgb(red, green, blue)),
            (Depth::Ansi16, _) | (_, None) => Some(self.ansi),
        }
    }
}

/// Okabe and Ito, Color Universal Design (2008): told apart with every common kind of color vision.
mod okabe_ito {
    use super::{Color, Tone, tone};

    pub(super) const ORANGE: Tone = tone(0xe6, 0x9f, 0x00, Color::Yellow);
    pub(super) const SKY_BLUE: Tone = tone(0x56, 0xb4, 0xe9, Color::LightBlue);
    pub(super) const YELLOW: Tone = tone(0xf0, 0xe4, 0x42, Color::LightYellow);
    pub(super) const BLUE: Tone = tone(0x00, 0x72, 0xb2, Color::Blue);
    pub(super) const VERMILLION: Tone = tone(0xd5, 0x5e, 0x00, Color::Yellow);
    pub(super) const PURPLE: Tone = tone(0xcc, 0x79, 0xa7, Color::LightMagenta);
}

/// The color of `role`; `None` where there is none.
pub(super) fn color(theme: Theme, depth: Depth, role: Role) -> Option<Color> {
    let tone = match theme {
        Theme::Monochrome => return None,
        Theme::Default => own(match role {
            Role::Accent | Role::Phase(2) => Color::Cyan,
            Role::Dim => Color::DarkGray,
            Role::Alarm => Color::Red,
            Role::Warning | Role::Phase(1) => Color::Yellow,
            Role::Note | Role::Phase(_) => Color::Blue,
        }),
        Theme::ColorBlind => match role {
            Role::Accent | Role::Phase(2) => okabe_ito::SKY_BLUE,
            Role::Dim => own(Color::DarkGray),
            Role::Alarm => okabe_ito::VERMILLION,
            Role::Warning => okabe_ito::YELLOW,
            Role::Phase(1) => okabe_ito::ORANGE,
            Role::Note => okabe_ito::PURPLE,
            Role::Phase(_) => okabe_ito::BLUE,
        },
    };
    tone.on(depth)
}

/// From few to many, darker to lighter: as inferno (matplotlib, CC0), with a lighter dark end, since a single late wakeup must be
/// seen on black.
const INFERNO: [Tone; 7] = [
    tone(0x57, 0x2c, 0x8c, Color::Blue),
    tone(0x83, 0x2b, 0x7a, Color::Blue),
    tone(0xaa, 0x39, 0x5e, Color::Magenta),
    tone(0xdd, 0x51, 0x3a, Color::Red),
    tone(0xf3, 0x78, 0x19, Color::LightRed),
    tone(0xfb, 0xa4, 0x0a, Color::Yellow),
    tone(0xf6, 0xd7, 0x46, Color::LightYellow),
];

/// The same for eyes that do not tell red from green: as cividis (Nuñez, Anderton, Renslow 2018).
const CIVIDIS: [Tone; 7] = [
    tone(0x1f, 0x4f, 0x9c, Color::Blue),
    tone(0x3b, 0x5f, 0x8f, Color::Blue),
    tone(0x57, 0x6d, 0x85, Color::LightBlue),
    tone(0x7a, 0x77, 0x78, Color::Gray),
    tone(0xa5, 0x9c, 0x74, Color::Gray),
    tone(0xd3, 0xc1, 0x64, Color::Yellow),
    tone(0xfe, 0xe8, 0x38, Color::LightYellow),
];

/// The colors of a heat map from few to many; `None` where glyphs must tell.
pub(super) fn heat(theme: Theme, depth: Depth, level: f64) -> Option<Color> {
    let ramp = match theme {
        Theme::Monochrome => return None,
        Theme::Default => INFERNO,
        Theme::ColorBlind => CIVIDIS,
    };
    ramp[step(level, ramp.len())].on(depth)
}

/// Which of `steps` the `level`, 0 to 1, falls into; beyond it the last one.
pub(super) fn step(level: f64, steps: usize) -> usize {
    ((level.clamp(0.0, 1.0) * steps as f64) as usize).min(steps.saturating_sub(1))
}

/// The nearest of the 256: of the cube, or of the greys.
fn nearest_256((red, green, blue): (u8, u8, u8)) -> u8 {
    const EDGES: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let near = |value: u8| {
        let distance = |&at: &usize| value.abs_diff(EDGES[at]);
        (0..EDGES.len()).min_by_key(distance).unwrap_or(0)
    };
    let far = |a: [u8; 3], b: [u8; 3]| -> u32 {
        let square = |(a, b): (u8, u8)| u32::from(a.abs_diff(b)).pow(2);
        a.into_iter().zip(b).map(square).sum()
    };
    let wanted = [red, green, blue];
    let cube = wanted.map(near);
    let mean = (u32::from(red) + u32::from(green) + u32::from(blue)) / 3;
    let grey = (mean.saturating_sub(3) / 10).min(23) as u8;
    if far(wanted, [8 + 10 * grey; 3]) < far(wanted, cube.map(|at| EDGES[at])) {
        232 + grey
    } else {
        let [red, green, blue] = cube.map(|at| at as u8);
        16 + 36 * red + 6 * green + blue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_by_what_they_say() {
        let depth = Depth::of_terminal;
        for (colorterm, term, wanted) in [
            (Some("truecolor"), Some("xterm-256color"), Depth::True),
            (Some("24bit"), None, Depth::True),
            (None, Some("xterm-kitty"), Depth::True),
            (None, Some("foot-extra"), Depth::True),
            (None, Some("iterm2-direct"), Depth::True),
            (None, Some("xterm-256color"), Depth::Ansi256),
            (Some("yes"), Some("tmux-256color"), Depth::Ansi256),
            (None, Some("xterm"), Depth::Ansi16),
            (None, Some("linux"), Depth::Ansi16),
            (None, Some("footbath"), Depth::Ansi16),
            (None, Some("vt100"), Depth::None),
            (Some(""), Some("dumb"), Depth::None),
            (None, None, Depth::None),
        ] {
            assert_eq!(depth(colorterm, term), wanted, "{colorterm:?} {term:?}");
        }
    }

    #[test]
    fn the_nearest_of_256() {
        for (rgb, wanted) in [
            ((0, 0, 0), 16),
            ((255, 255, 255), 231),
            ((0x56, 0xb4, 0xe9), 74),
            ((0x7a, 0x77, 0x78), 243),
            ((95, 135, 175), 67),
        ] {
            assert_eq!(nearest_256(rgb), wanted, "{rgb:?}");
        }
    }

    /// Its light to the eye, of colors that have a fixed one (ITU-R BT.709).
    fn light(color: Color) -> f64 {
        let rgb = match color {
            Color::Rgb(red, green, blue) => [red, green, blue],
            Color::Indexed(at @ 232..) => [8 + 10 * (at - 232); 3],
            Color::Indexed(at) => {
                let edge = |at: u8| if at == 0 { 0 } else { 55 + 40 * at };
                [(at - 16) / 36, (at - 16) / 6 % 6, (at - 16) % 6].map(edge)
            }
            other => panic!("{other} is the user's own"),
        };
        let linear = rgb.map(|value| (f64::from(value) / 255.0).powf(2.2));
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    #[test]
    fn more_is_lighter() {
        for theme in [Theme::Default, Theme::ColorBlind] {
            for depth in [Depth::Ansi256, Depth::True] {
                let lights: Vec<_> = (0..7)
                    .map(|at| light(heat(theme, depth, (f64::from(at) + 0.5) / 7.0).unwrap()))
                    .collect();
                assert!(lights.is_sorted(), "{theme:?} {depth:?}: {lights:?}");
                assert!(lights[0] < lights[6] / 4.0);
                assert!(lights[0] > 0.04, "few are seen on black: {lights:?}");
            }
        }
    }
}
