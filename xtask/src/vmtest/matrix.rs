//! Runs the tests, one boot per kernel, and prints the matrix test × kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use anyhow::{Result, bail};
use xtask::guest::{Job, JobResult, Output};

use super::judge::{self, Cell};
use super::{Length, Outputs, PROGRAMS, Test};
use crate::kernels::{self, GUESTS, Guest};
use crate::setup;
use crate::tally::Tally;
use crate::vm::qemu::Outcome;
use crate::vm::{Machine, Prepared};

/// Which part of the matrix to run.
#[derive(clap::Args, Debug)]
pub(crate) struct Selection {
    /// Kernel of the VM tests: 5.10, 6.1, 6.12, 6.18, 7.3, 6.18-lockdown or all
    #[arg(long, default_value = "all", value_parser = kernels::names())]
    kernel: String,
    /// Only VM tests whose name contains this; checks and host tests are left out
    #[arg(long, value_name = "NAME")]
    pub(crate) only: Option<String>,
    /// Also the long repetitions: 10,000 events, ten times in a row
    #[arg(long)]
    long: bool,
    #[command(flatten)]
    machine: Machine,
}

/// Runs the chosen part, prints the matrix, and counts its cells.
pub(crate) fn run(selection: &Selection) -> Result<Tally> {
    let mut tests = super::all(if selection.long {
        Length::Long
    } else {
        Length::Short
    });
    let never_run: Vec<String> = judge::never_run(&tests, &GUESTS)
        .into_iter()
        .map(str::to_owned)
        .collect();
    if let Some(part) = &selection.only {
        tests.retain(|test| test.name.contains(part.as_str()));
        if tests.is_empty() {
            bail!("no VM test has {part:?} in its name");
        }
    }
    setup::ensure_bpftool()?;
    let prepared = Prepared::new()?;
    let mut columns = Vec::new();
    for guest in kernels::select(&selection.kernel) {
        columns.push((guest.name, column(&prepared, &selection.machine, guest, &tests)?));
    }
    print(&tests, &columns);
    let mut tally = Tally::default();
    for cell in columns.iter().flat_map(|(_, cells)| cells) {
        match cell {
            Cell::Ok => tally.passed += 1,
            Cell::Skip(_) => tally.skipped += 1,
            Cell::Fail(_) | Cell::NotReached => tally.failed += 1,
        }
    }
    for name in never_run {
        println!("FAIL {name}: no kernel of the list meets its needs");
        tally.failed += 1;
    }
    Ok(tally)
}

/// All tests on one kernel: a boot for each number of CPUs they ask for.
fn column(prepared: &Prepared, machine: &Machine, guest: &Guest, tests: &[Test]) -> Result<Vec<Cell>> {
    let skips: Vec<Option<String>> = tests
        .iter()
        .map(|test| judge::unmet(&test.needs, guest))
        .collect();
    let run = || tests.iter().zip(&skips).filter(|(_, skip)| skip.is_none());
    let mut outcomes = BTreeMap::new();
    for cpus in run().map(|(test, _)| test.cpus).collect::<BTreeSet<_>>() {
        let jobs: Vec<Job> = run()
            .filter(|(test, _)| test.cpus == cpus)
            .flat_map(|(test, _)| jobs(test))
            .collect();
        outcomes.insert(cpus, boot(prepared, &machine.with_cpus(cpus), guest, &jobs)?);
    }
    let cell = |(test, skip): (&Test, &Option<String>)| match (skip, outcomes.get(&test.cpus)) {
        (Some(reason), _) => Cell::Skip(reason.clone()),
        (None, Some(outcome)) => check(test, guest, outcome),
        (None, None) => Cell::NotReached,
    };
    Ok(tests.iter().zip(&skips).map(cell).collect())
}

/// One boot, with what went wrong in it printed.
fn boot(prepared: &Prepared, machine: &Machine, guest: &Guest, jobs: &[Job]) -> Result<Outcome> {
    let start = Instant::now();
    let programs = PROGRAMS.map(str::to_owned);
    let outcome = prepared.boot(guest, machine, &programs, jobs)?;
    for warning in &outcome.warnings {
        println!("VM {}: {warning}", guest.name);
    }
    if let Some(failure) = &outcome.failure {
        println!("VM {}: {failure}", guest.name);
    }
    println!(
        "VM {}: {} jobs in {:.1} s",
        guest.name,
        outcome.results.len(),
        start.elapsed().as_secs_f64()
    );
    Ok(outcome)
}

fn job_name(test: &Test, index: usize) -> String {
    format!("{}#{index}", test.name)
}

fn jobs(test: &Test) -> impl Iterator<Item = Job> {
    test.jobs.iter().enumerate().map(|(index, spec)| Job {
        name: job_name(test, index),
        argv: spec.argv.clone(),
        timeout_ms: spec.seconds * 1000,
        output: Output::Report,
    })
}

fn check(test: &Test, guest: &Guest, outcome: &Outcome) -> Cell {
    let find = |index| {
        outcome
            .results
            .iter()
            .find(|result| result.job == job_name(test, index))
    };
    let results: Vec<Option<&JobResult>> = (0..test.jobs.len()).map(find).collect();
    let (Some(release), false) = (&outcome.release, results.iter().any(Option::is_none)) else {
        return Cell::NotReached;
    };
    let outputs = Outputs {
        guest,
        release,
        jobs: results.into_iter().flatten().collect(),
    };
    judge::verdict((test.check)(&outputs))
}

fn print(tests: &[Test], columns: &[(&str, Vec<Cell>)]) {
    let width = tests
        .iter()
        .map(|test| test.name.chars().count())
        .max()
        .unwrap_or(0);
    let heads: String = columns.iter().map(|(name, _)| format!("  {name:>4}")).collect();
    println!("\n{:width$}{heads}", "");
    for (row, test) in tests.iter().enumerate() {
        let mut line = format!("{:width$}", test.name);
        for (name, cells) in columns {
            let word = match &cells[row] {
                Cell::Ok => "ok",
                Cell::Skip(_) => "skip",
                Cell::Fail(_) | Cell::NotReached => "FAIL",
            };
            line += &format!("  {word:>0$}", name.len().max(4));
        }
        println!("{line}");
    }
    println!();
    details(tests, columns);
}

/// Reasons of the skips, one line for all kernels that share one, and the failures in full.
fn details(tests: &[Test], columns: &[(&str, Vec<Cell>)]) {
    for (row, test) in tests.iter().enumerate() {
        let mut skips: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (guest, cells) in columns {
            match &cells[row] {
                // Counted below: one reason for all of them.
                Cell::Ok | Cell::NotReached => {}
                Cell::Skip(reason) => skips.entry(reason).or_default().push(guest),
                Cell::Fail(why) => println!("FAIL {} on {guest}: {}", test.name, why.trim_end()),
            }
        }
        for (reason, guests) in skips {
            println!("skip {} on {}: {reason}", test.name, guests.join(", "));
        }
    }
    for (guest, cells) in columns {
        let missed = cells.iter().filter(|cell| **cell == Cell::NotReached).count();
        if missed > 0 {
            println!(
                "FAIL {missed} tests on {guest}: its VM ended before them, for the reason printed above"
            );
        }
    }
}
