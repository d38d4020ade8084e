//! The bridge itself: the three ways in. Typed and blocking, by frames, and asynchronous.

use crate::deadline;
use crate::driver::{self, Admitted};
use crate::guest::{Broken, COPY_PIECE_BYTES, GuestFacts};
use crate::options::{Backend, BridgeBuilder, CreateOptions, Deletion};
use crate::shared::{Access, Shared, settled, sparing};
use crate::slot::Slot;
use crate::state::{Sink, State};
use crate::ticket::{self, Cell, Ticket};
use crate::{CompletionQueue, Error, Response, Status};
use selur_protocol::{Command, ContainerId, Frame, HEADER_BYTES, Reason, Signal};
use selur_runtime::{Docker, DockerOptions, Inspection, Oci, OciOptions, Runtime, Simulated};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A guest, and the runtime that performs what it decides.
///
/// Cheap to clone: every clone is the same bridge. When the last one is dropped the bridge closes itself. All methods may
/// be called from any thread; those that block must not be called where blocking is not allowed, such as on an async
/// executor's thread: [`Bridge::submit`] is for these.
///
/// ```
/// use selur_core::{Backend, Bridge, Deletion};
///
/// let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
/// let id = bridge.create_container("nginx")?;
/// let container = id.to_string();
/// bridge.start_container(&container)?;
/// assert_eq!(bridge.inspect_container(&container)?.state, "running");
/// bridge.delete_container(&container, Deletion::Force)?;
/// assert!(bridge.list_containers()?.is_empty());
/// # Ok::<(), selur_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Bridge {
    handle: Arc<Handle>,
    deadline: Option<Duration>,
}

/// Closes the bridge when the last clone is dropped. Tickets, slots and tasks hold [`Shared`] alone.
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// What a bridge is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The version of this library.
    pub version: &'static str,
    /// The backend's name: `simulated`, `oci`, `docker`.
    pub backend: &'static str,
    /// What stands behind it, for people: the name and the version of a daemon, if there is one.
    pub engine: Option<String>,
    /// Whether other processes may change what this bridge shows.
    pub is_shared: bool,
    /// How many ids containers have, where they run without root in a user namespace.
    pub rootless_ids: Option<u64>,
    /// The guest, as it was checked when it was loaded.
    pub guest: GuestFacts,
}

/// What became of a request that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun<T = Response> {
    /// The answer was there at once.
    Answered(T),
    /// The answer comes to [`Bridge::completions`] under this number.
    Pending(u64),
}

impl Bridge {
    /// Begins a bridge with the embedded guest and real containers.
    pub fn builder() -> BridgeBuilder {
        BridgeBuilder::default()
    }

