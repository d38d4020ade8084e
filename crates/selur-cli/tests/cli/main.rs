//! The `selur` command as its users have it: the built program, on simulated containers and on real ones.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod arguments;
mod containers;
mod demo;
mod images;
mod process;
mod run;
mod simulated;
mod spec;
mod world;
