//! Kernel symbols: which functions exist under which name, compiler clones included.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Support;
use super::names::{CLONES, DATA, FUNCTIONS, LATE_DATA};
use super::sieve::Sieve;

/// Digits of an address in /proc/kallsyms, and where the name begins.
const ADDRESS_DIGITS: usize = 16;
const NAME_AT: usize = ADDRESS_DIGITS + 3;
/// Longer than any line; the kernel hands out less than that at once.
const BUFFER_BYTES: usize = 64 * 1024;

/// Whose symbol a line shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Kernel,
    Module,
}

/// What /proc/kallsyms shows of [`FUNCTIONS`] and [`DATA`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Symbols {
    /// Whether the list could be read.
    pub readable: Support,
    /// Functions by symbol name, so `NAME` or a clone such as `NAME.isra.0`.
    pub present: BTreeSet<String>,
    /// Addresses of data by symbol name, where the kernel shows them. That of a per-CPU variable is no address as such.
    pub data: BTreeMap<String, u64>,
    /// First address of each of [`FUNCTIONS`] and the first one behind it, where the kernel shows them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub texts: BTreeMap<String, (u64, u64)>,
}

impl Symbols {
    /// Asks `addresses` for each of [`FUNCTIONS`], its clones and [`DATA`]; `None` if it does not tell.
    pub(super) fn by_name(
        addresses: impl FnOnce(&[String]) -> Option<BTreeMap<String, u64>>,
    ) -> Option<Self> {
        let clones = |name: &&str| CLONES.map(|clone| format!("{name}{clone}"));
        let functions = FUNCTIONS.iter().map(|&name| name.to_owned());
        let functions = functions.chain(FUNCTIONS.iter().flat_map(clones));
        let data = DATA.iter().map(|&name| name.to_owned());
        let found = addresses(&functions.chain(data).collect::<Vec<_>>())?;
        let (data, functions): (BTreeMap<_, _>, BTreeMap<_, _>) = found
            .into_iter()
            .partition(|(name, _)| DATA.contains(&name.as_str()));
        // None of the functions: whatever was asked, it was not the list.
        (!functions.is_empty()).then(|| Self {
            readable: Support::Yes,
            present: functions.into_keys().collect(),
            data,
            texts: BTreeMap::new(),
        })
    }

    /// Reads /proc/kallsyms below `root`.
    ///
    /// Unless `to_the_end` it stops behind the last one that is of use.
    pub(super) fn read(root: &Path, to_the_end: bool) -> Self {
        let mut symbols = Self {
            readable: Support::Yes,
            present: BTreeSet::new(),
            data: BTreeMap::new(),
            texts: BTreeMap::new(),
        };
        if let Err(error) = symbols.read_list(&root.join("proc/kallsyms"), to_the_end) {
            symbols.readable = Support::No(format!("cannot read /proc/kallsyms: {error}"));
        }
        symbols
    }

    fn read_list(&mut self, path: &Path, to_the_end: bool) -> io::Result<()> {
        let mut file = File::open(path)?;
        let sieve = Sieve::new(FUNCTIONS.iter().chain(DATA).copied());
        let mut buffer = vec![0; BUFFER_BYTES];
        let mut kept = 0;
        // The list is sorted by address: a function ends where the next one begins.
        let mut open = None;
        loop {
            let read = file.read(buffer.get_mut(kept..).unwrap_or_default())?;
            let filled = kept + read;
            let mut rest = buffer.get(..filled).unwrap_or_default();
            while let Some((line, after)) = next_line(rest, read == 0) {
                rest = after;
                // Modules come last.
                if self.add(line, &sieve, &mut open) == Seen::Module {
                    return Ok(());
                }
            }
            if read == 0 {
                return Ok(());
            }
            if !to_the_end && LATE_DATA.iter().all(|name| self.data.contains_key(*name)) {
                return Ok(());
            }
            let start = filled - rest.len();
            buffer.copy_within(start..filled, 0);
            kept = filled - start;
        }
    }

    /// Address of the data called `symbol`, where the kernel shows it.
    pub fn address(&self, symbol: &str) -> Option<u64> {
        self.data.get(symbol).copied()
    }

    /// Takes in one line, `ADDRESS TYPE NAME` with 16 digits; `open` is the function whose end is not known yet.
    fn add(&mut self, line: &[u8], sieve: &Sieve, open: &mut Option<(String, u64)>) -> Seen {
        let Some(name) = line.get(NAME_AT..) else {
            return Seen::Kernel;
        };
        if name.last() == Some(&b']') {
            return Seen::Module;
        }
        let wanted = name.first_chunk().is_some_and(|&start| sieve.lets_through(start));
        if !wanted && open.is_none() {
            return Seen::Kernel;
        }
        let Ok(name) = str::from_utf8(name) else {
            return Seen::Kernel;
        };
        let kind = line.get(NAME_AT - 2).copied().unwrap_or_default();
        // kptr_restrict shows 0.
        let address = line
            .get(..ADDRESS_DIGITS)
            .and_then(|digits| u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok())
            .filter(|&address| address != 0);
        if let Some((function, start)) = open.take_if(|(_, start)| address.is_some_and(|end| end > *start))
            && let Some(end) = address
        {
            self.texts.insert(function, (start, end));
        }
        if DATA.contains(&name) {
            self.data
                .extend(address.map(|address| (name.to_owned(), address)));
        } else if kind.eq_ignore_ascii_case(&b't') && FUNCTIONS.contains(&source_name(name)) {
            self.present.insert(name.to_owned());
            *open = address.map(|start| (name.to_owned(), start));
        }
        Seen::Kernel
    }

