//! The image store against registries: a real one, and scripted ones that misbehave.
//!
//! These tests need root, because layers hold owners and device nodes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod archives;
mod authentication;
mod cancellation;
mod full_disk;
mod hostile_layers;
mod hostile_registries;
mod layers;
mod layouts;
mod pruning;
mod push;
mod real_registry;
mod sharing;
mod support;
