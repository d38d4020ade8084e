//! Sees what happens below the state root as it happens, by inotify, for every process that changes it.
//!
//! One thread and one inotify instance serve a runtime: a host may have many bridges, and a user only 128 instances.

use super::{Site, failure, recovery, seen};
use crate::{Observation, RuntimeError};
use futures_util::stream::{self, BoxStream, StreamExt};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use selur_protocol::ContainerId;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// How long a shim that closed its file has to be gone, at first; then it is looked for again, each time after twice as
/// long.
const SECOND_LOOK: Duration = Duration::from_millis(100);
/// So often, if it is there.
const LOOKS: u32 = 6;
/// How often the time is doubled after which a container that could not be cared for is cared for again: up to 55 min.
const MAX_DOUBLINGS: u32 = 15;

/// The thread that watches; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Watcher {
    hub: Arc<Hub>,
    stop: Arc<OwnedFd>,
    watches: [i32; 3],
}

/// What the thread and its listeners share.
#[derive(Debug)]
struct Hub {
    inotify: OwnedFd,
    subscribers: Mutex<Vec<Arc<Subscriber>>>,
    followers: Mutex<Followers>,
    /// Tells that the log of events has grown; gone when the watcher is.
    events: Mutex<Option<watch::Sender<()>>>,
}

/// One stream of observations. What it has not taken yet is kept once a container: the newest.
#[derive(Debug, Default)]
struct Subscriber {
    pending: Mutex<Pending>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    observations: BTreeMap<ContainerId, Observation>,
    closed: bool,
}

#[derive(Debug, Default)]
struct Followers {
    by_container: HashMap<ContainerId, Followed>,
    by_watch: HashMap<i32, ContainerId>,
}

/// A container whose log somebody follows.
#[derive(Debug)]
struct Followed {
    watch: i32,
    count: usize,
    changes: watch::Sender<Changes>,
    lives: watch::Sender<()>,
}

/// How often something of a container changed since it is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Its log's newest file.
    written: u64,
    /// Which files its log has.
    pub(super) files: u64,
    /// Its life.
    pub(super) lives: u64,
}

/// Tells that a container's log or life changed, as long as it is kept.
#[derive(Debug)]
pub(super) struct Following {
    hub: Arc<Hub>,
    id: ContainerId,
    changes: watch::Receiver<Changes>,
    lives: watch::Receiver<()>,
}

/// What the thread works with.
struct Eye {
    site: Arc<Site>,
    hub: Arc<Hub>,
    stop: Arc<OwnedFd>,
    states: i32,
    alive: i32,
    events: i32,
    known: BTreeSet<ContainerId>,
    /// Whose shims may be about to die, and when to look at them again.
    suspects: BTreeMap<ContainerId, Suspicion>,
}

/// When a shim is looked at again, and how often it was.
struct Suspicion {
    at: Instant,
    looks: u32,
    /// What was begun about it the last time it was needed. Invariant: none where it was not.
    care: Option<JoinHandle<()>>,
}

impl Suspicion {
    /// The next look, which comes after twice the time.
    fn next(looks: u32, care: Option<JoinHandle<()>>) -> Suspicion {
        Suspicion {
            at: Instant::now() + SECOND_LOOK * 2u32.pow(looks.min(MAX_DOUBLINGS)),
            looks: looks.saturating_add(1),
            care,
        }
    }
}

