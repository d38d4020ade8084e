//! Threads for what must not be done on a scheduler: making bridges, closing them, letting go of what they hold.
//!
//! There are as many as there is work, up to a limit, and none when there was no work for a while.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

/// How many threads there are at most. Each keeps some memory for itself; a close that waits, up to 5 s, holds up one.
const MAX_THREADS: usize = 8;
/// How long a thread waits for further work before it ends.
const IDLE: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce() + Send>;

struct Content {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

static CONTENT: Mutex<Content> = Mutex::new(Content {
    jobs: VecDeque::new(),
    threads: 0,
    idle: 0,
});
static CHANGED: Condvar = Condvar::new();

/// Does something soon, on a thread that may block. Where the system has no thread left it is done here and now.
pub(crate) fn run(job: impl FnOnce() + Send + 'static) {
    let mut content = lock();
    content.jobs.push_back(Box::new(job));
    if content.idle >= content.jobs.len() || content.threads >= MAX_THREADS {
        drop(content);
        return CHANGED.notify_one();
    }
    content.threads += 1;
    drop(content);
    if Builder::new().name("selur-aside".into()).spawn(work).is_err() {
        let mut content = lock();
        content.threads -= 1;
        // With others at work it is theirs.
        let job = match content.threads {
            0 => content.jobs.pop_back(),
            _ => None,
        };
        drop(content);
        job.into_iter().for_each(perform);
    }
}

fn work() {
    let mut content = lock();
    loop {
        if let Some(job) = content.jobs.pop_front() {
            drop(content);
            perform(job);
            content = lock();
            continue;
        }
        content.idle += 1;
        let waited = CHANGED.wait_timeout(content, IDLE);
        let (locked, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        content = locked;
        content.idle -= 1;
        if waited.timed_out() && content.jobs.is_empty() {
            content.threads -= 1;
            return;
        }
    }
}

/// A panic ends the job, not the thread.
fn perform(job: Job) {
    drop(catch_unwind(AssertUnwindSafe(job)));
}

fn lock() -> MutexGuard<'static, Content> {
    CONTENT.lock().unwrap_or_else(PoisonError::into_inner)
}
