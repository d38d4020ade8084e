//! The arena: the memory in which frames arrive and responses leave, given out as slots of whole blocks.
//!
//! A slot is used linearly: reserved, then submitted, then released. Its handle is never used again, so a second use is
//! refused. The arena must never look into a slot: what lies there is the protocol's business.

use selur_protocol::{MAX_FRAME_BYTES, Reason};

/// A slot's size is a multiple of this, in bytes.
pub const BLOCK_BYTES: usize = 256;

/// The low bits of a handle: the slot's first block.
const BLOCK_BITS: u32 = 12;
const BLOCK_MASK: u64 = (1 << BLOCK_BITS) - 1;
/// The largest arena whose blocks a handle can name.
pub(crate) const MAX_BLOCKS: usize = 1 << BLOCK_BITS;
const MAX_COUNTER: u64 = u64::MAX >> BLOCK_BITS;

const STAGE_SHIFT: u32 = 12;
const COUNT_MASK: u16 = (1 << STAGE_SHIFT) - 1;

/// Where a slot stands in its linear use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Given out; nothing submitted yet.
    Reserved,
    /// Submitted and answered: it holds the response.
    Answered,
    /// Submitted: it holds the payload of a create whose effect is not polled yet.
    Held,
}

/// A slot whose handle was checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) stage: Stage,
    /// Its first byte, counted from the arena's.
    pub(crate) offset: usize,
    /// Its capacity in bytes.
    pub(crate) bytes: usize,
}

impl Slot {
    const fn first_block(&self) -> usize {
        self.offset / BLOCK_BYTES
    }
}

/// The arena's storage.
///
/// Invariant: `WORDS * 64 >= BLOCKS`, `BYTES == BLOCKS * BLOCK_BYTES`.
#[derive(Clone)]
pub(crate) struct ArenaStore<const BLOCKS: usize, const WORDS: usize, const BYTES: usize> {
    bytes: [u8; BYTES],
    /// Invariant: a block's bit is set exactly while a slot covers it.
    taken: [u64; WORDS],
    /// Invariant: at the first block of a slot its handle, else 0.
    handles: [u64; BLOCKS],
    /// Invariant: at the first block of a slot its stage and its number of blocks, else 0.
    extents: [u16; BLOCKS],
    /// Invariant: no handle with a greater counter was ever given out.
    counter: u64,
    slots: u32,
}

impl<const BLOCKS: usize, const WORDS: usize, const BYTES: usize> ArenaStore<BLOCKS, WORDS, BYTES> {
    pub(crate) const EMPTY: Self = {
        assert!(
            BLOCKS > 0 && BLOCKS <= MAX_BLOCKS,
            "a handle names a block in 12 bits"
        );
        assert!(WORDS * 64 >= BLOCKS, "every block needs its bit");
        assert!(
            BYTES == BLOCKS * BLOCK_BYTES,
            "the arena consists of whole blocks"
        );
        ArenaStore {
            bytes: [0; BYTES],
            taken: [0; WORDS],
            handles: [0; BLOCKS],
            extents: [0; BLOCKS],
            counter: 0,
            slots: 0,
        }
    };

    #[inline(always)]
    pub(crate) fn view(&mut self) -> Arena<'_> {
        Arena {
            bytes: &mut self.bytes,
            taken: &mut self.taken,
            handles: &mut self.handles,
            extents: &mut self.extents,
            counter: &mut self.counter,
            slots: &mut self.slots,
        }
    }

    pub(crate) const fn slots(&self) -> u32 {
        self.slots
    }

    pub(crate) fn taken_blocks(&self) -> u32 {
        self.taken.iter().map(|word| word.count_ones()).sum()
    }

    pub(crate) const fn bytes(&self) -> &[u8; BYTES] {
        &self.bytes
    }
}

/// The arena at work, whatever its capacity.
pub(crate) struct Arena<'a> {
    bytes: &'a mut [u8],
    taken: &'a mut [u64],
    handles: &'a mut [u64],
    extents: &'a mut [u16],
    counter: &'a mut u64,
    slots: &'a mut u32,
}

