//! Root of the BPF object.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

/// The host has nothing to run: the object is built for the BPF target only.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
