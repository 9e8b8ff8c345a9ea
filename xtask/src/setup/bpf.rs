//! The toolchain that builds the BPF object: a rustc whose `core` can be built from source, and a bpf-linker that
//! reads the bitcode of that rustc.
//!
//! The choice is kept in `<cache>/toolchain.env`, where the build script of `epoll-trace` finds it too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::apt;
use crate::exec;
use crate::paths;

const LINKER: &str = "bpf-linker";
const LINKER_VERSION: &str = "0.13.0";
/// Our name for Debian's own rustc among rustup's toolchains.
const DEBIAN_TOOLCHAIN: &str = "epoll-trace-bpf";
/// Debian's newest rustc with its sources; clippy where it exists.
const DEBIAN_PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
const STORED: &str = "toolchain.env";

/// What builds the BPF object.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BpfToolchain {
    /// Name among rustup's toolchains.
    pub(crate) name: String,
    /// Directory that holds `bpf-linker`.
    pub(crate) linker_dir: PathBuf,
}

impl BpfToolchain {
    /// Makes a cargo `command` that builds `epoll-trace` use this toolchain for its BPF object.
    pub(crate) fn apply(&self, command: &mut Command) -> Result<()> {
        command.env("EPOLL_TRACE_BPF_TOOLCHAIN", &self.name);
        exec::prepend_path(command, &self.linker_dir)
    }

    /// A program of this toolchain itself, whichever cargo runs us, with `-Z` allowed and the linker on its PATH.
    pub(crate) fn program(&self, name: &str) -> Result<Command> {
        let mut command = Command::new("rustup");
        command.args(["run", &self.name, name]);
        command.current_dir(paths::workspace());
        // A toolchain that is no nightly takes -Z only so.
        command
            .env("RUSTC_BOOTSTRAP", "1")
            .env_remove("RUSTUP_TOOLCHAIN")
            .env_remove("CARGO")
            .env_remove("RUSTC");
        exec::prepend_path(&mut command, &self.linker_dir)?;
        Ok(command)
    }

    fn usable(&self) -> bool {
        self.linker_dir.join(LINKER).is_file() && has_core_source(&self.name)
    }

    fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .filter(|value| !value.is_empty())
        };
        Some(Self {
            name: value("toolchain")?.to_owned(),
            linker_dir: value("bpf_linker_dir")?.into(),
        })
    }

    fn to_text(&self) -> String {
        format!(
            "toolchain={}\nbpf_linker_dir={}\n",
            self.name,
            self.linker_dir.display()
        )
    }
}

