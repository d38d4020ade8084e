//! What containers use: samples of their cgroups.

use crate::RuntimeError;
use futures_util::stream::BoxStream;
use schemars::JsonSchema;
use selur_protocol::Status;
use serde::{Deserialize, Serialize};

/// What is sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StatsOptions {
    /// Whether to go on, one sample an interval, until the container has ended; else there is one sample.
    pub follow: bool,
    /// How long from one sample to the next, in milliseconds: 10 at least.
    #[schemars(range(min = 10))]
    pub interval_ms: u32,
}

impl Default for StatsOptions {
    fn default() -> StatsOptions {
        StatsOptions {
            follow: true,
            interval_ms: 1_000,
        }
    }
}

impl StatsOptions {
    /// Checks what the types do not say.
    ///
    /// # Errors
    /// `invalid_request`: the interval is too short.
    pub fn check(&self) -> Result<(), RuntimeError> {
        if self.interval_ms >= 10 {
            return Ok(());
        }
        let message = format!(
            "interval_ms: {} is too short: wait 10 ms at least",
            self.interval_ms
        );
        Err(RuntimeError::new(Status::InvalidRequest, message))
    }
}

/// What a container used until a moment. Counters only grow while the container runs; null is what this machine does
/// not tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Stats {
    /// When, in nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// Processor time, in nanoseconds.
    pub cpu_ns: u64,
    /// How many processors the container may run on at once.
    pub online_cpus: u32,
    /// Memory in use without the page cache that can be dropped, in bytes.
    pub memory_bytes: u64,
    /// The most that it may use, in bytes; null is without limit.
    pub memory_limit_bytes: Option<u64>,
    /// Processes and threads.
    pub pids: u64,
    /// The most that it may have; null is without limit.
    pub pids_limit: Option<u64>,
    /// Bytes read from block devices.
    pub block_read_bytes: Option<u64>,
    /// Bytes written to block devices.
    pub block_write_bytes: Option<u64>,
    /// Bytes received by network interfaces of its own, loopback excepted; null where it has the host's network.
    pub network_receive_bytes: Option<u64>,
    /// Bytes sent by them.
    pub network_send_bytes: Option<u64>,
}

/// Samples. It ends when the container has.
pub type StatsStream = BoxStream<'static, Result<Stats, RuntimeError>>;

/// A process of a container, as `top` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ContainerProcess {
    /// Its id on the host.
    pub pid: u32,
    /// Its parent's id on the host.
    pub parent_pid: u32,
    /// The user it runs as, by number.
    pub uid: u32,
    /// R running, S sleeping, D waiting for a device, Z ended, T stopped…
    ///
    /// Source: proc_pid_stat(5).
    pub state: String,
    /// Resident memory, in bytes.
    pub memory_bytes: u64,
    /// Processor time, in nanoseconds.
    pub cpu_ns: u64,
    /// The program and its arguments; the name in brackets where there are none.
    pub command: Vec<String>,
}
