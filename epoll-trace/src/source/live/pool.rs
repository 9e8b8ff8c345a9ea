//! Rows handed out by index: the programs pop free indices from a queue, so the agent knows the order in which they go.

use std::collections::VecDeque;

use aya::maps::{MapData, MapError, Queue};

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

/// Which indices are free, in the order of the queue, and which are in use.
#[derive(Debug, Default)]
pub(super) struct Pool {
    free: VecDeque<u32>,
    /// In use, oldest first.
    pub(super) used: Vec<u32>,
}

impl Pool {
    /// Puts `0..size` into `queue`, empty so far, and keeps book of it.
    ///
    /// # Errors
    /// When the kernel refuses to fill the queue.
    pub(super) fn fill(queue: &mut Queue<MapData, u32>, size: u32) -> Result<Self, MapError> {
        for index in 0..size {
            queue.push(index, 0)?;
        }
        Ok(Self::new(size))
    }

    /// A pool whose queue holds `0..size`.
    fn new(size: u32) -> Self {
        Self {
            free: (0..size).collect(),
            used: Vec::new(),
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
        let mut tombstones = Vec::new();
        while let Some(&index) = self.free.front() {
            match look(index)? {
                Found::Unused => break,
                Found::Tombstone => tombstones.push(index),
                Found::Used => self.used.push(index),
            }
            self.free.pop_front();
        }
        Ok(tombstones)
    }

    /// `index` was put at the end of the queue.
    pub(super) fn recycled(&mut self, index: u32) {
        self.used.retain(|&used| used != index);
        self.free.push_back(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn look_at(state: &[Found]) -> impl FnMut(u32) -> Result<Found, Infallible> {
        |index| Ok(state.get(index as usize).copied().unwrap_or(Found::Unused))
    }

    #[test]
    fn finds_what_was_handed_out_and_stops_at_the_first_unused() {
        let mut pool = Pool::new(4);
        let state = [Found::Used, Found::Tombstone, Found::Used, Found::Unused];
        assert_eq!(pool.discover(look_at(&state)), Ok(vec![1]));
        assert_eq!(pool.used, [0, 2]);
        assert_eq!(pool.discover(look_at(&state)), Ok(vec![]));
    }

    #[test]
    fn recycled_indices_come_after_the_never_used() {
        let mut pool = Pool::new(2);
        pool.discover(look_at(&[Found::Used])).unwrap();
        pool.recycled(0);
        assert!(pool.used.is_empty());
        pool.discover(look_at(&[Found::Unused, Found::Used])).unwrap();
        assert_eq!(pool.used, [1]);
    }
}
