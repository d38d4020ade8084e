//! An answer in a slot ends when its slot is taken for the next frame.
use selur_core::SlotResponse;

pub fn main(answer: SlotResponse) {
    drop(answer.into_slot());
    answer.with(|data| data.len()); // the second use
}
