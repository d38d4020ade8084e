//! The container's outputs: two FIFOs, read here and written to the log.

use crate::log::{MAX_RECORD_BYTES, Writer};
use crate::{Failure, Home, Moment};
use rustix::fs::{CWD, Mode, OFlags, mkfifoat};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// So many reads of one FIFO a turn: the container that writes without end must not keep the shim from its other duties.
const READS_A_TURN: usize = 16;

/// The reading ends and the log.
///
/// Both sides open the FIFOs for reading and writing. So the container itself is a reader: it gets no SIGPIPE when the
/// shim dies. And the shim itself is a writer: there is no end of file between two generations.
#[derive(Debug)]
pub(crate) struct Output {
    ends: [File; 2],
    log: Writer,
    buffer: Box<[u8; MAX_RECORD_BYTES]>,
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
        })
    }

    /// The container's ends of the FIFOs: standard output and standard error.
    pub(crate) fn container_ends(home: &Home) -> Result<(File, File), Failure> {
        let failed = |error: io::Error| Failure::while_doing("cannot open the container's outputs", error);
        Ok((
            open_fifo(&home.stdout(), OFlags::empty()).map_err(failed)?,
            open_fifo(&home.stderr(), OFlags::empty()).map_err(failed)?,
        ))
    }

    /// What to poll for reading: standard output and standard error.
    pub(crate) fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.ends[0].as_fd(), self.ends[1].as_fd()]
    }

    /// Reads what is there, up to a limit. Tells whether more may be there.
    pub(crate) fn pump(&mut self) -> bool {
        let mut more = false;
        for (stream, end) in [1, 2].into_iter().zip(&mut self.ends) {
            for turn in 1..=READS_A_TURN {
                match end.read(self.buffer.as_mut_slice()) {
                    Ok(bytes @ 1..) => {
                        let output = self.buffer.get(..bytes).unwrap_or_default();
                        self.log.write(stream, Moment::now().as_nanoseconds(), output);
                        more |= turn == READS_A_TURN;
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => more = true,
                    _ => break,
                }
            }
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

fn open_fifo(path: &Path, flags: OFlags) -> io::Result<File> {
    let flags = flags | OFlags::NOFOLLOW;
    File::options()
        .read(true)
        .write(true)
        .custom_flags(flags.bits().cast_signed())
        .open(path)
}
