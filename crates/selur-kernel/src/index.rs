//! A hash index over the container table: open addressing with linear probing.
//!
//! It holds links, never keys: the caller compares and hashes the records.

use crate::link::Link;

/// An index at work.
///
/// Invariant: at least one entry is empty, so that every probe ends; no entry lies behind an empty one of its run, so
/// that removal needs no tombstones.
pub(crate) struct Index<'a> {
    pub(crate) entries: &'a mut [Link],
}

impl Index<'_> {
    /// The record that has this hash and that `is_wanted`.
    pub(crate) fn find(&self, hash: u32, is_wanted: impl Fn(usize) -> bool) -> Option<usize> {
        let mut at = self.home(hash);
        while let Some(index) = self.entries[at].index() {
            if is_wanted(index) {
                return Some(index);
            }
            at = self.after(at);
        }
        None
    }

    /// Enters a record that is not in the index.
    pub(crate) fn insert(&mut self, hash: u32, link: Link) {
        let mut at = self.home(hash);
        while !self.entries[at].is_none() {
            at = self.after(at);
        }
        self.entries[at] = link;
    }

    /// Takes a record out, and closes the gap.
    pub(crate) fn remove(&mut self, hash: u32, link: Link, hash_of: impl Fn(usize) -> u32) {
        let mut gap = self.home(hash);
        while self.entries[gap] != link {
            if self.entries[gap].is_none() {
                return;
            }
            gap = self.after(gap);
        }
        let mut at = self.after(gap);
        while let Some(index) = self.entries[at].index() {
            let home = self.home(hash_of(index));
            // An entry may move into the gap unless its home lies behind the gap.
            if self.distance(home, at) >= self.distance(gap, at) {
                self.entries[gap] = self.entries[at];
                gap = at;
            }
            at = self.after(at);
        }
        self.entries[gap] = Link::NONE;
    }

    fn home(&self, hash: u32) -> usize {
        hash as usize % self.entries.len()
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.entries.len() { 0 } else { at + 1 }
    }

    /// The steps from one entry forward to another.
    fn distance(&self, from: usize, to: usize) -> usize {
        if to >= from {
            to - from
        } else {
            to + self.entries.len() - from
        }
    }
}
