//! From rounds to figures, and whether they can be trusted. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use xtask::measure::{AFTER, BEFORE, Measured};

use super::subjects::{LOADS, SUBJECTS, Whose};
use crate::compare;

/// How far what is measured with none may be apart before and after all subjects; else something of them stayed behind.
const SAME: f64 = 0.002;
/// Or so many instructions: of a load of three hundred, a tick more or less in a round is more than that part.
const SAME_WITHIN: f64 = 2.0;
/// How far a row of ours may be from the one on record.
const CHANGED: f64 = 0.02;
/// Instructions per operation that two binaries differ by for no reason: the phase of the ticks.
const NOISE: f64 = 15.0;
/// The same between two runs with other subjects in the boot: what ran before shifts more.
const NOISE_OF_BOOTS: f64 = 60.0;
/// The same for a load that does not repeat, as a part of what it costs.
const UNSTEADY: f64 = 0.10;

/// Everything about one kernel.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Kernel {
    /// As `--kernel` names it.
    pub(super) kernel: String,
    /// Package and version.
    pub(super) version: String,
    /// A figure for each subject and load.
    pub(super) figures: Vec<Figure>,
    /// What starts cost.
    pub(super) starts: Vec<Start>,
    /// By subject: its programs, and what each takes for a run.
    pub(super) programs: BTreeMap<String, Vec<ProgramCost>>,
    /// Subjects that could not be measured, with the reason.
    pub(super) failed: BTreeMap<String, String>,
}

/// A load beside a subject.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Figure {
    /// Name of the subject.
    pub(super) subject: String,
    /// Name of the load.
    pub(super) load: String,
    /// Instructions per operation, median of the rounds.
    pub(super) instructions: f64,
    /// The same above none.
    pub(super) above: f64,
}

/// What can be said of a subject itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Start {
    /// Its name.
    pub(super) subject: String,
    /// Millions of instructions from its start to its first output.
    pub(super) first_output: Option<f64>,
    /// Resident memory at its end, MB.
    pub(super) rss_mb: Option<f64>,
    /// The highest that it was, MB.
    pub(super) peak_mb: Option<f64>,
}

/// A program of ours, by the kernel's count of its runs.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct ProgramCost {
    /// Its name.
    pub(super) program: String,
    /// Runs that were counted.
    pub(super) runs: u64,
    /// Instructions of a run, helpers included; what the kernel does around it is not.
    #[serde(rename = "ns_per_run")]
    pub(super) instructions: f64,
}

/// Those that ran, from the last line that `overhead --json` wrote.
fn programs(output: &str) -> impl Iterator<Item = ProgramCost> {
    let parse = |line| serde_json::from_str::<serde_json::Value>(line).ok();
    let line = output.lines().rev().filter_map(parse);
    let mut told = line.filter(|line| line["kind"] == "overhead");
    let rows = told.next().and_then(|line| line["programs"].as_array().cloned());
    let rows = rows.into_iter().flatten();
    rows.filter_map(|row| serde_json::from_value::<ProgramCost>(row).ok())
        .filter(|program| program.runs > 0)
}

/// The middle of `values`, or between the two in the middle; 0 of none.
pub(super) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    compare::median(&sorted).unwrap_or(0.0)
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

