//! What all processes on a state root are told.

use crate::sessions::{another_process, as_another_process, sigkill};
use crate::support::*;
use futures_util::StreamExt;
use futures_util::future::join_all;
use selur_protocol::ContainerId;
use selur_runtime::{
    Event, EventItem, EventKind, EventOptions, EventStream, Operation, RestartPolicy, Runtime,
};
use selur_shim::{Durability, Process};
use std::collections::BTreeMap;
use std::io::BufRead;

use EventKind::{Created, Deleted, Ended, Paused, Restarting, Resumed, Started};

async fn next(events: &mut EventStream) -> Event {
    let item = tokio::time::timeout(DEADLINE, events.next()).await;
    match item.expect("an event in time") {
        // The image of the world was loaded before.
        Some(Ok(EventItem::Event(event))) if event.kind == EventKind::ImageLoaded => {
            Box::pin(next(events)).await
        }
        Some(Ok(EventItem::Event(event))) => event,
        other => panic!("{other:?}"),
    }
}

/// What is told of one container, until it is deleted.
async fn life_of(events: &mut EventStream, id: ContainerId) -> Vec<Event> {
    let mut life = Vec::new();
    loop {
        let event = next(events).await;
        if event.subject == id.to_string() {
            let is_last = event.kind == Deleted;
            life.push(event);
            if is_last {
                return life;
            }
        }
    }
}

