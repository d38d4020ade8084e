//! A terminal with somebody in front of it: a command in a terminal of its own, typed to, looked at, resized.

use crate::process::{DEADLINE, await_end};
use rustix::process::{Pid, Signal, ioctl_tiocsctty, kill_process, setsid};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex};

/// A terminal and the command in it; dropped, the command is killed.
pub(crate) struct Terminal {
    master: File,
    child: Child,
    screen: Arc<(Mutex<Vec<u8>>, Condvar)>,
    /// How much of the screen was expected so far.
    read: usize,
    before: String,
}

impl Terminal {
    /// Starts a command in a terminal of this size, as a shell would.
    pub(crate) fn start(mut command: Command, rows: u16, columns: u16) -> Terminal {
        let (master, slave) = open();
        tcsetwinsize(&master, window(rows, columns)).unwrap();
        let before = modes(&tcgetattr(&master).unwrap());
        command
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(slave);
        // SAFETY: what runs between fork and exec makes two system calls and touches no memory but its own.
        unsafe { command.pre_exec(lead_session) };
        let child = command.spawn().unwrap();
        // It holds the last of the slave's descriptors in this process.
        drop(command);
        let master = File::from(master);
        let screen = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let (tell, mut source) = (Arc::clone(&screen), master.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = source.read(&mut buffer) {
                tell.0.lock().unwrap().extend_from_slice(&buffer[..length]);
                tell.1.notify_all();
            }
        });
        Terminal {
            master,
            child,
            screen,
            read: 0,
            before,
        }
    }

    /// Presses keys.
    pub(crate) fn keys(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen shows a text behind what was expected last.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) {
        let seen = self.screen.0.lock().unwrap();
        let find = |seen: &[u8]| seen.windows(text.len()).position(|part| part == text.as_bytes());
        let lacks = |seen: &mut Vec<u8>| find(&seen[self.read..]).is_none();
        let (seen, _) = self.screen.1.wait_timeout_while(seen, DEADLINE, lacks).unwrap();
        match find(&seen[self.read..]) {
            Some(place) => self.read += place + text.len(),
            None => panic!("no {text:?} in {:?}", String::from_utf8_lossy(&seen[self.read..])),
        }
    }

    /// Everything that the screen has shown.
    pub(crate) fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.0.lock().unwrap()).into_owned()
    }

    /// Gives the terminal another size.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        tcsetwinsize(&self.master, window(rows, columns)).unwrap();
    }

    /// Whether keys are signals, shown, and read by lines, as at first.
    pub(crate) fn is_as_before(&self) -> bool {
        modes(&tcgetattr(&self.master).unwrap()) == self.before
    }

    /// Sends the command a signal, which no key does.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the command's end.
    #[track_caller]
    pub(crate) fn end(&mut self) -> Option<i32> {
        let screen = Arc::clone(&self.screen);
        await_end(&mut self.child, || {
            String::from_utf8_lossy(&screen.0.lock().unwrap()).into_owned()
        })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A new terminal: what a person is at, and what a command has.
fn open() -> (OwnedFd, OwnedFd) {
    let (mut master, mut slave) = (-1, -1);
    let (name, modes, size) = (std::ptr::null_mut(), std::ptr::null(), std::ptr::null());
    // SAFETY: the two pointers are to integers of this frame; the others may be null.
    let failed = unsafe { libc::openpty(&raw mut master, &raw mut slave, name, modes, size) };
    assert_eq!(failed, 0, "{}", io::Error::last_os_error());
    // SAFETY: openpty has just made this descriptor, and nobody else knows of it.
    let master = unsafe { OwnedFd::from_raw_fd(master) };
    // SAFETY: likewise.
    let slave = unsafe { OwnedFd::from_raw_fd(slave) };
    for descriptor in [&master, &slave] {
        rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC).unwrap();
    }
    (master, slave)
}

/// Makes the terminal on standard input this process's own.
fn lead_session() -> io::Result<()> {
    setsid()?;
    ioctl_tiocsctty(rustix::stdio::stdin())?;
    Ok(())
}

fn window(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

fn modes(terminal: &Termios) -> String {
    let Termios {
        input_modes,
        output_modes,
        control_modes,
        local_modes,
        ..
    } = terminal;
    format!("{input_modes:?} {output_modes:?} {control_modes:?} {local_modes:?}")
}
