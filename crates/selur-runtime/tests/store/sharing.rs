//! Several tasks and processes on one store; containers that use images; crashes.

use crate::support::{TestStore, read, resolve};
use selur_protocol::{ContainerId, Status};
use selur_runtime::store::{Store, StoreOptions};
use selur_runtime::{Images, PullPolicy};
use selur_testkit::{
    BuiltImage, Contents, DockerRegistry, ImageBuilder, Reply, ScriptedRegistry, Tarball, wait_until,
};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a child process is told.
const ROOT_VARIABLE: &str = "SELUR_TEST_STORE_ROOT";
const REFERENCE_VARIABLE: &str = "SELUR_TEST_REFERENCE";
const TOGETHER_VARIABLE: &str = "SELUR_TEST_TOGETHER";
/// What a user sets.
const CONFIG_VARIABLE: &str = "DOCKER_CONFIG";

fn image(text: &str) -> BuiltImage {
    let layer = |name: &str| Tarball::new().file(name, 0o644, format!("{text} {name}").repeat(10_000));
    ["one", "two", "three", "four", "five"]
        .iter()
        .fold(ImageBuilder::empty(), |builder, name| builder.layer(layer(name)))
        .build()
}

fn open(root: &Path) -> Store {
    Store::open_with(
        root,
        StoreOptions {
            docker_config: None,
            ..StoreOptions::default()
        },
    )
    .unwrap()
}

fn container(digit: u8) -> ContainerId {
    ContainerId::parse(&format!("{digit:x}").repeat(32)).unwrap()
}

/// Another process that pulls: this test program, told to run the test below alone.
fn pulling_process(root: &Path, reference: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "sharing::a_process_pulls_into_the_store_it_is_given"])
        .env(ROOT_VARIABLE, root)
        .env(REFERENCE_VARIABLE, reference)
        .env(CONFIG_VARIABLE, "/nonexistent")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn pull_in_another_process(root: &Path, reference: &str) -> Child {
    pulling_process(root, reference).spawn().unwrap()
}

#[tokio::test]
async fn a_process_pulls_into_the_store_it_is_given() {
    let variable = |name: &str| std::env::var_os(name);
    if let (Some(root), Some(reference)) = (variable(ROOT_VARIABLE), variable(REFERENCE_VARIABLE)) {
        let opened = Store::open(root.as_ref()).unwrap();
        let mut policy = PullPolicy::Missing;
        if variable(TOGETHER_VARIABLE).is_some() {
            // All begin when their parent closes their inputs.
            std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
            policy = PullPolicy::Always;
        }
        let content = resolve(&opened, reference.to_str().unwrap(), policy)
            .await
            .unwrap();
        assert_eq!(content.layers.len(), 5);
        return;
    }
    let (store, image) = (TestStore::new(), image("own"));
    let registry = ScriptedRegistry::serving(Contents::new().image("app", "v1", &image));
    let reference = format!("{}/app:v1", registry.address());
    let mut child = pull_in_another_process(store.root.path(), &reference);
    let status = tokio::task::spawn_blocking(move || child.wait().unwrap());
    assert!(status.await.unwrap().success());
    let content = resolve(&store.store, &reference, PullPolicy::Never)
        .await
        .unwrap();
    assert_eq!(content.layers.len(), 5);
}

