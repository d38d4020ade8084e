//! The container's outputs: two FIFOs, or a terminal, read here and written to the log.

use crate::log::{MAX_RECORD_BYTES, Writer};
use crate::{Failure, Home, Moment};
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// So many reads of one FIFO a turn: the container that writes without end must not keep the shim from its other duties.
const READS_A_TURN: usize = 16;

/// How long a terminal that nobody has open is left alone.
const QUIET: Duration = Duration::from_secs(1);

/// The reading ends and the log.
///
/// Both sides open the FIFOs for reading and writing. So the container itself is a reader: it gets no SIGPIPE when the
/// shim dies. And the shim itself is a writer: there is no end of file between two generations.
#[derive(Debug)]
pub(crate) struct Output {
    ends: [File; 2],
    log: Writer,
    buffer: Box<[u8; MAX_RECORD_BYTES]>,
    terminal: Option<Terminal>,
}

/// The master of the first process's terminal.
#[derive(Debug)]
struct Terminal {
    master: File,
    /// Until when it is not looked at: nobody had it open, of which it would remind without end.
    quiet_until: Option<Instant>,
}

impl Output {
    /// Opens the FIFOs, which are made if there are none.
    pub(crate) fn open(home: &Home) -> Result<Output, Failure> {
        let failed = |error: io::Error| Failure::while_doing("cannot open the container's outputs", error);
        let end = |path: &Path| {
            match mkfifoat(CWD, path, Mode::from_raw_mode(0o600)) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            open_fifo(path, OFlags::NONBLOCK)
        };
        Ok(Output {
            ends: [
                end(&home.stdout()).map_err(failed)?,
                end(&home.stderr()).map_err(failed)?,
            ],
            log: Writer::open(home.logs()).map_err(failed)?,
            buffer: Box::new([0; MAX_RECORD_BYTES]),
            terminal: None,
        })
    }

    /// Reads the terminal of a new generation, too.
    pub(crate) fn set_terminal(&mut self, master: Option<OwnedFd>) -> Result<(), Failure> {
        if let Some(master) = &master {
            rustix::io::ioctl_fionbio(master, true)
                .map_err(|error| Failure::while_doing("cannot read the terminal", error))?;
        }
        self.terminal = master.map(|master| Terminal {
            master: master.into(),
            quiet_until: None,
        });
        Ok(())
    }

    /// The terminal's master.
    pub(crate) fn terminal(&self) -> Option<BorrowedFd<'_>> {
        self.terminal.as_ref().map(|terminal| terminal.master.as_fd())
    }

    /// When the terminal is looked at again.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.terminal.as_ref()?.quiet_until
    }

    /// The container's ends of the FIFOs: standard output and standard error.
    pub(crate) fn container_ends(home: &Home) -> Result<(File, File), Failure> {
        let failed = |error: io::Error| Failure::while_doing("cannot open the container's outputs", error);
        Ok((
            open_fifo(&home.stdout(), OFlags::empty()).map_err(failed)?,
            open_fifo(&home.stderr(), OFlags::empty()).map_err(failed)?,
        ))
    }

    /// What to poll for reading.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let terminal = self
            .terminal
            .iter()
            .filter(|terminal| terminal.quiet_until.is_none());
        let fifos = self.ends.iter().map(AsFd::as_fd);
        fifos.chain(terminal.map(|terminal| terminal.master.as_fd()))
    }

    /// Reads what is there, up to a limit. Tells whether more may be there.
    pub(crate) fn pump(&mut self) -> bool {
        let mut more = false;
        for (stream, end) in [1, 2].into_iter().zip(&mut self.ends) {
            let (ended, _) = pump(end, stream, &mut self.log, &mut self.buffer);
            more |= !ended;
        }
        if let Some(terminal) = &mut self.terminal {
            let (ended, error) = pump(&mut terminal.master, 1, &mut self.log, &mut self.buffer);
            more |= !ended;
            terminal.quiet_until = error.map(|_| Instant::now() + QUIET);
        }
        more
    }

    /// Reads all that is there. The container's processes have ended, so that it ends.
    pub(crate) fn drain(&mut self) {
        while self.pump() {}
    }

    /// Throws away what runc wrote to the container's outputs when it failed.
    pub(crate) fn discard(&mut self) {
        for end in &mut self.ends {
            while matches!(end.read(self.buffer.as_mut_slice()), Ok(1..)) {}
        }
    }
}

/// Reads up to a limit. Tells whether there is no more for now, and the error of what nobody writes to.
fn pump(
    end: &mut File,
    stream: u8,
    log: &mut Writer,
    buffer: &mut [u8; MAX_RECORD_BYTES],
) -> (bool, Option<io::Error>) {
    for _ in 0..READS_A_TURN {
        match end.read(buffer.as_mut_slice()) {
            Ok(bytes @ 1..) => {
                let output = buffer.get(..bytes).unwrap_or_default();
                log.write(stream, Moment::now().as_nanoseconds(), output);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return (true, None),
            Err(error) => return (true, Some(error)),
            Ok(_) => return (true, None),
        }
    }
    (false, None)
}

fn open_fifo(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::NOFOLLOW;
    File::options()
        .read(true)
        .write(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}
