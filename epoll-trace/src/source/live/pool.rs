//! Rows handed out by index: the programs take indices that were used before, or a new block of them, so the agent needs to look
//! at few to find those that went out.

use std::collections::VecDeque;

use aya::maps::{MapData, MapError, Queue};
use epoll_trace_ebpf::BLOCK;

/// What the agent finds at an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Not handed out yet.
    Unused,
    /// Handed out and given up again.
    Tombstone,
    /// In use.
    Used,
}

/// Which indices are free, and which are in use.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// Blocks not handed out, in the order of their queue.
    blocks: VecDeque<u32>,
    /// In blocks that were handed out, and not in use when last seen.
    unused: Vec<u32>,
    /// In use, oldest first.
    pub(super) used: Vec<u32>,
}

impl Pool {
    /// Puts the blocks of `0..size` into `queue`, empty so far, and keeps book of them.
    ///
    /// # Errors
    /// When the kernel refuses to fill the queue.
    pub(super) fn fill(queue: &mut Queue<MapData, u32>, size: u32) -> Result<Self, MapError> {
        for block in 0..size / BLOCK {
            queue.push(block, 0)?;
        }
        Ok(Self::new(size))
    }

    /// A pool whose queue holds the blocks of `0..size`.
    fn new(size: u32) -> Self {
        Self {
            blocks: (0..size / BLOCK).collect(),
            ..Self::default()
        }
    }

    /// Finds out which indices were handed out since the last call; gives back the tombstones among them.
    ///
    /// # Errors
    /// Those of `look`.
    pub(super) fn discover<E>(
        &mut self,
        mut look: impl FnMut(u32) -> Result<Found, E>,
    ) -> Result<Vec<u32>, E> {
        // Who takes a block takes its first index.
        while let Some(&block) = self.blocks.front() {
            let first = block * BLOCK;
            if look(first)? == Found::Unused {
                break;
            }
            self.blocks.pop_front();
            self.unused.extend(first..first + BLOCK);
        }
        let mut tombstones = Vec::new();
        let mut unused = Vec::with_capacity(self.unused.len());
        for &index in &self.unused {
            match look(index)? {
                Found::Unused => unused.push(index),
                Found::Tombstone => tombstones.push(index),
                Found::Used => self.used.push(index),
            }
        }
        self.unused = unused;
        Ok(tombstones)
    }

    /// `index` was given back to the programs.
    pub(super) fn recycled(&mut self, index: u32) {
        self.used.retain(|&used| used != index);
        self.unused.push(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    /// `state` lists what is not unused.
    fn look_at(state: &[(u32, Found)]) -> impl FnMut(u32) -> Result<Found, Infallible> {
        |index| {
            let found = state.iter().find(|&&(at, _)| at == index);
            Ok(found.map_or(Found::Unused, |&(_, found)| found))
        }
    }

    #[test]
    fn finds_what_was_handed_out_and_stops_at_the_first_unused_block() {
        let mut pool = Pool::new(3 * BLOCK);
        let state = [
            (0, Found::Used),
            (1, Found::Tombstone),
            (2, Found::Used),
            (2 * BLOCK, Found::Used),
        ];
        assert_eq!(pool.discover(look_at(&state)), Ok(vec![1]));
        assert_eq!(pool.used, [0, 2], "nobody took the second block");
        assert_eq!(pool.discover(look_at(&[(5, Found::Used)])), Ok(vec![]));
        assert_eq!(pool.used, [0, 2, 5]);
    }

    #[test]
    fn recycled_indices_are_found_again() {
        let mut pool = Pool::new(BLOCK);
        pool.discover(look_at(&[(0, Found::Used)])).unwrap();
        pool.recycled(0);
        assert!(pool.used.is_empty());
        pool.discover(look_at(&[(0, Found::Used), (1, Found::Used)]))
            .unwrap();
        assert_eq!(pool.used, [1, 0]);
    }

    #[test]
    fn a_block_whose_first_index_nobody_wanted_is_in_use_all_the_same() {
        let mut pool = Pool::new(BLOCK);
        assert_eq!(pool.discover(look_at(&[(0, Found::Tombstone)])), Ok(vec![0]));
        pool.recycled(0);
        pool.discover(look_at(&[(3, Found::Used)])).unwrap();
        assert_eq!(pool.used, [3]);
    }
}
