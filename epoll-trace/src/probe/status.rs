//! What became of the plan: a verdict per signal, for `epoll-trace probes`, JSON and recordings.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::catalog::{Family, Program, Row, Signal};
use super::numbers::{self, MAIN};
use super::plan::{self, Choice, Identity, PassedOver, Plan, Verdict};
use crate::kernel::Facts;

/// Version of the JSON form.
const VERSION: u32 = 1;

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

/// The verdict on one signal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalStatus {
    /// Which.
    pub signal: Signal,
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
    /// The family in use.
    pub family: Option<Family>,
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
    /// The plan as it stands before anything is loaded.
    pub fn planned(facts: &Facts, plan: &Plan) -> Self {
        Self::attached(facts, plan, &BTreeMap::new())
    }

    /// The plan after loading and attaching; `failed` holds the error of each program, by name, that should have worked.
    pub fn attached(facts: &Facts, plan: &Plan, failed: &BTreeMap<String, String>) -> Self {
        let failure = |signal: &Signal| {
            let row = plan.choices.get(signal).and_then(Choice::row)?;
            row.programs().find_map(|program| broken(program, failed))
        };
        let signals = plan
            .choices
            .iter()
            .map(|(&signal, choice)| signal_status(signal, choice, failure(&signal)))
            .collect();
        let impossible = plan.check().err().map(|error| error.to_string());
        let main_broken = || {
            let (signal, why) = MAIN.iter().find_map(|signal| Some((signal, failure(signal)?)))?;
            Some(format!(
                "{} should work on this kernel and does not: {why}",
                signal.name()
            ))
        };
        Self {
            v: VERSION,
            kind: "plan".to_owned(),
            kernel: facts.release.clone(),
            family: plan.family,
            epolls: match &plan.identity {
                Identity::Address => Epolls::ByAddress,
                Identity::Descriptor(why) => Epolls::ByDescriptor(why.clone()),
            },
            error: impossible.or_else(main_broken),
            signals,
            absent: numbers::absent(&plan.identity, |signal| {
                plan.missing(signal).or_else(|| failure(&signal))
            }),
        }
    }

    /// Exit code of `epoll-trace probes`: 0 when the main job is possible, else 1.
    pub const fn exit_code(&self) -> u8 {
        if self.error.is_none() { 0 } else { 1 }
    }

    /// The state in one line of at most 80 columns, for every view.
    pub fn line(&self) -> String {
        let missing = |status: &&SignalStatus| matches!(status.verdict, Outcome::Absent | Outcome::Broken);
        let names: BTreeSet<_> = self
            .signals
            .iter()
            .filter(missing)
            .map(|status| status.signal)
            .collect();
        let names: Vec<_> = names.into_iter().map(Signal::name).collect();
        let identity = match &self.epolls {
            Epolls::ByAddress => Identity::Address,
            Epolls::ByDescriptor(why) => Identity::Descriptor(why.clone()),
        };
        plan::line(self.family, &identity, &names)
    }
}

fn broken(program: &Program, failed: &BTreeMap<String, String>) -> Option<String> {
    failed
        .get(program.name)
        .map(|error| format!("{}: {error}", program.name))
}

fn signal_status(signal: Signal, choice: &Choice, failure: Option<String>) -> SignalStatus {
    let (verdict, why) = match (&choice.verdict, failure) {
        (Verdict::Absent(why), _) => (Outcome::Absent, Some(why.clone())),
        (_, Some(error)) => (Outcome::Broken, Some(error)),
        (Verdict::Chosen(_), None) => (Outcome::Chosen, None),
        (Verdict::Fallback(_), None) => (Outcome::Fallback, None),
    };
    let row = choice.row();
    SignalStatus {
        signal,
        verdict,
        programs: row.map_or_else(Vec::new, |row| {
            row.programs().map(|program| program.name.to_owned()).collect()
        }),
        hook: row.map(Row::hook),
        tells: row.map(|row| row.tells.to_owned()),
        lost: row.map(|row| row.lost.to_owned()).filter(|lost| !lost.is_empty()),
        why,
        instructions_per_hit: row.map(Row::instructions),
        paid_on: row.and_then(Row::paid_on).map(str::to_owned),
        passed_over: choice.passed_over.clone(),
    }
}

#[cfg(test)]
mod tests;
