//! The limit of open files, raised as far as a load needs it.

use anyhow::{Context as _, Result, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors the process may have open besides.
const FILES_ELSE: u64 = 100;

/// Raises the soft limit of open files so that `needed` more fit. `who` and `remedy` complete the error.
///
/// # Errors
/// When the hard limit is lower, or the kernel refuses.
pub(super) fn allow_files(needed: u64, who: &str, remedy: &str) -> Result<()> {
    let needed = needed.saturating_add(FILES_ELSE);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).context("cannot read the limit of open files")?;
    if soft >= needed {
        return Ok(());
    }
    if hard < needed {
        bail!(
            "{who} need {needed} open files and the hard limit is {hard}: raise it (ulimit -Hn) or {remedy}"
        );
    }
    setrlimit(Resource::RLIMIT_NOFILE, needed, hard).context("cannot raise the limit of open files")
}
