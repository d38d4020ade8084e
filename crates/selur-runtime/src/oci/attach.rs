//! Attaches to containers' first processes.
//!
//! The output is the container's log as it grows: any number of attachers see all of it, none holds the process up, and
//! one may come before the start. The input is the process's own: its shim hands out the writing end of the pipe, or the
//! terminal's master, once for each generation of the process, and the bytes do not pass the shim.

use super::config::Config;
use super::log_files::Wanted;
use super::logs::Follower;
use super::session::Target;
use super::watch::{Following, Watcher};
use super::{Site, block, failure};
use crate::{
    AttachOptions, INPUTS_IN_FLIGHT, RestartPolicy, RuntimeError, Session, SessionInput, SessionItem,
    TerminalSize,
};
use futures_util::stream::{self, StreamExt};
use selur_protocol::{ContainerId, State, Status};
use selur_shim::Command;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What an attachment is made of.
pub(super) struct Attachment {
    follower: Follower,
    feeder: Option<Feeder>,
}

/// Opens an attachment. Blocks.
pub(super) fn open(
    site: &Arc<Site>,
    watcher: &Watcher,
    id: ContainerId,
    options: AttachOptions,
) -> Result<Attachment, RuntimeError> {
    let life = site.life(id)?.ok_or_else(|| failure::not_found(id))?;
    let config = Config::read(&site.root.home(id))?.ok_or_else(|| failure::not_found(id))?;
    if options.stdin && !config.spec.stdin {
        return Err(RuntimeError::new(
            Status::InvalidRequest,
            "the container has no input to attach to: create it with stdin",
        ));
    }
    let mut follower = Follower::open(site, id, Some(watcher), Wanted::ALL)?;
    if !options.replay {
        follower.files()?.skip_to_end()?;
    }
    // After the place in the log is found: what is written from here on is seen, and so is an end.
    if life.state == State::Stopped {
        return Err(failure::wrong_state("attach to", life.state));
    }
    let mut feeder = None;
    if options.stdin || config.spec.terminal {
        let following = watcher
            .follow(id, &site.root.home(id).logs())
            .map_err(|error| failure::io("cannot follow the container's life", error))?;
        let mut input = Feeder {
            site: site.clone(),
            id,
            following,
            takes_bytes: options.stdin,
            has_terminal: config.spec.terminal,
            restarts: config.spec.restart != RestartPolicy::No,
            target: None,
            size: None,
            held: None,
            has_ended: false,
        };
        match input.acquire_now() {
            Err(error) if options.stdin => return Err(error),
            _ => feeder = Some(input),
        }
    }
    Ok(Attachment { follower, feeder })
}

impl Attachment {
    /// Makes the session. It needs a tokio runtime around it.
    pub(super) fn into_session(self) -> Session {
        let (input, inputs) = mpsc::channel(INPUTS_IN_FLIGHT);
        let gone = CancellationToken::new();
        if let Some(feeder) = self.feeder {
            let gone = gone.clone();
            tokio::spawn(async move { gone.run_until_cancelled(feeder.feed(inputs)).await });
        }
        let guard = gone.drop_guard();
        let output = stream::unfold(Some((self.follower, guard)), |state| async {
            let (mut follower, guard) = state?;
            match follower.next().await {
                Ok(Some(entry)) => {
                    let item = SessionItem::Output {
                        stream: entry.stream,
                        bytes: entry.bytes,
                    };
                    Some((Ok(item), Some((follower, guard))))
                }
                Ok(None) => {
                    let exit_code = follower.exit_code();
                    Some((Ok(SessionItem::Ended { exit_code }), None))
                }
                Err(error) => Some((Err(error), None)),
            }
        });
        Session {
            input,
            output: output.boxed(),
        }
    }
}

/// Brings what is sent to the process of the moment.
struct Feeder {
    site: Arc<Site>,
    id: ContainerId,
    following: Following,
    takes_bytes: bool,
    has_terminal: bool,
    /// Whether a process that ends may be followed by another, which has an input of its own.
    restarts: bool,
    /// The input of a generation of the process.
    target: Option<(u32, Target)>,
    /// The size that was last asked for.
    size: Option<TerminalSize>,
    /// What came before there was a process to take it.
    held: Option<Vec<u8>>,
    has_ended: bool,
}

