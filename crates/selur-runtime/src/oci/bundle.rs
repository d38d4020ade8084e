//! The OCI bundle: what the runtime is told about a container, confined as Docker confines it.

use super::config::Config;
use super::rootless::Delegation;
use super::{mounts, resources, seccomp};
use crate::NetworkMode;
use selur_shim::{Home, Mapping, Root, USER_PLACEHOLDER};
use serde_json::{Value, json};

/// Docker's default capabilities: CapBnd 00000000a80425fb.
///
/// Source: moby `oci/caps/defaults.go`.
pub(crate) const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

/// Source: moby `oci/defaults.go`, and those that later releases of it added.
const MASKED_PATHS: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// Source: as above. The last one is a writable tmpfs otherwise, where runc mounts cgroups v1.
const READONLY_PATHS: [&str; 6] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
    "/sys/fs/cgroup",
];

/// The configuration as the shim reads it: with [`USER_PLACEHOLDER`] where the user belongs, who is looked up in the
/// container when it is started.
pub(super) fn template(config: &Config, root: &Root, home: &Home, mapping: Option<&Mapping>) -> String {
    let spec = &config.spec;
    let capabilities = spec
        .capabilities
        .over(&CAPABILITIES, resources::available_capabilities(mapping));
    let mut namespaces = vec!["mount", "pid", "uts", "ipc", "cgroup"];
    if spec.network == NetworkMode::None {
        namespaces.push("network");
    }
    let namespaces: Vec<Value> = namespaces.iter().map(|kind| json!({ "type": kind })).collect();
    let mut bundle = json!({
        "ociVersion": "1.0.2",
        "process": {
            placeholder_key(): placeholder_value(),
            "terminal": config.spec.terminal,
            "args": config.arguments,
            "env": environment(config),
            "cwd": config.working_directory,
            "capabilities": {
                "bounding": capabilities,
                "effective": capabilities,
                "permitted": capabilities,
            },
            "noNewPrivileges": true,
        },
        "root": { "path": home.rootfs(), "readonly": spec.read_only_root },
        "hostname": config.hostname,
        "mounts": mounts::all(spec, root, home, mapping),
        "linux": {
            "namespaces": namespaces,
            "seccomp": seccomp::profile(&capabilities),
            "maskedPaths": MASKED_PATHS,
            "readonlyPaths": READONLY_PATHS,
        },
    });
    let (path, resources) = match mapping {
        None => (
            Some(format!("/selur/{}", config.id)),
            Some(resources::linux(&spec.resources)),
        ),
        Some(_) => (
            Delegation::own().path(&config.id),
            resources::linux_without_root(&spec.resources),
        ),
    };
    if let Some(path) = path {
        bundle["linux"]["cgroupsPath"] = path.into();
    }
    if let Some(resources) = resources {
        bundle["linux"]["resources"] = resources;
    }
    bundle.to_string()
}

/// The variables of the process; a terminal needs one more.
fn environment(config: &Config) -> Vec<&str> {
    let own = config.environment.iter().map(String::as_str);
    let has_term = config.environment.iter().any(|entry| entry.starts_with("TERM="));
    own.chain((config.spec.terminal && !has_term).then_some("TERM=xterm"))
        .collect()
}

fn placeholder_key() -> &'static str {
    "user"
}

/// [`USER_PLACEHOLDER`] is `"user":"@user@"`.
fn placeholder_value() -> &'static str {
    USER_PLACEHOLDER.split('"').nth(3).unwrap_or_default()
}
