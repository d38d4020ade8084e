//! The daemon and what this process knows of its containers.

use super::documents::{Inspected, InspectedImage, Listed};
use super::failure::{self, About, DaemonError};
use super::labels;
use super::lives::{Facts, Track};
use super::socket::Daemon;
use super::transport::Client;
use super::watch::Hub;
use crate::{Observation, RuntimeError};
use futures_util::stream::{self, StreamExt};
use selur_protocol::abi::Report;
use selur_protocol::{ContainerId, Status};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// So many containers are looked at at once.
const LOOKS_AT_ONCE: usize = 8;
/// After how long a look that the daemon fails at is taken again: podman fails at a container whose process ends just then ("read
/// /proc/PID/cgroup: no such process"), until it has noticed.
const LOOK_AGAIN_MS: [u64; 5] = [20, 40, 80, 160, 320];

/// All that an effect needs.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) client: Client,
    pub(super) daemon: Daemon,
    /// Where docker's `config.json` is.
    pub(super) credentials: Option<PathBuf>,
    pub(super) hub: Hub,
    /// The task that listens to the daemon's events, once there is one.
    pub(super) watcher: Mutex<Option<JoinHandle<()>>>,
    /// How many processes are being ended that nobody wants any more.
    pub(super) endings: watch::Sender<usize>,
    entries: Mutex<HashMap<ContainerId, Arc<Entry>>>,
}

/// What is kept of a container while it exists.
#[derive(Debug, Default)]
pub(super) struct Entry {
    /// Held while it is changed, so that changes by this process come one after another.
    pub(super) acting: tokio::sync::Mutex<()>,
    /// Held while it is looked at, so that looks come one after another.
    seen: tokio::sync::Mutex<Option<Seen>>,
    /// Whether a look is due already.
    is_due: AtomicBool,
    changes: watch::Sender<()>,
}

#[derive(Debug)]
struct Seen {
    daemon_id: String,
    track: Track,
}

/// What a look found, and what it is told as.
#[derive(Clone, Debug)]
pub(super) struct Look {
    pub(super) facts: Facts,
    pub(super) report: Report,
}

impl Site {
    pub(super) fn new(client: Client, daemon: Daemon, credentials: Option<PathBuf>) -> Site {
        Site {
            client,
            daemon,
            credentials,
            hub: Hub::default(),
            watcher: Mutex::default(),
            endings: watch::Sender::default(),
            entries: Mutex::default(),
        }
    }

    pub(super) fn entry(&self, id: ContainerId) -> Arc<Entry> {
        lock(&self.entries).entry(id).or_default().clone()
    }

    /// Tells that a container was looked at, as long as it is kept.
    pub(super) fn changes(&self, id: ContainerId) -> watch::Receiver<()> {
        self.entry(id).changes.subscribe()
    }

    /// Looks at a container; there is none of this id, or it is another's, if there is nothing.
    ///
    /// It is done in a task of its own. Looks come one after another, and whoever reads a stream may stop polling it in the
    /// middle of one: that must not keep the others waiting.
    pub(super) async fn look(self: &Arc<Self>, id: ContainerId) -> Result<Option<Look>, RuntimeError> {
        let site = self.clone();
        let mut looking = Looking(tokio::spawn(async move { site.look_in_turn(id).await }));
        (&mut looking.0).await.unwrap_or_else(|error| {
            let message = "the look at the container ended unexpectedly";
            Err(RuntimeError::with_source(Status::InternalError, message, error))
        })
    }

    async fn look_in_turn(&self, id: ContainerId) -> Result<Option<Look>, RuntimeError> {
        let entry = self.entry(id);
        let look = self.look_at(id, &entry).await;
        // Nothing is kept of what does not exist; ids are not used again.
        let mut entries = lock(&self.entries);
        if matches!(look, Ok(None)) && Arc::strong_count(&entry) == 2 {
            entries.remove(&id);
        }
        look
    }

