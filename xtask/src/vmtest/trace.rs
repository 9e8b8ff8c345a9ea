//! Jobs that trace a known load, and what the tool and the load print, read back.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Need, Problem};
use crate::kernels::{Capability, Guest};

/// A value of `--probes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Family {
    /// Its name on the command line.
    pub(super) name: &'static str,
    needs: Capability,
}

/// Every family.
pub(super) const FAMILIES: [Family; 3] = [FENTRY, KPROBE, TRACEPOINT];
/// fentry and fexit.
pub(super) const FENTRY: Family = family("fentry", Capability::Fentry);
/// kprobes.
pub(super) const KPROBE: Family = family("kprobe", Capability::Kprobe);
/// Tracepoints alone.
pub(super) const TRACEPOINT: Family = family("tracepoint", Capability::Tracepoint);

const fn family(name: &'static str, needs: Capability) -> Family {
    Family { name, needs }
}

impl Family {
    /// What a kernel must allow for it.
    pub(super) fn need(self) -> Need {
        Need::Can(self.needs)
    }
}

/// A run of a scenario.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Its name.
    pub(super) scenario: &'static str,
    /// `--events`.
    pub(super) events: u64,
    /// `--waiters`, where the scenario takes it.
    pub(super) waiters: Option<u32>,
}

impl Load {
    /// `epoll-trace bench scenario` with this load; its report comes as JSON.
    pub(super) fn argv(self) -> Vec<String> {
        let mut words = [
            "epoll-trace",
            "bench",
            "scenario",
            self.scenario,
            "--json",
            "--events",
        ]
        .map(str::to_owned)
        .to_vec();
        words.push(self.events.to_string());
        if let Some(waiters) = self.waiters {
            words.extend(["--waiters".to_owned(), waiters.to_string()]);
        }
        words
    }

    /// As the matrix names it.
    pub(super) fn title(self) -> String {
        let Self {
            scenario,
            events,
            waiters,
        } = self;
        waiters.map_or_else(
            || format!("{scenario} {events}"),
            |waiters| format!("{scenario} {events}, {waiters} waiters"),
        )
    }
}

/// `epoll-trace hist OPTIONS -- ` these loads, one after the other.
pub(super) fn traced(loads: &[Load], family: Family, options: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = ["epoll-trace", "hist", "--json", "--probes", family.name]
        .iter()
        .chain(options)
        .chain(&["--"])
        .map(|&word| word.to_owned())
        .collect();
    match loads {
        [load] => words.extend(load.argv()),
        _ => {
            let script: Vec<String> = loads.iter().map(|load| load.argv().join(" ")).collect();
            words.extend(["sh".to_owned(), "-c".to_owned(), script.join(" && ")]);
        }
    }
    words
}

/// A loss that a preemptible kernel causes by itself: it runs fentry and fexit programs, and since 7 also those of the system
/// call tracepoints, with preemption on, and drops the hit of a task that comes while the same program of another one was pushed
/// off that CPU. In the emulator programs take long enough for that. It costs what is counted where waits and scans begin and
/// end; what fentry programs count with interrupts off stays exact.
const MISSES: &str = "probe_misses";
/// That loss, and what follows from it.
const OF_THE_KERNEL: [&str; 2] = [MISSES, "returns_missed"];
/// Epolls from before whose fdinfo was not read: the tool gives up after 2 s, which a busy host may spend elsewhere. It costs
/// what these watch and no count.
const CUT: &str = "fdinfo_cut";
/// The load whose threads become runnable by the hundred at once.
pub(super) const CROWD: &str = "many-blocked";
/// Of the tool's lines a failure shows so many.
const LINES_SHOWN: usize = 2;
/// Counted with interrupts off. Not so with kprobes, of which one hit can fall within another program on its CPU, nor with
/// tracepoints, which infer wakeups from waits, nor where epolls have no address: there the wait says whose a wakeup is.
const NEVER_MISSED: [&str; 6] = [
    "notifications",
    "wakeups",
    "wakeups_source",
    "wakeups_chain",
    "wakeups_ctl",
    "wakeups_unclassified",
];
/// Where wakeups are inferred, a wait whose return was missed goes on: what the thread sleeps for next looks like its wakeups,
/// so these may appear where there were none, as often as waits may be missed.
const INFERRED: [&str; 2] = ["empty_wakeups", "wasted_wakeups"];
/// Counted where a wait returns, for all of its scans: one miss costs those of a whole wait, and in a herd that may be dozens.
const OF_WHOLE_WAITS: [&str; 2] = ["scans_repoll", "scans_spurious"];
/// A miss loses one wait, and a wait brings two events here at most: the source's and the stop.
const LOST_PER_MISS: u64 = 2;
/// Many misses hit system calls that are no waits, so they must not excuse everything: one in so many is excused at most.
const LOST_AT_MOST: u64 = 2;

