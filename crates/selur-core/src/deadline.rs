//! Deadlines: one task that sleeps until the soonest.

use crate::shared::{Access, Shared};
use crate::state::State;
use selur_protocol::abi::CancelCause;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When a request that may take so long is due.
pub(crate) fn from_now(most: Option<Duration>) -> Option<Instant> {
    Instant::now().checked_add(most?)
}

impl State {
    /// The open requests whose deadline has passed.
    fn overdue(&self, now: Instant) -> Vec<u64> {
        let overdue = self.deadlines.iter().take_while(|(deadline, _)| *deadline <= now);
        overdue.map(|(_, number)| *number).take(BATCH).collect()
    }
}

/// How many overdue requests are answered before others get the lock.
const BATCH: usize = 256;

/// Answers requests as their deadlines pass, until the bridge is closed.
pub(crate) async fn watch(shared: Arc<Shared>) {
    loop {
        let changed = shared.soonest_changed.notified();
        let soonest = shared.with_guest(Access::Bridge, |state, work| {
            for number in state.overdue(Instant::now()) {
                state.cancel(number, CancelCause::Deadline, work)?;
            }
            Ok(state.deadlines.first().map(|(deadline, _)| *deadline))
        });
        let Ok(soonest) = soonest else {
            return;
        };
        let sleep = async {
            match soonest {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = sleep => {}
            () = changed => {}
            () = shared.closing.cancelled() => return,
        }
    }
}

/// Without a thread nobody watches: what has a deadline is given up at once instead of waiting for ever.
pub(crate) fn fail(shared: &Arc<Shared>) {
    let _ = shared.with_guest(Access::Bridge, |state, work| {
        state.timer_runs = false;
        let watched: Vec<u64> = state.deadlines.iter().map(|(_, number)| *number).collect();
        watched
            .into_iter()
            .try_for_each(|number| state.cancel(number, CancelCause::Deadline, work))
    });
}
