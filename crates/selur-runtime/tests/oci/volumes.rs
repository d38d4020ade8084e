//! Named volumes under real containers.

use crate::support::*;
use selur_protocol::Status;
use selur_runtime::{
    ContainerSpec, Mount, Operation, OutputStream, Runtime, RuntimeError, Volume, VolumeOptions,
};
use selur_testkit::{ImageBuilder, Tarball};
use std::sync::atomic::{AtomicBool, Ordering};

fn volume(name: &str, target: &str, read_only: bool) -> Mount {
    Mount::Volume {
        source: name.into(),
        target: target.into(),
        read_only,
    }
}

fn with(mounts: Vec<Mount>, script: &str) -> ContainerSpec {
    ContainerSpec {
        mounts,
        ..shell(script)
    }
}

impl World {
    async fn volumes(&self) -> Vec<Volume> {
        self.oci.volumes().unwrap().list().await.unwrap()
    }

    async fn delete_volume(&self, name: &str) -> Result<(), RuntimeError> {
        self.oci.volumes().unwrap().delete(name).await
    }

    /// Everything below `volumes/` that is no volume and no lock.
    fn leftovers(&self) -> Vec<String> {
        let volumes = self.root().volumes();
        let hidden = std::fs::read_dir(&volumes).unwrap();
        let hidden = hidden.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let hidden = hidden.filter(|name| name.starts_with('.') && name != ".lock" && name != ".uses");
        let uses = std::fs::read_dir(self.root().volume_uses()).unwrap();
        hidden
            .chain(uses.map(|entry| entry.unwrap().file_name().into_string().unwrap()))
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_to_a_volume_outlives_its_containers() {
    let world = World::new().await;
    let (_, output) = world
        .output_of(with(
            vec![volume("data", "/data", false)],
            "echo kept > /data/file && stat -c '%a %u' /data",
        ))
        .await;
    assert_eq!(output, "755 0\n");
    let reader = world
        .create(with(
            vec![volume("data", "/other/place", true)],
            "cat /other/place/file; (echo x > /other/place/file) 2>&1",
        ))
        .await;
    world.perform(reader, Operation::Start).await.unwrap();
    world.ended(reader).await;
    let output = world.log(reader, OutputStream::Stdout).await;
    assert!(
        output.starts_with("kept\n") && output.contains("Read-only file system"),
        "{output}"
    );

    let volumes = world.volumes().await;
    assert_eq!(volumes.len(), 1);
    assert_eq!(volumes[0].containers.len(), 2);
    let data = std::path::PathBuf::from(volumes[0].path.as_ref().unwrap());
    assert_eq!(std::fs::read_to_string(data.join("file")).unwrap(), "kept\n");
    for container in &volumes[0].containers {
        let error = world.delete_volume("data").await.unwrap_err();
        assert_eq!(error.status(), Status::InvalidState);
        assert!(error.to_string().contains(container), "{error}");
        let id = selur_protocol::ContainerId::parse(container).unwrap();
        world.delete_stopped(id).await;
    }
    assert!(world.volumes().await[0].containers.is_empty());
    world.delete_volume("data").await.unwrap();
    assert!(!data.exists());
    let error = world.delete_volume("data").await.unwrap_err();
    assert_eq!(error.status(), Status::VolumeNotFound);
    assert!(world.leftovers().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_is_made_once_and_keeps_its_labels() {
    let world = World::new().await;
    let volumes = world.oci.volumes().unwrap();
    let labelled = |label: &str| VolumeOptions {
        labels: [("team".to_owned(), label.to_owned())].into(),
    };
    let made = volumes.create("data", labelled("blue")).await.unwrap();
    assert_eq!(volumes.create("data", labelled("blue")).await.unwrap(), made);
    assert_eq!(volumes.inspect("data").await.unwrap(), made);
    let error = volumes.create("data", labelled("red")).await.unwrap_err();
    assert_eq!(error.status(), Status::InvalidState);
    assert_eq!(
        volumes.inspect("nobody").await.unwrap_err().status(),
        Status::VolumeNotFound
    );
    for name in ["", ".hidden", "a/b", "..", &"x".repeat(64)] {
        let error = volumes.create(name, VolumeOptions::default()).await.unwrap_err();
        assert_eq!(error.status(), Status::InvalidRequest, "{name:?}");
    }
    world
        .create(with(vec![volume("data", "/d", false)], "true"))
        .await;
    assert_eq!(volumes.inspect("data").await.unwrap().labels["team"], "blue");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_volume_holds_what_the_image_has_at_its_place() {
    let layer = Tarball::new().file("srv/site/index.html", 0o640, "welcome\n");
    let image = ImageBuilder::busybox().layer(layer).cmd(["/bin/sh"]);
    let world = World::with(&image).await;
    let show = "cat /srv/site/index.html; stat -c %a /srv/site/index.html";
    let first = with(
        vec![volume("site", "/srv/site", false)],
        &format!("{show}; echo changed > /srv/site/index.html"),
    );
    let (_, output) = world.output_of(first).await;
    assert_eq!(output, "welcome\n640\n");
    let (_, output) = world
        .output_of(with(vec![volume("site", "/srv/site", false)], show))
        .await;
    assert_eq!(output, "changed\n640\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_that_start_at_once_see_a_fresh_volume_whole() {
    let mut layer = Tarball::new();
    for index in 0..200 {
        layer = layer.file(&format!("srv/{index}"), 0o644, "x");
    }
    let world = World::with(&ImageBuilder::busybox().layer(layer)).await;
    let spec = with(vec![volume("many", "/srv", false)], "ls /srv | wc -l");
    let runs = (0..4).map(|_| world.output_of(spec.clone()));
    for (_, output) in futures_util::future::join_all(runs).await {
        assert_eq!(output.trim(), "200");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_cannot_be_made_uses_no_volume() {
    let world = World::new().await;
    let spec = with(vec![volume("data", "/data", false)], "true");
    let id = new_id();
    world
        .perform(id, creation(Some("web"), spec.clone()))
        .await
        .unwrap();
    // The name is taken, which is found after the volume's use could have been recorded.
    let error = world.perform(new_id(), creation(Some("web"), spec)).await;
    assert_eq!(error.unwrap_err().status(), Status::ContainerAlreadyExists);
    assert_eq!(world.volumes().await[0].containers, [id.to_string()]);
    world.delete_stopped(id).await;
    world.delete_volume("data").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_left_blocks_nobody() {
    let world = World::new().await;
    let volumes = world.oci.volumes().unwrap();
    volumes.create("data", VolumeOptions::default()).await.unwrap();
    // A create that died after it had recorded its use, a volume half made, and one half removed.
    let record =
        |id| std::fs::write(world.root().volume_use(id), r#"{"schema":1,"volumes":["data"]}"#).unwrap();
    record(new_id());
    for name in [".new-0", ".gone-0/data/deep"] {
        std::fs::create_dir_all(world.root().volumes().join(name)).unwrap();
    }
    world.delete_volume("data").await.unwrap();
    assert_eq!(world.leftovers().len(), 2);
    record(new_id());
    let _other = open(world.root().path()).unwrap();
    assert!(world.leftovers().is_empty(), "{:?}", world.leftovers());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_volume_is_removed_under_a_create_that_is_under_way() {
    let world = World::new().await;
    let done = AtomicBool::new(false);
    let remove = async {
        // Another process on the same root.
        let other = open(world.root().path()).unwrap();
        let mut removed = 0;
        while !done.load(Ordering::Relaxed) {
            match other.volumes().unwrap().delete("data").await {
                Ok(()) => removed += 1,
                Err(error) => assert!(
                    matches!(error.status(), Status::InvalidState | Status::VolumeNotFound),
                    "{error}"
                ),
            }
        }
        removed
    };
    let make = async {
        for _ in 0..10 {
            let id = world
                .create(with(vec![volume("data", "/data", false)], "true"))
                .await;
            assert!(world.root().volume_data("data").is_dir());
            world.perform(id, Operation::Start).await.unwrap();
            assert_eq!(world.ended(id).await.exit_code, Some(0));
            world.delete_stopped(id).await;
        }
        done.store(true, Ordering::Relaxed);
    };
    let (removed, ()) = tokio::join!(remove, make);
    assert!(removed > 0, "the two never met");
    world.delete_volume("data").await.ok();
    assert!(world.leftovers().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_whose_record_a_power_failure_took_is_made_again_with_what_is_in_it() {
    let world = World::new().await;
    let volumes = world.oci.volumes().unwrap();
    volumes.create("data", VolumeOptions::default()).await.unwrap();
    std::fs::write(world.root().volume_data("data").join("file"), "kept").unwrap();
    std::fs::remove_file(world.root().volume_record("data")).unwrap();
    let made = volumes.create("data", VolumeOptions::default()).await.unwrap();
    assert_eq!(made.name, "data");
    let file = world.root().volume_data("data").join("file");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "kept");
    assert_eq!(world.volumes().await.len(), 1);
    world.delete_volume("data").await.unwrap();
}