    pub(crate) fn open(builder: BridgeBuilder) -> Result<Bridge, Error> {
        let runtime: Arc<dyn Runtime> = match &builder.backend {
            Backend::Simulated => Arc::new(Simulated::new()),
            Backend::Custom(runtime) => runtime.clone(),
            Backend::Auto | Backend::Oci => open_oci(&builder)?,
            Backend::Docker => Arc::new(Docker::open(DockerOptions {
                socket: builder.socket.clone(),
            })?),
        };
        let (guest, facts) = builder.guest.load()?;
        let broken = |broken: Broken| Error::new(Status::InternalError, broken.0);
        let id = driver::random_id().map_err(broken)?;
        let mut state = State::new(guest, id);
        // Now, so that slots of callers never leave requests by copy without one.
        state.slots.resident(&mut state.guest).map_err(broken)?;
        let shared = Shared::new(state, runtime, facts);
        Ok(Bridge {
            handle: Arc::new(Handle { shared }),
            deadline: builder.default_deadline,
        })
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    /// The same bridge with another deadline for the requests made through this value; none is without end.
    ///
    /// ```
    /// use selur_core::{Backend, Bridge, Status};
    /// use std::time::Duration;
    ///
    /// let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
    /// let id = bridge.create_container("nginx")?;
    /// bridge.start_container(&id.to_string())?;
    /// let hasty = bridge.with_deadline(Some(Duration::from_millis(1)));
    /// let error = hasty.wait_container(&id.to_string()).unwrap_err();
    /// assert_eq!(error.status(), Status::Timeout);
    /// # Ok::<(), selur_core::Error>(())
    /// ```
    #[must_use = "the bridge itself keeps its deadline"]
    pub fn with_deadline(&self, deadline: Option<Duration>) -> Bridge {
        Bridge {
            handle: self.handle.clone(),
            deadline,
        }
    }

    /// What this bridge is made of.
    pub fn info(&self) -> Info {
        let shared = self.shared();
        Info {
            version: env!("CARGO_PKG_VERSION"),
            backend: shared.runtime.name(),
            engine: shared.runtime.engine(),
            is_shared: shared.runtime.is_shared(),
            rootless_ids: shared.runtime.rootless_ids(),
            guest: shared.facts.clone(),
        }
    }

    /// Closes the bridge: takes no more requests, answers every open one `cancelled`, tells effects in flight to end early
    /// and waits for them up to 5 s. Containers go on. Closing again does nothing.
    ///
    /// Every later call gives `invalid_request`.
    pub fn close(&self) {
        self.shared().close();
    }

    /// Follows nothing that happens any more, for a program whose end is near. To let go of what tells of containers takes
    /// a kernel about 8 ms; it passes while the last requests are answered, and not in the program's end.
    ///
    /// From then on containers are changed and read as before, and nothing that waits for them or follows them is to be
    /// asked: it may not be answered.
    pub fn rest(&self) {
        self.shared().runtime.rest();
    }

    /// The kernel's digest of its logical state: equal inputs give equal digests.
    ///
    /// # Errors
    /// As [`Bridge::call`].
    pub fn state_digest(&self) -> Result<u64, Error> {
        self.shared().ask(Access::Caller, |state| state.guest.digest())
    }
}

/// Typed requests. Each blocks until its answer is there, at most until the bridge's deadline.
///
/// A `container` is an id, a name, or a unique prefix of an id of at least 4 digits. Besides what is named at a method,
/// each gives `timeout` when its deadline passes, `cancelled` when the bridge is closed meanwhile, `internal_error` when
/// the runtime failed or the guest is broken, `resource_exhausted` when too much is in flight, and `invalid_request` for
/// arguments that are not of their grammar and for a bridge that is closed.
impl Bridge {
    /// Answers the same text: a round trip through the guest.
    ///
    /// # Errors
    /// `invalid_request`: over 262,144 bytes.
    pub fn ping(&self, text: &str) -> Result<String, Error> {
        let data = self.ping_with(text.as_bytes(), |data| data.to_vec())?;
        String::from_utf8(data).map_err(|_| surprising("ping", "bytes that are not UTF-8"))
    }

    /// Answers the same bytes, which must be UTF-8, and shows them where the guest left them: they are copied once, in. It
    /// waits for nothing.
    ///
    /// `read` is called with the bridge locked: it must not use the bridge, nor anything of it.
    ///
    /// ```
    /// use selur_core::{Backend, Bridge};
    ///
    /// let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
    /// assert_eq!(bridge.ping_with(b"hi", |data| data.len())?, 2);
    /// # Ok::<(), selur_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// `invalid_request`: over 262,144 bytes, or bytes that are not UTF-8.
    pub fn ping_with<R>(&self, payload: &[u8], read: impl FnOnce(&[u8]) -> R) -> Result<R, Error> {
        let Some(head) = Frame::head(Command::Ping, payload.len()) else {
            return Err(Error::new(
                Status::InvalidRequest,
                Reason::PayloadTooLong.message(),
            ));
        };
        let read = sparing(read);
        let shown = self
            .shared()
            .ask(Access::Caller, |state| state.ping(&head, payload, read))?;
        match shown {
            Ok(shown) => Ok(settled(shown)),
            // This says why it was refused.
            Err(read) => {
                let data = self.call(&[&head, payload].concat())?.into_result()?;
                Ok(settled(read(&data)))
            }
        }
    }

    /// Makes a container, pulling its image if need be.
    ///
    /// # Errors
    /// - `container_already_exists`: the name is taken.
    /// - `image_not_found`, `network_error`, `permission_denied`: from the registry.
    /// - `resource_exhausted`: 1,024 containers exist, or the disk is full.
    pub fn create_container(&self, options: impl Into<CreateOptions>) -> Result<ContainerId, Error> {
        let options = options.into();
        let spec = match &options.spec {
            None => None,
            Some(spec) => Some(serde_json::to_string(spec).map_err(|error| {
                let message = format!("the specification cannot be written as JSON: {error}");
                Error::new(Status::InvalidRequest, message)
            })?),
        };
        let name = options.name.as_deref().unwrap_or("");
        let data = match (&spec, name) {
            (Some(spec), _) => self.request(Command::CreateContainer, &[&options.image, name, spec]),
            (None, "") => self.request(Command::CreateContainer, &[&options.image]),
            (None, _) => self.request(Command::CreateContainer, &[&options.image, name]),
        }?;
        let id = std::str::from_utf8(&data).ok().and_then(ContainerId::parse);
        id.ok_or_else(|| surprising("create_container", "no container id"))
    }

