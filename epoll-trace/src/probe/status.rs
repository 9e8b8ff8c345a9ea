//! What became of the plan, as the model's plain data.

use std::collections::BTreeMap;

use super::catalog::{Program, Row, Signal};
use super::numbers::{self, MAIN};
use super::plan::{Choice, Identity, Plan, Verdict};
use crate::kernel::Facts;
use crate::model::probes::{Epolls, Outcome, SignalStatus, Status};

/// The plan as it stands before anything is loaded.
pub fn planned(facts: &Facts, plan: &Plan) -> Status {
    attached(facts, plan, &BTreeMap::new())
}

/// The plan after loading and attaching; `failed` holds the error of each program, by name, that should have worked.
pub fn attached(facts: &Facts, plan: &Plan, failed: &BTreeMap<String, String>) -> Status {
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
    Status {
        v: Status::VERSION,
        kind: "plan".to_owned(),
        kernel: facts.release.clone(),
        family: plan.family.map(|family| family.name().to_owned()),
        epolls: match &plan.identity {
            Identity::Address => Epolls::ByAddress,
            Identity::Descriptor(why) => Epolls::ByDescriptor(why.clone()),
        },
        error: impossible.or_else(main_broken),
        signals,
        absent: numbers::absent(&plan.identity, &plan.untold, |signal| {
            plan.missing(signal).or_else(|| failure(&signal))
        }),
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
        signal: signal.name().to_owned(),
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