impl Kernel {
    /// From what the VM wrote.
    ///
    /// # Errors
    /// In a sentence: a load was not measured with none.
    pub(super) fn new(kernel: &str, version: &str, measured: &[Measured]) -> Result<Self, String> {
        let mut bases: Vec<(&str, f64)> = Vec::new();
        let mut made = Self {
            kernel: kernel.to_owned(),
            version: version.to_owned(),
            figures: Vec::new(),
            starts: Vec::new(),
            programs: BTreeMap::new(),
            failed: BTreeMap::new(),
        };
        for one in measured {
            match one {
                Measured::Load {
                    subject,
                    load,
                    per_op,
                } => {
                    let instructions = median(per_op);
                    if subject == BEFORE {
                        bases.push((load, instructions));
                    }
                    let base = bases.iter().find(|(name, _)| name == load);
                    let (_, base) = base.ok_or_else(|| format!("{load} was not measured with {BEFORE}"))?;
                    made.figures.push(Figure {
                        subject: subject.clone(),
                        load: load.clone(),
                        instructions: round(instructions),
                        above: round(instructions - base),
                    });
                }
                Measured::Failed { subject, why } => {
                    made.failed.insert(subject.clone(), why.clone());
                }
                Measured::Subject { name, output, .. } if programs(output).next().is_some() => {
                    made.programs.insert(name.clone(), programs(output).collect());
                }
                Measured::Subject {
                    name,
                    first_byte_ns,
                    rss_kb,
                    peak_kb,
                    ..
                } => made.starts.push(Start {
                    subject: name.clone(),
                    first_output: first_byte_ns.map(|ns| round(ns as f64 / 1e6)),
                    rss_mb: rss_kb.map(|kb| round(kb as f64 / 1024.0)),
                    peak_mb: peak_kb.map(|kb| round(kb as f64 / 1024.0)),
                }),
            }
        }
        Ok(made)
    }

    /// Adds the subjects of another boot.
    pub(super) fn add(&mut self, other: Self) {
        let theirs = other.figures.into_iter();
        let base = |figure: &Figure| figure.subject == BEFORE || figure.subject == AFTER;
        self.figures.extend(theirs.filter(|figure| !base(figure)));
        self.starts.extend(other.starts);
        self.programs.extend(other.programs);
        self.failed.extend(other.failed);
    }

    /// Adds of `old` the subjects that were not measured this time.
    pub(super) fn keep(&mut self, old: &Self) {
        let measured: BTreeSet<String> = self.figures.iter().map(|figure| figure.subject.clone()).collect();
        let is_old = |subject: &str| !measured.contains(subject);
        let figures = old.figures.iter().filter(|figure| is_old(&figure.subject));
        self.figures.extend(figures.cloned());
        let starts = old.starts.iter().filter(|start| is_old(&start.subject));
        self.starts.extend(starts.cloned());
        for (subject, programs) in old.programs.iter().filter(|(subject, _)| is_old(subject)) {
            self.programs
                .entry(subject.clone())
                .or_insert_with(|| programs.clone());
        }
        for (subject, why) in old.failed.iter().filter(|(subject, _)| is_old(subject)) {
            self.failed.entry(subject.clone()).or_insert_with(|| why.clone());
        }
    }

    /// The figure of a subject and a load.
    pub(super) fn figure(&self, subject: &str, load: &str) -> Option<&Figure> {
        let mut figures = self.figures.iter();
        figures.find(|figure| figure.subject == subject && figure.load == load)
    }

    /// Whether the figures can be trusted.
    ///
    /// # Errors
    /// In a sentence: a subject of ours could not be measured or changed nothing, or a load differs before and after all.
    pub(super) fn sound(&self) -> Result<(), String> {
        let ours = SUBJECTS
            .iter()
            .filter(|row| matches!(row.whose, Whose::Floor | Whose::Ours));
        let mut failed = ours.filter_map(|row| Some((row.name, self.failed.get(row.name)?)));
        if let Some((name, why)) = failed.next() {
            return Err(format!("{name} could not be measured: {why}"));
        }
        self.steady()?;
        // Every subject has programs where `pp` passes.
        let idle = self.figures.iter().find(|figure| {
            figure.load == "pp" && figure.subject != BEFORE && figure.subject != AFTER && figure.above < NOISE
        });
        idle.map_or(Ok(()), |figure| {
            Err(format!(
                "{} changes nothing ({} instructions per operation of pp): it was not attached",
                figure.subject, figure.above
            ))
        })
    }

