//! The C ABI of selur: `libselur.so`, `libselur.a` and `include/selur.h`, which is made from these sources.
//!
//! Each function checks its arguments, calls selur-core and writes what came of it; logic in here is a defect. No panic
//! leaves it. What a caller holds is a checked number, never a pointer to an object of ours. The documentation of public
//! items is that of the header: it speaks to C programmers.

#![allow(non_camel_case_types, reason = "the types have the names that they have in C")]
#![allow(
    clippy::missing_safety_doc,
    reason = "the header's preface says for all functions what a caller must keep to"
)]

mod boundary;
pub mod bridge;
pub mod bytes;
pub mod codes;
pub mod completions;
pub mod containers;
pub mod error;
mod handles;
pub mod images;
pub mod options;
pub mod requests;
pub mod slots;
pub mod streams;
pub mod version;
pub mod volumes;
