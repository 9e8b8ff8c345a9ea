//! The kernel's types as aya wants them when it loads a program: only to find the id of what that attaches to.
//!
//! The facts have those ids. To parse the kernel's 130,000 types a second time takes 90 million instructions and 20 MB.

use std::collections::BTreeMap;

use anyhow::Context as _;
use aya::{Btf, Endianness};

use crate::kernel::btf::Targets;

// linux/btf.h
const MAGIC: u32 = 0x0001_eb9f;
const HEADER_BYTES: u32 = 24;
const TYPE_BYTES: u32 = 12;
const FORWARD: u32 = 7 << 24;
const TYPEDEF: u32 = 8 << 24;
const FUNCTION: u32 = 12 << 24;
/// More than any kernel has; a limit for what a damaged one may claim.
const MAX_TYPES: u32 = 10_000_000;

/// Types of which only `targets` have a name; each has the id that it has in the kernel.
///
/// # Errors
/// When aya does not take them.
pub(super) fn only(targets: &Targets) -> anyhow::Result<Btf> {
    let functions = targets
        .functions
        .iter()
        .map(|(name, &id)| (id, (FUNCTION, name.clone())));
    let tracepoints = targets
        .tracepoints
        .iter()
        .map(|(name, &id)| (id, (TYPEDEF, format!("btf_trace_{name}"))));
    let named: BTreeMap<u32, (u32, String)> = functions
        .chain(tracepoints)
        .filter(|&(id, _)| id <= MAX_TYPES)
        .collect();
    let count = named.last_key_value().map_or(0, |(&id, _)| id);
    let types_bytes = count * TYPE_BYTES;
    let mut strings = vec![0];
    let mut words = vec![MAGIC, HEADER_BYTES, 0, types_bytes, types_bytes, 0];
    words.reserve(count as usize * 3);
    let mut rest = named.into_iter().peekable();
    for id in 1..=count {
        match rest.next_if(|&(named, _)| named == id) {
            Some((_, (kind, name))) => {
                words.extend([strings.len() as u32, kind, 0]);
                strings.extend(name.bytes().chain([0]));
            }
            None => words.extend([0, FORWARD, 0]),
        }
    }
    if let Some(length) = words.get_mut(5) {
        *length = strings.len() as u32;
    }
    let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_ne_bytes).collect();
    bytes.extend(strings);
    Btf::parse(&bytes, Endianness::default()).context("cannot name what to attach to")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_id() {
        let targets = Targets {
            functions: BTreeMap::from([("do_epoll_wait".to_owned(), 7), ("ep_poll".to_owned(), 2)]),
            tracepoints: BTreeMap::from([("sched_switch".to_owned(), 5)]),
            ..Targets::default()
        };
        let bytes = only(&targets).unwrap().to_bytes();
        let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
        let named = |id: usize| {
            let at = 24 + (id - 1) * 12;
            let name = 24 + word(16) as usize + word(at) as usize;
            let name = bytes[name..].split(|&byte| byte == 0).next().unwrap();
            (word(at + 4) >> 24, String::from_utf8_lossy(name).into_owned())
        };
        let all: Vec<_> = (1..=7).map(named).collect();
        let nothing = || (7, String::new());
        assert_eq!(all[1], (12, "ep_poll".to_owned()));
        assert_eq!(all[4], (8, "btf_trace_sched_switch".to_owned()));
        assert_eq!(all[6], (12, "do_epoll_wait".to_owned()));
        assert!([0, 2, 3, 5].iter().all(|&index| all[index] == nothing()));
    }

    #[test]
    fn without_targets_there_is_nothing() {
        assert_eq!(only(&Targets::default()).unwrap().to_bytes().len(), 25);
    }
}
