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
/// The lister of BPF programs; program and package have the same name.
const BPFTOOL: &str = "bpftool";

/// The BPF toolchain, and with `vm` also QEMU and the kernels.
pub(crate) fn run(vm: bool) -> Result<()> {
    let toolchain = bpf::ensure()?;
    println!("setup: BPF programs are built by toolchain {}", toolchain.name);
    if vm {
        ensure_qemu()?;
        ensure_bpftool()?;
        for image in &kernels::IMAGES {
            let kernel = kernels::fetch::ensure(image)?;
            println!("setup: kernel {} is {}", image.name, kernel.version);
        }
    }
    Ok(())
}

/// bpftool, from the distribution where it is missing: it tells what a program under test leaves behind.
pub(crate) fn ensure_bpftool() -> Result<()> {
    if find_program(BPFTOOL).is_some() {
        return Ok(());
    }
    apt::ensure(&[BPFTOOL], "shows in the tests what is left in the kernel")
}

/// QEMU, from the distribution where it is missing.
pub(crate) fn ensure_qemu() -> Result<()> {
    if find_program(QEMU).is_some() {
        return Ok(());
    }
    apt::ensure(&["qemu-system-x86"], "runs the tests on real kernels")
}
