//! Builds the BPF object. `cargo xtask setup` leaves word of the toolchain that can: not every nightly has rust-src.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use aya_build::{Package, Toolchain};

/// Overrides what `xtask setup` chose.
const TOOLCHAIN_VARIABLE: &str = "EPOLL_TRACE_BPF_TOOLCHAIN";

#[derive(Default)]
struct Choice {
    toolchain: Option<String>,
    bpf_linker_dir: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    println!("cargo:rerun-if-env-changed={TOOLCHAIN_VARIABLE}");
    let mut choice = read_choice(&choice_file());
    if let Ok(toolchain) = env::var(TOOLCHAIN_VARIABLE) {
        choice.toolchain = Some(toolchain);
    }
    prepare_environment(&choice);
    let package = Package {
        name: "epoll-trace-ebpf",
        root_dir: concat!(env!("CARGO_MANIFEST_DIR"), "/../epoll-trace-ebpf"),
        no_default_features: true,
        features: &[],
    };
    let toolchain = choice
        .toolchain
        .as_deref()
        .map_or(Toolchain::Nightly, Toolchain::Custom);
    aya_build::build_ebpf([package], toolchain)
        .map_err(|error| anyhow!("{error:#}"))
        .context("the BPF programs cannot be built: run `cargo xtask setup` once")
}

fn choice_file() -> PathBuf {
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(home)
        .unwrap_or_default();
    cache.join("epoll-trace").join("toolchain.env")
}

fn read_choice(path: &Path) -> Choice {
    println!("cargo:rerun-if-changed={}", path.display());
    let mut choice = Choice::default();
    for line in fs::read_to_string(path).unwrap_or_default().lines() {
        match line.split_once('=') {
            Some(("toolchain", name)) => choice.toolchain = Some(name.to_owned()),
            Some(("bpf_linker_dir", dir)) => choice.bpf_linker_dir = Some(dir.into()),
            _ => {}
        }
    }
    choice
}

/// The BPF build needs `-Z build-std` from whatever toolchain was chosen, bpf-linker in PATH,
/// and none of the host build's clippy wrapper.
fn prepare_environment(choice: &Choice) {
    let mut path = OsString::new();
    if let Some(dir) = &choice.bpf_linker_dir {
        path.push(dir);
        path.push(":");
    }
    path.push(env::var_os("PATH").unwrap_or_default());
    // SAFETY: a build script's main thread, before it starts another one.
    unsafe {
        env::set_var("PATH", path);
        env::set_var("RUSTC_BOOTSTRAP", "1");
    }
}
