//! The configuration file of `top`: where it is, what it says, and how columns get into it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::output::Streams;
use crate::cli::{Color, GlobalArgs, TopArgs};
use crate::config::{Config, Known, KnownAction, dump, parse, with_columns};
use crate::view::tui::actions::{BINDINGS, KEY_NAMES, Key};
use crate::view::tui::app::screen::Screen;
use crate::view::tui::style::{Depth, Look};

/// A file beyond this is no configuration, bytes.
const LARGEST: u64 = 1 << 20;

/// What a configuration of `top` may name.
pub fn known() -> Known {
    let actions = BINDINGS.iter().map(|binding| KnownAction {
        name: binding.name.to_owned(),
        keys: binding.keys.iter().map(|key| key.name()).collect(),
        help: binding.help,
    });
    let columns = |screen: Screen| screen.heads().iter().map(|head| head.id).collect();
    Known {
        screens: Screen::ALL.map(|screen| (screen.name(), columns(screen))).into(),
        actions: actions.collect(),
        is_key: |name| Key::from_name(name).is_some(),
        key_names: KEY_NAMES,
    }
}

/// The file of whom the environment names: `$XDG_CONFIG_HOME/epoll-trace/config.toml`, else below `$HOME/.config`; `None` without both.
/// Under sudo that is the one of the HOME that sudo leaves: who called it is not guessed.
pub fn path(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // The XDG base directory specification has relative ones ignored.
    let absolute = |name| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let home = || absolute("HOME").map(|home| home.join(".config"));
    let dir = absolute("XDG_CONFIG_HOME").or_else(home)?;
    Some(dir.join("epoll-trace").join("config.toml"))
}

/// What `file` chooses; nothing where there is no such file.
///
/// # Errors
/// It cannot be read, or a [`crate::config::ConfigError`].
pub fn read(file: &Path) -> anyhow::Result<Config> {
    let text = match text_of(file) {
        Ok(text) => text,
        Err(error) if is_missing(&error) => return Ok(Config::default()),
        Err(error) => return Err(error),
    };
    Ok(parse(&text, &file.display().to_string(), &known())?)
}

fn text_of(file: &Path) -> anyhow::Result<String> {
    let what = || format!("cannot read the configuration {}", file.display());
    let mut text = String::new();
    let opened = File::open(file).with_context(what)?;
    opened
        .take(LARGEST + 1)
        .read_to_string(&mut text)
        .with_context(what)?;
    if text.len() as u64 > LARGEST {
        bail!("{} is larger than 1 MB: this is no configuration", file.display());
    }
    Ok(text)
}

fn is_missing(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    matches!(kind, Some(ErrorKind::NotFound | ErrorKind::NotADirectory))
}

/// What is in effect: flags before the file, and where that is.
///
/// # Errors
/// As [`read`].
pub fn effective(args: &TopArgs, global: &GlobalArgs) -> anyhow::Result<(Config, Option<PathBuf>)> {
    let file = path(|name| std::env::var_os(name));
    let read = file.as_deref().map_or_else(|| Ok(Config::default()), read)?;
    Ok((args.chosen(global.ascii).or(read), file))
}

/// Prints the configuration in effect, with comments.
///
/// # Errors
/// As [`read`], and when it cannot be written.
pub fn print(args: &TopArgs, global: &GlobalArgs, streams: &mut Streams<'_>) -> anyhow::Result<()> {
    let (config, file) = effective(args, global)?;
    let origin = match file {
        Some(file) if file.exists() => format!("The configuration in effect; read from {}", file.display()),
        Some(file) => format!("The configuration in effect; {} does not exist", file.display()),
        None => "The configuration in effect; neither XDG_CONFIG_HOME nor HOME is set, so no file is read"
            .to_owned(),
    };
    let text = dump(&config, &known(), &origin);
    streams.out.write_all(text.as_bytes())?;
    streams.out.flush()?;
    Ok(())
}

/// How the screen looks: by the configuration, NO_COLOR, and what the terminal says of itself.
pub fn look(config: &Config, global: &GlobalArgs) -> Look {
    Look {
        ascii: config.ascii.unwrap_or(false),
        theme: config.theme.unwrap_or_default(),
        depth: depth(global.color, |name| std::env::var_os(name)),
    }
}

/// How many colors to use, by what was asked for and what the environment says.
fn depth(color: Color, variable: impl Fn(&str) -> Option<OsString>) -> Depth {
    if !color.enabled(variable("NO_COLOR").as_deref()) {
        return Depth::None;
    }
    let of = |name| variable(name).and_then(|value| value.into_string().ok());
    let told = Depth::of_terminal(of("COLORTERM").as_deref(), of("TERM").as_deref());
    match color {
        Color::Always => told.max(Depth::Ansi16),
        Color::Auto | Color::Never => told,
    }
}

