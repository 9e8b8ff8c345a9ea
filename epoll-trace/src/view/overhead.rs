//! What we cost ourselves, as a table of 80 columns and as a JSON line.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::csv;
use super::json::{FieldValue, VERSION, write_line};
use super::sanitize::sanitize;
use super::units::{ABSENT, auto_bytes, short};
use super::wrap::wrapped;
use crate::fields::Value;
use crate::fields::overhead::COST_FIELDS;
use crate::model::overhead::{MapMemory, Overhead, ProgramRuns};

const NAME: usize = 28;
const COLUMN: usize = 12;
const INDENT: &str = "  ";
/// Maps that are named; the others are small.
const MAPS: usize = 4;

/// What the numbers mean, and where they come from.
const MEANING: &str = "Counting runs costs two clock reads per run: NS/RUN holds one of them, CORE too, and neither the \
    kernel's way into and out of a program nor what a tracepoint or probe costs before it. CORE is of one core, all CPUs together.";

/// Writes a table of programs, and a line each for maps and this process.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_text(out: &mut dyn Write, cost: &Overhead) -> io::Result<()> {
    let heads = COST_FIELDS.iter().filter_map(|field| field.title);
    writeln!(out, "{}", line("PROGRAM", heads.map(str::to_owned)))?;
    let total = cost.total();
    for program in cost.spent.programs.iter().chain([&total]) {
        let shown = COST_FIELDS.iter().filter(|field| field.title.is_some());
        let values = shown.map(|field| short(&field.value(cost, program)));
        writeln!(out, "{}", line(&program.name, values))?;
    }
    if let Some(why) = &cost.spent.uncounted {
        write!(
            out,
            "{}",
            wrapped(&format!("runs are not counted: {why}"), "", INDENT)
        )?;
    }
    let mut maps: Vec<&MapMemory> = cost.spent.maps.iter().collect();
    maps.sort_by_key(|map| std::cmp::Reverse(map.bytes));
    let largest = maps
        .iter()
        .take(MAPS)
        .map(|map| format!("{} {}", map.name, auto_bytes(map.bytes)));
    let largest = largest.collect::<Vec<_>>().join(", ");
    let text = format!(
        "maps: {} (memlock in their fdinfo), most in {largest}",
        auto_bytes(cost.map_bytes())
    );
    write!(out, "{}", wrapped(&text, "", INDENT))?;
    let text = format!(
        "this process: {} of a core, {} resident (VmRSS; what it maps of the maps counts in both)",
        share(cost, cost.spent.agent_ns),
        cost.spent.agent_bytes.map_or(ABSENT.to_owned(), auto_bytes)
    );
    write!(out, "{}", wrapped(&text, "", INDENT))?;
    write!(out, "{}", wrapped(MEANING, "", INDENT))?;
    writeln!(out)
}

fn line(name: &str, values: impl Iterator<Item = String>) -> String {
    let name = sanitize(name, false);
    values.fold(format!("{name:<NAME$}"), |line, value| {
        line + &format!(" {value:>COLUMN$}")
    })
}

fn share(cost: &Overhead, ns: Option<u64>) -> String {
    short(&cost.share_of_core(ns).map_or(Value::Absent, Value::FineShare))
}

/// `own cost: 0.31% of a core`, of the programs; the reason where that is not known.
pub fn own_cost(cost: &Overhead) -> String {
    match &cost.spent.uncounted {
        Some(why) => format!("own cost: - ({why})"),
        None => format!("own cost: {} of a core", share(cost, cost.total().run_ns)),
    }
}

