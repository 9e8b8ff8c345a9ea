//! `top` as a person sees it: the herd's demonstration in a tmux.

use super::trace::FENTRY;
use super::{Need, Outputs, Problem, Test};
use crate::kernels::Capability;
use crate::tour::{KERNEL, PROGRAMS, SCRIPT, screens};

/// Guest seconds: two loads are attached to, with all that findings rest on.
const SECONDS: u64 = 300;

/// On one kernel: the screens are the same on all.
pub(super) fn tests() -> Vec<Test> {
    let test = Test::new("top: a tour of the herd's demonstration in tmux", check)
        .needs(FENTRY.need())
        .needs(Need::Since(6, 12))
        .needs(Need::Before(6, 18))
        .needs(Need::Can(Capability::ProbeRead))
        .job_with_limit(&["sh", "-c", SCRIPT], SECONDS);
    vec![PROGRAMS.into_iter().fold(test, Test::with)]
}

fn check(outputs: &Outputs<'_>) -> Result<(), Problem> {
    let output = outputs.stdout(0)?;
    let screens = screens(output);
    let [processes, sources, findings, finding] = &screens[..] else {
        return Err(format!("{} screens on {KERNEL}: {output}", screens.len()).into());
    };
    // The listener of four: an event reaches and wakes four. What follows needs no more than that it was found.
    let listener = |line: &str| line.contains("tcp 127.0.0.1:") && line.matches(" 4.00").count() == 2;
    let held = [
        ("four waiters", processes.1.matches(" waiter ").count() >= 4),
        ("fan-out and woken of 4", sources.1.lines().any(listener)),
        ("four workers", sources.1.contains(" 4 items")),
        ("the finding", findings.1.contains("D01")),
        (
            "its remedy and price",
            finding.1.contains("remedy: ") && finding.1.contains("price: "),
        ),
    ];
    for (what, held) in held {
        if !held {
            return Err(format!("no {what}: {output}").into());
        }
    }
    Ok(())
}
