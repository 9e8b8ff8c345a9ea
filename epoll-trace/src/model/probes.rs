//! What the probes of a run can and cannot tell: a verdict per signal, for `epoll-trace probes`, JSON and recordings.
//!
//! Plain data. Signals and families are names here: a recording may know others than this program.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Views are 80 columns wide.
const LINE_COLUMNS: usize = 80;

/// Outcome for one signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Got by a way that loses nothing.
    Chosen,
    /// Got, with something lost.
    Fallback,
    /// Not to be had on this kernel.
    Absent,
    /// Should have worked and did not: worth a bug report.
    Broken,
}

impl Outcome {
    /// The name in text and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chosen => "chosen",
            Self::Fallback => "fallback",
            Self::Absent => "absent",
            Self::Broken => "broken",
        }
    }
}

/// A way to a signal that was looked at and not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    /// Its hook, such as `kprobe do_epoll_wait`.
    pub hook: String,
    /// Why.
    pub why: String,
}

/// The verdict on one signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalStatus {
    /// Its name.
    pub signal: String,
    /// The verdict.
    pub verdict: Outcome,
    /// Names of its programs.
    pub programs: Vec<String>,
    /// Where they are attached; `None` when absent.
    pub hook: Option<String>,
    /// What they tell.
    pub tells: Option<String>,
    /// What is lost with a fallback.
    pub lost: Option<String>,
    /// Why it is absent, or the kernel's error when broken.
    pub why: Option<String>,
    /// Instructions per occurrence with empty programs, on 6.1.
    pub instructions_per_hit: Option<u32>,
    /// What they are paid on, where that is more than the signal itself.
    pub paid_on: Option<String>,
    /// Better ways that were passed over.
    pub passed_over: Vec<PassedOver>,
}

/// How epolls are told apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Epolls {
    /// By kernel address.
    ByAddress,
    /// By process and descriptor; the text says why.
    ByDescriptor(String),
}

/// The state of all probes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of this form.
    pub v: u32,
    /// Always `plan`.
    pub kind: String,
    /// `uname -r`.
    pub kernel: String,
    /// Name of the family in use.
    pub family: Option<String>,
    /// How epolls are told apart.
    pub epolls: Epolls,
    /// Why the main job is impossible; `None` when it is possible.
    pub error: Option<String>,
    /// By signal.
    pub signals: Vec<SignalStatus>,
    /// Metrics and counters that cannot be known, with the reason.
    pub absent: BTreeMap<String, String>,
}

impl Status {
    /// Version of the JSON form.
    pub const VERSION: u32 = 1;

    /// Exit code of `epoll-trace probes`: 0 when the main job is possible, else 1.
    pub const fn exit_code(&self) -> u8 {
        if self.error.is_none() { 0 } else { 1 }
    }

    /// The state in one line of at most 80 columns, for every view.
    pub fn line(&self) -> String {
        let Some(family) = &self.family else {
            return "probes: none, see epoll-trace probes".to_owned();
        };
        let epolls = match self.epolls {
            Epolls::ByAddress => "epolls by address",
            Epolls::ByDescriptor(_) => "epolls by PID:epfd",
        };
        // Of the notification nothing is known, so its time is not in the total.
        let wakeup = match self.absent.contains_key("callback") {
            true => "; wakeup from runnable",
            false => "",
        };
        let start = format!("probes: {family}, {epolls}{wakeup}");
        let missing: Vec<_> = self
            .signals
            .iter()
            .filter(|status| matches!(status.verdict, Outcome::Absent | Outcome::Broken))
            .map(|status| status.signal.as_str())
            .collect();
        if missing.is_empty() {
            return start;
        }
        let full = format!("{start}; no {}", missing.join(", "));
        if full.chars().count() <= LINE_COLUMNS {
            return full;
        }
        let short = format!("{start}; {} signals absent", missing.len());
        let full = format!("{short}, see epoll-trace probes");
        if full.chars().count() <= LINE_COLUMNS {
            full
        } else {
            short
        }
    }
}