/// The toolchain chosen earlier if it still works, else a new choice with what it needs installed.
pub(crate) fn ensure() -> Result<BpfToolchain> {
    let path = paths::cache()?.join(STORED);
    let stored = fs::read_to_string(&path)
        .ok()
        .and_then(|text| BpfToolchain::parse(&text));
    if let Some(toolchain) = stored.filter(BpfToolchain::usable) {
        return Ok(toolchain);
    }
    let toolchain = choose()?;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    fs::write(&path, toolchain.to_text()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(toolchain)
}

fn choose() -> Result<BpfToolchain> {
    if exec::find_program("rustup").is_none() {
        bail!("rustup is missing: install it with a nightly toolchain that has rust-src, then try again");
    }
    if let Some(nightly) = nightly_with_source()? {
        // Whoever has a bpf-linker on PATH has chosen it to fit this nightly.
        let on_path = exec::find_program(LINKER).and_then(|path| path.parent().map(Path::to_owned));
        let linker_dir = match on_path {
            Some(dir) => dir,
            None => install_linker(&nightly)?,
        };
        return Ok(BpfToolchain {
            name: nightly,
            linker_dir,
        });
    }
    if !Path::new("/etc/debian_version").exists() {
        bail!(
            "no nightly toolchain with rust-src: run `rustup toolchain install nightly --component rust-src` \
             and `cargo install {LINKER} --version {LINKER_VERSION}`, then try again"
        );
    }
    apt::ensure(
        &DEBIAN_PACKAGES,
        "builds the BPF programs (no nightly toolchain has rust-src)",
    )?;
    println!("setup: linking /usr as rustup toolchain {DEBIAN_TOOLCHAIN}");
    exec::output(Command::new("rustup").args(["toolchain", "link", DEBIAN_TOOLCHAIN, "/usr"]))?;
    if !has_core_source(DEBIAN_TOOLCHAIN) {
        bail!(
            "the sources of `core` are not below /usr/lib/rustlib: reinstall {}",
            DEBIAN_PACKAGES.join(" ")
        );
    }
    let linker_dir = install_linker(DEBIAN_TOOLCHAIN)?;
    Ok(BpfToolchain {
        name: DEBIAN_TOOLCHAIN.to_owned(),
        linker_dir,
    })
}

/// The newest nightly that has rust-src, after one try to add it where none has.
fn nightly_with_source() -> Result<Option<String>> {
    let list = exec::output(Command::new("rustup").args(["toolchain", "list", "--quiet"]))?;
    let mut nightlies: Vec<&str> = list
        .lines()
        .map(str::trim)
        .filter(|name| name.starts_with("nightly"))
        .collect();
    // Dated nightlies sort by age; the plain one is the newest of all.
    nightlies.sort_by_key(|name| (name.starts_with("nightly-2"), std::cmp::Reverse(*name)));
    if let Some(name) = nightlies.iter().find(|name| has_core_source(name)) {
        return Ok(Some((*name).to_owned()));
    }
    let Some(name) = nightlies.first() else {
        return Ok(None);
    };
    println!("setup: adding rust-src to toolchain {name}: the BPF programs need `core` built from source");
    let added =
        exec::output(Command::new("rustup").args(["component", "add", "rust-src", "--toolchain", name]));
    if let Err(error) = &added {
        eprintln!("setup: {error:#}");
    }
    Ok(added
        .is_ok()
        .then(|| (*name).to_owned())
        .filter(|name| has_core_source(name)))
}

fn has_core_source(toolchain: &str) -> bool {
    rustc(toolchain, &["--print", "sysroot"]).is_ok_and(|sysroot| {
        Path::new(sysroot.trim())
            .join("lib/rustlib/src/rust/library/core")
            .is_dir()
    })
}

fn rustc(toolchain: &str, arguments: &[&str]) -> Result<String> {
    exec::output(
        Command::new("rustup")
            .args(["run", toolchain, "rustc"])
            .args(arguments),
    )
}

/// The directory of a bpf-linker for the LLVM of `toolchain`, built into the cache where it is missing.
fn install_linker(toolchain: &str) -> Result<PathBuf> {
    let verbose = rustc(toolchain, &["--version", "--verbose"])?;
    let llvm = llvm_major(&verbose)
        .with_context(|| format!("toolchain {toolchain} does not say its LLVM version"))?;
    let root = paths::cache()?.join(format!("{LINKER}-{LINKER_VERSION}-llvm{llvm}"));
    let dir = root.join("bin");
    if dir.join(LINKER).is_file() {
        return Ok(dir);
    }
    let package = format!("llvm-{llvm}-dev");
    let prefix = format!("/usr/lib/llvm-{llvm}");
    if !Path::new(&prefix).join("bin/llvm-config").is_file() {
        if !apt::available(&package)? {
            bail!(
                "{LINKER} for LLVM {llvm} is missing and {package} is not to be had: install {LINKER} \
                 (its releases have ready binaries) somewhere on PATH, then try again"
            );
        }
        apt::ensure(&[&package], "bpf-linker is built against it")?;
    }
    println!(
        "setup: installing {LINKER} {LINKER_VERSION} for LLVM {llvm} (about a minute): it links the BPF programs"
    );
    let feature = format!("llvm-{llvm}");
    let mut command = exec::cargo();
    command.args([
        "install",
        LINKER,
        "--version",
        LINKER_VERSION,
        "--locked",
        "--quiet",
    ]);
    command
        .args(["--no-default-features", "--features", &feature, "--root"])
        .arg(&root);
    // Of the many outputs of a LLVM build only the shared library is what Debian's package links against.
    command
        .env(format!("LLVM_SYS_{llvm}1_PREFIX"), &prefix)
        .env("LLVM_PREFIX", &prefix);
    exec::run(&mut command).with_context(|| format!("cannot install {LINKER}; check the network"))?;
    Ok(dir)
}

fn llvm_major(verbose_version: &str) -> Option<u32> {
    let version = verbose_version
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version:"))?;
    version.trim().split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{BpfToolchain, llvm_major};

    #[test]
    fn stored_choice_reads_back() {
        let toolchain = BpfToolchain {
            name: "nightly".into(),
            linker_dir: "/cache/bin".into(),
        };
        assert_eq!(
            toolchain.to_text(),
            "toolchain=nightly\nbpf_linker_dir=/cache/bin\n"
        );
        assert_eq!(BpfToolchain::parse(&toolchain.to_text()), Some(toolchain));
        assert_eq!(BpfToolchain::parse("toolchain=nightly\n"), None);
    }

    #[test]
    fn llvm_version_of_rustc() {
        let text = "rustc 1.97.0-nightly (e50aa6fba 2026-05-19)\nhost: x86_64\nLLVM version: 22.1.4\n";
        assert_eq!(llvm_major(text), Some(22));
        assert_eq!(llvm_major("rustc 1.97.0\n"), None);
    }
}
