//! What is mounted into a container: what Docker mounts into each, and what the specification asks for.

use crate::spec::Mount;
use crate::{ContainerSpec, NetworkMode, RuntimeError};
use rustix::fs::StatVfsMountFlags;
use selur_protocol::Status;
use selur_shim::{FreshVolume, Home, Mapping, Root};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Since when mounts below a bind mount can be made read-only with it. Source: mount_setattr(2).
const RECURSIVE_READ_ONLY: (u32, u32) = (5, 12);

/// The group `tty` of every distribution, which owns terminals.
const TERMINAL_GROUP: u32 = 5;

/// Refuses bind mounts of what does not exist.
///
/// # Errors
/// `invalid_request`, naming the mount.
pub(crate) fn check_sources(spec: &ContainerSpec) -> Result<(), RuntimeError> {
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
pub(super) fn all(spec: &ContainerSpec, root: &Root, home: &Home, mapping: Option<&Mapping>) -> Vec<Value> {
    let asked = spec.mounts.iter().map(|mount| asked(mount, root, mapping));
    let asked: Vec<(String, Value)> = asked.collect();
    let mut defaults = defaults(home);
    if let Some(mapping) = mapping {
        fit_namespace(&mut defaults, spec, mapping);
    }
    let mut mounts: Vec<(String, Value)> = defaults
        .into_iter()
        .filter(|(target, _)| !asked.iter().any(|(other, _)| other == target))
        .collect();
    mounts.extend(asked);
    mounts.sort_by_key(|(target, _)| target.matches('/').count());
    mounts.into_iter().map(|(_, mount)| mount).collect()
}

/// What is mounted in another way in a user namespace.
fn fit_namespace(defaults: &mut [(String, Value)], spec: &ContainerSpec, mapping: &Mapping) {
    for (target, mount) in defaults {
        match target.as_str() {
            // A group that does not exist there cannot own terminals.
            "/dev/pts" if !mapping.has(0, TERMINAL_GROUP) => {
                if let Some(options) = mount["options"].as_array_mut() {
                    options.retain(|option| option != "gid=5");
                }
            }
            // sysfs shows a network, and can be mounted by whom that belongs to.
            "/sys" if spec.network == NetworkMode::Host => {
                let mut options = vec!["rbind", "rprivate", "nosuid", "noexec", "nodev", "ro"];
                if super::seccomp::kernel() >= RECURSIVE_READ_ONLY {
                    options.push("rro");
                }
                *mount =
                    json!({ "destination": "/sys", "type": "bind", "source": "/sys", "options": options });
            }
            _ => {}
        }
    }
}

fn asked(mount: &Mount, root: &Root, mapping: Option<&Mapping>) -> (String, Value) {
    let target = mount.normal_target();
    let value = match mount {
        Mount::Bind {
            source, read_only, ..
        } => bind(Path::new(source), &target, *read_only, mapping),
        Mount::Volume {
            source, read_only, ..
        } => bind(&root.volume_data(source), &target, *read_only, mapping),
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

fn bind(source: &Path, target: &str, read_only: bool, mapping: Option<&Mapping>) -> Value {
    let base: &[&str] = match read_only {
        false => &["rbind", "rprivate", "rw"],
        true if super::seccomp::kernel() >= RECURSIVE_READ_ONLY => &["rbind", "rprivate", "ro", "rro"],
        true => &["rbind", "rprivate", "ro"],
    };
    let mut options = base.to_vec();
    // In a user namespace a mount keeps the flags of the host's, and must be asked for with them to be made read-only.
    if mapping.is_some()
        && let Ok(found) = rustix::fs::statvfs(source)
    {
        let locked = [
            (StatVfsMountFlags::NOSUID, "nosuid"),
            (StatVfsMountFlags::NODEV, "nodev"),
            (StatVfsMountFlags::NOEXEC, "noexec"),
            (StatVfsMountFlags::NOATIME, "noatime"),
            (StatVfsMountFlags::NODIRATIME, "nodiratime"),
            (StatVfsMountFlags::RELATIME, "relatime"),
        ];
        let locked = locked
            .into_iter()
            .filter(|(flag, _)| found.f_flag.contains(*flag));
        options.extend(locked.map(|(_, option)| option));
        // Otherwise the kernel takes nodiratime alone for a wish for relatime, too.
        if !found
            .f_flag
            .intersects(StatVfsMountFlags::NOATIME | StatVfsMountFlags::RELATIME)
        {
            options.push("strictatime");
        }
        if found.f_flag.contains(StatVfsMountFlags::RDONLY) {
            options.retain(|option| *option != "rw");
            options.push("ro");
        }
    }
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
