//! What our own figures may be at most, and whether they are.

use super::figures::Kernel;
use super::subjects::{
    FUTEX, GETPPID, HERD, HIST, HIST_FLOOR_TRACEPOINT, HIST_PHASES, HIST_TRACEPOINT, NULL, PP, TOP,
    TOP_FLOOR_KPROBE, TOP_FLOOR_TRACEPOINT, TOP_KPROBE, TOP_TRACEPOINT,
};

/// How a bound is meant.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    /// Instructions per operation above none.
    Most(f64),
    /// Times what the load costs with none.
    Times(f64),
    /// Times what another subject takes above none.
    TimesOf(&'static str, f64),
}

/// What `subject` may cost `load` on `kernel` (none: on each).
#[derive(Debug)]
pub(super) struct Ceiling {
    pub(super) subject: &'static str,
    pub(super) load: &'static str,
    pub(super) kernel: Option<&'static str>,
    pub(super) at: At,
    /// Whether it was ever kept: what was must be kept for good, what was not yet is only told.
    pub(super) kept: bool,
}

/// Not kept so far: docs/cost.md says where the instructions go.
const fn goal(ceiling: Ceiling) -> Ceiling {
    Ceiling {
        kept: false,
        ..ceiling
    }
}

/// Of one kernel alone.
const fn on(kernel: &'static str, ceiling: Ceiling) -> Ceiling {
    Ceiling {
        kernel: Some(kernel),
        ..ceiling
    }
}

const fn ceiling(subject: &'static str, load: &'static str, at: At) -> Ceiling {
    Ceiling {
        subject,
        load,
        kernel: None,
        at,
        kept: true,
    }
}

/// Asserted in every run that measures the row.
pub(super) const CEILINGS: [Ceiling; 16] = [
    ceiling(HIST, PP, At::Most(650.0)),
    ceiling(HIST, NULL, At::Most(230.0)),
    goal(ceiling(HIST_PHASES, PP, At::Most(1200.0))),
    on("6.1", ceiling(TOP, PP, At::Most(1600.0))),
    ceiling(TOP, PP, At::Most(1700.0)),
    ceiling(TOP, NULL, At::Most(650.0)),
    ceiling(TOP, HERD, At::Times(1.15)),
    goal(ceiling(TOP_KPROBE, PP, At::TimesOf(TOP_FLOOR_KPROBE, 1.6))),
    ceiling(HIST, GETPPID, At::Most(NOTHING)),
    ceiling(TOP, GETPPID, At::Most(NOTHING)),
    ceiling(HIST, FUTEX, At::Most(120.0)),
    on("6.1", ceiling(TOP, FUTEX, At::Most(120.0))),
    on("6.18", ceiling(TOP, FUTEX, At::Most(120.0))),
    // Its empty programs take 125 there.
    on("7.3", goal(ceiling(TOP, FUTEX, At::Most(120.0)))),
    ceiling(HIST_TRACEPOINT, GETPPID, At::TimesOf(HIST_FLOOR_TRACEPOINT, 1.15)),
    ceiling(TOP_TRACEPOINT, GETPPID, At::TimesOf(TOP_FLOOR_TRACEPOINT, 1.15)),
];

/// What a start of `subject` on `kernel` may take until its first output.
#[derive(Debug)]
pub(super) struct StartCeiling {
    pub(super) subject: &'static str,
    pub(super) kernel: &'static str,
    /// Millions of instructions.
    pub(super) most: f64,
    /// Resident memory, MB.
    pub(super) most_mb: f64,
    /// As of [`Ceiling`].
    pub(super) kept: bool,
}

/// Asserted in every run that starts the subject.
pub(super) const STARTS: [StartCeiling; 3] = [
    start("6.1", true),
    start("6.18", true),
    // 516 M: its verifier takes longer.
    start("7.3", false),
];

const fn start(kernel: &'static str, kept: bool) -> StartCeiling {
    StartCeiling {
        subject: HIST,
        kernel,
        most: 500.0,
        most_mb: 20.0,
        kept,
    }
}

/// Instructions per operation by which a load that nobody touches differs from itself: the agent's own ticks.
const NOTHING: f64 = 2.0;

