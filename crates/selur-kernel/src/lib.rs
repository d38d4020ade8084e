//! The container lifecycle of selur: a state machine that is fed inputs and polled for outputs.
//!
//! The kernel decides which effect may run, in which order and for whom. It performs nothing: it does no I/O, reads no
//! clock, draws no random number, and never allocates. The same inputs give the same outputs, so it is model-checked
//! as plain Rust, replayed from a log, and compiled into the guest as it is.
//!
//! ```
//! use selur_kernel::{Input, SlotUse, SmallKernel};
//! use selur_protocol::abi::{Outcome, Submitted};
//! use selur_protocol::{Command, ContainerId, Frame, Status};
//!
//! let mut kernel = SmallKernel::new();
//! let slot = kernel.reserve(7).unwrap();
//! let frame_bytes = Frame::encode(Command::Ping, &[b"hi"], kernel.slot_mut(slot).unwrap()).unwrap();
//! let new_id = ContainerId::from_bytes([7; 16]);
//! let submitted = kernel.feed(Input::Submit { slot, frame_bytes: frame_bytes as u32, slot_use: SlotUse::Consume, new_id });
//! let Some(Submitted { outcome: Outcome::Ready { status, offset, bytes, .. }, .. }) = submitted.ok().flatten() else { panic!() };
//! assert_eq!(status, Status::Success);
//! assert_eq!(&kernel.arena()[offset as usize..][..bytes as usize], b"\0hi");
//! kernel.release(slot).unwrap();
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs, unreachable_pub)]

mod arena;
mod cancellations;
mod completions;
mod digest;
mod engine;
mod index;
mod input;
mod lifecycle;
mod link;
mod observations;
mod operations;
mod outbox;
mod requests;
mod table;
mod utf8;

pub use arena::BLOCK_BYTES;
pub use digest::Renaming;
pub use input::{Entry, INPUT_VERSION, Input, SlotUse};

use arena::{ArenaStore, Stage};
use engine::Engine;
use index::Index;
use link::Link;
use operations::{MAX_OPERATIONS, Operation, Operations, OperationsHead};
use selur_protocol::Reason;
use selur_protocol::abi::{Output, Submitted};
use table::{Container, Table, TableHead};

/// The kernel in the guest: 1,024 containers, 4,096 tickets, 640 KiB of slots.
pub type FullKernel = Kernel<1024, 2048, 4096, 2560, 40, { 2560 * BLOCK_BYTES }>;

/// A kernel for examples and model checkers: 4 containers, 16 tickets, 16 slots.
pub type SmallKernel = Kernel<4, 8, 16, 16, 1, { 16 * BLOCK_BYTES }>;

const _: () = {
    assert!(core::mem::size_of::<Container>() == 128);
    assert!(core::mem::size_of::<Operation>() == 32);
    assert!(core::mem::size_of::<[Link; 2048]>() * 2 == 8 * 1024);
    // The guest's memory less 80 KiB of stack and data.
    assert!(core::mem::size_of::<FullKernel>() <= (1024 - 80) * 1024);
};

/// The kernel: everything it knows, in place, with fixed capacities.
///
/// `INDEX` entries of each hash index (more than `CONTAINERS`), `BLOCKS` of [`BLOCK_BYTES`] in the arena, `WORDS` of 64
/// bits to mark them, `ARENA` bytes in all. Capacities that do not fit together do not compile. Its empty state is all
/// zeros.
#[derive(Clone)]
pub struct Kernel<
    const CONTAINERS: usize,
    const INDEX: usize,
    const OPERATIONS: usize,
    const BLOCKS: usize,
    const WORDS: usize,
    const ARENA: usize,
> {
    arena: ArenaStore<BLOCKS, WORDS, ARENA>,
    containers: [Container; CONTAINERS],
    ids: [Link; INDEX],
    names: [Link; INDEX],
    table: TableHead,
    operations: [Operation; OPERATIONS],
    head: OperationsHead,
}

impl<
    const CONTAINERS: usize,
    const INDEX: usize,
    const OPERATIONS: usize,
    const BLOCKS: usize,
    const WORDS: usize,
    const ARENA: usize,
