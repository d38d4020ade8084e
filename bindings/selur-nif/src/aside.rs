//! Threads for what must not be done on a scheduler: making bridges, closing them, letting go of what they hold.
//!
//! Each of the three has threads of its own, so that none waits for another: as many as there is work, up to a limit.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

/// Where bridges are made: of one whose daemon does not answer that takes 20 s.
pub(crate) static OPENING: Pool = Pool::new(0, 64);
/// Where bridges are closed, which may take 5 s.
pub(crate) static CLOSING: Pool = Pool::new(1, 64);
/// Where streams are let go, which waits for nothing.
pub(crate) static ENDING: Pool = Pool::new(1, 8);

/// How long a thread waits for further work before it ends.
const IDLE: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce() + Send>;

/// Threads for one kind of work.
pub(crate) struct Pool {
    content: Mutex<Content>,
    changed: Condvar,
    /// How many threads stay, once there are so many, for work that cannot be refused.
    least: usize,
    /// How many threads there are at most. Each keeps some memory for itself.
    most: usize,
}

struct Content {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
}

/// Sees to it that whatever bridge there will be can be closed, and its streams.
///
/// # Errors
/// The system has no thread left.
pub(crate) fn prepare() -> io::Result<()> {
    CLOSING.prepare()?;
    ENDING.prepare()
}

impl Pool {
    const fn new(least: usize, most: usize) -> Pool {
        Pool {
            content: Mutex::new(Content {
                jobs: VecDeque::new(),
                threads: 0,
                idle: 0,
            }),
            changed: Condvar::new(),
            least,
            most,
        }
    }

    /// Does something soon, on a thread that may block.
    ///
    /// # Errors
    /// The system has no thread left, and none is here: it is not done. Never after [`prepare`] where a thread stays.
    pub(crate) fn run(&'static self, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut content = self.lock();
        if content.idle > content.jobs.len() || content.threads >= self.most {
            content.jobs.push_back(Box::new(job));
            drop(content);
            self.changed.notify_one();
            return Ok(());
        }
        // Under the lock: a thread that is there cannot end before it has seen the job.
        match self.spawn(&mut content) {
            Err(error) if content.threads == 0 => Err(error),
            _ => {
                content.jobs.push_back(Box::new(job));
                drop(content);
                self.changed.notify_one();
                Ok(())
            }
        }
    }

    fn prepare(&'static self) -> io::Result<()> {
        let mut content = self.lock();
        while content.threads < self.least {
            self.spawn(&mut content)?;
        }
        Ok(())
    }

    fn spawn(&'static self, content: &mut Content) -> io::Result<()> {
        let thread = Builder::new().name("selur-aside".into());
        thread.spawn(move || self.work())?;
        content.threads += 1;
        Ok(())
    }

    fn work(&self) {
        let mut content = self.lock();
        loop {
            if let Some(job) = content.jobs.pop_front() {
                drop(content);
                // A panic ends the job, not the thread.
                drop(catch_unwind(AssertUnwindSafe(job)));
                content = self.lock();
                continue;
            }
            content.idle += 1;
            let waited = self.changed.wait_timeout(content, IDLE);
            let (locked, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            content = locked;
            content.idle -= 1;
            if waited.timed_out() && content.jobs.is_empty() && content.threads > self.least {
                content.threads -= 1;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
