//! Leaves the process that started the shim: another session, another parent, none of its descriptors or signals.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

/// Which side of the fork the caller is on.
pub(crate) enum Side {
    /// The process that the bridge started; it has nothing left to do.
    Parent,
    /// The shim, with the socket that was standard input.
    Shim(UnixStream),
}

/// Forks and detaches the child. The parent's end is all that the bridge ever waits for, so that a bridge which ignores
/// SIGCHLD, or reaps every child of its process, loses nothing.
pub(crate) fn detach() -> io::Result<Side> {
    // SAFETY: the process has one thread, which the contract of `main` demands, so that the child may do anything.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {}
        _ => return Ok(Side::Parent),
    }
    rustix::process::setsid()?;
    reset_signals();
    close_from(3);
    let peer = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let null = OwnedFd::from(File::options().read(true).write(true).open("/dev/null")?);
    rustix::stdio::dup2_stdin(&null)?;
    std::env::set_current_dir("/")?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(Side::Shim(UnixStream::from(peer)))
}

/// Gives every signal its default disposition: what the bridge's host ignores or blocks would pass through exec to the
/// container's processes. A broken pipe must not end the shim, whose peers may die before they are answered; the
/// programs that it starts get that signal's default back from the standard library.
fn reset_signals() {
    // Zeros are SIG_DFL without flags and mask, in every layout of the kernel's structure. By the system call, because
    // glibc refuses the two signals that it keeps for itself, which a host may nevertheless pass on.
    let default = [0u64; 8];
    const SET_BYTES: usize = 8;
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: the structure is longer than the kernel reads, and no old one is asked for; SIGKILL and SIGSTOP are
        // refused without effect.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                default.as_ptr(),
                std::ptr::null_mut::<u64>(),
                SET_BYTES,
            )
        };
    }
    // SAFETY: SIG_IGN is a disposition for this signal.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let mut none = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initializes the set that it is given.
    unsafe { libc::sigemptyset(none.as_mut_ptr()) };
    // SAFETY: the set is initialized, and no old set is asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), std::ptr::null_mut()) };
}

/// Closes what a careless host left open.
fn close_from(first: RawFd) {
    // SAFETY: nothing in this process owns a descriptor above standard error yet.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    if closed == 0 {
        return;
    }
    // A kernel before 5.9.
    let Ok(open) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    let open: Vec<RawFd> = open
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    for descriptor in open.into_iter().filter(|descriptor| *descriptor >= first) {
        // SAFETY: as above; the directory that was read is closed already, which is refused without effect.
        unsafe { libc::close(descriptor) };
    }
}

/// Has what the shim says about itself, a panic, go to a file.
pub(crate) fn keep_own_words(file: &File) -> io::Result<()> {
    if file.as_raw_fd() > 2 {
        rustix::stdio::dup2_stderr(file)?;
    }
    Ok(())
}
