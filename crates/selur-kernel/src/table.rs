//! The containers that the kernel knows: records in order of creation, found by id, name or unique id prefix.
//!
//! The table must never decide anything about a container's life; it keeps what the rest decides by.

use crate::index::Index;
use crate::link::{Ends, Link};
use selur_protocol::abi::Report;
use selur_protocol::{ContainerId, ContainerRef, MAX_NAME_BYTES, Reason, State};

/// How far a record is in its own life, beside the container's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Phase {
    /// The record is unused.
    Free = 0,
    /// Its create was accepted and is not complete. Its name is taken; it is not listed.
    Creating,
    /// It exists.
    Live,
    /// Its create was abandoned and came true: a delete undoes it. Its name is taken; it is not listed.
    Undoing,
    /// It was deleted; operations still refer to the record. Its name is free.
    Gone,
}

/// One container: 128 bytes.
///
/// Invariant: it is in the order and in the name index (if it has a name) exactly while its phase is Creating, Live or
/// Undoing; in the id index while its phase is not Free.
#[derive(Clone, Copy)]
pub(crate) struct Container {
    pub(crate) id: ContainerId,
    name: [u8; MAX_NAME_BYTES],
    name_bytes: u8,
    /// Kept so that moving index entries needs no hashing.
    name_hash: u32,
    pub(crate) generation: u32,
    pub(crate) sequence: u32,
    pub(crate) exit_code: i32,
    /// Lifecycle requests that wait for their turn; behind a create all requests but wait and forced delete.
    pub(crate) queue: Ends,
    /// Open waits.
    pub(crate) waiters: Ends,
    /// Forced deletes. Invariant: exactly the first has an effect, except while the phase is Creating or Undoing, when
    /// none has.
    pub(crate) forces: Ends,
    older: Link,
    /// Also the chain of free records.
    newer: Link,
    /// The operation whose effect has the container to itself: create, undo, start, stop, pause, resume, plain delete.
    pub(crate) running: Link,
    /// Invariant: the number of operations that refer to this record; it is not freed before that is 0.
    pub(crate) pins: u16,
    pub(crate) state: State,
    pub(crate) phase: Phase,
    pub(crate) exit_known: bool,
    /// Whether anything was ever reported of it.
    pub(crate) reported: bool,
    _spare: [u8; 8],
}

impl Container {
    pub(crate) const EMPTY: Container = Container {
        id: ContainerId::from_bytes([0; 16]),
        name: [0; MAX_NAME_BYTES],
        name_bytes: 0,
        name_hash: 0,
        generation: 0,
        sequence: 0,
        exit_code: 0,
        queue: Ends::EMPTY,
        waiters: Ends::EMPTY,
        forces: Ends::EMPTY,
        older: Link::NONE,
        newer: Link::NONE,
        running: Link::NONE,
        pins: 0,
        state: State::Created,
        phase: Phase::Free,
        exit_known: false,
        reported: false,
        _spare: [0; 8],
    };

    /// The name; empty if it has none.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name[..usize::from(self.name_bytes)]
    }

    /// How its process ended, as far as it is known.
    pub(crate) fn exit(&self) -> Option<i32> {
        if self.exit_known {
            Some(self.exit_code)
        } else {
            None
        }
    }

    /// Takes a report over if it is newer than what is known; says whether it is.
    pub(crate) fn apply(&mut self, report: &Report) -> bool {
        let known = (self.generation, self.sequence);
        if self.reported && (report.generation, report.sequence) <= known {
            return false;
        }
        self.reported = true;
        self.generation = report.generation;
        self.sequence = report.sequence;
        self.state = report.state;
        self.exit_known = report.exit_code.is_some();
        self.exit_code = report.exit_code.unwrap_or(0);
        true
    }
}

/// What the table keeps beside its records.
#[derive(Clone)]
pub(crate) struct TableHead {
    order: Ends,
    free: Link,
    /// How many records were ever used: those behind are untouched.
    touched: u16,
    used: u16,
}

impl TableHead {
    pub(crate) const EMPTY: TableHead = TableHead {
        order: Ends::EMPTY,
        free: Link::NONE,
        touched: 0,
        used: 0,
    };

    pub(crate) const fn used(&self) -> u16 {
        self.used
    }
}

/// The table at work, whatever its capacity.
pub(crate) struct Table<'a> {
    pub(crate) records: &'a mut [Container],
    pub(crate) ids: Index<'a>,
    pub(crate) names: Index<'a>,
    pub(crate) head: &'a mut TableHead,
}