#[tokio::test]
async fn eight_processes_that_pull_five_layers_at_once_transfer_each_blob_once() {
    let (store, image) = (TestStore::new(), image("eight"));
    let registry = DockerRegistry::start();
    let reference = registry.push(&image, "app:v1");
    let mut children: Vec<Child> = (0..8)
        .map(|_| {
            let mut command = pulling_process(store.root.path(), &reference);
            command.env(TOGETHER_VARIABLE, "1").stdin(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    for child in &mut children {
        drop(child.stdin.take());
    }
    let ended = tokio::task::spawn_blocking(move || {
        children
            .iter_mut()
            .map(|child| child.wait().unwrap())
            .collect::<Vec<_>>()
    });
    for status in ended.await.unwrap() {
        assert!(status.success(), "a child ended with {status}");
    }
    let count = |end: &str| {
        let asked = |(method, path, _): &(String, String, u16)| method == "GET" && path.ends_with(end);
        registry.accesses().iter().filter(|access| asked(access)).count()
    };
    // The log is written after the answer.
    wait_until("all pulls are logged", Duration::from_secs(20), || {
        count("/manifests/v1") == 8
    });
    for blob in image.blobs() {
        let digest = selur_testkit::digest(blob);
        wait_until("the blob is logged", Duration::from_secs(20), || {
            count(&digest) > 0
        });
        assert_eq!(count(&digest), 1, "{digest}: {:?}", registry.accesses());
    }
    assert_eq!(
        count(""),
        8 + 6,
        "eight manifests, five layers, one configuration"
    );
    store.assert_clean();
}

#[tokio::test]
async fn who_waits_takes_over_what_a_killed_process_was_fetching() {
    let image = image("taken over");
    let config = selur_testkit::digest(&image.config);
    for stalled in [config, image.layers[2].digest()] {
        let store = TestStore::new();
        let (end, is_first) = (stalled.clone(), Arc::new(AtomicBool::new(true)));
        let contents = Contents::new().image("app", "v1", &image);
        let registry = ScriptedRegistry::start(contents, move |request| {
            let stalls = request.path.ends_with(&end) && is_first.swap(false, Ordering::SeqCst);
            stalls.then(|| Reply::status(200).body("x").stalls().claims(1000))
        });
        let reference = format!("{}/app:v1", registry.address());
        let path = format!("/v2/app/blobs/{stalled}");
        let asked = |path: &str| registry.counts().get(path).copied().unwrap_or_default();
        let mut first = pull_in_another_process(store.root.path(), &reference);
        wait_until("the first one fetches", Duration::from_secs(20), || {
            asked(&path) == 1
        });
        let mut second = pull_in_another_process(store.root.path(), &reference);
        wait_until("the second one pulls, too", Duration::from_secs(20), || {
            asked("/v2/app/manifests/v1") == 2
        });
        first.kill().unwrap();
        first.wait().unwrap();
        let status = tokio::task::spawn_blocking(move || second.wait().unwrap());
        assert!(status.await.unwrap().success(), "{stalled}");
        assert_eq!(asked(&path), 2, "{stalled}");
        open(store.root.path());
        store.assert_clean();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_tasks_and_two_processes_fetch_each_layer_once() {
    let (store, image) = (TestStore::new(), image("shared"));
    let registry = ScriptedRegistry::serving(Contents::new().image("app", "v1", &image));
    let reference = format!("{}/app:v1", registry.address());
    let children = [(); 2].map(|()| pull_in_another_process(store.root.path(), &reference));
    let tasks = [(); 8].map(|()| {
        let (opened, reference) = (open(store.root.path()), reference.clone());
        tokio::spawn(async move {
            resolve(&opened, &reference, PullPolicy::Always)
                .await
                .unwrap()
                .layers
                .len()
        })
    });
    for task in tasks {
        assert_eq!(task.await.unwrap(), 5);
    }
    for mut child in children {
        let status = tokio::task::spawn_blocking(move || child.wait().unwrap())
            .await
            .unwrap();
        assert!(status.success(), "a child ended with {status}");
    }
    let counts = registry.counts();
    for layer in &image.layers {
        assert_eq!(
            counts.get(&format!("/v2/app/blobs/{}", layer.digest())),
            Some(&1),
            "{counts:?}"
        );
    }
    assert_eq!(store.list("layers").len(), 10);
    store.assert_clean();
}

#[tokio::test]
async fn credential_helpers_are_run_and_asked_for_the_registry() {
    let (store, image) = (TestStore::new(), image("private"));
    let contents = Contents::new().image("app", "v1", &image);
    let registry = ScriptedRegistry::start(contents, |request| {
        let is_known = request.header("authorization") == Some("Basic dXNlcjpodW50ZXIy");
        (!is_known).then(|| Reply::status(401).header("www-authenticate", "Basic realm=\"x\""))
    });
    let directory = tempfile::TempDir::new().unwrap();
    let address = registry.address();
    let helper = format!(
        "#!/bin/sh\n[ \"$1 $(cat)\" = 'get {address}' ] && echo '{{\"Username\":\"user\",\"Secret\":\"hunter2\"}}'\n"
    );
    let helper_path = directory.path().join("docker-credential-selur-test");
    std::fs::write(&helper_path, helper).unwrap();
    std::fs::set_permissions(&helper_path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!(
        "{}:{}",
        directory.path().display(),
        std::env::var("PATH").unwrap()
    );
    let configs = [
        format!(r#"{{"credHelpers": {{"{address}": "selur-test"}}}}"#),
        r#"{"credsStore": "selur-test"}"#.to_owned(),
        format!(r#"{{"auths": {{"{address}": {{}}}}, "credsStore": "selur-test"}}"#),
    ];
    for config in configs {
        std::fs::write(directory.path().join("config.json"), &config).unwrap();
        let mut command = pulling_process(store.root.path(), &format!("{address}/app:v1"));
        command.env("PATH", &path).env(CONFIG_VARIABLE, directory.path());
        let status = tokio::task::spawn_blocking(move || command.status().unwrap())
            .await
            .unwrap();
        assert!(status.success(), "{config}: a child ended with {status}");
        store.store.delete(&format!("{address}/app:v1")).await.unwrap();
    }
}

#[tokio::test]
async fn a_process_that_is_killed_in_the_middle_leaves_what_the_next_one_removes() {
    let (store, image) = (TestStore::new(), image("killed"));
    let (stalled, length) = (image.layers[2].digest(), image.layers[2].blob().len() as u64);
    let contents = Contents::new().image("app", "v1", &image);
    let registry = ScriptedRegistry::start(contents.clone(), move |request| {
        request
            .path
            .ends_with(&stalled)
            .then(|| Reply::status(200).body("x").claims(length).stalls())
    });
    let mut child = pull_in_another_process(store.root.path(), &format!("{}/app:v1", registry.address()));
    let (ingest, stalled) = (
        store.path("ingest"),
        format!("/v2/app/blobs/{}", image.layers[2].digest()),
    );
    let is_stalled =
        || registry.counts().contains_key(&stalled) && std::fs::read_dir(&ingest).unwrap().count() == 1;
    wait_until("the layer is being fetched", Duration::from_secs(20), is_stalled);
    // Stores that are opened meanwhile leave it alone.
    open(store.root.path());
    assert_eq!((store.list("ingest").len(), store.list("leases").len()), (1, 1));
    child.kill().unwrap();
    child.wait().unwrap();

    open(store.root.path());
    store.assert_clean();
    let registry = ScriptedRegistry::serving(contents);
    let content = store
        .resolve(&format!("{}/app:v1", registry.address()))
        .await
        .unwrap();
    assert_eq!(content.layers.len(), 5);
    assert!(read(&content.layers[2], "three").starts_with("killed three"));
}

#[tokio::test]
async fn image_of_a_container_cannot_be_deleted() {
    let (store, image) = (TestStore::new(), image("used"));
    let registry = ScriptedRegistry::serving(
        Contents::new()
            .image("app", "v1", &image)
            .image("app", "v2", &image),
    );
    let references = ["v1", "v2"].map(|tag| format!("{}/app:{tag}", registry.address()));
    for reference in &references {
        store.resolve(reference).await.unwrap();
    }
    let opened = &store.store;
    opened.pin(container(1), &image.digest()).unwrap();
    opened.pin(container(2), &image.digest()).unwrap();
    assert_eq!(
        opened.pins().unwrap(),
        [(container(1), image.digest()), (container(2), image.digest())]
    );

    opened.delete(&references[0]).await.unwrap();
    let error = opened.delete(&references[1]).await.unwrap_err();
    assert_eq!(error.status(), Status::InvalidState);
    assert!(
        error.chain().contains(&container(1).to_string()),
        "{}",
        error.chain()
    );
    assert_eq!(opened.content(&image.digest()).unwrap().layers.len(), 5);

    for digit in [1, 2, 2] {
        opened.unpin(container(digit)).unwrap();
    }
    opened.delete(&references[1]).await.unwrap();
    store.assert_empty();
    for error in [
        opened.pin(container(3), &image.digest()).err(),
        opened.content(&image.digest()).err(),
    ] {
        assert_eq!(error.unwrap().status(), Status::ImageNotFound);
    }
}

#[tokio::test]
async fn what_a_tag_stood_for_stays_as_long_as_a_container_uses_it() {
    let (store, old, new) = (TestStore::new(), image("old"), image("new"));
    let registry = ScriptedRegistry::serving(
        Contents::new()
            .image("app", "old", &old)
            .image("app", "new", &new),
    );
    let layout = tempfile::TempDir::new().unwrap();
    let directory = |name: &str| layout.path().join(name);
    for name in ["old", "new"] {
        store
            .resolve(&format!("{}/app:{name}", registry.address()))
            .await
            .unwrap();
    }
    ImageBuilder::empty()
        .layer(Tarball::new().file("f", 0o644, "old"))
        .write_layout(directory("old"));
    ImageBuilder::empty()
        .layer(Tarball::new().file("f", 0o644, "new"))
        .write_layout(directory("new"));
    let first = store
        .store
        .load(&directory("old"), Some("moving:v1"))
        .await
        .unwrap()
        .remove(0);
    store.store.pin(container(1), &first.digest).unwrap();
    store
        .store
        .load(&directory("new"), Some("moving:v1"))
        .await
        .unwrap();
    let content = store.store.content(&first.digest).unwrap();
    assert_eq!(read(&content.layers[0], "f"), "old");
}

#[tokio::test]
async fn content_that_is_held_outlives_its_reference() {
    let (store, image) = (TestStore::new(), image("held"));
    let registry = ScriptedRegistry::serving(Contents::new().image("app", "v1", &image));
    let reference = format!("{}/app:v1", registry.address());
    let content = store.resolve(&reference).await.unwrap();
    store.store.delete(&reference).await.unwrap();
    assert!(content.layers.iter().all(|layer| layer.is_dir()));
    store.store.pin(container(1), &content.manifest_digest).unwrap();
    drop(content);

    let again = resolve(&store.store, &reference, PullPolicy::Never)
        .await
        .unwrap_err();
    assert_eq!(again.status(), Status::ImageNotFound);
    assert_eq!(store.store.content(&image.digest()).unwrap().layers.len(), 5);
    store.store.unpin(container(1)).unwrap();
    store.assert_empty();
}

#[tokio::test]
async fn damaged_documents_and_missing_layers_are_pulled_again() {
    let (store, image) = (TestStore::new(), image("damaged"));
    let registry = ScriptedRegistry::serving(Contents::new().image("app", "v1", &image));
    let reference = format!("{}/app:v1", registry.address());
    type Harm = fn(&TestStore);
    let harms: [(&str, Harm); 3] = [
        ("documents", |store| {
            for name in store.list("blobs") {
                std::fs::write(store.path("blobs").join(name), "damaged").unwrap();
            }
        }),
        ("layers", |store| {
            std::fs::remove_dir_all(store.path("layers").join(&store.list("layers")[0])).unwrap()
        }),
        ("blobs", |store| {
            std::fs::remove_dir_all(store.path("blobs"))
                .and_then(|()| std::fs::create_dir(store.path("blobs")))
                .unwrap()
        }),
    ];
    for (name, harm) in harms {
        store.resolve(&reference).await.unwrap();
        harm(&store);
        let content = store.resolve(&reference).await.unwrap();
        assert!(content.layers.iter().all(|layer| layer.is_dir()), "{name}");
    }
}

#[tokio::test]
async fn store_of_a_newer_schema_is_refused() {
    let store = TestStore::new();
    std::fs::write(store.path("store.json"), r#"{"schema":2,"more":true}"#).unwrap();
    let error = Store::open(store.root.path()).unwrap_err();
    assert_eq!(error.status(), Status::Unsupported);
    assert!(error.chain().contains("schema 2"), "{}", error.chain());
}
