//! Answers that nobody hears: what a request made whose caller has gone is undone.
//!
//! It must never block nor fail: whoever abandons an answer has nobody to tell.

use crate::driver::Reply;
use crate::guest::Broken;
use crate::message::Subject;
use crate::shared::{Access, Shared};
use crate::state::{OpenRequest, Place, Sink, State, Work};
use crate::ticket::Late;
use crate::{Bridge, Response};
use selur_protocol::{Command, ContainerId};
use std::sync::Arc;

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
    /// It is done in the background, and what goes wrong is told to nobody. A bridge that is closed meanwhile waits for it
    /// as for all that is under way, up to 5 s; one that is closed already leaves what was made.
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
        let command = frame.first().and_then(|code| Command::from_code(*code));
        self.shared().undo(Some(Late(command, response.clone())));
    }
}

impl Shared {
    /// Undoes what an answer that nobody takes tells of.
    pub(crate) fn undo(self: &Arc<Self>, late: Option<Late>) {
        let Some(Late(Some(command), response)) = late else {
            return;
        };
        if !response.is_success() {
            return;
        }
        let made = std::str::from_utf8(response.data()).unwrap_or_default();
        match command {
            Command::CreateContainer => self.delete_unwanted(made),
            command if OPEN_STREAMS.contains(&command) => self.close_unwanted(made),
            _ => {}
        }
    }

    fn delete_unwanted(self: &Arc<Self>, container: &str) {
        let (Some(_), Ok(frame)) = (
            ContainerId::parse(container),
            Bridge::frame(Command::DeleteContainer, &[container, "force"]),
        ) else {
            return;
        };
        // Also while it closes: whoever was cancelled by that may have been answered just before.
        let _ = self.with_guest(Access::Bridge, |state, work| state.begin_undo(&frame, work));
    }

    fn close_unwanted(self: &Arc<Self>, stream: &str) {
        let Ok(id) = stream.parse() else {
            return;
        };
        let taken = self.with_guest(Access::Caller, |state, _| Ok(state.opened.take(id)));
        // To drop one may take its time.
        if let (Ok(Some(stream)), Ok(threads)) = (taken, self.threads.handle()) {
            threads.spawn(async move { drop(stream) });
        }
    }
}

impl State {
    /// Begins a request whose answer nobody waits for, and which a close does not cancel. The kernel knows what it is about:
    /// no listing comes before it.
    fn begin_undo(&mut self, frame: &[u8], work: &mut Work) -> Result<(), Broken> {
        let place = match self.exchange(frame, work)? {
            Reply::Pending(ticket) => Place::Kernel(ticket, None),
            Reply::Full => Place::Waiting(frame.into()),
            Reply::Ready(_) | Reply::Doubtful(_) => return Ok(()),
        };
        let number = self.number();
        let request = OpenRequest {
            sink: Sink::Nobody,
            subject: Subject::of(frame),
            deadline: None,
            place,
            is_refreshed: true,
        };
        self.open(number, request, work);
        self.drain(None, work)
    }
}
