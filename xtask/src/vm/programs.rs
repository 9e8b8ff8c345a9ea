//! Programs of this machine for the VM, each with the shared libraries it needs.

use std::fs::File;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::initramfs::Initramfs;
use crate::exec;

/// Copies `program` (a path or a name on PATH) to /bin of the VM, and its libraries to where its loader looks. A path may also be a file
/// of data that a program needs.
///
/// # Errors
/// There is no such program, or it is a script: a script's interpreter is the program to bring.
pub(crate) fn add<W: Write>(archive: &mut Initramfs<W>, program: &str) -> Result<()> {
    let path = exec::find_program(program)
        .with_context(|| format!("--with {program}: no such program here; install it or give its path"))?;
    let mut start = [0; 4];
    File::open(&path)
        .and_then(|mut file| file.read_exact(&mut start))
        .with_context(|| format!("cannot read {}", path.display()))?;
    if start.starts_with(b"#!") {
        bail!(
            "--with {program}: {} is no binary but a script; bring its interpreter instead",
            path.display()
        );
    }
    let name = path
        .file_name()
        .context("a program has a file name")?
        .to_string_lossy();
    archive.copy(&format!("/bin/{name}"), &path)?;
    if &start != b"\x7fELF" {
        return Ok(());
    }
    // ldd fails on a static program, which needs no library.
    let listing = exec::output(Command::new("ldd").arg(&path)).unwrap_or_default();
    for line in listing.lines() {
        match library(line) {
            Library::At(path) => archive.copy(&path.to_string_lossy(), &path)?,
            Library::Missing(name) => {
                bail!("--with {program}: its library {name} is missing on this machine")
            }
            Library::None => {}
        }
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Library {
    At(PathBuf),
    Missing(String),
    /// The vDSO, which the kernel brings.
    None,
}

/// One line of ldd: `name => path (address)`, `path (address)` for the loader, or `name => not found`.
fn library(line: &str) -> Library {
    let line = line.trim();
    let (name, target) = line.split_once(" => ").unwrap_or((line, line));
    if target == "not found" {
        return Library::Missing(name.to_owned());
    }
    let path = target.split(" (").next().unwrap_or_default();
    if Path::new(path).is_absolute() {
        Library::At(path.into())
    } else {
        Library::None
    }
}

#[cfg(test)]
mod tests {
    use super::{Library, library};

    #[test]
    fn lines_of_ldd() {
        assert_eq!(library("\tlinux-vdso.so.1 (0x00007fff)"), Library::None);
        assert_eq!(
            library("\tlibc.so.6 => /lib/libc.so.6 (0x00007f)"),
            Library::At("/lib/libc.so.6".into())
        );
        assert_eq!(
            library("\t/lib64/ld.so (0x00007f)"),
            Library::At("/lib64/ld.so".into())
        );
        assert_eq!(
            library("\tlibx.so => not found"),
            Library::Missing("libx.so".into())
        );
        assert_eq!(library("\tstatically linked"), Library::None);
    }
}
