//! What flows beside the effects: processes run in containers, attachments, statistics, events.
//!
//! The programs that are run are those which the simulated backend and busybox have in common.

use super::subject::{DELETE, KILL, STOP};
use super::{Ability, DEADLINE, Fixture, Subject};
use futures_util::StreamExt;
use selur_protocol::{State, Status};
use selur_runtime::{
    AttachOptions, Event, EventItem, EventKind, EventOptions, EventStream, ExecSpec, LogOptions, Operation,
    OutputStream, Session, SessionInput, SessionItem, Stats, StatsOptions,
};
use tokio_util::sync::CancellationToken;

impl Subject {
    async fn exec(&self, spec: ExecSpec) -> Result<Session, Status> {
        let opened = self.runtime.exec(self.id, spec, CancellationToken::new()).await;
        opened.map_err(|error| error.status())
    }

    /// What a process wrote to standard output and standard error, and how it ended.
    async fn run(&self, spec: ExecSpec) -> (String, String, Option<i32>) {
        read(self.exec(spec).await.expect("exec")).await
    }
}

async fn read(mut session: Session) -> (String, String, Option<i32>) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some(item) = session.output.next().await {
        match item.expect("an item") {
            SessionItem::Output { stream, bytes } => match stream {
                OutputStream::Stdout => stdout.extend(bytes),
                OutputStream::Stderr => stderr.extend(bytes),
            },
            SessionItem::Ended { exit_code } => {
                assert!(session.output.next().await.is_none(), "the end is the last item");
                let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
                return (text(stdout), text(stderr), exit_code);
            }
        }
    }
    panic!("the session ended without an end");
}

/// A process beside the first one writes, and ends with its own code.
pub async fn an_exec_writes_and_ends_with_its_code(fixture: &impl Fixture) {
    let subject = Subject::started(fixture, fixture.runs()).await;
    let said = subject.run(ExecSpec::new(["echo", "hello", "there"])).await;
    assert_eq!(said, ("hello there\n".into(), String::new(), Some(0)));
    assert_eq!(subject.run(ExecSpec::new(["true"])).await.2, Some(0));
    assert_eq!(subject.run(ExecSpec::new(["false"])).await.2, Some(1));
    assert_eq!(subject.inspect().await.state, "running");
    subject.remove().await;
}

/// Input goes in until it is ended, and comes out.
pub async fn an_exec_reads_its_input(fixture: &impl Fixture) {
    let subject = Subject::started(fixture, fixture.runs()).await;
    let spec = ExecSpec {
        stdin: true,
        ..ExecSpec::new(["cat"])
    };
    let session = subject.exec(spec).await.expect("exec");
    for input in [
        SessionInput::Bytes(b"one\n".to_vec()),
        SessionInput::Bytes(b"two\n".to_vec()),
        SessionInput::End,
    ] {
        session.input.send(input).await.expect("it reads");
    }
    assert_eq!(read(session).await, ("one\ntwo\n".into(), String::new(), Some(0)));
    // Without an input it is at its end at once.
    assert_eq!(subject.run(ExecSpec::new(["cat"])).await.2, Some(0));
    subject.remove().await;
}

/// The environment and the working directory are those that were asked for.
pub async fn an_exec_runs_where_it_was_told_to(fixture: &impl Fixture) {
    let subject = Subject::started(fixture, fixture.runs()).await;
    let spec = ExecSpec {
        environment: vec!["COLOUR=blue".into()],
        working_directory: Some("/tmp".into()),
        ..ExecSpec::new(["env"])
    };
    let (environment, _, _) = subject.run(spec.clone()).await;
    assert!(
        environment.lines().any(|line| line == "COLOUR=blue"),
        "{environment}"
    );
    let spec = ExecSpec {
        command: vec!["pwd".into()],
        ..spec
    };
    assert_eq!(subject.run(spec).await.0, "/tmp\n");
    subject.remove().await;
}

