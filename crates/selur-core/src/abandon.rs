//! Answers that nobody hears: what a request made whose caller has gone is undone.
//!
//! It must never block nor fail: whoever abandons an answer has nobody to tell.

use crate::shared::Access;
use crate::{Bridge, Response};
use selur_protocol::{Command, ContainerId};

/// The commands that may be answered with a stream's id.
const OPEN_STREAMS: [Command; 7] = [
    Command::Exec,
    Command::Logs,
    Command::Attach,
    Command::Stats,
    Command::Events,
    Command::PullImage,
    Command::PushImage,
];

impl Bridge {
    /// Undoes what a request made whose answer reaches nobody: its caller was cancelled, was interrupted or died when it
    /// had succeeded already. A created container is deleted, by force; an opened stream is closed, which ends what it
    /// shows. Anything else stays as it is.
    ///
    /// It is done in the background, and what goes wrong is told to nobody. A bridge that is closed meanwhile may leave
    /// the container.
    ///
    /// `frame` is the request, of which the first byte is enough.
    ///
    /// ```
    /// use selur_core::{Backend, Bridge, Command};
    ///
    /// let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
    /// let frame = Bridge::frame(Command::CreateContainer, &["nginx"])?;
    /// let created = bridge.call(&frame)?;
    /// bridge.abandon(&frame, &created);
    /// while !bridge.list_containers()?.is_empty() {}
    /// # Ok::<(), selur_core::Error>(())
    /// ```
    pub fn abandon(&self, frame: &[u8], response: &Response) {
        if !response.is_success() {
            return;
        }
        let made = std::str::from_utf8(response.data()).unwrap_or_default();
        match frame.first().and_then(|code| Command::from_code(*code)) {
            Some(Command::CreateContainer) => self.delete_unwanted(made),
            Some(command) if OPEN_STREAMS.contains(&command) => self.close_unwanted(made),
            _ => {}
        }
    }

    fn delete_unwanted(&self, container: &str) {
        let (Some(_), Ok(frame), Ok(threads)) = (
            ContainerId::parse(container),
            Bridge::frame(Command::DeleteContainer, &[container, "force"]),
            self.shared().threads.handle(),
        ) else {
            return;
        };
        // A ticket that is dropped cancels its request.
        if let Ok(ticket) = self.with_deadline(None).submit(&frame) {
            threads.spawn(ticket);
        }
    }

    fn close_unwanted(&self, stream: &str) {
        let Ok(id) = stream.parse() else {
            return;
        };
        let shared = self.shared();
        let taken = shared.with_guest(Access::Caller, |state, _| Ok(state.opened.take(id)));
        // To drop one may take its time.
        if let (Ok(Some(stream)), Ok(threads)) = (taken, shared.threads.handle()) {
            threads.spawn(async move { drop(stream) });
        }
    }
}
