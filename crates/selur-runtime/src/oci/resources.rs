//! What a container may use of this machine, and which powers it may have here.

use super::rootless;
use crate::{ContainerSpec, Resources, RuntimeError};
use selur_protocol::Status;
use selur_shim::Mapping;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// Source: Linux, Documentation/scheduler/sched-bwc.rst, the default period.
const CPU_PERIOD_US: u64 = 100_000;

/// Refuses what this machine does not have.
///
/// # Errors
/// - `invalid_request`: more processors than there are.
/// - `unsupported`: a capability that this process lacks.
/// - `unsupported` also: without root, a limit of which this user has no cgroups.
pub(super) fn check(spec: &ContainerSpec, mapping: Option<&Mapping>) -> Result<(), RuntimeError> {
    let refuse = |status, message| Err(RuntimeError::new(status, message));
    if let (Some(wanted), Some(online)) = (spec.resources.cpus, online_cpus())
        && wanted > f64::from(online)
    {
        return refuse(
            Status::InvalidRequest,
            format!(
                "resources.cpus: this machine has {online}, and {wanted} are asked for: give at most {online}"
            ),
        );
    }
    if mapping.is_some() {
        rootless::check_limits(&spec.resources)?;
    }
    match spec
        .capabilities
        .first_unavailable(available_capabilities(mapping))
    {
        Some(name) => refuse(
            Status::Unsupported,
            format!("capabilities.add: {name} is not to be had here: run selur with it, or leave it out"),
        ),
        None => Ok(()),
    }
}

/// `linux.resources` of the OCI configuration without root: none where nothing is limited, because runc would look for
/// cgroups that are not the user's. Devices need no rule: there are none but those that runc brings.
pub(super) fn linux_without_root(resources: &Resources) -> Option<Value> {
    let mut linux = linux(resources);
    let limits = linux.as_object_mut()?;
    limits.remove("devices");
    (!limits.is_empty()).then_some(linux)
}

/// `linux.resources` of the OCI configuration.
pub(super) fn linux(resources: &Resources) -> Value {
    // Nothing but null, zero, full, random, urandom, tty, console, ptmx and pts, which the runtime adds itself.
    let mut linux = json!({ "devices": [{ "allow": false, "access": "rwm" }] });
    if let Some(bytes) = resources.memory_bytes {
        let mut memory = json!({ "limit": bytes });
        if can_limit_swap() {
            // Memory and swap together.
            memory["swap"] = bytes.into();
        }
        linux["memory"] = memory;
    }
    if let Some(cpus) = resources.cpus {
        // Exact to a millionth of a processor; the specification bounds it on both sides.
        let quota = (cpus * CPU_PERIOD_US as f64).round() as i64;
        linux["cpu"] = json!({ "quota": quota, "period": CPU_PERIOD_US });
    }
    if let Some(pids) = resources.pids {
        linux["pids"] = json!({ "limit": pids });
    }
    linux
}

/// The capabilities that this process, and so a container of its, can have: bits by their numbers. Root of a user
/// namespace has all of them there.
pub(super) fn available_capabilities(mapping: Option<&Mapping>) -> u64 {
    if mapping.is_some() {
        let last = fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap_or_default();
        let last: u32 = last.trim().parse().unwrap_or(0);
        return u64::MAX >> 63_u32.saturating_sub(last);
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = |field: &str| {
        let mut lines = status.lines();
        lines.find_map(|line| u64::from_str_radix(line.strip_prefix(field)?.trim(), 16).ok())
    };
    mask("CapPrm:").unwrap_or(0) & mask("CapBnd:").unwrap_or(0)
}

/// Kernels count swap only where they were built and started to.
fn can_limit_swap() -> bool {
    let v1 = Path::new("/sys/fs/cgroup/memory");
    !v1.is_dir() || v1.join("memory.memsw.limit_in_bytes").exists()
}

/// How many processors are in use, from `0-3,6`.
fn online_cpus() -> Option<u32> {
    let ranges = fs::read_to_string("/sys/devices/system/cpu/online").ok()?;
    ranges.trim().split(',').try_fold(0_u32, |sum, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        sum.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}
