//! Who touches the files that belong to containers and images: this process where it is root, else somebody in a user
//! namespace, to whom the subordinate ids belong.

use selur_tree::{Archive, Power, TreeError};
use std::fmt::Debug;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Unpacks, measures and removes trees of files. All of it blocks.
pub(crate) trait Hands: Debug + Send + Sync {
    /// Unpacks a tar stream into an empty directory; whether it hides everything below it.
    fn unpack(&self, directory: &Path, max_entries: u64, tar: &mut dyn Read) -> Result<bool, TreeError>;

    /// The room that trees take, in bytes.
    fn measure(&self, paths: &[PathBuf]) -> Result<u64, TreeError>;

    /// Removes a tree; that there is none is fine.
    fn remove(&self, path: &Path) -> Result<(), TreeError>;
}

/// This process, which is root.
#[derive(Debug)]
pub(crate) struct Root;

impl Hands for Root {
    fn unpack(&self, directory: &Path, max_entries: u64, tar: &mut dyn Read) -> Result<bool, TreeError> {
        selur_tree::unpack(&mut Archive::new(tar), directory, max_entries, Power::Root)
    }

    fn measure(&self, paths: &[PathBuf]) -> Result<u64, TreeError> {
        selur_tree::usage(paths)
    }

    fn remove(&self, path: &Path) -> Result<(), TreeError> {
        selur_tree::remove(path)
    }
}
