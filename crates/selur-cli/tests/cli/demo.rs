//! `selur demo` end to end, and that it leaves nothing.

use crate::process::{Running, command, until};
use rustix::process::Signal;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The demo with its temporary state root in a folder of the test.
fn demo(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = command(&[&["demo"], arguments].concat());
    command.env("TMPDIR", folder);
    command
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

/// Processes and mounts that name a folder.
fn traces(folder: &Path) -> Vec<String> {
    let name = folder.to_str().unwrap();
    let mut traces = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        for file in ["cmdline", "mountinfo"] {
            let text = fs::read(process.path().join(file)).unwrap_or_default();
            let text = String::from_utf8_lossy(&text).into_owned();
            traces.extend(
                text.contains(name)
                    .then(|| format!("{:?} {file}", process.path())),
            );
        }
    }
    traces
}

#[test]
fn the_demo_drives_a_real_container_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let told = Running::start(demo(folder.path(), &[])).end().ok();
    for fact in [
        "imports   0",
        "hello from inside the container",
        "my pid is 1, my uid is 65534",
        "my hostname is inside",
        "/comm says selur-demo",
        "NoNewPrivs 1",
        "Seccomp 2",
        "CapBnd 00000000a80425fb",
        "with a wait_container in flight",
        "got SIGTERM: goodbye",
        "exit code 0",
        "0 containers left",
        ": gone",
        "recover",
    ] {
        assert!(told.contains(fact), "{fact}: {told}");
    }
    assert!(!told.contains("simulated") && !told.contains('\x1b'), "{told}");
    assert!(is_empty(folder.path()));
    assert_eq!(traces(folder.path()), Vec::<String>::new());
}

#[test]
fn the_demo_for_programs_is_one_document() {
    let folder = tempfile::tempdir().unwrap();
    let report = Running::start(demo(folder.path(), &["--format", "json"]))
        .end()
        .json();
    assert_eq!(report["runtime"], "oci");
    let committed = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../guest/selur.wasm.sha256"
    ))
    .unwrap();
    assert!(
        committed.starts_with(report["guest"]["sha256"].as_str().unwrap()),
        "{committed}"
    );
    assert_eq!(
        (&report["guest"]["imports"], &report["guest"]["memory_pages"]),
        (&0.into(), &16.into())
    );
    let steps: Vec<&str> = report["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["name"].as_str().unwrap())
        .collect();
    let story = [
        "import", "create", "start", "logs", "inspect", "list", "recover", "stop", "delete",
    ];
    assert_eq!(steps, story);
    let (process, recovery) = (&report["process"], &report["recovery"]);
    assert_ne!(process["pid_namespace"], process["our_pid_namespace"]);
    assert_eq!(process["pids"].as_array().unwrap().last().unwrap(), 1);
    assert_eq!(recovery["container_pid"], process["pid"]);
    assert_ne!(recovery["killed_bridge_pid"], recovery["new_bridge_pid"]);
    assert_eq!(report["exit_code"], 0);
    assert_eq!(
        (&report["remains"]["mounts"], &report["remains"]["processes"]),
        (&serde_json::json!([]), &serde_json::json!([]))
    );
}

#[test]
fn the_simulated_demo_says_so_in_each_line() {
    let folder = tempfile::tempdir().unwrap();
    let told = Running::start(demo(folder.path(), &["--simulated"])).end().ok();
    for line in told.lines().filter(|line| !line.is_empty()) {
        assert!(line.starts_with("[simulated] "), "{line}");
    }
    assert!(
        told.contains("create") && told.contains("delete") && !told.contains("/proc/"),
        "{told}"
    );
    let report = Running::start(demo(folder.path(), &["--simulated", "--format", "json"]))
        .end()
        .json();
    assert_eq!(
        (&report["runtime"], &report["process"]),
        (&"simulated".into(), &serde_json::Value::Null)
    );
    assert!(is_empty(folder.path()));
}

#[test]
fn without_what_it_needs_the_demo_says_what_is_missing() {
    let mut command = Command::new("setpriv");
    // A root without the right to mount, as in a container of Docker's.
    command
        .args(["--bounding-set=-sys_admin", "--inh-caps=-all"])
        .arg(env!("CARGO_BIN_EXE_selur"))
        .arg("demo");
    let said = Running::start(command).end().failed(1);
    assert!(
        said.contains("CAP_SYS_ADMIN") && said.contains("sudo selur demo"),
        "{said}"
    );
    assert!(said.contains("selur demo --simulated"), "{said}");
}

#[test]
fn a_demo_that_is_interrupted_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(demo(folder.path(), &[]));
    running.await_stdout("create ");
    running.signal(Signal::INT);
    let ending = running.end();
    assert_ne!(ending.code, Some(0), "{ending:?}");
    assert!(is_empty(folder.path()));
    assert_eq!(traces(folder.path()), Vec::<String>::new());
}

#[test]
fn a_demo_that_is_killed_leaves_no_container() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(demo(folder.path(), &[]));
    running.await_stdout("create ");
    running.signal(Signal::KILL);
    running.end();
    until("its worker has removed the container", || {
        traces(folder.path()).is_empty()
    });
}

#[test]
fn a_demo_whose_reader_goes_away_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = demo(folder.path(), &[]);
    let child = command.stdout(writer).spawn().unwrap();
    drop(command);
    drop(reader);
    let ending = child.wait_with_output().unwrap();
    assert_eq!(ending.status.code(), Some(141));
    assert!(is_empty(folder.path()));
    assert_eq!(traces(folder.path()), Vec::<String>::new());
}
