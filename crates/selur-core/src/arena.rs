//! The guest's arena as foreign code sees it: where it lies, and what keeps it there.

use crate::guest::{Broken, Instance};
use crate::shared::{Access, Shared};
use crate::{Bridge, Error};
use std::fmt;
use std::sync::Arc;

/// The part of the guest's memory that slots lie in, for foreign code that keeps a view of it.
///
/// Nothing but frames and their answers is in there. The memory stays where it is for as long as this value lives, also
/// when its bridge is closed and dropped meanwhile.
///
/// ```
/// use selur_core::{Backend, Bridge};
///
/// let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
/// let arena = bridge.arena()?;
/// let slot = bridge.reserve(100)?;
/// assert!(slot.address() >= arena.address() && slot.address() < arena.address() + arena.len());
/// # Ok::<(), selur_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Arena {
    _memory: Arc<Shared>,
    place: ArenaPlace,
}

/// Where an arena lies in this process.
#[derive(Clone, Copy)]
pub(crate) struct ArenaPlace {
    address: usize,
    bytes: u32,
}

impl ArenaPlace {
    pub(crate) fn of(guest: &Instance) -> Result<ArenaPlace, Broken> {
        let range = guest.arena();
        let bytes = range.end - range.start;
        let address = guest.memory().address(range.start, bytes)?;
        Ok(ArenaPlace { address, bytes })
    }
}

impl Arena {
    pub(crate) fn new(memory: Arc<Shared>, place: ArenaPlace) -> Arena {
        Arena {
            _memory: memory,
            place,
        }
    }

    /// Where its first byte lies in this process's memory; exposed provenance.
    pub fn address(&self) -> usize {
        self.place.address
    }

    /// Its length in bytes, which never changes.
    pub fn len(&self) -> usize {
        self.place.bytes as usize
    }

    /// Never: an arena without room is refused when the guest is loaded.
    pub fn is_empty(&self) -> bool {
        self.place.bytes == 0
    }
}

impl Bridge {
    /// The part of the guest's memory that slots lie in.
    ///
    /// # Errors
    /// - `invalid_request`: the bridge is closed.
    /// - `internal_error`: the guest is broken.
    pub fn arena(&self) -> Result<Arena, Error> {
        let place = self
            .shared()
            .ask(Access::Caller, |state| ArenaPlace::of(&state.guest))?;
        Ok(Arena::new(self.shared().clone(), place))
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
