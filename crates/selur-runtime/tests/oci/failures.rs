//! What cannot be run, and what it says.

use crate::support::*;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use selur_protocol::{State, Status};
use selur_runtime::{
    ContainerSpec, Oci, OciOptions, Operation, PullPolicy, Runtime, RuntimeError, ShimLocation,
};
use selur_testkit::ImageBuilder;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_cannot_be_run_ends_with_dockers_codes() {
    let image = ImageBuilder::busybox().files([("data/plain", &b"x"[..])]);
    let world = World::with(&image).await;
    let cases = [("nosuch", 127), ("/no/such", 127), ("/data", 126)];
    for (word, code) in cases {
        let id = world.create(command(&[word])).await;
        let error = world.perform(id, Operation::Start).await.unwrap_err();
        assert_eq!(error.status(), Status::InvalidRequest, "{error}");
        assert!(error.to_string().contains(&code.to_string()), "{error}");
        assert!(error.to_string().contains(word), "{error}");
        let report = world.state(id).await.unwrap();
        assert_eq!(
            (report.generation, report.state, report.exit_code),
            (1, State::Stopped, Some(code))
        );
        assert_eq!(world.inspect(id).await.exit_code, Some(code));
        assert_eq!(world.log(id, selur_runtime::OutputStream::Stderr).await, "");
        world.delete_stopped(id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_the_image_lacks_leaves_the_container_as_it_was() {
    let world = World::new().await;
    let spec = ContainerSpec {
        user: Some("nobody-here".into()),
        ..command(&["/bin/true"])
    };
    let id = world.create(spec).await;
    let error = world.perform(id, Operation::Start).await.unwrap_err();
    assert_eq!(error.status(), Status::InvalidRequest);
    assert!(error.to_string().contains("nobody-here"), "{error}");
    assert_eq!(world.state(id).await.unwrap().state, State::Created);
    world.delete(id).await;
    world.assert_gone(id);
}

#[test]
fn a_state_root_of_containers_without_root_is_refused_to_root() {
    let directory = tempfile::tempdir().unwrap();
    let mapping = r#"{"users":[{"inside":0,"outside":1000,"count":1}],"groups":[{"inside":0,"outside":1000,"count":1}]}"#;
    std::fs::write(directory.path().join("mapping"), mapping).unwrap();
    let error = open(directory.path()).unwrap_err();
    assert_eq!(error.status(), Status::Unsupported);
    assert!(error.to_string().contains("of the user 1000"), "{error}");
    // And nothing was made there.
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

/// Opens a root that is to be refused, and does not wait for ever.
fn refusal(root: &Path) -> RuntimeError {
    let (told, outcome) = std::sync::mpsc::channel();
    let root = root.to_owned();
    std::thread::spawn(move || told.send(open(&root).err()));
    let error = outcome.recv_timeout(DEADLINE).expect("it is opened or refused");
    error.expect("it is refused")
}

fn names(directory: &Path) -> BTreeSet<OsString> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn a_state_root_in_which_others_may_have_put_anything_is_refused_before_it_is_read() {
    // What the sweep would have runc delete: whoever writes the record names programs in it.
    let id = new_id().to_string();
    let cases: [(&str, u32, u32); 4] = [
        ("belongs to the user 64201", 64_201, 0o700),
        ("belongs to the user 64201", 64_201, 0o755),
        ("chmod go-w", 0, 0o770),
        ("chmod go-w", 0, 0o1777),
    ];
    for (words, owner, mode) in cases {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir_all(root.join("containers").join(&id)).unwrap();
        fs::create_dir_all(root.join("runc").join(&id)).unwrap();
        fs::write(root.join("runc").join(&id).join("state.json"), "{}").unwrap();
        fs::write(root.join("schema"), "1\n").unwrap();
        chown(root, Some(owner), None).unwrap();
        fs::set_permissions(root, Permissions::from_mode(mode)).unwrap();
        let before = names(root);
        let error = refusal(root);
        assert_eq!(error.status(), Status::PermissionDenied, "{error}");
        let said = error.to_string();
        assert!(said.contains(words) && said.contains("SELUR_ROOT"), "{said}");
        assert_eq!(names(root), before);
        assert!(root.join("runc").join(&id).join("state.json").exists());
        assert!(root.join("containers").join(&id).exists());
    }
}

#[test]
fn what_is_no_plain_file_in_a_state_root_is_refused_and_not_waited_for() {
    for name in ["mapping", "schema"] {
        for is_link in [true, false] {
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join(name);
            if is_link {
                std::os::unix::fs::symlink("/dev/null", &file).unwrap();
            } else {
                mknodat(CWD, &file, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
            }
            let error = refusal(directory.path());
            let said = error.chain();
            assert!(
                said.contains("no plain file") && said.contains("SELUR_ROOT"),
                "{said}"
            );
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_runc_keeps_is_told_from_one_that_is_started_again() {
    let world = World::new().await;
    let id = world.create(command(&["/bin/true"])).await;
    let root = world.directory.path().join("root");
    // The real one cannot delete it, either, so that it stays.
    let kept = root.join("runc").join(id.to_string());
    fs::create_dir(&kept).unwrap();
    fs::write(kept.join("state.json"), "{").unwrap();
    let idle = OciOptions {
        state_root: Some(root),
        shim: ShimLocation::Path(shim().into()),
        runc: Some("/bin/true".into()),
    };
    let idle = Oci::open(idle).unwrap();
    let error = perform(&idle, id, Operation::Delete { force: true })
        .await
        .unwrap_err();
    assert_eq!(error.status(), Status::InternalError);
    let said = error.to_string();
    assert!(said.contains("keeps it") && said.contains("runc.log"), "{said}");
    drop(idle);
    fs::remove_dir_all(&kept).unwrap();
    world.delete(id).await;
    world.assert_gone(id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_fails_leaves_nothing_and_frees_its_name() {
    let world = World::with(&ImageBuilder::busybox().cmd(Vec::<String>::new())).await;
    let bad = |spec: ContainerSpec| creation(Some("web"), spec);
    let no_command = ContainerSpec::default();
    let hostname = ContainerSpec {
        hostname: Some("a\nb".into()),
        ..command(&["x"])
    };
    for spec in [no_command, hostname] {
        let id = new_id();
        let error = world.perform(id, bad(spec)).await.unwrap_err();
        assert_eq!(error.status(), Status::InvalidRequest, "{error}");
        world.assert_gone(id);
    }
    let missing = Operation::Create {
        image: "docker.io/library/absent:latest".into(),
        name: Some("web".into()),
        spec: Box::new(ContainerSpec {
            pull: PullPolicy::Never,
            ..command(&["x"])
        }),
    };
    let error = world.perform(new_id(), missing).await.unwrap_err();
    assert_eq!(error.status(), Status::ImageNotFound);
    world
        .perform(new_id(), bad(command(&["/bin/true"])))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let options = |shim, runc| OciOptions {
        state_root: Some(directory.path().join("root")),
        shim,
        runc,
    };
    let no_shim = options(ShimLocation::Path("/nowhere/selur-shim".into()), None);
    let error = Oci::open(no_shim).unwrap_err();
    assert_eq!(error.status(), Status::Unsupported);
    assert!(error.to_string().contains("/nowhere/selur-shim"), "{error}");
    let no_runc = options(ShimLocation::Path(shim().into()), Some("/nowhere/runc".into()));
    let error = Oci::open(no_runc).unwrap_err();
    assert!(error.to_string().contains("/nowhere/runc"), "{error}");

    let world = World::new().await;
    std::fs::write(world.directory.path().join("root/schema"), "999\n").unwrap();
    let error = open(&world.directory.path().join("root")).unwrap_err();
    assert_eq!(error.status(), Status::Unsupported);
    assert!(error.to_string().contains("999"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_not_found() {
    let world = World::new().await;
    let id = new_id();
    for operation in [
        Operation::Start,
        stop(0),
        kill("KILL"),
        Operation::Pause,
        Operation::Inspect,
    ] {
        let error = world.perform(id, operation).await.unwrap_err();
        assert_eq!(error.status(), Status::ContainerNotFound);
    }
    let error = world.oci.logs(id, Default::default()).await.err().unwrap();
    assert_eq!(error.status(), Status::ContainerNotFound);
    world.assert_gone(id);
}

#[tokio::test(flavor = "multi_thread")]
async fn cgroups_that_a_failed_start_left_go_with_the_container() {
    let world = World::new().await;
    let id = world.create(command(&["/bin/true"])).await;
    let freezer = std::path::Path::new("/sys/fs/cgroup/freezer");
    let hierarchy = if freezer.exists() {
        freezer
    } else {
        std::path::Path::new("/sys/fs/cgroup")
    };
    std::fs::create_dir_all(hierarchy.join("selur").join(id.to_string())).unwrap();
    world.delete_stopped(id).await;
}
