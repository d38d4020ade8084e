//! Leases: what keeps the store's content alive while a process works with it.

/// Keeps what it names from being removed until it is dropped, or until its process ends however it ends.
#[derive(Debug)]
pub(super) struct Lease {}
