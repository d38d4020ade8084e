//! Real containers. These tests need root, runc and overlayfs, and fail with a message where one is missing.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod attach;
mod confinement;
mod crowd;
mod events;
mod exec;
mod failures;
mod hostile_images;
mod lifecycle;
mod logs;
mod names;
mod records;
mod recovery;
mod restarts;
mod sessions;
mod spec;
mod stats;
mod support;
mod volumes;
