//! Images of real daemons: files, registries that want credentials, pruning.

use crate::Daemon;
use selur_conformance::suite::{Fixture, Program};
use selur_protocol::Status;
use selur_runtime::{ContainerSpec, Images, PruneOptions, PullPolicy, Runtime, RuntimeError};
use selur_testkit::{
    Authentication, BuiltImage, DockerRegistry, ImageBuilder, PASSWORD, Tarball, USERNAME, gzip, zstd,
};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// Set in the process that has a login of its own.
const LOGIN: &str = "SELUR_TEST_LOGIN";

impl Daemon {
    fn images(&self) -> &dyn Images {
        self.runtime.images().expect("the backend has images")
    }

    async fn pull(&self, reference: &str) -> Result<String, RuntimeError> {
        let pulled = self.images().pull(reference, &|_| {}, CancellationToken::new());
        pulled.await.map(|image| image.digest)
    }

    async fn push(&self, reference: &str) -> Result<String, RuntimeError> {
        let pushed = self.images().push(reference, &|_| {}, CancellationToken::new());
        pushed.await.map(|pushed| pushed.digest)
    }

    async fn has(&self, reference: &str) -> bool {
        let listed = self.images().list().await.expect("list");
        listed.iter().any(|image| image.reference == reference)
    }

    async fn prune(&self, all: bool, dry_run: bool) -> selur_runtime::Pruned {
        let pruned = self.images().prune(PruneOptions { all, dry_run }).await;
        pruned.unwrap_or_else(|error| panic!("{}", error.chain()))
    }
}

/// Where the login is stands in the environment, which one test must not change for the others: this one goes on in a
/// process of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_wants_credentials_gets_those_of_a_login() {
    let Some(login) = std::env::var_os(LOGIN) else {
        let login = TempDir::with_prefix("selur-login-").expect("a temporary directory can be made");
        let passed = Command::new(std::env::current_exe().expect("this program has a path"))
            .args([
                "--exact",
                "images::a_registry_that_wants_credentials_gets_those_of_a_login",
            ])
            .envs([(LOGIN, login.path()), ("DOCKER_CONFIG", login.path())])
            .output()
            .expect("this program can be run again");
        let said = String::from_utf8_lossy(&passed.stdout);
        assert!(passed.status.success() && said.contains("1 passed"), "{said}");
        return;
    };
    let registry = DockerRegistry::start_with(Authentication::Basic);
    let image = ImageBuilder::busybox().build();
    let reference = registry.push(&image, "private:v1");
    let log_in = |password: &str| {
        let entry = json!({ "username": USERNAME, "password": password });
        let logins = json!({ "auths": { registry.address().to_string(): entry } });
        let written = std::fs::write(Path::new(&login).join("config.json"), logins.to_string());
        written.expect("a file can be written");
    };
    let daemon = Daemon::new().await;
    let nobody = daemon.pull(&reference).await.expect_err("nobody has logged in");
    assert_eq!(nobody.status(), Status::PermissionDenied, "{}", nobody.chain());
    assert!(nobody.chain().contains("docker login"), "{}", nobody.chain());
    log_in("a wrong password");
    let refused = daemon.pull(&reference).await.expect_err("the password is wrong");
    assert_eq!(refused.status(), Status::PermissionDenied, "{}", refused.chain());
    assert!(
        !refused.chain().contains("a wrong password"),
        "{}",
        refused.chain()
    );

    log_in(PASSWORD);
    assert_eq!(daemon.pull(&reference).await.expect("pull"), image.digest());
    let copy = format!("{}/private:v2", registry.address());
    daemon.images().tag(&reference, &copy).await.expect("tag");
    let digest = daemon.push(&copy).await.expect("push");
    daemon.images().delete(&copy).await.expect("delete");
    // What it says that it pushed is there, and a container that is made pulls with the same login.
    let by_digest = format!("{}/private@{digest}", registry.address());
    assert_eq!(daemon.pull(&by_digest).await.expect("pull"), digest);
    let spec = ContainerSpec {
        pull: PullPolicy::Always,
        command: Some(vec!["true".to_owned()]),
        ..ContainerSpec::default()
    };
    let id = daemon
        .create(
            0x11,
            Program {
                image: copy.clone(),
                spec,
            },
        )
        .await;
    daemon.delete(id).await;
    log_in("a wrong password");
    let refused = daemon.push(&copy).await.expect_err("the password is wrong");
    assert_eq!(refused.status(), Status::PermissionDenied, "{}", refused.chain());
}

