//! Keeps the kernel's table true to what the runtime has: a listing before the first request that needs it, the
//! runtime's observations from then on, and further listings where other processes may have changed something.
//!
//! Such a listing is made before each `list_containers`, and before a lookup fails for good. Several requests share one,
//! but a request never relies on a listing that began before it came.

use crate::effect;
use crate::guest::Broken;
use crate::message::Subject;
use crate::shared::{Access, Shared};
use crate::state::{Place, State, Work};
use crate::waiting::Line;
use crate::{Error, Response};
use futures_util::{FutureExt, StreamExt};
use selur_protocol::{Command, ContainerId, Frame, HEADER_BYTES, Request, abi};
use selur_runtime::Observation;
use std::collections::{BTreeSet, HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// How many deleted containers are remembered, so that what was seen of them before does not bring them back. What is
/// under way when a deletion completes is milliseconds old.
const MAX_BURIED: usize = 4_096;

/// Who waits for a listing, and what a listing must not bring back.
#[derive(Debug, Default)]
pub(crate) struct Refresh {
    is_shared: bool,
    /// Whether the runtime was ever listed.
    is_recovered: bool,
    is_following: bool,
    is_listing: bool,
    /// Requests that the listing under way serves.
    served: BTreeSet<u64>,
    /// Requests that came after it began.
    next: BTreeSet<u64>,
    /// Those of them that change a container, by what they name it by.
    changes: BTreeSet<(String, u64)>,
    buried: HashSet<ContainerId>,
    burials: VecDeque<ContainerId>,
}

impl Refresh {
    /// Says whether other processes may change what the runtime has.
    pub(crate) fn set_shared(&mut self, is_shared: bool) {
        self.is_shared = is_shared;
    }

    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Whether this frame must not reach the kernel before a listing: one about containers.
    pub(crate) fn is_wanted_for(&self, frame: &[u8]) -> bool {
        let is_ping = frame.first() == Some(&Command::Ping.code());
        if is_ping || self.is_recovered && !self.is_shared {
            return false;
        }
        match Frame::parse(frame).and_then(|frame| Request::parse(&frame)) {
            Err(_) => false,
            Ok(Request::List) => true,
            Ok(Request::Hosted(hosted))
                if !matches!(hosted.subject, selur_protocol::Subject::Container(_)) =>
            {
                false
            }
            Ok(_) => !self.is_recovered,
        }
    }

    /// Adds a request that waits for a listing. Says whether one has to be started.
    pub(crate) fn add(&mut self, number: u64, subject: &Subject) -> bool {
        self.next.insert(number);
        if let Some(container) = subject.changed() {
            self.changes.insert((container.to_owned(), number));
        }
        !self.is_listing
    }

    pub(crate) fn remove(&mut self, number: u64, subject: &Subject) {
        self.served.remove(&number);
        self.next.remove(&number);
        if let Some(container) = subject.changed()
            && !self.changes.is_empty()
        {
            self.changes.remove(&(container.to_owned(), number));
        }
    }

    /// Whether an earlier request that changes the same container, by the same word, waits for a listing.
    fn is_behind_another(&self, number: u64, subject: &Subject) -> bool {
        subject.changed().is_some_and(|container| {
            let earlier = (container.to_owned(), 0)..(container.to_owned(), number);
            self.changes.range(earlier).next().is_some()
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.served.len() + self.next.len()
    }

    pub(crate) fn forget_requests(&mut self) {
        self.served.clear();
        self.next.clear();
        self.changes.clear();
    }

    /// Remembers that a container is gone for good.
    pub(crate) fn bury(&mut self, container: ContainerId) {
        if self.buried.insert(container) {
            self.burials.push_back(container);
        }
        if self.burials.len() > MAX_BURIED
            && let Some(oldest) = self.burials.pop_front()
        {
            self.buried.remove(&oldest);
        }
    }
}

impl State {
    /// Whether a frame must not reach the kernel before one that waits for a listing: it would change what that is judged by.
    pub(crate) fn is_behind_another(&self, number: u64, frame: &[u8]) -> bool {
        !self.refresh.changes.is_empty() && self.refresh.is_behind_another(number, &Subject::of(frame))
    }

    /// Tells the kernel what the runtime saw, unless it is of a container that is known to be gone.
    fn observe(&mut self, observation: &Observation, work: &mut Work) -> Result<(), Broken> {
        let encoded = match observation {
            Observation::Seen { id, .. } if self.refresh.buried.contains(id) => return Ok(()),
            Observation::Seen { id, name, report } => abi::Observation::Seen {
                id: *id,
                name: name.as_deref().unwrap_or(""),
                report: *report,
            },
            Observation::Gone { id } => {
                self.refresh.bury(*id);
                abi::Observation::Gone { id: *id }
            }
        };
        // What the kernel refuses (a name out of its grammar, a full table) it does not show; nobody waits for it.
        let _refused = self.guest.observe(&encoded)?;
        self.drain(None, work)
    }

    /// The ids in the kernel's table.
    fn known(&mut self) -> Result<Vec<ContainerId>, Broken> {
        let mut frame = [0; HEADER_BYTES];
        frame[0] = Command::ListContainers.code();
        let Some(region) = self.slots.resident(&mut self.guest)? else {
            return Ok(Vec::new());
        };
        self.guest.memory().write(region.offset, &frame)?;
        let submitted = self.exchange_in(region, frame.len() as u32)?;
        let abi::Outcome::Ready {
            offset,
            bytes,
            reason: None,
            ..
        } = submitted.outcome
        else {
            return Err(Broken::new("it does not list its containers"));
        };
        let listed = self.guest.memory().to_vec(offset + 1, bytes - 1)?;
        std::str::from_utf8(&listed)
            .ok()
            .and_then(|text| text.lines().map(ContainerId::parse).collect())
            .ok_or_else(|| Broken::new("its list of containers is no list of ids"))
    }

    /// Begins a listing for everyone who waits. Gives what the kernel knows now, and whether the observations are
    /// still to be followed; nothing if nobody waits any more.
    fn begin_listing(&mut self) -> Result<Option<(Vec<ContainerId>, bool)>, Broken> {
        let refresh = &mut self.refresh;
        if refresh.next.is_empty() {
            refresh.is_listing = false;
            return Ok(None);
        }
        refresh.served = std::mem::take(&mut refresh.next);
        let follows = !refresh.is_following;
        // Before the first listing the kernel knows nothing.
        let known = match refresh.is_recovered {
            true => self.known()?,
            false => Vec::new(),
        };
        Ok(Some((known, follows)))
    }

    /// Feeds a listing to the kernel, and lets go on who waited for it.
    fn end_listing(
        &mut self,
        known: &[ContainerId],
        listed: Result<Vec<Observation>, Error>,
        work: &mut Work,
    ) -> Result<(), Broken> {
        let served = std::mem::take(&mut self.refresh.served);
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => {
                let response = Response::from(error.context("the containers cannot be listed"));
                for number in served {
                    self.answer(number, response.clone(), work);
                }
                return Ok(());
            }
        };
        self.refresh.is_recovered = true;
        let mut missing: HashSet<_> = known.iter().copied().collect();
        for observation in &listed {
            let (Observation::Seen { id, .. } | Observation::Gone { id }) = observation;
            missing.remove(id);
        }
        // An effect in flight tells by its completion what became of its container.
        for running in self.effects.values() {
            missing.remove(&running.container);
        }
        // First, so that their names are free for those that have them now. They are not buried: a listing is made
        // while others write, and what one leaves out the next may show.
        for id in missing {
            let _refused = self.guest.observe(&abi::Observation::Gone { id })?;
            self.drain(None, work)?;
        }
        for observation in &listed {
            self.observe(observation, work)?;
        }
        for number in served {
            self.resubmit(number, work)?;
        }
        self.retry_next(work)
    }

    /// Tries what came while the runtime was listed. Who comes from now on finds in the kernel's table what the listing
    /// brought, and must not overtake them there. What is not found yet waits for a listing of its own, as before.
    fn retry_next(&mut self, work: &mut Work) -> Result<(), Broken> {
        let next: Vec<u64> = self.refresh.next.iter().copied().collect();
        for number in next {
            let Some(request) = self.requests.get_mut(&number) else {
                continue;
            };
            match std::mem::replace(&mut request.place, Place::Moving) {
                Place::Refreshing(frame)
                    if !self.refresh.is_wanted_for(&frame)
                        && !self.refresh.is_behind_another(number, &request.subject) =>
                {
                    let line = Line::of(request.subject.command());
                    request.place = Place::Waiting(frame);
                    self.refresh.remove(number, &request.subject);
                    let is_behind_others = self.waiting.is_blocked(line);
                    self.waiting.add(line, number);
                    if !is_behind_others {
                        self.resubmit(number, work)?;
                    }
                }
                place => request.place = place,
            }
        }
        Ok(())
    }

    /// Marks that a listing task runs. Says whether it has to be started.
    pub(crate) fn claim_listing(&mut self) -> bool {
        !std::mem::replace(&mut self.refresh.is_listing, true)
    }
}

/// Lists the runtime until nobody waits for a listing.
pub(crate) async fn list(shared: Arc<Shared>) {
    while let Ok(Some((known, follows))) = shared.with_guest(Access::Bridge, |state, _| state.begin_listing())
    {
        let listing = effect::guarded(shared.runtime.name(), async {
            if follows {
                // Subscribed before the listing, so that nothing falls between the two.
                let observations = shared.runtime.observations();
                set_following(&shared, true);
                tokio::spawn(follow(shared.clone(), observations));
            }
            shared.runtime.list().await
        });
        let listed = tokio::select! {
            listed = listing => listed,
            () = shared.closing.cancelled() => return,
        };
        let _ = shared.with_guest(Access::Bridge, |state, work| {
            state.end_listing(&known, listed, work)
        });
    }
}

async fn follow(
    shared: Arc<Shared>,
    mut observations: futures_util::stream::BoxStream<'static, Observation>,
) {
    loop {
        let next = AssertUnwindSafe(observations.next()).catch_unwind();
        let observation = tokio::select! {
            observation = next => observation,
            () = shared.closing.cancelled() => return,
        };
        // It ended, or panicked: the next listing subscribes again.
        let Ok(Some(observation)) = observation else {
            return set_following(&shared, false);
        };
        let observed = shared.with_guest(Access::Bridge, |state, work| state.observe(&observation, work));
        if observed.is_err() {
            return;
        }
    }
}

fn set_following(shared: &Arc<Shared>, is_following: bool) {
    let _ = shared.with_guest(Access::Bridge, |state, _| {
        state.refresh.is_following = is_following;
        Ok(())
    });
}

/// Answers who waits for a listing, which the system gives no thread for.
pub(crate) fn fail(shared: &Arc<Shared>, error: Error) {
    let _ = shared.with_guest(Access::Bridge, |state, work| {
        state.refresh.is_listing = false;
        state.refresh.served = std::mem::take(&mut state.refresh.next);
        state.end_listing(&[], Err(error), work)
    });
}
