//! What does not pass through the kernel: images and logs. Which container is meant, the kernel says.

use crate::ticket::Cell;
use crate::{Bridge, Error, Response, Status, effect};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use selur_protocol::{Command, ContainerId, Reason};
use selur_runtime::{Image, Images, LogEntry, LogOptions, LogStream, PullProgress, Runtime};
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Images. Each method blocks until its answer is there, at most until the bridge's deadline, and gives `unsupported`
/// where the backend has no image store of its own.
impl Bridge {
    /// Fetches an image from its registry, whether the store has it or not. `progress` is called on one of the bridge's
    /// threads, and must return at once.
    ///
    /// # Errors
    /// - `invalid_request`: no image reference.
    /// - `image_not_found`: no such image, or none for this platform.
    /// - `permission_denied`, `network_error`: from the registry.
    /// - `resource_exhausted`: the disk is full, or the image over the size cap.
    pub fn pull_image(
        &self,
        reference: &str,
        progress: impl Fn(PullProgress) + Send + Sync + 'static,
    ) -> Result<Image, Error> {
        let reference = reference.to_owned();
        self.direct(move |runtime, abort| {
            Box::pin(async move {
                let images = store(runtime.as_ref())?;
                Ok(images.pull(&reference, &progress, abort).await?)
            })
        })
    }

    /// Takes an image from an OCI image layout directory into the store, under this reference.
    ///
    /// # Errors
    /// As [`Bridge::pull_image`], without the network.
    pub fn load_image(&self, layout: &Path, reference: Option<&str>) -> Result<Vec<Image>, Error> {
        let (layout, reference) = (layout.to_owned(), reference.map(str::to_owned));
        self.direct(move |runtime, _| {
            Box::pin(async move {
                Ok(store(runtime.as_ref())?
                    .load(&layout, reference.as_deref())
                    .await?)
            })
        })
    }

    /// Every image of the store, ordered by reference.
    ///
    /// # Errors
    /// `internal_error`: the store cannot be read.
    pub fn list_images(&self) -> Result<Vec<Image>, Error> {
        self.direct(|runtime, _| Box::pin(async move { Ok(store(runtime.as_ref())?.list().await?) }))
    }

    /// Removes an image from the store.
    ///
    /// # Errors
    /// - `image_not_found`: the store lacks it.
    /// - `invalid_state`: a container is made from it.
    pub fn delete_image(&self, reference: &str) -> Result<(), Error> {
        let reference = reference.to_owned();
        self.direct(move |runtime, _| {
            Box::pin(async move { Ok(store(runtime.as_ref())?.delete(&reference).await?) })
        })
    }

    /// What a container wrote.
    ///
    /// # Errors
    /// - `container_not_found`: there is none, or the prefix is not unique.
    /// - `unsupported`: the backend keeps no logs.
    pub fn logs(&self, container: &str, options: LogOptions) -> Result<LogReader, Error> {
        let id = self.resolve(container)?;
        let stream =
            self.direct(move |runtime, _| Box::pin(async move { Ok(runtime.logs(id, options).await?) }))?;
        Ok(LogReader {
            stream,
            threads: self.shared().threads.handle()?,
            closing: self.shared().closing.clone(),
        })
    }

    /// The id that a container argument means.
    ///
    /// # Errors
    /// `container_not_found`: there is none, or the prefix is not unique.
    pub fn resolve(&self, container: &str) -> Result<ContainerId, Error> {
        let document = self.request(Command::InspectContainer, &[container])?;
        let id = serde_json::from_slice::<serde_json::Value>(&document)
            .ok()
            .and_then(|document| document.get("id")?.as_str().and_then(ContainerId::parse));
        id.ok_or_else(|| Error::new(Status::InternalError, "inspect_container was answered with no id"))
    }

    /// Runs something of the runtime on the bridge's threads, and waits for it.
    fn direct<T: Send + 'static>(
        &self,
        begin: impl FnOnce(Arc<dyn Runtime>, CancellationToken) -> BoxFuture<'static, Result<T, Error>>,
    ) -> Result<T, Error> {
        let shared = self.shared();
        if shared.closing.is_cancelled() {
            return Err(Error::closed());
        }
        let abort = shared.closing.child_token();
        let runtime = shared.runtime.clone();
        let backend = runtime.name();
        let future = begin(runtime, abort.clone());
        let result = Arc::new(Mutex::new(None));
        let done = Cell::new();
        let fills = FillsWhenDropped(done.clone());
        let ends = result.clone();
        shared.threads.handle()?.spawn(async move {
            // Also when the threads end before the future does.
            let _fills = fills;
            let ended = effect::guarded(backend, future).await;
            *ends.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
        });
        let until = self.deadline().and_then(|most| Instant::now().checked_add(most));
        if done.wait_until(until).is_none() {
            abort.cancel();
            return Err(match crate::threads::is_own() {
                true => Error::own_thread(),
                false => Error::new(Status::Timeout, Reason::DeadlinePassed.message()),
            });
        }
        let ended = result.lock().unwrap_or_else(PoisonError::into_inner).take();
        ended.unwrap_or_else(|| Err(Error::new(Status::Cancelled, "the bridge was closed meanwhile")))
    }
}

/// A container's output: an iterator that blocks until there is more, or a stream.
///
/// ```
/// use selur_core::{Backend, Bridge, LogOptions};
///
/// let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
/// let id = bridge.create_container("nginx")?.to_string();
/// bridge.start_container(&id)?;
/// for entry in bridge.logs(&id, LogOptions::default())? {
///     print!("{}", String::from_utf8_lossy(&entry?.bytes));
/// }
/// # Ok::<(), selur_core::Error>(())
/// ```
pub struct LogReader {
    stream: LogStream,
    threads: Handle,
    closing: CancellationToken,
}

impl LogReader {
    /// The same as a stream, for asynchronous callers. It must be polled within a tokio runtime.
    pub fn into_stream(self) -> LogStream {
        self.stream
    }
}

impl Iterator for LogReader {
    type Item = Result<LogEntry, Error>;

    /// Blocks until there is more. Ends where the log does, and when the bridge is closed.
    fn next(&mut self) -> Option<Result<LogEntry, Error>> {
        let _within = self.threads.enter();
        let (stream, closing) = (&mut self.stream, &self.closing);
        let next = std::pin::pin!(async {
            tokio::select! {
                // First: a stream must not be polled when the threads that drive it have ended.
                biased;
                () = closing.cancelled() => None,
                entry = stream.next() => entry,
            }
        });
        block_on(next).map(|entry| entry.map_err(Error::from))
    }
}

impl fmt::Debug for LogReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogReader").finish_non_exhaustive()
    }
}

struct FillsWhenDropped(Arc<Cell>);

impl Drop for FillsWhenDropped {
    fn drop(&mut self) {
        self.0.fill(Response::success(Vec::new()));
    }
}

fn store(runtime: &dyn Runtime) -> Result<&dyn Images, Error> {
    runtime.images().ok_or_else(|| {
        let message = format!("the {} backend has no image store of its own", runtime.name());
        Error::new(Status::Unsupported, message)
    })
}

/// Polls a future on this thread until it is ready. Unlike tokio's own it may be used within another runtime.
fn block_on<F: Future>(mut future: std::pin::Pin<&mut F>) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
