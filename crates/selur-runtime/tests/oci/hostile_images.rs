//! Images that were made to reach out of their containers: each is contained, or gets a clear error, and what lies
//! outside stays as it was.

use crate::support::*;
use selur_protocol::{State, Status};
use selur_runtime::{ContainerSpec, Mount, Operation, OutputStream};
use selur_testkit::{ImageBuilder, Tarball};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use tempfile::TempDir;

/// A directory that no container has anything to do with, as it was made.
struct Outside {
    directory: TempDir,
    before: Vec<String>,
}

impl Outside {
    fn new() -> Outside {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        fs::write(path.join("secret"), "not for containers").unwrap();
        fs::set_permissions(path.join("secret"), fs::Permissions::from_mode(0o640)).unwrap();
        fs::create_dir(path.join("etc")).unwrap();
        fs::write(path.join("etc/passwd"), "outsider:x:4242:4242::/:/bin/sh\n").unwrap();
        fs::write(path.join("etc/group"), "outsider:x:4242:\n").unwrap();
        let before = shape(path);
        Outside { directory, before }
    }

    fn path(&self) -> String {
        self.directory.path().display().to_string()
    }

    /// A relative path that climbs out of wherever it stands.
    fn climbing(&self) -> String {
        format!("{}{}", "../".repeat(30), self.path().trim_start_matches('/'))
    }

    #[track_caller]
    fn assert_untouched(&self, case: &str) {
        assert_eq!(shape(self.directory.path()), self.before, "{case}");
    }
}

/// Every path below a directory, with owner, mode, size and content.
fn shape(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let data = path.symlink_metadata().unwrap();
        let content = match data.is_file() {
            true => fs::read(&path).unwrap(),
            false => Vec::new(),
        };
        let (owner, mode, path_text) = (data.uid(), data.mode(), path.display().to_string());
        found.push(format!("{path_text} {owner} {mode:o} {content:?}"));
        if data.is_dir() {
            found.extend(shape(&path));
        }
    }
    found.sort();
    found
}

/// What came of an image.
#[derive(Debug)]
struct Outcome {
    /// Of a start that failed.
    error: Option<(Status, String)>,
    exit_code: Option<i32>,
    output: String,
}

/// Creates, starts, awaits and deletes one container of an image; no file of it may be left.
async fn live(image: &ImageBuilder, spec: ContainerSpec) -> Outcome {
    let world = World::with(image).await;
    let id = new_id();
    let mut outcome = Outcome {
        error: None,
        exit_code: None,
        output: String::new(),
    };
    let created = world.perform(id, creation(None, spec)).await;
    let started = match created {
        Ok(_) => world.perform(id, Operation::Start).await,
        Err(error) => Err(error),
    };
    match started {
        Ok(_) => {
            let report = world.ended(id).await;
            assert_eq!(report.state, State::Stopped);
            outcome.exit_code = report.exit_code;
            outcome.output = world.log(id, OutputStream::Stdout).await;
        }
        Err(error) => outcome.error = Some((error.status(), error.chain())),
    }
    if world.state(id).await.is_some() {
        world.delete(id).await;
    }
    for directory in [
        world.root().states(),
        world.root().containers(),
        world.root().runc(),
    ] {
        assert_eq!(
            fs::read_dir(&directory).unwrap().count(),
            0,
            "{}",
            directory.display()
        );
    }
    outcome
}