    /// Whether the loads take the same before and after all subjects: else something ran beside them, or was left behind.
    ///
    /// # Errors
    /// In a sentence: the first load that differs, or that was not measured twice.
    pub(super) fn steady(&self) -> Result<(), String> {
        for load in LOADS.iter().filter(|load| load.steady) {
            let Some(before) = self.figure(BEFORE, load.name) else {
                continue;
            };
            let after = self
                .figure(AFTER, load.name)
                .ok_or_else(|| format!("{} was not measured with none at the end", load.name))?;
            let allowed = (before.instructions * SAME).max(SAME_WITHIN);
            if (after.instructions - before.instructions).abs() > allowed {
                return Err(format!(
                    "{} takes {} instructions before all subjects and {} after them: the run cannot be trusted",
                    load.name, before.instructions, after.instructions
                ));
            }
        }
        Ok(())
    }

    /// Rows of ours that are no longer what `record` says, in a line each.
    pub(super) fn changes(&self, record: &Self) -> Vec<String> {
        let ours = |figure: &&Figure| {
            SUBJECTS
                .iter()
                .any(|row| row.name == figure.subject && row.whose == Whose::Ours)
        };
        let changed = |figure: &Figure| {
            let Some(old) = record.figure(&figure.subject, &figure.load) else {
                return Some(format!(
                    "{} on {}, {}: not on record",
                    figure.subject, self.kernel, figure.load
                ));
            };
            let steady = LOADS.iter().any(|load| load.name == figure.load && load.steady);
            let allowed = if steady {
                (old.above.abs() * CHANGED).max(NOISE_OF_BOOTS)
            } else {
                old.instructions * UNSTEADY
            };
            ((figure.above - old.above).abs() > allowed).then(|| {
                format!(
                    "{} on {}, {}: {} instructions above none, {} on record",
                    figure.subject, self.kernel, figure.load, figure.above, old.above
                )
            })
        };
        self.figures.iter().filter(ours).filter_map(changed).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Four rounds of each: subject, load and instructions per operation.
    pub(in super::super) fn measured(rows: &[(&str, &str, f64)]) -> Vec<Measured> {
        let one = |&(subject, load, per_op): &(&str, &str, f64)| Measured::Load {
            subject: subject.to_owned(),
            load: load.to_owned(),
            // One round that caught background work does not count.
            per_op: vec![per_op, per_op, per_op * 1.5, per_op],
        };
        rows.iter().map(one).collect()
    }

    /// `pp` with nothing, with `hist`, and with nothing again.
    pub(in super::super) fn kernel(after: f64, hist: f64) -> Result<Kernel, String> {
        let rows = [
            (BEFORE, "pp", 7000.0),
            ("hist, fentry", "pp", hist),
            (AFTER, "pp", after),
        ];
        Kernel::new("6.1", "x", &measured(&rows))
    }

    #[test]
    fn differences_to_none() {
        let made = kernel(7001.0, 7600.0).unwrap();
        assert_eq!(made.figure("hist, fentry", "pp").unwrap().above, 600.0);
    }

    #[test]
    fn a_run_that_left_something_behind_is_refused() {
        let why = |after, hist| kernel(after, hist).unwrap().sound().unwrap_err();
        assert!(why(7015.0, 7600.0).contains("cannot be trusted"));
        assert!(why(7000.0, 7001.0).contains("not attached"));
        assert_eq!(kernel(7001.0, 7600.0).unwrap().sound(), Ok(()));
    }

    #[test]
    fn only_changes_beyond_noise_are_told() {
        let record = kernel(7000.0, 7600.0).unwrap();
        assert!(kernel(7000.0, 7659.0).unwrap().changes(&record).is_empty());
        assert_eq!(kernel(7000.0, 7661.0).unwrap().changes(&record).len(), 1);
        assert_eq!(kernel(7000.0, 7539.0).unwrap().changes(&record).len(), 1);
    }

    #[test]
    fn medians() {
        assert_eq!(median(&[4.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0]), 2.5);
        assert_eq!(median(&[]), 0.0);
    }
}
