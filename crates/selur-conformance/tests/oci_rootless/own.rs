//! What is of its own without root: who files and processes belong to, and what is refused with which words.

use super::*;
use futures_util::StreamExt;
use selur_conformance::suite::Subject;
use selur_protocol::{State, Status};
use selur_runtime::{
    Effect, Mount, Oci, OciOptions, Operation, Resources, RuntimeError, SessionItem, ShimLocation,
};
use selur_testkit::{ImageBuilder, Layer, Tarball, wait_until};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// For what takes milliseconds.
const LIMIT: Duration = Duration::from_secs(60);

/// A test of a user's own: its body, and where it runs.
macro_rules! own {
    ($test:ident, $place:expr, $lacks:expr) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            if !unprivileged::passed_elsewhere(concat!(module_path!(), "::", stringify!($test)), $place) {
                super::bodies::$test(Real::open(unprivileged::shim(), $lacks)).await;
            }
        }
    };
}

mod single_id {
    use super::*;
    own!(only_roots_own_user_can_be, SINGLE_ID, WITHOUT_CGROUPS);
    own!(
        hostile_layers_are_refused_or_contained,
        SINGLE_ID,
        WITHOUT_CGROUPS
    );
    own!(limits_that_nobody_keeps_are_refused, SINGLE_ID, WITHOUT_CGROUPS);
    own!(
        roots_of_others_or_with_foreign_files_are_refused,
        SINGLE_ID,
        WITHOUT_CGROUPS
    );
    own!(
        what_a_killed_first_open_left_is_removed,
        SINGLE_ID,
        WITHOUT_CGROUPS
    );
}

mod many_ids {
    use super::*;
    own!(files_belong_to_whom_the_image_says, MANY_IDS, WITHOUT_CGROUPS);
    own!(hostile_layers_are_refused_or_contained, MANY_IDS, WITHOUT_CGROUPS);
    own!(
        another_container_is_another_namespace_and_the_same_ids,
        MANY_IDS,
        WITHOUT_CGROUPS
    );
}

mod recovery {
    use super::*;
    own!(a_container_outlives_its_shim, MANY_IDS, WITHOUT_CGROUPS);
    own!(
        a_container_in_a_namespace_of_its_own_making_is_joined,
        MANY_IDS,
        WITHOUT_CGROUPS
    );
    own!(
        a_process_that_no_shim_recorded_is_ended,
        MANY_IDS,
        WITHOUT_CGROUPS
    );
}

mod mounts {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn mounts_of_every_kind_can_be_bound_read_only() {
        let _mounts = unprivileged::odd_mounts();
        let test = "own::mounts::mounts_of_every_kind_can_be_bound_read_only";
        if !unprivileged::passed_elsewhere(&format!("oci_rootless::{test}"), SINGLE_ID) {
            let real = Real::open(unprivileged::shim(), WITHOUT_CGROUPS);
            bodies::mounts_of_every_kind_can_be_bound_read_only(real).await;
        }
    }
}

mod delegated {
    use super::*;
    own!(limits_are_kept, DELEGATED, &[]);
}

mod bodies {
    use super::*;

    /// Runs this in a shell to its end, and gives its exit code and what it wrote.
    async fn run(real: &Real, mut program: Program, script: &str) -> (Option<i32>, String) {
        program.spec.command = Some(["/bin/sh", "-c", script].map(str::to_owned).into());
        let subject = Subject::created(real, program).await;
        subject.perform(Operation::Start).await.expect("start");
        let code = subject.until(State::Stopped).await.exit_code;
        let entries = subject.log().await;
        let bytes = entries.into_iter().flat_map(|entry| entry.bytes).collect();
        subject.remove().await;
        (code, String::from_utf8(bytes).unwrap())
    }

