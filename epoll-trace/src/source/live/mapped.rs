//! An array map as memory: reading an entry is no system call. Only the part in use is mapped, since what is mapped
//! counts as this process's memory too.

use std::marker::PhantomData;
use std::num::NonZero;
use std::os::fd::{AsFd as _, OwnedFd};
use std::ptr::NonNull;

use anyhow::{Context as _, bail};
use aya::Pod;
use aya::maps::{Array, Map, MapData};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// At least so many bytes are mapped at once.
const LEAST_BYTES: usize = 64 * 1024;

/// An array map of `T` (with `BPF_F_MMAPABLE`), read as memory.
pub(super) struct Mapped<T: Pod> {
    array: Array<MapData, T>,
    fd: OwnedFd,
    memory: Option<Memory<T>>,
}

struct Memory<T> {
    start: NonNull<libc::c_void>,
    bytes: usize,
    entries: u32,
    kind: PhantomData<T>,
}

// SAFETY: the mapping belongs to this value alone and is only read.
unsafe impl<T: Send> Send for Memory<T> {}

impl<T> Drop for Memory<T> {
    fn drop(&mut self) {
        // SAFETY: this is the mapping made in `Mapped::map`; nothing borrows from it. There is nothing to do on failure.
        let _ = unsafe { munmap(self.start, self.bytes) };
    }
}

impl<T: Pod> Mapped<T> {
    /// Reads `map`.
    ///
    /// # Errors
    /// When it is no array of `T`.
    pub(super) fn new(map: Map) -> anyhow::Result<Self> {
        let Map::Array(data) = &map else {
            bail!("a map of the BPF object is no array")
        };
        let fd = data
            .fd()
            .as_fd()
            .try_clone_to_owned()
            .context("cannot copy a map's descriptor")?;
        // The kernel rounds entries up to 8 bytes (array_map_alloc, kernel/bpf/arraymap.c).
        if !size_of::<T>().is_multiple_of(8) {
            bail!("entries of an array are no multiple of 8 bytes")
        }
        Ok(Self {
            array: map.try_into()?,
            fd,
            memory: None,
        })
    }

    /// How many entries it has.
    pub(super) fn len(&self) -> u32 {
        self.array.len()
    }

    /// Entry `index` as it is now, or was a moment ago: the programs may be writing it.
    ///
    /// # Errors
    /// When the kernel refuses the memory.
    pub(super) fn get(&mut self, index: u32) -> anyhow::Result<T> {
        self.read(index, |entry| {
            // SAFETY: `read` gives a place inside the mapping; every bit pattern is a `T` (Pod).
            unsafe { entry.read_volatile() }
        })
    }

    /// As [`Mapped::get`], of a part: `pick` gets the address of entry `index`.
    ///
    /// # Errors
    /// As [`Mapped::get`].
    pub(super) fn read<R>(&mut self, index: u32, pick: impl FnOnce(*const T) -> R) -> anyhow::Result<R> {
        let memory = match self.memory.take().filter(|memory| index < memory.entries) {
            Some(memory) => memory,
            None => self.map(index)?,
        };
        let memory = self.memory.insert(memory);
        // SAFETY: `index` is below the entries that lie in the mapping.
        Ok(pick(unsafe {
            memory.start.cast::<T>().as_ptr().add(index as usize)
        }))
    }

    /// Maps entries up to `index`, and some more.
    fn map(&self, index: u32) -> anyhow::Result<Memory<T>> {
        let each = size_of::<T>();
        let all = self.array.len() as usize;
        if index as usize >= all {
            bail!("entry {index} of an array of {all}")
        }
        let entries = (index as usize + 1 + index as usize / 32)
            .max(LEAST_BYTES / each)
            .min(all);
        let bytes = NonZero::new(entries * each).context("an array without entries")?;
        // SAFETY: a new mapping at a place the kernel chooses touches no existing memory.
        let start = unsafe {
            mmap(
                None,
                bytes,
                ProtFlags::PROT_READ,
                MapFlags::MAP_SHARED,
                &self.fd,
                0,
            )
        }
        .context("cannot map an array of the programs")?;
        Ok(Memory {
            start,
            bytes: bytes.get(),
            entries: entries as u32,
            kind: PhantomData,
        })
    }

    /// Writes entry `index`.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub(super) fn set(&mut self, index: u32, value: T) -> anyhow::Result<()> {
        Ok(self.array.set(index, value, 0)?)
    }
}
