//! Waiting, as Python wants it: without the interpreter's lock, and with an eye on signals.
//!
//! Python runs signal handlers on its main thread, between two of its instructions. A wait on that thread is therefore one
//! of many short ones; other threads wait for as long as it takes.

use crate::failure::Failure;
use pyo3::intern;
use pyo3::prelude::*;
use selur_core::{Response, Status, Ticket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a signal waits for its handler, at most.
const SLICE: Duration = Duration::from_millis(50);
/// No end, for those that need not look.
const ENDLESS: Duration = Duration::from_secs(86_400);
/// How long the answer of a cancelled request may take, which is there at once.
const GIVE_UP: Duration = Duration::from_secs(5);

/// How many calls wait at this moment without the interpreter's lock.
static WAITING: AtomicU64 = AtomicU64::new(0);

/// Forgets those who wait: in a child of a fork they are the parent's.
pub(crate) fn forget_waiting() {
    WAITING.store(0, Ordering::Relaxed);
}

/// Repeats a step that waits at most for the time that it is given, until it gives something. A signal handler that
/// raises, as that of Ctrl-C does, ends it.
pub(crate) fn wait<T: Send>(
    py: Python<'_>,
    mut step: impl FnMut(Duration) -> Result<Option<T>, Failure> + Send,
) -> PyResult<T> {
    let mut most = Duration::ZERO;
    loop {
        if let Some(outcome) = detached(py, || step(most))? {
            return Ok(outcome);
        }
        py.check_signals()?;
        // Most calls need no second step, and never ask which thread this is.
        if most.is_zero() {
            most = match is_main_thread(py)? {
                true => SLICE,
                false => ENDLESS,
            };
        }
    }
}

/// Waits for the answer of a request, which the first step begins. Where a signal's handler raises nobody hears what came of
/// it: it is told to end, and what it made all the same is given to `undo`.
pub(crate) fn answered(
    py: Python<'_>,
    mut begin: impl FnMut() -> Result<Ticket, Failure> + Send,
    undo: impl FnOnce(&Response) + Send,
) -> PyResult<Response> {
    let mut ticket = None;
    let answer = wait(py, |most| {
        let ticket = match &mut ticket {
            Some(ticket) => ticket,
            none => none.insert(begin()?),
        };
        Ok(ticket.wait_for(most))
    });
    let (raised, late) = match answer {
        // A signal that came during the last slice has not been looked at.
        Ok(answer) => match py.check_signals() {
            Ok(()) => return Ok(answer),
            Err(raised) => (raised, Some(answer)),
        },
        Err(raised) => (raised, None),
    };
    detached(py, || {
        let late = late.or_else(|| {
            let mut ticket = ticket?;
            ticket.cancel();
            ticket.wait_for(GIVE_UP)
        });
        if let Some(late) = late {
            undo(&late);
        }
    });
    Err(raised)
}

/// Whose guest a bridge has, which says whether it may be called with the interpreter's lock held.
#[derive(Clone, Copy)]
pub(crate) enum GuestOf {
    /// The one that selur was built with: each call takes microseconds, and a ping is never waited for.
    Selur,
    /// Of somebody else: a call may use up its budget, which takes a second, and no answer may ever come.
    Others,
}

impl GuestOf {
    pub(crate) fn of(core: &selur_core::Bridge) -> GuestOf {
        match core.info().guest.sha256 == selur_core::guest_sha256() {
            true => GuestOf::Selur,
            false => GuestOf::Others,
        }
    }

    #[inline]
    pub(crate) fn is_prompt(self) -> bool {
        matches!(self, GuestOf::Selur)
    }

    /// Does something that calls the guest, or that waits for who calls it.
    #[inline]
    pub(crate) fn call<T: Send>(self, py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
        match self {
            GuestOf::Selur => work(),
            GuestOf::Others => detached(py, work),
        }
    }
}

/// Does something that may take a while, without the interpreter's lock.
pub(crate) fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    struct Counted;
    impl Drop for Counted {
        fn drop(&mut self) {
            WAITING.fetch_sub(1, Ordering::Relaxed);
        }
    }
    WAITING.fetch_add(1, Ordering::Relaxed);
    // Dropped with the lock held again: whoever is counted must not meet an interpreter that is gone.
    let _counted = Counted;
    py.detach(work)
}

/// Waits until no call waits any more without the interpreter's lock, for at most so many seconds: once every bridge is
/// closed, before the interpreter goes.
#[pyfunction]
#[pyo3(name = "_settle")]
pub(crate) fn settle(py: Python<'_>, seconds: f64) {
    let until = Instant::now() + Duration::try_from_secs_f64(seconds).unwrap_or_default();
    while WAITING.load(Ordering::Relaxed) > 0 && Instant::now() < until {
        py.detach(|| std::thread::sleep(Duration::from_millis(1)));
    }
}

fn is_main_thread(py: Python<'_>) -> PyResult<bool> {
    let threading = py.import(intern!(py, "threading"))?;
    let this = threading.call_method0(intern!(py, "get_ident"))?;
    let main = threading.call_method0(intern!(py, "main_thread"))?;
    this.eq(main.getattr(intern!(py, "ident"))?)
}

/// A deadline in seconds: none is the bridge's own, infinity is without end; 0 has passed for all that is not answered at
/// once.
pub(crate) enum Deadline {
    Own,
    Endless,
    Within(Duration),
}

impl Deadline {
    pub(crate) fn of(seconds: Option<f64>) -> Result<Deadline, Failure> {
        let Some(seconds) = seconds else {
            return Ok(Deadline::Own);
        };
        if seconds == f64::INFINITY {
            return Ok(Deadline::Endless);
        }
        match Duration::try_from_secs_f64(seconds) {
            Ok(within) => Ok(Deadline::Within(within)),
            Err(_) => Err(Failure::new(
                Status::InvalidRequest,
                format!("{seconds} is no deadline: give seconds, from 0 on, or math.inf"),
            )),
        }
    }
}
