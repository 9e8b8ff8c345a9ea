//! A cgroup of the unified hierarchy (cgroup2): its directory and its members.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context as _, anyhow, bail};

use super::text;

/// A cgroup that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cgroup {
    /// Its directory.
    pub path: PathBuf,
}

impl Cgroup {
    /// The cgroup at `path`: a directory below the mount of cgroup2, or what `/proc/PID/cgroup` says after `0::`.
    /// Files are read below `root`.
    ///
    /// # Errors
    /// When there is none, or no cgroup2 at all.
    pub fn find(root: &Path, path: &Path) -> anyhow::Result<Self> {
        let mount = mount(root).ok_or_else(|| {
            anyhow!(
                "no cgroup2 hierarchy is mounted here, so there is no cgroup {}; choose processes by -p instead",
                path.display()
            )
        })?;
        let below = match path.strip_prefix(&mount) {
            Ok(below) => below,
            Err(_) => path.strip_prefix("/").unwrap_or(path),
        };
        let top = root.join(mount.strip_prefix("/").unwrap_or(&mount));
        let directory = top.join(below);
        // A path with `..` must not lead out of the hierarchy.
        let inside = |directory: &PathBuf| {
            let top = top.canonicalize();
            directory.is_dir() && top.is_ok_and(|top| directory.starts_with(top))
        };
        let Some(directory) = directory.canonicalize().ok().filter(inside) else {
            bail!(
                "there is no cgroup {} below {}; /proc/PID/cgroup names that of a process, after 0::",
                path.display(),
                mount.display()
            );
        };
        Ok(Self { path: directory })
    }

    /// Processes in it and below it, now.
    ///
    /// # Errors
    /// When a list of members cannot be read.
    pub fn processes(&self) -> anyhow::Result<BTreeSet<u32>> {
        self.members("cgroup.procs")
    }

    /// Threads in it and below it, now.
    ///
    /// # Errors
    /// When a list of members cannot be read.
    pub fn threads(&self) -> anyhow::Result<BTreeSet<u32>> {
        self.members("cgroup.threads")
    }

    fn members(&self, list: &str) -> anyhow::Result<BTreeSet<u32>> {
        let mut found = BTreeSet::new();
        let mut left = vec![self.path.clone()];
        while let Some(directory) = left.pop() {
            match fs::read_to_string(directory.join(list)) {
                Ok(ids) => found.extend(ids.lines().filter_map(|id| id.parse::<u32>().ok())),
                Err(error) if is_no_list(&error) => {}
                Err(error) => return Err(error).with_context(|| cannot_read(&directory)),
            }
            match fs::read_dir(&directory) {
                Ok(entries) => left.extend(
                    entries
                        .flatten()
                        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                        .map(|entry| entry.path()),
                ),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error).with_context(|| cannot_read(&directory)),
            }
        }
        Ok(found)
    }
}

/// A cgroup that went meanwhile, and a threaded one, whose processes its parent lists (`EOPNOTSUPP`).
fn is_no_list(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EOPNOTSUPP)
        || error.raw_os_error() == Some(libc::ENODEV)
        || error.kind() == ErrorKind::NotFound
}

fn cannot_read(directory: &Path) -> String {
    format!("cannot read cgroup {}", directory.display())
}

/// Where cgroup2 is mounted, as this process sees it.
fn mount(root: &Path) -> Option<PathBuf> {
    text(root, "proc/self/mounts")?.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (_, place, kind) = (words.next()?, words.next()?, words.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(place))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        fs::create_dir_all(at("proc/self")).unwrap();
        fs::write(
            at("proc/self/mounts"),
            "tmpfs /cg tmpfs rw 0 0\nnone /cg/two cgroup2 rw 0 0\n",
        )
        .unwrap();
        for (directory, procs) in [("", "1\n"), ("web", "12\n13\n"), ("web/worker", "14\n")] {
            let directory = at("cg/two").join(directory);
            fs::create_dir_all(&directory).unwrap();
            fs::write(directory.join("cgroup.procs"), procs).unwrap();
        }
        root
    }

    #[test]
    fn every_spelling_of_its_path() {
        let root = tree();
        let directory = root.path().join("cg/two/web").canonicalize().unwrap();
        for path in ["web", "/web", "/cg/two/web", "web/", "/cg/two/web/worker/.."] {
            let cgroup = Cgroup::find(root.path(), Path::new(path)).unwrap();
            assert_eq!(cgroup.path, directory, "{path}");
            assert_eq!(
                cgroup.processes().unwrap(),
                BTreeSet::from([12, 13, 14]),
                "{path}"
            );
        }
    }

    #[test]
    fn what_is_no_cgroup() {
        let root = tree();
        for path in ["db", "..", "../../proc", "web/cgroup.procs"] {
            let error = Cgroup::find(root.path(), Path::new(path))
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with(&format!("there is no cgroup {path} below /cg/two")),
                "{error}"
            );
        }
        fs::write(root.path().join("proc/self/mounts"), "").unwrap();
        let error = Cgroup::find(root.path(), Path::new("web"))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("no cgroup2 hierarchy"), "{error}");
    }
}
