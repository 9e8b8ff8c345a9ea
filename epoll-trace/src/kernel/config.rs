//! Build options and lockdown level. They make a reason readable and never decide anything: only a test load does.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;

use super::text;

/// Options that explain a refusal.
const OPTIONS: &[&str] = &[
    "CONFIG_BPF_EVENTS",
    "CONFIG_BPF_JIT",
    "CONFIG_DEBUG_INFO_BTF",
    "CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS",
    "CONFIG_FUNCTION_TRACER",
    "CONFIG_KALLSYMS_ALL",
    "CONFIG_KPROBES",
    "CONFIG_KPROBE_EVENTS",
    "CONFIG_PREEMPT_RT",
];

/// The value of each known option, `n` when the file says it is not set; empty where no configuration can be read.
pub(super) fn read(root: &Path) -> BTreeMap<String, String> {
    let text = compressed(root).or_else(|| installed(root)).unwrap_or_default();
    OPTIONS
        .iter()
        .filter_map(|&option| Some((option.to_owned(), value(&text, option)?)))
        .collect()
}

fn value(text: &str, option: &str) -> Option<String> {
    text.lines()
        .find_map(|line| match line.strip_prefix(option)? {
            rest if rest.starts_with('=') => Some(rest[1..].to_owned()),
            _ => None,
        })
        .or_else(|| {
            text.contains(&format!("# {option} is not set\n"))
                .then(|| "n".to_owned())
        })
}

fn compressed(root: &Path) -> Option<String> {
    let mut text = String::new();
    GzDecoder::new(File::open(root.join("proc/config.gz")).ok()?)
        .read_to_string(&mut text)
        .ok()?;
    Some(text)
}

fn installed(root: &Path) -> Option<String> {
    let release = text(root, "proc/sys/kernel/osrelease")?;
    fs::read_to_string(root.join(format!("boot/config-{release}"))).ok()
}

/// The active level of `none [integrity] confidentiality`; `None` where securityfs does not show it.
pub(super) fn lockdown(root: &Path) -> Option<String> {
    let levels = text(root, "sys/kernel/security/lockdown")?;
    let (_, active) = levels.split_once('[')?;
    let (active, _) = active.split_once(']')?;
    Some(active.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn expected(config: &BTreeMap<String, String>) -> bool {
        config.get("CONFIG_KPROBES").is_some_and(|value| value == "y")
            && config.get("CONFIG_PREEMPT_RT").is_some_and(|value| value == "n")
            && config.len() == 2
    }

    const TEXT: &str =
        "CONFIG_KPROBES=y\nCONFIG_KPROBES_ON_FTRACE=y\n# CONFIG_PREEMPT_RT is not set\nCONFIG_X=m\n";

    #[test]
    fn options_are_read_from_either_place() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/sys/kernel")).unwrap();
        fs::create_dir(root.path().join("boot")).unwrap();
        assert!(read(root.path()).is_empty());

        fs::write(root.path().join("proc/sys/kernel/osrelease"), "6.1.0\n").unwrap();
        fs::write(root.path().join("boot/config-6.1.0"), TEXT).unwrap();
        assert!(expected(&read(root.path())));

        fs::remove_dir_all(root.path().join("boot")).unwrap();
        let file = File::create(root.path().join("proc/config.gz")).unwrap();
        let mut writer = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        writer.write_all(TEXT.as_bytes()).unwrap();
        writer.finish().unwrap();
        assert!(expected(&read(root.path())));
    }

    #[test]
    fn the_level_in_brackets_is_active() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(lockdown(root.path()), None);
        fs::create_dir_all(root.path().join("sys/kernel/security")).unwrap();
        fs::write(
            root.path().join("sys/kernel/security/lockdown"),
            "none [integrity] confidentiality\n",
        )
        .unwrap();
        assert_eq!(lockdown(root.path()).as_deref(), Some("integrity"));
    }
}
