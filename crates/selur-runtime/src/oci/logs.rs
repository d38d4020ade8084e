//! Reads a container's log files, and goes on as its shim writes them.
//!
//! Who follows looks at the life only when it has changed, and at the directory only when a file was added; what is left
//! of a wake is one read of the newest file. A reader that is so slow that a file it has not read is removed is told so.

use super::log_files::{Files, Wanted};
use super::watch::{Changes, Following, Watcher};
use super::{Site, block, events, failure};
use crate::{LogEntry, LogOptions, LogStream, RuntimeError};
use futures_util::stream::{self, StreamExt};
use selur_protocol::{ContainerId, State};
use std::sync::Arc;

pub(super) fn stream(
    site: &Arc<Site>,
    watcher: &Watcher,
    id: ContainerId,
    options: LogOptions,
) -> Result<LogStream, RuntimeError> {
    if site.life(id)?.is_none() {
        return Err(failure::not_found(id));
    }
    let mut follower = Follower::open(site, id, options.follow.then_some(watcher), Wanted::of(&options))?;
    if let Some(lines) = options.tail_lines {
        follower.files()?.skip_to_tail(lines)?;
    }
    let entries = stream::unfold(Some(follower), |follower| async {
        let mut follower = follower?;
        match follower.next().await {
            Ok(Some(entry)) => Some((Ok(entry), Some(follower))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(entries.boxed())
}

/// A reader and what wakes it.
pub(super) struct Follower {
    site: Arc<Site>,
    id: ContainerId,
    following: Option<Following>,
    /// Away while it is read from elsewhere.
    files: Option<Files>,
    /// What had changed when the life and the directory were last looked at; none before the first time.
    seen: Option<Changes>,
    /// Whether nothing was left to be read then.
    caught_up: bool,
    /// Whether the container has ended for good: what is left in its files is all.
    has_ended: bool,
    /// How it ended when it was last seen.
    exit_code: Option<i32>,
}

impl Follower {
    /// At the beginning of the log. It goes on at its end if there is a watcher.
    pub(super) fn open(
        site: &Arc<Site>,
        id: ContainerId,
        watcher: Option<&Watcher>,
        wanted: Wanted,
    ) -> Result<Follower, RuntimeError> {
        let directory = site.root.home(id).logs();
        // Before the first look, so that nothing is missed between the two.
        let following = watcher.map(|watcher| watcher.follow(id, &directory));
        let following = following
            .transpose()
            .map_err(|error| failure::io("cannot follow the container's log", error))?;
        Ok(Follower {
            site: site.clone(),
            id,
            following,
            files: Some(Files::new(directory, wanted)),
            seen: None,
            caught_up: false,
            has_ended: false,
            exit_code: None,
        })
    }

    /// What it reads.
    pub(super) fn files(&mut self) -> Result<&mut Files, RuntimeError> {
        self.files
            .as_mut()
            .ok_or_else(|| failure::internal("the log's reader is gone"))
    }

    /// How the container ended, when there is nothing left.
    pub(super) fn exit_code(&self) -> Option<i32> {
        self.exit_code
    }

    /// The next entry; nothing at the end.
    pub(super) async fn next(&mut self) -> Result<Option<LogEntry>, RuntimeError> {
        loop {
            if let Some(entry) = self.files()?.next_entry() {
                return Ok(Some(entry));
            }
            let Some(following) = &mut self.following else {
                self.read_all(false).await?;
                if self.caught_up {
                    return Ok(None);
                }
                continue;
            };
            let changes = following.changes();
            let life_changed = self.seen.is_none_or(|seen| seen.lives != changes.lives);
            let files_changed = self.seen.is_none_or(|seen| seen.files != changes.files);
            if life_changed || files_changed || !self.caught_up {
                self.read_all(life_changed).await?;
                self.seen = Some(changes);
                if !self.caught_up {
                    continue;
                }
            } else if self.files()?.read_newest()? {
                // What is not wanted is read over: the others have their turn.
                if self.files()?.is_empty() {
                    tokio::task::yield_now().await;
                }
                continue;
            }
            if self.has_ended {
                return Ok(None);
            }
            let Some(following) = &mut self.following else {
                return Ok(None);
            };
            if !following.changed().await {
                return Ok(None);
            }
        }
    }

    /// Reads from all files where it may block, after a look at the life: what was written before the end was recorded
    /// is found then.
    async fn read_all(&mut self, looks_at_life: bool) -> Result<(), RuntimeError> {
        let Some(mut files) = self.files.take() else {
            return Ok(());
        };
        let id = self.id;
        let (files, life) = block(&self.site, move |site| {
            let life = match looks_at_life {
                true => Some(end_of(site, id)?),
                false => None,
            };
            files.read()?;
            Ok((files, life))
        })
        .await?;
        if let Some(end) = life {
            self.has_ended = end.is_some();
            self.exit_code = end.flatten().or(self.exit_code);
        }
        self.caught_up = files.is_empty();
        self.files = Some(files);
        Ok(())
    }
}

/// How a container has ended for good, if it has.
fn end_of(site: &Site, id: ContainerId) -> Result<Option<Option<i32>>, RuntimeError> {
    Ok(match site.life(id)? {
        Some(life) if life.state == State::Stopped => Some(life.exit_code),
        Some(_) => None,
        // It was deleted since: somebody may still remember.
        None => Some(events::last_exit_code(site, id)),
    })
}
