//! Request frames: `[command u8][payload length u32 LE][payload]`.

use crate::{Command, Reason};

/// The bytes before the payload: the command and the payload's length.
pub const HEADER_BYTES: usize = 5;
/// The longest payload, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 262_144;
/// The longest request frame, in bytes.
pub const MAX_FRAME_BYTES: usize = HEADER_BYTES + MAX_PAYLOAD_BYTES;
/// The longest response that the guest writes, in bytes: the status and a full payload.
pub const MAX_RESPONSE_BYTES: usize = 1 + MAX_PAYLOAD_BYTES;

/// A request frame whose header tells the truth. The payload is not yet read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    command: Command,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads a whole frame: `bytes` ends where the payload ends.
    ///
    /// # Errors
    /// - [`Reason::EmptyFrame`], [`Reason::ShortHeader`]: fewer than 5 bytes.
    /// - [`Reason::PayloadTooLong`]: the header promises more than 262,144 bytes.
    /// - [`Reason::LengthMismatch`]: the header's length is not that of the bytes that follow.
    /// - [`Reason::UnknownCommand`]: no command has this code.
    pub fn parse(bytes: &'a [u8]) -> Result<Frame<'a>, Reason> {
        if bytes.is_empty() {
            return Err(Reason::EmptyFrame);
        }
        if bytes.len() < HEADER_BYTES {
            return Err(Reason::ShortHeader);
        }
        let (header, payload) = bytes.split_at(HEADER_BYTES);
        let promised = u32::from_le_bytes([header[1], header[2], header[3], header[4]]);
        if promised > MAX_PAYLOAD_BYTES as u32 {
            return Err(Reason::PayloadTooLong);
        }
        if promised as usize != payload.len() {
            return Err(Reason::LengthMismatch);
        }
        match Command::from_code(header[0]) {
            Some(command) => Ok(Frame { command, payload }),
            None => Err(Reason::UnknownCommand),
        }
    }

    /// The header of a frame with so long a payload; nothing if that is over [`MAX_PAYLOAD_BYTES`].
    #[inline]
    pub fn head(command: Command, payload_bytes: usize) -> Option<[u8; HEADER_BYTES]> {
        if payload_bytes > MAX_PAYLOAD_BYTES {
            return None;
        }
        let length = (payload_bytes as u32).to_le_bytes();
        Some([command.code(), length[0], length[1], length[2], length[3]])
    }

    /// Writes a frame of NUL-separated fields into `buffer`.
    ///
    /// Returns the frame's length in bytes, or nothing if the payload is over [`MAX_PAYLOAD_BYTES`] or `buffer` is
    /// too short.
    pub fn encode(command: Command, fields: &[&[u8]], buffer: &mut [u8]) -> Option<usize> {
        let separators = fields.len().saturating_sub(1);
        let payload_bytes = fields
            .iter()
            .map(|field| field.len())
            .sum::<usize>()
            .checked_add(separators)?;
        let head = Frame::head(command, payload_bytes)?;
        let frame = buffer.get_mut(..HEADER_BYTES + payload_bytes)?;
        let (header, mut rest) = frame.split_at_mut(HEADER_BYTES);
        header.copy_from_slice(&head);
        for (position, field) in fields.iter().enumerate() {
            if position > 0 {
                rest[0] = 0;
                rest = &mut rest[1..];
            }
            let (place, next) = rest.split_at_mut(field.len());
            place.copy_from_slice(field);
            rest = next;
        }
        Some(HEADER_BYTES + payload_bytes)
    }

    /// What is asked for.
    pub const fn command(&self) -> Command {
        self.command
    }

    /// The bytes behind the header.
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }
}
