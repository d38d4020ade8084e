//! Locks on files that end with the process that holds them, however it ends.

use rustix::fs::FlockOperation;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

/// An open file description lock on a whole file, released when it is dropped.
///
/// Unlike the older record locks it belongs to the open file, not to the process: two tasks of one process exclude
/// each other, and closing an unrelated descriptor releases nothing.
///
/// Source: fcntl_locking(2), "Open file description locks".
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of an open file if it is free. The file must be open for writing.
    ///
    /// # Errors
    /// The file system's; a lock that another holds is none but gives nothing.
    pub fn try_on(file: File) -> io::Result<Option<Lock>> {
        let mut request = whole_file();
        // SAFETY: the descriptor is open for the whole call, and the third argument is the flock that this command takes.
        let outcome = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut request) };
        if outcome == 0 {
            return Ok(Some(Lock { file }));
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::EAGAIN | libc::EACCES) => Ok(None),
            _ => Err(error),
        }
    }

    /// Takes the lock of the file at `path` if it is free, making the file if there is none.
    ///
    /// The file that is locked is the one at the path: a holder that removes it, as a deletion does, leaves nobody with
    /// the lock of a file that is gone.
    ///
    /// # Errors
    /// The file system's.
    pub fn try_at(path: &Path) -> io::Result<Option<Lock>> {
        loop {
            let file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            let Some(lock) = Lock::try_on(file)? else {
                return Ok(None);
            };
            let held = rustix::fs::fstat(&lock.file)?;
            match rustix::fs::stat(path) {
                Ok(found) if (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino) => {
                    return Ok(Some(lock));
                }
                Ok(_) | Err(rustix::io::Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether somebody holds the lock of the file at `path`. A file that does not exist is held by nobody.
    ///
    /// # Errors
    /// The file system's.
    pub fn is_held(path: &Path) -> io::Result<bool> {
        // Read only, so that closing it is no IN_CLOSE_WRITE, which means that a shim has ended.
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let mut request = whole_file();
        // SAFETY: as above; the kernel writes the flock that it is given.
        let outcome = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut request) };
        if outcome == 0 {
            Ok(i32::from(request.l_type) != libc::F_UNLCK)
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// The locked file.
    pub fn file(&self) -> &File {
        &self.file
    }
}

/// Waits until nobody else has a turn in a directory. The turn ends when what is given is dropped, and leaves no file.
///
/// # Errors
/// The file system's.
pub fn turn(directory: &Path) -> io::Result<File> {
    let directory = File::open(directory)?;
    rustix::io::retry_on_intr(|| rustix::fs::flock(&directory, FlockOperation::LockExclusive))?;
    Ok(directory)
}

fn whole_file() -> libc::flock {
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        // The kernel demands 0 for open file description locks.
        l_pid: 0,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;

    #[test]
    fn a_lock_excludes_others_of_the_same_process_until_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        assert!(!Lock::is_held(&path).unwrap());
        let lock = Lock::try_at(&path).unwrap().unwrap();
        assert!(Lock::try_at(&path).unwrap().is_none());
        assert!(Lock::is_held(&path).unwrap());
        drop(lock);
        assert!(!Lock::is_held(&path).unwrap());
        assert!(Lock::try_at(&path).unwrap().is_some());
    }

    #[test]
    fn a_removed_file_locks_nobody_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let first = Lock::try_at(&path).unwrap().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(Lock::try_at(&path).unwrap().is_some());
        drop(first);
    }
}
