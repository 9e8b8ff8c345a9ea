//! BTF as it lies in memory (linux/btf.h, Documentation/bpf/btf.rst): one pass finds the types that have a wanted name.
//!
//! A kernel has 130,000 types, and a few dozen are of interest: nothing is copied or allocated for the others.

use std::collections::{BTreeMap, BTreeSet};

use crate::kernel::sieve::Sieve;

/// At the start of BTF in this machine's byte order.
const MAGIC: u16 = 0xeb9f;
/// Words of a type before what depends on its kind.
const HEAD_WORDS: usize = 3;
/// `struct btf_header` up to the end of its last field.
const HEADER_BYTES: usize = 24;
/// Modifiers in a row at most; the limit guards against a malformed file.
const MAX_CHAIN: u32 = 32;

/// What a type is, as far as anybody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Pointer,
    Struct,
    Typedef,
    Function,
    Prototype,
    /// const, volatile, restrict, or a type tag.
    Modifier,
    Other,
}

impl Kind {
    fn of(number: u32) -> Self {
        match number {
            1 => Self::Int,
            2 => Self::Pointer,
            // A union is a structure whose members begin at one place.
            4 | 5 => Self::Struct,
            8 => Self::Typedef,
            9..=11 | 18 => Self::Modifier,
            12 => Self::Function,
            13 => Self::Prototype,
            _ => Self::Other,
        }
    }
}

/// Bytes behind the head of a type of kind `number` with `count` members; `None` for a kind that is not known.
fn tail_bytes(number: u32, count: usize) -> Option<usize> {
    Some(match number {
        // Pointer, forward, typedef, volatile, const, restrict, function, float, type tag.
        2 | 7..=12 | 16 | 18 => 0,
        // Integer, variable, declaration tag.
        1 | 14 | 17 => 4,
        // Array.
        3 => 12,
        // Structure, union, data section, 64-bit enumeration.
        4 | 5 | 15 | 19 => 12 * count,
        // Enumeration, prototype.
        6 | 13 => 8 * count,
        _ => return None,
    })
}

/// A member of a structure.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'a> {
    /// Empty for an anonymous one.
    pub(super) name: &'a [u8],
    /// Its type's id.
    pub(super) id: u32,
    /// Where it begins, in bits.
    pub(super) bits: u32,
}

/// Parsed BTF.
pub(super) struct Btf {
    bytes: Vec<u8>,
    /// Where each type begins, from id 1 on.
    places: Vec<u32>,
    strings: usize,
    /// Ids of the types that have a wanted name, ascending.
    named: BTreeMap<String, Vec<u32>>,
}

impl Btf {
    /// Finds the types of `bytes` that are called as one of `wanted`, each of at least four bytes.
    ///
    /// # Errors
    /// When it is no BTF of this machine, or of a kind that is not known yet.
    pub(super) fn parse(bytes: Vec<u8>, wanted: &BTreeSet<String>) -> Result<Self, String> {
        let header = |word: usize| word_at(&bytes, 4 * word).ok_or("it is cut short");
        if bytes.get(..2) != Some(&MAGIC.to_ne_bytes()[..]) {
            return Err("it does not begin as BTF does".to_owned());
        }
        let start = header(1)? as usize;
        let types = start + header(2)? as usize;
        let (end, strings) = (types + header(3)? as usize, start + header(4)? as usize);
        if start < HEADER_BYTES || end > bytes.len() || strings > bytes.len() {
            return Err("its parts lie outside of it".to_owned());
        }
        let mut btf = Self {
            bytes,
            places: Vec::new(),
            strings,
            named: BTreeMap::new(),
        };
        btf.scan(types, end, wanted)?;
        Ok(btf)
    }

