//! The kernel's own type information: which functions and tracepoints exist, where fields lie, what a parameter is.

mod types;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::fields::Field;
use super::names::{FUNCTIONS, SORTED_SYMBOLS, TIMEOUT, TRACEPOINTS};
use types::{Btf, Kind};

const PATH: &str = "sys/kernel/btf/vmlinux";
/// Anonymous structures nest only a few levels deep; the limit guards against a malformed file.
const MAX_ANONYMOUS: u32 = 8;

/// What BTF says, restricted to the names of [`super::names`] and [`super::fields`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypeFacts {
    /// Functions that have a FUNC record. A record does not imply that the function can be attached to.
    pub functions: BTreeSet<String>,
    /// Tracepoints that have a `btf_trace_` type.
    pub tracepoints: BTreeSet<String>,
    /// Byte offset of each field inside its structure.
    pub fields: BTreeMap<Field, u32>,
    /// Whether the timeout of `do_epoll_wait` is a `timespec64 *` (since 5.11) and not an `int` of ms.
    pub timeout_is_pointer: Option<bool>,
}

/// BTF ids that programs attach to; they hold for this boot only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// Of functions, for fentry and fexit.
    pub functions: BTreeMap<String, u32>,
    /// Of tracepoints, for tp_btf.
    pub tracepoints: BTreeMap<String, u32>,
    /// Whether the kernel finds a symbol by its name without looking at all of them.
    pub symbols_are_sorted: bool,
}

/// Reads BTF below `root`.
///
/// # Errors
/// In a sentence: there is none, or it is not what it should be.
pub(super) fn read(root: &Path) -> Result<(TypeFacts, Targets), String> {
    let path = root.join(PATH);
    let refused = |what: &str| format!("/{PATH} {what}: it takes a kernel built with CONFIG_DEBUG_INFO_BTF");
    let bytes = fs::read(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => refused("does not exist"),
        _ => refused(&format!("cannot be read ({error})")),
    })?;
    let btf = Btf::parse(bytes, &wanted()).map_err(|error| refused(&format!("cannot be read ({error})")))?;
    let targets = targets(&btf);
    Ok((facts(&btf, &targets), targets))
}

/// Every name that anybody asks for.
fn wanted() -> BTreeSet<String> {
    let structures = Field::ALL.iter().flat_map(|field| field.alternatives());
    let names = FUNCTIONS.iter().chain(structures.map(|(structure, _)| structure));
    let names = names.chain([&SORTED_SYMBOLS]);
    let tracepoints = TRACEPOINTS.iter().map(|name| tracepoint_type(name));
    names.map(|&name| name.to_owned()).chain(tracepoints).collect()
}

fn tracepoint_type(name: &str) -> String {
    format!("btf_trace_{name}")
}

fn targets(btf: &Btf) -> Targets {
    let first = |name: &str, kind| btf.ids(name, kind).next();
    let functions = FUNCTIONS
        .iter()
        .filter_map(|&name| Some((name.to_owned(), first(name, Kind::Function)?)));
    let tracepoints = TRACEPOINTS
        .iter()
        .filter_map(|&name| Some((name.to_owned(), first(&tracepoint_type(name), Kind::Typedef)?)));
    Targets {
        functions: functions.collect(),
        tracepoints: tracepoints.collect(),
        symbols_are_sorted: first(SORTED_SYMBOLS, Kind::Function).is_some(),
    }
}

fn facts(btf: &Btf, targets: &Targets) -> TypeFacts {
    TypeFacts {
        functions: targets.functions.keys().cloned().collect(),
        tracepoints: targets.tracepoints.keys().cloned().collect(),
        fields: Field::ALL
            .iter()
            .filter_map(|&field| Some((field, field_offset(btf, field)?)))
            .collect(),
        timeout_is_pointer: is_pointer(btf, TIMEOUT.0, TIMEOUT.1),
    }
}

fn field_offset(btf: &Btf, field: Field) -> Option<u32> {
    field.alternatives().iter().find_map(|(structure, path)| {
        let offsets: BTreeSet<u32> = btf
            .ids(structure, Kind::Struct)
            .filter_map(|id| member_bits(btf, id, path, 0))
            .collect();
        // Two structures of one name that disagree: a wrong offset would be worse than none.
        let unique = (offsets.len() == 1).then_some(offsets)?;
        unique.first().map(|bits| bits / u8::BITS)
    })
}

/// Bit offset of member `name`, also inside anonymous members: fields move in and out of those between kernels.
fn member_bits(btf: &Btf, structure: u32, name: &str, depth: u32) -> Option<u32> {
    if depth > MAX_ANONYMOUS {
        return None;
    }
    btf.members(structure).find_map(|member| {
        if member.name == name.as_bytes() {
            return (member.bits % u8::BITS == 0).then_some(member.bits);
        }
        if !member.name.is_empty() {
            return None;
        }
        Some(member.bits + member_bits(btf, member.id, name, depth + 1)?)
    })
}

fn is_pointer(btf: &Btf, function: &str, parameter: usize) -> Option<bool> {
    let function = btf.ids(function, Kind::Function).next()?;
    let parameter = btf.parameter(btf.target(function)?, parameter)?;
    match btf.kind(btf.plain(parameter)) {
        Kind::Pointer => Some(true),
        Kind::Int => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
