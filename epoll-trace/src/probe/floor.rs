//! Empty programs of the test-only object (`epoll-trace-ebpf/src/floor.rs`) on the hooks that a plan takes: what the
//! kernel itself takes for being traced. The benchmark measures ours against that.

use anyhow::{Context as _, anyhow};
use aya::Ebpf;

use super::catalog::Program as Spec;
use super::load::{Link, attach_program, ends_first, first_lines, load_program};
use super::{loader, types};
use crate::kernel::btf::Targets;

/// Empty programs, loaded. Dropping it unloads and detaches everything.
pub struct Floor {
    ebpf: Ebpf,
    programs: Vec<&'static Spec>,
    links: Vec<Link>,
}

impl Floor {
    /// Loads those of the BPF object `object` that are called as `programs` are; they attach to `targets`.
    ///
    /// # Errors
    /// When the object cannot be used, has not all of them, or the kernel refuses one.
    pub fn load(object: &[u8], programs: &[&'static Spec], targets: &Targets) -> anyhow::Result<Self> {
        let btf = types::only(targets)?;
        let mut ebpf = loader::loader()
            .load(object)
            .context("cannot load the BPF object")?;
        for program in programs {
            load_program(&mut ebpf, program, &btf).map_err(|error| refused("load", program, &error))?;
        }
        let mut programs = programs.to_vec();
        ends_first(&mut programs);
        Ok(Self {
            ebpf,
            programs,
            links: Vec::new(),
        })
    }

    /// Attaches all of them.
    ///
    /// # Errors
    /// When the kernel refuses one.
    pub fn attach(&mut self) -> anyhow::Result<()> {
        for program in &self.programs {
            let link = attach_program(&mut self.ebpf, program);
            self.links
                .push(link.map_err(|error| refused("attach", program, &error))?);
        }
        Ok(())
    }

    /// Detaches all of them; they stay loaded.
    pub fn detach(&mut self) {
        self.links.clear();
    }

    /// Their names, in the order in which they are attached.
    pub fn names(&self) -> Vec<&'static str> {
        self.programs.iter().map(|program| program.name).collect()
    }
}

impl std::fmt::Debug for Floor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Floor")
            .field("programs", &self.names())
            .finish_non_exhaustive()
    }
}

fn refused(what: &str, program: &Spec, error: &anyhow::Error) -> anyhow::Error {
    anyhow!(
        "cannot {what} the empty program {}: {}",
        program.name,
        first_lines(error)
    )
}
