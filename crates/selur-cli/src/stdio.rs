//! Bytes from standard input and to the two outputs as they are: unbuffered, unchanged, and also where somebody has made
//! a descriptor non-blocking, which is shared with everyone who has it.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, retry_on_intr};
use selur_core::OutputStream;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Reads what there is from standard input; nothing at its end.
///
/// # Errors
/// It cannot be read.
pub(crate) fn read(buffer: &mut [u8]) -> io::Result<usize> {
    let stdin = io::stdin();
    let stdin = stdin.as_fd();
    loop {
        match retry_on_intr(|| rustix::io::read(stdin, &mut *buffer)) {
            Err(Errno::AGAIN) => wait(stdin, PollFlags::IN)?,
            // A terminal that has hung up.
            Err(Errno::IO) => return Ok(0),
            outcome => return Ok(outcome?),
        }
    }
}

/// Writes all of it. Blocks while nobody reads.
///
/// # Errors
/// The output is closed.
pub(crate) fn write(stream: OutputStream, bytes: &[u8]) -> io::Result<()> {
    match stream {
        OutputStream::Stdout => write_to(io::stdout().as_fd(), bytes),
        OutputStream::Stderr => write_to(io::stderr().as_fd(), bytes),
    }
}

fn write_to(output: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match retry_on_intr(|| rustix::io::write(output, bytes)) {
            Err(Errno::AGAIN) => wait(output, PollFlags::OUT)?,
            outcome => bytes = &bytes[outcome?..],
        }
    }
    Ok(())
}

fn wait(descriptor: BorrowedFd<'_>, flags: PollFlags) -> io::Result<()> {
    let mut fds = [PollFd::from_borrowed_fd(descriptor, flags)];
    retry_on_intr(|| poll(&mut fds, None))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn an_output_that_does_not_block_gets_every_byte() {
        let (mut reader, writer) = io::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        // More than a pipe holds.
        let bytes: Vec<u8> = (0..1_000_000u32).map(|number| number as u8).collect();
        let expected = bytes.clone();
        let writing = std::thread::spawn(move || write_to(writer.as_fd(), &bytes).unwrap());
        let mut seen = Vec::new();
        reader.read_to_end(&mut seen).unwrap();
        writing.join().unwrap();
        assert!(seen == expected);
    }
}