/// What cannot be run is refused with words, and leaves nothing.
pub async fn an_exec_that_cannot_be_run_is_refused(fixture: &impl Fixture) {
    let subject = Subject::created(fixture, fixture.runs()).await;
    let exec = || subject.exec(ExecSpec::new(["true"]));
    assert_eq!(exec().await.err(), Some(Status::InvalidState));
    subject.report(Operation::Start).await;
    let missing = subject.exec(ExecSpec::new(["no-such-program"])).await;
    assert_eq!(missing.err(), Some(Status::InvalidRequest));
    subject.perform(KILL).await.expect("kill");
    subject.until(State::Stopped).await;
    assert_eq!(exec().await.err(), Some(Status::InvalidState));
    subject.remove().await;
    assert_eq!(exec().await.err(), Some(Status::ContainerNotFound));
}

/// No process outlives its container.
pub async fn an_exec_ends_with_its_container(fixture: &impl Fixture) {
    let subject = Subject::started(fixture, fixture.runs()).await;
    let session = subject
        .exec(ExecSpec::new(["sleep", "1000"]))
        .await
        .expect("exec");
    subject.perform(KILL).await.expect("kill");
    assert_eq!(read(session).await.2, Some(137));
    subject.remove().await;
}

/// Whoever drops a session ends its process; where that takes a while, the backend says when it was done.
pub async fn an_exec_that_nobody_wants_is_ended(fixture: &impl Fixture) {
    let subject = Subject::started(fixture, fixture.runs()).await;
    let top = || async { subject.runtime.top(subject.id).await.expect("top").len() };
    let alone = top().await;
    let session = subject
        .exec(ExecSpec::new(["sleep", "1000"]))
        .await
        .expect("exec");
    drop(session);
    subject.runtime.settled().await;
    let gone = async { while top().await != alone {} };
    tokio::time::timeout(DEADLINE, gone).await.expect("it goes");
    subject.remove().await;
}

/// Whoever attaches before the start sees all of it, and how it ended.
pub async fn an_attachment_shows_what_is_written_and_the_end(fixture: &impl Fixture) {
    let subject = Subject::created(fixture, fixture.exits(3)).await;
    let attach = |options| subject.runtime.attach(subject.id, options);
    let session = attach(AttachOptions::default()).await.expect("attach");
    subject.perform(Operation::Start).await.expect("start");
    let (stdout, _, exit_code) = read(session).await;
    let logged: Vec<u8> = subject
        .log()
        .await
        .into_iter()
        .flat_map(|entry| entry.bytes)
        .collect();
    assert_eq!((stdout.as_bytes(), exit_code), (&logged[..], Some(3)));
    let refused = attach(AttachOptions::default()).await;
    assert_eq!(
        refused.err().map(|error| error.status()),
        Some(Status::InvalidState)
    );
    subject.remove().await;
}

/// Input is only for containers that were made for it.
pub async fn an_attachment_needs_an_input_that_was_asked_for(fixture: &impl Fixture) {
    let subject = Subject::created(fixture, fixture.runs()).await;
    let options = AttachOptions {
        stdin: true,
        replay: false,
    };
    let refused = subject.runtime.attach(subject.id, options).await;
    assert_eq!(
        refused.err().map(|error| error.status()),
        Some(Status::InvalidRequest)
    );
    subject.remove().await;
}

/// Only what is wanted of a log is given.
pub async fn a_log_is_read_as_the_options_say(fixture: &impl Fixture) {
    let subject = Subject::started(fixture, fixture.runs()).await;
    let all = subject.log().await;
    let count = async |options: LogOptions| {
        let stream = subject.runtime.logs(subject.id, options).await.expect("logs");
        stream.count().await
    };
    let default = LogOptions::default;
    assert_eq!(
        count(LogOptions {
            stdout: false,
            ..default()
        })
        .await,
        0
    );
    assert_eq!(
        count(LogOptions {
            stderr: false,
            ..default()
        })
        .await,
        all.len()
    );
    let last = all.last().expect("it wrote").time_ns;
    let since = |since_ns| LogOptions {
        since_ns: Some(since_ns),
        ..default()
    };
    assert_eq!(count(since(last)).await, 1);
    // A stamp of a whole second stands for all of it.
    let resolution_ns = if last % 1_000_000_000 == 0 {
        1_000_000_000
    } else {
        1
    };
    assert_eq!(count(since(last + resolution_ns)).await, 0);
    subject.remove().await;
}

