//! Facts of known kernels, read on each of them, for tests of everything that rests on them.

use super::btf::TypeFacts;
use super::caps::Caps;
use super::{Facts, Support};

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

/// Debian 6.18 booted with lockdown=confidentiality, its refusals word for word.
pub(crate) fn confidential() -> Facts {
    let mut facts = kernel("debian-6.18");
    facts.release.push_str(" lockdown=confidentiality");
    facts.lockdown = Some("confidentiality".to_owned());
    facts.caps.kprobe =
        Support::no("a kprobe on ep_poll_callback is not permitted (EPERM) (lockdown=confidentiality)");
    facts.caps.probe_read_kernel = Support::no(
        "loading bpf_probe_read_kernel is refused (EINVAL: program of this type cannot use helper \
         bpf_probe_read_kernel#113) (lockdown=confidentiality)",
    );
    facts
}

/// Debian 6.1 without type information.
pub(crate) fn no_btf() -> Facts {
    let reason = "/sys/kernel/btf/vmlinux does not exist: it takes a kernel built with CONFIG_DEBUG_INFO_BTF";
    let mut facts = kernel("debian-6.1");
    facts.btf = Support::no(reason);
    facts.types = TypeFacts::default();
    facts.caps = Caps::none(reason);
    facts
}

/// Debian 6.1 as an ordinary user sees it.
pub(crate) fn no_root() -> Facts {
    let reason = "not root: run it with sudo, or give it CAP_BPF and CAP_PERFMON";
    let mut facts = kernel("debian-6.1");
    facts.privilege = Support::no(reason);
    facts.caps = Caps::none(reason);
    facts.symbols.data.clear();
    facts
}