    /// Starts the container's process. One that runs is left alone.
    ///
    /// # Errors
    /// - `container_not_found`: there is none, or the prefix is not unique.
    /// - `invalid_state`: it is paused.
    pub fn start_container(&self, container: &str) -> Result<(), Error> {
        self.request(Command::StartContainer, &[container]).map(drop)
    }

    /// Ends the container's process: the stop signal, then SIGKILL after `timeout`, rounded to milliseconds; none is the
    /// container's own, else 10 s.
    ///
    /// # Errors
    /// `container_not_found`: there is none, or the prefix is not unique.
    pub fn stop_container(&self, container: &str, timeout: Option<Duration>) -> Result<(), Error> {
        let Some(timeout) = timeout else {
            return self.request(Command::StopContainer, &[container]).map(drop);
        };
        let milliseconds = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX).to_string();
        self.request(Command::StopContainer, &[container, &milliseconds])
            .map(drop)
    }

    /// What is known of a container.
    ///
    /// # Errors
    /// `container_not_found`: there is none, or the prefix is not unique.
    pub fn inspect_container(&self, container: &str) -> Result<Inspection, Error> {
        let data = self.request(Command::InspectContainer, &[container])?;
        serde_json::from_slice(&data).map_err(|error| surprising("inspect_container", &error.to_string()))
    }

    /// What is known of a container, as JSON.
    ///
    /// # Errors
    /// `container_not_found`: there is none, or the prefix is not unique.
    pub fn inspect_json(&self, container: &str) -> Result<String, Error> {
        let data = self.request(Command::InspectContainer, &[container])?;
        String::from_utf8(data).map_err(|_| surprising("inspect_container", "bytes that are not UTF-8"))
    }

    /// Removes a container and everything of it.
    ///
    /// # Errors
    /// - `container_not_found`: there is none, or the prefix is not unique.
    /// - `invalid_state`: a process of it runs, and the deletion is plain.
    pub fn delete_container(&self, container: &str, deletion: Deletion) -> Result<(), Error> {
        match deletion {
            Deletion::Plain => self.request(Command::DeleteContainer, &[container]),
            Deletion::Force => self.request(Command::DeleteContainer, &[container, "force"]),
        }
        .map(drop)
    }

    /// The ids of all containers, oldest first.
    ///
    /// # Errors
    /// See above.
    pub fn list_containers(&self) -> Result<Vec<ContainerId>, Error> {
        let data = self.request(Command::ListContainers, &[])?;
        let ids = std::str::from_utf8(&data)
            .ok()
            .and_then(|text| text.lines().map(ContainerId::parse).collect());
        ids.ok_or_else(|| surprising("list_containers", "something that is no list of ids"))
    }

    /// Sends a signal to the container's process.
    ///
    /// # Errors
    /// - `container_not_found`: there is none, or the prefix is not unique.
    /// - `invalid_state`: no process of it runs.
    pub fn kill_container(&self, container: &str, signal: Signal) -> Result<(), Error> {
        let signal = signal.number().to_string();
        self.request(Command::KillContainer, &[container, &signal])
            .map(drop)
    }

    /// Freezes every process of a container.
    ///
    /// # Errors
    /// - `container_not_found`: there is none, or the prefix is not unique.
    /// - `invalid_state`: no process of it runs.
    pub fn pause_container(&self, container: &str) -> Result<(), Error> {
        self.request(Command::PauseContainer, &[container]).map(drop)
    }

    /// Thaws a paused container.
    ///
    /// # Errors
    /// - `container_not_found`: there is none, or the prefix is not unique.
    /// - `invalid_state`: no process of it runs.
    pub fn resume_container(&self, container: &str) -> Result<(), Error> {
        self.request(Command::ResumeContainer, &[container]).map(drop)
    }

    /// Waits until the container has ended for good. Gives its exit code, none if nobody knows it.
    ///
    /// # Errors
    /// `container_not_found`: there is none, the prefix is not unique, or it was deleted meanwhile.
    pub fn wait_container(&self, container: &str) -> Result<Option<i32>, Error> {
        let data = self.request(Command::WaitContainer, &[container])?;
        if data.is_empty() {
            return Ok(None);
        }
        let code = std::str::from_utf8(&data).ok().and_then(|text| text.parse().ok());
        code.map(Some)
            .ok_or_else(|| surprising("wait_container", "no exit code"))
    }

