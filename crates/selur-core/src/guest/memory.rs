//! The guest's linear memory, by copies; and the one other step that the compiler cannot check: loading the code that
//! the build script compiled.
//!
//! The only module of this crate with `unsafe`. It must never form a Rust slice over the whole memory, nor over bytes
//! that foreign code may write; [`LinearMemory::with`] is for a slot that only Rust holds.

use super::Broken;
use std::ptr;
use wasmtime::{Engine, Memory, Module, Store};

/// Where a guest's memory lies, found once: it never moves and never grows, for its size is fixed.
#[derive(Clone, Copy, Debug)]
pub(super) struct MemoryPlace {
    address: usize,
    bytes: usize,
}

impl MemoryPlace {
    /// The place of `memory`, which belongs to `store`.
    pub(super) fn of<T>(memory: &Memory, store: &Store<T>) -> MemoryPlace {
        MemoryPlace {
            address: memory.data_ptr(store).expose_provenance(),
            bytes: memory.data_size(store),
        }
    }

    /// The memory, for as long as its store is borrowed. `store` is the one that the place was found in.
    #[inline]
    pub(super) fn view<T>(self, _store: &Store<T>) -> LinearMemory<'_> {
        LinearMemory {
            base: ptr::with_exposed_provenance_mut(self.address),
            bytes: self.bytes,
            _store: std::marker::PhantomData,
        }
    }
}

/// A view of a guest's memory for as long as its store is borrowed.
///
/// Invariant: `base` is valid for reads and writes of `bytes` bytes for `'store`. The guest does not run meanwhile,
/// for running it needs the store mutably.
pub(crate) struct LinearMemory<'store> {
    base: *mut u8,
    bytes: usize,
    _store: std::marker::PhantomData<&'store ()>,
}

/// Each is [`Broken`] if the range is not all within the memory: nothing was read or written then.
impl LinearMemory<'_> {
    /// The byte at `offset`.
    #[inline]
    pub(crate) fn byte(&self, offset: u32) -> Result<u8, Broken> {
        let from = self.checked(offset, 1)?;
        // SAFETY: `from` is within the memory, which no Rust slice overlaps.
        Ok(unsafe { from.read_volatile() })
    }

    /// Copies `into.len()` bytes from `offset`.
    #[inline]
    pub(crate) fn read(&self, offset: u32, into: &mut [u8]) -> Result<(), Broken> {
        let from = self.checked(offset, into.len())?;
        // SAFETY: `from` begins `into.len()` bytes within the memory, which no Rust slice overlaps.
        unsafe { copy(from, into.as_mut_ptr(), into.len()) };
        Ok(())
    }

    /// Copies `count` bytes from `offset`.
    #[inline]
    pub(crate) fn to_vec(&self, offset: u32, count: u32) -> Result<Vec<u8>, Broken> {
        let count = count as usize;
        let from = self.checked(offset, count)?;
        // One more, for whoever puts a 0 behind it: that would be a second allocation.
        let mut bytes = Vec::with_capacity(count + 1);
        // SAFETY: `from` begins `count` bytes within the memory, and the vector has room for `count`.
        unsafe { copy(from, bytes.as_mut_ptr(), count) };
        // SAFETY: the first `count` bytes were just written.
        unsafe { bytes.set_len(count) };
        Ok(bytes)
    }

    /// Copies `bytes` to `offset`.
    #[inline]
    pub(crate) fn write(&self, offset: u32, bytes: &[u8]) -> Result<(), Broken> {
        let to = self.checked(offset, bytes.len())?;
        // SAFETY: `to` begins `bytes.len()` bytes within the memory, which no Rust slice overlaps.
        unsafe { copy(bytes.as_ptr(), to, bytes.len()) };
        Ok(())
    }

    /// Shows `count` bytes from `offset` where they lie.
    #[inline]
    pub(crate) fn with<R>(
        &self,
        offset: u32,
        count: u32,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, Broken> {
        let from = self.checked(offset, count as usize)?;
        // SAFETY: the range is within the memory. While `self` borrows the store the guest does not run, and the slot
        // that the range belongs to is held by the Rust value that asks: nobody writes.
        let bytes = unsafe { std::slice::from_raw_parts(from, count as usize) };
        Ok(read(bytes))
    }

    /// Where `count` bytes from `offset` lie in this process, for foreign code. The memory never moves: its size is fixed.
    pub(crate) fn address(&self, offset: u32, count: u32) -> Result<usize, Broken> {
        self.checked(offset, count as usize)
            .map(<*mut u8>::expose_provenance)
    }

    #[inline]
    fn checked(&self, offset: u32, count: usize) -> Result<*mut u8, Broken> {
        if offset as usize > self.bytes || count > self.bytes - offset as usize {
            return Err(outside(offset, count));
        }
        // SAFETY: `offset` is at most the memory's length.
        Ok(unsafe { self.base.add(offset as usize) })
    }
}

