//! Requests under way: awaited, polled, given up, overdue, dropped; and the completion queue.

mod support;

use futures_util::FutureExt;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use selur_core::{Bridge, Command, CompletionQueue, CreateOptions, Deletion, Status};
use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Wake, Waker};
use std::time::Duration;
use support::{PATIENCE, becomes_free, create, frame, simulated};

fn is_readable(queue: &CompletionQueue, patience: Duration) -> bool {
    let descriptor = queue.fd().expect("a descriptor");
    let mut polled = [PollFd::new(&descriptor, PollFlags::IN)];
    let patience = Timespec::try_from(patience).expect("a timeout");
    poll(&mut polled, Some(&patience)).expect("polled") == 1
}

#[test]
fn a_ticket_is_a_future_on_any_executor() {
    let bridge = simulated();
    let executor = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("an executor");
    let response = executor.block_on(async {
        let ids = [0, 1, 2].map(|_| bridge.submit(&create("nginx", "")).expect("submitted"));
        let responses = futures_util::future::join_all(ids).await;
        responses
            .into_iter()
            .map(|response| response.into_result().expect("created"))
            .collect::<HashSet<_>>()
            .len()
    });
    assert_eq!(response, 3);
    // Dropping the bridge where blocking is not allowed is allowed, too.
    executor.block_on(async move { drop(bridge) });
}

#[test]
fn an_answer_is_taken_once() {
    let bridge = simulated();
    for request in [frame(Command::Ping, &["hi"]), create("nginx", "")] {
        let mut ticket = bridge.submit(&request).expect("submitted");
        let first = ticket.wait_for(PATIENCE).expect("an answer");
        assert_eq!(first.status(), Status::Success);
        let second = ticket.wait_for(PATIENCE).expect("an answer");
        assert_eq!(second.status(), Status::InvalidRequest);
        assert_eq!(
            ticket.now_or_never().expect("an answer").status(),
            Status::InvalidRequest
        );
    }
}

#[test]
fn a_deadline_answers_a_wait_and_leaves_its_container_alone() {
    let bridge = simulated();
    let id = bridge.create_container("nginx").expect("created").to_string();
    bridge.start_container(&id).expect("started");
    let hasty = bridge.with_deadline(Some(Duration::from_millis(20)));
    let error = hasty.wait_container(&id).expect_err("it runs on");
    assert_eq!(error.status(), Status::Timeout);
    assert_eq!(bridge.inspect_container(&id).expect("inspected").state, "running");
    // Deadlines in any order, each at its time.
    let long = bridge.with_deadline(Some(PATIENCE));
    let wait = frame(Command::WaitContainer, &[&id]);
    let mut late = long.submit(&wait).expect("submitted");
    let mut soon = hasty.submit(&wait).expect("submitted");
    assert_eq!(
        soon.wait_for(PATIENCE).expect("an answer").status(),
        Status::Timeout
    );
    assert!(!late.is_answered());
    bridge.stop_container(&id, None).expect("stopped");
    assert_eq!(late.wait_for(PATIENCE).expect("an answer").data(), b"143");
}

#[test]
fn the_builders_deadline_holds_for_every_request() {
    let bridge = Bridge::builder()
        .backend(selur_core::Backend::Simulated)
        .default_deadline(Some(Duration::from_millis(20)))
        .build()
        .expect("a bridge");
    let error = bridge
        .create_container("fault.test/hang:create")
        .expect_err("it hangs");
    assert_eq!(error.status(), Status::Timeout);
    let patient = bridge.with_deadline(None);
    assert!(patient.list_containers().expect("listed").is_empty());
}

#[test]
fn an_overdue_create_is_undone() {
    let bridge = simulated();
    let hasty = bridge.with_deadline(Some(Duration::from_millis(20)));
    let error = hasty
        .create_container(CreateOptions::new("fault.test/hang:create").name("web"))
        .expect_err("it hangs");
    assert_eq!(error.status(), Status::Timeout);
    becomes_free(&bridge, "web");
}

#[test]
fn a_cancelled_ticket_is_answered_cancelled() {
    let bridge = simulated();
    let mut ticket = bridge
        .submit(&create("fault.test/hang:create", "web"))
        .expect("submitted");
    ticket.cancel();
    let response = ticket.wait_for(PATIENCE).expect("an answer");
    assert_eq!(response.status(), Status::Cancelled);
    ticket.cancel();
    becomes_free(&bridge, "web");
}

#[test]
fn dropping_a_ticket_cancels_its_request() {
    let bridge = simulated();
    drop(
        bridge
            .submit(&create("fault.test/hang:create", "web"))
            .expect("submitted"),
    );
    becomes_free(&bridge, "web");
}

#[test]
fn a_blocking_call_on_an_executors_thread_is_answered() {
    let bridge = simulated();
    let executor = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .expect("an executor");
    let task = executor.spawn(async move { bridge.create_container("nginx").map(drop) });
    executor.block_on(task).expect("the task").expect("created");
}

