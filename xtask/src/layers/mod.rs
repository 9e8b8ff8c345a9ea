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
    /// Path of the module within the crate, as `probe::plan`; it stands for its submodules too.
    module: &'static str,
    forbidden: &'static [&'static str],
}

const AGENT: &str = "epoll-trace/src";
const OBJECT: &str = "epoll-trace-ebpf/src";

/// Design, section 5.
const RULES: [Rule; 13] = [
    Rule {
        source: OBJECT,
        module: "",
        forbidden: &["aya_ebpf_bindings", "std"],
    },
    Rule {
        source: OBJECT,
        module: "probes",
        forbidden: &["crate::maps", "crate::kernel"],
    },
    Rule {
        source: OBJECT,
        module: "signals",
        forbidden: &["crate::probes"],
    },
    Rule {
        source: AGENT,
        module: "kernel",
        forbidden: &[
            "aya",
            "epoll_trace_ebpf",
            "crate::probe",
            "crate::source",
            "crate::view",
            "crate::commands",
        ],
    },
    Rule {
        source: AGENT,
        module: "probe::catalog",
        forbidden: &PURE,
    },
    Rule {
        source: AGENT,
        module: "probe::plan",
        forbidden: &PURE,
    },
    Rule {
        source: AGENT,
        module: "probe",
        forbidden: &["crate::source", "crate::view", "crate::commands"],
    },
    Rule {
        source: AGENT,
        module: "source",
        forbidden: &["crate::view", "crate::commands"],
    },
    Rule {
        source: AGENT,
        module: "model",
        forbidden: &[
            "aya",
            "epoll_trace_ebpf",
            "ratatui",
            "crossterm",
            "procfs",
            "std::fs",
            "std::time::Instant",
            "std::time::SystemTime",
            "crate::source",
            "crate::view",
            "crate::commands",
        ],
    },
    Rule {
        source: AGENT,
        module: "fields",
        forbidden: &["crate::source", "crate::probe", "crate::view", "ratatui"],
    },
    Rule {
        source: AGENT,
        module: "view",
        forbidden: &[
            "aya",
            "epoll_trace_ebpf",
            "crate::source",
            "crate::probe",
            "crate::commands",
        ],
    },
    Rule {
        source: AGENT,
        module: "view::tui::app",
        forbidden: &["ratatui", "crossterm", "std::fs", "std::io", "std::time::Instant"],
    },
    Rule {
        source: AGENT,
        module: "workload",
        forbidden: &["aya", "crate::probe", "crate::source", "crate::view"],
    },
];

const PURE: [&str; 6] = [
    "aya",
    "procfs",
    "std::fs",
    "std::io",
    "std::time::Instant",
    "std::time::SystemTime",
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
            let names =
                names::of(&text, &module).with_context(|| format!("cannot parse {}", shown.display()))?;
            breaches.extend(check(source, &module, &names).map(|(name, forbidden)| {
                format!(
                    "{}:{}: {} names {}, and may not know {forbidden}",
                    shown.display(),
                    name.line,
                    if module.is_empty() { "the root" } else { &module },
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

/// `view/tui/mod.rs` is `view::tui`; `lib.rs` and `main.rs` are the root, which is empty.
fn module_of(file: &Path) -> String {
    let path = file.with_extension("");
    let mut parts: Vec<_> = path
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    parts.pop_if(|last| matches!(last.as_str(), "mod" | "lib" | "main"));
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
        assert_eq!(module_of(Path::new("lib.rs")), "");
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
    fn tests_may_know_anything() {
        let text = "#[cfg(test)] mod tests { use crate::source::Source; }";
        assert!(breaches(AGENT, "model::process", text).is_empty());
    }
}
