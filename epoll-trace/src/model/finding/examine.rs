//! From a window to findings: every rule on every subject that there is.

use std::cmp::Reverse;

use super::super::delta::Window;
use super::super::entry::{Entry, EntryKey};
use super::super::files::{FILE_LOSSES, FILES};
use super::super::filter::Filter;
use super::super::group::{GroupBy, group};
use super::super::herds::Herd;
use super::super::locks::{LockEntry, locks};
use super::super::reuseport::{Group, herds_and_groups};
use super::super::snapshot::{FIRST_LOCK_WAITS, LockKind};
use super::super::source::SOURCES;
use super::{
    Check, Confidence, DIAGNOSES, Diagnosis, Examination, Finding, Judgement, Level, Limit, Limits, Outcome,
    Raised, Rule, Subject,
};

/// All that rules may look at.
#[derive(Debug)]
pub struct Scene<'a> {
    pub(super) window: &'a Window,
    pub(super) herds: Vec<Herd>,
    pub(super) groups: Vec<Group>,
    pub(super) processes: Vec<Entry>,
    pub(super) epolls: Vec<Entry>,
    pub(super) locks: Vec<LockEntry>,
    pub(super) limits: &'a Limits,
}

impl<'a> Scene<'a> {
    fn new(window: &'a Window, filter: &Filter, limits: &'a Limits) -> Self {
        let (herds, groups) = herds_and_groups(window, filter, false);
        Self {
            window,
            herds,
            groups,
            processes: group(window, GroupBy::Process, filter),
            epolls: group(window, GroupBy::Epoll, filter),
            locks: locks(window, filter),
            limits,
        }
    }

    pub(super) fn limit(&self, limit: Limit) -> f64 {
        self.limits.get(limit)
    }

    /// The judgement where there are fewer samples than it takes.
    pub(super) fn few(&self, samples: u64) -> Option<Judgement> {
        ((samples as f64) < self.limit(Limit::Samples)).then_some(Judgement::TooFew(samples))
    }

    /// Which of its numbers cannot be known, and why; `None` if all can.
    pub(super) fn missing(&self, diagnosis: &Diagnosis) -> Option<String> {
        let absent = &self.window.counted.absent;
        let estimated = matches!(diagnosis.rule, Rule::EstimatedSource(_))
            && self.herds.iter().any(|herd| herd.estimated);
        let mut needs = diagnosis
            .needs
            .iter()
            .filter(|&&name| !(estimated && name == SOURCES));
        needs.find_map(|name| Some(format!("{name}: {}", absent.get(*name)?)))
    }

    /// Why what `diagnosis` looks for may be there unseen: of spin locks the first waiter is, where only tracepoints tell.
    fn blind(&self, diagnosis: &Diagnosis) -> Option<String> {
        let spins = matches!(diagnosis.rule, Rule::Lock(LockKind::Lock, _));
        let why = spins.then(|| self.window.counted.absent.get(FIRST_LOCK_WAITS))??;
        Some(format!("{FIRST_LOCK_WAITS}: {why}"))
    }

    /// `count` per second of the window.
    pub(super) fn per_second(&self, count: u64) -> f64 {
        count as f64 * 1e9 / self.window.span_ns.max(1) as f64
    }

    /// The epoll called `key`; closed ones go by their process.
    pub(super) fn epoll(&self, key: EntryKey) -> Option<&Entry> {
        let id = |key: EntryKey| key.epoll.and_then(|epoll| epoll.id);
        let is_it = |entry: &&Entry| match id(key) {
            Some(own) => id(entry.key) == Some(own),
            None => entry.key == key,
        };
        self.epolls.iter().find(is_it)
    }
}

/// So many times the samples that a rule takes are many.
const MANY: f64 = 10.0;
/// Losses that are a smaller part of the samples change nothing.
const LOST: f64 = 0.05;

impl Confidence {
    fn of(raised: &Raised, diagnosis: &Diagnosis, scene: &Scene<'_>) -> Self {
        let mut reasons = vec![format!("{} samples", raised.samples)];
        let many = raised.samples as f64 >= MANY * scene.limit(Limit::Samples);
        let mut level = if many { Level::High } else { Level::Medium };
        if let Some(caveat) = raised.caveat {
            level = Level::Medium;
            reasons.push(caveat.to_owned());
        }
        let by_files = diagnosis.needs.contains(&FILES);
        let losses = scene.window.counted.losses.iter();
        let lost: u64 = losses
            .filter(|(name, _)| by_files || !FILE_LOSSES.contains(&name.as_str()))
            .map(|(_, count)| count)
            .sum();
        if lost > 0 {
            // Whose they were nobody knows: all of them may be of this one.
            if lost as f64 > LOST * raised.samples as f64 {
                level = Level::Low;
            }
            reasons.push(format!("{lost} counts were lost"));
        }
        Self {
            level,
            why: reasons.join("; "),
        }
    }
}

