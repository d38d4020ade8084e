//! What is mounted into a container: what Docker mounts into each, and what the specification asks for.

use crate::spec::Mount;
use crate::{ContainerSpec, RuntimeError};
use selur_protocol::Status;
use selur_shim::{FreshVolume, Home, Root};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Since when mounts below a bind mount can be made read-only with it. Source: mount_setattr(2).
const RECURSIVE_READ_ONLY: (u32, u32) = (5, 12);

/// Refuses bind mounts of what does not exist.
///
/// # Errors
/// `invalid_request`, naming the mount.
pub(super) fn check_sources(spec: &ContainerSpec) -> Result<(), RuntimeError> {
    for (index, mount) in spec.mounts.iter().enumerate() {
        if let Mount::Bind { source, .. } = mount
            && let Err(error) = fs::metadata(source)
        {
            let message = format!("mounts[{index}].source: {source:?} cannot be mounted: make it first");
            return Err(RuntimeError::with_source(Status::InvalidRequest, message, error));
        }
    }
    Ok(())
}

/// The volumes that a container mounts, and where.
pub(super) fn volumes(spec: &ContainerSpec) -> Vec<FreshVolume> {
    let volumes = spec.mounts.iter().filter_map(|mount| {
        Some(FreshVolume {
            name: mount.volume()?.to_owned(),
            target: mount.normal_target(),
        })
    });
    volumes.collect()
}

/// Every mount, outer ones first: what is mounted on a directory must not hide what was mounted in it.
pub(super) fn all(spec: &ContainerSpec, root: &Root, home: &Home) -> Vec<Value> {
    let asked: Vec<(String, Value)> = spec.mounts.iter().map(|mount| asked(mount, root)).collect();
    let mut mounts: Vec<(String, Value)> = defaults(home)
        .into_iter()
        .filter(|(target, _)| !asked.iter().any(|(other, _)| other == target))
        .collect();
    mounts.extend(asked);
    mounts.sort_by_key(|(target, _)| target.matches('/').count());
    mounts.into_iter().map(|(_, mount)| mount).collect()
}

fn asked(mount: &Mount, root: &Root) -> (String, Value) {
    let target = mount.normal_target();
    let value = match mount {
        Mount::Bind {
            source, read_only, ..
        } => bind(Path::new(source), &target, *read_only),
        Mount::Volume {
            source, read_only, ..
        } => bind(&root.volume_data(source), &target, *read_only),
        Mount::Tmpfs {
            size_bytes,
            mode,
            read_only,
            ..
        } => {
            // Source: moby `daemon/oci_linux.go`: what a tmpfs that somebody asked for is mounted with.
            let mut options = vec![
                "nosuid".to_owned(),
                "nodev".into(),
                "noexec".into(),
                "rprivate".into(),
            ];
            options.extend(size_bytes.map(|bytes| format!("size={bytes}")));
            options.extend(mode.as_ref().map(|mode| format!("mode={mode}")));
            options.push(if *read_only { "ro" } else { "rw" }.into());
            json!({ "destination": target, "type": "tmpfs", "source": "tmpfs", "options": options })
        }
    };
    (target, value)
}

fn bind(source: &Path, target: &str, read_only: bool) -> Value {
    let options: &[&str] = match read_only {
        false => &["rbind", "rprivate", "rw"],
        true if super::seccomp::kernel() >= RECURSIVE_READ_ONLY => &["rbind", "rprivate", "ro", "rro"],
        true => &["rbind", "rprivate", "ro"],
    };
    json!({ "destination": target, "type": "bind", "source": source, "options": options })
}

/// Source: moby `oci/defaults.go`, `DefaultLinuxSpec`.
fn defaults(home: &Home) -> Vec<(String, Value)> {
    let file_systems: [(&str, &str, &str, &[&str]); 7] = [
        ("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        (
            "/dev",
            "tmpfs",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        ),
        (
            "/dev/pts",
            "devpts",
            "devpts",
            &[
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
                "gid=5",
            ],
        ),
        ("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        (
            "/sys/fs/cgroup",
            "cgroup",
            "cgroup",
            &["ro", "nosuid", "noexec", "nodev"],
        ),
        ("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        (
            "/dev/shm",
            "tmpfs",
            "shm",
            &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
        ),
    ];
    let file_systems = file_systems.iter().map(|(destination, kind, source, options)| {
        let value = json!({ "destination": destination, "type": kind, "source": source, "options": options });
        ((*destination).to_owned(), value)
    });
    let own_files = ["resolv.conf", "hostname", "hosts"].map(|name| {
        let target = format!("/etc/{name}");
        let value = json!({
            "destination": target,
            "type": "bind",
            "source": home.etc().join(name),
            "options": ["bind", "rprivate"],
        });
        (target, value)
    });
    file_systems.chain(own_files).collect()
}
