//! The guest: a WebAssembly module that decides, sealed off. Nothing of wasmtime leaves this module.
//!
//! It must trust no byte that the guest gives: a [`Broken`] guest is never called again.

mod config;
mod instance;
mod memory;

pub(crate) use config::GUEST_STACK_BYTES;
pub(crate) use instance::Instance;
pub use memory::COPY_PIECE_BYTES;

use crate::{Error, Status};
use sha2::{Digest, Sha256};

/// How much a guest call may do, in units of fuel: about one instruction each.
///
/// Source: docs/decisions/guest-budget.md. The longest call of the kernel that was seen takes less than a hundredth.
pub(crate) const CALL_BUDGET_FUEL: u64 = 100_000_000;

/// The longest module that is loaded, in bytes.
const MAX_MODULE_BYTES: usize = 4 << 20;

/// The sha256 of the guest that this library was built with, in 64 hex digits.
///
/// It equals the file `guest/selur.wasm.sha256` of the source.
///
/// ```
/// assert_eq!(selur_core::guest_sha256().len(), 64);
/// ```
pub fn guest_sha256() -> &'static str {
    include_str!(concat!(env!("OUT_DIR"), "/selur.wasm.sha256"))
}

/// Where the guest comes from.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Guest {
    /// The one that this library was built with, compiled ahead of time.
    #[default]
    Embedded,
    /// A `.wasm` file. Needs the cargo feature `compiler`.
    Path(std::path::PathBuf),
    /// The bytes of a `.wasm` file. Needs the cargo feature `compiler`.
    Bytes(Vec<u8>),
}

/// What a loaded guest is, as it was checked: see [`crate::Bridge::info`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestFacts {
    /// The sha256 of the `.wasm` file, in 64 hex digits.
    pub sha256: String,
    /// The length of the `.wasm` file.
    pub bytes: usize,
    /// How many functions, memories, tables and globals it asks its host for: always 0, else it is refused.
    pub imports: usize,
    /// The names of what it exports, in the module's order.
    pub exports: Vec<String>,
    /// Its memory in 64 KiB pages, minimum and maximum.
    pub memory_pages: u32,
    /// The version of the guest ABI that it speaks.
    pub abi_version: u32,
}

/// A guest that trapped, exceeded its budget or broke the ABI, and how.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

impl Broken {
    pub(crate) fn new(how: impl Into<String>) -> Broken {
        Broken(how.into())
    }
}

/// A guest's bytes with what is known of them before they are compiled.
enum Source {
    Embedded,
    Module(Vec<u8>),
}

impl Guest {
    /// Reads, checks and instantiates it.
    ///
    /// # Errors
    /// - `invalid_request`: the file cannot be read, is no module, or breaks the ABI; the message says where.
    /// - `unsupported`: this build has no compiler.
    /// - `internal_error`: the module traps when it is started, or the embedded one does not load here.
    pub(crate) fn load(&self) -> Result<(Instance, GuestFacts), Error> {
        let source = match self {
            Guest::Embedded => Source::Embedded,
            Guest::Bytes(bytes) => Source::Module(bytes.clone()),
            Guest::Path(path) => {
                let bytes = std::fs::read(path).map_err(|error| {
                    let message = format!("the guest {} cannot be read: {error}", path.display());
                    Error::new(Status::InvalidRequest, message)
                })?;
                Source::Module(bytes)
            }
        };
        let (sha256, bytes) = match &source {
            Source::Embedded => {
                let bytes = include_str!(concat!(env!("OUT_DIR"), "/selur.wasm.bytes"));
                (guest_sha256().to_owned(), bytes.parse().unwrap_or(0))
            }
            Source::Module(module) if module.len() > MAX_MODULE_BYTES => {
                let message = format!(
                    "the guest is refused: it has {} bytes, more than {MAX_MODULE_BYTES}",
                    module.len()
                );
                return Err(Error::new(Status::InvalidRequest, message));
            }
            Source::Module(module) => (hex_sha256(module), module.len()),
        };
        let module = match &source {
            Source::Embedded => None,
            Source::Module(module) => Some(module.as_slice()),
        };
        let (instance, shape) = Instance::load(module)?;
        let facts = GuestFacts {
            sha256,
            bytes,
            imports: shape.imports,
            exports: shape.exports,
            memory_pages: selur_protocol::abi::MEMORY_PAGES,
            abi_version: selur_protocol::abi::ABI_VERSION,
        };
        Ok((instance, facts))
    }
}

fn hex_sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
