//! What every test here needs.

use selur_runtime::store::{ImageContent, Store, StoreOptions};
use selur_runtime::{Images, PullPolicy, RuntimeError};
use selur_testkit::{ImageBuilder, Layer};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A store on a state root of its own, without credentials.
pub(crate) struct TestStore {
    pub(crate) store: Store,
    pub(crate) root: TempDir,
}

impl TestStore {
    pub(crate) fn new() -> TestStore {
        TestStore::with(StoreOptions {
            docker_config: None,
            ..StoreOptions::default()
        })
    }

    /// A store in memory, for tests that make thousands of directories: some disks take milliseconds for each.
    pub(crate) fn in_memory() -> TestStore {
        let root = TempDir::with_prefix_in("selur-store-", "/dev/shm").unwrap();
        TestStore::at(
            root,
            StoreOptions {
                docker_config: None,
                ..StoreOptions::default()
            },
        )
    }

    pub(crate) fn with(options: StoreOptions) -> TestStore {
        TestStore::at(TempDir::with_prefix("selur-store-").unwrap(), options)
    }

    fn at(root: TempDir, options: StoreOptions) -> TestStore {
        assert!(
            rustix::process::geteuid().is_root(),
            "these tests unpack owners and device nodes: run them as root"
        );
        let store = Store::open_with(root.path(), options).unwrap();
        TestStore { store, root }
    }

    pub(crate) async fn resolve(&self, reference: &str) -> Result<ImageContent, RuntimeError> {
        resolve(&self.store, reference, PullPolicy::Missing).await
    }

    /// What lies in a directory of the store.
    pub(crate) fn list(&self, directory: &str) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.path(directory))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn path(&self, directory: &str) -> PathBuf {
        self.root.path().join("images").join(directory)
    }

    /// Nothing is left of an attempt: no temporary file, no lease, no lock.
    pub(crate) fn assert_clean(&self) {
        for directory in ["ingest", "leases", "locks"] {
            assert_eq!(self.list(directory), [""; 0], "in {directory}");
        }
    }

    /// As before the first pull.
    pub(crate) fn assert_empty(&self) {
        self.assert_clean();
        for directory in ["blobs", "layers", "refs", "uses"] {
            assert_eq!(self.list(directory), [""; 0], "in {directory}");
        }
    }
}

pub(crate) async fn resolve(
    store: &Store,
    reference: &str,
    policy: PullPolicy,
) -> Result<ImageContent, RuntimeError> {
    store
        .resolve(reference, policy, &|_| {}, CancellationToken::new())
        .await
}

pub(crate) fn read(layer: &Path, path: &str) -> String {
    std::fs::read_to_string(layer.join(path)).unwrap()
}

/// Loads an image that consists of these layers, bottom first.
pub(crate) async fn load(
    store: &TestStore,
    layers: impl IntoIterator<Item = Layer>,
) -> Result<ImageContent, RuntimeError> {
    let directory = TempDir::new().unwrap();
    let builder = layers
        .into_iter()
        .fold(ImageBuilder::empty(), ImageBuilder::layer);
    builder.write_layout(directory.path());
    store.store.load(directory.path(), Some("layers:test")).await?;
    resolve(&store.store, "layers:test", PullPolicy::Never).await
}
