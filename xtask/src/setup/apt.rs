//! Packages of the distribution, installed only if missing.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::exec;

/// Installs those of `packages` that are missing, after saying so. `why` completes "installing X: it ...".
///
/// # Errors
/// No apt here, no root, or apt failed (no network, no such package).
pub(crate) fn ensure(packages: &[&str], why: &str) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .copied()
        .filter(|package| !installed(package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if exec::find_program("apt-get").is_none() {
        bail!("{list} is missing ({why}) and there is no apt-get here: install it by hand, then try again");
    }
    println!("setup: installing {list}: {why}");
    let purpose = format!("install {list}");
    update(&purpose)?;
    exec::run(
        apt_get(&purpose)?
            .args(["install", "--yes", "--no-install-recommends"])
            .args(&missing),
    )
    .with_context(|| format!("cannot install {list}; check the network and apt's sources"))
}

/// Whether apt could install `package` from the sources it knows. A fresh machine has never read their lists, so what is not
/// found is looked for again after that.
///
/// # Errors
/// No root.
pub(crate) fn available(package: &str) -> Result<bool> {
    if exec::find_program("apt-get").is_none() {
        return Ok(false);
    }
    if listed(package) {
        return Ok(true);
    }
    println!("setup: reading the lists of apt's sources: {package} is not in them yet");
    update(&format!("look for {package}"))?;
    Ok(listed(package))
}

fn listed(package: &str) -> bool {
    exec::output(Command::new("apt-cache").args(["show", "--quiet", package]))
        .is_ok_and(|text| !text.is_empty())
}

fn update(purpose: &str) -> Result<()> {
    // Some other source of this machine may be out of order, which the installation need not care about.
    if let Err(error) = exec::output(apt_get(purpose)?.arg("update")) {
        eprintln!("setup: apt-get update: {error:#}");
    }
    Ok(())
}

fn installed(package: &str) -> bool {
    exec::output(Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]))
        .is_ok_and(|status| status == "installed")
}

fn apt_get(purpose: &str) -> Result<Command> {
    let mut command = exec::as_root("env", purpose)?;
    // What is installed for tests should not start as a service: runlevel and systemctl look at these.
    command.args([
        "DEBIAN_FRONTEND=noninteractive",
        "RUNLEVEL=1",
        "SYSTEMD_OFFLINE=1",
    ]);
    command.args(["apt-get", "--quiet"]);
    Ok(command)
}
