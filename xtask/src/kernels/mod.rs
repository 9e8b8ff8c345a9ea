//! The kernels of the test matrix: which package holds each, and what each can do.
//!
//! One table of images and one of guests (an image and a command line); everything else reads them.

pub(crate) mod fetch;
mod versions;

/// A kernel as Debian ships it.
#[derive(Debug)]
pub(crate) struct Image {
    /// Its series, and the name of its directory in the cache.
    pub(crate) name: &'static str,
    /// Major and minor version.
    pub(crate) series: (u32, u32),
    /// How the package's name begins; a version follows.
    package_start: &'static str,
    /// How it ends.
    package_end: &'static str,
    /// Where it is looked for, in this order; the next only if the one before has none.
    suites: &'static [&'static str],
}

/// Package names from the list of design 6: the newest version that is there is taken, since old ones vanish.
pub(crate) static IMAGES: [Image; 5] = [
    Image {
        name: "5.10",
        series: (5, 10),
        package_start: "linux-image-5.10.0-",
        package_end: "-cloud-amd64-unsigned",
        suites: &["bullseye", "bullseye-security"],
    },
    Image {
        name: "6.1",
        series: (6, 1),
        package_start: "linux-image-6.1.0-",
        package_end: "-cloud-amd64",
        suites: &["bookworm", "bookworm-security"],
    },
    Image {
        name: "6.12",
        series: (6, 12),
        package_start: "linux-image-6.12.",
        package_end: "+deb13-cloud-amd64",
        suites: &["trixie", "trixie-security"],
    },
    Image {
        name: "6.18",
        series: (6, 18),
        package_start: "linux-image-6.18.",
        package_end: "+deb13-cloud-amd64",
        suites: &["trixie-backports"],
    },
    Image {
        name: "7.3",
        series: (7, 3),
        package_start: "linux-binary-7.3.",
        package_end: "+deb13-cloud-amd64",
        suites: &["trixie-backports"],
    },
];

/// What a kernel may or may not let a BPF tool do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capability {
    /// fentry and fexit programs.
    Fentry,
    /// kprobe and kretprobe programs.
    Kprobe,
    /// tp_btf and raw tracepoint programs.
    Tracepoint,
    /// `bpf_probe_read_kernel`.
    ProbeRead,
}

impl Capability {
    /// As tests and messages call it; the first three are also values of `--probes`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Tracepoint => "tracepoint",
            Self::ProbeRead => "probe_read_kernel",
        }
    }
}

/// A column of the matrix: an image booted with a command line.
#[derive(Debug)]
pub(crate) struct Guest {
    /// As `--kernel` names it.
    pub(crate) name: &'static str,
    image: &'static str,
    /// Added to the kernel command line.
    pub(crate) cmdline: &'static str,
    /// What it cannot do, and why.
    pub(crate) lacks: &'static [(Capability, &'static str)],
    /// Whether a task can be pushed off its CPU within the kernel (CONFIG_PREEMPT_LAZY and stronger).
    pub(crate) preemptible: bool,
}

const fn plain(name: &'static str, preemptible: bool) -> Guest {
    Guest {
        name,
        image: name,
        cmdline: "",
        lacks: &[],
        preemptible,
    }
}

const CONFIDENTIAL: &str = "lockdown=confidentiality refuses it";

/// The columns of the matrix.
pub(crate) static GUESTS: [Guest; 6] = [
    plain("5.10", false),
    plain("6.1", false),
    plain("6.12", false),
    plain("6.18", true),
    plain("7.3", true),
    Guest {
        name: "6.18-lockdown",
        image: "6.18",
        cmdline: "lockdown=confidentiality",
        lacks: &[
            (Capability::Kprobe, CONFIDENTIAL),
            (Capability::ProbeRead, CONFIDENTIAL),
        ],
        preemptible: true,
    },
];

impl Guest {
    /// The image it boots.
    pub(crate) fn image(&self) -> &'static Image {
        // A test asserts that every guest's image exists, so the first one is never a guess.
        IMAGES
            .iter()
            .find(|image| image.name == self.image)
            .unwrap_or(&IMAGES[0])
    }
}

/// The guests that `--kernel NAME` means; `all` means every one. Empty if there is none of that name.
pub(crate) fn select(name: &str) -> Vec<&'static Guest> {
    GUESTS
        .iter()
        .filter(|guest| name == "all" || guest.name == name)
        .collect()
}

/// Names that `--kernel` takes.
pub(crate) fn names() -> Vec<&'static str> {
    GUESTS.iter().map(|guest| guest.name).chain(["all"]).collect()
}

#[cfg(test)]
mod tests {
    use super::{GUESTS, IMAGES, select};

    #[test]
    fn every_guest_has_its_image() {
        for guest in &GUESTS {
            assert_eq!(guest.image().name, guest.image, "{}", guest.name);
        }
    }

    #[test]
    fn images_are_named_by_their_series() {
        for image in &IMAGES {
            assert_eq!(image.name, format!("{}.{}", image.series.0, image.series.1));
        }
    }

    #[test]
    fn selection() {
        assert_eq!(select("all").len(), GUESTS.len());
        assert_eq!(
            select("6.1").iter().map(|guest| guest.name).collect::<Vec<_>>(),
            ["6.1"]
        );
        assert!(select("4.19").is_empty());
    }
}
