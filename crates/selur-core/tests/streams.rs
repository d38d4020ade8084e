//! What flows beside the kernel: opened by requests like any other, taken once, ended by whoever drops it.

mod support;

use futures_util::StreamExt;
use selur_core::{
    AttachOptions, Backend, Bridge, Command, ContainerSpec, CreateOptions, Deletion, EventItem, EventKind,
    EventOptions, ExecSpec, LogOptions, PruneOptions, SessionItem, StatsOptions, Status, Stream, TakenStream,
    TerminalSize, TransferItem,
};
use std::time::Duration;
use support::{Events, frame, over, simulated};

fn running(bridge: &Bridge, name: &str) {
    let spec = ContainerSpec {
        stdin: true,
        ..ContainerSpec::default()
    };
    let options = CreateOptions::new("nginx").name(name).spec(spec);
    bridge.create_container(options).expect("created");
    bridge.start_container(name).expect("started");
}

fn read(output: Stream<SessionItem>) -> (String, Option<i32>) {
    let mut said = Vec::new();
    for item in output {
        match item.expect("an item") {
            SessionItem::Output { bytes, .. } => said.extend(bytes),
            SessionItem::Ended { exit_code } => return (String::from_utf8(said).expect("UTF-8"), exit_code),
        }
    }
    panic!("no end came");
}

/// The id of the stream that a frame opened.
fn opened(bridge: &Bridge, command: Command, fields: &[&str]) -> u64 {
    let response = bridge.call(&frame(command, fields)).expect("answered");
    let text = String::from_utf8(response.data().to_vec()).expect("UTF-8");
    assert!(response.is_success(), "{text}");
    text.parse().expect("an id")
}

#[test]
fn a_session_takes_input_and_gives_output_and_an_end() {
    let bridge = simulated();
    running(&bridge, "web");
    let spec = ExecSpec {
        stdin: true,
        terminal: true,
        size: Some(TerminalSize {
            rows: 10,
            columns: 20,
        }),
        ..ExecSpec::new(["size"])
    };
    let session = bridge.exec("web", &spec).expect("exec");
    session
        .input
        .resize(TerminalSize {
            rows: 11,
            columns: 22,
        })
        .expect("resized");
    session.input.write(b"typed").expect("written");
    session.input.end().expect("ended");
    assert_eq!(read(session.output), ("10 20\r\n11 22\r\ntyped".into(), Some(0)));
    assert_eq!(
        read(
            bridge
                .exec("web", &ExecSpec::new(["exit", "7"]))
                .expect("exec")
                .output
        )
        .1,
        Some(7)
    );
}

#[test]
fn a_session_without_input_refuses_it() {
    let bridge = simulated();
    running(&bridge, "web");
    let session = bridge.exec("web", &ExecSpec::new(["true"])).expect("exec");
    let input = session.input.clone();
    read(session.output);
    let error = input.write(b"more").expect_err("nobody reads");
    assert_eq!(error.status(), Status::InvalidState);
}

#[test]
fn an_attachment_ends_with_its_container() {
    let bridge = simulated();
    running(&bridge, "web");
    let options = AttachOptions {
        stdin: true,
        replay: true,
    };
    let session = bridge.attach("web", options).expect("attached");
    bridge.stop_container("web", None).expect("stopped");
    let (said, exit_code) = read(session.output);
    assert!(said.ends_with("generation 1\n"), "{said:?}");
    assert_eq!(exit_code, Some(143));
    let error = bridge.attach("web", options).expect_err("it has ended");
    assert_eq!(error.status(), Status::InvalidState);
}

#[test]
fn the_kernel_refuses_what_the_state_forbids() {
    let bridge = simulated();
    bridge
        .create_container(CreateOptions::new("nginx").name("web"))
        .expect("created");
    let exec = bridge
        .exec("web", &ExecSpec::new(["true"]))
        .expect_err("not running");
    let stats = bridge
        .stats("web", StatsOptions::default())
        .expect_err("not running");
    let top = bridge.top("web").expect_err("not running");
    for error in [exec, stats, top] {
        assert_eq!(error.status(), Status::InvalidState, "{error}");
        assert!(error.message().contains("created"), "{error}");
    }
    let error = bridge
        .logs("nobody", &LogOptions::default())
        .expect_err("not there");
    assert_eq!(error.status(), Status::ContainerNotFound);
}