/// Makes `ids` the columns of `screen` in `file`, which need not exist; all else in it stays. At no moment is there half a file.
///
/// # Errors
/// The file or its directory cannot be read or written, or the file is no TOML.
pub fn save_columns(file: &Path, screen: &str, ids: &[impl AsRef<str>]) -> anyhow::Result<()> {
    // What a link points to is replaced, not the link.
    let file = &fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let before = match text_of(file) {
        Ok(text) => text,
        Err(error) if is_missing(&error) => String::new(),
        Err(error) => return Err(error),
    };
    let after = with_columns(&before, &file.display().to_string(), screen, ids)?;
    let dir = file.parent().context("a configuration needs a directory")?;
    fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    let new = dir.join(format!(".config.toml.{}", std::process::id()));
    let written = write_like(&new, file, &after).and_then(|()| fs::rename(&new, file));
    if written.is_err() {
        _ = fs::remove_file(&new);
    }
    written.with_context(|| format!("cannot save the configuration {}", file.display()))
}

/// Writes a new file with the owner and the rights of `old`, if that exists: root may save the file of somebody else.
fn write_like(new: &Path, old: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(new)?;
    if let Ok(before) = fs::metadata(old) {
        file.set_permissions(before.permissions())?;
        let now = file.metadata()?;
        if (now.uid(), now.gid()) != (before.uid(), before.gid()) {
            fchown(&file, Some(before.uid()), Some(before.gid()))?;
        }
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigError;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn where_it_is() {
        let of = |xdg: Option<&str>, home: Option<&str>| {
            path(|name| match name {
                "XDG_CONFIG_HOME" => xdg.map(OsString::from),
                "HOME" => home.map(OsString::from),
                _ => None,
            })
        };
        let file = |text| Some(PathBuf::from(text));
        assert_eq!(of(Some("/x"), Some("/h")), file("/x/epoll-trace/config.toml"));
        assert_eq!(
            of(Some("x"), Some("/h")),
            file("/h/.config/epoll-trace/config.toml")
        );
        assert_eq!(
            of(Some(""), Some("/h")),
            file("/h/.config/epoll-trace/config.toml")
        );
        assert_eq!(of(None, None), None);
    }

    #[test]
    fn colors_as_the_terminal_has_them_unless_somebody_objects() {
        let of = |color, set: &[(&str, &str)]| {
            depth(color, |name| {
                let found = set.iter().find(|(other, _)| *other == name);
                found.map(|(_, value)| OsString::from(value))
            })
        };
        let full = [("COLORTERM", "truecolor"), ("TERM", "xterm-256color")];
        assert_eq!(of(Color::Auto, &full), Depth::True);
        assert_eq!(of(Color::Auto, &full[1..]), Depth::Ansi256);
        assert_eq!(of(Color::Auto, &[("NO_COLOR", "1"), full[1]]), Depth::None);
        assert_eq!(of(Color::Auto, &[("NO_COLOR", ""), full[1]]), Depth::Ansi256);
        assert_eq!(of(Color::Never, &full), Depth::None);
        assert_eq!(of(Color::Always, &[("NO_COLOR", "1"), full[1]]), Depth::Ansi256);
        assert_eq!(of(Color::Always, &[("TERM", "dumb")]), Depth::Ansi16);
    }

    #[test]
    fn what_is_dumped_reads_back() {
        let text = dump(&Config::default(), &known(), "");
        let read = parse(&text, "", &known()).unwrap();
        assert_eq!(dump(&read, &known(), ""), text);
        assert_eq!(
            read.keys["page-down"],
            known()
                .actions
                .iter()
                .find(|action| action.name == "page-down")
                .unwrap()
                .keys
        );
    }

    #[test]
    fn a_file_that_is_wrong_is_told_from_one_that_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        assert_eq!(read(&file).unwrap(), Config::default());
        assert_eq!(read(&file.join("below")).unwrap(), Config::default());
        fs::write(&file, "theme = 1\n").unwrap();
        let error = read(&file).unwrap_err();
        assert_eq!(error.downcast_ref::<ConfigError>().unwrap().line, 1, "{error}");
        fs::write(&file, [0xff]).unwrap();
        assert!(!read(&file).unwrap_err().is::<ConfigError>());
        fs::write(&file, " ".repeat(LARGEST as usize + 1)).unwrap();
        assert!(read(&file).unwrap_err().to_string().contains("1 MB"));
    }

    #[test]
    fn columns_are_saved_through_a_link_with_the_rights_that_were() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real.toml"), dir.path().join("new/config.toml"));
        save_columns(&link, "epolls", &["items"]).unwrap();
        assert_eq!(read(&link).unwrap().columns["epolls"], ["items"]);
        fs::rename(&link, &real).unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&real, &link).unwrap();
        save_columns(&link, "epolls", &["epoll", "items"]).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(read(&link).unwrap().columns["epolls"], ["epoll", "items"]);
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
        assert_eq!(left.len(), 2, "no file in between stays: {left:?}");
    }

    #[test]
    fn what_cannot_be_saved_stays_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("config.toml");
        fs::write(&file, "columns = 1\n").unwrap();
        save_columns(&file, "epolls", &["items"]).unwrap_err();
        assert_eq!(fs::read_to_string(&file).unwrap(), "columns = 1\n");
    }
}
