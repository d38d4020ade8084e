//! Disks without room: a small tmpfs, mounted in a mount namespace of the test's own thread, gone with it.

use crate::support::{TestStore, resolve};
use rustix::mount::{MountFlags, MountPropagationFlags};
use selur_protocol::Status;
use selur_runtime::store::{Store, StoreOptions};
use selur_runtime::{Images, PruneOptions, PullPolicy};
use selur_testkit::{
    BuiltImage, Compression, Contents, ImageBuilder, Layer, ScriptedRegistry, Tarball, gzip, layout_tar,
};
use std::ffi::CString;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use tempfile::TempDir;

const ALL: PruneOptions = PruneOptions {
    all: true,
    dry_run: false,
};

/// A disk of its own size.
struct Disk {
    directory: TempDir,
}

impl Disk {
    /// Options as of mount(8): `size=`, `nr_inodes=`.
    fn mount(options: &str) -> Disk {
        let directory = TempDir::with_prefix("selur-disk-").unwrap();
        let options = CString::new(options).unwrap();
        let flags = MountFlags::empty();
        rustix::mount::mount("selur-test", directory.path(), "tmpfs", flags, options.as_c_str()).unwrap();
        Disk { directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn resize(&self, options: &str) {
        rustix::mount::mount_remount(self.path(), MountFlags::empty(), options).unwrap();
    }

    /// Blocks and files that are free.
    fn free(&self) -> (u64, u64) {
        let found = rustix::fs::statvfs(self.path()).unwrap();
        (found.f_bfree * found.f_frsize, found.f_ffree)
    }

    fn open(&self) -> Result<TestStore, selur_runtime::RuntimeError> {
        let options = StoreOptions {
            docker_config: None,
            ..StoreOptions::default()
        };
        let store = Store::open_with(self.path(), options)?;
        let root = TempDir::with_prefix("selur-store-").unwrap();
        // Where the test store looks.
        std::os::unix::fs::symlink(self.path().join("images"), root.path().join("images")).unwrap();
        Ok(TestStore { store, root })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Else the directory could not be removed. The namespace ends anyway.
        let _ = rustix::mount::unmount(self.path(), rustix::mount::UnmountFlags::DETACH);
    }
}

/// Runs a test in a thread with mounts of its own; tokio's threads inherit them.
fn with_own_mounts<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let thread = std::thread::spawn(|| {
        // SAFETY: this thread shares no file system state that others rely on; descriptors stay shared.
        unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }.unwrap();
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        rustix::mount::mount_change("/", private).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(test());
    });
    thread.join().unwrap();
}

/// Bytes that no compression makes shorter.
fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(bytes).collect()
}

fn image(seed: u64, layers: u64, bytes: usize) -> BuiltImage {
    let layer = |number: u64| {
        let tar = Tarball::new().file("dir/noise", 0o644, noise(seed * 100 + number, bytes));
        Layer::new(&tar.finish(), Compression::Gzip)
    };
    (0..layers)
        .fold(ImageBuilder::empty(), |builder, number| {
            builder.layer(layer(number))
        })
        .build()
}

#[test]
fn pull_on_a_full_disk_is_resource_exhausted_and_succeeds_when_there_is_room() {
    with_own_mounts(|| async {
        let (small, large) = (image(1, 1, 300_000), image(2, 3, 2_000_000));
        let contents = Contents::new()
            .image("small", "v1", &small)
            .image("large", "v1", &large);
        let registry = ScriptedRegistry::serving(contents);
        let reference = |name: &str| format!("{}/{name}:v1", registry.address());
        let disk = Disk::mount("size=8m");
        let store = disk.open().unwrap();
        drop(store.resolve(&reference("small")).await.unwrap());
        let free = disk.free();
        let before = (store.list("blobs"), store.list("layers"));

        let error = store.resolve(&reference("large")).await.unwrap_err();
        assert_eq!(error.status(), Status::ResourceExhausted, "{}", error.chain());
        let message = error.chain();
        assert!(
            message.contains("selur prune") && message.contains("state root"),
            "{message}"
        );
        store.assert_clean();
        assert_eq!(
            (store.list("blobs"), store.list("layers")),
            before,
            "what came of it is gone"
        );
        assert_eq!(disk.free(), free);
        let kept = resolve(&store.store, &reference("small"), PullPolicy::Never)
            .await
            .unwrap();
        assert_eq!(kept.manifest_digest, small.digest());
        drop(kept);

        disk.resize("size=64m");
        let pulled = store.resolve(&reference("large")).await.unwrap();
        assert_eq!((pulled.manifest_digest, pulled.layers.len()), (large.digest(), 3));
    });
}

