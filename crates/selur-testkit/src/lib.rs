//! Images, registries and waiting, for selur's own tests.
//!
//! Everything here is synchronous and stands on the standard library, so that tests of every layer can use it. It
//! never touches the network beyond loopback, and what it starts it stops when dropped. It must never be a dependency
//! of anything but tests.