    async fn look_at(&self, id: ContainerId, entry: &Entry) -> Result<Option<Look>, RuntimeError> {
        let mut seen = entry.seen.lock().await;
        entry.is_due.store(false, Ordering::SeqCst);
        let daemon_id = seen.as_ref().map(|seen| seen.daemon_id.clone());
        let found = self.fetch(id, daemon_id).await;
        let found =
            found.map_err(|error| error.into_runtime(About::Daemon, "cannot look at the container"))?;
        let Some(facts) = found else {
            if seen.take().is_some() {
                self.hub.tell(id, Observation::Gone { id });
                entry.changes.send_replace(());
            }
            return Ok(None);
        };
        let (track, is_news) = Track::after(seen.as_ref().map(|seen| &seen.track), &facts);
        let (facts, report) = (facts.completed(&track), track.report);
        if is_news {
            let name = track.name.clone();
            self.hub.tell(id, Observation::Seen { id, name, report });
        }
        *seen = Some(Seen {
            daemon_id: facts.daemon_id.clone(),
            track,
        });
        // A look that finds what is known wakes nobody: two who wait would keep each other looking.
        if is_news {
            entry.changes.send_replace(());
        }
        Ok(Some(Look { facts, report }))
    }

    /// The same of a container that must be there.
    pub(super) async fn expect(self: &Arc<Self>, id: ContainerId) -> Result<Look, RuntimeError> {
        self.look(id).await?.ok_or_else(|| failure::not_found(id))
    }