#[test]
fn options_that_are_not_known_are_named() {
    let bridge = simulated();
    running(&bridge, "web");
    let cases: [(Command, &[&str], &str); 4] = [
        (
            Command::Exec,
            &["web", r#"{"command":["true"],"colour":1}"#],
            "colour",
        ),
        (Command::Logs, &["web", r#"{"folow":true}"#], "folow"),
        (Command::Events, &[r#"{"from":1}"#], "from"),
        (Command::PruneImages, &["[]"], "prune_images"),
    ];
    for (command, fields, word) in cases {
        let response = bridge.call(&frame(command, fields)).expect("answered");
        let message = String::from_utf8_lossy(response.data()).into_owned();
        assert_eq!(response.status(), Status::InvalidRequest, "{message}");
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn a_stream_that_a_frame_opened_is_taken_once() {
    let bridge = simulated();
    running(&bridge, "web");
    let id = opened(&bridge, Command::Exec, &["web", r#"{"command":["echo","hi"]}"#]);
    let TakenStream::Session(session) = bridge.take_stream(id).expect("taken") else {
        panic!("not a session");
    };
    assert_eq!(read(session.output), ("hi\n".into(), Some(0)));
    let error = bridge.take_stream(id).expect_err("taken before");
    assert_eq!(error.status(), Status::InvalidRequest);
    assert!(matches!(
        bridge.take_stream(opened(&bridge, Command::Logs, &["web"])),
        Ok(TakenStream::Logs(_))
    ));
    assert!(matches!(
        bridge.take_stream(opened(&bridge, Command::Stats, &["web"])),
        Ok(TakenStream::Stats(_))
    ));
    assert!(matches!(
        bridge.take_stream(opened(&bridge, Command::Events, &[])),
        Ok(TakenStream::Events(_))
    ));
}

#[test]
fn streams_that_nobody_takes_are_bounded() {
    let bridge = simulated();
    let ids: Vec<u64> = (0..1_024)
        .map(|_| opened(&bridge, Command::Events, &[]))
        .collect();
    let refused = bridge.call(&frame(Command::Events, &[])).expect("answered");
    assert_eq!(refused.status(), Status::ResourceExhausted);
    drop(bridge.take_stream(ids[0]).expect("taken"));
    opened(&bridge, Command::Events, &[]);
}

#[test]
fn a_stream_ends_when_the_bridge_is_closed() {
    let bridge = simulated();
    running(&bridge, "web");
    let mut events = bridge.events(EventOptions::default()).expect("events");
    let session = bridge.exec("web", &ExecSpec::new(["sleep"])).expect("exec");
    let waits = std::thread::spawn(move || events.wait_next().is_none());
    bridge.close();
    assert!(waits.join().expect("the reader"));
    assert!(session.output.into_iter().next().is_none());
    assert_eq!(
        session.input.write(b"x").expect_err("closed").status(),
        Status::InvalidRequest
    );
}

#[test]
fn streams_are_read_by_any_executor() {
    let bridge = simulated();
    running(&bridge, "web");
    let logs = bridge.logs("web", &LogOptions::default()).expect("logs");
    let entries: Vec<_> = futures_util::FutureExt::now_or_never(logs.collect()).unwrap_or_default();
    assert_eq!(entries.len(), 1);
}

#[test]
fn a_pull_tells_how_far_it_is_and_ends_with_the_image() {
    let bridge = simulated();
    let items: Vec<_> = bridge
        .pull_image_with_progress("nginx")
        .expect("begun")
        .into_iter()
        .collect::<Result<_, _>>()
        .expect("pulled");
    assert!(
        matches!(items.first(), Some(TransferItem::Progress(_))),
        "{items:?}"
    );
    let Some(TransferItem::Pulled(image)) = items.last() else {
        panic!("{items:?}");
    };
    assert_eq!(bridge.list_images().expect("listed"), std::slice::from_ref(image));
}

#[test]
fn a_pull_is_given_up_at_its_deadline() {
    let bridge = simulated().with_deadline(Some(Duration::from_millis(50)));
    let error = bridge.pull_image("fault.test/hang:pull").expect_err("it hangs");
    assert_eq!(error.status(), Status::Timeout);
    let mut items = bridge
        .pull_image_with_progress("fault.test/hang:pull")
        .expect("begun")
        .into_iter();
    let last = items.by_ref().last().expect("an item").expect_err("it hangs");
    assert_eq!(last.status(), Status::Timeout);
    assert!(items.next().is_none());
}

#[test]
fn a_cancelled_request_opens_nothing() {
    let bridge = simulated();
    let ticket = bridge
        .submit(&frame(Command::PullImage, &["fault.test/hang:pull"]))
        .expect("submitted");
    ticket.cancel();
    assert_eq!(ticket.wait().status(), Status::Cancelled);
    assert_eq!(bridge.list_images().expect("listed"), []);
}

#[test]
fn images_and_volumes_are_asked_for_by_frames() {
    let bridge = simulated();
    let pulled = bridge.pull_image("nginx").expect("pulled");
    bridge.tag_image("nginx", "reg.test/web:v1").expect("tagged");
    let pushed = bridge.push_image("reg.test/web:v1").expect("pushed");
    assert_eq!(
        (pushed.reference.as_str(), &pushed.digest),
        ("reg.test/web:v1", &pulled.digest)
    );
    let prune = |dry_run| bridge.prune_images(PruneOptions { all: true, dry_run });
    let would = prune(true).expect("told");
    assert_eq!(
        (would.references.len(), would.freed_bytes),
        (2, pulled.size_bytes)
    );
    assert_eq!(prune(false).expect("pruned"), would);
    assert_eq!(bridge.list_images().expect("listed"), []);
    let error = bridge.inspect_volume("data").expect_err("there is none");
    assert!(
        matches!(error.status(), Status::VolumeNotFound | Status::Unsupported),
        "{error}"
    );
}

#[test]
fn events_tell_what_other_bridges_on_the_runtime_do() {
    let bridge = simulated();
    let events = bridge.events(EventOptions::default()).expect("events");
    running(&bridge, "web");
    bridge.delete_container("web", Deletion::Force).expect("deleted");
    let mut kinds = Vec::new();
    for item in events {
        let EventItem::Event(event) = item.expect("an item") else {
            panic!("this reader is not slow");
        };
        kinds.push(event.kind);
        if event.kind == EventKind::Deleted {
            break;
        }
    }
    use EventKind::*;
    assert_eq!(kinds, [ImagePulled, Created, Started, Ended, Deleted]);
}

#[test]
fn a_slow_reader_of_events_is_told_how_many_it_missed() {
    let bridge = simulated();
    let events = bridge.events(EventOptions::default()).expect("events");
    bridge
        .create_container(CreateOptions::new("nginx").name("web"))
        .expect("created");
    for _ in 0..1_000 {
        bridge.start_container("web").expect("started");
        bridge.stop_container("web", None).expect("stopped");
    }
    bridge.delete_container("web", Deletion::Plain).expect("deleted");
    let mut items = events.map(|item| item.expect("an item"));
    // 2,003 events happened, and 1,024 are kept.
    assert_eq!(
        futures_util::FutureExt::now_or_never(items.next()),
        Some(Some(EventItem::Lagged(979)))
    );
    let kept = futures_util::FutureExt::now_or_never(items.take(1_024).collect::<Vec<_>>()).expect("kept");
    assert!(matches!(kept.last(), Some(EventItem::Event(event)) if event.kind == EventKind::Deleted));
}

#[test]
fn a_bridge_over_a_runtime_without_streams_says_so() {
    let bridge = Bridge::builder()
        .backend(Backend::Custom(
            std::sync::Arc::new(support::Scripted::obedient()),
        ))
        .build()
        .expect("a bridge");
    let error = bridge.events(EventOptions::default()).expect_err("it has none");
    assert_eq!(error.status(), Status::Unsupported);
    assert!(error.message().contains("scripted"), "{error}");
}

#[test]
fn a_stream_that_panics_is_an_error_and_ends() {
    let events = Events(|| futures_util::stream::poll_fn(|_| panic!("on purpose")).boxed());
    let bridge = over(std::sync::Arc::new(events));
    let mut events = bridge.events(EventOptions::default()).expect("events");
    let error = events.wait_next().expect("an item").expect_err("it panics");
    assert_eq!(error.status(), Status::InternalError);
    assert!(error.message().contains("on purpose"), "{error}");
    assert!(events.wait_next().is_none());
}
