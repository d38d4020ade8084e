//! Reads the log of events below the state root, and goes on as anybody writes to it.
//!
//! Each reader has a place of its own in the file and no memory of what it has not taken, so that any number of slow
//! ones cost nothing. One that is more than [`MAX_BEHIND_BYTES`] behind is moved forward: it is told how many events it
//! has missed, for it reads over them to count them. What was there before it began does not count as being behind.

use super::watch::Watcher;
use super::{Site, block, failure};
use crate::{Event, EventItem, EventKind, EventOptions, EventStream, RuntimeError};
use futures_util::stream::{self, StreamExt};
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;
use selur_protocol::ContainerId;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use tokio::sync::watch;

/// A reader that is further behind than this is moved forward, in bytes.
const MAX_BEHIND_BYTES: u64 = 1 << 20;
/// How far behind it is then, in bytes.
const KEPT_BYTES: u64 = MAX_BEHIND_BYTES / 2;
/// So much is read at once, in bytes; much more than an event has.
const CHUNK_BYTES: usize = 64 << 10;

pub(super) fn stream(
    site: &Arc<Site>,
    watcher: &Watcher,
    options: EventOptions,
) -> Result<EventStream, RuntimeError> {
    // Before the first look, so that nothing is missed between the two.
    let changes = watcher.event_changes();
    let file = File::options()
        .create(true)
        .append(true)
        .read(true)
        .open(site.root.events())
        .map_err(read_failed)?;
    let now = file.metadata().map_err(read_failed)?.len();
    let begin = match options.since_ns {
        Some(_) => first_data(&file, 0, now).map_err(read_failed)?,
        None => now,
    };
    let reader = Reader {
        site: site.clone(),
        changes,
        options,
        began: now,
        place: Some(Place {
            file,
            offset: begin,
            items: VecDeque::new(),
            buffer: Vec::new(),
        }),
    };
    let items = stream::unfold(Some(reader), |reader| async {
        let mut reader = reader?;
        match reader.next().await {
            Ok(Some(item)) => Some((Ok(item), Some(reader))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(items.boxed())
}

/// How a container ended last, as far as the newest events say: of one that was deleted nothing else does.
pub(super) fn last_exit_code(site: &Site, id: ContainerId) -> Option<i32> {
    let file = File::open(site.root.events()).ok()?;
    let end = file.metadata().ok()?.len();
    let mut place = Place {
        file,
        offset: end.saturating_sub(MAX_BEHIND_BYTES),
        items: VecDeque::new(),
        buffer: Vec::new(),
    };
    let subject = id.to_string();
    let mut exit_code = None;
    let looked = place.scan(end, usize::MAX, |event| {
        let is_it = event.kind == EventKind::Ended && event.subject == subject;
        if is_it {
            exit_code = event.exit_code;
        }
        is_it
    });
    looked.ok().and(exit_code)
}

struct Reader {
    site: Arc<Site>,
    changes: watch::Receiver<()>,
    options: EventOptions,
    /// The end of the log when it began to read.
    began: u64,
    /// Away while it is read from elsewhere.
    place: Option<Place>,
}

/// A place in the log.
struct Place {
    file: File,
    /// Where the next line begins.
    offset: u64,
    /// What was read and not given yet.
    items: VecDeque<EventItem>,
    buffer: Vec<u8>,
}

impl Reader {
    async fn next(&mut self) -> Result<Option<EventItem>, RuntimeError> {
        let mut is_closed = false;
        loop {
            if let Some(item) = self.place.as_mut().and_then(|place| place.items.pop_front()) {
                return Ok(Some(item));
            }
            self.changes.mark_unchanged();
            let Some(mut place) = self.place.take() else {
                return Ok(None);
            };
            let options = self.options;
            let began = self.began;
            let place = block(&self.site, move |_| {
                place.read(options, began).map_err(read_failed)?;
                Ok(place)
            })
            .await?;
            let found = !place.items.is_empty();
            self.place = Some(place);
            if found {
                continue;
            }
            if self.options.until_now || is_closed {
                return Ok(None);
            }
            // The runtime is gone: what was written until then is still given.
            is_closed = self.changes.changed().await.is_err();
        }
    }
}

impl Place {
    /// Reads some events, if there are any.
    fn read(&mut self, options: EventOptions, began: u64) -> io::Result<()> {
        let since = options.since_ns.unwrap_or(0);
        let end = if options.until_now {
            began
        } else {
            self.file.metadata()?.len()
        };
        if !options.until_now && end.saturating_sub(self.offset.max(began)) > MAX_BEHIND_BYTES {
            let mut missed = 0;
            self.scan(end - KEPT_BYTES, usize::MAX, |_| {
                missed += 1;
                true
            })?;
            if missed > 0 {
                self.items.push_back(EventItem::Lagged(missed));
                return Ok(());
            }
        }
        let mut items = std::mem::take(&mut self.items);
        let scanned = self.scan(end, 1, |event| {
            let is_wanted = event.time_ns >= since;
            if is_wanted {
                items.push_back(EventItem::Event(event));
            }
            is_wanted
        });
        self.items = items;
        scanned
    }

    /// Reads whole lines until `end`, or until so many pieces of the file had an event that is wanted, as `found` says.
    fn scan(&mut self, end: u64, pieces: usize, mut found: impl FnMut(Event) -> bool) -> io::Result<()> {
        let mut pieces = pieces;
        while self.offset < end && pieces > 0 {
            self.buffer.resize(CHUNK_BYTES, 0);
            let most = usize::try_from(end - self.offset).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
            let buffer = self.buffer.get_mut(..most).unwrap_or_default();
            let bytes = self.file.read_at(buffer, self.offset)?;
            if bytes == 0 {
                return Ok(());
            }
            let read = self.buffer.get(..bytes).unwrap_or_default();
            if read.first() == Some(&0) {
                // It was given back: the next data may be far away.
                let next = first_data(&self.file, self.offset, end)?;
                let zeros = read.iter().take_while(|byte| **byte == 0).count() as u64;
                self.offset = next.max(self.offset + zeros);
                continue;
            }
            let Some(last) = read.iter().rposition(|byte| *byte == b'\n') else {
                if bytes < CHUNK_BYTES {
                    // Half a line, which its writer did not finish, or a limit within a line.
                    return Ok(());
                }
                self.offset += bytes as u64;
                continue;
            };
            let lines = read.get(..last).unwrap_or_default();
            let mut had_any = false;
            for event in lines.split(|byte| *byte == b'\n').filter_map(Event::from_line) {
                had_any |= found(event);
            }
            self.offset += last as u64 + 1;
            pieces -= usize::from(had_any);
        }
        Ok(())
    }
}

/// Where the data begins, from here on; `end` if there is none. A file system that knows no holes has data everywhere.
fn first_data(file: &File, from: u64, end: u64) -> io::Result<u64> {
    match seek(file, SeekFrom::Data(from)) {
        Ok(offset) => Ok(offset.min(end)),
        Err(Errno::NXIO) => Ok(end),
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(from),
        Err(error) => Err(error.into()),
    }
}

fn read_failed(error: io::Error) -> RuntimeError {
    failure::io("cannot read the log of events", error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use selur_shim::{Root, event_log};

    fn place(root: &Root) -> Place {
        Place {
            file: File::open(root.events()).unwrap(),
            offset: 0,
            items: VecDeque::new(),
            buffer: Vec::new(),
        }
    }

    fn all(place: &mut Place, options: EventOptions, began: u64) -> Vec<EventItem> {
        let mut all = Vec::new();
        loop {
            place.read(options, began).unwrap();
            if place.items.is_empty() {
                return all;
            }
            all.extend(place.items.drain(..));
        }
    }

    fn write(root: &Root, count: u32) {
        for generation in 0..count {
            let mut event = Event::now(EventKind::Started, "0123456789abcdef0123456789abcdef");
            event.generation = Some(generation);
            event_log::append(root, &event).unwrap();
        }
    }

    #[test]
    fn who_is_behind_is_told_exactly_how_many_it_missed() {
        const COUNT: u32 = 20_000;
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        write(&root, COUNT);
        let items = all(&mut place(&root), EventOptions::default(), 0);
        let Some(EventItem::Lagged(missed)) = items.first() else {
            panic!("{:?}", items.first());
        };
        let rest = items[1..].iter().map(|item| match item {
            EventItem::Event(event) => event.generation.unwrap(),
            EventItem::Lagged(_) => panic!("behind twice"),
        });
        assert!(rest.eq(u32::try_from(*missed).unwrap()..COUNT));
    }

    #[test]
    fn what_was_there_at_the_beginning_is_read_in_full() {
        const COUNT: u32 = 20_000;
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        write(&root, COUNT);
        let mut place = place(&root);
        let began = place.file.metadata().unwrap().len();
        let options = EventOptions {
            since_ns: Some(0),
            until_now: true,
        };
        write(&root, 10);
        assert_eq!(all(&mut place, options, began).len(), COUNT as usize);
    }

    #[test]
    fn what_is_wanted_is_found_behind_any_number_of_older_events() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        write(&root, 2_000);
        let since = Event::now(EventKind::Started, "").time_ns;
        write(&root, 3);
        let mut place = place(&root);
        let began = place.file.metadata().unwrap().len();
        for until_now in [true, false] {
            place.offset = 0;
            let options = EventOptions {
                since_ns: Some(since),
                until_now,
            };
            assert_eq!(all(&mut place, options, began).len(), 3);
        }
    }

    #[test]
    fn damage_and_holes_are_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::new(directory.path());
        write(&root, 3);
        let file = File::options().append(true).open(root.events()).unwrap();
        let end = file.metadata().unwrap().len();
        // A hole, zeros, and a long line of nonsense.
        file.set_len(end + (3 << 20)).unwrap();
        let mut nonsense = vec![b'x'; 300_000];
        nonsense[..5000].fill(0);
        io::Write::write_all(&mut &file, &nonsense).unwrap();
        write(&root, 2);
        let mut place = place(&root);
        let began = place.file.metadata().unwrap().len();
        let items = all(&mut place, EventOptions::default(), began);
        assert_eq!(items.len(), 5, "{items:?}");
    }
}