    /// One request by its command, blocking: what every typed method is made of, for bindings to other languages.
    ///
    /// ```
    /// use selur_core::{Backend, Bridge, Command};
    ///
    /// let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
    /// let id = bridge.request(Command::CreateContainer, &["nginx", "web"])?;
    /// assert_eq!(id.len(), 32);
    /// # Ok::<(), selur_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As the method of the command; `invalid_request` for a field that contains NUL, which separates fields.
    pub fn request(&self, command: Command, fields: &[&str]) -> Result<Vec<u8>, Error> {
        self.call(&Bridge::frame(command, fields)?)?.into_result()
    }

    /// The frame of a request.
    ///
    /// # Errors
    /// `invalid_request`: a field contains NUL, which separates fields, or they are over 262,144 bytes together.
    pub fn frame(command: Command, fields: &[&str]) -> Result<Vec<u8>, Error> {
        if let Some(field) = fields.iter().find(|field| field.contains('\0')) {
            let message = format!("{field:?} contains a NUL character, which separates fields: leave it out");
            return Err(Error::new(Status::InvalidRequest, message));
        }
        let fields: Vec<&[u8]> = fields.iter().map(|field| field.as_bytes()).collect();
        let bytes: usize = fields.iter().map(|field| field.len() + 1).sum();
        let mut frame = vec![0; HEADER_BYTES + bytes];
        let count = Frame::encode(command, &fields, &mut frame)
            .ok_or_else(|| Error::new(Status::InvalidRequest, Reason::PayloadTooLong.message()))?;
        frame.truncate(count);
        Ok(frame)
    }
}

/// Requests as frames.
impl Bridge {
    /// Carries out a request frame; blocks until its answer is there.
    ///
    /// Every request that reached the bridge has a response, failures included.
    ///
    /// # Errors
    /// - `invalid_request`: the bridge is closed, or this is one of its own threads.
    /// - `internal_error`: the guest is broken.
    pub fn call(&self, frame: &[u8]) -> Result<Response, Error> {
        let mut cell = None;
        let admitted = self.admit(frame, &mut || Sink::Cell(cell.insert(Cell::new()).clone()))?;
        match (admitted, cell) {
            ((_, Admitted::Ready(response)), _) => Ok(response),
            ((number, Admitted::Open), Some(cell)) => {
                Ok(Ticket::coming(number, self.shared().clone(), cell).wait())
            }
            ((_, Admitted::Open), None) => Ok(ticket::own_thread()),
        }
    }

    /// Begins a request; its answer is awaited by the ticket. No thread is held.
    ///
    /// # Errors
    /// - `invalid_request`: the bridge is closed.
    /// - `internal_error`: the guest is broken.
    pub fn submit(&self, frame: &[u8]) -> Result<Ticket, Error> {
        let mut cell = None;
        let admitted = self.admit(frame, &mut || Sink::Cell(cell.insert(Cell::new()).clone()))?;
        Ok(match (admitted, cell) {
            ((number, Admitted::Ready(response)), _) => Ticket::answered(number, response),
            ((number, Admitted::Open), Some(cell)) => Ticket::coming(number, self.shared().clone(), cell),
            ((number, Admitted::Open), None) => Ticket::answered(number, ticket::own_thread()),
        })
    }

    /// Begins a request whose answer comes to [`Bridge::completions`] under the number given here.
    ///
    /// # Errors
    /// - `invalid_request`: the bridge is closed.
    /// - `internal_error`: the guest is broken.
    /// - `resource_exhausted`: 32,768 answers are on their way or undrained.
    pub fn submit_to_queue(&self, frame: &[u8]) -> Result<u64, Error> {
        self.expect_answer(frame, |number, response| {
            self.completions().push(number, response);
            number
        })
        .map(|begun| begun.unwrap_or_else(|number| number))
    }

