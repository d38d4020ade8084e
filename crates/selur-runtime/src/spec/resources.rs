//! What a container may use of the machine.

use super::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Source: moby `daemon/daemon_unix.go`, `linuxMinMemory`: with less, runc itself does not come through.
const MIN_MEMORY_BYTES: u64 = 6 << 20;
/// Source: linux/threads.h, `PID_MAX_LIMIT`.
const MAX_PIDS: u32 = 4 << 20;
/// Source: Linux, Documentation/scheduler/sched-bwc.rst: a quota of 1 ms at least, of the period of 100 ms.
const MIN_CPUS: f64 = 0.01;

/// The most that a container may use. What is absent is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Resources {
    /// Memory, in bytes; the container cannot swap beyond it. A process that needs more is killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 6_291_456, max = 9_223_372_036_854_775_807_u64))]
    pub memory_bytes: Option<u64>,
    /// Processors' time: 1.5 is one and a half. At most as many as the machine has.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.01))]
    pub cpus: Option<f64>,
    /// Processes and threads.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4_194_304))]
    pub pids: Option<u32>,
}

impl Resources {
    pub(super) fn is_default(&self) -> bool {
        *self == Resources::default()
    }

    pub(super) fn check(&self) -> Result<(), SpecError> {
        let refuse = |text: String| Err(SpecError::invalid(format!("resources.{text}")));
        match *self {
            Resources {
                memory_bytes: Some(bytes),
                ..
            } if bytes < MIN_MEMORY_BYTES || i64::try_from(bytes).is_err() => refuse(format!(
                "memory_bytes: {bytes} is out of its range: give {MIN_MEMORY_BYTES} (6 MiB) at least"
            )),
            // Neither infinity nor what is no number can be written in JSON, but in Rust.
            Resources { cpus: Some(cpus), .. } if !(cpus >= MIN_CPUS && cpus.is_finite()) => refuse(format!(
                "cpus: {cpus} is out of its range: give {MIN_CPUS} at least"
            )),
            Resources { pids: Some(pids), .. } if !(1..=MAX_PIDS).contains(&pids) => {
                refuse(format!("pids: {pids} is out of its range: give 1 to {MAX_PIDS}"))
            }
            _ => Ok(()),
        }
    }
}
