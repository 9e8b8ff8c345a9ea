//! `cargo xtask layers`: checks which module names which other against the table of the design.
//!
//! Looks at every path in the code, not only at `use` lines. Tests may know anything, and the arguments of macros
//! are not looked into.

mod names;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::paths;
use names::Name;

/// A row of the table: what the modules below `module` may not name, as path prefixes.
struct Rule {
    /// Source directory of the crate, from the top of the workspace.
    source: &'static str,
    /// Path of the module within the crate, as `probe::plan`; it stands for its submodules too. `lib` and `main` are
    /// the two roots by themselves, and nothing is every module.
    module: &'static str,
    forbidden: &'static [&'static str],
}

const AGENT: &str = "epoll-trace/src";
const ROOTS: [&str; 2] = ["lib", "main"];
const OBJECT: &str = "epoll-trace-ebpf/src";

const PURE: &[&str] = &[
    "aya",
    "procfs",
    "std::fs",
    "std::io",
    "std::time::Instant",
    "std::time::SystemTime",
];

const fn rule(source: &'static str, module: &'static str, forbidden: &'static [&'static str]) -> Rule {
    Rule {
        source,
        module,
        forbidden,
    }
}

/// Design, section 5.
const RULES: &[Rule] = &[
    rule(OBJECT, "", &["std"]),
    rule(OBJECT, "lib", &["aya_ebpf", "aya_log_ebpf"]),
    rule(OBJECT, "probes", &["crate::maps", "crate::kernel"]),
    rule(OBJECT, "signals", &["crate::probes"]),
    rule(AGENT, "kernel", &["aya", "epoll_trace_ebpf"]),
    rule(
        AGENT,
        "kernel",
        &["crate::probe", "crate::source", "crate::view", "crate::commands"],
    ),
    rule(AGENT, "probe::catalog", PURE),
    rule(AGENT, "probe::plan", PURE),
    rule(
        AGENT,
        "probe",
        &["crate::source", "crate::view", "crate::commands"],
    ),
    rule(AGENT, "source", &["crate::view", "crate::commands"]),
    rule(
        AGENT,
        "model",
        &["aya", "epoll_trace_ebpf", "procfs", "ratatui", "crossterm"],
    ),
    rule(
        AGENT,
        "model",
        &["std::fs", "std::time::Instant", "std::time::SystemTime"],
    ),
    rule(
        AGENT,
        "model",
        &["crate::source", "crate::view", "crate::commands"],
    ),
    rule(
        AGENT,
        "fields",
        &["ratatui", "crate::source", "crate::probe", "crate::view"],
    ),
    rule(
        AGENT,
        "view",
        &[
            "aya",
            "epoll_trace_ebpf",
            "crate::source",
            "crate::probe",
            "crate::commands",
        ],
    ),
    rule(
        AGENT,
        "view::tui::app",
        &["ratatui", "crossterm", "std::fs", "std::io", "std::time::Instant"],
    ),
    rule(
        AGENT,
        "workload",
        &["aya", "crate::probe", "crate::source", "crate::view"],
    ),
];

/// Prints every breach, and says whether there is none.
pub(crate) fn run() -> Result<bool> {
    let mut breaches = Vec::new();
    for source in [AGENT, OBJECT] {
        for file in rust_files(&paths::workspace().join(source))? {
            let text =
                fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let shown = file.strip_prefix(paths::workspace()).unwrap_or(&file);
            let module = module_of(shown.strip_prefix(source).unwrap_or(shown));
            // Tests in a file of their own may know anything too.
            if module.rsplit("::").next() == Some("tests") {
                continue;
            }
            // `super` counts from the module; the rules name the roots by their files.
            let within = if ROOTS.contains(&module.as_str()) {
                ""
            } else {
                &module
            };
            let names =
                names::of(&text, within).with_context(|| format!("cannot parse {}", shown.display()))?;
            breaches.extend(check(source, &module, &names).map(|(name, forbidden)| {
                let (file, line) = (shown.display(), name.line);
                format!(
                    "{file}:{line}: {module} names {}, and may not know {forbidden}",
                    name.path
                )
            }));
        }
    }
    for breach in &breaches {
        println!("{breach}");
    }
    println!("layers: {} breaches of {} rules", breaches.len(), RULES.len());
    Ok(breaches.is_empty())
}

fn check<'a>(
    source: &'a str,
    module: &'a str,
    names: &'a [Name],
) -> impl Iterator<Item = (&'a Name, &'static str)> + 'a {
    RULES
        .iter()
        .filter(move |rule| rule.source == source && below(module, rule.module))
        .flat_map(|rule| rule.forbidden)
        .flat_map(move |&forbidden| {
            names
                .iter()
                .filter(move |name| below(&name.path, forbidden))
                .map(move |name| (name, forbidden))
        })
}

/// Whether `path` is `prefix` or lies below it; the empty prefix stands for everything.
fn below(path: &str, prefix: &str) -> bool {
    prefix.is_empty()
        || path
            .strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
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
mod tests {
    use std::path::Path;

    use super::{AGENT, OBJECT, check, module_of, names};

    fn breaches(source: &str, module: &str, text: &str) -> Vec<String> {
        let names = names::of(text, module).unwrap();
        check(source, module, &names)
            .map(|(name, _)| name.path.clone())
            .collect()
    }

    #[test]
    fn modules_of_files() {
        assert_eq!(module_of(Path::new("view/tui/mod.rs")), "view::tui");
        assert_eq!(module_of(Path::new("probe/plan.rs")), "probe::plan");
        assert_eq!(module_of(Path::new("lib.rs")), "lib");
    }

    #[test]
    fn a_view_that_reads_the_source() {
        let text = "use crate::{model::snapshot::Snapshot, source::Source};";
        assert_eq!(breaches(AGENT, "view::text", text), ["crate::source::Source"]);
        assert!(breaches(AGENT, "commands::hist", text).is_empty());
    }

    #[test]
    fn a_model_that_knows_the_clock() {
        let text = "fn now() -> u64 { std::time::Instant::now(); aya::Ebpf::load(); 0 }";
        assert_eq!(
            breaches(AGENT, "model::delta", text),
            ["aya::Ebpf::load", "std::time::Instant::now"]
        );
    }

    #[test]
    fn relative_paths_and_longer_names() {
        assert_eq!(
            breaches(AGENT, "model::process", "use super::super::view::text;"),
            ["crate::view::text"]
        );
        assert!(breaches(AGENT, "model::process", "use crate::viewer::X; use aya_log::Y;").is_empty());
    }

    #[test]
    fn probes_leave_maps_to_the_signals() {
        assert_eq!(
            breaches(OBJECT, "probes::fentry", "use crate::maps::WAITS;"),
            ["crate::maps::WAITS"]
        );
        assert!(breaches(OBJECT, "signals::wait", "use crate::maps::WAITS;").is_empty());
    }

    #[test]
    fn the_shared_layout_knows_no_bpf() {
        let text = "use aya_ebpf::maps::Array;";
        assert_eq!(breaches(OBJECT, "lib", text), ["aya_ebpf::maps::Array"]);
        assert!(breaches(OBJECT, "maps", text).is_empty());
        assert_eq!(breaches(OBJECT, "maps", "use std::fs;"), ["std::fs"]);
    }

    #[test]
    fn tests_may_know_anything() {
        let text = "#[cfg(test)] mod tests { use crate::source::Source; }";
        assert!(breaches(AGENT, "model::process", text).is_empty());
    }
}