    async fn fetch(&self, id: ContainerId, daemon_id: Option<String>) -> Result<Option<Facts>, DaemonError> {
        let daemon_id = match daemon_id {
            Some(known) => known,
            None => match self.find(id).await? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        let path = format!("/containers/{daemon_id}/json");
        let mut delays = LOOK_AGAIN_MS.into_iter().map(Duration::from_millis);
        loop {
            let error = match self.client.get::<Inspected>(&path, &[]).await {
                Ok(found) => return Ok(Facts::read(id, found)),
                Err(error) => error,
            };
            if error.is_missing() {
                return Ok(None);
            }
            match delays.next().filter(|_| error.is_failure_of_its_own()) {
                Some(delay) => tokio::time::sleep(delay).await,
                None => return Err(error),
            }
        }
    }

    /// The daemon's id of a container of ours. Where several say they are it, the first that was made counts.
    pub(super) async fn find(&self, id: ContainerId) -> Result<Option<String>, DaemonError> {
        let filter = format!(r#"{{"label":["{}={id}"]}}"#, labels::ID);
        let mut found = self.containers(&filter).await?;
        found.retain(|found| labels::id(&found.labels) == Some(id));
        found.sort_by_key(|found| found.created);
        for found in found {
            if !self.is_heir(id, &found).await? {
                return Ok(Some(found.id));
            }
        }
        Ok(None)
    }

    /// Whether a container has the label from its image, which was made of one of ours, and not from us.
    async fn is_heir(&self, id: ContainerId, found: &Listed) -> Result<bool, DaemonError> {
        if found.image_id.is_empty() {
            return Ok(false);
        }
        let path = format!("/images/{}/json", found.image_id);
        match self.client.get::<InspectedImage>(&path, &[]).await {
            Ok(image) => Ok(labels::id(&image.config.labels) == Some(id)),
            // Somebody has forced the image away.
            Err(error) if error.is_missing() => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The containers of ours, running or not.
    pub(super) async fn ours(&self) -> Result<Vec<(ContainerId, Listed)>, DaemonError> {
        let mut found = self
            .containers(&format!(r#"{{"label":["{}"]}}"#, labels::ID))
            .await?;
        found.sort_by_key(|found| found.created);
        let mut known = HashSet::new();
        let ours = found
            .into_iter()
            .filter_map(|found| Some((labels::id(&found.labels)?, found)));
        Ok(ours.filter(|(id, _)| known.insert(*id)).collect())
    }

    /// Containers, running or not, of anybody.
    pub(super) async fn containers(&self, filters: &str) -> Result<Vec<Listed>, DaemonError> {
        let query = [("all", "1"), ("filters", filters)];
        self.client.get("/containers/json", &query).await
    }

    /// Everything of ours that exists.
    ///
    /// The list says less than a look. One is spared for what is as it was when it was last looked at, as long as the
    /// daemon tells of every change.
    pub(super) async fn list(self: &Arc<Self>) -> Result<Vec<Observation>, RuntimeError> {
        let is_told = self.hub.is_live();
        let listed = self.ours().await;
        let listed =
            listed.map_err(|error| error.into_runtime(About::Daemon, "cannot list the containers"))?;
        let there: HashSet<ContainerId> = listed.iter().map(|(id, _)| *id).collect();
        let looks = stream::iter(listed).map(|(id, listed)| async move {
            if is_told && let Some(report) = self.unchanged(id, &listed) {
                let name = super::lives::name(id, listed.names.first().map_or("", String::as_str));
                return Ok(Some(Observation::Seen { id, name, report }));
            }
            let look = match self.look(id).await {
                Ok(look) => look,
                // One that cannot be looked at is as it was.
                Err(error) => return self.last_seen(id).map(Some).ok_or(error),
            };
            let seen = |look: Look| Observation::Seen {
                id,
                name: look.facts.name,
                report: look.report,
            };
            Ok::<_, RuntimeError>(look.map(seen))
        });
        let mut looks: Vec<_> = looks.buffered(LOOKS_AT_ONCE).collect().await;
        self.forget_all_but(&there).await;
        // One that nobody has seen yet does not hide the others.
        if looks.iter().any(Result::is_ok) {
            looks.retain(Result::is_ok);
        }
        looks.into_iter().filter_map(Result::transpose).collect()
    }

    fn last_seen(&self, id: ContainerId) -> Option<Observation> {
        let entry = lock(&self.entries).get(&id).cloned()?;
        let seen = entry.seen.try_lock().ok()?;
        let Track { report, name, .. } = &seen.as_ref()?.track;
        let (name, report) = (name.clone(), *report);
        Some(Observation::Seen { id, name, report })
    }

    fn unchanged(&self, id: ContainerId, listed: &Listed) -> Option<Report> {
        let entry = lock(&self.entries).get(&id).cloned()?;
        if entry.is_due.load(Ordering::SeqCst) {
            return None;
        }
        let seen = entry.seen.try_lock().ok()?;
        let seen = seen.as_ref()?;
        let is_it = seen.daemon_id == listed.id;
        let report = seen.track.report;
        (is_it && report.state == super::documents::state(&listed.state)).then_some(report)
    }

    /// The generation that was last told of a container, if it is kept and nobody looks at it just now.
    pub(super) fn known_generation(&self, id: ContainerId) -> Option<u32> {
        let entry = lock(&self.entries).get(&id).cloned()?;
        let seen = entry.seen.try_lock().ok()?;
        seen.as_ref().map(|seen| seen.track.report.generation)
    }

    /// Looks again at what a list does not show any more.
    async fn forget_all_but(self: &Arc<Self>, there: &HashSet<ContainerId>) {
        let known: Vec<ContainerId> = lock(&self.entries).keys().copied().collect();
        for id in known.into_iter().filter(|id| !there.contains(id)) {
            let _ = self.look(id).await;
        }
    }

    /// Has a container looked at, once, however often this is said meanwhile.
    pub(super) fn look_soon(self: &Arc<Self>, id: ContainerId) {
        if self.entry(id).is_due.swap(true, Ordering::SeqCst) {
            return;
        }
        let site = self.clone();
        tokio::spawn(async move {
            // Whoever needs it looks for himself, and hears why it cannot be.
            if site.look(id).await.is_err() {
                site.entry(id).is_due.store(false, Ordering::SeqCst);
            }
        });
    }
}

/// A look that ends when nobody waits for it any more.
struct Looking(JoinHandle<Result<Option<Look>, RuntimeError>>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(watcher) = lock(&self.watcher).take() {
            watcher.abort();
        }
        self.hub.close();
    }
}

/// A panic elsewhere leaves nothing half-changed: every change is one insertion, removal or assignment.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