    /// Begins a request as [`Bridge::submit_to_queue`] does, but for an answer that is there at once: that is given here
    /// and does not go through the queue, so that nobody has to wake up for it.
    ///
    /// ```
    /// use selur_core::{Backend, Begun, Bridge};
    ///
    /// let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
    /// let Begun::Answered(pong) = bridge.begin(&[0x00, 2, 0, 0, 0, b'h', b'i'])? else { unreachable!() };
    /// assert_eq!(pong.data(), b"hi");
    /// let Begun::Pending(number) = bridge.begin(&[0x06, 0, 0, 0, 0])? else { unreachable!() };
    /// assert!(bridge.completions().wait(None));
    /// assert_eq!(bridge.completions().drain(64)[0].ticket, number);
    /// # Ok::<(), selur_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Bridge::submit_to_queue`].
    pub fn begin(&self, frame: &[u8]) -> Result<Begun, Error> {
        if let Some((_, response)) = self.pinged(frame)? {
            return Ok(Begun::Answered(response));
        }
        let begun = self.expect_answer(frame, |_, response| {
            self.completions().unexpect();
            Begun::Answered(response)
        });
        begun.map(|begun| begun.unwrap_or_else(Begun::Pending))
    }

    /// Begins a request that has room in the queue; its number if the answer is to come, else what `ready` makes of both.
    fn expect_answer<T>(
        &self,
        frame: &[u8],
        ready: impl FnOnce(u64, Response) -> T,
    ) -> Result<Result<T, u64>, Error> {
        let queue = self.completions();
        queue.expect()?;
        match self.admit(frame, &mut || Sink::Queue) {
            Err(error) => {
                queue.unexpect();
                Err(error)
            }
            Ok((number, Admitted::Open)) => Ok(Err(number)),
            Ok((number, Admitted::Ready(response))) => Ok(Ok(ready(number, response))),
        }
    }

    /// Where the answers of [`Bridge::submit_to_queue`] come.
    pub fn completions(&self) -> &CompletionQueue {
        &self.shared().queue
    }

    /// Cancels a request that was submitted to the queue. Its answer still comes, and is `cancelled` unless it was there
    /// already.
    pub fn cancel(&self, ticket: u64) {
        self.shared().cancel(ticket);
    }

    /// A slot for a frame of so many bytes, header included: the way without copies.
    ///
    /// # Errors
    /// - `invalid_request`: no frame is that long, or the bridge is closed.
    /// - `internal_error`: the guest is broken.
    /// - `resource_exhausted`: the arena has no room; it fails at once.
    pub fn reserve(&self, bytes: usize) -> Result<Slot, Error> {
        Slot::reserve(self.shared(), bytes, self.deadline)
    }

    fn admit(&self, frame: &[u8], sink: &mut dyn FnMut() -> Sink) -> Result<(u64, Admitted), Error> {
        if let Some((number, response)) = self.pinged(frame)? {
            return Ok((number, Admitted::Ready(response)));
        }
        let deadline = deadline::from_now(self.deadline);
        let mut opened = None;
        let admitted = self.shared().with_guest(Access::Caller, |state, work| {
            let number = state.number();
            let mut sink = || {
                opened = Some(number);
                sink()
            };
            let admitted = state.admit(number, frame, deadline, &mut sink, work)?;
            Ok((number, admitted))
        });
        match (admitted, opened) {
            // The guest broke when it had taken the request, which was then answered as every open one.
            (Err(_), Some(number)) => Ok((number, Admitted::Open)),
            (admitted, _) => admitted,
        }
    }

    /// The number and the answer of a ping, which waits for nothing and leaves nothing to do.
    fn pinged(&self, frame: &[u8]) -> Result<Option<(u64, Response)>, Error> {
        if frame.first() != Some(&Command::Ping.code()) {
            return Ok(None);
        }
        self.shared().ask(Access::Caller, |state| {
            // One more, for whoever puts a 0 behind it: that would be a second allocation.
            let copy = |data: &[u8]| {
                let mut bytes = Vec::with_capacity(data.len() + 1);
                for piece in data.chunks(COPY_PIECE_BYTES) {
                    bytes.extend_from_slice(piece);
                }
                Response::success(bytes)
            };
            let pinged = state.ping(frame, &[], copy)?;
            Ok(pinged.ok().map(|response| (state.number(), response)))
        })
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bridge")
            .field("backend", &self.shared().runtime.name())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

fn open_oci(builder: &BridgeBuilder) -> Result<Arc<dyn Runtime>, Error> {
    let options = OciOptions {
        state_root: builder.state_root.clone(),
        shim: builder.shim.clone(),
        ..OciOptions::default()
    };
    Ok(Arc::new(Oci::open(options)?))
}

/// The guest or the runtime answered a request of ours with what it cannot be answered with.
fn surprising(command: &str, what: &str) -> Error {
    Error::new(
        Status::InternalError,
        format!("{command} was answered with {what}"),
    )
}
