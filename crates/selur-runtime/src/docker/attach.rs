//! Attaches to containers' first processes: through the daemon's own attachments, one for each time the process runs.

use super::failure::{self, About, invalid};
use super::frames::Frames;
use super::lifecycle::{LOOK, until, wait};
use super::session::{self, Input, NO_DETACH_KEYS, Output, Terminal};
use super::site::{Look, Site};
use super::transport::{Call, Pipe};
use crate::{AttachOptions, RuntimeError, Session, SessionItem};
use futures_util::stream::{self, StreamExt};
use hyper::Method;
use selur_protocol::{ContainerId, State, Status};
use std::sync::Arc;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(super) async fn attach(
    site: &Arc<Site>,
    id: ContainerId,
    options: AttachOptions,
) -> Result<Session, RuntimeError> {
    // What waits to be started again has no pipes: podman would make some, of a process that never runs.
    let look = wait(site, id, |look| look.facts.state != State::Restarting).await?;
    if options.stdin && !look.facts.spec.stdin {
        return Err(invalid(
            "the container takes no input: make it with stdin (`selur run -i`)",
        ));
    }
    if look.facts.state == State::Stopped {
        return Err(failure::wrong_state("attach to", State::Stopped));
    }
    let pipe = connect(site, &look, options).await?;
    let takes = if options.stdin { Input::Shared } else { Input::None };
    let frames = Frames::new(look.facts.spec.terminal);
    let terminal = look
        .facts
        .spec
        .terminal
        .then(|| Terminal::of_container(site, id, &look));
    let (input, output) = session::open(pipe, takes, frames, terminal);
    if site.expect(id).await?.facts.is_made_ready {
        return Err(failure::wrong_state("attach to", State::Stopped));
    }
    let attachment = Attachment {
        site: site.clone(),
        id,
        generation: look.to_run(),
        output,
        input: None,
    };
    let items = stream::unfold(Some(attachment), |attachment| async {
        let mut attachment = attachment?;
        match attachment.next().await {
            Ok(item @ SessionItem::Output { .. }) => Some((Ok(item), Some(attachment))),
            Ok(end) => Some((Ok(end), None)),
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(Session {
        input,
        output: items.boxed(),
    })
}

async fn connect(site: &Site, look: &Look, options: AttachOptions) -> Result<Pipe, RuntimeError> {
    let facts = &look.facts;
    let text = |wanted: bool| if wanted { "true" } else { "false" };
    let path = format!("/containers/{}/attach", facts.daemon_id);
    let query = [
        ("stream", "true"),
        ("stdout", "true"),
        ("stderr", "true"),
        ("stdin", text(options.stdin)),
        ("logs", text(options.replay)),
        ("detachKeys", NO_DETACH_KEYS),
    ];
    let call = Call::new(Method::POST, &path).query(&query).upgrading();
    let opened = async { site.client.send(call, None).await?.into_pipe().await };
    let pipe = opened.await;
    pipe.map_err(|error| error.into_runtime(About::Container, "cannot attach to the container"))
}

struct Attachment {
    site: Arc<Site>,
    id: ContainerId,
    generation: u32,
    output: Output,
    /// What was sent to the first process goes nowhere when another one runs; its terminal's size is taken all the same.
    input: Option<DropGuard>,
}

impl Attachment {
    async fn next(&mut self) -> Result<SessionItem, RuntimeError> {
        loop {
            if let Some(item) = self.output.next().await.map_err(session::broken)? {
                return Ok(item);
            }
            // The process has ended, or will have in a moment, or the daemon is gone.
            let never = CancellationToken::new();
            let generation = self.generation;
            let is_settled = |look: &Look| {
                let has_ended = look.facts.state == State::Stopped;
                has_ended || (look.report.generation > generation && look.facts.state == State::Running)
            };
            let look = match until(&never, wait(&self.site, self.id, is_settled)).await {
                Ok(look) => look,
                Err(error) if error.status() == Status::ContainerNotFound => {
                    return Ok(SessionItem::Ended { exit_code: None });
                }
                Err(error) => return Err(error),
            };
            if look.facts.state == State::Stopped {
                return Ok(SessionItem::Ended {
                    exit_code: look.facts.exit_code,
                });
            }
            // Its policy has started it again. What is sent goes nowhere from here on: each process has its own input.
            let pipe = match connect(&self.site, &look, AttachOptions::default()).await {
                Ok(pipe) => pipe,
                // That one has ended meanwhile, too.
                Err(error) if matches!(error.status(), Status::InvalidState | Status::ContainerNotFound) => {
                    tokio::time::sleep(LOOK.0).await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let frames = Frames::new(look.facts.spec.terminal);
            let (_, output) = session::open(pipe, Input::None, frames, None);
            let after = self.site.look(self.id).await?;
            if let Some(ended) = after.filter(|after| after.facts.is_made_ready) {
                return Ok(SessionItem::Ended {
                    exit_code: ended.facts.exit_code,
                });
            }
            self.generation = look.report.generation;
            let before = std::mem::replace(&mut self.output, output).into_input();
            self.input.get_or_insert(before);
        }
    }
}
