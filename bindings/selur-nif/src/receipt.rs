//! Receipts: what was made for a process that waits for it is undone unless the process says that it has heard.
//!
//! A message that was sent may lie in the mailbox of a process that is being ended. The receipt lies there with it.

use crate::answer::caught;
use crate::atoms;
use crate::bridge::Held;
use crate::live::Live;
use rustler::{Atom, Resource, ResourceArc};
use selur_core::{Command, Response};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Goes with an answer, and undoes what that tells of if it is let go before the answer was heard.
pub(crate) struct Receipt {
    unheard: Mutex<Option<Response>>,
    live: Weak<Live>,
    /// Not closed before, unless somebody frees it.
    _bridge: ResourceArc<Held>,
}

#[rustler::resource_impl]
impl Resource for Receipt {}

impl Receipt {
    /// For the answer of a command, by its code; none where nothing would be left if nobody heard it. Streams need none:
    /// they end with their process.
    pub(crate) fn of(
        code: Option<u8>,
        response: &Response,
        live: &Arc<Live>,
        bridge: &ResourceArc<Held>,
    ) -> Option<ResourceArc<Receipt>> {
        let is_made = code == Some(Command::CreateContainer.code()) && response.is_success();
        is_made.then(|| {
            ResourceArc::new(Receipt {
                unheard: Mutex::new(Some(response.clone())),
                live: Arc::downgrade(live),
                _bridge: bridge.clone(),
            })
        })
    }

    fn take(&self) -> Option<Response> {
        self.unheard.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let (Some(response), Some(live)) = (self.take(), self.live.upgrade()) {
            drop(caught(|| {
                live.run(move |live| live.bridge.abandon(&[Command::CreateContainer.code()], &response));
                Ok(())
            }));
        }
    }
}

/// Says that an answer was heard.
#[rustler::nif]
fn hear(receipt: ResourceArc<Receipt>) -> Atom {
    drop(receipt.take());
    atoms::ok()
}
