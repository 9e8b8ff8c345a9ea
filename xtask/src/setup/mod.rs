//! `cargo xtask setup`: what building and testing need and this machine lacks.
//!
//! Every step looks first and does nothing where nothing is missing, so the other commands call it each time.

pub(crate) mod apt;
pub(crate) mod bpf;

use anyhow::Result;

use crate::exec::find_program;
use crate::kernels;

/// QEMU's system emulator; also the name of the program to look for.
pub(crate) const QEMU: &str = "qemu-system-x86_64";
/// What the tests in the VM need of the distribution: the program, its package, and what for.
const TESTED_WITH: [(&str, &str, &str); 6] = [
    (
        "bpftool",
        "bpftool",
        "shows in the tests what is left in the kernel",
    ),
    ("bpftrace", "bpftrace", "counts in the tests what the tool counts"),
    ("nginx", "nginx-light", SERVER),
    ("memcached", "memcached", SERVER),
    ("redis-server", "redis-server", SERVER),
    ("tmux", "tmux", "is the terminal in which the tests look at `top`"),
];
const SERVER: &str = "is a real server for the tests; its package may have it started as a service";

/// The BPF toolchain, and with `vm` also QEMU and the kernels.
pub(crate) fn run(vm: bool) -> Result<()> {
    let toolchain = bpf::ensure()?;
    println!("setup: BPF programs are built by toolchain {}", toolchain.name);
    if vm {
        ensure_qemu()?;
        ensure_tested_with()?;
        for image in &kernels::IMAGES {
            let kernel = kernels::fetch::ensure(image)?;
            println!("setup: kernel {} is {}", image.name, kernel.version);
        }
    }
    Ok(())
}

/// Other tools on BPF, and servers, from the distribution where they are missing.
pub(crate) fn ensure_tested_with() -> Result<()> {
    for (name, package, what_for) in TESTED_WITH {
        if find_program(name).is_none() {
            apt::ensure(&[package], what_for)?;
        }
    }
    Ok(())
}

/// QEMU, from the distribution where it is missing.
pub(crate) fn ensure_qemu() -> Result<()> {
    if find_program(QEMU).is_some() {
        return Ok(());
    }
    apt::ensure(&["qemu-system-x86"], "runs the tests on real kernels")
}
