//! Where snapshots come from.

pub mod live;
pub mod story;
pub mod synthetic;

use crate::model::snapshot::Snapshot;

/// Something that can be looked at again and again.
pub trait Source: Send {
    /// Everything counted since the start. Reads maps, so it may take milliseconds: never call it from the thread that draws.
    ///
    /// # Errors
    /// When the kernel refuses a read that worked before.
    fn snapshot(&mut self) -> anyhow::Result<Snapshot>;

    /// Adds to `snapshot`, which was just taken, what one look at the processes tells. That reads `/proc` for some time: not for every refresh.
    ///
    /// # Errors
    /// As of [`Source::snapshot`].
    fn look(&mut self, _snapshot: &mut Snapshot) -> anyhow::Result<()> {
        Ok(())
    }

    /// The probe plan in one line (family, what is missing), for every view.
    fn plan_line(&self) -> &str;
}
