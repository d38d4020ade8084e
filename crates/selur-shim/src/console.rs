//! Terminals: runc makes one and passes its master over a socket that it is told of.

use crate::passing;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// How long the master may take to come when runc has ended, in seconds.
const LIMIT_S: i64 = 5;
/// The socket's name within its directory.
const NAME: &str = "console";

/// A socket for one terminal. It is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Console {
    listener: UnixListener,
    path: PathBuf,
    /// What the path goes through.
    _directory: File,
}

impl Console {
    /// Listens in a directory that is nobody else's.
    pub(crate) fn listen(directory: &Path) -> io::Result<Console> {
        let directory = File::open(directory)?;
        // By the descriptor, for a socket's path has at most 107 bytes.
        let path = PathBuf::from(format!(
            "/proc/{}/fd/{}/{NAME}",
            std::process::id(),
            directory.as_raw_fd()
        ));
        let _ = fs::remove_file(&path);
        Ok(Console {
            listener: UnixListener::bind(&path)?,
            path,
            _directory: directory,
        })
    }

    /// What runc is told, as long as this lives.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the terminal's master.
    pub(crate) fn receive(self) -> io::Result<OwnedFd> {
        let mut fds = [PollFd::new(&self.listener, PollFlags::IN)];
        let limit = Timespec {
            tv_sec: LIMIT_S,
            tv_nsec: 0,
        };
        if rustix::io::retry_on_intr(|| poll(&mut fds, Some(&limit)))? == 0 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let (connection, _) = self.listener.accept()?;
        let mut descriptors = Vec::new();
        passing::receive(&connection, &mut [0; 256], &mut descriptors)?;
        descriptors.pop().ok_or(io::ErrorKind::UnexpectedEof.into())
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
