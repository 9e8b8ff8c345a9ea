//! Facts of known kernels, for tests of everything that rests on them.

use super::Facts;

/// Kernels with facts of their own, oldest first.
pub(crate) const KERNELS: [&str; 6] = [
    "debian-5.10",
    "debian-6.1",
    "debian-6.12",
    "debian-6.18",
    "hardened-6.18",
    "debian-7.3",
];

/// The facts of one of [`KERNELS`].
pub(crate) fn kernel(name: &str) -> Facts {
    let path = format!("{}/tests/kernels/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}
