//! What replays a trace: the native kernel or the guest.

use selur_protocol::abi::{CancelCause, Observation, Output, Report, Submitted};
use selur_protocol::{ContainerId, Reason, Status};

/// Any kernel. Offsets count from the arena's first byte.
pub(crate) trait Machine {
    /// A slot's handle; why there is none, if that can be known.
    fn reserve(&mut self, bytes: u32) -> Result<u64, Option<Reason>>;
    /// Writes a frame; a guest's host may write into reserved slots only, and is not checked.
    fn write(&mut self, slot: u64, offset: usize, frame: &[u8]);
    /// Whether a slot can be written, and how long it is, if that can be known.
    fn room(&mut self, slot: u64) -> Option<Result<usize, Reason>>;
    fn submit(&mut self, slot: u64, frame_bytes: u32, keep: bool, id: ContainerId) -> Submitted;
    fn release(&mut self, slot: u64) -> Result<(), Reason>;
    fn cancel(&mut self, ticket: u64, cause: CancelCause) -> Result<(), Reason>;
    fn complete(&mut self, effect: u64, status: Status, report: Option<Report>) -> Result<(), Reason>;
    fn observe(&mut self, observation: &Observation<'_>);
    fn poll(&mut self) -> Option<Output>;
    fn bytes(&mut self, offset: usize, count: usize) -> Vec<u8>;
    fn digest(&mut self) -> u64;
}
