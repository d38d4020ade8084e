//! What running containers use, as the daemon tells it.

use super::failure::{self, About, DaemonError};
use super::site::Site;
use crate::{ContainerProcess, NetworkMode, RuntimeError, Stats, StatsOptions, StatsStream};
use futures_util::stream::{self, StreamExt};
use selur_protocol::{ContainerId, State, Status};
use selur_shim::Moment;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// What the daemons say where there is no limit is more than any machine has, in bytes.
const NO_LIMIT: u64 = 1 << 60;

pub(super) async fn stream(
    site: &Arc<Site>,
    id: ContainerId,
    options: StatsOptions,
) -> Result<StatsStream, RuntimeError> {
    options.check()?;
    let look = site.expect(id).await?;
    if !look.facts.is_alive() {
        return Err(failure::wrong_state("sample", look.facts.state));
    }
    let mut interval = interval(Duration::from_millis(options.interval_ms.into()));
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let state = Some((site.clone(), interval));
    let samples = stream::unfold(state, move |state| async move {
        let (site, mut interval) = state?;
        loop {
            interval.tick().await;
            match sample(&site, id).await {
                Ok(Sample::Taken(stats)) => {
                    return Some((Ok(*stats), options.follow.then_some((site, interval))));
                }
                Ok(Sample::Between) => {}
                Ok(Sample::Ended) => return None,
                Err(error) => return Some((Err(error), None)),
            }
        }
    });
    Ok(samples.boxed())
}

enum Sample {
    Taken(Box<Stats>),
    /// It is started again in a moment.
    Between,
    Ended,
}

async fn sample(site: &Arc<Site>, id: ContainerId) -> Result<Sample, RuntimeError> {
    let Some(look) = site.look(id).await? else {
        return Ok(Sample::Ended);
    };
    match look.facts.state {
        State::Running | State::Paused => {}
        State::Restarting => return Ok(Sample::Between),
        State::Created | State::Stopped => return Ok(Sample::Ended),
    }
    let path = format!("/containers/{}/stats", look.facts.daemon_id);
    let query = [("stream", "false"), ("one-shot", "true")];
    let told = site.client.get::<Told>(&path, &query).await;
    match told {
        // Of what has ended meanwhile, dockerd tells zeros.
        Ok(told) if told.cpu_stats.cpu_usage.total_usage > 0 => {
            Ok(Sample::Taken(Box::new(told.into_stats(look.facts.spec.network))))
        }
        Ok(_) => Ok(Sample::Between),
        Err(error) => {
            let has_ended = !site.look(id).await?.is_some_and(|look| look.facts.is_alive());
            match has_ended {
                true => Ok(Sample::Ended),
                false => Err(error.into_runtime(About::Container, "cannot sample the container")),
            }
        }
    }
}

#[derive(Debug, Deserialize)]
struct Told {
    cpu_stats: Cpu,
    #[serde(default)]
    memory_stats: Memory,
    #[serde(default)]
    pids_stats: Pids,
    #[serde(default)]
    blkio_stats: Option<Blocks>,
    #[serde(default)]
    networks: Option<HashMap<String, Network>>,
}

#[derive(Debug, Deserialize)]
struct Cpu {
    cpu_usage: CpuUsage,
    #[serde(default)]
    online_cpus: u32,
}