    /// Whether `symbol` exists; the reason names the clone that exists in its place.
    pub(super) fn find(&self, symbol: &str) -> Support {
        if self.present.contains(symbol) {
            return Support::Yes;
        }
        match self
            .present
            .iter()
            .find(|present| source_name(present) == source_name(symbol))
        {
            Some(other) => Support::No(format!("no symbol {symbol}, only {other}")),
            None => Support::No(format!("no symbol {symbol}")),
        }
    }
}

/// The first line of `rest` and what comes behind it. What is not ended yet is a line only at the `end`.
fn next_line(rest: &[u8], end: bool) -> Option<(&[u8], &[u8])> {
    match memchr::memchr(b'\n', rest) {
        Some(at) => Some((rest.get(..at)?, rest.get(at + 1..)?)),
        None if end && !rest.is_empty() => Some((rest, &[])),
        None => None,
    }
}

/// The function's name in the source: compilers append `.isra.0`, `.constprop.0`, `.part.0`.
fn source_name(symbol: &str) -> &str {
    symbol.split_once('.').map_or(symbol, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(lines: &[&str]) -> Symbols {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("proc")).unwrap();
        std::fs::write(root.path().join("proc/kallsyms"), lines.join("\n")).unwrap();
        Symbols::read(root.path(), true)
    }

    #[test]
    fn only_kernel_functions_of_interest_are_kept() {
        let symbols = symbols(&[
            "ffffffff81000000 t ep_poll_callback",
            "ffffffff81000100 t ep_scan_ready_list.constprop.0",
            "ffffffff81000200 T schedule",
            "ffffffff82000000 r ep_done_scan",
            "ffffffff82000100 d eventpoll_fops",
            "ffffffffc0000000 t do_epoll_wait\t[some_module]",
        ]);
        assert_eq!(
            symbols.present.iter().map(String::as_str).collect::<Vec<_>>(),
            ["ep_poll_callback", "ep_scan_ready_list.constprop.0"]
        );
        assert_eq!(symbols.address("eventpoll_fops"), Some(0xffff_ffff_8200_0100));
        assert_eq!(
            symbols.texts["ep_poll_callback"],
            (0xffff_ffff_8100_0000, 0xffff_ffff_8100_0100)
        );
    }

    #[test]
    fn lines_that_fill_more_than_one_buffer_are_whole() {
        let filler = vec!["ffffffff81000000 t something_that_nobody_asks_for_x"; 3000];
        let last = ["ffffffff82000000 t do_epoll_wait", "ffffffff82000100 T schedule"];
        let symbols = symbols(&[filler.as_slice(), &last].concat());
        assert_eq!(
            symbols.texts["do_epoll_wait"],
            (0xffff_ffff_8200_0000, 0xffff_ffff_8200_0100)
        );
    }

    #[test]
    fn asked_by_name_it_says_the_same_but_where_functions_end() {
        let kernel = ["ep_poll_callback", "ep_item_poll.isra.0", "eventpoll_fops"];
        let asked = |names: &[String]| {
            let found = names.iter().filter(|name| kernel.contains(&name.as_str()));
            Some(found.map(|name| (name.clone(), 16)).collect())
        };
        let symbols = Symbols::by_name(asked).unwrap();
        assert_eq!(symbols.address("eventpoll_fops"), Some(16));
        assert!(symbols.find("ep_poll_callback").is_yes() && symbols.texts.is_empty());
        assert_eq!(
            symbols.find("ep_item_poll"),
            Support::no("no symbol ep_item_poll, only ep_item_poll.isra.0")
        );
        assert_eq!(Symbols::by_name(|_| None), None);
        assert_eq!(Symbols::by_name(|_| Some(BTreeMap::new())), None);
    }

    #[test]
    fn a_clone_does_not_stand_for_the_function() {
        let symbols = symbols(&["ffffffff81000100 t ep_done_scan.isra.0"]);
        assert_eq!(symbols.find("ep_done_scan.isra.0"), Support::Yes);
        assert_eq!(
            symbols.find("ep_done_scan"),
            Support::no("no symbol ep_done_scan, only ep_done_scan.isra.0")
        );
        assert_eq!(
            symbols.find("ep_poll_callback"),
            Support::no("no symbol ep_poll_callback")
        );
    }

    #[test]
    fn a_hidden_address_is_no_address() {
        let symbols = symbols(&[
            "0000000000000000 t do_epoll_ctl",
            "0000000000000000 t do_epoll_wait",
            "0000000000000000 d eventpoll_fops",
        ]);
        assert_eq!(symbols.address("eventpoll_fops"), None);
        assert!(symbols.texts.is_empty());
    }
}