fn brief(events: &[Event]) -> Vec<(EventKind, Option<u32>, Option<i32>)> {
    let brief = |event: &Event| (event.kind, event.generation, event.exit_code);
    events.iter().map(brief).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_is_told_from_its_beginning_to_its_end() {
    let world = World::new().await;
    let mut events = world.oci.events(EventOptions::default()).await.unwrap();
    let id = new_id();
    world
        .perform(id, creation(Some("web"), shell("sleep 1000")))
        .await
        .unwrap();
    for operation in [Operation::Start, Operation::Pause, Operation::Resume, stop(0)] {
        world.perform(id, operation).await.unwrap();
    }
    world.perform(id, Operation::Start).await.unwrap();
    world.delete(id).await;
    let life = life_of(&mut events, id).await;
    assert_eq!(
        brief(&life),
        [
            (Created, Some(0), None),
            (Started, Some(1), None),
            (Paused, Some(1), None),
            (Resumed, Some(1), None),
            (Ended, Some(1), Some(137)),
            (Started, Some(2), None),
            (Ended, Some(2), Some(137)),
            (Deleted, Some(2), None),
        ]
    );
    assert!(life.iter().all(|event| event.name.as_deref() == Some("web")));
    assert!(life.is_sorted_by_key(|event| event.time_ns));
}

#[tokio::test(flavor = "multi_thread")]
async fn restarts_and_failures_to_start_are_told() {
    let world = World::new().await;
    let mut events = world.oci.events(EventOptions::default()).await.unwrap();
    let mut spec = shell("exit 3");
    spec.restart = RestartPolicy::OnFailure(Some(1));
    let id = world.create(spec).await;
    world.perform(id, Operation::Start).await.unwrap();
    world.ended(id).await;
    world.delete_stopped(id).await;
    assert_eq!(
        brief(&life_of(&mut events, id).await)[1..5],
        [
            (Started, Some(1), None),
            (Restarting, Some(1), Some(3)),
            (Started, Some(2), None),
            (Ended, Some(2), Some(3)),
        ]
    );
    let missing = world.create(command(&["/nowhere"])).await;
    world.perform(missing, Operation::Start).await.unwrap_err();
    world.delete_stopped(missing).await;
    let life = life_of(&mut events, missing).await;
    assert_eq!(brief(&life)[1], (Ended, Some(1), Some(127)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_nobody_saw_is_told_without_a_code() {
    let world = World::new().await;
    let mut events = world.oci.events(EventOptions::default()).await.unwrap();
    let lost = world.run("sleep 1000").await;
    let process = world.life(lost).process.unwrap();
    sigkill(world.shim_pid(lost).unwrap());
    sigkill(i32::try_from(process.pid).unwrap());
    world.ended(lost).await;
    world.delete(lost).await;
    let life = life_of(&mut events, lost).await;
    assert_eq!(
        brief(&life)[1..3],
        [(Started, Some(1), None), (Ended, Some(1), None)]
    );

    let rebooted = world.create(shell("sleep 1000")).await;
    let mut life = world.life(rebooted);
    life.run(Process::own().unwrap());
    life.boot = "00000000-0000-0000-0000-000000000000".into();
    life.write(&world.root(), rebooted, Durability::Disk).unwrap();
    world.delete(rebooted).await;
    let life = life_of(&mut events, rebooted).await;
    assert_eq!(
        brief(&life)[1..],
        [(Ended, Some(1), None), (Deleted, Some(1), None)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn events_since_a_moment_are_read_and_end_where_that_is_wanted() {
    let world = World::new().await;
    let first = world.create(shell("true")).await;
    let mut all = world
        .oci
        .events(EventOptions {
            since_ns: Some(0),
            until_now: true,
        })
        .await
        .unwrap();
    let created = next(&mut all).await;
    assert_eq!((created.kind, created.subject), (Created, first.to_string()));
    assert!(all.next().await.is_none());
    let second = world.create(shell("true")).await;
    let options = EventOptions {
        since_ns: Some(created.time_ns + 1),
        until_now: false,
    };
    let mut later = world.oci.events(options).await.unwrap();
    assert_eq!(next(&mut later).await.subject, second.to_string());
    let third = world.create(shell("true")).await;
    assert_eq!(next(&mut later).await.subject, third.to_string());
    let options = EventOptions {
        since_ns: None,
        until_now: true,
    };
    assert!(world.oci.events(options).await.unwrap().next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_told_how_many_events_it_missed() {
    const COUNT: u32 = 20_000;
    let world = World::new().await;
    let mut slow = world.oci.events(EventOptions::default()).await.unwrap();
    for generation in 0..COUNT {
        let mut event = Event::now(Started, "0123456789abcdef0123456789abcdef");
        event.generation = Some(generation);
        selur_shim::event_log::append(&world.root(), &event).unwrap();
    }
    let lagged = slow.next().await.unwrap().unwrap();
    let EventItem::Lagged(missed) = lagged else {
        panic!("{lagged:?}");
    };
    for generation in u32::try_from(missed).unwrap()..COUNT {
        assert_eq!(next(&mut slow).await.generation, Some(generation));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_readers_see_the_same_whole_lives_of_a_hundred_containers() {
    const COUNT: usize = 100;
    let world = World::new().await;
    let mut events = world.oci.events(EventOptions::default()).await.unwrap();
    let mut other = another_process(&world, new_id(), "events::a_reader_in_another_process")
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = std::io::BufReader::new(other.stderr.take().unwrap()).lines();
    assert!(told.any(|line| line.unwrap().contains("reading")));
    let slots = tokio::sync::Semaphore::new(8);
    let lives = (0..COUNT).map(|_| async {
        let _slot = slots.acquire().await.unwrap();
        let id = world.create(command(&["/bin/true"])).await;
        world.perform(id, Operation::Start).await.unwrap();
        world.ended(id).await;
        world
            .perform(id, Operation::Delete { force: false })
            .await
            .unwrap();
    });
    join_all(lives).await;
    let end = Event::now(EventKind::VolumeDeleted, "the end");
    selur_shim::event_log::append(&world.root(), &end).unwrap();

    let mut own = Vec::new();
    while own.last() != Some(&end) {
        own.push(next(&mut events).await);
    }
    let others = told
        .map(|line| line.unwrap())
        .filter(|line| line.starts_with('{'));
    let others: Vec<Event> = others.map(|line| serde_json::from_str(&line).unwrap()).collect();
    assert!(other.wait().unwrap().success());
    assert_eq!(own, others);
    let mut lives: BTreeMap<&str, Vec<EventKind>> = BTreeMap::new();
    for event in &own[..own.len() - 1] {
        lives.entry(&event.subject).or_default().push(event.kind);
    }
    assert_eq!(lives.len(), COUNT);
    for life in lives.values() {
        assert_eq!(life[..], [Created, Started, Ended, Deleted]);
    }
}

/// The second reader of the test above: it repeats what it reads.
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_in_another_process() {
    let Some((oci, _)) = as_another_process() else {
        return;
    };
    let mut events = oci.events(EventOptions::default()).await.unwrap();
    eprintln!("reading");
    loop {
        let event = next(&mut events).await;
        eprintln!("{}", serde_json::to_string(&event).unwrap());
        if event.subject == "the end" {
            return;
        }
    }
}