/// The lines of one run of the tool, with the reports of the loads among them.
pub(super) struct Trace {
    lines: Vec<Value>,
    /// Hits of the tool's programs that the kernel dropped.
    pub(super) misses: u64,
}

impl Trace {
    /// From everything that the tool and the loads printed. Fails on any loss but [`CUT`], and [`MISSES`] where they cannot be
    /// helped, and if none is listed at all.
    pub(super) fn new(lines: Vec<Value>, guest: &Guest) -> Result<Self, Problem> {
        let mut trace = Self { lines, misses: 0 };
        let losses = &trace.last()?["losses"];
        let listed = losses.as_object().filter(|losses| !losses.is_empty());
        let listed = listed.ok_or("no loss counter is listed")?;
        let helpless = |name: &str| name == CUT || (guest.preemptible && OF_THE_KERNEL.contains(&name));
        if listed.iter().any(|(name, count)| *count != 0 && !helpless(name)) {
            return Err(format!("losses: {losses}").into());
        }
        // Kernels before 5.12 do not count them.
        trace.misses = losses[MISSES].as_u64().unwrap_or(0);
        if trace.misses > 0 {
            println!(
                "VM {}: {} hits of the probes missed in one run",
                guest.name, trace.misses
            );
        }
        Ok(trace)
    }

    /// How many epolls from before may be unknown, or not listed for want of anything else that is known of them.
    pub(super) fn left_out(&self) -> Result<u64, Problem> {
        Ok(self.last()?["losses"][CUT].as_u64().unwrap_or(0))
    }

    /// How many of `all` things may be wrong where one dropped hit spoils one of them.
    pub(super) fn excused(&self, all: u64) -> u64 {
        self.misses.min(all / LOST_AT_MOST)
    }

    /// Whether the plan says that the chosen probes lose something of `signal`.
    pub(super) fn loses(&self, signal: &str) -> bool {
        let plan = self.kind("plan");
        let signals = plan.first().and_then(|line| line["plan"]["signals"].as_array());
        signals.is_some_and(|signals| {
            signals
                .iter()
                .any(|row| row["signal"] == signal && row["lost"].is_string())
        })
    }

    /// A word of the plan.
    fn plan(&self, key: &str) -> &str {
        self.kind("plan")
            .first()
            .and_then(|line| line["plan"][key].as_str())
            .unwrap_or_default()
    }

    /// The line that ends the only block.
    fn last(&self) -> Result<&Value, Problem> {
        match self.kind("losses")[..] {
            [line] => Ok(line),
            ref lines => Err(format!("{} blocks, not one", lines.len()).into()),
        }
    }

    /// The lines of one kind.
    pub(super) fn kind(&self, kind: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["kind"] == kind).collect()
    }

    /// Why a number cannot be known here; nothing if it can.
    pub(super) fn absent(&self, name: &str) -> Result<Option<&str>, Problem> {
        Ok(self.last()?["absent"][name].as_str())
    }

    /// The runs of `loads`, in their order, which must be all there are.
    pub(super) fn runs(&self, loads: &[Load]) -> Result<Vec<Run<'_>>, Problem> {
        let reports = self.kind("scenario");
        let names: Vec<&str> = reports
            .iter()
            .filter_map(|report| report["name"].as_str())
            .collect();
        if names != loads.iter().map(|load| load.scenario).collect::<Vec<_>>() {
            return Err(format!("runs of {names:?}, not of {loads:?}").into());
        }
        Ok(reports
            .into_iter()
            .map(|report| Run { trace: self, report })
            .collect())
    }

    /// The runs whose reports are of this kind.
    pub(super) fn reports(&self, kind: &str) -> Vec<Run<'_>> {
        let reports = self.kind(kind).into_iter();
        reports.map(|report| Run { trace: self, report }).collect()
    }
}

/// One load in a trace: its report, and the lines of its processes.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    trace: &'a Trace,
    /// What the load says it did.
    pub(super) report: &'a Value,
}

