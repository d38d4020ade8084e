//! What all handles, tickets and tasks of one bridge share, and the two steps of everything it does: first what the lock
//! protects, then, without the lock, what may wake or block somebody.

use crate::effect::{Outcome, Task};
use crate::guest::{Broken, GuestFacts};
use crate::opened::OpenStream;
use crate::queue::CompletionQueue;
use crate::state::{OpenRequest, Phase, Sink, State, Work};
use crate::threads::{self, Threads};
use crate::{Error, deadline, refresh, shown};
use selur_protocol::abi::CancelCause;
use selur_runtime::Runtime;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, LockResult, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How long a close waits for effects that were told to end early.
const CLOSE_GRACE: Duration = Duration::from_secs(5);

/// Who wants at the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// A caller: refused as soon as the bridge closes.
    Caller,
    /// The bridge itself, with what came of effects: also while it closes.
    Bridge,
}

impl Phase {
    #[inline]
    fn admits(self, access: Access) -> bool {
        self == Phase::Open || self == Phase::Closing && access == Access::Bridge
    }
}

/// One bridge.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Signalled when no effect is in flight any more.
    idle: Condvar,
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) queue: CompletionQueue,
    pub(crate) threads: Threads,
    /// Cancelled when the bridge closes.
    pub(crate) closing: CancellationToken,
    /// What the streams that were taken show.
    pub(crate) shown: Arc<shown::List>,
    pub(crate) soonest_changed: Notify,
    /// Reads and writes of streams whose answers come to the queue, by their tickets.
    transfers: Mutex<HashMap<u64, CancellationToken>>,
    pub(crate) facts: GuestFacts,
}

impl Shared {
    pub(crate) fn new(mut state: State, runtime: Arc<dyn Runtime>, facts: GuestFacts) -> Arc<Shared> {
        state.refresh.set_shared(runtime.is_shared());
        Arc::new(Shared {
            state: Mutex::new(state),
            idle: Condvar::new(),
            runtime,
            queue: CompletionQueue::new(),
            threads: Threads::default(),
            closing: CancellationToken::new(),
            shown: Arc::default(),
            soonest_changed: Notify::new(),
            transfers: Mutex::default(),
            facts,
        })
    }

    /// Asks the guest what leaves nothing to do, with the guest locked: pings, and whatever is about slots alone.
    ///
    /// # Errors
    /// As [`Shared::with_guest`].
    #[inline]
    pub(crate) fn ask<R>(
        self: &Arc<Self>,
        access: Access,
        question: impl FnOnce(&mut State) -> Result<R, Broken>,
    ) -> Result<R, Error> {
        let mut state = self.enter(access)?;
        match question(&mut state) {
            Ok(answer) => Ok(answer),
            Err(broken) => Err(self.break_off(state, broken)),
        }
    }

    /// Runs `step` with the guest locked, then what it left to do.
    ///
    /// # Errors
    /// - `invalid_request`: the bridge is closed.
    /// - `internal_error`: the guest is broken, or broke in this step.
    pub(crate) fn with_guest<R>(
        self: &Arc<Self>,
        access: Access,
        step: impl FnOnce(&mut State, &mut Work) -> Result<R, Broken>,
    ) -> Result<R, Error> {
        let mut work = Work::default();
        let result = self.locked(access, step, &mut work);
        self.carry_out(work);
        result
    }

    /// Runs `step` with the guest locked; what it leaves to do is added to `work`.
    fn locked<R>(
        self: &Arc<Self>,
        access: Access,
        step: impl FnOnce(&mut State, &mut Work) -> Result<R, Broken>,
        work: &mut Work,
    ) -> Result<R, Error> {
        let mut locked = self.enter(access)?;
        let state = &mut *locked;
        let result = step(state, work).and_then(|result| {
            state.settle(work)?;
            Ok(result)
        });
        let result = result.map_err(|broken| state.poison(broken, work));
        work.list = work.list && state.claim_listing();
        if work.timer && std::mem::replace(&mut state.timer_runs, true) {
            self.soonest_changed.notify_one();
            work.timer = false;
        }
        result
    }

