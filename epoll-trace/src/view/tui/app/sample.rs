//! What one look gives the screen.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::screen::Screen;
use crate::model::entry::Entry;
use crate::model::finding::{Examination, Finding};
use crate::model::herds::Herd;
use crate::model::locks::LockEntry;
use crate::model::measures::Measures;
use crate::model::overhead::Overhead;
use crate::model::own::{Host, OwnRow};
use crate::model::probes::Status;
use crate::model::reuseport::Group;

/// What one look gives the screen. Lists of what is not measured are empty.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Processes in the order of their keys: counters of the last interval, histograms since the start or the last reset.
    pub entries: Vec<Entry>,
    /// Processes that left a while ago, as they were.
    pub gone: Vec<Entry>,
    /// Threads in the order of their keys, likewise.
    pub threads: Vec<Entry>,
    /// Epolls, likewise; `None` where this look was not for the screen of epolls.
    pub epolls: Option<Vec<Entry>>,
    /// Listeners and files that several watch, over `window_ns`.
    pub herds: Vec<Herd>,
    /// Sockets of one address, likewise.
    pub groups: Vec<Group>,
    /// Locks that were waited for, over `window_ns`.
    pub locks: Vec<LockEntry>,
    /// What the diagnoses say of `examined_ns`.
    pub examination: Option<Arc<Examination>>,
    /// Length of what they were made of, ns.
    pub examined_ns: u64,
    /// The probes.
    pub own: Vec<OwnRow>,
    /// Resident memory of this process, bytes.
    pub own_bytes: Option<u64>,
    /// The plan of probes, where there is one.
    pub status: Option<Arc<Status>>,
    /// The machine.
    pub host: Arc<Host>,
    /// What is measured.
    pub measures: Measures,
    /// Why what was asked for could not be measured.
    pub failed: Option<Arc<str>>,
    /// Time that sources and locks are counted over, ns.
    pub window_ns: u64,
    /// Time since the start or the last reset, ns.
    pub since_ns: u64,
    /// The probe plan in one line.
    pub plan_line: String,
    /// Loss counters by name.
    pub losses: BTreeMap<String, u64>,
    /// Why a counter or metric cannot be known, by name.
    pub absent: Arc<BTreeMap<String, String>>,
    /// What the probes cost in the last interval, where that was asked for.
    pub cost: Option<Overhead>,
}

impl Sample {
    /// What the diagnoses found, worst first.
    pub fn findings(&self) -> &[Finding] {
        self.examination
            .as_ref()
            .map_or(&[], |examination| &examination.findings)
    }

    /// This look with what only `screen` shows taken from a later one, where this one was made for another screen.
    pub(super) fn completed(&self, screen: Screen, later: &Self) -> Option<Self> {
        let lists_of = |sample: &Self| match screen {
            Screen::Processes => true,
            Screen::Epolls => sample.epolls.is_some(),
            Screen::Own => !sample.own.is_empty(),
            Screen::Sources | Screen::Locks | Screen::Findings => sample.window_ns > 0,
        };
        if lists_of(self) || !lists_of(later) {
            return None;
        }
        let mut sample = self.clone();
        match screen {
            Screen::Processes => {}
            Screen::Epolls => sample.epolls.clone_from(&later.epolls),
            Screen::Own => sample.own.clone_from(&later.own),
            Screen::Sources | Screen::Locks | Screen::Findings => {
                sample.herds.clone_from(&later.herds);
                sample.groups.clone_from(&later.groups);
                sample.locks.clone_from(&later.locks);
                sample.window_ns = later.window_ns;
            }
        }
        Some(sample)
    }
}