impl Watcher {
    pub(super) fn start(site: &Arc<Site>) -> Result<Watcher, RuntimeError> {
        let failed = |error: io::Error| {
            let hint = match error.raw_os_error() {
                Some(24) => ": raise fs.inotify.max_user_instances with sysctl",
                Some(28) => ": raise fs.inotify.max_user_watches with sysctl",
                _ => "",
            };
            failure::io(format_args!("cannot watch the state root{hint}"), error)
        };
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .map_err(|error| failed(error.into()))?;
        let watch = |path: &Path, flags| {
            inotify::add_watch(&inotify, path, flags).map_err(|error| failed(error.into()))
        };
        // On a full disk a life is written over the one before.
        let flags = WatchFlags::MOVED_TO | WatchFlags::DELETE | WatchFlags::CLOSE_WRITE;
        let states = watch(&site.root.states(), flags)?;
        // A shim's death closes the file that it holds, however it dies.
        let alive = watch(&site.root.alive_files(), WatchFlags::CLOSE_WRITE)?;
        // It is there before it is watched, and never replaced.
        let events = File::options().create(true).append(true).open(site.root.events());
        drop(events.map_err(failed)?);
        let events = watch(&site.root.events(), WatchFlags::MODIFY)?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| failed(error.into()))?;
        let stop = Arc::new(stop);
        let hub = Arc::new(Hub {
            inotify,
            subscribers: Mutex::default(),
            followers: Mutex::default(),
            events: Mutex::new(Some(watch::Sender::new(()))),
        });
        let mut eye = Eye {
            known: site.ids()?.into_iter().collect(),
            site: site.clone(),
            hub: hub.clone(),
            stop: stop.clone(),
            states,
            alive,
            events,
            suspects: BTreeMap::new(),
        };
        std::thread::Builder::new()
            .name("selur-oci-watch".into())
            .spawn(move || eye.watch())
            .map_err(failed)?;
        let watches = [states, alive, events];
        Ok(Watcher { hub, stop, watches })
    }

    /// What happens from now on.
    pub(super) fn observations(&self) -> BoxStream<'static, Observation> {
        let subscriber = Arc::new(Subscriber::default());
        lock(&self.hub.subscribers).push(subscriber.clone());
        stream::unfold(subscriber, |subscriber| async {
            loop {
                {
                    let mut pending = lock(&subscriber.pending);
                    if let Some((_, observation)) = pending.observations.pop_first() {
                        drop(pending);
                        return Some((observation, subscriber));
                    }
                    if pending.closed {
                        return None;
                    }
                }
                subscriber.news.notified().await;
            }
        })
        .boxed()
    }

    /// Watches nothing any more. The kernel takes about 8 ms to forget what was watched, by itself if it has the time; else
    /// whoever closes the last descriptor waits, which no program can end without.
    pub(super) fn rest(&self) {
        for watch in self.watches {
            let _ = inotify::remove_watch(&self.hub.inotify, watch);
        }
    }

    /// Tells from now on when the log of events grows. It is closed with the watcher.
    pub(super) fn event_changes(&self) -> watch::Receiver<()> {
        let sender = lock(&self.hub.events);
        // There is one as long as this is not dropped.
        sender
            .as_ref()
            .map_or_else(|| watch::channel(()).1, watch::Sender::subscribe)
    }

    /// Tells from now on when a container's log or life changes.
    pub(super) fn follow(&self, id: ContainerId, logs: &Path) -> io::Result<Following> {
        let mut followers = lock(&self.hub.followers);
        let followed = match followers.by_container.get_mut(&id) {
            Some(followed) => followed,
            None => {
                let flags = WatchFlags::MODIFY | WatchFlags::CREATE;
                let watch = inotify::add_watch(&self.hub.inotify, logs, flags)?;
                followers.by_watch.insert(watch, id);
                followers.by_container.entry(id).or_insert(Followed {
                    watch,
                    count: 0,
                    changes: watch::Sender::default(),
                    lives: watch::Sender::default(),
                })
            }
        };
        followed.count += 1;
        Ok(Following {
            changes: followed.changes.subscribe(),
            lives: followed.lives.subscribe(),
            hub: self.hub.clone(),
            id,
        })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = rustix::io::write(&*self.stop, &1u64.to_ne_bytes());
        for subscriber in lock(&self.hub.subscribers).drain(..) {
            lock(&subscriber.pending).closed = true;
            subscriber.news.notify_one();
        }
        // Followers find a closed channel.
        lock(&self.hub.followers).by_container.clear();
        *lock(&self.hub.events) = None;
    }
}

impl Following {
    /// The changes until now.
    pub(super) fn changes(&mut self) -> Changes {
        *self.changes.borrow_and_update()
    }

    /// Waits for a change since the last look at them. False when the runtime is gone.
    pub(super) async fn changed(&mut self) -> bool {
        self.changes.changed().await.is_ok()
    }

    /// Waits for a change of the life. False when the runtime is gone.
    pub(super) async fn life_changed(&mut self) -> bool {
        self.lives.changed().await.is_ok()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut followers = lock(&self.hub.followers);
        let Some(followed) = followers.by_container.get_mut(&self.id) else {
            return;
        };
        followed.count -= 1;
        if followed.count == 0 {
            let watch = followed.watch;
            followers.by_container.remove(&self.id);
            followers.by_watch.remove(&watch);
            let _ = inotify::remove_watch(&self.hub.inotify, watch);
        }
    }
}

