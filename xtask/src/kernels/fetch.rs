//! Brings a kernel image into the cache: apt with a root of its own reads the suite's index, so the system's sources
//! stay as they are, and dpkg-deb unpacks the package without root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Image, versions};
use crate::exec;
use crate::paths;

/// Overrides the mirror that apt's sources name: `URI[,URI of the security archive]`.
const MIRROR_VARIABLE: &str = "EPOLL_TRACE_DEBIAN_MIRROR";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A kernel in the cache.
pub(crate) struct Kernel {
    /// The bootable image.
    pub(crate) vmlinuz: PathBuf,
    /// Package and version it came from.
    pub(crate) version: String,
}

/// The kernel from the cache, else from the mirror. Needs network only the first time.
pub(crate) fn ensure(image: &Image) -> Result<Kernel> {
    let dir = paths::cache()?.join("kernels").join(image.name);
    let (vmlinuz, stamp) = (dir.join("vmlinuz"), dir.join("version"));
    if vmlinuz.is_file()
        && let Ok(version) = fs::read_to_string(&stamp)
    {
        return Ok(Kernel {
            vmlinuz,
            version: version.trim().to_owned(),
        });
    }
    println!(
        "setup: fetching kernel {} from Debian's {}: the tests run on it",
        image.name,
        image.suites.join(" or ")
    );
    let version = download(image, &dir).with_context(|| {
        format!(
            "cannot fetch kernel {}; check the network, or put a bzImage at {} and its version at {}",
            image.name,
            vmlinuz.display(),
            stamp.display()
        )
    })?;
    // Written last: a half-done directory is never taken for a kernel.
    fs::write(&stamp, format!("{version}\n")).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(Kernel { vmlinuz, version })
}

fn download(image: &Image, dir: &Path) -> Result<String> {
    let mut first = None;
    for suite in image.suites {
        match AptRoot::open(suite).and_then(|apt| Ok((apt.newest(image)?, apt))) {
            Ok((package, apt)) => return apt.unpack(&package, dir),
            Err(error) => drop(first.get_or_insert(error)),
        }
    }
    Err(first.unwrap_or_else(|| anyhow::anyhow!("no suite is named for it")))
}

/// Apt's state for one suite, below the cache.
struct AptRoot {
    dir: PathBuf,
}

impl AptRoot {
    /// Reads the suite's index unless it is there.
    fn open(suite: &str) -> Result<Self> {
        let root = Self {
            dir: paths::cache()?.join("apt").join(suite),
        };
        for sub in ["lists/partial", "archives/partial"] {
            let sub = root.dir.join(sub);
            fs::create_dir_all(&sub).with_context(|| format!("cannot create {}", sub.display()))?;
        }
        let source = format!("deb [signed-by={KEYRING}] {} {suite} main\n", mirror(suite)?);
        fs::write(root.dir.join("sources.list"), source)?;
        fs::write(root.dir.join("status"), "")?;
        exec::output(root.apt("apt-get").args(["update", "--error-on=any"]))
            .with_context(|| format!("cannot read the package index of {suite}"))?;
        Ok(root)
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (option, value) in [
            ("Dir::Etc::sourcelist", "sources.list"),
            ("Dir::State::lists", "lists"),
            ("Dir::State::status", "status"),
            ("Dir::Cache", ""),
        ] {
            command
                .arg("-o")
                .arg(format!("{option}={}", self.dir.join(value).display()));
        }
        for option in [
            "Dir::Etc::sourceparts=-",
            "APT::Sandbox::User=",
            "APT::Architecture=amd64",
            "APT::Architectures=amd64",
            "Acquire::Languages=none",
            "Acquire::Retries=2",
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
            "Acquire::IndexTargets::deb::DEP-11-icons-small::DefaultEnabled=false",
            "Acquire::IndexTargets::deb::DEP-11-icons::DefaultEnabled=false",
        ] {
            command.args(["-o", option]);
        }
        command.current_dir(&self.dir);
        command
    }

    fn newest(&self, image: &Image) -> Result<String> {
        let names = exec::output(self.apt("apt-cache").args(["pkgnames", image.package_start]))?;
        pick(&names, image)
            .with_context(|| format!("no package {}*{} here", image.package_start, image.package_end))
    }

