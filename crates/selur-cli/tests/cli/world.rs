//! A fresh state root for real containers, with an image in it. Dropped, it takes all its containers along.

use crate::process::{Ending, Running, command};
use selur_testkit::{ImageBuilder, Tarball};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// The image that every world has: busybox, which is Debian's static one.
pub(crate) const IMAGE: &str = "test.invalid/busybox:1";
/// A state root.
pub(crate) struct World {
    directory: TempDir,
}

impl World {
    /// A state root without images.
    pub(crate) fn empty() -> World {
        World {
            directory: tempfile::Builder::new().prefix("selur-test-").tempdir().unwrap(),
        }
    }

    /// A state root with [`IMAGE`].
    pub(crate) fn new() -> World {
        let world = World::empty();
        let layout = world.layout("maker", "selur");
        world.selur(&["load", layout.to_str().unwrap(), IMAGE]).ok();
        world
    }

    /// The state root itself.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// The command on this root.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let root = self.root();
        command(&[&["--root", root.to_str().unwrap()], arguments].concat())
    }

    /// Runs the command on this root to its end.
    #[track_caller]
    pub(crate) fn selur(&self, arguments: &[&str]) -> Ending {
        Running::start(self.command(arguments)).end()
    }

    /// What inspect says of a container.
    #[track_caller]
    pub(crate) fn inspect(&self, container: &str) -> serde_json::Value {
        self.selur(&["inspect", container]).json()[0].take()
    }

    /// How many containers there are.
    #[track_caller]
    pub(crate) fn count(&self) -> usize {
        self.selur(&["--format", "json", "ps", "-a"])
            .json()
            .as_array()
            .unwrap()
            .len()
    }

    /// Writes an OCI image layout with busybox and this label.
    pub(crate) fn layout(&self, key: &str, value: &str) -> PathBuf {
        let layout = self.directory.path().join("layout");
        let notes = Tarball::new().file("notes.txt", 0o644, "not a program\n");
        ImageBuilder::busybox()
            .layer(notes)
            .label(key, value)
            .write_layout(&layout);
        layout
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let listed = Running::start(self.command(&["ps", "-a", "-q"])).end();
        let ids: Vec<&str> = listed.stdout.lines().collect();
        if !ids.is_empty() {
            Running::start(self.command(&[&["rm", "-f"], &ids[..]].concat())).end();
        }
    }
}
