//! What a running container uses, from its cgroups and from /proc.

use super::cgroup::Cgroup;
use super::config::Config;
use super::{Site, block, failure, rootless};
use crate::{ContainerProcess, NetworkMode, RuntimeError, Stats, StatsOptions, StatsStream};
use futures_util::stream::{self, StreamExt};
use selur_protocol::{ContainerId, State, Status};
use selur_shim::{Moment, Process};
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// The shortest time from one sample to the next.
const SHORTEST_INTERVAL_MS: u32 = 10;
/// A clock tick of /proc is a hundredth of a second on every architecture that has containers.
///
/// Source: Linux `include/asm-generic/param.h`, `USER_HZ`.
const NS_A_TICK: u64 = 10_000_000;

/// Opens a stream of samples. The first is taken when it is read.
pub(super) fn stream(
    site: &Arc<Site>,
    id: ContainerId,
    options: StatsOptions,
) -> Result<StatsStream, RuntimeError> {
    if options.interval_ms < SHORTEST_INTERVAL_MS {
        return Err(RuntimeError::new(
            Status::InvalidRequest,
            format!(
                "interval_ms: {} is too short: take {SHORTEST_INTERVAL_MS} at least",
                options.interval_ms
            ),
        ));
    }
    let sampler = Sampler::find(site, id, "sample")?;
    if site.mapping().is_some()
        && (sampler.cgroup.cpu_ns().is_none() || sampler.cgroup.memory_bytes().is_none())
    {
        return Err(rootless::needs_cgroups("tell what is used by"));
    }
    let site = site.clone();
    let mut interval = interval(Duration::from_millis(options.interval_ms.into()));
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let state = Some((site, interval, sampler));
    let samples = stream::unfold(state, move |state| async move {
        let (site, mut interval, mut sampler) = state?;
        interval.tick().await;
        let sampled = block(&site, move |site| {
            let sample = sampler.sample(site)?;
            Ok((sampler, sample))
        });
        match sampled.await {
            Ok((sampler, Some(sample))) => {
                let next = options.follow.then_some((site, interval, sampler));
                Some((Ok(sample), next))
            }
            Ok((_, None)) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(samples.boxed())
}

/// Reads a container's counters, generation after generation.
struct Sampler {
    id: ContainerId,
    process: Process,
    cgroup: Cgroup,
    has_own_network: bool,
}

impl Sampler {
    fn find(site: &Site, id: ContainerId, word: &str) -> Result<Sampler, RuntimeError> {
        let life = site.life(id)?.ok_or_else(|| failure::not_found(id))?;
        let refused = || failure::wrong_state(word, life.state);
        let process = life.process.ok_or_else(refused)?;
        let config = Config::read(&site.root.home(id))?.ok_or_else(|| failure::not_found(id))?;
        // An end since the life was read.
        let cgroup = Cgroup::of(process.pid)
            .filter(|_| process.is_alive())
            .ok_or_else(|| failure::wrong_state(word, State::Stopped))?;
        let cgroup = match site.mapping() {
            // One in which others are, too, tells nothing of the container.
            Some(_) => cgroup.of_container(id),
            None => cgroup,
        };
        Ok(Sampler {
            id,
            process,
            cgroup,
            has_own_network: config.spec.network == NetworkMode::None,
        })
    }

    /// A sample; nothing when the container has ended. A container that is started again begins at 0.
    fn sample(&mut self, site: &Site) -> Result<Option<Stats>, RuntimeError> {
        loop {
            let stats = self.read();
            // Only now: the process's id is its own up to here.
            if self.process.is_alive() {
                return stats.map(Some);
            }
            let life = site.life(self.id)?;
            match life.filter(|life| life.has_process()) {
                None => return Ok(None),
                Some(life) if life.process.is_none_or(|process| process == self.process) => {
                    // Between two generations, or not yet recorded.
                    std::thread::sleep(Duration::from_millis(SHORTEST_INTERVAL_MS.into()));
                }
                Some(_) => match Sampler::find(site, self.id, "sample") {
                    Ok(next) => *self = next,
                    Err(error) if error.status() == Status::InvalidState => {}
                    Err(error) => return Err(error),
                },
            }
        }
    }

    fn read(&self) -> Result<Stats, RuntimeError> {
        let lacking = |what: &str| {
            RuntimeError::new(
                Status::Unsupported,
                format!(
                    "this machine does not account for the {what} of containers: mount the cgroup controller"
                ),
            )
        };
        let cgroup = &self.cgroup;
        let block = cgroup.block_bytes();
        let network = match self.has_own_network {
            true => network_bytes(self.process.pid),
            false => None,
        };
        Ok(Stats {
            time_ns: Moment::now().as_nanoseconds(),
            cpu_ns: cgroup.cpu_ns().ok_or_else(|| lacking("processor time"))?,
            online_cpus: allowed_cpus(self.process.pid),
            memory_bytes: cgroup.memory_bytes().ok_or_else(|| lacking("memory"))?,
            memory_limit_bytes: cgroup.memory_limit_bytes(),
            pids: cgroup.pids().unwrap_or_else(|| cgroup.pids_in().len() as u64),
            pids_limit: cgroup.pids_limit(),
            block_read_bytes: block.map(|(read, _)| read),
            block_write_bytes: block.map(|(_, written)| written),
            network_receive_bytes: network.map(|(received, _)| received),
            network_send_bytes: network.map(|(_, sent)| sent),
        })
    }
}

/// The processes of a running container.
pub(super) fn top(site: &Site, id: ContainerId) -> Result<Vec<ContainerProcess>, RuntimeError> {
    let sampler = Sampler::find(site, id, "list the processes of")?;
    if site.mapping().is_some() {
        return Ok(rootless::processes(sampler.process.pid, process));
    }
    let pids = sampler.cgroup.pids_in().into_iter();
    Ok(pids.filter_map(process).collect())
}

/// What /proc says of a process; nothing of one that has ended meanwhile.
///
/// Source: proc_pid_stat(5), proc_pid_status(5), proc_pid_cmdline(5).
pub(crate) fn process(pid: u32) -> Option<ContainerProcess> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (name, fields) = stat.rsplit_once(')')?;
    let (_, name) = name.split_once('(')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    // Counted from field 3.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    // A process that has ended, and one of the kernel's, has none.
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let resident = resident.and_then(|text| text.split_ascii_whitespace().next()?.parse::<u64>().ok());
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut command: Vec<String> = arguments
        .split(|byte| *byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect();
    // The last one ends with a NUL, too.
    if command.last().is_some_and(String::is_empty) {
        command.pop();
    }
    if command.is_empty() {
        command.push(format!("[{name}]"));
    }
    let ticks = number(14)?.saturating_add(number(15)?);
    Some(ContainerProcess {
        pid,
        parent_pid: u32::try_from(number(4)?).ok()?,
        uid: uid.split_ascii_whitespace().next()?.parse().ok()?,
        state: (*fields.first()?).to_owned(),
        memory_bytes: resident.unwrap_or(0).saturating_mul(1024),
        cpu_ns: ticks.saturating_mul(NS_A_TICK),
        command,
    })
}

/// Bytes received and sent by the interfaces of a process's network, loopback excepted.
///
/// Source: proc_pid_net(5).
fn network_bytes(pid: u32) -> Option<(u64, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/net/dev")).ok()?;
    let mut sums = (0u64, 0u64);
    for line in text.lines() {
        let Some((name, counters)) = line.split_once(':') else {
            continue;
        };
        let counters: Vec<u64> = counters
            .split_ascii_whitespace()
            .filter_map(|counter| counter.parse().ok())
            .collect();
        if name.trim() != "lo"
            && let (Some(received), Some(sent)) = (counters.first(), counters.get(8))
        {
            sums = (sums.0.saturating_add(*received), sums.1.saturating_add(*sent));
        }
    }
    Some(sums)
}

/// How many processors a process may run on: `0-3,8` are five.
fn allowed_cpus(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.map_or(0, |list| list.trim().split(',').map(count).sum())
}

fn count(range: &str) -> u32 {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    match (first.parse::<u32>(), last.parse::<u32>()) {
        (Ok(first), Ok(last)) => last.saturating_sub(first).saturating_add(1),
        _ => 0,
    }
}
