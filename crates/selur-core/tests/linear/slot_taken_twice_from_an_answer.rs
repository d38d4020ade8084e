//! An answer has one slot.
use selur_core::SlotResponse;

pub fn main(answer: SlotResponse) {
    drop(answer.into_slot());
    drop(answer.into_slot()); // the second use
}
