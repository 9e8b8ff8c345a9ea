//! The screens: what each is called, which columns it has, what must be measured for it, and its rows in a sample.

use std::sync::LazyLock;

use super::sample::Sample;
use crate::fields::findings::FINDING_COLUMNS;
use crate::fields::locks::LOCK_COLUMNS;
use crate::fields::own::OWN_COLUMNS;
use crate::fields::sources::SOURCE_COLUMNS;
use crate::fields::{Column, FIELDS, Field, Head, Rank, Value, columns, epoll_columns};
use crate::model::entry::{Entry, EntryKey, EpollRef};
use crate::model::finding::{Finding, Subject, What};
use crate::model::herds::Herd;
use crate::model::locks::LockEntry;
use crate::model::measures::{Measure, Measures};
use crate::model::own::OwnRow;
use crate::model::snapshot::LockKind;
use crate::model::source::SourceId;
use crate::view::tui::query::{Asked, Kind, Query, Row, contains};

/// What is on the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Screen {
    /// Processes that wait on epolls.
    #[default]
    Processes,
    /// Epolls.
    Epolls,
    /// Listeners and files that several watch.
    Sources,
    /// Locks of epolls.
    Locks,
    /// What the diagnoses say.
    Findings,
    /// This program.
    Own,
}

impl Screen {
    /// Every screen, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Processes,
        Self::Epolls,
        Self::Sources,
        Self::Locks,
        Self::Findings,
        Self::Own,
    ];

    /// Its title.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Processes => "Processes",
            Self::Epolls => "Epolls",
            Self::Sources => "Sources",
            Self::Locks => "Locks",
            Self::Findings => "Findings",
            Self::Own => "Self",
        }
    }

    /// Its name in a configuration.
    pub fn name(self) -> String {
        self.title().to_lowercase()
    }

    /// What one of its rows is, and several are.
    pub const fn rows_are(self) -> [&'static str; 2] {
        match self {
            Self::Processes => ["process", "processes"],
            Self::Epolls => ["epoll", "epolls"],
            Self::Sources => ["source", "sources"],
            Self::Locks => ["lock", "locks"],
            Self::Findings => ["finding", "findings"],
            Self::Own => ["signal", "signals"],
        }
    }

    /// Its columns, left to right.
    pub fn heads(self) -> &'static [Head] {
        static HEADS: LazyLock<[Vec<Head>; 6]> = LazyLock::new(|| {
            [
                columns().map(|field| field.head(false)).collect(),
                epoll_columns().map(|field| field.head(true)).collect(),
                heads(SOURCE_COLUMNS),
                heads(LOCK_COLUMNS),
                heads(FINDING_COLUMNS),
                heads(OWN_COLUMNS),
            ]
        });
        &HEADS[self as usize]
    }

    /// The column called `id`.
    pub fn column(self, id: &str) -> Option<usize> {
        self.heads().iter().position(|head| head.id == id)
    }

    /// What a filter may ask of its rows.
    pub(super) fn asked(self) -> Vec<Asked> {
        if matches!(self, Self::Processes | Self::Epolls) {
            return FIELDS.iter().map(Asked::from).collect();
        }
        let asked = |head: &Head| Asked {
            id: head.id,
            title: head.title,
            kind: if head.is_name { Kind::Words } else { Kind::Any },
        };
        self.heads().iter().map(asked).collect()
    }

    /// The column that it is sorted by at first; none where the order is that of what is shown.
    pub(super) fn first_sort(self) -> Option<usize> {
        self.column(match self {
            Self::Processes => "p99",
            Self::Epolls => "waits_per_s",
            Self::Sources => "events",
            Self::Locks => "total",
            Self::Findings => "severity",
            Self::Own => return None,
        })
    }

    /// What must be measured for all of it.
    pub const fn needs(self) -> Measures {
        match self {
            Self::Processes => Measures::of(&[Measure::Counters, Measure::Queue]),
            Self::Epolls => Measures::of(&[Measure::Counters, Measure::Queue, Measure::Locks]),
            Self::Sources => Measures::of(&[Measure::Herd]),
            Self::Locks => Measures::of(&[Measure::Locks]),
            Self::Findings => Measures::of(&[
                Measure::Counters,
                Measure::Herd,
                Measure::Locks,
                Measure::Findings,
            ]),
            Self::Own => Measures::of(&[Measure::Cost]),
        }
    }

    /// Whether it has no row at all without what it needs.
    pub const fn is_empty_without(self) -> bool {
        matches!(self, Self::Sources | Self::Locks)
    }

    /// Why it has no row although all is measured.
    pub(in crate::view::tui) fn nothing(self) -> &'static str {
        match self {
            Self::Processes => "No process has waited on an epoll yet.",
            Self::Epolls => "No epoll was used yet.",
            Self::Sources => "No listener and no file that several watch had an event.",
            Self::Locks => "No epoll's lock was waited for.",
            Self::Findings => "Nothing found by what is measured.",
            Self::Own => "The probes of this source are not known.",
        }
    }
}