    /// Locks the guest for whoever may want at it now.
    #[inline]
    fn enter(self: &Arc<Self>, access: Access) -> Result<MutexGuard<'_, State>, Error> {
        match self.state.lock() {
            Ok(state) if state.phase.admits(access) && state.poison.is_none() => Ok(state),
            refused => Err(self.refusal(refused, access)),
        }
    }

    #[cold]
    fn refusal(self: &Arc<Self>, locked: LockResult<MutexGuard<'_, State>>, access: Access) -> Error {
        match locked {
            Ok(state) => match &state.poison {
                Some(poison) if state.phase.admits(access) => poison.clone(),
                _ => Error::closed(),
            },
            Err(poisoned) => {
                self.state.clear_poison();
                // The step that panicked may have left the tables half changed.
                let broken = Broken::new("the host panicked while it talked to it");
                self.break_off(poisoned.into_inner(), broken)
            }
        }
    }

    #[cold]
    fn break_off(self: &Arc<Self>, mut state: MutexGuard<'_, State>, broken: Broken) -> Error {
        let mut work = Work::default();
        let error = state.poison(broken, &mut work);
        drop(state);
        self.carry_out(work);
        error
    }

    /// Does what must not be done under the lock. An effect that the system gives no thread for ends there and then, which
    /// lets others begin.
    fn carry_out(self: &Arc<Self>, mut work: Work) {
        loop {
            let failed = self.carry_out_once(work);
            if failed.is_empty() {
                return;
            }
            work = Work::default();
            let complete = |state: &mut State, work: &mut Work| {
                failed
                    .into_iter()
                    .try_for_each(|(id, error)| state.complete(id, Outcome::failed(error), work))
            };
            // A closed or broken bridge no longer needs them.
            let _ = self.locked(Access::Bridge, complete, &mut work);
        }
    }

    /// Does it, and gives the effects that could not be begun.
    fn carry_out_once(self: &Arc<Self>, work: Work) -> Vec<(u64, Error)> {
        for (number, request, response) in work.answers {
            match request.sink {
                // A waker that panics must not keep others from their answers.
                Sink::Cell(cell) => {
                    let command = request.subject.command();
                    let filled = catch_unwind(AssertUnwindSafe(|| cell.fill(command, response)));
                    self.undo(filled.unwrap_or_default());
                }
                Sink::Queue => self.queue.push(number, response),
                Sink::Nobody => {}
            }
        }
        let unwanted = work.unwanted.into_iter().chain(work.opened);
        self.let_go(unwanted.collect());
        for abort in work.aborts {
            abort.cancel();
        }
        let effects = work.effects.into_iter();
        let failed = effects.filter_map(|(id, task, abort)| Some((id, self.start(id, task, abort).err()?)));
        let failed = failed.collect();
        if work.list {
            match self.threads.handle() {
                Ok(handle) => drop(handle.spawn(refresh::list(self.clone()))),
                Err(error) => refresh::fail(self, error),
            }
        }
        if work.timer {
            match self.threads.handle() {
                Ok(handle) => drop(handle.spawn(deadline::watch(self.clone()))),
                Err(_) => deadline::fail(self),
            }
        }
        if work.idle {
            self.idle.notify_all();
        }
        failed
    }

    /// Lets go of streams that nobody takes. What they are made of may want to know its threads when it goes.
    fn let_go(&self, unwanted: Vec<OpenStream>) {
        if unwanted.is_empty() {
            return;
        }
        let threads = self.threads.started();
        let _within = threads.as_ref().map(Handle::enter);
        drop(unwanted);
    }

    fn start(self: &Arc<Self>, id: u64, task: Task, abort: CancellationToken) -> Result<(), Error> {
        let shared = self.clone();
        self.threads.handle()?.spawn(async move {
            let outcome = task.perform(shared.runtime.clone(), abort).await;
            shared.complete(id, outcome);
        });
        Ok(())
    }

    /// Takes what came of an effect. A closed or broken bridge no longer needs it.
    fn complete(self: &Arc<Self>, id: u64, outcome: Outcome) {
        let _ = self.with_guest(Access::Bridge, |state, work| state.complete(id, outcome, work));
    }

    /// Cancels a request for its caller. One that is answered is left alone.
    pub(crate) fn cancel(self: &Arc<Self>, number: u64) {
        if let Some(stop) = self.transfers().remove(&number) {
            return stop.cancel();
        }
        let _ = self.with_guest(Access::Caller, |state, work| {
            state.cancel(number, CancelCause::Caller, work)
        });
    }

    /// The reads and writes of streams that can be cancelled.
    pub(crate) fn transfers(&self) -> MutexGuard<'_, HashMap<u64, CancellationToken>> {
        self.transfers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the bridge: cancels what is open, waits a while for effects to end, ends the threads.
    pub(crate) fn close(self: &Arc<Self>) {
        let mut work = Work::default();
        let was_open = self.begin_closing(&mut work);
        self.carry_out(work);
        if !was_open {
            return;
        }
        self.closing.cancel();
        self.end_streams();
        self.queue.close();
        if !threads::is_own() {
            return self.finish_closing();
        }
        // This thread is one of those that are to end: another one waits for that.
        let shared = self.clone();
        let waiter = std::thread::Builder::new().name("selur-close".into());
        if waiter.spawn(move || shared.finish_closing()).is_err() {
            self.lock().phase = Phase::Closed;
            self.threads.end();
        }
    }

    /// Ends what streams show, whether anybody reads them or not.
    fn end_streams(&self) {
        if let Some(threads) = self.threads.started() {
            let _within = threads.enter();
            self.shown.end_all();
        }
    }

    /// Takes no more requests, and cancels the open ones that somebody waits for. Says whether the bridge was open.
    fn begin_closing(&self, work: &mut Work) -> bool {
        let mut state = self.lock();
        if state.phase != Phase::Open {
            return false;
        }
        state.phase = Phase::Closing;
        if state.poison.is_none() {
            let is_heard = |request: &OpenRequest| !matches!(request.sink, Sink::Nobody);
            let open = state.requests.iter().filter(|(_, request)| is_heard(request));
            let open: Vec<u64> = open.map(|(number, _)| *number).collect();
            let cancelled = open
                .into_iter()
                .try_for_each(|number| state.cancel(number, CancelCause::Caller, work))
                .and_then(|()| state.settle(work));
            if let Err(broken) = cancelled {
                state.poison(broken, work);
            }
        }
        work.unwanted.extend(state.opened.take_all().into_values());
        true
    }

    fn finish_closing(self: &Arc<Self>) {
        let until = Instant::now() + CLOSE_GRACE;
        let mut state = self.lock();
        while state.is_busy() {
            let rest = until.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                break;
            }
            let (locked, _) = self
                .idle
                .wait_timeout(state, rest)
                .unwrap_or_else(PoisonError::into_inner);
            state = locked;
        }
        state.phase = Phase::Closed;
        drop(state);
        self.let_settle(until);
        self.threads.end();
    }

    /// Waits for what the runtime still does for callers who are gone.
    fn let_settle(self: &Arc<Self>, until: Instant) {
        let Some(threads) = self.threads.started() else {
            return;
        };
        let (settling, settled) = std::sync::mpsc::channel::<()>();
        let shared = self.clone();
        threads.spawn(async move {
            shared.runtime.settled().await;
            drop(settling);
        });
        // It ends by what is dropped there, also in a panic.
        let _ = settled.recv_timeout(until.saturating_duration_since(Instant::now()));
    }

    /// Reads something with the lock held, whatever the phase; nothing if the guest is broken.
    pub(crate) fn reading<R>(&self, read: impl FnOnce(&State) -> Option<R>) -> Option<R> {
        let state = self.lock();
        if state.poison.is_some() {
            return None;
        }
        let result = catch_unwind(AssertUnwindSafe(|| read(&state)));
        drop(state);
        settled(result)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A caller's code, to be run with the lock held. A reader that panics changed nothing: it must not break the bridge for
/// others, and goes on by [`settled`] when the lock is released.
#[inline]
pub(crate) fn sparing<R>(read: impl FnOnce(&[u8]) -> R) -> impl FnOnce(&[u8]) -> std::thread::Result<R> {
    move |bytes| catch_unwind(AssertUnwindSafe(|| read(bytes)))
}

/// What a caller's code gave, or its panic, which goes on here.
#[inline]
pub(crate) fn settled<R>(result: std::thread::Result<R>) -> R {
    result.unwrap_or_else(|panic| resume_unwind(panic))
}