    pub(super) async fn only_roots_own_user_can_be(real: Real) {
        assert_eq!(real.runtime.rootless_ids(), Some(1));
        let mut program = real.exits(0);
        program.spec.user = Some("33".into());
        let subject = Subject::created(&real, program).await;
        let refused = subject
            .perform(Operation::Start)
            .await
            .expect_err("it is refused");
        assert_eq!(refused.status(), Status::Unsupported);
        assert!(
            refused.chain().contains("usermod --add-subuids"),
            "{}",
            refused.chain()
        );
        subject.remove().await;
        // Whatever it does to its files, they can be removed.
        let spoil = "mkdir -p /a/b && touch /a/b/c && chmod 0 /a/b /a && id -u";
        assert_eq!(run(&real, real.exits(0), spoil).await, (Some(0), "0\n".into()));
    }

    /// Kills the container's shim.
    fn kill_shim(real: &Real, subject: &Subject) {
        let root = real.root.path().join("root");
        let shim = fs::read(root.join("alive").join(subject.id.to_string())).unwrap();
        let shim: selur_shim::Process = serde_json::from_slice(&shim).unwrap();
        let pidfd = shim.open().unwrap();
        rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::KILL).unwrap();
    }

    /// What a further process in the container wrote, which ended with 0.
    async fn said(real: &Real, subject: &Subject, words: &[&str]) -> String {
        let spec = selur_runtime::ExecSpec::new(words.iter().copied());
        let session = real.runtime.exec(subject.id, spec, Default::default()).await;
        let items: Vec<_> = session.expect("exec").output.collect().await;
        let mut said = Vec::new();
        let mut code = None;
        for item in items {
            match item.expect("an item") {
                SessionItem::Output { bytes, .. } => said.extend(bytes),
                SessionItem::Ended { exit_code } => code = exit_code,
            }
        }
        assert_eq!(code, Some(0));
        String::from_utf8(said).unwrap()
    }

    pub(super) async fn a_container_outlives_its_shim(real: Real) {
        let mut program = real.runs();
        program.spec.user = Some("33".into());
        let subject = Subject::started(&real, program).await;
        kill_shim(&real, &subject);
        // Another one joins the namespace of the process, which belongs to a subordinate id.
        said(&real, &subject, &["true"]).await;
        let stop = Operation::Stop { timeout: None };
        assert_eq!(subject.report(stop).await.state, State::Stopped);
        subject.remove().await;
    }

    pub(super) async fn a_container_in_a_namespace_of_its_own_making_is_joined(real: Real) {
        let mut program = real.sh("echo ready; exec unshare -U sleep 1000");
        program.spec.capabilities.add = vec!["SYS_ADMIN".into()];
        let subject = Subject::started(&real, program).await;
        let pid = subject.inspect().await.pid.expect("a process");
        let name = format!("/proc/{pid}/comm");
        wait_until("it is in its own namespace", LIMIT, || {
            fs::read_to_string(&name).is_ok_and(|name| name.trim() == "sleep")
        });
        kill_shim(&real, &subject);
        assert_eq!(said(&real, &subject, &["id", "-u"]).await, "0\n");
        let kill = Operation::Kill {
            signal: selur_protocol::Signal::parse("KILL").unwrap(),
        };
        subject.perform(kill).await.expect("kill");
        subject.until(State::Stopped).await;
        subject.remove().await;
    }

    /// A runc whose caller is killed when it has run a container for the first time.
    fn fatal_runc(directory: &Path) -> PathBuf {
        let runc = directory.join("fatal-runc");
        let script = "#!/bin/sh\nruncs=$(dirname \"$0\")/fatal\nrunc \"$@\" || exit\n\
                      case \" $* \" in *' run '*) mkdir \"$runcs\" 2>/dev/null && kill -9 $PPID; esac\nexit 0\n";
        fs::write(&runc, script).unwrap();
        fs::set_permissions(&runc, fs::Permissions::from_mode(0o755)).unwrap();
        runc
    }

    fn open(root: &Path, runc: Option<PathBuf>) -> Result<Oci, RuntimeError> {
        Oci::open(OciOptions {
            state_root: Some(root.to_owned()),
            shim: ShimLocation::Path(unprivileged::shim()),
            runc,
        })
    }

    pub(super) async fn a_process_that_no_shim_recorded_is_ended(real: Real) {
        let mut program = real.sh("sleep 1000");
        program.spec.user = Some("33".into());
        let subject = Subject::created(&real, program).await;
        let root = real.root.path().join("root");
        let start = || Effect {
            container: subject.id,
            operation: Operation::Start,
        };
        for is_reopened in [true, false] {
            let runc = fatal_runc(real.root.path());
            {
                let fatal = open(&root, Some(runc)).unwrap();
                let started = fatal.perform(start(), Default::default()).await;
                started.expect_err("its shim is killed");
            }
            fs::remove_dir(real.root.path().join("fatal")).expect("runc has run it");
            // Whoever opens the root sees to it; so does a start.
            if is_reopened {
                drop(open(&root, None).unwrap());
                let kept = root.join("runc").join(subject.id.to_string());
                wait_until("runc has forgotten it", LIMIT, || !kept.exists());
            }
            subject.perform(Operation::Start).await.expect("start");
            let kill = Operation::Kill {
                signal: selur_protocol::Signal::parse("KILL").unwrap(),
            };
            subject.perform(kill).await.expect("kill");
            subject.until(State::Stopped).await;
        }
        subject.remove().await;
    }

    pub(super) async fn mounts_of_every_kind_can_be_bound_read_only(real: Real) {
        for (index, source) in unprivileged::odd_mount_points().into_iter().enumerate() {
            let mut program = real.exits(0);
            program.spec.mounts = vec![Mount::Bind {
                source: source.to_str().unwrap().into(),
                target: "/mnt".into(),
                read_only: true,
            }];
            let (code, said) = run(
                &real,
                program,
                "cat /mnt/file; touch /mnt/new 2>/dev/null || echo refused",
            )
            .await;
            assert_eq!(
                (code, said),
                (Some(0), format!("{index}\nrefused\n")),
                "{source:?}"
            );
        }
    }

    pub(super) async fn roots_of_others_or_with_foreign_files_are_refused(real: Real) {
        let shared = real.root.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o770)).unwrap();
        let cases = [
            (Path::new("/usr"), "belongs to the user 0"),
            (&shared, "chmod go-w"),
        ];
        for (root, words) in cases {
            let error = open(root, None).expect_err("it is refused");
            assert_eq!(error.status(), Status::PermissionDenied);
            let said = error.chain();
            assert!(said.contains(words) && said.contains("SELUR_ROOT"), "{said}");
        }
        assert_eq!(fs::read_dir(&shared).unwrap().count(), 0);
    }

    pub(super) async fn what_a_killed_first_open_left_is_removed(real: Real) {
        let root = real.root.path().join("other");
        // Before the ids are recorded, and when another process has recorded them meanwhile.
        for _ in 0..2 {
            fs::create_dir_all(root.join(".probe/containers/x/upper")).unwrap();
            fs::write(root.join(".mapping"), "{").unwrap();
            fs::set_permissions(&root, fs::Permissions::from_mode(0o700)).unwrap();
            drop(open(&root, None).unwrap());
            let names = fs::read_dir(&root)
                .unwrap()
                .flatten()
                .map(|entry| entry.file_name());
            let hidden: Vec<_> = names
                .filter(|name| name.as_encoded_bytes().starts_with(b"."))
                .collect();
            assert!(hidden.is_empty(), "{hidden:?}");
        }
    }

    pub(super) async fn limits_that_nobody_keeps_are_refused(real: Real) {
        let limits = [
            (
                "memory_bytes",
                Resources {
                    memory_bytes: Some(64 << 20),
                    ..Resources::default()
                },
            ),
            (
                "cpus",
                Resources {
                    cpus: Some(0.5),
                    ..Resources::default()
                },
            ),
            (
                "pids",
                Resources {
                    pids: Some(50),
                    ..Resources::default()
                },
            ),
        ];
        for (name, resources) in limits {
            let mut program = real.exits(0);
            program.spec.resources = resources;
            let subject = Subject::new(&real);
            let refused = subject.create(program, None).await.expect_err("it is refused");
            assert_eq!(refused.status(), Status::Unsupported);
            let words = refused.chain();
            assert!(words.contains(name) && words.contains("Delegate=yes"), "{words}");
            assert_eq!(subject.listed().await, None);
        }
    }

    pub(super) async fn limits_are_kept(real: Real) {
        let mut program = real.runs();
        program.spec.resources = Resources {
            memory_bytes: Some(64 << 20),
            cpus: Some(0.5),
            pids: Some(50),
        };
        let subject = Subject::started(&real, program).await;
        let once = selur_runtime::StatsOptions {
            follow: false,
            ..Default::default()
        };
        let mut stats = real.runtime.stats(subject.id, once).await.expect("stats");
        let sample = stats.next().await.expect("a sample").expect("a sample");
        assert_eq!(
            (sample.memory_limit_bytes, sample.pids_limit),
            (Some(64 << 20), Some(50))
        );
        subject.remove().await;
    }

    pub(super) async fn files_belong_to_whom_the_image_says(real: Real) {
        assert_eq!(real.runtime.rootless_ids(), Some(65_537));
        let tar = Tarball::new()
            .owner(33, 44)
            .directory("srv", 0o750)
            .owner(33, 44)
            .file("srv/file", 0o600, "content")
            .owner(44, 33)
            .directory("srv/closed", 0o500)
            .file("srv/closed/file", 0o400, "x");
        load(&real, "files:test", tar).await.expect("load");
        let mut program = Program::image("docker.io/library/files:test");
        program.spec.user = Some("33:44".into());
        let script =
            "id -u; cat /srv/file; stat -c %u:%g:%a /srv/file; touch /srv/new && stat -c %u /srv/new";
        let (code, said) = run(&real, program.clone(), script).await;
        assert_eq!((code, said.as_str()), (Some(0), "33\ncontent33:44:600\n33\n"));
        // A volume is filled with the image's files and their owners, and goes away with them.
        program.spec.mounts = vec![Mount::Volume {
            source: "files".into(),
            target: "/srv".into(),
            read_only: false,
        }];
        for _ in 0..2 {
            let (code, said) = run(
                &real,
                program.clone(),
                "stat -c %u:%g /srv/file; echo x >> /srv/file",
            )
            .await;
            assert_eq!((code, said.as_str()), (Some(0), "33:44\n"));
        }
        let root = real.root.path().join("root");
        let data = root.join("volumes/files/data").metadata().unwrap();
        assert!(data.uid() >= 2_000_000_000, "{}", data.uid());
        let volumes = real.runtime.volumes().unwrap();
        volumes.delete("files").await.expect("the volume is removed");
        real.runtime
            .images()
            .unwrap()
            .delete("files:test")
            .await
            .expect("the image is removed");
        assert_eq!(fs::read_dir(root.join("images/layers")).unwrap().count(), 0);
    }

    pub(super) async fn another_container_is_another_namespace_and_the_same_ids(real: Real) {
        // At the same time: what has ended gives its number back.
        let first = Subject::started(&real, real.runs()).await;
        let second = Subject::started(&real, real.runs()).await;
        let own = fs::read_link("/proc/self/ns/user").unwrap();
        let mut namespaces = vec![own.to_str().unwrap().to_owned()];
        let mut maps = Vec::new();
        for subject in [&first, &second] {
            let namespace = said(&real, subject, &["readlink", "/proc/self/ns/user"]).await;
            namespaces.push(namespace.trim().to_owned());
            maps.push(said(&real, subject, &["cat", "/proc/self/uid_map"]).await);
        }
        assert_ne!(namespaces[0], namespaces[1]);
        assert_ne!(namespaces[0], namespaces[2]);
        assert_ne!(namespaces[1], namespaces[2]);
        assert_eq!(maps[0], maps[1]);
        let words: Vec<_> = maps[0].split_whitespace().collect();
        assert_eq!(words[3..], ["1", "2000000000", "65536"]);
        first.remove().await;
        second.remove().await;
    }

    async fn load(
        real: &Real,
        name: &str,
        layer: impl Into<Layer>,
    ) -> Result<(), selur_runtime::RuntimeError> {
        let layout = TempDir::new().unwrap();
        ImageBuilder::busybox().layer(layer).write_layout(layout.path());
        real.runtime
            .images()
            .unwrap()
            .load(layout.path(), Some(name))
            .await
            .map(drop)
    }

    pub(super) async fn hostile_layers_are_refused_or_contained(real: Real) {
        let victim = TempDir::new().unwrap();
        fs::write(victim.path().join("secret"), "secret").unwrap();
        let out = victim.path().to_str().unwrap();
        let refused: Vec<(&str, Layer, &str)> = vec![
            (
                "..",
                Tarball::new().file("../outside", 0o644, "x").into(),
                "contains ..",
            ),
            (
                "hard link out",
                Tarball::new().hard_link("f", &format!("{out}/secret")).into(),
                "no file of this layer",
            ),
            (
                "hard link through a link",
                Tarball::new()
                    .symlink("out", out)
                    .hard_link("f", "out/secret")
                    .into(),
                "no file of this layer",
            ),
            (
                "whiteout of ..",
                Tarball::new().file("d/.wh...", 0o644, "").into(),
                "whiteout of no file",
            ),
            (
                "a device that overlayfs takes for a whiteout",
                Tarball::new()
                    .character_device("w", 0o644, 0, 0)
                    .hard_link("f", "w")
                    .into(),
                "no file of this layer",
            ),
            (
                "another diff_id",
                Layer::forged(
                    Tarball::new().file("f", 0o644, "x").finish(),
                    &selur_testkit::digest(b"other"),
                ),
                "diff_id",
            ),
            (
                "a tar that ends early",
                Layer::from(vec_cut()),
                "ends in the middle",
            ),
        ];
        for (what, layer, words) in refused {
            let error = load(&real, "hostile:test", layer).await.err();
            let error = error.unwrap_or_else(|| panic!("{what} is taken"));
            assert!(error.chain().contains(words), "{what}: {}", error.chain());
        }
        let contained = Tarball::new()
            .directory(out.trim_start_matches('/'), 0o755)
            .symlink("out", out)
            .file("out/.wh.secret", 0o644, "")
            .file("out/new", 0o666, "x")
            .directory("out", 0o777)
            .character_device("dev-mem", 0o666, 1, 1)
            .block_device("dev-disk", 0o666, 8, 0)
            .file("/absolute", 0o4755, "x");
        load(&real, "contained:test", contained)
            .await
            .expect("it is contained");
        let mut program = Program::image("docker.io/library/contained:test");
        program.spec.network = selur_runtime::NetworkMode::None;
        let (code, said) = run(&real, program, "cat /absolute; ls -d /dev-* 2>/dev/null | wc -l").await;
        assert_eq!((code, said.as_str()), (Some(0), "x0\n"));
        let names: Vec<_> = fs::read_dir(victim.path())
            .unwrap()
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert_eq!(names, ["secret"]);
        assert_eq!(
            fs::read_to_string(victim.path().join("secret")).unwrap(),
            "secret"
        );
        let store = real.root.path().join("root/images");
        for directory in ["ingest", "locks"] {
            assert_eq!(
                fs::read_dir(store.join(directory)).unwrap().count(),
                0,
                "in {directory}"
            );
        }
    }

    fn vec_cut() -> Tarball {
        Tarball::new().lying_size("f", 1 << 20, b"short")
    }
}
