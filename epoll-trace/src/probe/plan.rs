//! The plan: for each wanted signal the first row whose needs hold, and why each other row was passed over.
//!
//! A pure function of the kernel's facts; the loader carries it out, `status` says how that went.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::catalog::{Family, Need, Program, ROWS, Row, Signal};
use super::numbers::{self, MAIN, Number};
use crate::kernel::caps::Capability;
use crate::kernel::offsets::Offset;
use crate::kernel::{Facts, Support};
use crate::model::probes::PassedOver;
use crate::model::snapshot::NOT_MEASURED;

/// Which family to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FamilyChoice {
    /// The first that can do the main job.
    #[default]
    Auto,
    /// This one or none.
    Force(Family),
}

impl FamilyChoice {
    fn candidates(self) -> Vec<Family> {
        match self {
            Self::Auto => Family::ALL.to_vec(),
            Self::Force(family) => vec![family],
        }
    }
}

/// Why the main job cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PlanError {
    /// This process may not load programs.
    #[error("epoll cannot be traced: {0}")]
    NoPrivilege(String),
    /// The kernel does not describe its types.
    #[error("epoll cannot be traced: {0}")]
    NoBtf(String),
    /// The family that was asked for does not work here.
    #[error("--probes {} cannot work on this kernel: {why}; try --probes auto", family.name())]
    Forced {
        /// That family.
        family: Family,
        /// Why.
        why: String,
    },
    /// No family works here.
    #[error("epoll cannot be traced on this kernel: {0}")]
    Nothing(String),
}

/// What the plan says of a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A row that loses nothing.
    Chosen(&'static Row),
    /// A row that loses something; its `lost` says what.
    Fallback(&'static Row),
    /// No row; why.
    Absent(String),
}

/// The plan for one signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The outcome.
    pub verdict: Verdict,
    /// Better rows that cannot be had, best first.
    pub passed_over: Vec<PassedOver>,
}

impl Choice {
    /// The row that was taken.
    pub const fn row(&self) -> Option<&'static Row> {
        match self.verdict {
            Verdict::Chosen(row) | Verdict::Fallback(row) => Some(row),
            Verdict::Absent(_) => None,
        }
    }
}

/// How one epoll is told from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// By the kernel's address: right across fork and descriptor passing.
    Address,
    /// By process and descriptor number; why the address cannot be had.
    Descriptor(String),
}

/// Which programs to load, and what that leaves unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The family in use; `None` when the main job is impossible.
    pub family: Option<Family>,
    /// By signal, for every wanted one and those of the main job.
    pub choices: BTreeMap<Signal, Choice>,
    /// How epolls are told apart.
    pub identity: Identity,
    /// Numbers that the kernel does not tell whatever the programs, with the reason.
    pub(super) untold: BTreeMap<Number, String>,
    error: Option<PlanError>,
}

/// Decides how to get the `wanted` signals (and those of the main job) on a kernel with these facts.
///
/// Never fails: an impossible plan still says of each signal why. [`Plan::check`] gives the error.
pub fn plan(facts: &Facts, wanted: &BTreeSet<Signal>, choice: FamilyChoice) -> Plan {
    let (family, error) = match find_family(facts, choice) {
        Ok(family) => (Some(family), None),
        Err(error) => (None, Some(error)),
    };
    // One reason for everything: no use in repeating it for each row.
    let blocked = match &error {
        Some(PlanError::NoPrivilege(why) | PlanError::NoBtf(why)) => Some(why.clone()),
        _ => None,
    };
    let choose = |signal| match &blocked {
        Some(why) => Choice {
            verdict: Verdict::Absent(why.clone()),
            passed_over: Vec::new(),
        },
        None => choose(facts, signal, family),
    };
    let identity = identity(facts);
    // Where the wakeup does not tell its epoll or what it means, the begin of the wait does.
    let inferred = family == Some(Family::Tracepoint) || matches!(identity, Identity::Descriptor(_));
    let begins = inferred.then_some(&Signal::WaitEnter);
    let signals = MAIN.iter().chain(begins).chain(wanted).copied();
    let choices = signals.map(|signal| (signal, choose(signal))).collect();
    Plan {
        family,
        choices,
        identity,
        untold: numbers::untold(facts),
        error,
    }
}