#[cold]
fn outside(offset: u32, count: usize) -> Broken {
    Broken(format!("{count} bytes at {offset} are not within its memory"))
}

/// Copies by pieces of [`COPY_PIECE_BYTES`].
///
/// # Safety
/// - `from` is valid for reads, and `to` for writes, of `count` bytes; they do not overlap.
#[inline]
unsafe fn copy(from: *const u8, to: *mut u8, count: usize) {
    #[cfg(test)]
    tests::COPIED.with(|copied| copied.set(copied.get() + count));
    let mut done = 0;
    while done < count {
        let piece = COPY_PIECE_BYTES.min(count - done);
        let (from, to) = (from.wrapping_add(done), to.wrapping_add(done));
        // SAFETY: the piece lies within the `count` bytes that the caller vouches for.
        unsafe { ptr::copy_nonoverlapping(from, to, piece) };
        done += piece;
    }
}

/// How much is best copied at once from a guest's memory, or into it. The C library before glibc 2.39 copies longer parts by
/// one instruction, which takes up to 25 times as long on AMD processors if the target lies a few bytes further on in its page
/// than the source does in its own.
///
/// Source: glibc's bug 30994; docs/decisions/copies-in-pieces.md has figures.
pub const COPY_PIECE_BYTES: usize = 2_048;

/// The module that the build script compiled from `guest/selur.wasm`.
///
/// # Errors
/// The code is for another processor than this one.
pub(super) fn embedded_module(engine: &Engine) -> wasmtime::Result<Module> {
    const CODE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/selur.cwasm"));
    // SAFETY: the bytes are the output of `Engine::precompile_module` in this crate's build script, unchanged.
    unsafe { Module::deserialize(engine, CODE) }
}

#[cfg(test)]
mod tests {
    use crate::{Backend, Begun, Bridge, Command};
    use selur_protocol::{Frame, HEADER_BYTES};
    use std::cell::Cell;

    thread_local! {
        /// The bytes that this thread has copied into guests and out of them.
        pub(super) static COPIED: Cell<usize> = const { Cell::new(0) };
    }

    fn copied(step: impl FnOnce()) -> usize {
        let before = COPIED.get();
        step();
        COPIED.get() - before
    }

    #[test]
    fn a_payload_is_copied_never_in_place_and_once_by_copy() {
        let bridge = Bridge::builder()
            .backend(Backend::Simulated)
            .build()
            .expect("opened");
        for payload_bytes in [0, 100, 10_240, 262_144] {
            let payload = vec![b'x'; payload_bytes];
            let frame_bytes = HEADER_BYTES + payload_bytes;
            let mut frame = vec![0; frame_bytes];
            Frame::encode(Command::Ping, &[&payload], &mut frame).expect("a frame");

            let by_copy = copied(|| {
                let is_same = bridge.ping_with(&payload, |data| data == payload);
                assert!(is_same.expect("answered"));
            });
            assert_eq!(by_copy, frame_bytes, "by copy, {payload_bytes} bytes");

            let mut slot = bridge.reserve(frame_bytes).expect("a slot");
            slot.write_at(0, &frame).expect("written");
            let in_place = copied(|| {
                let is_same = slot.exchange_with(|data| data == payload);
                assert_eq!(is_same.expect("answered"), Begun::Answered(true));
            });
            assert_eq!(in_place, 0, "in place, {payload_bytes} bytes");
        }
    }
}
