//! Removes what a container leaves outside of its own directory.

use selur_protocol::ContainerId;
use std::path::Path;

/// Removes the cgroups of a container that has no process. runc leaves them where it fails half-way.
///
/// They lie below each mounted hierarchy (v1, hybrid), or below the only one (v2).
pub(super) fn cgroups(id: ContainerId) {
    let mount = Path::new("/sys/fs/cgroup");
    let hierarchies = std::fs::read_dir(mount)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    for hierarchy in hierarchies.chain([mount.to_owned()]) {
        // A cgroup that is not there, or is in use, stays as it is.
        let _ = std::fs::remove_dir(hierarchy.join("selur").join(id.to_string()));
    }
}
