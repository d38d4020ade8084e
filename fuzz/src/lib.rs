//! What the fuzz targets do with their bytes: each module has a function `run`, which panics if something is wrong.
//!
//! The same files are part of an ordinary test, `crates/selur-conformance/tests/corpora`, which replays `corpus/` and
//! `regressions/` without nightly. So nothing here may know of libFuzzer.

pub mod bytes;
pub mod frames;
#[cfg(feature = "host")]
pub mod images;
pub mod kernel;
#[cfg(feature = "host")]
pub mod layers;
#[cfg(feature = "core")]
pub mod lying_guest;
#[cfg(feature = "host")]
pub mod shim;
#[cfg(feature = "host")]
pub mod specs;
#[cfg(feature = "host")]
mod tars;
