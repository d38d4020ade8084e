//! The kernel as plain Rust.

use crate::machine::Machine;
use crate::player::Player;
use crate::trace::{Line, Scene};
use selur_kernel::{Input, Kernel, Renaming, SlotUse};
use selur_protocol::abi::{CancelCause, Observation, Output, Report, Submitted};
use selur_protocol::{ContainerId, Reason, Status};

/// 2 containers, 5 operations, 3 blocks: every limit is met.
#[derive(Clone)]
pub(crate) struct Small(Box<Kernel<2, 3, 5, 3, 1, 768>>);
pub(crate) const SMALL: Scene = Scene(2, 5, 3);

/// As the guest has it, on the heap.
#[derive(Clone)]
pub(crate) struct Full(Box<selur_kernel::FullKernel>);
pub(crate) const FULL: Scene = Scene(1024, 4096, 2560);

/// Tickets and effects under the model's numbers.
struct Numbers;

impl Renaming for Numbers {
    fn operation(&self, id: u64) -> u64 {
        id >> 12
    }
}

impl Small {
    pub(crate) fn new() -> Small {
        Small(Box::new(Kernel::new()))
    }
}

impl Full {
    pub(crate) fn new() -> Full {
        Full(Box::new(selur_kernel::FullKernel::new()))
    }
}

/// A kernel whose usage can be asked for, and its digest under the model's numbers.
pub(crate) trait Open {
    fn usage(&self) -> [u32; 4];
    fn renamed_digest(&self) -> u64;
}

macro_rules! native {
    ($type:ty) => {
        impl Machine for $type {
            fn reserve(&mut self, bytes: u32) -> Result<u64, Option<Reason>> {
                self.0.reserve(bytes).map_err(Some)
            }
            fn write(&mut self, slot: u64, _: usize, frame: &[u8]) {
                self.0.slot_mut(slot).expect("a reserved slot")[..frame.len()].copy_from_slice(frame);
            }
            fn room(&mut self, slot: u64) -> Option<Result<usize, Reason>> {
                Some(self.0.slot_mut(slot).map(|bytes| bytes.len()))
            }
            fn submit(&mut self, slot: u64, frame_bytes: u32, keep: bool, new_id: ContainerId) -> Submitted {
                let slot_use = if keep {
                    SlotUse::Keep
                } else {
                    SlotUse::Consume
                };
                let input = Input::Submit {
                    slot,
                    frame_bytes,
                    slot_use,
                    new_id,
                };
                self.0.feed(input).expect("taken").expect("an outcome")
            }
            fn release(&mut self, slot: u64) -> Result<(), Reason> {
                self.0.release(slot)
            }
            fn cancel(&mut self, ticket: u64, cause: CancelCause) -> Result<(), Reason> {
                self.0.feed(Input::Cancel { ticket, cause }).map(drop)
            }
            fn complete(
                &mut self,
                effect: u64,
                status: Status,
                report: Option<Report>,
            ) -> Result<(), Reason> {
                let input = Input::Complete {
                    effect,
                    status,
                    report,
                };
                self.0.feed(input).map(drop)
            }
            fn observe(&mut self, observation: &Observation<'_>) {
                self.0.feed(Input::Observe(*observation)).expect("taken");
            }
            fn poll(&mut self) -> Option<Output> {
                self.0.poll()
            }
            fn bytes(&mut self, offset: usize, count: usize) -> Vec<u8> {
                self.0.arena()[offset..offset + count].to_vec()
            }
            fn digest(&mut self) -> u64 {
                self.0.digest()
            }
        }

        impl Open for $type {
            fn usage(&self) -> [u32; 4] {
                let usage = self.0.usage();
                [
                    usage.containers,
                    usage.operations,
                    usage.slots,
                    usage.blocks,
                ]
            }
            fn renamed_digest(&self) -> u64 {
                self.0.digest_renamed(&Numbers)
            }
        }
    };
}

native!(Small);
native!(Full);

impl<M: Machine + Open> Player<M> {
    /// Compares what can be seen of the state with what the model has.
    pub(crate) fn compare(&self, line: &Line<'_>, text: &str) {
        assert_eq!(
            self.machine.usage(),
            line.usage,
            "containers, operations, slots, blocks: {text}"
        );
        assert_eq!(
            self.machine.renamed_digest(),
            line.digest,
            "the digest of the logical state: {text}"
        );
    }
}
