use std::path::{Path, PathBuf};

use super::rules::{AGENT, OBJECT};
use super::{Module, check, module_of, names_of, without_tests};

fn module(path: &str, text: &str) -> Module {
    Module {
        shown: PathBuf::new(),
        path: path.to_owned(),
        names: names_of(text, path).unwrap(),
    }
}

fn breaches(source: &str, path: &str, text: &str) -> Vec<String> {
    check(source, &module(path, text))
        .map(|(name, _)| name.text.clone())
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
fn a_command_that_draws() {
    let text = "use crate::view::tui; use ratatui::style::Color; use epoll_trace_ebpf::RowKey;";
    assert_eq!(
        breaches(AGENT, "commands::top", text),
        ["epoll_trace_ebpf::RowKey", "ratatui::style::Color"]
    );
}

#[test]
fn relative_paths_and_longer_names() {
    assert_eq!(
        breaches(AGENT, "model::process", "use super::super::view::text;"),
        ["crate::view::text"]
    );
    assert!(breaches(AGENT, "model::process", "use crate::viewer::X; use aya_logs::Y;").is_empty());
}

#[test]
fn probes_leave_maps_to_the_signals() {
    let text = "use crate::{kernel::typed, maps::WAITS};";
    assert_eq!(breaches(OBJECT, "probes::fentry", text), ["crate::maps::WAITS"]);
    assert!(breaches(OBJECT, "signals::wait", text).is_empty());
}

#[test]
fn the_shared_layout_knows_no_bpf() {
    let text = "use aya_ebpf::maps::Array;";
    assert_eq!(breaches(OBJECT, "lib", text), ["aya_ebpf::maps::Array"]);
    assert!(breaches(OBJECT, "maps", text).is_empty());
    assert_eq!(breaches(OBJECT, "maps", "use std::fs;"), ["std::fs"]);
}

#[test]
fn files_of_proc_have_few_readers() {
    let text = r#"
        /// Not /proc itself.
        #[doc = "/proc"]
        fn read() {
            fs::read("/proc/stat");
            fs::read(format!("/proc/{pid}/comm", pid = 1));
            bail!("/process and is /proc mounted?");
        }
    "#;
    assert_eq!(
        breaches(AGENT, "source::live", text),
        ["/proc/stat", "/proc/{pid}/comm"]
    );
    for reader in ["identity", "kernel::btf", "probe::load", "workload::report"] {
        assert!(breaches(AGENT, reader, text).is_empty(), "{reader}");
    }
    assert_eq!(breaches(AGENT, "probe::plan", text).len(), 2);
}

#[test]
fn tests_may_know_anything() {
    let text = "#[cfg(test)] mod tests { use crate::source::Source; const A: &str = \"/proc\"; }";
    assert!(breaches(AGENT, "model::process", text).is_empty());
}

#[test]
fn tests_in_files_of_their_own_are_tests() {
    let modules = [
        module("lib", "mod model; #[cfg(test)] pub(crate) mod canned;"),
        module("canned", ""),
        module("model", "mod group; mod tests;"),
        module("model::group", "#[cfg(test)] mod tests;"),
        module("model::group::tests", ""),
        module("model::group::tests::more", ""),
        module("model::tests", ""),
    ];
    let left: Vec<_> = without_tests(&modules)
        .map(|module| module.path.as_str())
        .collect();
    assert_eq!(left, ["lib", "model", "model::group", "model::tests"]);
}