fn find_family(facts: &Facts, choice: FamilyChoice) -> Result<Family, PlanError> {
    if let Support::No(reason) = &facts.privilege {
        return Err(PlanError::NoPrivilege(reason.clone()));
    }
    if let Support::No(reason) = &facts.btf {
        return Err(PlanError::NoBtf(reason.clone()));
    }
    let mut reasons = Vec::new();
    for family in choice.candidates() {
        match (unfit(facts, family), choice) {
            (None, _) => return Ok(family),
            (Some(why), FamilyChoice::Force(family)) => return Err(PlanError::Forced { family, why }),
            (Some(why), FamilyChoice::Auto) => reasons.push(format!("{}: {why}", family.name())),
        }
    }
    Err(PlanError::Nothing(reasons.join("; ")))
}

/// Why `family` cannot do the main job. Without the begins of waits it could do only a part of it.
fn unfit(facts: &Facts, family: Family) -> Option<String> {
    [Signal::WaitEnter].iter().chain(MAIN).find_map(|&signal| {
        match choose(facts, signal, Some(family)).verdict {
            Verdict::Absent(why) => Some(why),
            Verdict::Chosen(_) | Verdict::Fallback(_) => None,
        }
    })
}

fn choose(facts: &Facts, signal: Signal, family: Option<Family>) -> Choice {
    let mut passed_over = Vec::new();
    let mut why = None;
    for row in ROWS.iter().filter(|row| row.signal == signal) {
        let ours = family.is_some_and(|family| row.families.contains(&family));
        let reason = match row.check(facts) {
            Support::Yes if ours => {
                let verdict = if row.lost.is_empty() {
                    Verdict::Chosen(row)
                } else {
                    Verdict::Fallback(row)
                };
                return Choice { verdict, passed_over };
            }
            Support::Yes if family.is_none() => "the main job is impossible".to_owned(),
            Support::Yes => "belongs to another family".to_owned(),
            Support::No(reason) => reason,
        };
        if ours || family.is_none() {
            why.get_or_insert_with(|| reason.clone());
        }
        if row.programs().next().is_some() {
            passed_over.push(PassedOver {
                hook: row.hook(),
                why: reason,
            });
        }
    }
    let why = why.unwrap_or_else(|| "no way to get it is known".to_owned());
    Choice {
        verdict: Verdict::Absent(why),
        passed_over,
    }
}

/// The walk from a task through its descriptor table to the `eventpoll` behind a file.
const WALK: &[Need] = &[
    Need::Capability(Capability::ProbeReadKernel),
    Need::Offset(Offset::TaskFiles),
    Need::Offset(Offset::FilesFdt),
    Need::Offset(Offset::FdtFd),
    Need::Offset(Offset::FileFop),
    Need::Offset(Offset::FilePrivate),
];

fn identity(facts: &Facts) -> Identity {
    match WALK
        .iter()
        .find_map(|need| need.check(facts).reason().map(str::to_owned))
    {
        None => Identity::Address,
        Some(why) => Identity::Descriptor(why),
    }
}

impl Plan {
    /// Whether the main job can be done: every wait and every wakeup is seen.
    ///
    /// # Errors
    /// Why not, as one sentence that says what to do where something can be done.
    pub fn check(&self) -> Result<(), PlanError> {
        self.error.clone().map_or(Ok(()), Err)
    }

    /// The programs to load and attach, each once, in the catalog's order.
    pub fn programs(&self) -> Vec<&'static Program> {
        let mut programs: Vec<&'static Program> = Vec::new();
        for program in self
            .choices
            .values()
            .filter_map(Choice::row)
            .flat_map(Row::programs)
        {
            if !programs.contains(&program) {
                programs.push(program);
            }
        }
        programs
    }

    /// Every metric and counter that cannot be known in this run, by name, with the reason.
    pub fn absent(&self) -> BTreeMap<String, String> {
        numbers::absent(&self.identity, &self.untold, |signal| self.missing(signal))
    }

    /// Why `signal` will not be seen; `None` when it will be.
    pub fn missing(&self, signal: Signal) -> Option<String> {
        match self.choices.get(&signal).map(|choice| &choice.verdict) {
            Some(Verdict::Chosen(_) | Verdict::Fallback(_)) => None,
            Some(Verdict::Absent(why)) => Some(why.clone()),
            None => Some(NOT_MEASURED.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
