//! The kernel's own type information: which functions and tracepoints exist, where fields lie, what a parameter is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use btf_rs::{Backend, Btf, BtfType, Struct, Type};
use serde::{Deserialize, Serialize};

use super::fields::Field;
use super::names::{FUNCTIONS, TIMEOUT, TRACEPOINTS, TRIED_FUNCTION, TRIED_TRACEPOINT};

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

/// BTF ids that test programs attach to; they hold for this boot only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// A function, for fentry.
    pub function: Option<u32>,
    /// A tracepoint, for tp_btf.
    pub tracepoint: Option<u32>,
}

/// Reads BTF below `root`; the error is one sentence.
pub(super) fn read(root: &Path) -> Result<(TypeFacts, Targets), String> {
    let path = root.join(PATH);
    let refused = |what: &str| format!("/{PATH} {what}: it takes a kernel built with CONFIG_DEBUG_INFO_BTF");
    // A few dozen names are wanted of 100,000: mapped, nothing else is ever copied. Before 6.16 the kernel cannot map it.
    if let Ok(btf) = Btf::from_file_with_backend(&path, Backend::Mmap) {
        return Ok((facts(&btf), targets(&btf)));
    }
    // In one piece: parsed from the open file it takes a system call per type.
    let bytes = fs::read(&path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => refused("does not exist"),
        _ => refused(&format!("cannot be read ({error})")),
    })?;
    let btf = Btf::from_bytes(&bytes).map_err(|error| refused(&format!("cannot be read ({error})")))?;
    Ok((facts(&btf), targets(&btf)))
}

fn facts(btf: &Btf) -> TypeFacts {
    let named = |names: &[&str], id: &dyn Fn(&str) -> Option<u32>| {
        let present = names.iter().filter(|name| id(name).is_some());
        present.map(|&name| name.to_owned()).collect()
    };
    TypeFacts {
        functions: named(FUNCTIONS, &|name| function_id(btf, name)),
        tracepoints: named(TRACEPOINTS, &|name| tracepoint_id(btf, name)),
        fields: Field::ALL
            .iter()
            .filter_map(|&field| Some((field, field_offset(btf, field)?)))
            .collect(),
        timeout_is_pointer: is_pointer(btf, TIMEOUT.0, TIMEOUT.1),
    }
}

fn targets(btf: &Btf) -> Targets {
    Targets {
        function: function_id(btf, TRIED_FUNCTION),
        tracepoint: tracepoint_id(btf, TRIED_TRACEPOINT),
    }
}

/// Id of the first type called `name` that `wanted` accepts.
fn id_of(btf: &Btf, name: &str, wanted: impl Fn(&Type) -> bool) -> Option<u32> {
    let ids = btf.resolve_ids_by_name(name).ok()?;
    ids.into_iter()
        .find(|&id| btf.resolve_type_by_id(id).is_ok_and(|found| wanted(&found)))
}

fn function_id(btf: &Btf, name: &str) -> Option<u32> {
    id_of(btf, name, |found| matches!(found, Type::Func(_)))
}

fn tracepoint_id(btf: &Btf, name: &str) -> Option<u32> {
    id_of(btf, &format!("btf_trace_{name}"), |found| {
        matches!(found, Type::Typedef(_))
    })
}

fn field_offset(btf: &Btf, field: Field) -> Option<u32> {
    field.alternatives().iter().find_map(|(structure, path)| {
        let types = btf.resolve_types_by_name(structure).ok()?;
        let offsets: BTreeSet<u32> = types
            .iter()
            .filter_map(|found| member_bits(btf, found, path, 0))
            .collect();
        // Two structures of one name that disagree: a wrong offset would be worse than none.
        let unique = (offsets.len() == 1).then_some(offsets)?;
        unique.first().map(|bits| bits / u8::BITS)
    })
}

/// Bit offset of member `name`, also inside anonymous members: fields move in and out of those between kernels.
fn member_bits(btf: &Btf, structure: &Type, name: &str, depth: u32) -> Option<u32> {
    let (Type::Struct(Struct { members, .. }) | Type::Union(Struct { members, .. })) = structure else {
        return None;
    };
    if depth > MAX_ANONYMOUS {
        return None;
    }
    members.iter().find_map(|member| {
        let member_name = btf.resolve_name(member).ok()?;
        if member_name == name {
            return (member.bit_offset() % u8::BITS == 0).then(|| member.bit_offset());
        }
        if !member_name.is_empty() {
            return None;
        }
        let inner = btf.resolve_chained_type(member).ok()?;
        Some(member.bit_offset() + member_bits(btf, &inner, name, depth + 1)?)
    })
}

fn is_pointer(btf: &Btf, function: &str, parameter: usize) -> Option<bool> {
    let Type::Func(function) = btf.resolve_type_by_id(function_id(btf, function)?).ok()? else {
        return None;
    };
    let Type::FuncProto(prototype) = btf.resolve_chained_type(&function).ok()? else {
        return None;
    };
    let parameter: &dyn BtfType = prototype.parameters.get(parameter)?;
    btf.chained_type_iter(parameter).find_map(|found| match found {
        Type::Ptr(_) => Some(true),
        Type::Int(_) => Some(false),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
