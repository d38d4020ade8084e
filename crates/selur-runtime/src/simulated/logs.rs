//! What simulated containers write: one line a start.

use super::{World, lock};
use crate::{LogEntry, LogOptions, LogStream, OutputStream};
use futures_util::stream::{self, StreamExt};
use selur_protocol::{ContainerId, State};
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// The lines of a container from the first that the options want. A follower ends when the container is stopped or
/// gone.
pub(super) fn stream(
    world: Arc<Mutex<World>>,
    id: ContainerId,
    changes: watch::Receiver<()>,
    options: LogOptions,
) -> LogStream {
    let lines = lock(&world)
        .containers
        .get(&id)
        .map_or(0, |container| container.starts().len());
    let since = options.since_ns.unwrap_or(0);
    let earlier = lock(&world).containers.get(&id).map_or(0, |container| {
        let starts = container.starts().iter();
        starts.take_while(|start| start.as_nanoseconds() < since).count()
    });
    let first = match options.tail_lines {
        // All that is written goes to standard output.
        _ if !options.stdout => lines,
        None => earlier,
        Some(wanted) => lines.saturating_sub(wanted).max(earlier),
    };
    let reader = Reader {
        // A reader that follows must not keep the world alive: its end is the runtime's.
        world: Arc::downgrade(&world),
        id,
        changes,
        next: first,
        stdout: options.stdout,
        follow: options.follow,
    };
    stream::unfold(reader, |mut reader| async {
        let entry = reader.entry().await?;
        Some((Ok(entry), reader))
    })
    .boxed()
}

struct Reader {
    world: std::sync::Weak<Mutex<World>>,
    id: ContainerId,
    changes: watch::Receiver<()>,
    next: usize,
    stdout: bool,
    follow: bool,
}

impl Reader {
    async fn entry(&mut self) -> Option<LogEntry> {
        loop {
            self.changes.mark_unchanged();
            if let Some(found) = self.look()? {
                return Some(found);
            }
            self.changes.changed().await.ok()?;
        }
    }

    /// The next line; an inner none where it is still to come, an outer one where there will be none.
    fn look(&mut self) -> Option<Option<LogEntry>> {
        let world = self.world.upgrade()?;
        let world = lock(&world);
        let container = world.containers.get(&self.id)?;
        match container.starts().get(self.next) {
            Some(start) if self.stdout => {
                self.next += 1;
                let line = format!("{} started, generation {}\n", container.image(), self.next);
                Some(Some(LogEntry {
                    stream: OutputStream::Stdout,
                    time_ns: start.as_nanoseconds(),
                    bytes: line.into_bytes(),
                }))
            }
            _ if self.follow && container.report().state != State::Stopped => Some(None),
            _ => None,
        }
    }
}