fn heads<R>(columns: &[Column<R>]) -> Vec<Head> {
    columns.iter().map(|column| column.head).collect()
}

/// Tells a row from all others of its screen, from look to look.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowId {
    /// A process, thread or epoll.
    Entry(EntryKey),
    /// A shared file or listener.
    Source(SourceId),
    /// A lock.
    Lock(EntryKey, LockKind, Option<i32>),
    /// A diagnosis of somebody, and what of it.
    Finding(&'static str, EntryKey, &'static str, Option<i32>),
    /// A signal.
    Signal(String),
}

/// The key of an epoll that stays when its descriptor is learned.
fn lasting(key: EntryKey) -> EntryKey {
    let epoll = key.epoll.map(|epoll| EpollRef {
        epfd: epoll.epfd.filter(|_| epoll.id.is_none()),
        ..epoll
    });
    EntryKey { epoll, ..key }
}

/// The rows of a screen in a sample; a place is that of a row before it is filtered and sorted.
#[derive(Clone, Copy, Debug)]
pub(in crate::view::tui) enum Rows<'a> {
    /// Processes, those that left, and their threads; or epolls.
    Entries {
        of_epolls: bool,
        parts: [&'a [Entry]; 3],
    },
    Sources(&'a [Herd]),
    Locks(&'a [LockEntry]),
    Findings(&'a [Finding]),
    Own(&'a [OwnRow]),
}

impl<'a> Rows<'a> {
    /// Those of `screen`.
    pub(in crate::view::tui) fn of(screen: Screen, sample: &'a Sample) -> Self {
        match screen {
            Screen::Processes => Self::Entries {
                of_epolls: false,
                parts: [&sample.entries, &sample.gone, &sample.threads],
            },
            Screen::Epolls => Self::Entries {
                of_epolls: true,
                parts: [sample.epolls.as_deref().unwrap_or_default(), &[], &[]],
            },
            Screen::Sources => Self::Sources(&sample.herds),
            Screen::Locks => Self::Locks(&sample.locks),
            Screen::Findings => Self::Findings(sample.findings()),
            Screen::Own => Self::Own(&sample.own),
        }
    }

    /// How many places there are without those of threads.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Entries { parts, .. } => parts[0].len() + parts[1].len(),
            Self::Sources(rows) => rows.len(),
            Self::Locks(rows) => rows.len(),
            Self::Findings(rows) => rows.len(),
            Self::Own(rows) => rows.len(),
        }
    }

    /// Whether there is none at all.
    pub(in crate::view::tui) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The places of the threads of the process at `place`.
    pub(super) fn threads(&self, place: usize) -> std::ops::Range<usize> {
        let (Self::Entries { parts, .. }, Some(entry)) = (self, self.entry(place)) else {
            return 0..0;
        };
        let (pid, threads) = (entry.key.pid, parts[2]);
        let start = threads.partition_point(|thread| thread.key.pid < pid);
        let end = threads.partition_point(|thread| thread.key.pid <= pid);
        self.len() + start..self.len() + end
    }

    /// The process, thread or epoll at `place`.
    pub(in crate::view::tui) fn entry(&self, place: usize) -> Option<&'a Entry> {
        let Self::Entries { parts, .. } = self else {
            return None;
        };
        let mut place = place;
        for part in parts {
            if let Some(entry) = part.get(place) {
                return Some(entry);
            }
            place -= part.len();
        }
        None
    }

    /// Whether the process at `place` has left.
    pub(in crate::view::tui) fn is_gone(&self, place: usize) -> bool {
        let Self::Entries { parts, .. } = self else {
            return false;
        };
        (parts[0].len()..parts[0].len() + parts[1].len()).contains(&place)
    }

    /// What tells the row at `place` from all others.
    pub(super) fn id(&self, place: usize) -> Option<RowId> {
        Some(match self {
            Self::Entries { .. } => RowId::Entry(lasting(self.entry(place)?.key)),
            Self::Sources(rows) => RowId::Source(rows.get(place)?.id),
            Self::Locks(rows) => {
                let lock = rows.get(place)?;
                RowId::Lock(lasting(lock.epoll), lock.kind, lock.fd)
            }
            Self::Findings(rows) => {
                let finding = rows.get(place)?;
                let subject = &finding.subject;
                let (what, fd) = match subject.what {
                    What::Process => ("process", None),
                    What::Epoll => ("epoll", None),
                    What::Lock { kind, fd } => (kind.name(), fd),
                    What::Source { fd, .. } => ("file", fd),
                };
                RowId::Finding(finding.diagnosis.id, lasting(subject.key), what, fd)
            }
            Self::Own(rows) => RowId::Signal(rows.get(place)?.signal.signal.clone()),
        })
    }

    /// The value of the row at `place` in column `column`.
    pub(in crate::view::tui) fn value(&self, place: usize, column: usize) -> Value {
        fn of<R>(columns: &[Column<R>], rows: &[R], place: usize, column: usize) -> Option<Value> {
            Some((columns.get(column)?.get)(rows.get(place)?))
        }
        let value = match self {
            Self::Entries { of_epolls, .. } => self.field(place, column, *of_epolls),
            Self::Sources(rows) => of(SOURCE_COLUMNS, rows, place, column),
            Self::Locks(rows) => of(LOCK_COLUMNS, rows, place, column),
            Self::Findings(rows) => of(FINDING_COLUMNS, rows, place, column),
            Self::Own(rows) => of(OWN_COLUMNS, rows, place, column),
        };
        value.unwrap_or(Value::Absent)
    }

    fn field(&self, place: usize, column: usize, of_epolls: bool) -> Option<Value> {
        static FIELDS: LazyLock<[Vec<&'static Field>; 2]> =
            LazyLock::new(|| [columns().collect(), epoll_columns().collect()]);
        let field = FIELDS[usize::from(of_epolls)].get(column)?;
        let entry = self.entry(place)?;
        // A thread has its own number where its process has its.
        Some(match (entry.key.tid, field.id) {
            (Some(tid), "pid") => Value::Count(tid.into()),
            (Some(_), "comm") => Value::Text(format!("- {}", entry.name)),
            // Without colors gray is no mark.
            (None, "comm") if self.is_gone(place) => Value::Text(format!("({})", entry.name)),
            _ => field.value(entry),
        })
    }

    /// What the row at `place` is ordered by in column `column`.
    pub(super) fn rank(&self, place: usize, column: usize) -> Option<Rank<RowId>> {
        Some(Rank {
            value: self.value(place, column),
            has_evidence: self.entry(place).is_none_or(Entry::has_enough_values),
            key: self.id(place)?,
        })
    }

    /// Whether the row at `place` is to be shown on `screen`.
    pub(super) fn passes(&self, place: usize, screen: Screen, query: &Query) -> bool {
        match self.entry(place) {
            Some(entry) => query.matches(entry),
            None => query.matches(&OfTable {
                rows: self,
                place,
                screen,
            }),
        }
    }
}

/// A row that is no entry, as a query sees it.
struct OfTable<'a> {
    rows: &'a Rows<'a>,
    place: usize,
    screen: Screen,
}

impl Row for OfTable<'_> {
    fn value(&self, id: &str) -> Value {
        let column = self.screen.column(id);
        column.map_or(Value::Absent, |column| self.rows.value(self.place, column))
    }

    fn mentions(&self, word: &str) -> bool {
        let mut names = (0..).zip(self.screen.heads()).filter(|(_, head)| head.is_name);
        names.any(|(column, _)| match self.rows.value(self.place, column) {
            Value::Text(text) | Value::Ranked(_, text) => contains(&text, word),
            _ => false,
        })
    }
}

/// Where the subject of a finding stands: a screen, and its row there.
pub(super) fn place_of(subject: &Subject, sample: &Sample) -> Option<(Screen, RowId)> {
    let key = subject.key;
    Some(match subject.what {
        What::Process => (Screen::Processes, RowId::Entry(key)),
        What::Epoll => (Screen::Epolls, RowId::Entry(lasting(key))),
        What::Lock { kind, fd } => (Screen::Locks, RowId::Lock(lasting(key), kind, fd)),
        What::Source { fd, .. } => {
            let watches = |herd: &&Herd| {
                let mut workers = herd.workers.iter();
                workers.any(|worker| worker.key == key && Some(worker.fd) == fd)
            };
            let herd = sample.herds.iter().find(watches)?;
            (Screen::Sources, RowId::Source(herd.id))
        }
    })
}
