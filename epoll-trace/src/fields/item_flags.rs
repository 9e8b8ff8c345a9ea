//! The flags of watched files as people write and read them.

use crate::model::snapshot;

/// Flags of items: the bit, as tables have it, and in words.
const FLAG_NAMES: [(u32, &str, &str); 4] = [
    (snapshot::EDGE, "ET", "edge-triggered"),
    (snapshot::ONESHOT, "1SHOT", "ONESHOT"),
    (snapshot::EXCLUSIVE, "EXCL", "EXCLUSIVE"),
    (snapshot::WAKEUP, "WAKE", "WAKEUP"),
];

/// Items without any flag, likewise.
const LEVEL: (&str, &str) = ("LT", "level-triggered");

/// The flags in a mask of epoll_ctl, as people write them.
pub fn flags(flags: u32) -> String {
    joined(flags, "|", LEVEL.0, |&(_, name, _)| name)
}

/// The same in words, as a sentence has them.
pub fn flags_in_words(flags: u32) -> String {
    joined(flags, " and ", LEVEL.1, |&(_, _, words)| words)
}

/// The short name of the flag that `word` is the beginning of, be it its short or its long name, in any case.
pub fn flag_named(word: &str) -> Option<&'static str> {
    let begins = |name: &str| {
        let start = name.get(..word.len());
        !word.is_empty() && start.is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    let names = FLAG_NAMES.iter().map(|&(_, name, words)| (name, words));
    let mut all = names.chain([LEVEL]);
    let found = all.find(|&(name, words)| begins(name) || begins(words));
    found.map(|(name, _)| name)
}

fn joined(
    flags: u32,
    between: &str,
    none: &str,
    name: fn(&(u32, &'static str, &'static str)) -> &'static str,
) -> String {
    let set = FLAG_NAMES.iter().filter(|(bit, ..)| flags & bit != 0);
    let names: Vec<_> = set.map(name).collect();
    if names.is_empty() {
        none.to_owned()
    } else {
        names.join(between)
    }
}