impl<'a> Arena<'a> {
    /// The slot's bytes, for as long as the arena is borrowed.
    pub(crate) fn into_bytes(self, slot: Slot) -> &'a mut [u8] {
        &mut self.bytes[slot.offset..slot.offset + slot.bytes]
    }

    /// Gives out the first gap that holds `bytes`.
    ///
    /// # Errors
    /// - [`Reason::PayloadTooLong`]: no frame is that long.
    /// - [`Reason::ArenaFull`]: no gap is large enough.
    pub(crate) fn reserve(&mut self, bytes: u32) -> Result<u64, Reason> {
        let bytes = bytes as usize;
        if bytes > MAX_FRAME_BYTES {
            return Err(Reason::PayloadTooLong);
        }
        let count = ((bytes + BLOCK_BYTES - 1) / BLOCK_BYTES).max(1);
        let first = self.gap(count).ok_or(Reason::ArenaFull)?;
        if *self.counter == MAX_COUNTER {
            return Err(Reason::ArenaFull);
        }
        *self.counter += 1;
        let handle = *self.counter << BLOCK_BITS | first as u64;
        self.mark(first, count, true);
        self.handles[first] = handle;
        self.extents[first] = count as u16;
        *self.slots += 1;
        Ok(handle)
    }

    /// The slot of this handle.
    ///
    /// # Errors
    /// [`Reason::StaleHandle`]: the slot was freed, or never given out.
    #[inline(always)]
    pub(crate) fn slot(&self, handle: u64) -> Result<Slot, Reason> {
        let first = (handle & BLOCK_MASK) as usize;
        match self.handles.get(first) {
            Some(&current) if current == handle && handle != 0 => Ok(self.slot_at(first)),
            _ => Err(Reason::StaleHandle),
        }
    }

    #[inline(always)]
    fn slot_at(&self, first: usize) -> Slot {
        let extent = self.extents[first];
        Slot {
            stage: match extent >> STAGE_SHIFT {
                0 => Stage::Reserved,
                1 => Stage::Answered,
                _ => Stage::Held,
            },
            offset: first * BLOCK_BYTES,
            bytes: usize::from(extent & COUNT_MASK) * BLOCK_BYTES,
        }
    }

    #[inline(always)]
    pub(crate) fn set_stage(&mut self, slot: Slot, stage: Stage) {
        let extent = &mut self.extents[slot.first_block()];
        let code = match stage {
            Stage::Reserved => 0,
            Stage::Answered => 1,
            Stage::Held => 2,
        };
        *extent = *extent & COUNT_MASK | code << STAGE_SHIFT;
    }

    /// The slot's bytes, all of them and nothing else.
    #[inline(always)]
    pub(crate) fn bytes_mut(&mut self, slot: Slot) -> &mut [u8] {
        &mut self.bytes[slot.offset..slot.offset + slot.bytes]
    }

    #[inline(always)]
    pub(crate) fn bytes(&self, slot: Slot) -> &[u8] {
        &self.bytes[slot.offset..slot.offset + slot.bytes]
    }

    /// Takes a slot back. Its bytes stand until a later reservation is written to.
    pub(crate) fn free(&mut self, slot: Slot) {
        let first = slot.first_block();
        self.mark(first, slot.bytes / BLOCK_BYTES, false);
        self.handles[first] = 0;
        self.extents[first] = 0;
        *self.slots -= 1;
    }

    /// Takes back the slot that begins at this offset of the arena.
    pub(crate) fn free_at(&mut self, offset: usize) {
        let slot = self.slot_at(offset / BLOCK_BYTES);
        self.free(slot);
    }

    /// The first block of the first `count` free ones in a row.
    fn gap(&self, count: usize) -> Option<usize> {
        let (mut first, mut found) = (0, 0);
        let mut block = 0;
        while block < self.handles.len() {
            let word = self.taken[block / 64] >> (block % 64);
            let left = (64 - block % 64).min(self.handles.len() - block);
            if word & 1 == 1 {
                let taken = ((!word).trailing_zeros() as usize).min(left);
                block += taken;
                first = block;
                found = 0;
            } else {
                let free = (word.trailing_zeros() as usize).min(left);
                block += free;
                found += free;
                if found >= count {
                    return Some(first);
                }
            }
        }
        None
    }

    fn mark(&mut self, first: usize, count: usize, taken: bool) {
        let (mut block, end) = (first, first + count);
        while block < end {
            let bits = (64 - block % 64).min(end - block);
            let mask = (u64::MAX >> (64 - bits)) << (block % 64);
            let word = &mut self.taken[block / 64];
            *word = if taken { *word | mask } else { *word & !mask };
            block += bits;
        }
    }
}
