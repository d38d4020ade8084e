//! What simulated containers use: a process of one MiB that works a millisecond each time something happens.

use super::{World, lock, no_such_container};
use crate::{ContainerProcess, RuntimeError, Stats, StatsOptions, StatsStream};
use futures_util::stream::{self, StreamExt};
use selur_protocol::ContainerId;
use std::sync::{Arc, Mutex};

const MEMORY_BYTES: u64 = 1 << 20;
const CPU_NS_A_TICK: u64 = 1_000_000;

/// A sample now, and if it is followed one each time the container changes.
pub(super) fn stream(
    world: &Arc<Mutex<World>>,
    id: ContainerId,
    options: StatsOptions,
) -> Result<StatsStream, RuntimeError> {
    options.check()?;
    let first = sample(&lock(world), id)?;
    if !options.follow {
        return Ok(stream::iter([Ok(first)]).boxed());
    }
    let changes = lock(world)
        .containers
        .get(&id)
        .map(super::Container::changes)
        .ok_or_else(|| no_such_container(id))?;
    // A reader that follows must not keep the world alive: its end is the runtime's.
    let state = (Some(first), Arc::downgrade(world), changes);
    Ok(
        stream::unfold(state, move |(first, world, mut changes)| async move {
            if let Some(first) = first {
                return Some((Ok(first), (None, world, changes)));
            }
            changes.changed().await.ok()?;
            let next = sample(&lock(&*world.upgrade()?), id).ok()?;
            Some((Ok(next), (None, world, changes)))
        })
        .boxed(),
    )
}

/// The one process.
pub(super) fn top(world: &Arc<Mutex<World>>, id: ContainerId) -> Result<Vec<ContainerProcess>, RuntimeError> {
    let used = sample(&lock(world), id)?;
    let world = lock(world);
    let container = world.containers.get(&id).ok_or_else(|| no_such_container(id))?;
    let command = container.spec().command.clone();
    Ok(vec![ContainerProcess {
        pid: 1,
        parent_pid: 0,
        uid: 0,
        state: "S".into(),
        memory_bytes: used.memory_bytes,
        cpu_ns: used.cpu_ns,
        command: command.unwrap_or_else(|| vec![container.image().to_owned()]),
    }])
}

fn sample(world: &World, id: ContainerId) -> Result<Stats, RuntimeError> {
    let container = world.containers.get(&id).ok_or_else(|| no_such_container(id))?;
    container.check_has_process("sample")?;
    let now = world.clock.now().as_nanoseconds();
    let started = container
        .starts()
        .last()
        .map_or(now, |start| start.as_nanoseconds());
    Ok(Stats {
        time_ns: now,
        cpu_ns: (now - started) / 1_000_000_000 * CPU_NS_A_TICK,
        online_cpus: 1,
        memory_bytes: MEMORY_BYTES,
        pids: 1,
        ..Stats::default()
    })
}
