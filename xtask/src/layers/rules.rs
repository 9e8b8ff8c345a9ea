//! The table of the design: who may not know what.

/// A row of the table: what the modules below `module` may not name, as path prefixes.
pub(super) struct Rule {
    /// Source directory of the crate, from the top of the workspace.
    pub(super) source: &'static str,
    /// Path of the module within the crate, as `probe::plan`; it stands for its submodules too. `lib` and `main` are
    /// the two roots by themselves, and nothing is every module.
    pub(super) module: &'static str,
    /// What it may not know.
    pub(super) forbidden: &'static [&'static str],
}

/// Sources of the agent.
pub(super) const AGENT: &str = "epoll-trace/src";
/// Sources of the BPF object.
pub(super) const OBJECT: &str = "epoll-trace-ebpf/src";
/// Modules that are the root of a crate.
pub(super) const ROOTS: [&str; 2] = ["lib", "main"];

/// Modules of the agent that may name files below [`PROC`]: facts, names after the start, the programs' own counts,
/// and loads that watch themselves.
pub(super) const PROC_READERS: &[&str] = &["identity", "kernel", "probe::load", "probe::loader", "workload"];
/// Where the kernel shows processes.
pub(super) const PROC: &str = "/proc";

const PURE: &[&str] = &[
    "aya",
    "procfs",
    "std::fs",
    "std::io",
    "std::time::Instant",
    "std::time::SystemTime",
];

const SCREEN: &[&str] = &["ratatui", "crossterm"];

const fn rule(source: &'static str, module: &'static str, forbidden: &'static [&'static str]) -> Rule {
    Rule {
        source,
        module,
        forbidden,
    }
}

/// The layers of docs/design.md.
pub(super) const RULES: &[Rule] = &[
    rule(OBJECT, "", &["std"]),
    rule(OBJECT, "lib", &["aya_ebpf", "aya_log_ebpf"]),
    // One mechanism's way to arguments: loads through `crate::kernel` are that, maps and pairs are not.
    rule(OBJECT, "probes", &["crate::maps", "aya_ebpf::maps"]),
    rule(OBJECT, "signals", &["crate::probes", "aya_ebpf::programs"]),
    rule(
        OBJECT,
        "kernel",
        &["crate::maps", "crate::probes", "crate::signals"],
    ),
    rule(AGENT, "kernel", &["aya", "aya_log", "epoll_trace_ebpf"]),
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
    rule(AGENT, "model", &["aya", "aya_log", "epoll_trace_ebpf"]),
    rule(AGENT, "model", SCREEN),
    rule(
        AGENT,
        "model",
        &[
            "procfs",
            "std::fs",
            "std::time::Instant",
            "std::time::SystemTime",
            "crate::identity",
        ],
    ),
    rule(
        AGENT,
        "model",
        &[
            "crate::kernel",
            "crate::probe",
            "crate::source",
            "crate::fields",
            "crate::view",
            "crate::commands",
        ],
    ),
    rule(AGENT, "fields", SCREEN),
    rule(AGENT, "fields", &["crate::source", "crate::probe", "crate::view"]),
    rule(AGENT, "view", &["aya", "aya_log", "epoll_trace_ebpf"]),
    rule(
        AGENT,
        "view",
        &[
            "crate::kernel",
            "crate::probe",
            "crate::source",
            "crate::identity",
            "crate::commands",
        ],
    ),
    rule(AGENT, "view::tui::app", SCREEN),
    rule(
        AGENT,
        "view::tui::app",
        &["std::fs", "std::io", "std::time::Instant"],
    ),
    // What a row of bytes or of a screen looks like is not theirs: a command puts parts together.
    rule(AGENT, "commands", &["aya", "epoll_trace_ebpf", "ratatui"]),
    rule(
        AGENT,
        "workload",
        &["aya", "crate::probe", "crate::source", "crate::view"],
    ),
];