impl Table<'_> {
    /// Adds a container at the end of the order. The name is valid, or empty for none.
    ///
    /// # Errors
    /// - [`Reason::MalformedInput`]: the id is in use.
    /// - [`Reason::NameTaken`], [`Reason::ContainersFull`].
    pub(crate) fn add(&mut self, id: ContainerId, name: &[u8], phase: Phase) -> Result<usize, Reason> {
        if self.by_id(&id).is_some() {
            return Err(Reason::MalformedInput);
        }
        if self.by_name(name).is_some() {
            return Err(Reason::NameTaken);
        }
        let index = self.take_record().ok_or(Reason::ContainersFull)?;
        self.head.used += 1;
        self.records[index] = Container {
            id,
            phase,
            ..Container::EMPTY
        };
        self.ids.insert(hash_of_id(&id), Link::to(index));
        self.append_to_order(index);
        self.set_name(index, name);
        Ok(index)
    }

    /// Gives a container that has no name this one, which is free; an empty one changes nothing.
    pub(crate) fn set_name(&mut self, index: usize, name: &[u8]) {
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return;
        }
        let hash = hash_of_name(name);
        let record = &mut self.records[index];
        record.name[..name.len()].copy_from_slice(name);
        record.name_bytes = name.len() as u8;
        record.name_hash = hash;
        self.names.insert(hash, Link::to(index));
    }

    /// Takes a container out of order and name index: it exists no more, its name is free.
    pub(crate) fn retire(&mut self, index: usize) {
        let Container {
            older,
            newer,
            name_bytes,
            name_hash,
            ..
        } = self.records[index];
        match older.index() {
            Some(older) => self.records[older].newer = newer,
            None => self.head.order.first = newer,
        }
        match newer.index() {
            Some(newer) => self.records[newer].older = older,
            None => self.head.order.last = older,
        }
        if name_bytes > 0 {
            let records = &*self.records;
            self.names
                .remove(name_hash, Link::to(index), |other| records[other].name_hash);
        }
        let record = &mut self.records[index];
        record.older = Link::NONE;
        record.newer = Link::NONE;
        record.phase = Phase::Gone;
    }

    /// Frees the record of a retired container.
    pub(crate) fn free(&mut self, index: usize) {
        let records = &*self.records;
        let hash = hash_of_id(&records[index].id);
        self.ids
            .remove(hash, Link::to(index), |other| hash_of_id(&records[other].id));
        self.records[index] = Container {
            newer: self.head.free,
            ..Container::EMPTY
        };
        self.head.free = Link::to(index);
        self.head.used -= 1;
    }

    /// The record with this id, gone ones included.
    pub(crate) fn by_id(&self, id: &ContainerId) -> Option<usize> {
        let records = &*self.records;
        self.ids.find(hash_of_id(id), |index| records[index].id == *id)
    }

    /// The container that has this name.
    pub(crate) fn by_name(&self, name: &[u8]) -> Option<usize> {
        if name.is_empty() {
            return None;
        }
        let records = &*self.records;
        self.names
            .find(hash_of_name(name), |index| records[index].name() == name)
    }

    /// The container that the argument means: as id, then as name, then as unique prefix of a listed one's id.
    ///
    /// # Errors
    /// - [`Reason::NoSuchContainer`], [`Reason::AmbiguousPrefix`].
    pub(crate) fn resolve(&self, container: &ContainerRef<'_>) -> Result<usize, Reason> {
        let found = match *container {
            ContainerRef::Id(id) => self.by_id(&id),
            ContainerRef::Name(name) => self.by_name(name.as_bytes()),
        };
        match (found, container.as_prefix()) {
            (Some(index), _) if self.records[index].phase != Phase::Gone => Ok(index),
            (_, Some(prefix)) => self.by_prefix(prefix),
            _ => Err(Reason::NoSuchContainer),
        }
    }

    fn by_prefix(&self, prefix: &str) -> Result<usize, Reason> {
        let mut found = None;
        for index in self.listed() {
            if has_prefix(&self.records[index].id, prefix.as_bytes()) {
                if found.is_some() {
                    return Err(Reason::AmbiguousPrefix);
                }
                found = Some(index);
            }
        }
        found.ok_or(Reason::NoSuchContainer)
    }

    /// The containers that exist, in order of creation.
    pub(crate) fn listed(&self) -> impl Iterator<Item = usize> + '_ {
        in_order(self.records, self.head).filter(move |index| self.records[*index].phase == Phase::Live)
    }

    fn take_record(&mut self) -> Option<usize> {
        match self.head.free.index() {
            Some(index) => {
                self.head.free = self.records[index].newer;
                Some(index)
            }
            None if usize::from(self.head.touched) < self.records.len() => {
                self.head.touched += 1;
                Some(usize::from(self.head.touched) - 1)
            }
            None => None,
        }
    }

    fn append_to_order(&mut self, index: usize) {
        let last = self.head.order.last;
        self.records[index].older = last;
        match last.index() {
            Some(last) => self.records[last].newer = Link::to(index),
            None => self.head.order.first = Link::to(index),
        }
        self.head.order.last = Link::to(index);
    }
}

/// Every container that is not gone, in order of creation.
pub(crate) fn in_order<'a>(records: &'a [Container], head: &TableHead) -> impl Iterator<Item = usize> + 'a {
    core::iter::successors(head.order.first.index(), move |index| {
        records[*index].newer.index()
    })
}

/// Ids are random, so any of their bits will do.
fn hash_of_id(id: &ContainerId) -> u32 {
    let [a, b, c, d, ..] = *id.as_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// FNV-1a 32. Source: draft-eastlake-fnv, section 5.
fn hash_of_name(name: &[u8]) -> u32 {
    name.iter().fold(0x811c_9dc5, |hash: u32, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// Whether the id begins with these lower-case hex digits.
fn has_prefix(id: &ContainerId, digits: &[u8]) -> bool {
    digits.iter().enumerate().all(|(position, digit)| {
        let byte = id.as_bytes()[position / 2];
        let nibble = if position % 2 == 0 { byte >> 4 } else { byte & 0xf };
        b"0123456789abcdef"[usize::from(nibble)] == *digit
    })
}
