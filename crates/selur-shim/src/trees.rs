//! Errands on trees of files, within the user namespace: a bridge that is not root can neither make nor remove what
//! belongs to subordinate ids.

use crate::{Failure, FailureKind, Files, Home, Mapping, Root, Told, rootfs, turn};
use selur_tree::{Archive, TreeError};
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// Does one of them.
pub(crate) fn run(
    root: &Path,
    files: Files,
    mapping: &Mapping,
    descriptors: Vec<OwnedFd>,
) -> Result<Option<Told>, Failure> {
    match files {
        Files::Unpack {
            directory,
            max_entries,
        } => {
            let missing = || Failure::new(FailureKind::BadRequest, "a descriptor is missing");
            let stream = UnixStream::from(descriptors.into_iter().next().ok_or_else(missing)?);
            let mut archive = Archive::new(stream);
            let unpacked = selur_tree::unpack(&mut archive, &directory, max_entries, mapping.power());
            unpacked
                .map(|is_opaque| Some(Told::Unpacked { is_opaque }))
                .map_err(told)
        }
        Files::Measure { paths } => selur_tree::usage(&paths)
            .map(|bytes| Some(Told::Measured { bytes }))
            .map_err(told),
        Files::Remove { path } => selur_tree::remove(&path).map(|()| None).map_err(told),
        Files::Probe => probe(root).map(|()| None),
    }
}

/// Whether an overlay can be mounted and hides what it should.
fn probe(root: &Path) -> Result<(), Failure> {
    let failed = |error| Failure::while_doing("cannot take a turn in the state root", error);
    let _turn = turn(root).map_err(failed)?;
    let directory = Root::new(root).probe();
    // What a killed one left.
    selur_tree::remove(&directory).map_err(told)?;
    let home: Home = Root::new(&directory).home(selur_protocol::ContainerId::from_bytes([0; 16]));
    let tried = try_overlay(&home);
    let removed = selur_tree::remove(&directory);
    tried?;
    removed.map_err(told)
}

fn try_overlay(home: &Home) -> Result<(), Failure> {
    let failed = |error| Failure::while_doing("cannot try an overlay", error);
    let layer = home.path().join("layer");
    for path in [home.rootfs(), home.upper(), home.work(), layer.join("hidden")] {
        fs::create_dir_all(path).map_err(failed)?;
    }
    rootfs::enter_namespace()?;
    rootfs::mount_overlay(home, &[layer], rootfs::Attributes::User)?;
    // Needs an attribute on the upper directory's file system, or the directory would come back.
    let outcome = fs::remove_dir(home.rootfs().join("hidden"))
        .and_then(|()| fs::create_dir(home.rootfs().join("hidden")))
        .map_err(|error| {
            Failure::new(
                FailureKind::Unsupported,
                format!(
                    "overlays do not work below {}: choose a state root on ext4, xfs or btrfs ({error})",
                    home.path().display()
                ),
            )
        });
    rootfs::unmount_overlay(home);
    outcome
}

fn told(error: TreeError) -> Failure {
    match error {
        TreeError::Content(words) => Failure::new(FailureKind::BadContent, words),
        TreeError::TooLarge(words) => Failure::new(FailureKind::TooLarge, words),
        TreeError::Unsupported(words) => Failure::new(FailureKind::Unsupported, words),
        // The bridge knows why it stopped.
        TreeError::Reader(error) => Failure::new(FailureKind::BadContent, error.to_string()),
        TreeError::Io { what, source } => Failure::while_doing(what, source),
    }
}