> Default for Kernel<CONTAINERS, INDEX, OPERATIONS, BLOCKS, WORDS, ARENA>
{
    fn default() -> Self {
        Self::new()
    }
}

/// What a kernel holds at a moment: for tests, and for whoever wants to know how full it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Usage {
    /// Container records, those that are only pinned included.
    pub containers: u32,
    /// Operation records.
    pub operations: u32,
    /// Slots, reserved or answered.
    pub slots: u32,
    /// Blocks of the arena under those slots.
    pub blocks: u32,
}

impl<
    const CONTAINERS: usize,
    const INDEX: usize,
    const OPERATIONS: usize,
    const BLOCKS: usize,
    const WORDS: usize,
    const ARENA: usize,
> Kernel<CONTAINERS, INDEX, OPERATIONS, BLOCKS, WORDS, ARENA>
{
    /// A kernel that knows no container.
    pub const fn new() -> Self {
        assert!(
            CONTAINERS < INDEX && INDEX < 65_536,
            "an index needs an empty entry"
        );
        assert!(
            OPERATIONS >= 2 && OPERATIONS <= MAX_OPERATIONS,
            "an id names an operation in 12 bits"
        );
        Kernel {
            arena: ArenaStore::EMPTY,
            containers: [Container::EMPTY; CONTAINERS],
            ids: [Link::NONE; INDEX],
            names: [Link::NONE; INDEX],
            table: TableHead::EMPTY,
            operations: [Operation::EMPTY; OPERATIONS],
            head: OperationsHead::EMPTY,
        }
    }

    /// Gives out a slot of at least `bytes`.
    ///
    /// # Errors
    /// - [`Reason::PayloadTooLong`]: no frame is that long.
    /// - [`Reason::ArenaFull`]: no gap is large enough.
    pub fn reserve(&mut self, bytes: u32) -> Result<u64, Reason> {
        self.arena.view().reserve(bytes)
    }

    /// The bytes of a reserved slot, for the frame.
    ///
    /// # Errors
    /// [`Reason::StaleHandle`]: the slot was submitted, released, or never given out.
    pub fn slot_mut(&mut self, slot: u64) -> Result<&mut [u8], Reason> {
        let arena = self.arena.view();
        let slot = arena.slot(slot)?;
        match slot.stage {
            Stage::Reserved => Ok(arena.into_bytes(slot)),
            Stage::Answered | Stage::Held => Err(Reason::StaleHandle),
        }
    }

    /// Takes a slot back that is reserved or answered.
    ///
    /// # Errors
    /// [`Reason::StaleHandle`]: it was released before, went with its request, or was never given out.
    pub fn release(&mut self, slot: u64) -> Result<(), Reason> {
        let mut arena = self.arena.view();
        let slot = arena.slot(slot)?;
        if slot.stage == Stage::Held {
            return Err(Reason::StaleHandle);
        }
        arena.free(slot);
        Ok(())
    }

    /// Takes one input: the only way in which anything is decided. A submission has an outcome; the others have none.
    ///
    /// Outputs may wait afterwards: poll until there are none.
    ///
    /// # Errors
    /// [`Reason::StaleHandle`]: the ticket or effect is finished already, or never was. Nothing has changed.
    pub fn feed(&mut self, input: Input<'_>) -> Result<Option<Submitted>, Reason> {
        let mut engine = self.engine();
        match input {
            Input::Submit {
                slot,
                frame_bytes,
                slot_use,
                new_id,
            } => {
                let outcome = engine.submit(slot, frame_bytes, slot_use, new_id);
                Ok(Some(Submitted {
                    outputs_waiting: !self.head.outbox.is_empty(),
                    outcome,
                }))
            }
            Input::Cancel { ticket, cause } => engine.cancel(ticket, cause).map(|()| None),
            Input::Complete {
                effect,
                status,
                report,
            } => engine.complete(effect, status, report).map(|()| None),
            Input::Observe(observation) => {
                engine.observe(&observation);
                Ok(None)
            }
        }
    }

    /// Whether a reserved slot holds a ping. Then it is answered already, by itself: no length's last byte is anything but
    /// 0, which is the status of a success, and the payload lies behind it.
    ///
    /// Pings are what callers measure: this looks at the slot and at nothing else, and changes nothing.
    #[inline(always)]
    pub fn ping(&mut self, slot: u64, frame_bytes: u32) -> bool {
        let arena = self.arena.view();
        match arena.slot(slot) {
            Ok(slot) if slot.stage == Stage::Reserved => {
                let frame = arena.bytes(slot).get(..frame_bytes as usize);
                frame.map_or(false, requests::is_ping)
            }
            _ => false,
        }
    }

    /// The next output, in the order in which they came to be.
    pub fn poll(&mut self) -> Option<Output> {
        self.engine().poll()
    }

    /// The log entry of an input that is about to be fed.
    ///
    /// # Errors
    /// [`Reason::StaleHandle`], [`Reason::LengthMismatch`]: the submission's slot does not hold its frame. Feeding it
    /// would change nothing.
    pub fn entry<'a>(&'a mut self, input: Input<'a>) -> Result<Entry<'a>, Reason> {
        let (slot, frame_bytes, slot_use, new_id) = match input {
            Input::Submit {
                slot,
                frame_bytes,
                slot_use,
                new_id,
            } => (slot, frame_bytes, slot_use, new_id),
            other => return Ok(Entry::Other(other)),
        };
        let bytes = &*self.slot_mut(slot)?;
        Ok(Entry::Submit {
            slot_bytes: bytes.len() as u32,
            slot_use,
            new_id,
            frame: bytes.get(..frame_bytes as usize).ok_or(Reason::LengthMismatch)?,
        })
    }

    /// Does again what an entry of a log says; responses and outputs are not kept.
    ///
    /// # Errors
    /// As [`Kernel::reserve`] and [`Kernel::feed`].
    pub fn replay(&mut self, entry: &Entry<'_>) -> Result<Option<Submitted>, Reason> {
        let (slot_bytes, slot_use, new_id, frame) = match *entry {
            Entry::Submit {
                slot_bytes,
                slot_use,
                new_id,
                frame,
            } => (slot_bytes, slot_use, new_id, frame),
            Entry::Other(input) => return self.feed(input),
            Entry::Polled { outputs } => {
                (0..outputs).try_for_each(|_| self.poll().map(drop));
                return Ok(None);
            }
        };
        let capacity = slot_bytes.min(selur_protocol::MAX_FRAME_BYTES as u32);
        let slot = self.reserve(capacity)?;
        match self.slot_mut(slot)?.get_mut(..frame.len()) {
            Some(place) => place.copy_from_slice(frame),
            None => {
                self.release(slot)?;
                return Err(Reason::LengthMismatch);
            }
        }
        let submitted = self.feed(Input::Submit {
            slot,
            frame_bytes: frame.len() as u32,
            slot_use,
            new_id,
        });
        // A create's slot went with it.
        let _ = self.release(slot);
        submitted
    }

    /// The arena: responses lie here, at the offset that submit gave, and the payload of a create at the offset of its
    /// effect.
    pub const fn arena(&self) -> &[u8; ARENA] {
        self.arena.bytes()
    }

    /// One number for the whole logical state: FNV-1a 64 over everything but the arena.
    pub fn digest(&self) -> u64 {
        self.digest_renamed(&digest::AsItIs)
    }

    /// The digest under other names.
    pub fn digest_renamed(&self, names: &impl Renaming) -> u64 {
        digest::digest(&self.containers, &self.table, &self.operations, &self.head, names)
    }

    /// How full the kernel is.
    pub fn usage(&self) -> Usage {
        Usage {
            containers: u32::from(self.table.used()),
            operations: u32::from(self.head.used()),
            slots: self.arena.slots(),
            blocks: self.arena.taken_blocks(),
        }
    }

    #[inline(always)]
    fn engine(&mut self) -> Engine<'_> {
        Engine {
            arena: self.arena.view(),
            table: Table {
                records: &mut self.containers,
                ids: Index {
                    entries: &mut self.ids,
                },
                names: Index {
                    entries: &mut self.names,
                },
                head: &mut self.table,
            },
            operations: Operations {
                records: &mut self.operations,
                head: &mut self.head,
            },
        }
    }
}
