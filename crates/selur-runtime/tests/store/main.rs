//! The image store against registries: a real one, and scripted ones that misbehave.
//!
//! These tests need root, because layers hold owners and device nodes.

mod real_registry;
mod support;
