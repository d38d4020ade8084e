//! What was made before `os.fork()` is of no use in the child: its threads are the parent's, and a lock may be held by one
//! of them for ever. It is refused there, and left as it is instead of being closed.

use crate::failure::Failure;
use pyo3::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many forks lie between the first process and this one.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// Says that this process is a child of `os.fork()`, which calls it.
#[pyfunction]
#[pyo3(name = "_forked")]
pub(crate) fn forked() {
    FORKS.fetch_add(1, Ordering::Relaxed);
    crate::wait::forget_waiting();
}

/// Something of the process that made it. In another one it is never dropped.
pub(crate) struct Own<T> {
    /// Invariant: some, until it is dropped.
    value: Option<T>,
    forks: u64,
}

impl<T> Own<T> {
    pub(crate) fn new(value: T) -> Own<T> {
        Own {
            value: Some(value),
            forks: FORKS.load(Ordering::Relaxed),
        }
    }

    /// It, for use.
    #[inline]
    pub(crate) fn get(&self) -> Result<&T, Failure> {
        match &self.value {
            Some(value) if self.is_ours() => Ok(value),
            _ => Err(foreign()),
        }
    }

    /// It, for use that changes it.
    #[inline]
    pub(crate) fn get_mut(&mut self) -> Result<&mut T, Failure> {
        match self.is_ours() {
            true => self.value.as_mut().ok_or_else(foreign),
            false => Err(foreign()),
        }
    }

    /// Takes it out, to be dropped where that may wait; nothing in another process.
    pub(crate) fn take(&mut self) -> Option<T> {
        match self.is_ours() {
            true => self.value.take(),
            false => None,
        }
    }

    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        self.forks == FORKS.load(Ordering::Relaxed)
    }
}

impl<T> Drop for Own<T> {
    fn drop(&mut self) {
        if !self.is_ours() {
            std::mem::forget(self.value.take());
        }
    }
}

#[cold]
fn foreign() -> Failure {
    Failure::invalid(
        "this was made before os.fork() and belongs to the parent process: make a new bridge in the child",
    )
}
