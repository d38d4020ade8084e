//! Container ids: 128 random bits, written as 32 lower-case hex digits.

use core::fmt;

/// The identity of a container, drawn by the host before the container exists, and never used again.
///
/// ```
/// use selur_protocol::ContainerId;
///
/// let id = ContainerId::from_bytes([0xab; 16]);
/// assert_eq!(ContainerId::parse("abababababababababababababababab"), Some(id));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId([u8; 16]);

impl ContainerId {
    /// The length of the textual form, in bytes.
    pub const HEX_BYTES: usize = 32;

    /// All zeros: stands where a command names no container.
    pub const NONE: ContainerId = ContainerId([0; 16]);

    /// The id made of these bits.
    pub const fn from_bytes(bytes: [u8; 16]) -> ContainerId {
        ContainerId(bytes)
    }

    /// The bits, most significant first: the order of the hex digits.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Reads exactly 32 lower-case hex digits.
    pub fn parse(text: &str) -> Option<ContainerId> {
        if text.len() != Self::HEX_BYTES {
            return None;
        }
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
        }
        Some(ContainerId(bytes))
    }

    /// The 32 hex digits.
    pub fn to_hex(&self) -> [u8; 32] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = [0; 32];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 0xf)];
        }
        hex
    }

    /// Whether the hex form begins with `prefix` (lower-case hex digits).
    pub fn starts_with(&self, prefix: &str) -> bool {
        prefix.len() <= Self::HEX_BYTES && self.to_hex()[..prefix.len()] == *prefix.as_bytes()
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{:02x}", byte))
    }
}

impl fmt::Debug for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ContainerId({})", self)
    }
}

/// The value of one lower-case hex digit.
pub(crate) fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}
