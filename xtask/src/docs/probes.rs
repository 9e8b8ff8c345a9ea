//! What `epoll-trace probes --json` says on each kernel, for each family: the tables of kernels and of signals.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use xtask::guest::Job;

use super::captures::{job, result};
use crate::vm::qemu::Outcome;

/// The values of `--probes`.
const FAMILIES: [&str; 4] = ["auto", "fentry", "kprobe", "tracepoint"];

#[derive(Deserialize)]
struct Status {
    family: Option<String>,
    error: Option<String>,
    signals: Vec<Signal>,
    absent: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Signal {
    signal: String,
    verdict: String,
    hook: Option<String>,
    tells: Option<String>,
    lost: Option<String>,
    why: Option<String>,
    instructions_per_hit: Option<u32>,
    paid_on: Option<String>,
}

/// One kernel's answers.
pub(super) struct Answer {
    kernel: &'static str,
    release: String,
    statuses: Vec<(&'static str, Status)>,
}

fn name(family: &str) -> String {
    format!("probes {family}")
}

/// The jobs that ask, one for each family.
pub(super) fn jobs() -> Vec<Job> {
    FAMILIES
        .iter()
        .map(|family| {
            job(
                &name(family),
                &["epoll-trace", "probes", "--json", "--probes", family],
            )
        })
        .collect()
}

impl Answer {
    /// What the jobs of [`jobs`] said on `kernel`.
    ///
    /// # Errors
    /// One of them said nothing that can be understood.
    pub(super) fn of(kernel: &'static str, outcome: &Outcome) -> Result<Self> {
        let status = |family| {
            let result = result(outcome, &name(family))?;
            // Where the family cannot work the exit code is 1, and the status still says why.
            let status = serde_json::from_str(&result.stdout)
                .with_context(|| format!("probes {family} on {kernel}: {}", result.stderr))?;
            Ok((family, status))
        };
        Ok(Self {
            kernel,
            release: outcome
                .release
                .clone()
                .context("the VM did not say its release")?,
            statuses: FAMILIES.into_iter().map(status).collect::<Result<_>>()?,
        })
    }
}

/// A row for each kernel, a column for each family, and below it what is missing or limited, and why.
pub(super) fn kernels(answers: &[Answer]) -> String {
    let mut table = String::from(
        "| Kernel | Release tried | auto | fentry | kprobe | tracepoint |\n|---|---|---|---|---|---|\n",
    );
    let mut notes: BTreeMap<(&str, String), Vec<&str>> = BTreeMap::new();
    for answer in answers {
        let mut line = format!("| {} | {} |", answer.kernel, answer.release);
        for (asked, status) in &answer.statuses {
            let word = match (&status.error, status.absent.is_empty()) {
                (Some(_), _) => "no",
                (None, true) => "all",
                (None, false) => "part",
            };
            let took = match (*asked, &status.family) {
                ("auto", Some(family)) => format!("{family}: {word}"),
                _ => word.to_owned(),
            };
            line += &format!(" {took} |");
            if *asked != "auto" {
                for note in limits(status) {
                    notes.entry((asked, note)).or_default().push(answer.kernel);
                }
            }
        }
        table += &line;
        table.push('\n');
    }
    table.push('\n');
    for ((family, note), kernels) in notes {
        // Writing to a String cannot fail.
        let _ = writeln!(table, "- {family} on {}: {note}", kernels.join(", "));
    }
    table
}

/// Why it cannot work at all, or what it cannot know or can lose, a line for each reason.
fn limits(status: &Status) -> Vec<String> {
    if let Some(error) = &status.error {
        return vec![error.clone()];
    }
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (number, why) in &status.absent {
        reasons.entry(why).or_default().push(number);
    }
    let absent = reasons
        .into_iter()
        .map(|(why, numbers)| format!("no `{}` ({why})", numbers.join("`, `")));
    let limited = status.signals.iter().filter_map(|signal| {
        let name = &signal.signal;
        match (signal.verdict.as_str(), &signal.why, &signal.lost) {
            ("broken", why, _) => Some(format!(
                "{name} is broken ({})",
                why.as_deref().unwrap_or_default()
            )),
            (_, _, Some(lost)) => Some(format!("`{name}` cannot tell {lost}")),
            _ => None,
        }
    });
    absent.chain(limited).collect()
}

/// A row for each way a signal is got, with the kernels that get it so.
pub(super) fn signals(answers: &[Answer]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (_, status) in answers.iter().flat_map(|answer| &answer.statuses) {
        for signal in &status.signals {
            if !names.contains(&signal.signal.as_str()) {
                names.push(&signal.signal);
            }
        }
    }
    let mut ways: Vec<(String, Vec<&str>)> = Vec::new();
    let asked = names
        .iter()
        .flat_map(|name| FAMILIES.iter().skip(1).map(move |family| (name, family)));
    for (name, family) in asked {
        for answer in answers {
            let Some(way) = answer.way(family, name) else {
                continue;
            };
            match ways.iter_mut().find(|(row, _)| *row == way) {
                Some((_, kernels)) => kernels.push(answer.kernel),
                None => ways.push((way, vec![answer.kernel])),
            }
        }
    }
    let mut table = String::from(
        "| Signal | Family | Hook | Tells | Cannot tell | Instructions per hit | Paid on | Kernels |\n|---|---|---|---|---|---|---|---|\n",
    );
    for (row, kernels) in ways {
        let kernels = if kernels.len() == answers.len() {
            "all".to_owned()
        } else {
            kernels.join(", ")
        };
        // Writing to a String cannot fail.
        let _ = writeln!(table, "{row} {kernels} |");
    }
    table
}

impl Answer {
    /// How `family` gets the signal here, as the start of a row; nothing where the family does not work at all.
    fn way(&self, family: &str, name: &str) -> Option<String> {
        let (_, status) = self.statuses.iter().find(|(asked, _)| *asked == family)?;
        let signal = status.signals.iter().find(|signal| signal.signal == name)?;
        if status.error.is_some() {
            return None;
        }
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let hook = match &signal.hook {
            Some(hook) => format!("`{hook}`"),
            None => format!("none: {}", text(&signal.why)),
        };
        let price = signal.instructions_per_hit.map(|price| price.to_string());
        Some(format!(
            "| `{name}` | {family} | {hook} | {} | {} | {} | {} |",
            text(&signal.tells),
            text(&signal.lost),
            text(&price),
            text(&signal.paid_on)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Status, kernels, signals};

    fn answer(kernel: &'static str, forced: &str) -> Answer {
        let status = |text: &str| -> Status { serde_json::from_str(text).unwrap() };
        let good = r#"{"family":"fentry","error":null,"absent":{},"signals":[{"signal":"wakeup","verdict":"chosen",
            "hook":"fentry f","tells":"epoll","lost":"time","why":null,"instructions_per_hit":128,"paid_on":null}]}"#;
        Answer {
            kernel,
            release: format!("{kernel}.9"),
            statuses: vec![
                ("auto", status(good)),
                ("fentry", status(good)),
                ("kprobe", status(forced)),
            ],
        }
    }

    #[test]
    fn tables() {
        let no = r#"{"family":null,"error":"refused","absent":{"waits":"refused"},"signals":[]}"#;
        let part = r#"{"family":"kprobe","error":null,"absent":{"a":"why","b":"why"},"signals":[]}"#;
        let answers = [answer("6.1", no), answer("6.12", part)];
        let table = kernels(&answers);
        assert!(
            table.contains("| 6.1 | 6.1.9 | fentry: all | all | no |\n"),
            "{table}"
        );
        assert!(
            table.contains("| 6.12 | 6.12.9 | fentry: all | all | part |\n"),
            "{table}"
        );
        assert!(
            table.contains("- fentry on 6.1, 6.12: `wakeup` cannot tell time\n- kprobe on 6.12: no `a`, `b` (why)\n- kprobe on 6.1: refused\n"),
            "{table}"
        );
        let table = signals(&answers);
        let row = "| `wakeup` | fentry | `fentry f` | epoll | time | 128 | - | all |";
        assert_eq!(table.lines().last(), Some(row));
    }
}
