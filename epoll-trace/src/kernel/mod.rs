//! Facts of the kernel that runs: types, symbols, capabilities, privilege. Plain data, read once at start.
//!
//! Files are read below a given root directory, so that tests can hand in canned kernels. Nothing here knows signals or probes.

mod bpf;
pub mod btf;
pub mod caps;
pub mod cgroup;
pub mod config;
pub mod fields;
pub mod names;
pub mod offsets;
pub mod privilege;
mod sieve;
pub mod symbols;

#[cfg(test)]
pub(crate) mod canned;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use btf::{Targets, TypeFacts};
use caps::{CapabilityProbe, Caps};
use fields::Field;
use symbols::Symbols;

/// Answer of the kernel to "can you?": yes, or no with the reason in a few words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Support {
    /// It can.
    Yes,
    /// It cannot; the text says why, without a full stop.
    No(String),
}

impl Support {
    /// A refusal.
    pub fn no(reason: impl Into<String>) -> Self {
        Self::No(reason.into())
    }

    /// Whether it can.
    pub const fn is_yes(&self) -> bool {
        matches!(self, Self::Yes)
    }

    /// Why not; `None` when it can.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Yes => None,
            Self::No(reason) => Some(reason),
        }
    }
}

/// What is found out although it takes long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Detail {
    /// Where functions end: the whole list of symbols is read. Else they are asked for by name where the kernel finds them fast.
    pub extents: bool,
    /// Which program kinds the kernel takes: one of each is attached. Else all are presumed to work, and loading them tells.
    pub capabilities: bool,
}

impl Detail {
    /// All there is.
    pub const EVERYTHING: Self = Self {
        extents: true,
        capabilities: true,
    };
}

/// Everything the probe plan needs to know of a kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// `uname -r`. For people only: no decision rests on it, layouts change inside a stable series.
    pub release: String,
    /// Whether this process may load BPF programs at all.
    pub privilege: Support,
    /// Whether the kernel's type information could be read.
    pub btf: Support,
    /// What was read from it; empty without BTF.
    pub types: TypeFacts,
    /// What programs attach to; known of the running kernel only.
    #[serde(skip)]
    pub targets: Targets,
    /// Kernel symbols that the catalog may ask for.
    pub symbols: Symbols,
    /// Program kinds found by loading one of each.
    pub caps: Caps,
    /// Lockdown level where securityfs shows it. For reasons only: two kernels with the same level differ.
    pub lockdown: Option<String>,
    /// Build options of interest where the kernel shows its configuration. For reasons only.
    pub config: BTreeMap<String, String>,
}

impl Facts {
    /// Reads the facts below `root` (`/` for the running kernel) and asks `probe` what the kernel can do.
    ///
    /// Never fails: what cannot be read is a fact too, kept with its reason.
    pub fn read(root: &Path, probe: &dyn CapabilityProbe, detail: Detail) -> Self {
        let privilege = privilege::read(root);
        let (btf, types, targets) = match btf::read(root) {
            Ok((types, targets)) => (Support::Yes, types, targets),
            Err(reason) => (Support::No(reason), TypeFacts::default(), Targets::default()),
        };
        let by_name = !detail.extents && privilege.is_yes() && targets.symbols_are_sorted;
        let symbols = by_name
            .then(|| Symbols::by_name(|names| probe.addresses(names)))
            .flatten();
        let to_the_end = detail.extents || targets.symbols_are_sorted;
        let symbols = symbols.unwrap_or_else(|| Symbols::read(root, to_the_end));
        let config = config::read(root);
        let lockdown = config::lockdown(root);
        let table = offsets::table_path(&types);
        let caps = match [&privilege, &btf].iter().find_map(|support| support.reason()) {
            Some(reason) => Caps::none(reason),
            None if detail.capabilities => Caps::find(probe, &targets, caps::kprobe_pmu(root), table)
                .explained(&config, lockdown.as_deref()),
            None => Caps::presumed(probe, &targets, table),
        };
        Self {
            release: text(root, "proc/sys/kernel/osrelease").unwrap_or_else(|| "unknown".to_owned()),
            privilege,
            btf,
            types,
            targets,
            symbols,
            caps,
            lockdown,
            config,
        }
    }

    /// Whether fentry and fexit can name `function`: BTF has it and the symbol was not cloned by the compiler.
    ///
    /// BTF alone does not tell: pahole 1.30 lists `ep_item_poll` where the only symbol is `ep_item_poll.isra.0`.
    pub fn traceable(&self, function: &str) -> Support {
        if !self.types.functions.contains(function) {
            return Support::No(format!("BTF has no function {function}"));
        }
        match self.symbols.readable {
            Support::Yes => self.symbols.find(function),
            Support::No(_) => Support::Yes,
        }
    }

    /// Whether a kprobe can name `symbol`, a compiler's suffix included.
    pub fn probeable(&self, symbol: &str) -> Support {
        match self.symbols.readable {
            Support::Yes => self.symbols.find(symbol),
            Support::No(_) if self.types.functions.contains(symbol) => Support::Yes,
            Support::No(ref reason) => Support::No(format!("cannot look for {symbol}: {reason}")),
        }
    }

    /// Whether the kernel has a tracepoint `name` with types.
    pub fn tracepoint(&self, name: &str) -> Support {
        if self.types.tracepoints.contains(name) {
            Support::Yes
        } else {
            Support::No(format!("BTF has no tracepoint {name}"))
        }
    }

    /// Whether the offset of `field` is known.
    pub fn field(&self, field: Field) -> Support {
        if self.types.fields.contains_key(&field) {
            Support::Yes
        } else {
            Support::No(format!("BTF has no field {}", field.name()))
        }
    }
}

/// Trimmed text of a small file below `root`; `None` where it cannot be read.
fn text(root: &Path, path: &str) -> Option<String> {
    let text = fs::read_to_string(root.join(path)).ok()?;
    Some(text.trim().to_owned())
}

#[cfg(test)]
mod tests;
