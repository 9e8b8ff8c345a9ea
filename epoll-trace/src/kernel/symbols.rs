//! Kernel symbols: which functions exist under which name, compiler clones included.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Support;
use super::names::{DATA, FUNCTIONS};

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
    /// Reads /proc/kallsyms below `root`.
    pub(super) fn read(root: &Path) -> Self {
        let mut symbols = Self {
            readable: Support::Yes,
            present: BTreeSet::new(),
            data: BTreeMap::new(),
            texts: BTreeMap::new(),
        };
        // The list is sorted by address: a function ends where the next one begins.
        let mut open = None;
        let read = File::open(root.join("proc/kallsyms")).and_then(|file| {
            BufReader::new(file)
                .lines()
                .try_for_each(|line| line.map(|line| symbols.add(&line, &mut open)))
        });
        if let Err(error) = read {
            symbols.readable = Support::No(format!("cannot read /proc/kallsyms: {error}"));
        }
        symbols
    }

    /// None, for `reason`.
    pub(super) fn unreadable(reason: &str) -> Self {
        Self {
            readable: Support::no(reason),
            present: BTreeSet::new(),
            data: BTreeMap::new(),
            texts: BTreeMap::new(),
        }
    }

    /// Address of the data called `symbol`, where the kernel shows it.
    pub fn address(&self, symbol: &str) -> Option<u64> {
        self.data.get(symbol).copied()
    }

    /// Takes in one line, `ADDRESS TYPE NAME [MODULE]`; `open` is the function whose end is not known yet.
    fn add(&mut self, line: &str, open: &mut Option<(String, u64)>) {
        let mut words = line.split_ascii_whitespace();
        let (Some(address), Some(kind), Some(name), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return;
        };
        // kptr_restrict shows 0.
        let address = u64::from_str_radix(address, 16)
            .ok()
            .filter(|&address| address != 0);
        if let Some((function, start)) = open.take_if(|(_, start)| address.is_some_and(|end| end > *start))
            && let Some(end) = address
        {
            self.texts.insert(function, (start, end));
        }
        if DATA.contains(&name) {
            self.data
                .extend(address.map(|address| (name.to_owned(), address)));
        } else if kind.eq_ignore_ascii_case("t") && FUNCTIONS.contains(&source_name(name)) {
            self.present.insert(name.to_owned());
            *open = address.map(|start| (name.to_owned(), start));
        }
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
        Symbols::read(root.path())
    }

    #[test]
    fn only_kernel_functions_of_interest_are_kept() {
        let symbols = symbols(&[
            "ffffffff81000000 t ep_poll_callback",
            "ffffffff81000100 t ep_scan_ready_list.constprop.0",
            "ffffffff81000200 T schedule",
            "ffffffffc0000000 t do_epoll_wait\t[some_module]",
            "ffffffff82000000 r ep_done_scan",
            "ffffffff82000100 d eventpoll_fops",
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
