//! Trees of files that images and containers made: unpacks, measures and removes them.
//!
//! Such a tree is hostile until proven otherwise. Paths are resolved by the kernel within the tree's own directory
//! (`openat2` with `RESOLVE_IN_ROOT`), so no symbolic link, `..` or absolute path leads out of it; nothing is ever
//! unpacked over another tree. What the caps do not allow ends the unpacking with an error; the caller removes the
//! directory.
//!
//! Root does this in its own process. Without root a selur-shim does it within a user namespace, where the subordinate
//! ids can be given to files. Nothing here decides which of the two, starts a process, or enters a namespace.

mod archive;
mod error;
mod metadata;
mod remove;
mod tree;
mod usage;

pub use archive::{Archive, Entry, Kind, MAX_PATH_BYTES};
pub use error::{TreeError, quoted};
pub use remove::remove;
pub use usage::usage;

use error::During;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use tree::Tree;

const BUFFER_BYTES: usize = 128 << 10;

/// What the process that unpacks may do, and what its overlays understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// Root of the machine: owners, device nodes, and the attributes `trusted.overlay.*`.
    Root,
    /// Root of a user namespace with many ids: owners and the attributes `user.overlay.*`. There are no device nodes;
    /// those of a layer are left out.
    Namespace,
    /// Root of a user namespace with no other id: as above, and every file is root's.
    SingleId,
}

/// Unpacks a tar stream into an empty directory, in the form that overlayfs takes. Tells whether it hides everything
/// below it. The caller puts it on disk. Blocks.
///
/// # Errors
/// The stream is malformed, hostile or over the cap of entries; it cannot be read; the disk fails. The directory then
/// holds a part of the layer.
pub fn unpack<R: Read>(
    archive: &mut Archive<R>,
    directory: &Path,
    max_entries: u64,
    power: Power,
) -> Result<bool, TreeError> {
    let mut tree = Tree::open(directory, max_entries, power)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    while let Some(entry) = archive.next_entry()? {
        tree.apply(&entry, |file| copy(archive, file, &mut buffer))?;
    }
    archive.drain()?;
    tree.finish()
}

fn copy(archive: &mut Archive<impl Read>, file: &mut File, buffer: &mut [u8]) -> Result<(), TreeError> {
    loop {
        match archive.read(buffer)? {
            0 => return Ok(()),
            count => io::Write::write_all(file, &buffer[..count]).during(|| "unpacking a file".to_owned())?,
        }
    }
}
