//! Sources for what is to be measured: the first one, and another one each time that changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::attach::{Wishes, start};
use super::super::diagnose;
use crate::cli::{Counters, FilterArgs, GlobalArgs};
use crate::identity;
use crate::model::measures::{Measure, Measures};
use crate::model::own::Host;
use crate::model::probes::Status;
use crate::model::snapshot::Metric;
use crate::probe::options::Scope;
use crate::source::Source;
use crate::source::live::MAX_IDS;
use crate::source::story::Story;

/// A source that counts, and what there is to say of it.
pub struct Made {
    /// The source. Dropping it ends the tracing.
    pub source: Box<dyn Source>,
    /// What it measures.
    pub measures: Measures,
    /// Its plan of probes, where it has one.
    pub status: Option<Arc<Status>>,
    /// The machine it looks at.
    pub host: Arc<Host>,
}

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Made")
            .field("measures", &self.measures)
            .finish_non_exhaustive()
    }
}

/// Makes sources. Takes seconds: never to be asked by the thread that draws.
pub trait Maker: Send {
    /// A source for `measures`. Whoever of `known`, the processes of the source before, still runs belongs to it too, where a command is traced.
    ///
    /// # Errors
    /// When the kernel refuses.
    fn make(&mut self, measures: Measures, known: &[u32]) -> anyhow::Result<Made>;
}

/// What `top` wants of the kernel for `measures`. Without any it is what its table and the selected process's histogram rest on, and no
/// more: it stays open for hours.
pub fn wishes(measures: Measures) -> Wishes {
    let mut metrics = vec![Metric::Wakeup, Metric::Runqueue, Metric::Delivery];
    let more: [(Measure, &[Metric]); 5] = [
        (Measure::Callback, &[Metric::Callback]),
        (Measure::Counters, &[Metric::Busy]),
        (Measure::Queue, &[Metric::Queue]),
        (Measure::Locks, &[Metric::Lock, Metric::Mutex]),
        (Measure::Findings, diagnose::METRICS),
    ];
    let more = more.into_iter().filter(|(measure, _)| measures.has(*measure));
    metrics.extend(more.flat_map(|(_, metrics)| metrics));
    metrics.sort_unstable();
    metrics.dedup();
    let all = measures.has(Measure::Counters);
    let mut wishes = Wishes {
        metrics,
        counters: Some(if all { Counters::All } else { Counters::Waits }),
        sources: measures.has(Measure::Herd),
        files: measures.has(Measure::Findings),
        look: measures.has(Measure::Findings),
        per_thread: measures.has(Measure::Threads),
        own_cost: measures.has(Measure::Cost),
        ..Wishes::default()
    };
    wishes.fdinfo = wishes.follows_items();
    wishes
}

/// Attaches programs of this machine's kernel.
#[derive(Debug)]
pub struct Attacher {
    global: GlobalArgs,
    filter: FilterArgs,
    /// Who is traced, as it was at the start: where sources are measured, and else.
    narrowed: [Wishes; 2],
    /// The command that is traced with its children.
    root: Option<u32>,
    host: Arc<Host>,
}

impl Attacher {
    /// For the processes that `filter` names, or for `command` and its children.
    ///
    /// # Errors
    /// When a process, thread or cgroup does not exist.
    pub fn new(global: &GlobalArgs, filter: &FilterArgs, command: Option<u32>) -> anyhow::Result<Self> {
        let mut narrowed = [false, true].map(|sources| Wishes {
            sources,
            ..Wishes::default()
        });
        for wishes in &mut narrowed {
            wishes.narrow(filter)?;
        }
        Ok(Self {
            global: global.clone(),
            filter: filter.clone(),
            narrowed,
            root: command,
            host: Arc::new(Host {
                name: identity::host_name().unwrap_or_default(),
                kernel: String::new(),
            }),
        })
    }

    /// `wishes` for those that are to be traced now.
    fn narrow(&self, mut wishes: Wishes, known: &[u32]) -> Wishes {
        if let Some(root) = self.root {
            wishes.scope = Scope::Trees;
            wishes.ids = family(root, known);
            return wishes;
        }
        let mut now = wishes.clone();
        if now.narrow(&self.filter).is_ok() {
            return now;
        }
        // A process that has gone since the start is no reason to stop.
        let then = &self.narrowed[usize::from(wishes.sources)];
        wishes.scope = then.scope.clone();
        wishes.ids.clone_from(&then.ids);
        wishes.cgroup.clone_from(&then.cgroup);
        wishes
    }
}

/// The command `root` and what came of it, as far as that can be told now: its process group, whoever was seen, and all their children.
fn family(root: u32, known: &[u32]) -> Vec<u32> {
    let mut ids = BTreeSet::from([root]);
    ids.extend(identity::descendants(root, known));
    ids.into_iter().take(MAX_IDS).collect()
}

impl Maker for Attacher {
    fn make(&mut self, measures: Measures, known: &[u32]) -> anyhow::Result<Made> {
        let mut wishes = wishes(measures);
        wishes.per_thread |= self.filter.needs_threads();
        let wishes = self.narrow(wishes, known);
        let (mut live, status) = start(&self.global, &wishes)?;
        if let Some(root) = self.root {
            // Children that were born while programs were loaded.
            for id in family(root, &wishes.ids) {
                if !wishes.ids.contains(&id) {
                    live.trace(id)?;
                }
            }
        }
        self.host = Arc::new(Host {
            name: self.host.name.clone(),
            kernel: status.kernel.clone(),
        });
        Ok(Made {
            source: Box::new(live),
            measures,
            status: Some(Arc::new(status)),
            host: Arc::clone(&self.host),
        })
    }
}

/// Numbers that were made up, to see the screens without root.
#[derive(Clone, Copy, Debug)]
pub struct Invented;

impl Maker for Invented {
    fn make(&mut self, _measures: Measures, _known: &[u32]) -> anyhow::Result<Made> {
        Ok(Made {
            source: Box::new(Story::default()),
            measures: Measures::all(),
            status: None,
            host: Arc::new(Host {
                name: "DEMO: made-up numbers".to_owned(),
                kernel: "no kernel".to_owned(),
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_itself_it_is_as_cheap_as_it_was() {
        let wishes = wishes(Measures::NONE);
        assert_eq!(
            wishes.metrics,
            [Metric::Wakeup, Metric::Runqueue, Metric::Delivery]
        );
        assert_eq!(wishes.counters, Some(Counters::Waits));
        assert!(
            !(wishes.look
                || wishes.sources
                || wishes.fdinfo
                || wishes.per_thread
                || wishes.own_cost
                || wishes.wakers)
        );
    }

    #[test]
    fn each_measure_brings_what_it_says() {
        let of = |measure| wishes(Measures::NONE.with(Measures::of(&[measure])));
        let herd = of(Measure::Herd);
        assert!(herd.sources && herd.fdinfo && herd.counters == Some(Counters::Waits));
        assert!(of(Measure::Locks).metrics.contains(&Metric::Mutex));
        assert!(of(Measure::Queue).metrics.contains(&Metric::Queue));
        assert!(of(Measure::Threads).per_thread && of(Measure::Cost).own_cost);
        let findings = of(Measure::Findings);
        assert!(
            diagnose::METRICS
                .iter()
                .all(|metric| findings.metrics.contains(metric))
        );
        assert!(findings.sources && findings.look);
    }
}