impl Kernel {
    /// Each ceiling that this run measured: whether it holds, and a line that says so.
    pub(super) fn ceilings(&self) -> Vec<(bool, String)> {
        let of_this = |ceiling: &&Ceiling| ceiling.kernel.is_none_or(|kernel| kernel == self.kernel);
        CEILINGS
            .iter()
            .filter(of_this)
            .filter_map(|ceiling| self.ceiling(ceiling))
            .chain(STARTS.iter().filter_map(|ceiling| self.start_ceiling(ceiling)))
            .collect()
    }

    fn start_ceiling(&self, ceiling: &StartCeiling) -> Option<(bool, String)> {
        if ceiling.kernel != self.kernel {
            return None;
        }
        let start = self
            .starts
            .iter()
            .find(|start| start.subject == ceiling.subject)?;
        let (value, mb) = (start.first_output?, start.rss_mb?);
        let good = value <= ceiling.most && mb <= ceiling.most_mb;
        Some((
            good || !ceiling.kept,
            format!(
                "{} {} on {}: start: {value:.0} M instructions and {mb:.1} MB, at most {:.0} and {:.1}",
                verdict(good, ceiling.kept),
                ceiling.subject,
                self.kernel,
                ceiling.most,
                ceiling.most_mb
            ),
        ))
    }

    fn ceiling(&self, ceiling: &Ceiling) -> Option<(bool, String)> {
        let figure = self.figure(ceiling.subject, ceiling.load)?;
        let (value, most, unit) = match ceiling.at {
            At::Most(most) => (figure.above, most, "instructions"),
            At::Times(most) => {
                let base = figure.instructions - figure.above;
                (figure.instructions / base, most, "times none")
            }
            At::TimesOf(other, most) => {
                let other = self.figure(other, ceiling.load)?;
                (figure.above / other.above, most, "times its floor")
            }
        };
        let good = value <= most;
        let word = verdict(good, ceiling.kept);
        let digits = if matches!(ceiling.at, At::Most(_)) { 0 } else { 2 };
        Some((
            good || !ceiling.kept,
            format!(
                "{word} {} on {}: {}: {value:.digits$} {unit}, at most {most:.digits$}",
                ceiling.subject, self.kernel, ceiling.load
            ),
        ))
    }
}

fn verdict(good: bool, kept: bool) -> &'static str {
    match (good, kept) {
        (true, true) => "ok",
        (true, false) => "ok, and so far not kept: mark it as kept:",
        (false, true) => "FAIL",
        (false, false) => "not yet",
    }
}

#[cfg(test)]
mod tests {
    use xtask::measure::{AFTER, BEFORE};

    use super::super::figures::Start;
    use super::super::figures::tests::{kernel, measured};
    use super::super::subjects::{LOADS, SUBJECTS};
    use super::*;

    #[test]
    fn ceilings_name_what_is_measured() {
        let subject = |name| SUBJECTS.iter().any(|row| row.name == name);
        assert!(STARTS.iter().all(|ceiling| subject(ceiling.subject)));
        for ceiling in &CEILINGS {
            assert!(subject(ceiling.subject), "{ceiling:?}");
            assert!(LOADS.iter().any(|load| load.name == ceiling.load), "{ceiling:?}");
            if let At::TimesOf(other, _) = ceiling.at {
                assert!(subject(other), "{ceiling:?}");
            }
        }
    }

    #[test]
    fn ceilings_hold_or_fail() {
        let first = |top| {
            let rows = [
                (BEFORE, "pp", 7000.0),
                ("top, fentry", "pp", top),
                (AFTER, "pp", 7000.0),
            ];
            let kernel = Kernel::new("6.1", "x", &measured(&rows)).unwrap();
            kernel.ceilings()[0].clone()
        };
        assert!(first(8600.0).0);
        let fails = "FAIL top, fentry on 6.1: pp: 1601 instructions, at most 1600";
        assert_eq!(first(8601.0), (false, fails.to_owned()));
    }

    #[test]
    fn starts_have_ceilings() {
        let with = |instructions, mb| {
            let mut kernel = kernel(7000.0, 7600.0).unwrap();
            kernel.kernel = "6.1".to_owned();
            kernel.starts.push(Start {
                subject: "hist, fentry".to_owned(),
                first_output: Some(instructions),
                rss_mb: Some(mb),
                peak_mb: None,
            });
            let told = kernel.ceilings();
            told.into_iter().all(|(holds, _)| holds)
        };
        assert!(with(500.0, 20.0));
        assert!(!with(501.0, 20.0) && !with(500.0, 20.1));
    }
}
