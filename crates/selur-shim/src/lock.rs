//! Locks on files that end with the process that holds them, however it ends.
//!
//! Such a lock belongs to the open file, of which a child that the host forks has a copy: closing it is not enough. So it is
//! given back in words, by the process that took it and by no other. Where that is killed before, the child still has it.

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
    /// Who gives it back in words.
    owner: Option<u32>,
}

impl Lock {
    /// Takes the lock of an open file if it is free. The file must be open for writing.
    ///
    /// # Errors
    /// The file system's; a lock that another holds is none but gives nothing.
    pub fn try_on(file: File) -> io::Result<Option<Lock>> {
        let mut request = whole_file(libc::F_WRLCK);
        // SAFETY: the descriptor is open for the whole call, and the third argument is the flock that this command takes.
        let outcome = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut request) };
        if outcome == 0 {
            let owner = Some(std::process::id());
            return Ok(Some(Lock { file, owner }));
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
        let mut request = whole_file(libc::F_WRLCK);
        // SAFETY: as above; the kernel writes the flock that it is given.
        let outcome = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut request) };
        if outcome == 0 {
            Ok(i32::from(request.l_type) != libc::F_UNLCK)
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// The same lock, for programs that are started with its file: it is held until the last of them has ended.
    pub fn left_to_children(mut self) -> Lock {
        self.owner = None;
        self
    }

    /// The locked file.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.owner == Some(std::process::id()) {
            let mut request = whole_file(libc::F_UNLCK);
            // SAFETY: as above.
            unsafe { libc::fcntl(self.file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut request) };
        }
    }
}

/// A turn with an open file or directory, which one at a time has; it ends when it is dropped.
///
/// Source: flock(2).
#[derive(Debug)]
pub struct Turn {
    file: File,
    owner: u32,
}

impl Turn {
    /// Waits for it.
    ///
    /// # Errors
    /// The file system's.
    pub fn wait(file: File) -> io::Result<Turn> {
        rustix::io::retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::LockExclusive))?;
        Ok(Turn::taken(file))
    }

    /// Takes it if nobody has it.
    ///
    /// # Errors
    /// The file system's; that another has it is none but gives nothing.
    pub fn attempt(file: File) -> io::Result<Option<Turn>> {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Turn::taken(file))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What it is a turn with.
    pub fn file(&self) -> &File {
        &self.file
    }

    fn taken(file: File) -> Turn {
        let owner = std::process::id();
        Turn { file, owner }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.owner == std::process::id() {
            let _ = rustix::fs::flock(&self.file, FlockOperation::Unlock);
        }
    }
}

/// Waits until nobody else has a turn in a directory. It leaves no file.
///
/// # Errors
/// The file system's.
pub fn turn(directory: &Path) -> io::Result<Turn> {
    Turn::wait(File::open(directory)?)
}

fn whole_file(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
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
    fn a_lock_that_is_given_back_is_free_though_a_child_of_a_fork_has_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = Lock::try_at(&path).unwrap().unwrap();
        let turn = super::turn(directory.path()).unwrap();
        let attempt = || Turn::attempt(File::open(directory.path()).unwrap()).unwrap();
        // SAFETY: the child waits for the signal that ends it, and does nothing else.
        let child = unsafe { libc::fork() };
        if child == 0 {
            loop {
                // SAFETY: it takes no argument.
                unsafe { libc::pause() };
            }
        }
        assert!(child > 0);
        assert!(Lock::try_at(&path).unwrap().is_none());
        assert!(attempt().is_none());
        drop((lock, turn));
        let free = (Lock::try_at(&path).unwrap().is_some(), attempt().is_some());
        let child = rustix::process::Pid::from_raw(child).unwrap();
        rustix::process::kill_process(child, rustix::process::Signal::KILL).unwrap();
        rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty()).unwrap();
        assert_eq!(free, (true, true));
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