    fn scan(&mut self, types: usize, end: usize, wanted: &BTreeSet<String>) -> Result<(), String> {
        let sieve = Sieve::new(wanted.iter().map(String::as_str));
        let mut at = types;
        while at < end {
            let (name, info) = (word_at(&self.bytes, at), word_at(&self.bytes, at + 4));
            let (Some(name), Some(info)) = (name, info) else {
                return Err("its last type is cut short".to_owned());
            };
            self.places.push(at as u32);
            let (kind, count) = (info >> 24 & 0x1f, info & 0xffff);
            let named = matches!(Kind::of(kind), Kind::Struct | Kind::Typedef | Kind::Function);
            if named && name != 0 && self.starts(name).is_some_and(|start| sieve.lets_through(start)) {
                self.keep(name, wanted);
            }
            let tail =
                tail_bytes(kind, count as usize).ok_or_else(|| format!("it has a type of kind {kind}"))?;
            at += 4 * HEAD_WORDS + tail;
        }
        Ok(())
    }

    /// Remembers the last type found, if its name is wanted.
    fn keep(&mut self, name: u32, wanted: &BTreeSet<String>) {
        let id = self.places.len() as u32;
        if let Ok(name) = str::from_utf8(self.string(name))
            && wanted.contains(name)
        {
            self.named.entry(name.to_owned()).or_default().push(id);
        }
    }

    fn starts(&self, offset: u32) -> Option<[u8; 4]> {
        let at = self.strings + offset as usize;
        self.bytes.get(at..at + 4)?.try_into().ok()
    }

    fn string(&self, offset: u32) -> &[u8] {
        let rest = self
            .bytes
            .get(self.strings + offset as usize..)
            .unwrap_or_default();
        rest.split(|&byte| byte == 0).next().unwrap_or_default()
    }

    /// The type's words: name, kind with the number of its members, size or type.
    fn head(&self, id: u32) -> Option<(usize, [u32; HEAD_WORDS])> {
        let at = *self.places.get((id as usize).checked_sub(1)?)? as usize;
        let word = |index: usize| word_at(&self.bytes, at + 4 * index);
        Some((at + 4 * HEAD_WORDS, [word(0)?, word(1)?, word(2)?]))
    }

    /// What type `id` is; 0 is void.
    pub(super) fn kind(&self, id: u32) -> Kind {
        self.head(id)
            .map_or(Kind::Other, |(_, [_, info, _])| Kind::of(info >> 24 & 0x1f))
    }

    /// Ids of the types called `name`, one of those that were wanted, that are `kind`.
    pub(super) fn ids(&self, name: &str, kind: Kind) -> impl Iterator<Item = u32> {
        let ids = self.named.get(name).map_or(&[][..], Vec::as_slice);
        ids.iter().copied().filter(move |&id| self.kind(id) == kind)
    }

    /// The type that a pointer, typedef, modifier or function is of.
    pub(super) fn target(&self, id: u32) -> Option<u32> {
        self.head(id).map(|(_, [_, _, target])| target)
    }

    /// `id` without modifiers and typedefs.
    pub(super) fn plain(&self, mut id: u32) -> u32 {
        for _ in 0..MAX_CHAIN {
            match self.kind(id) {
                Kind::Modifier | Kind::Typedef => id = self.target(id).unwrap_or_default(),
                _ => break,
            }
        }
        id
    }

    /// The members of structure or union `id`; none of another type.
    pub(super) fn members(&self, id: u32) -> impl Iterator<Item = Member<'_>> {
        let head = self.head(id).filter(|_| self.kind(id) == Kind::Struct);
        let (at, info) = head.map_or((0, 0), |(at, [_, info, _])| (at, info));
        // With this flag the upper 8 bits of an offset are a bit field's width.
        let mask = if info >> 31 == 0 { u32::MAX } else { 0x00ff_ffff };
        (0..info as usize & 0xffff).map_while(move |index| {
            let word = |word: usize| word_at(&self.bytes, at + 12 * index + 4 * word);
            Some(Member {
                name: self.string(word(0)?),
                id: word(1)?,
                bits: word(2)? & mask,
            })
        })
    }

    /// Type id of parameter `index` of prototype `id`.
    pub(super) fn parameter(&self, id: u32, index: usize) -> Option<u32> {
        let (at, [_, info, _]) = self.head(id).filter(|_| self.kind(id) == Kind::Prototype)?;
        let present = index < info as usize & 0xffff;
        present.then(|| word_at(&self.bytes, at + 8 * index + 4))?
    }
}

fn word_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at.checked_add(4)?)?;
    word.try_into().ok().map(u32::from_ne_bytes)
}
