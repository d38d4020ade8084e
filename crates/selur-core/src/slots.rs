//! Slots as the bridge keeps them: where each lies, that no two overlap, and the resident one for frames by copy.

use crate::guest::{Broken, Instance};
use selur_protocol::MAX_SPEC_BYTES;
use selur_protocol::abi::{Outcome, Submitted};
use std::collections::BTreeMap;

/// The size of an arena block, in bytes. Source: guest/ABI.md.
const BLOCK_BYTES: u32 = 256;
/// The bits of a handle that are the number of its first block. Source: guest/ABI.md.
const BLOCK_NUMBER_MASK: u64 = 0xFFF;
/// Room for the longest create (65,536 bytes of specification, image, name) and the longest list (1,024 ids).
const RESIDENT_BYTES: u32 = MAX_SPEC_BYTES as u32 + 8_192;

/// A reserved part of the arena.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Region {
    pub(crate) handle: u64,
    /// Its first byte in linear memory.
    pub(crate) offset: u32,
    /// Its length in bytes: what was asked for, in whole blocks.
    pub(crate) bytes: u32,
}

/// Every slot that is reserved.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    /// First byte to the byte behind the last. Invariant: no two overlap.
    reserved: BTreeMap<u32, u32>,
    resident: Option<Region>,
}

impl Slots {
    /// Reserves a slot; none if the arena has no room.
    pub(crate) fn reserve(&mut self, guest: &mut Instance, bytes: u32) -> Result<Option<Region>, Broken> {
        let Some(handle) = guest.reserve(bytes)? else {
            return Ok(None);
        };
        let bytes = bytes.max(1).next_multiple_of(BLOCK_BYTES);
        let arena = guest.arena();
        let offset = arena.start + (handle & BLOCK_NUMBER_MASK) as u32 * BLOCK_BYTES;
        if !arena.contains(offset, bytes) {
            return Err(Broken(format!(
                "it gave a slot of {bytes} bytes at {offset}, which is not within its arena"
            )));
        }
        let before = self.reserved.range(..offset + bytes).next_back();
        if before.is_some_and(|(_, end)| *end > offset) {
            return Err(Broken(format!(
                "it gave a slot of {bytes} bytes at {offset}, which overlaps another"
            )));
        }
        self.reserved.insert(offset, offset + bytes);
        Ok(Some(Region {
            handle,
            offset,
            bytes,
        }))
    }

    /// Gives a slot back to the guest.
    pub(crate) fn release(&mut self, guest: &mut Instance, region: Region) -> Result<(), Broken> {
        self.reserved.remove(&region.offset);
        match guest.release(region.handle)? {
            Ok(()) => Ok(()),
            Err(reason) => Err(Broken(format!(
                "it refused to take a slot back that it gave: {}",
                reason.message()
            ))),
        }
    }

    /// Forgets a slot that a pending submission consumed.
    pub(crate) fn consumed(&mut self, region: Region) {
        self.reserved.remove(&region.offset);
    }

    /// The slot for frames that are copied, reserved if need be; none if the arena has no room for it.
    pub(crate) fn resident(&mut self, guest: &mut Instance) -> Result<Option<Region>, Broken> {
        if self.resident.is_none() {
            self.resident = self.reserve(guest, RESIDENT_BYTES)?;
        }
        Ok(self.resident)
    }

    /// Forgets the resident slot, which a create consumed.
    pub(crate) fn resident_consumed(&mut self) {
        if let Some(region) = self.resident.take() {
            self.consumed(region);
        }
    }
}

/// Checks that an answer given at once lies within the slot it was asked for in.
pub(crate) fn checked(region: Region, submitted: Submitted) -> Result<Submitted, Broken> {
    if let Outcome::Ready { offset, bytes, .. } = submitted.outcome {
        let within = offset >= region.offset
            && offset
                .checked_add(bytes)
                .is_some_and(|end| end <= region.offset + region.bytes);
        if !within || bytes == 0 {
            return Err(Broken(format!(
                "it answered with {bytes} bytes at {offset}, which are not within the request's slot"
            )));
        }
    }
    Ok(submitted)
}