    /// Takes the kernel out of `package` into `dir`; returns package and version.
    fn unpack(&self, package: &str, dir: &Path) -> Result<String> {
        let work = tempfile::tempdir_in(&self.dir).context("cannot create a directory to unpack in")?;
        exec::output(
            self.apt("apt-get")
                .args(["download", package])
                .current_dir(work.path()),
        )?;
        let deb = only_file(work.path())?;
        let tree = work.path().join("tree");
        exec::output(Command::new("dpkg-deb").arg("--extract").arg(&deb).arg(&tree))?;
        let vmlinuz = find(&tree, "vmlinuz")?.with_context(|| format!("{package} holds no vmlinuz"))?;
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
        fs::copy(&vmlinuz, dir.join("vmlinuz")).with_context(|| format!("copy into {}", dir.display()))?;
        if let Some(config) = find(&tree.join("boot"), "config-")? {
            fs::copy(config, dir.join("config"))?;
        }
        let version = exec::output(
            Command::new("dpkg-deb")
                .args(["--field"])
                .arg(&deb)
                .arg("Version"),
        )?;
        Ok(format!("{package} {}", version.trim()))
    }
}

fn pick(names: &str, image: &Image) -> Option<String> {
    names
        .lines()
        .filter(|name| name.starts_with(image.package_start) && name.ends_with(image.package_end))
        // `-rt-cloud` or another release's rebuild (`0.deb11.48`) is another kernel.
        .filter(|name| !name.contains(".deb"))
        .max_by(|a, b| versions::compare(a, b))
        .map(str::to_owned)
}

/// The mirror that this machine's apt uses for its own release, so that a local mirror or proxy is honoured.
fn mirror(suite: &str) -> Result<String> {
    let security = suite.ends_with("-security");
    if let Ok(mirrors) = std::env::var(MIRROR_VARIABLE) {
        let mut mirrors = mirrors.split(',');
        let uri = if security { mirrors.nth(1) } else { mirrors.next() };
        return uri
            .map(str::to_owned)
            .with_context(|| format!("{MIRROR_VARIABLE} names no archive for {suite}"));
    }
    let targets = exec::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(RELEASE) $(REPO_URI)",
        "Created-By: Packages",
    ]))?;
    let release = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let Some(uri) = own_mirror(&targets, &release, security) else {
        bail!("apt's sources name no Debian archive; set {MIRROR_VARIABLE} to a mirror's URI");
    };
    Ok(uri)
}

fn own_mirror(targets: &str, os_release: &str, security: bool) -> Option<String> {
    let value = |key: &str| {
        os_release
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .map(|v| v.trim_matches('"'))
    };
    if value("ID=")? != "debian" {
        return None;
    }
    let codename = value("VERSION_CODENAME=")?;
    let wanted = if security {
        format!("{codename}-security")
    } else {
        codename.to_owned()
    };
    let (_, uri) = targets
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(name, _)| *name == wanted)?;
    Some(uri.to_owned())
}

fn only_file(dir: &Path) -> Result<PathBuf> {
    find(dir, "")?.with_context(|| format!("nothing was downloaded into {}", dir.display()))
}

/// The first file below `dir` whose name begins with `start`; nothing if `dir` does not exist.
fn find(dir: &Path, start: &str) -> Result<Option<PathBuf>> {
    if !dir.is_dir() {
        return Ok(None);
    }
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let entry = entry?;
        let found = if entry.file_type()?.is_dir() {
            find(&entry.path(), start)?
        } else {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with(start)
                .then(|| entry.path())
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::{own_mirror, pick};
    use crate::kernels::IMAGES;

    #[test]
    fn newest_package_of_the_series() {
        let names = "linux-image-6.1.0-9-cloud-amd64\nlinux-image-6.1.0-50-cloud-amd64\n\
                     linux-image-6.1.0-50-rt-amd64\nlinux-image-6.1.0-0.deb11.52-cloud-amd64\n";
        let image = IMAGES.iter().find(|image| image.name == "6.1").unwrap();
        assert_eq!(
            pick(names, image).as_deref(),
            Some("linux-image-6.1.0-50-cloud-amd64")
        );
        assert_eq!(pick("linux-image-6.1.0-50-amd64\n", image), None);
    }

    #[test]
    fn mirror_of_the_own_release() {
        let targets = "nodistro http://a/\nbookworm-updates http://b/\nbookworm http://c/\nbookworm-security http://d/\n";
        let debian = "ID=debian\nVERSION_CODENAME=bookworm\n";
        assert_eq!(own_mirror(targets, debian, false).as_deref(), Some("http://c/"));
        assert_eq!(own_mirror(targets, debian, true).as_deref(), Some("http://d/"));
        assert_eq!(
            own_mirror(targets, "ID=ubuntu\nVERSION_CODENAME=noble\n", false),
            None
        );
    }
}