#[test]
fn the_queue_gives_every_answer_once() {
    let bridge = simulated();
    let queue = bridge.completions();
    assert!(!queue.wait(Some(Duration::ZERO)));
    let mut expected: HashSet<u64> = (0..100)
        .map(|_| bridge.submit_to_queue(&create("nginx", "")).expect("submitted"))
        .collect();
    expected.insert(
        bridge
            .submit_to_queue(&frame(Command::Ping, &["hi"]))
            .expect("submitted"),
    );
    assert_eq!(expected.len(), 101);
    while !expected.is_empty() {
        assert!(
            queue.wait(Some(PATIENCE)),
            "{} answers are missing",
            expected.len()
        );
        for completion in queue.drain(7) {
            assert_eq!(completion.response.status(), Status::Success);
            assert!(expected.remove(&completion.ticket), "answered twice");
        }
    }
    assert!(queue.is_empty());
}

#[test]
fn a_request_to_the_queue_is_cancelled_by_its_number() {
    let bridge = simulated();
    let id = bridge.create_container("nginx").expect("created").to_string();
    let ticket = bridge
        .submit_to_queue(&frame(Command::WaitContainer, &[&id]))
        .expect("submitted");
    bridge.cancel(ticket);
    bridge.cancel(u64::MAX);
    let queue = bridge.completions();
    assert!(queue.wait(Some(PATIENCE)));
    let completions = queue.drain(2);
    assert_eq!(completions.len(), 1);
    assert_eq!(completions[0].response.status(), Status::Cancelled);
}

#[test]
fn the_queues_descriptor_is_readable_while_there_is_something_to_drain() {
    let bridge = simulated();
    let queue = bridge.completions();
    let readable = |patience| is_readable(queue, patience);
    assert!(!readable(Duration::ZERO));
    for _ in 0..2 {
        bridge.submit_to_queue(&create("nginx", "")).expect("submitted");
        bridge.submit_to_queue(&create("nginx", "")).expect("submitted");
        support::until("both answers", || queue.len() == 2);
        assert!(readable(PATIENCE));
        assert_eq!(queue.drain(1).len(), 1);
        assert!(readable(Duration::ZERO));
        assert_eq!(queue.drain(1).len(), 1);
        assert!(!readable(Duration::ZERO));
    }
    bridge.close();
    assert!(readable(Duration::ZERO));
}

#[test]
fn the_queue_refuses_what_nobody_drains() {
    let bridge = simulated();
    let ping = frame(Command::Ping, &[""]);
    for _ in 0..32_768 {
        bridge.submit_to_queue(&ping).expect("submitted");
    }
    let error = bridge.submit_to_queue(&ping).expect_err("nobody drains");
    assert_eq!(error.status(), Status::ResourceExhausted);
    assert_eq!(bridge.completions().drain(1).len(), 1);
    bridge.submit_to_queue(&ping).expect("submitted");
}

#[test]
fn the_queue_is_not_over_before_the_last_answer_is_in_it() {
    /// Holds up the thread that hands answers out.
    struct Slow(Mutex<mpsc::Receiver<()>>, mpsc::Sender<()>);
    impl Wake for Slow {
        fn wake(self: Arc<Self>) {
            let _ = self.1.send(());
            let _ = self.0.lock().expect("the gate").recv_timeout(PATIENCE);
        }
    }
    let bridge = simulated();
    let id = bridge.create_container("nginx").expect("created").to_string();
    bridge.start_container(&id).expect("started");
    let wait = frame(Command::WaitContainer, &[&id]);
    // Both are answered by the same stop, the slow one first.
    let mut slow = bridge.submit(&wait).expect("submitted");
    bridge.submit_to_queue(&wait).expect("submitted");
    let (open, gate) = mpsc::channel();
    let (woken, is_woken) = mpsc::channel();
    let waker = Arc::new(Slow(Mutex::new(gate), woken)).into();
    let mut context = Context::from_waker(&waker);
    assert!(Pin::new(&mut slow).poll(&mut context).is_pending());
    let stop = bridge
        .submit(&frame(Command::StopContainer, &[&id]))
        .expect("submitted");
    is_woken.recv_timeout(PATIENCE).expect("woken");
    bridge.close();
    let queue = bridge.completions();
    assert!(!is_readable(queue, Duration::ZERO), "an answer is on its way");
    open.send(()).expect("somebody waits");
    assert!(queue.wait(Some(PATIENCE)), "the answer");
    assert!(is_readable(queue, Duration::ZERO));
    assert_eq!(queue.drain(2).len(), 1);
    assert!(is_readable(queue, Duration::ZERO), "nothing more will come");
    assert!(!queue.wait(None), "nothing more will come");
    assert_eq!(stop.wait().status(), Status::Success);
}

