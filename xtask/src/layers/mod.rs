//! `cargo xtask layers`: checks which module names which other against the table of the design.
//!
//! Looks at every path in the code, not only at `use` lines, and at texts that are files of `/proc`. Tests may know
//! anything, those in files of their own too, and the paths in arguments of macros are not looked into.

mod names;
mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::paths;
use names::{Name, Names};
use rules::{AGENT, OBJECT, PROC, PROC_READERS, ROOTS, RULES};

/// What one file names.
struct Module {
    /// As people find it.
    shown: PathBuf,
    /// As `view::tui`.
    path: String,
    names: Names,
}

/// Prints every breach, and says whether there is none.
pub(crate) fn run() -> Result<bool> {
    let mut breaches = Vec::new();
    for source in [AGENT, OBJECT] {
        let modules = read(source)?;
        for module in without_tests(&modules) {
            breaches.extend(check(source, module).map(|(name, rule)| {
                format!("{}:{}: {} {rule}", module.shown.display(), name.line, module.path)
            }));
        }
    }
    for breach in &breaches {
        println!("{breach}");
    }
    // One more for `/proc`.
    println!("layers: {} breaches of {} rules", breaches.len(), RULES.len() + 1);
    Ok(breaches.is_empty())
}

fn read(source: &str) -> Result<Vec<Module>> {
    let mut modules = Vec::new();
    for file in rust_files(&paths::workspace().join(source))? {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let shown = file
            .strip_prefix(paths::workspace())
            .unwrap_or(&file)
            .to_path_buf();
        let path = module_of(shown.strip_prefix(source).unwrap_or(&shown));
        let names = names_of(&text, &path).with_context(|| format!("cannot parse {}", shown.display()))?;
        modules.push(Module { shown, path, names });
    }
    Ok(modules)
}

/// `super` counts from the module; the rules name the roots by their files.
fn names_of(text: &str, module: &str) -> Result<Names> {
    names::of(text, if ROOTS.contains(&module) { "" } else { module })
}

/// The modules that no other declares as a test.
fn without_tests(modules: &[Module]) -> impl Iterator<Item = &Module> {
    modules.iter().filter(|module| {
        !modules
            .iter()
            .flat_map(|other| &other.names.test_modules)
            .any(|test| below(&module.path, test))
    })
}

/// Every name that breaks a rule, with that rule in words.
fn check<'a>(source: &'a str, module: &'a Module) -> impl Iterator<Item = (&'a Name, String)> + 'a {
    let paths = RULES
        .iter()
        .filter(move |rule| rule.source == source && below(&module.path, rule.module))
        .flat_map(|rule| rule.forbidden)
        .flat_map(move |&forbidden| {
            let breaks = move |name: &&Name| below(&name.text, forbidden);
            module
                .names
                .paths
                .iter()
                .filter(breaks)
                .map(move |name| (name, format!("names {}, and may not know {forbidden}", name.text)))
        });
    let may_read = PROC_READERS.iter().any(|reader| below(&module.path, reader));
    let files = module
        .names
        .texts
        .iter()
        .filter(move |name| source == AGENT && !may_read && is_in_proc(&name.text))
        .map(|name| {
            let words = format!(
                "names the file {}: only {} may",
                name.text,
                PROC_READERS.join(", ")
            );
            (name, words)
        });
    paths.chain(files)
}

/// Whether `path` is `prefix` or lies below it; the empty prefix stands for everything.
fn below(path: &str, prefix: &str) -> bool {
    prefix.is_empty()
        || path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Whether `text` is a file, and no sentence about one.
fn is_in_proc(text: &str) -> bool {
    text.strip_prefix(PROC)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `view/tui/mod.rs` is `view::tui`.
fn module_of(file: &Path) -> String {
    let path = file.with_extension("");
    let mut parts: Vec<_> = path
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    parts.pop_if(|last| last == "mod");
    parts.join("::")
}

fn rust_files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests;
