//! Where things lie: the workspace, and the cache that survives a fresh clone.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The top directory of the workspace.
pub(crate) fn workspace() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// `$XDG_CACHE_HOME/epoll-trace`, else `~/.cache/epoll-trace`. The build script of `epoll-trace` uses the same rule.
///
/// # Errors
/// Neither variable is set.
pub(crate) fn cache() -> Result<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let base = absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .context("no cache directory: set HOME or XDG_CACHE_HOME to an absolute path")?;
    Ok(base.join("epoll-trace"))
}