fn script(text: &str) -> ImageBuilder {
    ImageBuilder::busybox().cmd(["/bin/sh", "-c", text])
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_not_looked_up_outside() {
    let outside = Outside::new();
    let (path, climbing) = (outside.path(), outside.climbing());
    let links = [
        Tarball::new().symlink("etc", &format!("{path}/etc")),
        Tarball::new().symlink("etc", &format!("{climbing}/etc")),
        Tarball::new()
            .directory("etc", 0o755)
            .symlink("etc/passwd", &format!("{path}/etc/passwd"))
            .symlink("etc/group", &format!("{climbing}/etc/group")),
        Tarball::new()
            .directory("etc", 0o755)
            .symlink("etc/passwd", &format!("/proc/self/root{path}/etc/passwd")),
        Tarball::new().directory("etc", 0o755).fifo("etc/passwd", 0o644),
    ];
    for (number, link) in links.into_iter().enumerate() {
        for user in ["outsider", "0:outsider"] {
            let image = script("id").layer(link.clone()).user(user);
            let outcome = live(&image, ContainerSpec::default()).await;
            let (status, message) = outcome.error.unwrap_or_else(|| panic!("{number} {user} started"));
            assert_eq!(status, Status::InvalidRequest, "{number} {user}: {message}");
            outside.assert_untouched(user);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_mounted_lands_within_the_container() {
    let outside = Outside::new();
    let (path, climbing) = (outside.path(), outside.climbing());
    let etc = || Tarball::new().directory("etc", 0o755);
    let mut cases: Vec<(String, Tarball)> = Vec::new();
    for target in [&path, &climbing] {
        for place in ["etc", "proc", "sys", "dev", "data", "tmp"] {
            cases.push((
                format!("{place} -> {target}"),
                Tarball::new().symlink(place, target),
            ));
        }
        for file in ["hosts", "resolv.conf", "hostname"] {
            let secret = format!("{target}/secret");
            let new = format!("{target}/new");
            cases.push((
                format!("{file} -> {secret}"),
                etc().symlink(&format!("etc/{file}"), &secret),
            ));
            cases.push((
                format!("{file} -> {new}"),
                etc().symlink(&format!("etc/{file}"), &new),
            ));
        }
    }
    cases.push(("hosts loops".into(), etc().symlink("etc/hosts", "hosts")));
    cases.push(("hosts is a directory".into(), etc().directory("etc/hosts", 0o755)));
    cases.push(("dev is a file".into(), Tarball::new().file("dev", 0o644, "x")));
    cases.push(("dev is a FIFO".into(), Tarball::new().fifo("dev", 0o644)));
    for (case, tarball) in cases {
        let image = script(
            "cat /etc/hosts; echo changed > /etc/hosts; ls /data /tmp; echo x > /data/x; echo x > /tmp/x; true",
        );
        let spec = ContainerSpec {
            mounts: vec![Mount::Tmpfs {
                target: "/data/tmpfs".into(),
                size_bytes: Some(1 << 20),
                mode: None,
                read_only: false,
            }],
            ..ContainerSpec::default()
        };
        let outcome = live(&image.layer(tarball), spec).await;
        assert!(!outcome.output.contains("secret"), "{case}: {outcome:?}");
        match &outcome.error {
            Some((status, message)) => {
                let is_clear = match status {
                    Status::Unsupported => message.contains("no directory"),
                    Status::InternalError => message.contains("error mounting"),
                    _ => false,
                };
                assert!(is_clear, "{case}: {status:?}: {message}");
            }
            None => assert_eq!(outcome.exit_code, Some(0), "{case}: {outcome:?}"),
        }
        outside.assert_untouched(&case);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_volume_takes_nothing_from_outside() {
    let outside = Outside::new();
    for target in [outside.path(), outside.climbing()] {
        for (link, mount) in [("data", "/data"), ("deep", "/deep/etc")] {
            let image = script(&format!("find {mount}")).layer(Tarball::new().symlink(link, &target));
            let spec = ContainerSpec {
                mounts: vec![Mount::Volume {
                    source: "fresh".into(),
                    target: mount.into(),
                    read_only: false,
                }],
                ..ContainerSpec::default()
            };
            let outcome = live(&image, spec).await;
            assert!(!outcome.output.contains("secret"), "{outcome:?}");
            assert!(!outcome.output.contains("passwd"), "{outcome:?}");
            outside.assert_untouched(mount);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_working_directory_leads_out() {
    let outside = Outside::new();
    let look = format!("ls {}; ls ../../..{}; true", outside.path(), outside.path());
    let mut directories = vec![
        outside.climbing(),
        outside.path(),
        "/..".into(),
        "/proc/self/root".into(),
        "/proc/1/cwd".into(),
    ];
    // What runc has open while it starts a process. Source: CVE-2024-21626.
    directories.extend((3..20).map(|number| format!("/proc/self/fd/{number}")));
    for directory in directories {
        let image = script(&look).working_directory(&directory);
        let outcome = live(&image, ContainerSpec::default()).await;
        assert!(!outcome.output.contains("secret"), "{directory}: {outcome:?}");
        outside.assert_untouched(&directory);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_means_nothing_is_refused_or_left_out() {
    let image = || ImageBuilder::busybox().cmd(["/bin/env"]);
    let refused: [(&str, ImageBuilder, &str); 6] = [
        ("NUL in the command", image().cmd(["/bin/e\0cho"]), "NUL byte"),
        ("NUL in the environment", image().env(["A=\0"]), "NUL byte"),
        (
            "NUL in the directory",
            image().working_directory("/a\0b"),
            "NUL byte",
        ),
        ("NUL in the user", image().user("root\0"), "NUL byte"),
        (
            "no command",
            image().entrypoint([""]).cmd([""]),
            "names no command",
        ),
        ("a user out of range", image().user("4294967295"), "no user"),
    ];
    for (case, image, words) in refused {
        let outcome = live(&image, ContainerSpec::default()).await;
        let (status, message) = outcome.error.unwrap_or_else(|| panic!("{case}"));
        assert_eq!(status, Status::InvalidRequest, "{case}: {message}");
        assert!(message.contains(words), "{case}: {message}");
    }
    let nothing: Value = json!({"../../..": {}, "/..": {}, "\u{1b}[2J\n": {}, "": {}});
    let harmless = [
        image().env(["NOTHING", "=nameless", "A=b\nc", "B\u{1b}[2J={\"x\":\"}"]),
        image().stop_signal("SIGNONSENSE\u{1b}[2J"),
        image().stop_signal("-9"),
        image().config("Volumes", nothing.clone()),
        image().config("ExposedPorts", nothing.clone()),
        image().config("Healthcheck", json!({"Test": ["CMD", "\0"], "Interval": -1})),
        image().config("OnBuild", json!(["RUN rm -rf /"])),
        image().config("Shell", json!(["\0"])),
        image().config("Memory", json!(1u64 << 63)),
        image().label("\u{1b}[2J\"},{\"", "\n\0\u{202e}"),
    ];
    for image in harmless {
        let outcome = live(&image, ContainerSpec::default()).await;
        assert_eq!(outcome.exit_code, Some(0), "{image:?} {outcome:?}");
        assert!(!outcome.output.contains("nameless"), "{outcome:?}");
    }
}
