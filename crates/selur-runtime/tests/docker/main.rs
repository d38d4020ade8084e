//! The docker backend before daemons that refuse, lie, hang and die. What it does before one that does not is the
//! conformance suite's matter.
#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod daemon;

use daemon::{Answer, Daemon, ok};
use futures_util::StreamExt;
use selur_protocol::{ContainerId, Signal, Status};
use selur_runtime::{
    AttachOptions, ContainerSpec, Docker, DockerOptions, Effect, EventOptions, LogOptions, Operation,
    Runtime, RuntimeError, SessionItem, StatsOptions, VolumeOptions,
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const ID: ContainerId = ContainerId::from_bytes([0xab; 16]);
/// Far more than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

fn open(daemon: &Daemon) -> Docker {
    let socket = Some(daemon.socket());
    Docker::open(DockerOptions { socket }).unwrap_or_else(|error| panic!("{}", error.chain()))
}

async fn perform(docker: &Docker, operation: Operation) -> Result<(), RuntimeError> {
    perform_until(docker, operation, CancellationToken::new()).await
}

async fn perform_until(
    docker: &Docker,
    operation: Operation,
    abort: CancellationToken,
) -> Result<(), RuntimeError> {
    let effect = Effect {
        container: ID,
        operation,
    };
    let performed = tokio::time::timeout(DEADLINE, docker.perform(effect, abort)).await;
    performed.expect("it does not hang").map(drop)
}

fn create(name: &str) -> Operation {
    Operation::Create {
        image: "docker.io/library/busybox:latest".into(),
        name: Some(name.into()),
        spec: Box::new(ContainerSpec {
            command: Some(vec!["true".into()]),
            ..ContainerSpec::default()
        }),
    }
}

/// A list of one container that is ours, and what inspect says of it.
fn one(state: &str, label: ContainerId) -> (String, String) {
    let labels = format!(r#"{{"dev.selur.id":"{label}"}}"#);
    let listed = format!(r#"[{{"Id":"d","Names":["/web"],"State":"{state}","Labels":{labels}}}]"#);
    let inspected = format!(
        r#"{{"Id":"d","Name":"/web","State":{{"Status":"{state}","Pid":7,"StartedAt":"2026-01-01T00:00:00Z"}},
            "Config":{{"Labels":{labels}}}}}"#
    );
    (listed, inspected)
}

/// Answers a list and an inspect of one running container, and the rest as told.
fn with_one(rest: impl Fn(&str, &str) -> Answer + Send + Sync + 'static) -> Daemon {
    let (listed, inspected) = one("running", ID);
    Daemon::start(move |method, target| match (method, target) {
        ("GET", target) if target.starts_with("/containers/json") => ok(listed.clone()),
        ("GET", "/containers/d/json") => ok(inspected.clone()),
        _ => rest(method, target),
    })
}

fn missing() -> Answer {
    Answer::Says(404, r#"{"message":"no such thing"}"#.into())
}

#[test]
fn a_socket_that_is_no_daemons_is_refused_in_words() {
    let nowhere = Docker::open(DockerOptions {
        socket: Some("/nonexistent/docker.sock".into()),
    });
    let error = nowhere.unwrap_err();
    assert_eq!(error.status(), Status::Unsupported);
    assert!(
        error.chain().contains("/nonexistent/docker.sock"),
        "{}",
        error.chain()
    );
    let old = Daemon::start(|_, _| ok(r#"{"Version":"17.03","ApiVersion":"1.26","MinAPIVersion":"1.12"}"#));
    let garbage = Daemon::start(|_, _| Answer::Raw(b"SSH-2.0-OpenSSH\r\n\r\n"));
    let endless = Daemon::start(|_, _| Answer::Endless(" "));
    let gone = Daemon::start(|_, _| Answer::Raw(b""));
    for (daemon, words) in [
        (old, "1.41 is needed"),
        (garbage, r#"answers "SSH-2.0-OpenSSH""#),
        (endless, "no end"),
        (gone, "says nothing"),
    ] {
        let socket = Some(daemon.socket());
        let error = Docker::open(DockerOptions { socket }).unwrap_err();
        assert_eq!(error.status(), Status::Unsupported, "{}", error.chain());
        assert!(error.chain().contains(words), "{}", error.chain());
    }
}

#[tokio::test]
async fn others_containers_are_neither_seen_nor_touched() {
    // A daemon that does not filter, or lies.
    let (_, other) = (ID, ContainerId::from_bytes([1; 16]));
    let (listed, inspected) = one("running", other);
    let daemon = Daemon::start(move |_, target| match target {
        target
            if target
                .starts_with("/containers/json?all=1&filters=%7B%22label%22%3A%5B%22dev.selur.id%3D") =>
        {
            ok(listed.clone())
        }
        "/containers/d/json" => ok(inspected.clone()),
        target if target.starts_with("/containers/json") => {
            ok(r#"[{"Id":"e","Names":["/theirs"],"State":"running","Labels":null}]"#)
        }
        _ => missing(),
    });
    let docker = open(&daemon);
    assert_eq!(docker.list().await.unwrap(), []);
    let kill = Operation::Kill { signal: Signal::KILL };
    for operation in [Operation::Start, kill, Operation::Pause, Operation::Inspect] {
        let refused = perform(&docker, operation).await.unwrap_err();
        assert_eq!(refused.status(), Status::ContainerNotFound);
    }
    perform(&docker, Operation::Delete { force: true }).await.unwrap();
    let changes = daemon
        .requests()
        .into_iter()
        .filter(|request| !request.starts_with("GET"));
    assert_eq!(changes.count(), 0, "{:?}", daemon.requests());
}

#[tokio::test]
async fn a_name_of_anothers_container_is_taken() {
    let daemon = Daemon::start(|method, target| match (method, target) {
        ("GET", target) if target.starts_with("/containers/json") => ok("[]"),
        ("GET", target) if target.starts_with("/images/") => ok(r#"{"Id":"sha256:0","Config":null}"#),
        ("POST", target) if target.starts_with("/containers/create?name=web") => Answer::Says(
            409,
            r#"{"message":"Conflict. The container name \"/web\" is already in use"}"#.into(),
        ),
        _ => missing(),
    });
    let refused = perform(&open(&daemon), create("web")).await.unwrap_err();
    assert_eq!(refused.status(), Status::ContainerAlreadyExists);
    assert!(
        refused.chain().contains("selur did not make"),
        "{}",
        refused.chain()
    );
}

#[tokio::test]
async fn labels_that_would_be_taken_for_ours_are_refused() {
    let daemon = Daemon::start(|_, _| missing());
    let docker = open(&daemon);
    let labels = [("dev.selur.id".to_owned(), ID.to_string())];
    let options = VolumeOptions {
        labels: labels.into(),
    };
    let refused = docker.volumes().unwrap().create("data", options).await;
    assert_eq!(
        refused.map_err(|error| error.status()),
        Err(Status::InvalidRequest)
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error() {
    let bodies: [fn() -> Answer; 5] = [
        || ok("{"),
        || ok(r#"{"a":1}"#),
        || Answer::Raw(b"\0\0\0"),
        || Answer::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n["),
        || Answer::Says(500, "<html>".into()),
    ];
    for body in bodies {
        let daemon = Daemon::start(move |_, target| match target {
            "/version" => missing(),
            _ => body(),
        });
        let error = open(&daemon).list().await.unwrap_err();
        assert_eq!(error.status(), Status::InternalError, "{}", error.chain());
    }
}

#[tokio::test]
async fn an_answer_without_an_end_is_given_up() {
    let daemon = with_one(|_, target| match target {
        "/version" => missing(),
        target if target.starts_with("/events") => Answer::Endless("{"),
        _ => Answer::Endless(" "),
    });
    let docker = open(&daemon);
    let images = tokio::time::timeout(DEADLINE, docker.images().unwrap().list()).await;
    assert_eq!(images.unwrap().unwrap_err().status(), Status::InternalError);
    let mut events = docker.events(EventOptions::default()).await.unwrap();
    let told = tokio::time::timeout(DEADLINE, events.next()).await.unwrap();
    assert_eq!(told.unwrap().unwrap_err().status(), Status::InternalError);
    // What has no headers is no output.
    let mut logs = docker.logs(ID, LogOptions::default()).await.unwrap();
    let told = tokio::time::timeout(DEADLINE, logs.next()).await.unwrap();
    assert_eq!(told.unwrap().unwrap_err().status(), Status::InternalError);
}

#[tokio::test]
async fn a_daemon_that_hangs_is_given_up_with_the_request() {
    let daemon = Daemon::start(|_, target| match target {
        "/version" => missing(),
        _ => Answer::Silence,
    });
    let docker = open(&daemon);
    let stop = Operation::Stop { timeout: None };
    for operation in [
        create("web"),
        stop,
        Operation::Inspect,
        Operation::Delete { force: true },
    ] {
        let abort = CancellationToken::new();
        let began = Instant::now();
        let aborting = async { abort.cancel() };
        let (outcome, ()) = tokio::join!(perform_until(&docker, operation, abort.clone()), aborting);
        assert_eq!(outcome.unwrap_err().status(), Status::Cancelled);
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_stop_that_is_given_up_does_not_kill() {
    let daemon = with_one(|_, target| match target {
        target if target.starts_with("/containers/d/kill") => Answer::Says(204, String::new()),
        _ => missing(),
    });
    let docker = open(&daemon);
    let abort = CancellationToken::new();
    let stop = Operation::Stop {
        timeout: Some(DEADLINE),
    };
    let aborting = async {
        while !daemon.requests().iter().any(|request| request.contains("/kill")) {
            tokio::task::yield_now().await;
        }
        abort.cancel();
    };
    let (outcome, ()) = tokio::join!(perform_until(&docker, stop, abort.clone()), aborting);
    assert_eq!(outcome.unwrap_err().status(), Status::Cancelled);
    let kills: Vec<_> = daemon
        .requests()
        .into_iter()
        .filter(|request| request.contains("/kill"))
        .collect();
    assert_eq!(kills, ["POST /containers/d/kill?signal=15"]);
}

#[tokio::test]
async fn a_creation_that_is_given_up_is_undone() {
    let (asked, was_asked) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = std::sync::Mutex::new(may_go_on);
    let is_deleted = Arc::new(AtomicBool::new(false));
    let deleted = is_deleted.clone();
    let daemon = Daemon::start(move |method, target| match (method, target) {
        ("GET", target) if target.starts_with("/containers/json") => ok("[]"),
        ("GET", target) if target.starts_with("/images/") => ok(r#"{"Id":"sha256:0"}"#),
        ("POST", target) if target.starts_with("/containers/create") => {
            let _ = asked.send(());
            let _ = may_go_on.lock().unwrap().recv();
            Answer::Says(201, r#"{"Id":"d","Warnings":null}"#.into())
        }
        ("DELETE", target) if target.starts_with("/containers/d") => {
            deleted.store(true, Ordering::SeqCst);
            Answer::Says(204, String::new())
        }
        _ => missing(),
    });
    let docker = open(&daemon);
    let abort = CancellationToken::new();
    let aborting = async {
        while was_asked.try_recv().is_err() {
            tokio::task::yield_now().await;
        }
        abort.cancel();
        go_on.send(()).unwrap();
    };
    let (outcome, ()) = tokio::join!(perform_until(&docker, create("web"), abort.clone()), aborting);
    assert_eq!(outcome.unwrap_err().status(), Status::Cancelled);
    assert!(is_deleted.load(Ordering::SeqCst), "{:?}", daemon.requests());
}

#[tokio::test]
async fn a_creation_that_cannot_be_looked_at_is_undone() {
    let is_made = Arc::new(AtomicBool::new(false));
    let daemon = Daemon::start(move |method, target| match (method, target) {
        ("GET", target) if target.starts_with("/containers/json") => match is_made.load(Ordering::SeqCst) {
            true => Answer::Says(500, r#"{"message":"the database is locked"}"#.into()),
            false => ok("[]"),
        },
        ("GET", target) if target.starts_with("/images/") => ok(r#"{"Id":"sha256:0"}"#),
        ("POST", target) if target.starts_with("/containers/create") => {
            is_made.store(true, Ordering::SeqCst);
            Answer::Says(201, r#"{"Id":"d"}"#.into())
        }
        ("DELETE", target) if target.starts_with("/containers/d") => Answer::Says(204, String::new()),
        _ => missing(),
    });
    let refused = perform(&open(&daemon), create("web")).await.unwrap_err();
    assert!(refused.chain().contains("locked"), "{}", refused.chain());
    let is_undone = |request: &String| request.starts_with("DELETE /containers/d?");
    assert!(daemon.requests().iter().any(is_undone), "{:?}", daemon.requests());
}

#[tokio::test]
async fn a_daemon_that_fails_at_a_look_is_asked_again() {
    let (listed, inspected) = one("exited", ID);
    let failures = AtomicUsize::new(0);
    let daemon = Daemon::start(move |method, target| match (method, target) {
        ("GET", target) if target.starts_with("/containers/json") => ok(listed.clone()),
        ("GET", "/containers/d/json") if failures.fetch_add(1, Ordering::SeqCst) < 2 => Answer::Says(
            500,
            r#"{"message":"read /proc/1/cgroup: no such process"}"#.into(),
        ),
        ("GET", "/containers/d/json") => ok(inspected.clone()),
        _ => missing(),
    });
    perform(&open(&daemon), Operation::Inspect).await.unwrap();
    let looks = daemon.requests();
    let looks = looks
        .iter()
        .filter(|request| request.starts_with("GET /containers/d/json"));
    assert!(looks.count() >= 3);
}

#[tokio::test]
async fn a_container_that_has_our_label_from_its_image_is_anothers() {
    let (listed, inspected) = one("exited", ID);
    let listed = listed.replacen('{', r#"{"ImageID":"sha256:c","#, 1);
    let daemon = Daemon::start(move |method, target| match (method, target) {
        ("GET", target) if target.starts_with("/containers/json") => ok(listed.clone()),
        ("GET", "/containers/d/json") => ok(inspected.clone()),
        // It was committed from one of ours.
        ("GET", "/images/sha256:c/json") => ok(format!(
            r#"{{"Id":"sha256:c","Config":{{"Labels":{{"dev.selur.id":"{ID}"}}}}}}"#
        )),
        ("DELETE", _) => Answer::Says(204, String::new()),
        _ => missing(),
    });
    let docker = open(&daemon);
    assert_eq!(docker.list().await.unwrap(), []);
    let delete = |force| perform(&docker, Operation::Delete { force });
    assert_eq!(
        delete(false).await.unwrap_err().status(),
        Status::ContainerNotFound
    );
    delete(true).await.unwrap();
    let is_removal = |request: &String| request.starts_with("DELETE");
    assert!(
        !daemon.requests().iter().any(is_removal),
        "{:?}",
        daemon.requests()
    );
}

#[tokio::test]
async fn a_name_that_a_loaded_file_moved_is_moved_back() {
    let daemon = Daemon::start(|method, target| match (method, target) {
        ("GET", "/images/json") => ok(r#"[{"Id":"sha256:old","RepoTags":["docker.io/library/a:1"]}]"#),
        ("POST", target) if target.starts_with("/images/load") => {
            ok(r#"{"stream":"Loaded image: docker.io/library/a:1,docker.io/library/b:1"}"#)
        }
        ("GET", target) if target.starts_with("/images/") => ok(r#"{"Id":"sha256:new"}"#),
        ("POST", target) if target.contains("/tag?") => Answer::Says(201, String::new()),
        ("DELETE", _) => ok("[]"),
        _ => missing(),
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    let docker = open(&daemon);
    let images = docker.images().unwrap();
    let loaded = images
        .load(file.path(), Some("docker.io/library/mine:1"))
        .await
        .unwrap();
    assert_eq!(loaded.len(), 1);
    let changes = daemon
        .requests()
        .into_iter()
        .filter(|request| !request.starts_with("GET"));
    let changes: Vec<_> = changes.map(|request| request.replace("%2F", "/")).collect();
    assert_eq!(
        changes[1..],
        [
            "POST /images/sha256:new/tag?repo=docker.io/library/mine&tag=1",
            "POST /images/sha256:old/tag?repo=docker.io/library/a&tag=1",
            "DELETE /images/docker.io/library/b:1",
        ]
    );
}

#[tokio::test]
async fn a_daemon_that_notices_an_end_late_is_waited_for() {
    const UPGRADED: &[u8] = b"HTTP/1.1 101 UPGRADED\r\nconnection: Upgrade\r\nupgrade: tcp\r\n\r\n";
    let (attached, looks) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (listed, _) = one("created", ID);
    let daemon = Daemon::start(move |method, target| {
        let inspected = |state: &str| {
            let inspected = one(state, ID).1;
            ok(inspected.replace(r#""Pid":7"#, r#""Pid":7,"ExitCode":3"#))
        };
        match (method, target) {
            ("GET", target) if target.starts_with("/containers/json") => ok(listed.clone()),
            ("GET", "/containers/d/json") if !attached.load(Ordering::SeqCst) => {
                ok(one("created", ID).1.replace("2026-01", "0001-01"))
            }
            // It is started, and ends at once, which is seen after some looks.
            ("GET", "/containers/d/json") => match looks.fetch_add(1, Ordering::SeqCst) {
                0..3 => inspected("running"),
                _ => inspected("exited"),
            },
            ("POST", target) if target.starts_with("/containers/d/attach") => {
                attached.store(true, Ordering::SeqCst);
                Answer::Raw(UPGRADED)
            }
            _ => missing(),
        }
    });
    let docker = open(&daemon);
    let session = docker.attach(ID, AttachOptions::default()).await.unwrap();
    let items: Vec<_> = session.output.collect().await;
    let [Ok(SessionItem::Ended { exit_code })] = items.as_slice() else {
        panic!("{items:?}");
    };
    assert_eq!(*exit_code, Some(3));
    let attachments = daemon.requests().into_iter();
    assert_eq!(
        attachments.filter(|request| request.contains("/attach")).count(),
        1
    );
}

#[tokio::test]
async fn a_process_that_ends_before_it_is_attached_to_again_is_no_error() {
    const UPGRADED: &[u8] = b"HTTP/1.1 101 UPGRADED\r\nconnection: Upgrade\r\nupgrade: tcp\r\n\r\n";
    let attachments = AtomicUsize::new(0);
    let (listed, _) = one("created", ID);
    let daemon = Daemon::start(move |method, target| {
        let inspected = |state: &str, second: u32, restarts: u32| {
            let inspected = one(state, ID)
                .1
                .replace("00:00:00Z", &format!("00:00:0{second}Z"));
            let counted = format!(r#"{{"RestartCount":{restarts},"#);
            ok(inspected
                .replacen('{', &counted, 1)
                .replace(r#""Pid":7"#, r#""Pid":7,"ExitCode":3"#))
        };
        match (method, target) {
            ("GET", target) if target.starts_with("/containers/json") => ok(listed.clone()),
            // It has been started again when the first attachment ends, and ends when the second one begins.
            ("GET", "/containers/d/json") => match attachments.load(Ordering::SeqCst) {
                0 => inspected("running", 1, 0),
                1 => inspected("running", 2, 1),
                _ => inspected("exited", 2, 1),
            },
            ("POST", target) if target.starts_with("/containers/d/attach") => {
                match attachments.fetch_add(1, Ordering::SeqCst) {
                    0 => Answer::Raw(UPGRADED),
                    _ => Answer::Says(
                        500,
                        r#"{"message":"can only attach to created or running containers: container state improper"}"#.into(),
                    ),
                }
            }
            _ => missing(),
        }
    });
    let docker = open(&daemon);
    let session = docker.attach(ID, AttachOptions::default()).await.unwrap();
    let items: Vec<_> = session.output.collect().await;
    let [Ok(SessionItem::Ended { exit_code: Some(3) })] = items.as_slice() else {
        panic!("{items:?}");
    };
}

/// Looks at one container are taken one after another.
#[tokio::test]
async fn a_reader_that_stops_in_the_middle_of_a_look_holds_nobody_up() {
    let looks = AtomicUsize::new(0);
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let may_go_on = std::sync::Mutex::new(may_go_on);
    let (listed, inspected) = one("running", ID);
    let daemon = Daemon::start(move |method, target| match (method, target) {
        ("GET", target) if target.starts_with("/containers/json") => ok(listed.clone()),
        ("GET", "/containers/d/json") => {
            if looks.fetch_add(1, Ordering::SeqCst) == 1 {
                let _ = may_go_on.lock().unwrap().recv();
            }
            ok(inspected.clone())
        }
        _ => missing(),
    });
    let docker = open(&daemon);
    let mut stats = docker.stats(ID, StatsOptions::default()).await.unwrap();
    let mut sample = stats.next();
    let is_look = |request: &&String| request.starts_with("GET /containers/d/json");
    while daemon.requests().iter().filter(is_look).count() < 2 {
        assert!(futures_util::poll!(&mut sample).is_pending());
        tokio::task::yield_now().await;
    }
    go_on.send(()).unwrap();
    perform(&docker, Operation::Inspect).await.unwrap();
}