/// Writes the JSON line.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_json(out: &mut dyn Write, cost: &Overhead, at_ns: u64) -> io::Result<()> {
    let total = cost.total();
    let unknown = COST_FIELDS
        .iter()
        .filter(|field| field.value(cost, &total) == Value::Absent);
    let reason = cost.spent.uncounted.as_deref();
    let absent = reason.map_or_else(BTreeMap::new, |why| {
        unknown.map(|field| (field.id, why)).collect()
    });
    write_line(
        out,
        &OverheadLine {
            v: VERSION,
            kind: "overhead",
            at_ns,
            span_ns: cost.span_ns,
            programs: cost
                .spent
                .programs
                .iter()
                .map(|program| Named(cost, program.clone()))
                .collect(),
            total: Named(cost, total),
            map_bytes: cost.map_bytes(),
            maps: cost
                .spent
                .maps
                .iter()
                .map(|map| (map.name.as_str(), map.bytes))
                .collect(),
            agent_ns: cost.spent.agent_ns,
            agent_bytes: cost.spent.agent_bytes,
            absent,
        },
    )
}

/// Writes the names of the columns of [`write_csv`].
///
/// # Errors
/// When `out` cannot be written.
pub fn write_csv_header(out: &mut dyn Write) -> io::Result<()> {
    let names = COST_FIELDS.iter().map(|field| field.id);
    csv::record(out, ["at_ns", "span_ns", "program"].into_iter().chain(names))
}

/// Writes a row per program, and one of all.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_csv(out: &mut dyn Write, cost: &Overhead, at_ns: u64) -> io::Result<()> {
    for program in cost.spent.programs.iter().chain([&cost.total()]) {
        let keys = [at_ns.to_string(), cost.span_ns.to_string(), program.name.clone()];
        let values = COST_FIELDS
            .iter()
            .map(|field| csv::cell(&field.value(cost, program)));
        csv::record(out, keys.into_iter().chain(values))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct OverheadLine<'a> {
    v: u32,
    kind: &'static str,
    at_ns: u64,
    span_ns: u64,
    programs: Vec<Named<'a>>,
    total: Named<'a>,
    map_bytes: u64,
    maps: BTreeMap<&'a str, u64>,
    agent_ns: Option<u64>,
    agent_bytes: Option<u64>,
    absent: BTreeMap<&'static str, &'a str>,
}

/// A program's fields behind its name.
struct Named<'a>(&'a Overhead, ProgramRuns);

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(cost, program) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("program", &program.name)?;
        for field in COST_FIELDS {
            map.serialize_entry(field.id, &FieldValue(field.value(cost, program)))?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::overhead::Spent;
    use crate::view::wrap::COLUMNS;

    fn cost(uncounted: Option<&str>) -> Overhead {
        let runs = uncounted.is_none().then_some(123_456);
        let program = |name: &str| ProgramRuns {
            name: name.to_owned(),
            runs,
            run_ns: runs.map(|runs| runs * 210),
            misses: Some(7),
        };
        let map = |(name, bytes): (&str, u64)| MapMemory {
            name: name.to_owned(),
            bytes,
        };
        let maps = [
            ("ROWS", 7_865_728),
            ("CHUNKS", 8_913_280),
            ("EPOLLS", 1_310_720),
            ("THREADS", 5_767_168),
            ("LOSSES", 4_096),
        ];
        Overhead {
            span_ns: 2_000_000_000,
            spent: Spent {
                uncounted: uncounted.map(str::to_owned),
                programs: vec![program("wait_enter_fentry"), program("wakeup_fentry")],
                maps: maps.map(map).to_vec(),
                agent_ns: Some(4_000_000),
                agent_bytes: Some(20 << 20),
            },
        }
    }

    #[test]
    fn pages() {
        for (name, why) in [("counted", None), ("refused", Some("BPF_ENABLE_STATS: EPERM"))] {
            let mut out = Vec::new();
            write_text(&mut out, &cost(why)).unwrap();
            write_json(&mut out, &cost(why), 5).unwrap();
            write_csv_header(&mut out).unwrap();
            write_csv(&mut out, &cost(why), 5).unwrap();
            let page = String::from_utf8(out).unwrap() + &own_cost(&cost(why));
            let text = page.split('{').next().unwrap();
            assert_eq!(text.lines().find(|line| line.chars().count() > COLUMNS), None);
            insta::assert_snapshot!(name, page);
        }
    }
}
