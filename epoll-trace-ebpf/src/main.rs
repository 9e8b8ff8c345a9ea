//! Root of the BPF object: one object file for all kernels. Programs load one at a time, so a variant that a kernel cannot
//! take costs nothing there.
#![cfg_attr(target_arch = "bpf", no_std, no_main, feature(asm_experimental_arch))]

#[cfg(target_arch = "bpf")]
mod globals;
#[cfg(target_arch = "bpf")]
mod head;
#[cfg(target_arch = "bpf")]
mod kernel;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod probes;
#[cfg(target_arch = "bpf")]
mod signals;

/// The host has nothing to run: the object is built for the BPF target only.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
