//! Writes to pipes that may have lost their reader, in a process whose host may let SIGPIPE end it.
//!
//! A library cannot have the signal ignored: that is the host's to say. So the thread holds it back while it writes, and
//! takes what the write raised.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;

/// Does one write, or a few; where nobody reads any more that is an error and no signal.
///
/// # Errors
/// Those of `write`.
pub fn without_signal<R>(write: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
    let held = Held::back();
    let written = write();
    if let Err(error) = &written
        && error.kind() == io::ErrorKind::BrokenPipe
    {
        held.take_raised();
    }
    written
}

/// SIGPIPE, held back on this thread until this is dropped.
struct Held {
    pipe: libc::sigset_t,
    before: libc::sigset_t,
    /// Somebody else's, which stays.
    was_pending: bool,
}

impl Held {
    fn back() -> Held {
        let mut pipe = empty();
        // SAFETY: the set is initialized, and the signal is one.
        unsafe { libc::sigaddset(&raw mut pipe, libc::SIGPIPE) };
        let mut pending = empty();
        // SAFETY: the set may be written.
        unsafe { libc::sigpending(&raw mut pending) };
        // SAFETY: the set is initialized, and the signal is one.
        let was_pending = unsafe { libc::sigismember(&raw const pending, libc::SIGPIPE) } == 1;
        let mut before = empty();
        // SAFETY: both sets are initialized, and the second may be written.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const pipe, &raw mut before) };
        Held {
            pipe,
            before,
            was_pending,
        }
    }

    /// Takes the signal that a write raised on this thread.
    fn take_raised(&self) {
        let at_once = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        if self.was_pending {
            return;
        }
        loop {
            // SAFETY: the set and the time are initialized, and nothing is asked for of the signal.
            let taken =
                unsafe { libc::sigtimedwait(&raw const self.pipe, ptr::null_mut(), &raw const at_once) };
            if taken != -1 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return;
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: the set is what this thread had, and the old one is not asked for.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut()) };
    }
}

fn empty() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: it initializes the set that it is given.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: as it has done.
    unsafe { set.assume_init() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_pipe_without_a_reader_ends_no_process() {
        const CHILD: &str = "SELUR_TEST_PIPE_WITHOUT_READER";
        if std::env::var_os(CHILD).is_none() {
            let mut child = std::process::Command::new(std::env::current_exe().unwrap());
            child.args(["--exact", "pipe::tests::a_pipe_without_a_reader_ends_no_process"]);
            let output = child.env(CHILD, "1").output().unwrap();
            assert!(output.status.success(), "{output:?}");
            assert!(
                String::from_utf8_lossy(&output.stdout).contains("1 passed"),
                "{output:?}"
            );
            return;
        }
        // SAFETY: it is a disposition for this signal.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let (reader, mut writer) = io::pipe().unwrap();
        drop(reader);
        for _ in 0..2 {
            let error = without_signal(|| writer.write(b"lost")).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        }
        let (_reader, mut writer) = io::pipe().unwrap();
        assert_eq!(without_signal(|| writer.write(b"kept")).unwrap(), 4);
    }
}