#[test]
fn wherever_the_room_ends_a_pull_and_a_load_leave_nothing_half() {
    with_own_mounts(|| async {
        let built = image(3, 3, 30_000);
        let layout = TempDir::new().unwrap();
        let tars = (0..3).map(|number| {
            let tar = Tarball::new().file("dir/noise", 0o644, noise(300 + number, 30_000));
            Layer::new(&tar.finish(), Compression::Gzip)
        });
        tars.fold(ImageBuilder::empty(), ImageBuilder::layer)
            .write_layout(layout.path());
        let directory = TempDir::new().unwrap();
        let archive = directory.path().join("images.tar.gz");
        std::fs::write(&archive, gzip(&layout_tar(layout.path()))).unwrap();
        let registry = ScriptedRegistry::serving(Contents::new().image("app", "v1", &built));
        let reference = format!("{}/app:v1", registry.address());
        let sizes = (1..120).map(|pages| format!("size={}", pages * 4096));
        let inodes = (1..60).map(|inodes| format!("size=8m,nr_inodes={inodes}"));
        let (mut failed, mut succeeded) = (0, 0);
        for options in sizes.chain(inodes) {
            let disk = Disk::mount(&options);
            let Ok(store) = disk.open() else {
                continue;
            };
            for source in ["registry", "layout", "archive"] {
                let result = match source {
                    "registry" => store.resolve(&reference).await.map(drop),
                    "layout" => store.store.load(layout.path(), Some(&reference)).await.map(drop),
                    _ => store.store.load(&archive, Some(&reference)).await.map(drop),
                };
                match result {
                    Ok(()) => {
                        succeeded += 1;
                        store.store.delete(&reference).await.unwrap();
                    }
                    Err(error) => {
                        failed += 1;
                        let message = error.chain();
                        assert_eq!(
                            error.status(),
                            Status::ResourceExhausted,
                            "{options} {source}: {message}"
                        );
                    }
                }
                store.assert_empty();
            }
        }
        assert!(
            failed > 100 && succeeded > 100,
            "{failed} failed and {succeeded} succeeded"
        );
    });
}

#[test]
fn prune_works_where_nothing_more_can_be_made_and_tells_what_it_frees() {
    with_own_mounts(|| async {
        let built = image(4, 2, 400_000);
        let registry = ScriptedRegistry::serving(Contents::new().image("app", "v1", &built));
        let reference = format!("{}/app:v1", registry.address());
        for is_without_inodes in [false, true] {
            let disk = Disk::mount("size=4m,nr_inodes=200");
            let store = disk.open().unwrap();
            drop(store.resolve(&reference).await.unwrap());
            let ballast = disk.path().join("ballast");
            if is_without_inodes {
                std::fs::create_dir(&ballast).unwrap();
                while File::create(ballast.join(disk.free().1.to_string())).is_ok() {}
            } else {
                let mut file = File::create(&ballast).unwrap();
                while file.write_all(&[1; 4096]).is_ok() {}
            }
            let before = disk.free();
            assert!(before.0 == 0 || before.1 == 0, "{before:?}");
            let dry = PruneOptions { dry_run: true, ..ALL };
            let told = store.store.prune(dry).await.unwrap();
            let pruned = store.store.prune(ALL).await.unwrap();
            assert_eq!(told, pruned);
            assert_eq!((pruned.references.len(), pruned.layers), (1, 2));
            assert_eq!(disk.free().0 - before.0, pruned.freed_bytes, "as the disk counts");
            store.assert_empty();
            disk.resize("size=8m,nr_inodes=2000");
            drop(store.resolve(&reference).await.unwrap());
        }
    });
}
