//! Pruning: what nothing uses, how much room it takes, and its removal.

use super::catalog::{Needed, Reference};
use super::directories::Directories;
use super::disk::{self, Workspace};
use super::error::StoreError;
use super::trash::Trash;
use crate::{EventKind, PruneOptions, Pruned};
use std::path::PathBuf;

/// Removes what nothing uses, or only tells of it. Both tell the same, unless something else happens in between. Blocks.
pub(super) fn prune(directories: &Directories, options: PruneOptions) -> Result<Pruned, StoreError> {
    let lock = directories.lock()?;
    let (condemned, kept) = choose(directories, options)?;
    let needed = Needed::in_use(directories)?.with_references(directories, &kept)?;
    let mut paths = needed.unneeded(directories)?;
    let layers = directories.layers();
    let is_layer = |path: &PathBuf| path.parent() == Some(&layers) && path.extension().is_none();
    let mut pruned = Pruned {
        references: condemned.iter().map(|gone| gone.reference.clone()).collect(),
        layers: paths.iter().filter(|path| is_layer(path)).count() as u64,
        freed_bytes: 0,
    };
    // References first: what is named must be there.
    paths.splice(..0, condemned.iter().map(|gone| gone.path(directories)));
    paths.extend(Workspace::abandoned(&directories.ingest())?);
    if options.dry_run {
        drop(lock);
        pruned.freed_bytes = directories.hands().measure(&paths)?;
        return Ok(pruned);
    }
    let trash = Trash::take(directories, &lock, paths)?;
    disk::sync_directory(&directories.references())?;
    for reference in &pruned.references {
        directories.tell(EventKind::ImageDeleted, reference);
    }
    drop(lock);
    pruned.freed_bytes = trash.empty()?;
    Ok(pruned)
}

/// The references that lose their image, and those that keep it.
fn choose(
    directories: &Directories,
    options: PruneOptions,
) -> Result<(Vec<Reference>, Vec<Reference>), StoreError> {
    let references = Reference::all(directories)?;
    if !options.all {
        return Ok((Vec::new(), references));
    }
    let used = Needed::in_use(directories)?;
    Ok(references
        .into_iter()
        .partition(|reference| !used.has_image(&reference.digest)))
}
