//! Runs the tests, one boot per kernel, and prints the matrix test × kernel.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};
use xtask::guest::{Job, JobResult, Output};

use super::judge::{self, Cell};
use super::{Length, Outputs, PROGRAMS, Test};
use crate::builds;
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
    setup::ensure_tested_with()?;
    let prepared = Prepared::new()?;
    let guests = kernels::select(&selection.kernel);
    let every: Vec<&Test> = tests.iter().collect();
    let mut columns = columns(&prepared, &selection.machine, &every, &guests)?;
    run_again(&prepared, &selection.machine, &tests, &guests, &mut columns)?;
    print(&tests, &columns);
    let mut tally = Tally::default();
    for cell in columns.iter().flat_map(|(_, cells)| cells) {
        match cell {
            Cell::Ok => tally.passed += 1,
            Cell::Again(_) => tally += Tally::again(),
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

/// The name of a kernel, and a cell for each test.
type Column = (&'static str, Vec<Cell>);

/// Runs `tests` on `guests`.
fn columns(
    prepared: &Prepared,
    machine: &Machine,
    tests: &[&Test],
    guests: &[&'static Guest],
) -> Result<Vec<Column>> {
    let boots: Vec<Boot<'_>> = guests.iter().flat_map(|guest| boots(tests, guest)).collect();
    let outcomes = boot_all(prepared, machine, &boots)?;
    let columns = guests.iter().map(|guest| {
        let of = |cpus| {
            let mut all = boots.iter().zip(&outcomes);
            all.find(|(boot, _)| boot.guest.name == guest.name && boot.cpus == cpus)
                .map(|(_, outcome)| outcome)
        };
        (guest.name, column(guest, tests, of))
    });
    Ok(columns.collect())
}

/// So many failures of a whole run are looked at again. More are no chance.
const AGAIN_MOST: usize = 3;

/// Runs what failed once more, in a new VM: chance is told from what is broken, as an emulated CPU may preempt anywhere. What
/// failed the first time is printed and counted apart.
fn run_again(
    prepared: &Prepared,
    machine: &Machine,
    tests: &[Test],
    guests: &[&'static Guest],
    columns: &mut [Column],
) -> Result<()> {
    let failed = |cell: &Cell| matches!(cell, Cell::Fail(_) | Cell::NotReached);
    let failures = columns
        .iter()
        .flat_map(|(_, cells)| cells)
        .filter(|cell| failed(cell));
    if failures.count() > AGAIN_MOST {
        return Ok(());
    }
    for (guest, (_, cells)) in guests.iter().zip(columns) {
        let rows: Vec<usize> = (0..tests.len()).filter(|&row| failed(&cells[row])).collect();
        if rows.is_empty() {
            continue;
        }
        println!("VM {}: what failed is run again", guest.name);
        let tests: Vec<&Test> = rows.iter().map(|&row| &tests[row]).collect();
        let second = self::columns(prepared, machine, &tests, &[guest])?;
        for (row, cell) in rows
            .into_iter()
            .zip(second.into_iter().flat_map(|(_, cells)| cells))
        {
            cells[row] = judge::together(std::mem::replace(&mut cells[row], Cell::NotReached), cell);
        }
    }
    Ok(())
}

/// A boot: the tests of one kernel that ask for so many CPUs.
struct Boot<'a> {
    guest: &'a Guest,
    cpus: u32,
    programs: BTreeSet<&'static str>,
    jobs: Vec<Job>,
}

/// Those that `guest` needs, the longest first.
fn boots<'a>(tests: &[&Test], guest: &'a Guest) -> Vec<Boot<'a>> {
    let run = || {
        tests
            .iter()
            .copied()
            .filter(|test| judge::unmet(&test.needs, guest).is_none())
    };
    let cpus: BTreeSet<u32> = run().map(|test| test.cpus).collect();
    let boot = |cpus| Boot {
        guest,
        cpus,
        programs: run()
            .filter(|test| test.cpus == cpus)
            .flat_map(|test| test.programs.iter().copied())
            .chain(PROGRAMS)
            .collect(),
        jobs: run().filter(|test| test.cpus == cpus).flat_map(jobs).collect(),
    };
    cpus.into_iter().map(boot).collect()
}

/// Each VM runs on one CPU of this machine, so as many run at once as there are; those with the most jobs first, so that they end
/// together. Gives the outcomes in the order of `boots`.
fn boot_all(prepared: &Prepared, machine: &Machine, boots: &[Boot<'_>]) -> Result<Vec<Outcome>> {
    for boot in boots {
        Prepared::fetch(boot.guest)?;
    }
    let mut order: Vec<(usize, &Boot<'_>)> = boots.iter().enumerate().collect();
    order.sort_by_key(|(_, boot)| Reverse(boot.jobs.len()));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(&(place, boot)) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((place, run_boot(prepared, &machine.with_cpus(boot.cpus), boot)?));
        }
        anyhow::Ok(done)
    };
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let mut done = thread::scope(|scope| {
        let handles: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut done = Vec::new();
        for handle in handles {
            match handle.join() {
                Ok(part) => done.extend(part?),
                Err(_) => bail!("a thread that ran a VM panicked"),
            }
        }
        Ok(done)
    })?;
    done.sort_by_key(|&(place, _)| place);
    Ok(done.into_iter().map(|(_, outcome)| outcome).collect())
}

/// One boot, with what went wrong in it printed.
fn run_boot(prepared: &Prepared, machine: &Machine, boot: &Boot<'_>) -> Result<Outcome> {
    let start = Instant::now();
    let programs = boot.programs.iter().map(|&name| program(name));
    let programs: Vec<String> = programs.collect::<Result<_>>()?;
    let name = boot.guest.name;
    let outcome = prepared.boot(boot.guest, machine, &programs, &boot.jobs)?;
    for warning in &outcome.warnings {
        println!("VM {name}: {warning}");
    }
    if let Some(failure) = &outcome.failure {
        println!("VM {name}: {failure}");
    }
    println!(
        "VM {name}: {} jobs in {:.1} s; longest: {}",
        outcome.results.len(),
        start.elapsed().as_secs_f64(),
        longest(&outcome)
    );
    Ok(outcome)
}

/// What is brought for `name`: of ours the file, for others this machine is searched.
fn program(name: &str) -> Result<String> {
    match name {
        builds::PRELOAD => Ok(builds::preload()?.display().to_string()),
        _ => Ok(name.to_owned()),
    }
}

/// So many jobs are named with their time: what to look at when the tests take too long.
const LONGEST: usize = 6;

/// Those that took the most of the guest's time.
fn longest(outcome: &Outcome) -> String {
    let mut jobs: Vec<&JobResult> = outcome.results.iter().collect();
    jobs.sort_by_key(|job| Reverse(job.ms));
    let words = jobs
        .iter()
        .take(LONGEST)
        .map(|job| format!("{} {:.1} s", job.job, job.ms as f64 / 1e3));
    words.collect::<Vec<_>>().join(", ")
}

/// All tests on one kernel; `outcome` gives that of the boot with so many CPUs.
fn column<'a>(guest: &Guest, tests: &[&Test], outcome: impl Fn(u32) -> Option<&'a Outcome>) -> Vec<Cell> {
    let cell = |test: &Test| match (judge::unmet(&test.needs, guest), outcome(test.cpus)) {
        (Some(reason), _) => Cell::Skip(reason),
        (None, Some(outcome)) => check(test, guest, outcome),
        (None, None) => Cell::NotReached,
    };
    tests.iter().copied().map(cell).collect()
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

fn print(tests: &[Test], columns: &[Column]) {
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
                Cell::Again(_) => "2nd",
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
fn details(tests: &[Test], columns: &[Column]) {
    for (row, test) in tests.iter().enumerate() {
        let mut skips: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (guest, cells) in columns {
            match &cells[row] {
                // Counted below: one reason for all of them.
                Cell::Ok | Cell::NotReached => {}
                Cell::Skip(reason) => skips.entry(reason).or_default().push(guest),
                Cell::Again(why) => println!(
                    "2nd {} on {guest}: passed only when run again; first: {}",
                    test.name,
                    why.trim_end()
                ),
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