impl Feeder {
    async fn feed(mut self, mut inputs: mpsc::Receiver<SessionInput>) {
        loop {
            if self.target.is_none() && self.acquire().await.is_err() {
                // Nothing takes any input, nor will unless there is another process.
                if self.restarts && self.following.life_changed().await {
                    continue;
                }
                return;
            }
            if let Some((_, target)) = &mut self.target {
                if let Some(bytes) = self.held.take() {
                    target.write(&bytes).await;
                }
                if self.has_ended {
                    self.end().await;
                    return;
                }
            }
            let is_full = self.held.is_some();
            tokio::select! {
                input = inputs.recv(), if !is_full => match input {
                    Some(SessionInput::Bytes(bytes)) if self.takes_bytes => self.write(bytes).await,
                    Some(SessionInput::Bytes(_)) => {}
                    Some(SessionInput::End) => self.has_ended = self.takes_bytes && !self.has_terminal,
                    Some(SessionInput::Resize(size)) => self.resize(size),
                    None if self.held.is_none() => return,
                    None => {}
                },
                is_alive = self.following.life_changed() => {
                    if !is_alive {
                        return;
                    }
                    self.leave_former().await;
                }
            }
            let is_refused = |(_, target): &(u32, Target)| self.takes_bytes && !target.takes_bytes();
            if self.target.as_ref().is_some_and(is_refused) && !self.has_terminal {
                // The process has closed its input, or has ended; a next one has another.
                self.leave_former().await;
                while self.target.is_some() {
                    if !self.restarts || !self.following.life_changed().await {
                        return;
                    }
                    self.leave_former().await;
                }
            }
        }
    }

    async fn write(&mut self, bytes: Vec<u8>) {
        match &mut self.target {
            Some((_, target)) => target.write(&bytes).await,
            None => self.held = Some(bytes),
        }
    }

    fn resize(&mut self, size: TerminalSize) {
        self.size = Some(size);
        if let Some((_, target)) = &self.target {
            target.resize(size);
        }
    }

    /// Ends the process's input for everybody.
    async fn end(&mut self) {
        self.target = None;
        let id = self.id;
        let _ = block(&self.site, move |site| site.ask(id, Command::EndInput)).await;
    }

    /// Lets go of the input of a process that is not the container's any more.
    async fn leave_former(&mut self) {
        let id = self.id;
        let life = block(&self.site, move |site| site.life(id)).await.ok().flatten();
        let generation = life
            .filter(|life| life.process.is_some())
            .map(|life| life.generation);
        if self
            .target
            .as_ref()
            .is_some_and(|(of, _)| Some(*of) != generation)
        {
            self.target = None;
        }
    }

    /// Takes the input of the process, if there is one.
    async fn acquire(&mut self) -> Result<(), RuntimeError> {
        let id = self.id;
        let found = block(&self.site, move |site| find_input(site, id)).await?;
        self.take(found)
    }

    fn acquire_now(&mut self) -> Result<(), RuntimeError> {
        let found = find_input(&self.site, self.id)?;
        self.take(found)
    }

    fn take(&mut self, found: Option<(u32, OwnedFd)>) -> Result<(), RuntimeError> {
        let Some((generation, input)) = found else {
            return Ok(());
        };
        let (stdin, terminal) = match self.has_terminal {
            true => (None, Some(input)),
            false => (Some(input), None),
        };
        let target = Target::new(stdin, terminal, self.takes_bytes)
            .map_err(|error| failure::io("cannot write to the container's input", error))?;
        if let Some(size) = self.size {
            target.resize(size);
        }
        self.target = Some((generation, target));
        Ok(())
    }
}

/// The input of the container's process and its generation; nothing while no process runs.
fn find_input(site: &Site, id: ContainerId) -> Result<Option<(u32, OwnedFd)>, RuntimeError> {
    let Some(life) = site.life(id)?.filter(|life| life.process.is_some()) else {
        return Ok(None);
    };
    Ok(site.input(id)?.map(|input| (life.generation, input)))
}
