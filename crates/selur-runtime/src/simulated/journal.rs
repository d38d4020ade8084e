//! What happened in the simulated world, in order, for those who follow events.

use super::World;
use super::lock;
use crate::{Event, EventItem, EventOptions, EventStream};
use futures_util::stream::{self, StreamExt};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use tokio::sync::watch;

/// So many events are kept for readers that are behind.
const KEPT: usize = 1_024;

/// The last events, numbered from 0 without gaps.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// The number of the first event that is kept.
    first: u64,
    events: VecDeque<Event>,
    news: watch::Sender<()>,
}

impl Journal {
    pub(super) fn add(&mut self, event: Event) {
        if self.events.len() == KEPT {
            self.events.pop_front();
            self.first += 1;
        }
        self.events.push_back(event);
        self.news.send_replace(());
    }

    fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    fn since(&self, time_ns: u64) -> u64 {
        let before = self.events.iter().take_while(|event| event.time_ns < time_ns);
        self.first + before.count() as u64
    }

    /// The event with this number, or how many are missing from there on.
    fn get(&self, number: u64) -> Option<EventItem> {
        match number.checked_sub(self.first) {
            None => Some(EventItem::Lagged(self.first - number)),
            Some(index) => {
                let event = self.events.get(usize::try_from(index).ok()?)?;
                Some(EventItem::Event(event.clone()))
            }
        }
    }
}

struct Reader {
    /// A reader must not keep the world alive: its end is the runtime's.
    world: Weak<Mutex<World>>,
    news: watch::Receiver<()>,
    next: u64,
    until_now: bool,
}

/// The events that the options want.
pub(super) fn stream(world: &Arc<Mutex<World>>, options: EventOptions) -> EventStream {
    let reader = {
        let journal = &lock(world).journal;
        Reader {
            world: Arc::downgrade(world),
            news: journal.news.subscribe(),
            next: options
                .since_ns
                .map_or(journal.end(), |since| journal.since(since)),
            until_now: options.until_now,
        }
    };
    stream::unfold(reader, |mut reader| async {
        let item = reader.item().await?;
        Some((Ok(item), reader))
    })
    .boxed()
}

impl Reader {
    /// The next event, an inner none where it is still to come, an outer one where the world is gone.
    fn look(&self) -> Option<Option<EventItem>> {
        let world = self.world.upgrade()?;
        let world = lock(&world);
        Some(world.journal.get(self.next))
    }

    async fn item(&mut self) -> Option<EventItem> {
        loop {
            self.news.mark_unchanged();
            match self.look()? {
                Some(item) => {
                    self.next += match item {
                        EventItem::Lagged(events) => events,
                        EventItem::Event(_) => 1,
                    };
                    return Some(item);
                }
                None if self.until_now => return None,
                None => self.news.changed().await.ok()?,
            }
        }
    }
}