#[test]
fn a_waker_that_is_replaced_may_use_the_bridge_as_it_is_dropped() {
    struct Canceller(Bridge, u64);
    impl Wake for Canceller {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Canceller {
        fn drop(&mut self) {
            self.0.cancel(self.1);
        }
    }
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let bridge = simulated();
        let mut ticket = bridge
            .submit(&create("fault.test/hang:create", ""))
            .expect("submitted");
        let waker = Arc::new(Canceller(bridge.clone(), ticket.id())).into();
        assert!(
            Pin::new(&mut ticket)
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        drop(waker);
        assert!(
            Pin::new(&mut ticket)
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        sender.send(ticket.wait().status()).expect("somebody listens");
    });
    let status = receiver.recv_timeout(PATIENCE).expect("no deadlock");
    assert_eq!(status, Status::Cancelled);
}

#[test]
fn closing_answers_what_is_open_and_leaves_containers_running() {
    let runtime = std::sync::Arc::new(selur_runtime::Simulated::new());
    let bridge = support::over(runtime.clone());
    let id = bridge.create_container("nginx").expect("created").to_string();
    bridge.start_container(&id).expect("started");
    let wait = frame(Command::WaitContainer, &[&id]);
    let mut waits: Vec<_> = (0..10)
        .map(|_| bridge.submit(&wait).expect("submitted"))
        .collect();
    waits.push(
        bridge
            .submit(&create("fault.test/hang:create", "web"))
            .expect("submitted"),
    );
    bridge.submit_to_queue(&wait).expect("submitted");
    let other_handle = bridge.clone();
    bridge.close();
    bridge.close();
    for mut wait in waits {
        let response = wait.wait_for(PATIENCE).expect("an answer");
        assert_eq!(response.status(), Status::Cancelled);
    }
    assert!(other_handle.completions().wait(Some(PATIENCE)));
    assert_eq!(
        other_handle.completions().drain(9)[0].response.status(),
        Status::Cancelled
    );
    assert!(!other_handle.completions().wait(None), "nothing more will come");
    for error in [
        other_handle.ping("hi").expect_err("closed"),
        other_handle.list_containers().expect_err("closed"),
        other_handle.list_images().expect_err("closed"),
        other_handle.submit(&wait).expect_err("closed"),
        other_handle.submit_to_queue(&wait).expect_err("closed"),
        other_handle.reserve(10).expect_err("closed"),
    ] {
        assert_eq!(error.status(), Status::InvalidRequest);
        assert!(error.message().contains("closed"), "{error}");
    }
    let next = support::over(runtime);
    assert_eq!(next.inspect_container(&id).expect("it is there").state, "running");
    // The create that was under way is undone, its name free.
    becomes_free(&next, "web");
    next.delete_container(&id, Deletion::Force).expect("deleted");
}

#[test]
fn dropping_the_last_handle_answers_what_is_open() {
    let bridge = simulated();
    let id = bridge.create_container("nginx").expect("created").to_string();
    let mut wait = bridge
        .submit(&frame(Command::WaitContainer, &[&id]))
        .expect("submitted");
    let second = bridge.clone();
    drop(bridge);
    assert!(!wait.is_answered(), "another handle is left");
    drop(second);
    assert_eq!(
        wait.wait_for(PATIENCE).expect("an answer").status(),
        Status::Cancelled
    );
}

#[test]
fn a_bridge_that_gets_no_thread_says_so() {
    const CHILD: &str = "SELUR_TEST_WITHOUT_THREADS";
    if std::env::var_os(CHILD).is_none() {
        let child = std::process::Command::new(std::env::current_exe().expect("this program has a path"))
            .args(["--exact", "a_bridge_that_gets_no_thread_says_so", "--nocapture"])
            .env(CHILD, "1")
            // With stacks that large no further one fits into the memory that is allowed.
            .env("RUST_MIN_STACK", "268435456")
            .output()
            .expect("run");
        let said = String::from_utf8_lossy(&child.stdout) + String::from_utf8_lossy(&child.stderr);
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        return;
    }
    let bridge = simulated();
    let pages = std::fs::read_to_string("/proc/self/statm").expect("statm");
    let pages: u64 = pages
        .split(' ')
        .next()
        .and_then(|pages| pages.parse().ok())
        .expect("pages");
    let limit = rustix::process::getrlimit(rustix::process::Resource::As);
    let tight = rustix::process::Rlimit {
        current: Some(pages * 4096 + (64 << 20)),
        ..limit
    };
    rustix::process::setrlimit(rustix::process::Resource::As, tight).expect("limited");
    let refused = [
        bridge.create_container("nginx").map(drop),
        bridge
            .with_deadline(Some(PATIENCE))
            .create_container("nginx")
            .map(drop),
    ];
    let pong = bridge.ping("hi");
    rustix::process::setrlimit(rustix::process::Resource::As, limit).expect("no more limited");
    for refused in refused {
        let error = refused.expect_err("there is no thread");
        assert_eq!(error.status(), Status::ResourceExhausted, "{error}");
        assert!(error.message().contains("ulimit -u"), "{error}");
    }
    assert_eq!(pong.expect("it needs no thread"), "hi");
    // There is room again.
    bridge.create_container("nginx").expect("created");
}