/// Samples come while the container runs, and end with it.
pub async fn statistics_are_sampled_while_it_runs(fixture: &impl Fixture) {
    let subject = Subject::started(fixture, fixture.runs()).await;
    let stats = |options| subject.runtime.stats(subject.id, options);
    let once = StatsOptions {
        follow: false,
        ..StatsOptions::default()
    };
    if !fixture.is_able_to(Ability::Stats) {
        let refused = stats(once).await.err().expect("they are refused");
        assert_eq!(refused.status(), Status::Unsupported);
        assert!(!refused.chain().is_empty(), "they are refused without a message");
        subject.remove().await;
        return;
    }
    let samples: Vec<_> = stats(once).await.expect("stats").collect().await;
    assert_eq!(samples.len(), 1);
    let Stats {
        memory_bytes, pids, ..
    } = *samples[0].as_ref().expect("a sample");
    assert!(memory_bytes > 0 && pids >= 1, "{samples:?}");
    let hasty = StatsOptions {
        interval_ms: 9,
        ..StatsOptions::default()
    };
    let refused = stats(hasty).await.err().map(|error| error.status());
    assert_eq!(refused, Some(Status::InvalidRequest));
    let fast = StatsOptions {
        interval_ms: 10,
        ..StatsOptions::default()
    };
    let mut followed = stats(fast).await.expect("stats");
    assert!(followed.next().await.is_some());
    subject.perform(KILL).await.expect("kill");
    while followed.next().await.is_some() {}
    let refused = stats(once).await.err().map(|error| error.status());
    assert_eq!(refused, Some(Status::InvalidState));
    subject.remove().await;
}

/// The processes of a container are told, and nobody else's.
pub async fn processes_are_told(fixture: &impl Fixture) {
    let subject = Subject::started(fixture, fixture.runs()).await;
    let processes = subject.runtime.top(subject.id).await.expect("top");
    assert!(!processes.is_empty() && processes.len() < 5, "{processes:?}");
    assert!(
        processes
            .iter()
            .all(|process| process.pid > 0 && !process.command.is_empty())
    );
    subject.perform(KILL).await.expect("kill");
    subject.until(State::Stopped).await;
    let refused = subject.runtime.top(subject.id).await;
    assert_eq!(
        refused.err().map(|error| error.status()),
        Some(Status::InvalidState)
    );
    subject.remove().await;
}

/// Every step of a life is told once, in order, and alike to all who listen.
pub async fn events_tell_a_whole_life_to_everybody(fixture: &impl Fixture) {
    let runtime = fixture.runtime();
    let mut readers = Vec::new();
    for _ in 0..2 {
        readers.push(runtime.events(EventOptions::default()).await.expect("events"));
    }
    let subject = Subject::created(fixture, fixture.runs()).await;
    for operation in [
        Operation::Start,
        Operation::Pause,
        Operation::Resume,
        STOP,
        Operation::Start,
        KILL,
    ] {
        subject.report_of(fixture, operation).await;
    }
    subject.until(State::Stopped).await;
    subject.perform(DELETE).await.expect("delete");
    use EventKind::*;
    let mut life = vec![Created, Started, Paused, Resumed, Ended, Started, Ended, Deleted];
    if !fixture.is_able_to(Ability::Pause) {
        life.retain(|kind| !matches!(kind, Paused | Resumed));
    }
    let (first, last) = (1, life.len() - 2);
    let mut told = Vec::new();
    for reader in readers {
        let events = until_deleted(reader, &subject.id.to_string()).await;
        let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
        assert_eq!(kinds, life);
        assert_eq!(events[last].exit_code, Some(137));
        assert!(events[first].generation < events[last].generation, "{events:?}");
        told.push(events);
    }
    assert_eq!(told[0], told[1]);
    // What is known of the past can be asked for.
    let since = EventOptions {
        since_ns: Some(told[0][0].time_ns),
        until_now: true,
    };
    let past = runtime.events(since).await.expect("events");
    assert_eq!(until_deleted(past, &subject.id.to_string()).await, told[0]);
}

async fn until_deleted(mut events: EventStream, subject: &str) -> Vec<Event> {
    let mut told = Vec::new();
    while let Some(item) = events.next().await {
        let EventItem::Event(event) = item.expect("an event") else {
            panic!("this reader is not slow");
        };
        if event.subject != subject {
            continue;
        }
        let is_last = event.kind == EventKind::Deleted;
        told.push(event);
        if is_last {
            return told;
        }
    }
    panic!("the events ended early: {told:?}");
}
