//! A loader of BPF objects that does not read the kernel's types.

use std::thread;

use aya::EbpfLoader;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::chroot;

/// There is nothing of `/sys` below it.
const ELSEWHERE: &str = "/proc/self";

/// A loader without types of the kernel: our objects have nothing to relocate by them.
///
/// aya's own constructor parses all of them, which takes 110 million instructions and 20 MB, before it can be told not to. It
/// goes on without where there are none: so it is called by a thread whose root directory has no `/sys`. Where that
/// is refused it takes longer.
pub(super) fn loader() -> EbpfLoader<'static> {
    let made = thread::spawn(|| {
        // Only this thread's root changes, and it ends at once.
        if let Err(error) = unshare(CloneFlags::CLONE_FS).and_then(|()| chroot(ELSEWHERE)) {
            log::debug!("the kernel's types are read once more: {error}");
        }
        EbpfLoader::new()
    });
    let mut loader = made.join().unwrap_or_default();
    loader.btf(None);
    loader
}
