//! Takes the daemon's two outputs apart: each piece has a header of eight bytes, unless there is a terminal.
//!
//! Nothing is kept but an unfinished header: a piece may be of any length, and is passed on as it comes.
//!
//! Source: Docker Engine API, "Attach to a container", "Stream format".

use super::failure::DaemonError;
use crate::OutputStream;
use hyper::body::Bytes;

const HEADER_BYTES: usize = 8;

/// Where one output's pieces begin and end.
#[derive(Debug)]
pub(super) struct Frames {
    /// Whether the bytes are a terminal's, without headers.
    is_raw: bool,
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    stream: OutputStream,
    left: usize,
    begins: bool,
}

/// A part of a piece.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) stream: OutputStream,
    pub(super) bytes: Bytes,
    /// Whether a piece begins with it.
    pub(super) begins: bool,
    /// Whether the piece ends with it.
    pub(super) ends: bool,
}

impl Frames {
    pub(super) fn new(is_raw: bool) -> Frames {
        Frames {
            is_raw,
            header: [0; HEADER_BYTES],
            header_bytes: 0,
            stream: OutputStream::Stdout,
            left: 0,
            begins: false,
        }
    }

    /// Takes the next part off the front; nothing when more bytes are needed.
    pub(super) fn next(&mut self, bytes: &mut Bytes) -> Result<Option<Part>, DaemonError> {
        while !bytes.is_empty() {
            if self.is_raw {
                return Ok(Some(Part {
                    stream: OutputStream::Stdout,
                    bytes: std::mem::take(bytes),
                    begins: false,
                    ends: false,
                }));
            }
            if self.left == 0 {
                self.take_header(bytes)?;
                continue;
            }
            let count = self.left.min(bytes.len());
            self.left -= count;
            return Ok(Some(Part {
                stream: self.stream,
                bytes: bytes.split_to(count),
                begins: std::mem::take(&mut self.begins),
                ends: self.left == 0,
            }));
        }
        Ok(None)
    }

    fn take_header(&mut self, bytes: &mut Bytes) -> Result<(), DaemonError> {
        let count = (HEADER_BYTES - self.header_bytes).min(bytes.len());
        let taken = bytes.split_to(count);
        for byte in taken {
            if let Some(place) = self.header.get_mut(self.header_bytes) {
                *place = byte;
            }
            self.header_bytes += 1;
        }
        if self.header_bytes < HEADER_BYTES {
            return Ok(());
        }
        self.header_bytes = 0;
        let [kind, 0, 0, 0, length @ ..] = self.header else {
            return Err(DaemonError::nonsense("the output has no headers"));
        };
        self.stream = match kind {
            0 | 1 => OutputStream::Stdout,
            2 => OutputStream::Stderr,
            // The daemon's own error, at the end of what it could give.
            3 => return Err(DaemonError::stream("the daemon broke the output off")),
            _ => return Err(DaemonError::nonsense("the output has no headers")),
        };
        self.left = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        self.begins = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(is_raw: bool, chunk: usize, bytes: &[u8]) -> Result<Vec<(OutputStream, Vec<u8>)>, DaemonError> {
        let mut frames = Frames::new(is_raw);
        let mut told: Vec<(OutputStream, Vec<u8>)> = Vec::new();
        for piece in bytes.chunks(chunk) {
            let mut piece = Bytes::copy_from_slice(piece);
            while let Some(part) = frames.next(&mut piece)? {
                match told.last_mut() {
                    Some((stream, known)) if *stream == part.stream && !part.begins => {
                        known.extend_from_slice(&part.bytes);
                    }
                    _ => told.push((part.stream, part.bytes.to_vec())),
                }
            }
        }
        Ok(told)
    }

    #[test]
    fn outputs_are_taken_apart_wherever_they_are_cut() {
        let bytes =
            b"\x01\0\0\0\0\0\0\x03one\x02\0\0\0\0\0\0\x05error\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\x01!";
        let expected = [
            (OutputStream::Stdout, b"one".to_vec()),
            (OutputStream::Stderr, b"error".to_vec()),
            (OutputStream::Stdout, b"!".to_vec()),
        ];
        for chunk in 1..bytes.len() {
            assert_eq!(
                parts(false, chunk, bytes).ok().as_deref(),
                Some(&expected[..]),
                "{chunk}"
            );
        }
        assert!(parts(true, 4, b"raw").is_ok_and(|told| told.len() == 1));
    }

    #[test]
    fn what_has_no_headers_is_refused() {
        for bytes in [
            &b"hello there"[..],
            b"\x07\0\0\0\0\0\0\x01x",
            b"\x01\x01\0\0\0\0\0\x01x",
        ] {
            assert!(parts(false, 100, bytes).is_err());
        }
    }
}