impl Eye {
    fn watch(&mut self) {
        let hub = self.hub.clone();
        let stop = self.stop.clone();
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        loop {
            let mut fds = [
                PollFd::new(&hub.inotify, PollFlags::IN),
                PollFd::new(&*stop, PollFlags::IN),
            ];
            let timeout = self
                .suspects
                .values()
                .map(|suspicion| suspicion.at)
                .min()
                .map(|at| {
                    let left = at.saturating_duration_since(Instant::now());
                    Timespec::try_from(left).unwrap_or_default()
                });
            if poll(&mut fds, timeout.as_ref()).is_ok() && !fds[1].revents().is_empty() {
                return;
            }
            self.look_again();
            let mut events = inotify::Reader::new(&hub.inotify, &mut buffer);
            // The error is that there are no more.
            while let Ok(event) = events.next() {
                let name = event.file_name().and_then(|name| name.to_str().ok());
                let id = name.and_then(ContainerId::parse);
                if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                    self.look_at_everything();
                } else if event.wd() == self.states {
                    if let Some(id) = id {
                        self.look(id);
                    }
                } else if event.wd() == self.alive {
                    if let Some(id) = id {
                        self.suspect(id);
                    }
                } else if event.wd() == self.events {
                    hub.wake_event_readers();
                } else {
                    hub.wake_follower(event.wd(), event.events().contains(ReadFlags::CREATE));
                }
            }
        }
    }

    /// Tells the listeners what is true of one container.
    fn look(&mut self, id: ContainerId) {
        // A life that cannot be read is told by whoever asks for it.
        let observation = match self.site.life(id) {
            Ok(Some(life)) => {
                self.known.insert(id);
                seen(id, &life)
            }
            Ok(None) if self.known.remove(&id) => Observation::Gone { id },
            _ => return,
        };
        self.hub.tell(id, &observation);
    }

    /// A shim's file was closed. The kernel tells that before it releases the lock of the file, so that a shim that
    /// is still there may be gone a moment later. Whoever cares for the container in vain closes it, too, in any process:
    /// that is no reason to care for it sooner than planned.
    fn suspect(&mut self, id: ContainerId) {
        let planned = self.suspects.remove(&id).filter(|planned| planned.care.is_some());
        let suspicion = match (planned, self.site.needs_care(id)) {
            (Some(planned), true) => planned,
            (Some(planned), false) if self.site.has_leftover(id) => planned,
            (None, true) => Suspicion::next(0, self.look_after(id)),
            (_, false) => Suspicion::next(0, None),
        };
        self.suspects.insert(id, suspicion);
    }

    fn look_again(&mut self) {
        let now = Instant::now();
        let due = self.suspects.extract_if(.., |_, suspicion| suspicion.at <= now);
        for (id, Suspicion { looks, care, .. }) in due.collect::<Vec<_>>() {
            let next = if care.as_ref().is_some_and(|care| !care.is_finished()) {
                Suspicion::next(looks, care)
            } else if self.site.needs_care(id) {
                Suspicion::next(looks, self.look_after(id))
            } else if care.is_some() && self.site.has_leftover(id) {
                // Another process is at it.
                Suspicion::next(looks, care)
            } else if looks < LOOKS && self.site.has_shim(id).unwrap_or(false) {
                Suspicion::next(looks, None)
            } else {
                continue;
            };
            self.suspects.insert(id, next);
        }
    }

    /// The kernel dropped events.
    fn look_at_everything(&mut self) {
        let mut ids = self.known.clone();
        ids.extend(self.site.ids().unwrap_or_default());
        for id in ids {
            self.look(id);
            if self.site.needs_care(id) {
                self.suspect(id);
            }
        }
        let watches: Vec<i32> = lock(&self.hub.followers).by_watch.keys().copied().collect();
        for watch in watches {
            self.hub.wake_follower(watch, true);
        }
        self.hub.wake_event_readers();
    }

    /// Takes its time, and a lock, elsewhere.
    fn look_after(&self, id: ContainerId) -> Option<JoinHandle<()>> {
        let site = self.site.clone();
        let work = move || recovery::look_after(&site, id);
        std::thread::Builder::new()
            .name("selur-oci-adopt".into())
            .spawn(work)
            .ok()
    }
}

impl Hub {
    fn tell(&self, id: ContainerId, observation: &Observation) {
        lock(&self.subscribers).retain(|subscriber| {
            // Only this list holds it: its stream was dropped.
            if Arc::strong_count(subscriber) == 1 {
                return false;
            }
            lock(&subscriber.pending)
                .observations
                .insert(id, observation.clone());
            subscriber.news.notify_one();
            true
        });
        if let Some(followed) = lock(&self.followers).by_container.get(&id) {
            followed.lives.send_replace(());
            followed.changes.send_modify(|changes| changes.lives += 1);
        }
    }

    fn wake_event_readers(&self) {
        if let Some(readers) = &*lock(&self.events) {
            readers.send_replace(());
        }
    }

    fn wake_follower(&self, watch: i32, is_new_file: bool) {
        let followers = lock(&self.followers);
        let id = followers.by_watch.get(&watch);
        if let Some(followed) = id.and_then(|id| followers.by_container.get(id)) {
            followed.changes.send_modify(|changes| match is_new_file {
                true => changes.files += 1,
                false => changes.written += 1,
            });
        }
    }
}

/// A panic elsewhere leaves nothing half-changed: every change is one insertion, removal or assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
