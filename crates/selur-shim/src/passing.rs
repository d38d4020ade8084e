//! Messages over a Unix socket that carry descriptors: the one way in which an open pipe or terminal changes hands.

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// So many descriptors a message at most.
pub const MAX_DESCRIPTORS: usize = 4;

const SPACE: usize = rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS));

/// Sends bytes with descriptors, which the peer gets duplicates of. Gives how many bytes were sent: the descriptors go
/// with the first.
///
/// # Errors
/// The socket's.
pub fn send(socket: impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "too many descriptors for one message",
        ));
    }
    let sent = rustix::io::retry_on_intr(|| {
        sendmsg(&socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)
    })?;
    Ok(sent)
}

/// Receives what is there, and adds the descriptors that came with it. 0 is the end. No child inherits them.
///
/// # Errors
/// The socket's.
pub fn receive(socket: impl AsFd, buffer: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(
            &socket,
            &mut [IoSliceMut::new(buffer)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )
    })?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            descriptors.extend(passed);
        }
    }
    Ok(received.bytes)
}

/// Receives one line, or what there is until the end, of at most `limit` bytes, and the descriptors that came with it.
///
/// # Errors
/// The socket's; `InvalidData` if the line is longer.
pub fn receive_line(socket: impl AsFd, limit: usize) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut line = Vec::new();
    let mut descriptors = Vec::new();
    while line.len() < limit {
        // Byte by byte: what follows the line is left for the next reader. Lines are short, and few.
        let mut byte = [0];
        if receive(&socket, &mut byte, &mut descriptors)? == 0 {
            return Ok((line, descriptors));
        }
        line.extend(byte);
        if byte == *b"\n" {
            return Ok((line, descriptors));
        }
    }
    Err(io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    #[test]
    fn a_pipe_changes_hands_with_a_line() {
        let (one, other) = UnixStream::pair().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        send(&one, b"here\nthere", &[writer.as_fd()]).unwrap();
        drop(writer);
        let (line, mut passed) = receive_line(&other, 100).unwrap();
        assert_eq!((line.as_slice(), passed.len()), (&b"here\n"[..], 1));
        let mut writer = std::fs::File::from(passed.remove(0));
        writer.write_all(b"through").unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
        drop(one);
        assert_eq!(receive_line(&other, 100).unwrap().0, b"there");
    }

    #[test]
    fn a_line_beyond_the_limit_is_refused() {
        let (mut one, other) = UnixStream::pair().unwrap();
        one.write_all(&[b'x'; 9000]).unwrap();
        assert!(receive_line(&other, 100).is_err());
    }
}
