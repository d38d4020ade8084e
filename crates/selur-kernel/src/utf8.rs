//! UTF-8 validation for the hot path: a ping's payload is text that nobody reads.

const WORD_BYTES: usize = 8;
const STRIDE_BYTES: usize = 4 * WORD_BYTES;
/// The bit of each byte that ASCII does not use.
const NOT_ASCII: u64 = 0x8080_8080_8080_8080;

/// Whether `bytes` are valid UTF-8. Leading ASCII is checked in 8-byte words, four at a time.
pub(crate) fn is_utf8(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while rest.len() >= STRIDE_BYTES {
        let (stride, next) = rest.split_at(STRIDE_BYTES);
        if !is_ascii(stride) {
            break;
        }
        rest = next;
    }
    core::str::from_utf8(rest).is_ok()
}

#[inline(always)]
fn is_ascii(stride: &[u8]) -> bool {
    let mut bits = 0;
    for word in stride.chunks_exact(WORD_BYTES) {
        let mut bytes = [0; WORD_BYTES];
        bytes.copy_from_slice(word);
        bits |= u64::from_le_bytes(bytes);
    }
    bits & NOT_ASCII == 0
}
