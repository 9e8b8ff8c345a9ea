//! The parts of histograms: which are in use, and for which row.

use aya::maps::{MapData, Queue};
use epoll_trace_ebpf::{self as abi, Owner};

use super::Take;
use super::mapped::Mapped;
use super::pool::{Found, Pool};

/// The three maps that hold chunks.
pub(super) struct ChunkMaps {
    chunks: Mapped<abi::Chunk>,
    free: Queue<MapData, u32>,
    free_blocks: Queue<MapData, u32>,
}

impl ChunkMaps {
    /// Takes them out of the object, by name.
    ///
    /// # Errors
    /// When the object and this agent are not of one build.
    pub(super) fn new(take: &mut Take<'_>) -> anyhow::Result<Self> {
        Ok(Self {
            chunks: Mapped::new(take("CHUNKS")?)?,
            free: take("FREE_CHUNKS")?.try_into()?,
            free_blocks: take("FREE_BLOCKS")?.try_into()?,
        })
    }
}

/// All chunks. The programs say in each whose it is, so the agent needs nothing else to find them.
pub(super) struct Chunks {
    maps: ChunkMaps,
    pool: Pool,
}

const ZERO: abi::Chunk = abi::Chunk {
    owner: 0,
    sum: 0,
    counts: [0; abi::CHUNK_BUCKETS],
};

impl Chunks {
    /// Fills the queue of unused blocks.
    ///
    /// # Errors
    /// When the kernel refuses to fill the queue.
    pub(super) fn new(mut maps: ChunkMaps) -> anyhow::Result<Self> {
        let pool = Pool::fill(&mut maps.free_blocks, maps.chunks.len())?;
        Ok(Self { maps, pool })
    }

    /// The chunks that were taken since the last call, and by whom.
    ///
    /// # Errors
    /// When the kernel refuses a read.
    pub(super) fn discover(&mut self) -> anyhow::Result<Vec<(u32, Owner)>> {
        let chunks = &mut self.maps.chunks;
        self.pool.discover(|index| {
            let owner = owner(chunks, index)?;
            anyhow::Ok(owner.map_or(Found::Unused, |_| Found::Used))
        })?;
        let mut taken = Vec::with_capacity(self.pool.used.len());
        for index in self.pool.used.drain(..) {
            if let Some(owner) = owner(chunks, index)? {
                taken.push((index, owner));
            }
        }
        Ok(taken)
    }

    /// The counts of chunk `index`.
    ///
    /// # Errors
    /// When the kernel refuses a read.
    pub(super) fn counts(&mut self, index: u32) -> anyhow::Result<[u32; abi::CHUNK_BUCKETS]> {
        self.maps.chunks.get(index).map(|chunk| chunk.counts)
    }

    /// The sum of what is counted in chunk `index`.
    ///
    /// # Errors
    /// When the kernel refuses a read.
    pub(super) fn sum(&mut self, index: u32) -> anyhow::Result<u64> {
        self.maps.chunks.read(index, |chunk| {
            // SAFETY: `read` gives the address of a chunk in mapped memory.
            unsafe { (&raw const (*chunk).sum).read_volatile() }
        })
    }

    /// Lets the programs take chunk `index` again.
    ///
    /// # Errors
    /// When the kernel refuses a write.
    pub(super) fn give_back(&mut self, index: u32) -> anyhow::Result<()> {
        self.maps.chunks.set(index, ZERO)?;
        self.maps.free.push(index, 0)?;
        self.pool.recycled(index);
        Ok(())
    }
}

fn owner(chunks: &mut Mapped<abi::Chunk>, index: u32) -> anyhow::Result<Option<Owner>> {
    chunks.read(index, |chunk| {
        // SAFETY: `read` gives the address of a chunk in mapped memory.
        Owner::decode(unsafe { (&raw const (*chunk).owner).read_volatile() })
    })
}
