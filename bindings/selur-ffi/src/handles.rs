//! Handles: numbers that name what a caller holds, and are checked at each use.
//!
//! A handle of something that was freed, of another kind, or that was never given out is refused. Invariant: no handle is
//! given out twice, but for one that its generation tells apart. Looking one up takes the one lock of its entry.

use crate::boundary::Failure;
use selur_core::Status;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

const INDEX_BITS: u32 = 20;
const GENERATION_BITS: u32 = 28;
/// The first chunk's entries; each further chunk has twice as many.
const FIRST: u32 = 64;
const CHUNKS: usize = 14;
/// How many handles of one kind can be in use at once.
const CAPACITY: u32 = FIRST * ((1 << CHUNKS) - 1);

const _: () = assert!(CAPACITY < 1 << INDEX_BITS);
// A number of JavaScript holds whole numbers up to 53 bits exactly: 4 bits are left for the kind.
const _: () = assert!(INDEX_BITS + GENERATION_BITS + 4 < 53);

/// Everything of one kind that callers hold.
pub(crate) struct Table<T> {
    /// 1 to 15, different for each table.
    kind: u8,
    /// What it is called in messages.
    name: &'static str,
    chunks: [OnceLock<Chunk<T>>; CHUNKS],
    free: Mutex<Free>,
}

/// Entries, which never move.
type Chunk<T> = Box<[Mutex<Entry<T>>]>;

struct Entry<T> {
    /// Counts the values that were here. Invariant: 1 to 2^28 - 1.
    generation: u32,
    value: Option<T>,
}

struct Free {
    /// Entries that were used and are free.
    used: Vec<u32>,
    /// The first entry that was never used.
    next: u32,
}

impl<T> Table<T> {
    pub(crate) const fn new(kind: u8, name: &'static str) -> Table<T> {
        Table {
            kind,
            name,
            chunks: [const { OnceLock::new() }; CHUNKS],
            free: Mutex::new(Free {
                used: Vec::new(),
                next: 0,
            }),
        }
    }

    /// Keeps a value, and gives the handle that names it. A handle is never 0.
    ///
    /// # Errors
    /// `resource_exhausted`: more than a million are in use.
    pub(crate) fn insert(&self, value: T) -> Result<u64, Failure> {
        let index = {
            let mut free = lock(&self.free);
            match free.used.pop() {
                Some(index) => index,
                None if free.next < CAPACITY => {
                    free.next += 1;
                    free.next - 1
                }
                None => return Err(self.full()),
            }
        };
        let (chunk, offset) = place(index);
        let entries = self.chunks[chunk].get_or_init(|| new_chunk(chunk));
        let mut entry = lock(&entries[offset]);
        entry.value = Some(value);
        Ok(u64::from(self.kind) << (INDEX_BITS + GENERATION_BITS)
            | u64::from(entry.generation) << INDEX_BITS
            | u64::from(index))
    }

    /// Uses what a handle names, with its entry locked: `step` must neither block nor use this handle.
    ///
    /// # Errors
    /// `invalid_request`: the handle names nothing of this kind.
    #[inline]
    pub(crate) fn with<R>(&self, handle: u64, step: impl FnOnce(&mut T) -> R) -> Result<R, Failure> {
        match self.entry(handle)?.value.as_mut() {
            Some(value) => Ok(step(value)),
            None => Err(self.stale()),
        }
    }

    /// Takes out what a handle names, which names nothing from now on.
    ///
    /// # Errors
    /// As [`Table::with`].
    pub(crate) fn remove(&self, handle: u64) -> Result<T, Failure> {
        let mut entry = self.entry(handle)?;
        let value = entry.value.take().ok_or_else(|| self.stale())?;
        // An entry whose generations are used up is never used again.
        let is_usable = entry.generation + 1 < 1 << GENERATION_BITS;
        if is_usable {
            entry.generation += 1;
        }
        drop(entry);
        if is_usable {
            lock(&self.free).used.push(index_of(handle));
        }
        Ok(value)
    }

