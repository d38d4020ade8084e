//! A bridge that is open: selur-core's, who waits for its answers, and on which thread it is used.

use crate::answer::Failure;
use crate::aside::CLOSING;
use crate::delivery::{self, Waiters};
use selur_core::{Bridge, Status};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

type Job = Box<dyn FnOnce() + Send>;

/// A bridge that is open.
pub(crate) struct Live {
    pub(crate) bridge: Bridge,
    waiters: Mutex<Waiters>,
    delivers: AtomicBool,
    /// Held while delivering is begun, and over nothing that waits: schedulers lock it.
    beginning: Mutex<()>,
    /// Where a guest is called that selur did not build: it may use up its budget, which takes a second.
    worker: Option<Sender<Job>>,
}

impl Live {
    /// # Errors
    /// `resource_exhausted`: the system has no thread left, for a guest that needs one.
    pub(crate) fn new(bridge: Bridge) -> Result<Arc<Live>, Failure> {
        let is_ours = bridge.info().guest.sha256 == selur_core::guest_sha256();
        let worker = match is_ours {
            true => None,
            false => Some(worker()?),
        };
        Ok(Arc::new(Live {
            bridge,
            waiters: Mutex::default(),
            delivers: AtomicBool::new(false),
            beginning: Mutex::default(),
            worker,
        }))
    }

    /// Whether the guest may be called on a scheduler: it is the one that selur was built with, each of whose calls takes
    /// microseconds.
    pub(crate) fn is_prompt(&self) -> bool {
        self.worker.is_none()
    }

    /// Does something that calls the guest, here if that is prompt, else on the bridge's own thread, one after another.
    pub(crate) fn run(self: &Arc<Self>, job: impl FnOnce(&Arc<Live>) + Send + 'static) {
        match &self.worker {
            None => job(self),
            Some(worker) => {
                let live = self.clone();
                // It ends with the bridge alone.
                drop(worker.send(Box::new(move || job(&live))));
            }
        }
    }

    /// Who waits for an answer. Locked while a request is begun, so that no answer comes before its waiter. Never on a
    /// scheduler unless the guest is prompt: its lock is waited for meanwhile.
    pub(crate) fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that answers are delivered.
    ///
    /// # Errors
    /// `resource_exhausted`: the system has no thread left.
    pub(crate) fn deliver(self: &Arc<Self>) -> Result<(), Failure> {
        if self.delivers.load(Ordering::Acquire) {
            return Ok(());
        }
        let beginning = self.beginning.lock().unwrap_or_else(PoisonError::into_inner);
        if self.delivers.load(Ordering::Acquire) {
            return Ok(());
        }
        let live = self.clone();
        let thread = Builder::new().name("selur-answers".into());
        thread
            .spawn(move || delivery::deliver(&live))
            .map_err(no_thread)?;
        self.delivers.store(true, Ordering::Release);
        drop(beginning);
        Ok(())
    }

    /// Closes the bridge on a thread that may block, and lets it go; then calls `closed`.
    pub(crate) fn close(self: Arc<Self>, closed: impl FnOnce() + Send + 'static) {
        // Never refused: a thread for it was there before the bridge was.
        let _ = CLOSING.run(move || {
            self.bridge.close();
            drop(self);
            closed();
        });
    }
}

/// A thread that does one job after another, until nobody can give it any.
fn worker() -> Result<Sender<Job>, Failure> {
    let (sender, jobs) = mpsc::channel::<Job>();
    let thread = Builder::new().name("selur-guest".into());
    let work = move || {
        for job in jobs {
            drop(crate::answer::caught(|| {
                job();
                Ok(())
            }));
        }
    };
    thread.spawn(work).map_err(no_thread)?;
    Ok(sender)
}

pub(crate) fn no_thread(error: std::io::Error) -> Failure {
    let message = format!("the system has no thread left for the bridge: {error}");
    Failure::new(Status::ResourceExhausted, message)
}
