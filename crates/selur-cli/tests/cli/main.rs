//! The `selur` command as its users have it: the built program, on simulated containers and on real ones.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod arguments;
mod attach;
mod check;
mod containers;
mod demo;
mod exec;
mod images;
mod process;
mod pty;
mod run;
mod simulated;
mod spec;
mod streams;
mod terminal;
mod world;