    #[inline]
    fn entry(&self, handle: u64) -> Result<MutexGuard<'_, Entry<T>>, Failure> {
        let index = index_of(handle);
        if handle >> (INDEX_BITS + GENERATION_BITS) != u64::from(self.kind) || index >= CAPACITY {
            return Err(self.stale());
        }
        let (chunk, offset) = place(index);
        let entries = self.chunks[chunk].get().ok_or_else(|| self.stale())?;
        let entry = lock(&entries[offset]);
        let generation = (handle >> INDEX_BITS) as u32 & ((1 << GENERATION_BITS) - 1);
        match entry.generation == generation {
            true => Ok(entry),
            false => Err(self.stale()),
        }
    }

    #[cold]
    fn stale(&self) -> Failure {
        let message = format!("this names no {}: it was freed, or is of another kind", self.name);
        Failure::new(Status::InvalidRequest, message)
    }

    #[cold]
    fn full(&self) -> Failure {
        let message = format!(
            "{CAPACITY} handles of the kind {} are in use: free some",
            self.name
        );
        Failure::new(Status::ResourceExhausted, message)
    }
}

impl<T: Clone> Table<T> {
    /// A copy of what a handle names, so that nothing stays locked while it is used.
    ///
    /// # Errors
    /// As [`Table::with`].
    pub(crate) fn copy(&self, handle: u64) -> Result<T, Failure> {
        self.with(handle, |value| value.clone())
    }
}

#[inline]
fn index_of(handle: u64) -> u32 {
    handle as u32 & ((1 << INDEX_BITS) - 1)
}

/// An entry's chunk and its place in there.
#[inline]
fn place(index: u32) -> (usize, usize) {
    let chunk = (index / FIRST + 1).ilog2();
    let before = FIRST * ((1 << chunk) - 1);
    (chunk as usize, (index - before) as usize)
}

fn new_chunk<T>(chunk: usize) -> Chunk<T> {
    let entry = || {
        Mutex::new(Entry {
            generation: 1,
            value: None,
        })
    };
    std::iter::repeat_with(entry)
        .take((FIRST as usize) << chunk)
        .collect()
}

#[inline]
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;

    #[test]
    fn a_handle_names_its_value_until_it_is_removed_and_nothing_afterwards() {
        let table = Table::new(3, "thing");
        let handle = table.insert("one").unwrap();
        assert_eq!(table.copy(handle).unwrap(), "one");
        assert_eq!(table.remove(handle).unwrap(), "one");
        assert_eq!(table.copy(handle).unwrap_err().status(), Status::InvalidRequest);
        assert_eq!(table.remove(handle).unwrap_err().status(), Status::InvalidRequest);
        let next = table.insert("two").unwrap();
        assert_eq!(index_of(next), index_of(handle), "the entry is used again");
        assert!(
            table.copy(handle).is_err(),
            "an old handle names what came after it"
        );
        assert_eq!(table.copy(next).unwrap(), "two");
    }

    #[test]
    fn handles_of_another_table_and_made_up_ones_are_refused() {
        let (table, other) = (Table::new(1, "thing"), Table::new(2, "other thing"));
        let handle = table.insert(()).unwrap();
        other.insert(()).unwrap();
        assert!(other.copy(handle).is_err());
        for made_up in [
            0,
            1,
            u64::MAX,
            handle ^ 1,
            handle ^ (1 << INDEX_BITS),
            handle | 1 << 60,
        ] {
            assert!(table.copy(made_up).is_err(), "{made_up:#x}");
        }
    }

    #[test]
    fn every_handle_fits_a_number_of_javascript_and_each_is_different() {
        let table = Table::new(15, "thing");
        let handles: std::collections::BTreeSet<u64> =
            (0..10_000).map(|value| table.insert(value).unwrap()).collect();
        assert_eq!(handles.len(), 10_000);
        assert!(handles.iter().all(|handle| *handle < 1 << 53));
        assert!(handles.iter().all(|handle| table.remove(*handle).is_ok()));
    }

    #[test]
    fn every_index_has_a_place_of_its_own() {
        let mut expected = (0, 0);
        for index in 0..CAPACITY {
            assert_eq!(place(index), expected);
            expected.1 += 1;
            if expected.1 == (FIRST as usize) << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        assert_eq!(expected, (CHUNKS, 0));
    }

    #[test]
    fn an_entry_whose_generations_are_used_up_is_never_used_again() {
        let table = Table::new(1, "thing");
        let handle = table.insert(()).unwrap();
        lock(&table.chunks[0].get().unwrap()[0]).generation = (1 << GENERATION_BITS) - 1;
        let last = handle | ((1 << GENERATION_BITS) - 1) << INDEX_BITS;
        table.remove(last).unwrap();
        assert!(table.remove(last).is_err());
        assert_eq!(index_of(table.insert(()).unwrap()), 1);
    }
}
