//! What every backend and every binding must pass, so that none of them can drift from the protocol.
//!
//! - [`suite`]: the runtime's contract as tests that are generic over the backend; instantiated once for each.
//! - [`vector`], [`catalog`], [`replay`]: the vectors in `conformance/`: their format, their contents, and the harness
//!   that replays them; the other languages have harnesses of their own.
//! - [`protocol`]: `conformance/protocol.json`, generated from selur-protocol.
//! - [`schemas`]: `docs/schemas/`, generated from the types of selur-runtime.
//!
//! It is never published, and nothing but tests may depend on it.

pub mod catalog;
pub mod docs;
pub mod generated;
pub mod json;
pub mod protocol;
pub mod replay;
pub mod schemas;
pub mod suite;
pub mod vector;

use std::path::PathBuf;

/// The directory `conformance/` of this source tree.
pub fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../conformance"))
}
