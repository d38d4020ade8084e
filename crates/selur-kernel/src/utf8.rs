//! UTF-8 validation for the hot path: a ping's payload is text that nobody reads.

/// What is looked at without looking up in between: the compiler makes vectors of it, whose places are constants.
const BLOCK_BYTES: usize = 128;
const WORD_BYTES: usize = 8;
const PAIR_BYTES: usize = 2 * WORD_BYTES;
/// The bit of each byte that ASCII does not use.
const NOT_ASCII: u64 = 0x8080_8080_8080_8080;

/// Whether `bytes` are valid UTF-8. Most text is ASCII, which is soon seen.
#[inline(always)]
pub(crate) fn is_utf8(bytes: &[u8]) -> bool {
    is_ascii(bytes) || is_any_utf8(bytes)
}

/// Goes by two whole blocks at a time, which do not wait for each other; then by ever smaller parts of one, without a loop.
#[inline(always)]
fn is_ascii(bytes: &[u8]) -> bool {
    let (mut bits, mut others) = ([0; 2], [0; 2]);
    let mut rest = bytes;
    while rest.len() >= 2 * BLOCK_BYTES {
        rest = take(&mut bits, rest, BLOCK_BYTES);
        rest = take(&mut others, rest, BLOCK_BYTES);
    }
    for parts in [1, 2, 4, 8] {
        rest = take(&mut bits, rest, BLOCK_BYTES / parts);
    }
    match bytes.len().checked_sub(PAIR_BYTES) {
        // The last pair overlaps the one before: sooner done than a byte at a time.
        Some(last) => add(&mut others, &bytes[last..]),
        None => return rest.iter().all(u8::is_ascii),
    }
    (bits[0] | bits[1] | others[0] | others[1]) & NOT_ASCII == 0
}

/// Adds the first `count` bytes, if there are so many. Gives the others.
#[inline(always)]
fn take<'a>(bits: &mut [u64; 2], bytes: &'a [u8], count: usize) -> &'a [u8] {
    if bytes.len() < count {
        return bytes;
    }
    let (taken, rest) = bytes.split_at(count);
    for pair in taken.chunks_exact(PAIR_BYTES) {
        add(bits, pair);
    }
    rest
}

#[inline(always)]
fn add(bits: &mut [u64; 2], pair: &[u8]) {
    for (bits, word) in bits.iter_mut().zip(pair.chunks_exact(WORD_BYTES)) {
        let mut bytes = [0; WORD_BYTES];
        bytes.copy_from_slice(word);
        *bits |= u64::from_le_bytes(bytes);
    }
}

#[cold]
#[inline(never)]
fn is_any_utf8(bytes: &[u8]) -> bool {
    core::str::from_utf8(bytes).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_is_not_ascii_is_seen_wherever_it_stands() {
        let text = [b'x'; 4 * BLOCK_BYTES + 67];
        for length in 0..=text.len() {
            assert!(is_utf8(&text[..length]), "{length} bytes of ASCII");
            for place in 0..length {
                let mut text = text;
                text[place] = 0x80;
                assert!(!is_utf8(&text[..length]), "{place} of {length}");
            }
        }
    }

    /// Bits are gathered: two that stand at the same place of two words must not hide each other.
    #[test]
    fn bytes_that_are_not_ascii_are_seen_however_many_there_are() {
        let text = [b'x'; 4 * BLOCK_BYTES + 67];
        for length in 1..=text.len() {
            assert!(
                !is_utf8(&[0x80; 4 * BLOCK_BYTES + 67][..length]),
                "{length} bytes"
            );
        }
        for apart in [WORD_BYTES, PAIR_BYTES, BLOCK_BYTES, BLOCK_BYTES + WORD_BYTES] {
            for place in 0..text.len() - apart {
                let mut text = text;
                text[place] = 0x80;
                text[place + apart] = 0x80;
                assert!(!is_utf8(&text), "{place}, and {apart} bytes on");
            }
        }
    }

    #[test]
    fn a_character_of_two_bytes_is_valid_across_every_border_and_invalid_when_it_is_cut() {
        let text = [b'x'; 4 * BLOCK_BYTES + 67];
        for place in 0..text.len() - 1 {
            let mut text = text;
            text[place..place + 2].copy_from_slice("ß".as_bytes());
            assert!(is_utf8(&text), "{place}");
            assert!(is_utf8(&text[..place + 2]), "at the end, {place}");
            assert!(!is_utf8(&text[..place + 1]), "cut at {place}");
        }
    }
}