/// An image that nobody else has.
fn unique(text: &str) -> (BuiltImage, Vec<u8>) {
    let text = format!("{text} {}", std::process::id());
    let layer = Tarball::new().file("text", 0o644, &text).finish();
    let image = ImageBuilder::empty()
        .layer(Tarball::new().file("text", 0o644, &text))
        .cmd(["/text"]);
    (image.build(), layer)
}

/// A file as `docker save` wrote it.
fn saved((image, layer): &(BuiltImage, Vec<u8>), names: &[&str]) -> Vec<u8> {
    let (tarball, entry) = image.save_docker(Tarball::new(), &[layer], names);
    tarball
        .file("manifest.json", 0o644, json!([entry]).to_string())
        .finish()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_loaded_compressed_or_not_and_broken_ones_leave_nothing() {
    let daemon = Daemon::new().await;
    let directory = TempDir::with_prefix("selur-files-").expect("a temporary directory can be made");
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).expect("a file can be written");
        path
    };
    let named = saved(&unique("named"), &["loaded.test/app:1"]);
    for (name, bytes) in [
        ("plain", named.clone()),
        ("gzip", gzip(&named)),
        ("zstd", zstd(&named)),
    ] {
        let loaded = daemon.images().load(&write(name, &bytes), None).await;
        let loaded = loaded.unwrap_or_else(|error| panic!("{name}: {}", error.chain()));
        assert_eq!(loaded.len(), 1, "{name}");
        assert_eq!(loaded[0].reference, "loaded.test/app:1", "{name}");
        daemon.images().delete("loaded.test/app:1").await.expect("delete");
    }
    let nameless = write("nameless", &saved(&unique("nameless"), &[]));
    let loaded = daemon.images().load(&nameless, Some("loaded.test/given:1")).await;
    assert_eq!(loaded.expect("load")[0].reference, "loaded.test/given:1");
    daemon
        .images()
        .delete("loaded.test/given:1")
        .await
        .expect("delete");

    let before = daemon.prune(false, true).await;
    let packed = gzip(&named);
    for (name, bytes, words) in [
        ("nameless", saved(&unique("nameless"), &[]), "has no name"),
        ("cut", named[..named.len() / 2].to_vec(), "cannot load"),
        ("cut-gzip", packed[..packed.len() / 2].to_vec(), "cannot read"),
        ("text", b"this is no archive".to_vec(), "cannot load"),
    ] {
        let path = write(name, &bytes);
        let refused = daemon.images().load(&path, None).await.expect_err(name);
        assert_eq!(
            refused.status(),
            Status::InvalidRequest,
            "{name}: {}",
            refused.chain()
        );
        assert!(refused.chain().contains(words), "{name}: {}", refused.chain());
    }
    assert!(!daemon.has("loaded.test/app:1").await);
    assert_eq!(
        daemon.prune(false, true).await,
        before,
        "what was refused is left"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prune_removes_what_nobody_uses() {
    let daemon = Daemon::new().await;
    let directory = TempDir::with_prefix("selur-files-").expect("a temporary directory can be made");
    let path = directory.path().join("file");
    let load = async |text: &str, name: &str| {
        std::fs::write(&path, saved(&unique(text), &[name])).expect("a file can be written");
        daemon.images().load(&path, None).await.expect("load");
    };
    let (moved, unused) = ("pruned.test/moved:1", "pruned.test/unused:1");
    let used = daemon.runs();
    let id = daemon.create(0x21, used.clone()).await;
    load("first", moved).await;
    load("second", moved).await;
    load("third", unused).await;
    // The first has lost its name to the second.
    let told = daemon.prune(false, true).await;
    assert!(told.freed_bytes > 0, "{told:?}");
    let done = daemon.prune(false, false).await;
    assert_eq!(done.freed_bytes, told.freed_bytes);
    assert_eq!(daemon.prune(false, false).await.freed_bytes, 0);
    for name in [moved, unused, &used.image] {
        assert!(daemon.has(name).await, "{name}");
    }
    let told = daemon.prune(true, true).await;
    let has = |name: &str| told.references.iter().any(|told| told == name);
    assert!(has(moved) && has(unused) && !has(&used.image), "{told:?}");
    let mut done = daemon.prune(true, false).await.references;
    let mut expected = told.references.clone();
    done.sort();
    expected.sort();
    assert_eq!(done, expected);
    assert!(!daemon.has(moved).await && !daemon.has(unused).await);
    assert!(daemon.has(&used.image).await);
    daemon.delete(id).await;
}
