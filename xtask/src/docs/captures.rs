//! What the VMs say: boots each kernel once, and makes of its answers the parts of the documents.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result, bail};
use clap::Parser as _;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use xtask::guest::{End, Job, JobResult, Output};

use super::Bodies;
use super::probes::{self, Answer};
use crate::kernels::GUESTS;
use crate::tour;
use crate::vm::qemu::Outcome;
use crate::vm::{Machine, Prepared};

/// The kernel of the screens and examples.
const SHOWN: &str = tour::KERNEL;
/// For the tour, which attaches to much.
const TOUR_LIMIT_MS: u64 = 300_000;
/// Guest time is slower than real time.
const LIMIT_MS: u64 = 120_000;

/// The screens, as typed by a person.
const TOP: &str = "epoll-trace top --callback";
const HIST: &str = "epoll-trace hist -- epoll-trace bench scenario tcp-lt --quiet";
const DEMO: &str = "epoll-trace demo herd --text";
/// What `top` looks at.
const LOADS: &str = "for load in herd-tcp shared-lt pipe-et; do epoll-trace bench scenario $load --events 1000000 >/dev/null & done";

/// Commands that together write a line of every kind.
const EXAMPLES: [&str; 5] = [
    "epoll-trace hist --json -- epoll-trace bench scenario tcp-lt --json --events 20",
    "epoll-trace hist --json -L -- epoll-trace bench scenario tcp-lt --json --events 20",
    "epoll-trace hist --json -E -- epoll-trace bench scenario tcp-lt --json --events 20",
    "epoll-trace diagnose --json -- epoll-trace bench scenario herd-tcp --json --events 200 --waiters 8",
    "epoll-trace bench scenario --list --json",
];
/// Examples are cut to so many columns: a plan line has thousands.
const COLUMNS: usize = 110;

#[derive(clap::Parser)]
struct Defaults {
    #[command(flatten)]
    machine: Machine,
}

/// Every part that needs a VM.
///
/// # Errors
/// A VM fails, or a command in it.
pub(super) fn all() -> Result<Bodies> {
    let prepared = Prepared::new()?;
    let machine = Defaults::try_parse_from(["docs"])?.machine;
    let mut bodies = Bodies::new();
    let mut answers = Vec::new();
    for guest in &GUESTS {
        println!("== {}", guest.name);
        let mut jobs = probes::jobs();
        let mut programs = vec!["sh".to_owned()];
        if guest.name == SHOWN {
            jobs.extend(screens());
            programs = tour::PROGRAMS.map(str::to_owned).into();
        }
        let outcome = prepared.boot(guest, &machine, &programs, &jobs)?;
        if let Some(failure) = &outcome.failure {
            bail!("VM {}: {failure}", guest.name);
        }
        if guest.name == SHOWN {
            bodies.extend(shown(&outcome)?);
        }
        answers.push(Answer::of(guest.name, &outcome)?);
    }
    bodies.insert("kernels", probes::kernels(&answers));
    bodies.insert("signals", probes::signals(&answers));
    Ok(bodies)
}

/// A job whose output comes back with its result.
pub(super) fn job(name: &str, argv: &[&str]) -> Job {
    Job {
        name: name.to_owned(),
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
        timeout_ms: LIMIT_MS,
        output: Output::Report,
    }
}

/// The result of the job called `name`.
pub(super) fn result<'a>(outcome: &'a Outcome, name: &str) -> Result<&'a JobResult> {
    let mut results = outcome.results.iter();
    results
        .find(|result| result.job == name)
        .with_context(|| format!("the VM left out the job {name}"))
}

fn screens() -> Vec<Job> {
    let top = format!("{LOADS}; exec /init screen 15 {TOP}");
    let mut jobs = vec![
        job("top", &["sh", "-c", &top]),
        job("hist", &["sh", "-c", HIST]),
        job("demo", &["sh", "-c", DEMO]),
    ];
    jobs.push(Job {
        timeout_ms: TOUR_LIMIT_MS,
        ..job("tour", &["sh", "-c", tour::SCRIPT])
    });
    jobs.extend(EXAMPLES.map(|example| job(example, &["sh", "-c", example])));
    jobs
}

fn stdout<'a>(outcome: &'a Outcome, name: &str) -> Result<&'a str> {
    let result = result(outcome, name)?;
    if result.end != End::Exited(0) || result.stdout.trim().is_empty() {
        bail!("{name}: {}, it said: {}", result.end, result.stderr);
    }
    Ok(result.stdout.as_str())
}

fn shown(outcome: &Outcome) -> Result<Bodies> {
    let screen = |command: &str, text: &str| {
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        format!("```text\n# {command}\n{}\n```", lines.join("\n").trim_end())
    };
    let mut examples = BTreeMap::new();
    for command in EXAMPLES {
        for line in stdout(outcome, command)?.lines() {
            let (kind, text) = example(line).with_context(|| format!("{command}: {line}"))?;
            examples.entry(kind).or_insert(text);
        }
    }
    let examples: Vec<String> = examples
        .into_iter()
        .map(|(kind, text)| format!("`{kind}`:\n```text\n{text}\n```"))
        .collect();
    Ok(Bodies::from([
        ("top", screen(TOP, stdout(outcome, "top")?)),
        ("hist", screen(HIST, stdout(outcome, "hist")?)),
        ("demo", screen(DEMO, stdout(outcome, "demo")?)),
        ("examples", examples.join("\n\n")),
        ("tour", toured(stdout(outcome, "tour")?)?),
    ]))
}

/// The screens of the tour, each below its title.
fn toured(output: &str) -> Result<String> {
    let screens = tour::screens(output);
    if screens.is_empty() {
        bail!("the tour has no screen: {output}");
    }
    let screens = screens
        .iter()
        .map(|(title, screen)| format!("{title}:\n```text\n{}\n```", screen.trim_end()));
    Ok(screens.collect::<Vec<_>>().join("\n\n"))
}

/// The keys of an object in the order they were written, each with its value as it was written.
struct Pairs(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Pairs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// The kind of a line, and the line with a key in each row, long values cut.
fn example(line: &str) -> Result<(String, String)> {
    let Pairs(pairs) = serde_json::from_str(line)?;
    let mut kind = None;
    let mut rows = Vec::new();
    for (key, value) in &pairs {
        if key == "kind" {
            kind = Some(serde_json::from_str(value.get())?);
        }
        let row = format!("  {key:?}: {}", value.get());
        let cut: String = row.chars().take(COLUMNS).collect();
        rows.push(if cut == row { row } else { cut + " …" });
    }
    let kind = kind.context("the line has no kind")?;
    Ok((kind, format!("{{\n{}\n}}", rows.join(",\n"))))
}

#[cfg(test)]
mod tests {
    use super::example;

    #[test]
    fn examples_keep_the_order_and_cut_what_is_long() {
        let line = format!(r#"{{"v":1,"kind":"x","a":[1, 2],"long":"{}"}}"#, "a".repeat(200));
        let (kind, text) = example(&line).unwrap();
        assert_eq!(kind, "x");
        assert!(
            text.starts_with("{\n  \"v\": 1,\n  \"kind\": \"x\",\n  \"a\": [1, 2],\n  \"long\": \"aaa"),
            "{text}"
        );
        assert!(text.ends_with("aaa …\n}"), "{text}");
        assert!(example("{}").is_err());
    }
}
