//! Several processes on one state root, and crash safety: real containers by runc, processes killed at random moments,
//! full disks, a registry that goes away, ends that nobody saw.
//!
//! What is true is found out without the runtime: from /proc, the cgroups, runc's own state and the files of the root.
//! `SELUR_CHAOS_SEED` repeats a run's choices; the moments at which processes meet stay the machine's.

mod caller;
mod disk;
mod evidence;
mod kills;
mod lost;
mod names;
mod registry;
mod script;
mod sharing;
mod world;