#[derive(Debug, Deserialize)]
struct CpuUsage {
    total_usage: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Memory {
    usage: u64,
    limit: u64,
    stats: Option<HashMap<String, u64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Pids {
    current: u64,
    limit: u64,
}

#[derive(Debug, Deserialize)]
struct Blocks {
    io_service_bytes_recursive: Option<Vec<Block>>,
}

#[derive(Debug, Deserialize)]
struct Block {
    op: String,
    value: u64,
}

#[derive(Debug, Deserialize)]
struct Network {
    #[serde(default)]
    rx_bytes: u64,
    #[serde(default)]
    tx_bytes: u64,
}

impl Told {
    fn into_stats(self, network: NetworkMode) -> Stats {
        // The page cache that can be dropped: of cgroups v2, else of v1. Podman tells neither.
        let cache = self.memory_stats.stats.as_ref();
        let cache = cache.and_then(|stats| {
            stats
                .get("inactive_file")
                .or_else(|| stats.get("total_inactive_file"))
        });
        let blocks = self
            .blkio_stats
            .and_then(|stats| stats.io_service_bytes_recursive);
        let block = |word: &str| {
            let entries = blocks
                .as_ref()?
                .iter()
                .filter(|entry| entry.op.eq_ignore_ascii_case(word));
            Some(entries.fold(0u64, |sum, entry| sum.saturating_add(entry.value)))
        };
        let (read, written) = (block("read"), block("write"));
        let interfaces = self.networks.unwrap_or_default();
        let network = |bytes: fn(&Network) -> u64| match network {
            NetworkMode::Host => None,
            NetworkMode::None => Some(interfaces.values().map(bytes).fold(0, u64::saturating_add)),
        };
        let limited = |limit: u64| Some(limit).filter(|limit| (1..NO_LIMIT).contains(limit));
        Stats {
            time_ns: Moment::now().as_nanoseconds(),
            cpu_ns: self.cpu_stats.cpu_usage.total_usage,
            online_cpus: self.cpu_stats.online_cpus,
            memory_bytes: self
                .memory_stats
                .usage
                .saturating_sub(cache.copied().unwrap_or(0)),
            memory_limit_bytes: limited(self.memory_stats.limit),
            pids: self.pids_stats.current,
            pids_limit: limited(self.pids_stats.limit),
            block_read_bytes: read,
            block_write_bytes: written,
            network_receive_bytes: network(|interface| interface.rx_bytes),
            network_send_bytes: network(|interface| interface.tx_bytes),
        }
    }
}

/// What `ps` is asked for, of the host's processes.
const COLUMNS: &str = "-o pid,ppid,uid,stat,rss,times,args";

/// The processes of a running container. Docker runs the host's `ps`; podman tells their ids, and what the host knows of
/// them is read here.
pub(super) async fn top(site: &Arc<Site>, id: ContainerId) -> Result<Vec<ContainerProcess>, RuntimeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Processes {
        processes: Option<Vec<Vec<String>>>,
    }
    let look = site.expect(id).await?;
    if !matches!(look.facts.state, State::Running | State::Paused) {
        return Err(failure::wrong_state("list the processes of", look.facts.state));
    }
    let path = format!("/containers/{}/top", look.facts.daemon_id);
    let query = [("ps_args", if site.daemon.is_podman { "hpid" } else { COLUMNS })];
    let told = site.client.get::<Processes>(&path, &query).await;
    let told = told.map_err(|error: DaemonError| {
        error.into_runtime(About::Process, "cannot list the processes of the container")
    })?;
    let rows = told.processes.unwrap_or_default().into_iter();
    let mut processes: Vec<ContainerProcess> = match site.daemon.is_podman {
        true => rows
            .filter_map(|row| row.first()?.trim().parse().ok())
            .filter_map(crate::oci::process)
            .collect(),
        false => rows.filter_map(|row| read(&row)).collect(),
    };
    processes.sort_by_key(|process| process.pid);
    match processes.is_empty() {
        // It ended meanwhile, or its processes are another machine's.
        true => Err(RuntimeError::new(
            Status::Unsupported,
            "the daemon's processes cannot be seen from here: it runs on another machine or in a container",
        )),
        false => Ok(processes),
    }
}

fn read(row: &[String]) -> Option<ContainerProcess> {
    let [pid, parent, uid, state, kilobytes, seconds, command @ ..] = row else {
        return None;
    };
    Some(ContainerProcess {
        pid: pid.parse().ok()?,
        parent_pid: parent.parse().ok()?,
        uid: uid.parse().ok()?,
        state: state.chars().take(1).collect(),
        memory_bytes: kilobytes.parse::<u64>().unwrap_or(0).saturating_mul(1024),
        cpu_ns: seconds.parse::<u64>().unwrap_or(0).saturating_mul(1_000_000_000),
        // The daemon has joined the arguments.
        command: command
            .iter()
            .flat_map(|words| words.split(' '))
            .map(str::to_owned)
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ps_says_is_read() {
        let row = ["7", "1", "0", "Ss", "4", "2", "sleep 1000"].map(str::to_owned);
        let process =
            read(&row).map(|process| (process.pid, process.state, process.memory_bytes, process.command));
        let command = vec!["sleep".to_owned(), "1000".to_owned()];
        assert_eq!(process, Some((7, "S".to_owned(), 4096, command)));
        assert_eq!(read(&["no".to_owned()]), None);
    }

    #[test]
    fn the_cache_is_no_memory_in_use() {
        let text = r#"{"cpu_stats":{"cpu_usage":{"total_usage":5},"online_cpus":2},
            "memory_stats":{"usage":100,"limit":9223372036854771712,"stats":{"inactive_file":30}},
            "pids_stats":{"current":2},"blkio_stats":{"io_service_bytes_recursive":null},"networks":null}"#;
        let told: Result<Told, _> = serde_json::from_str(text);
        let stats = told
            .map(|told| told.into_stats(NetworkMode::None))
            .unwrap_or_default();
        assert_eq!(
            (stats.memory_bytes, stats.memory_limit_bytes, stats.pids),
            (70, None, 2)
        );
        assert_eq!(
            (stats.block_read_bytes, stats.network_send_bytes),
            (None, Some(0))
        );
    }
}