/// Judges what `filter` lets pass of `window` by every diagnosis.
pub fn examine(window: &Window, filter: &Filter, limits: &Limits) -> Examination {
    let scene = Scene::new(window, filter, limits);
    let mut findings = Vec::new();
    let checks = DIAGNOSES
        .iter()
        .map(|diagnosis| check(diagnosis, &scene, &mut findings))
        .collect();
    findings.sort_by_key(|finding| {
        (
            Reverse(finding.severity),
            finding.diagnosis.id,
            finding.subject.key,
        )
    });
    Examination {
        findings,
        checks,
        epolls: scene.epolls.len() as u64,
        sources: scene.herds.len() as u64,
    }
}

fn check(diagnosis: &'static Diagnosis, scene: &Scene<'_>, findings: &mut Vec<Finding>) -> Check {
    let missing = scene.missing(diagnosis);
    let mut tally = Tally::default();
    let mut judge = |subject: Subject, judgement: Judgement| {
        findings.extend(tally.take(diagnosis, subject, judgement, scene));
    };
    match diagnosis.rule {
        _ if missing.is_some() => {}
        Rule::Source(rule) | Rule::EstimatedSource(rule) => {
            let herds = scene.herds.iter();
            herds.for_each(|herd| judge(herd.into(), rule(herd, scene)));
        }
        Rule::Group(rule) => {
            let groups = scene.groups.iter();
            groups.for_each(|group| judge(group.into(), rule(group, scene)));
        }
        Rule::Process(rule) => {
            let processes = scene.processes.iter();
            processes.for_each(|entry| judge(entry.into(), rule(entry, scene)));
        }
        Rule::Epoll(rule) => {
            let epolls = scene.epolls.iter();
            epolls.for_each(|entry| judge(entry.into(), rule(entry, scene)));
        }
        Rule::Lock(kind, rule) => {
            let locks = scene.locks.iter().filter(|lock| lock.kind == kind);
            locks.for_each(|lock| judge(lock.into(), rule(lock, scene)));
        }
    }
    // Without an epoll in use nothing was looked at; without a shared file or a wait for a lock there is none to blame.
    let blames = matches!(
        diagnosis.rule,
        Rule::Source(_) | Rule::EstimatedSource(_) | Rule::Group(_) | Rule::Lock(..)
    );
    let nothing_to_blame = blames && !scene.epolls.is_empty();
    let outcome = missing.map_or_else(|| tally.outcome(nothing_to_blame), Outcome::Unchecked);
    Check {
        diagnosis,
        outcome: match (outcome, scene.blind(diagnosis)) {
            (Outcome::Clear(_) | Outcome::TooFew(_), Some(why)) => Outcome::Unchecked(why),
            (outcome, _) => outcome,
        },
        unknown: tally.unknown,
    }
}

/// What the subjects of one diagnosis came to.
#[derive(Default)]
struct Tally {
    raised: u64,
    calm: u64,
    few: u64,
    most_samples: u64,
    unknown: u64,
    why: &'static str,
}

impl Tally {
    fn take(
        &mut self,
        diagnosis: &'static Diagnosis,
        subject: Subject,
        judgement: Judgement,
        scene: &Scene<'_>,
    ) -> Option<Finding> {
        match judgement {
            Judgement::Calm => self.calm += 1,
            Judgement::TooFew(samples) => {
                self.few += 1;
                self.most_samples = self.most_samples.max(samples);
            }
            Judgement::Unknown(why) => {
                self.unknown += 1;
                self.why = why;
            }
            Judgement::Raised(raised) => {
                self.raised += 1;
                return Some(Finding {
                    diagnosis,
                    severity: raised.severity,
                    subject,
                    confidence: Confidence::of(&raised, diagnosis, scene),
                    evidence: raised.evidence,
                    sentence: raised.sentence,
                });
            }
        }
        None
    }

    fn outcome(&self, nothing_to_blame: bool) -> Outcome {
        if self.raised > 0 {
            Outcome::Found(self.raised)
        } else if self.calm > 0 {
            Outcome::Clear(self.calm)
        } else if self.unknown > 0 {
            Outcome::Unchecked(self.why.to_owned())
        } else if self.few == 0 && nothing_to_blame {
            Outcome::Clear(0)
        } else {
            Outcome::TooFew(self.most_samples)
        }
    }
}
