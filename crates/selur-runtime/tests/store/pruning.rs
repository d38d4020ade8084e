//! Pruning: what nothing uses goes, and no more.

use crate::support::TestStore;
use selur_protocol::ContainerId;
use selur_runtime::{Images, PruneOptions, Pruned};
use selur_testkit::{ImageBuilder, Layer, Tarball, gzip};
use tempfile::TempDir;

const ALL: PruneOptions = PruneOptions {
    all: true,
    dry_run: false,
};

async fn load(store: &TestStore, name: &str, layers: &[&Layer]) -> String {
    let layout = TempDir::new().unwrap();
    let builder = layers.iter().fold(ImageBuilder::empty(), |builder, layer| {
        builder.layer((*layer).clone())
    });
    builder.label("name", name).write_layout(layout.path());
    let mut loaded = store.store.load(layout.path(), Some(name)).await.unwrap();
    loaded.remove(0).digest
}

fn layer(text: &str) -> Layer {
    let tar = Tarball::new()
        .file("a/b/file", 0o644, text.repeat(30_000))
        .hard_link("a/link", "a/b/file")
        .symlink("a/s", &"x".repeat(200))
        .directory("empty", 0o755);
    tar.into()
}

/// What prune says it would do, and does.
async fn prune(store: &TestStore, options: PruneOptions) -> Pruned {
    let told = store
        .store
        .prune(PruneOptions {
            dry_run: true,
            ..options
        })
        .await
        .unwrap();
    let done = store.store.prune(options).await.unwrap();
    assert_eq!(told, done, "what is told is what is done");
    done
}

/// What the files of a directory take, as `du` counts.
fn room(store: &TestStore) -> u64 {
    let output = std::process::Command::new("du")
        .args(["-s", "-B1"])
        .arg(store.path("blobs"))
        .arg(store.path("layers"))
        .arg(store.path("refs"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| line.split('\t').next().unwrap().parse::<u64>().unwrap())
        .sum()
}

#[tokio::test]
async fn images_without_containers_go_and_the_freed_room_is_exact() {
    let store = TestStore::in_memory();
    let (shared, own, used) = (layer("shared"), layer("own"), layer("used"));
    load(&store, "one:v1", &[&shared, &own]).await;
    load(&store, "two:v1", &[&shared]).await;
    let pinned = load(&store, "used:v1", &[&used]).await;
    let container = ContainerId::from_bytes([1; 16]);
    store.store.pin(container, &pinned).unwrap();

    assert_eq!(
        prune(&store, PruneOptions::default()).await,
        Pruned::default(),
        "all have names"
    );
    let before = room(&store);
    let pruned = prune(&store, ALL).await;
    let expected = ["docker.io/library/one:v1", "docker.io/library/two:v1"];
    assert_eq!(
        (pruned.references.as_slice(), pruned.layers),
        (&expected.map(String::from)[..], 2)
    );
    assert_eq!(pruned.freed_bytes, before - room(&store));
    assert!(pruned.freed_bytes > 300_000, "{pruned:?}");
    assert_eq!(store.store.content(&pinned).unwrap().layers.len(), 1);

    store.store.unpin(container).unwrap();
    let pruned = prune(&store, ALL).await;
    assert_eq!((pruned.references.len(), pruned.layers), (1, 1));
    store.assert_empty();
}

#[tokio::test]
async fn what_a_living_process_works_with_stays() {
    let store = TestStore::new();
    load(&store, "app:v1", &[&layer("leased")]).await;
    let content = store.resolve("app:v1").await.unwrap();
    assert_eq!(prune(&store, ALL).await, Pruned::default());
    // Without its name it is still held.
    store.store.delete("app:v1").await.unwrap();
    assert_eq!(prune(&store, ALL).await, Pruned::default());
    assert!(content.layers[0].is_dir());
    drop(content);
    let pruned = prune(&store, PruneOptions::default()).await;
    assert_eq!((pruned.references.len(), pruned.layers), (0, 1));
    store.assert_empty();
}

#[tokio::test]
async fn layers_of_a_broken_pull_and_of_dead_processes_are_left_over() {
    let store = TestStore::new();
    let (good, bad) = (
        layer("good"),
        Layer::forged(gzip(b"no tar"), &format!("sha256:{}", "0".repeat(64))),
    );
    let layout = TempDir::new().unwrap();
    ImageBuilder::empty()
        .layer(good)
        .layer(bad)
        .write_layout(layout.path());
    store.store.load(layout.path(), Some("app:v1")).await.unwrap_err();
    // As a process leaves it that is killed.
    let dead = store.path("ingest").join("0".repeat(32));
    std::fs::create_dir(&dead).unwrap();
    std::fs::write(dead.join("half"), vec![1; 100_000]).unwrap();
    let before = room(&store);
    let pruned = prune(&store, PruneOptions::default()).await;
    assert!(pruned.layers <= 1, "{pruned:?}");
    assert!(
        pruned.freed_bytes >= before - room(&store) + 100_000,
        "{pruned:?}"
    );
    store.assert_empty();
}
