//! What the kernel promises, in four ways: sentence by sentence, cell by cell, beside a reference model, and at its limits.

mod cancellation;
mod driver;
mod edges;
mod forced_delete;
mod guarantees;
mod guest;
mod hosted;
mod limits;
mod log;
mod model;
mod moves;
mod one;
mod order;
mod pair;
mod slots;
mod state_table;
mod truth;
