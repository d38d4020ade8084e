//! Listens to the daemon's events, and tells what they mean for the containers of ours.
//!
//! An event is taken as a reason to look, never as the truth: it says what was, and the daemon may have left some out.
//! After a connection that broke, everything is looked at anew.

use super::documents::Happened;
use super::failure::DaemonError;
use super::labels;
use super::site::{Site, lock};
use super::transport::{Answer, Call};
use crate::Observation;
use futures_util::stream::{self, BoxStream, StreamExt};
use hyper::Method;
use selur_protocol::ContainerId;
use selur_shim::Moment;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;
use tokio::sync::Notify;

/// How long to wait before the daemon is asked again: first, and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// What happens to a container without changing its life.
const IRRELEVANT: [&str; 9] = [
    "attach",
    "copy",
    "detach",
    "export",
    "health_status",
    "kill",
    "resize",
    "top",
    "update",
];

/// Who is told what happens.
#[derive(Debug, Default)]
pub(super) struct Hub {
    subscribers: Mutex<Vec<Arc<Subscriber>>>,
    is_live: AtomicBool,
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
    is_closed: bool,
}

impl Hub {
    pub(super) fn tell(&self, id: ContainerId, observation: Observation) {
        lock(&self.subscribers).retain(|subscriber| {
            // Only this list holds it: its stream was dropped.
            if Arc::strong_count(subscriber) == 1 {
                return false;
            }
            let mut pending = lock(&subscriber.pending);
            pending.observations.insert(id, observation.clone());
            subscriber.news.notify_one();
            true
        });
    }

    /// Whether the daemon tells of every change.
    pub(super) fn is_live(&self) -> bool {
        self.is_live.load(Ordering::SeqCst)
    }

    pub(super) fn close(&self) {
        for subscriber in lock(&self.subscribers).drain(..) {
            lock(&subscriber.pending).is_closed = true;
            subscriber.news.notify_one();
        }
    }
}

/// What happens from now on. It needs a tokio runtime around it when it is polled.
pub(super) fn observations(site: &Arc<Site>) -> BoxStream<'static, Observation> {
    let subscriber = Arc::new(Subscriber::default());
    lock(&site.hub.subscribers).push(subscriber.clone());
    let state = (subscriber, Arc::downgrade(site));
    let observations = stream::unfold(
        state,
        |(subscriber, site): (Arc<Subscriber>, Weak<Site>)| async move {
            if let Some(site) = site.upgrade() {
                ensure(&site);
            }
            loop {
                let news = subscriber.news.notified();
                {
                    let mut pending = lock(&subscriber.pending);
                    if let Some((_, observation)) = pending.observations.pop_first() {
                        drop(pending);
                        drop(news);
                        return Some((observation, (subscriber, site)));
                    }
                    if pending.is_closed {
                        return None;
                    }
                }
                news.await;
            }
        },
    );
    observations.boxed()
}

/// Has the daemon's events listened to, if there is a tokio runtime to do it on.
pub(super) fn ensure(site: &Arc<Site>) {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return;
    };
    let mut watcher = lock(&site.watcher);
    if watcher.as_ref().is_none_or(|watcher| watcher.is_finished()) {
        *watcher = Some(runtime.spawn(listen(Arc::downgrade(site))));
    }
}

/// Opens a stream of what happens to everything that is of these kinds, from a moment on.
pub(super) async fn subscribe(
    site: &Site,
    kinds: &[&str],
    since_ns: u64,
    until: Option<u64>,
) -> Result<Answer, DaemonError> {
    let filters = serde_json::json!({ "type": kinds }).to_string();
    // Podman reads the moment as a floating number, which is less exact: whoever reads leaves out what is too old.
    let since = seconds(since_ns.saturating_sub(1_000_000));
    let end = until.map(|until| seconds(until.saturating_add(1_000_000)));
    let mut query = vec![("since", since.as_str()), ("filters", filters.as_str())];
    match &end {
        // Podman 4 leaves out events where there is an end, and Docker knows no stream that is none.
        Some(_) if site.daemon.is_podman => query.push(("stream", "false")),
        Some(end) => query.push(("until", end)),
        None => {}
    }
    let call = Call::new(Method::GET, "/events").query(&query);
    site.client.send(call, None).await
}

fn seconds(nanoseconds: u64) -> String {
    format!(
        "{}.{:09}",
        nanoseconds / 1_000_000_000,
        nanoseconds % 1_000_000_000
    )
}

/// Reads the next event; what is none is left out.
pub(super) async fn next(events: &mut Answer) -> Result<Option<Happened>, DaemonError> {
    while let Some(line) = events.line().await? {
        if let Ok(happened) = serde_json::from_slice(&line) {
            return Ok(Some(happened));
        }
    }
    Ok(None)
}

async fn listen(site: Weak<Site>) {
    let mut pause = RETRY.0;
    loop {
        let Some(here) = site.upgrade() else { return };
        let now = Moment::now().as_nanoseconds();
        if let Ok(mut events) = subscribe(&here, &["container"], now, None).await
            && here.list().await.is_ok()
        {
            here.hub.is_live.store(true, Ordering::SeqCst);
            drop(here);
            pause = RETRY.0;
            while let Ok(Some(happened)) = next(&mut events).await {
                let Some(site) = site.upgrade() else { return };
                take(&site, &happened);
            }
            let Some(here) = site.upgrade() else { return };
            here.hub.is_live.store(false, Ordering::SeqCst);
        } else {
            drop(here);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY.1);
    }
}

fn take(site: &Arc<Site>, happened: &Happened) {
    let action = happened.action.split(':').next().unwrap_or_default();
    let is_relevant = !IRRELEVANT.contains(&action) && !action.starts_with("exec");
    if is_relevant && let Some(id) = labels::id(&happened.actor.attributes) {
        site.look_soon(id);
    }
}