impl<'a> Run<'a> {
    /// The tool's lines of one kind about this load.
    pub(super) fn lines(&self, kind: &str) -> Vec<&'a Value> {
        let mut lines = self.trace.kind(kind);
        lines.retain(|line| self.is_of(&line["pid"]));
        lines
    }

    fn is_of(&self, pid: &Value) -> bool {
        let waiters = self.report["threads"].as_array();
        self.report["pid"] == *pid
            || waiters.is_some_and(|waiters| waiters.iter().any(|waiter| waiter["pid"] == *pid))
    }

    /// Whether the tool said why it does not know `name`.
    pub(super) fn knows_why(&self, name: &str) -> Result<bool, Problem> {
        Ok(self.trace.absent(name)?.is_some())
    }

    /// The `hist` lines of a metric.
    pub(super) fn metric(&self, metric: &str) -> Vec<&'a Value> {
        let mut lines = self.lines("hist");
        lines.retain(|line| line["metric"] == metric);
        lines
    }

    /// The one line of a metric that has values. Where the ends of epolls are not seen, an epoll stays a while beside the sum of
    /// its waiters' closed ones, without any.
    pub(super) fn only(&self, metric: &str) -> Result<&'a Value, Problem> {
        let mut lines = self.metric(metric);
        lines.retain(|line| line["count"] != 0);
        match lines[..] {
            [line] => Ok(line),
            _ => Err(format!(
                "{} epolls have values of {metric}, not one: {lines:?}",
                lines.len()
            )
            .into()),
        }
    }

    /// Counters that the load says a tracer must count; those it does not know are left out.
    pub(super) fn expected(&self) -> Result<BTreeMap<&'a str, u64>, Problem> {
        let expect = self.report["expect"].as_object();
        let expect = expect.ok_or("the load's report has no expectations")?;
        let known = expect
            .iter()
            .filter_map(|(name, value)| Some((name.as_str(), value["exact"].as_u64()?)));
        Ok(known.collect())
    }

    /// Holds the sums over the lines of `kind` against what the load says, but for `except`; every difference is in
    /// the error. The histogram must hold exactly the deliveries that slept.
    pub(super) fn hold(&self, kind: &str, except: &[&str]) -> Result<(), Problem> {
        self.hold_to(self.expected()?, kind, except)
    }

    /// How far a count may be off `expected` because of misses. With fentry each miss is one of epoll's own functions, so what
    /// is missing must have been counted as missed.
    pub(super) fn excused(&self, expected: u64) -> u64 {
        let by_misses = LOST_PER_MISS * self.trace.misses;
        // In a crowd more than half of the waits may be missed.
        if self.report["name"] == CROWD {
            return by_misses;
        }
        // Without addresses the begin of a wait says whose wakeups follow, and in a herd many follow one begin.
        if self.trace.misses > 0 && self.trace.plan("epolls") != "by_address" {
            return (expected / LOST_AT_MOST).max(LOST_PER_MISS);
        }
        if self.trace.plan("family") == FENTRY.name {
            return by_misses;
        }
        by_misses.min((expected / LOST_AT_MOST).max(LOST_PER_MISS))
    }

    /// How far the count `name` may be off, with so many `waits` in all.
    fn slack(&self, name: &str, expected: u64, waits: u64) -> u64 {
        let family = self.trace.plan("family");
        let sure = family == FENTRY.name && self.trace.plan("epolls") == "by_address";
        if sure && NEVER_MISSED.contains(&name) {
            return 0;
        }
        if self.trace.misses > 0 && OF_WHOLE_WAITS.contains(&name) {
            return self.excused(expected).max(expected / LOST_AT_MOST);
        }
        if family == TRACEPOINT.name && INFERRED.contains(&name) {
            return self.excused(expected.max(waits));
        }
        self.excused(expected)
    }

    /// [`Run::hold`] with other expectations.
    pub(super) fn hold_to(
        &self,
        expected: BTreeMap<&str, u64>,
        kind: &str,
        except: &[&str],
    ) -> Result<(), Problem> {
        let lines = self.lines(kind);
        let waits = expected.get("waits").copied().unwrap_or(0);
        let mut wrong = Vec::new();
        for (name, expected) in expected {
            if except.contains(&name) {
                continue;
            }
            let slack = self.slack(name, expected, waits);
            match sum(&lines, name)? {
                Some(counted) if counted.abs_diff(expected) <= slack => {}
                Some(counted) => wrong.push(format!("{name} {counted} instead of {expected}")),
                None if self.trace.absent(name)?.is_some() => {}
                None => wrong.push(format!("{name} unknown without a reason")),
            }
        }
        // The histogram holds the deliveries that slept, whatever was missed.
        let (values, slept) = (
            sum(&self.metric("wakeup"), "count")?,
            sum(&lines, "deliveries_slept")?,
        );
        if values != slept {
            wrong.push(format!(
                "{values:?} values in the histogram of {slept:?} deliveries"
            ));
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> = lines.iter().take(LINES_SHOWN).map(ToString::to_string).collect();
        Err(format!(
            "{}\n  the load: {}\n  the tool: {}",
            wrong.join(", "),
            self.report,
            lines.join("\n    ")
        )
        .into())
    }
}

/// The number `name` added up over `lines`; nothing if one of them does not know it, or if there is no line.
pub(super) fn sum(lines: &[&Value], name: &str) -> Result<Option<u64>, Problem> {
    let number = |line: &&Value| match &line[name] {
        Value::Null if line.get(name).is_some() => Ok(None),
        value => value
            .as_u64()
            .map(Some)
            .ok_or_else(|| format!("{name} is no count: {line}").into()),
    };
    let numbers: Vec<Option<u64>> = lines.iter().map(number).collect::<Result<_, Problem>>()?;
    if lines.is_empty() {
        return Ok(None);
    }
    Ok(numbers.into_iter().sum())
}

#[cfg(test)]
mod tests;
