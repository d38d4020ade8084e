//! UTF-8 validation for the hot path: a ping's payload is text that nobody reads.

const WORD_BYTES: usize = 8;
const PAIR_BYTES: usize = 2 * WORD_BYTES;
/// The bit of each byte that ASCII does not use.
const NOT_ASCII: u64 = 0x8080_8080_8080_8080;

/// Whether `bytes` are valid UTF-8. Most text is ASCII, which is soon seen.
#[inline(always)]
pub(crate) fn is_utf8(bytes: &[u8]) -> bool {
    is_ascii(bytes) || is_any_utf8(bytes)
}

/// Goes by pairs of words without looking up in between, which the compiler makes vectors of.
#[inline(always)]
fn is_ascii(bytes: &[u8]) -> bool {
    let mut bits = [0; 2];
    for pair in bytes.chunks_exact(PAIR_BYTES) {
        add(&mut bits, pair);
    }
    match bytes.len().checked_sub(PAIR_BYTES) {
        // The last pair overlaps the one before: sooner done than a byte at a time.
        Some(last) => add(&mut bits, &bytes[last..]),
        None => return bytes.iter().all(u8::is_ascii),
    }
    (bits[0] | bits[1]) & NOT_ASCII == 0
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
        let text = [b'x'; 12 * PAIR_BYTES + 3];
        for length in 0..=text.len() {
            assert!(is_utf8(&text[..length]), "{length} bytes of ASCII");
            for place in 0..length {
                let mut text = text;
                text[place] = 0x80;
                assert!(!is_utf8(&text[..length]), "{place} of {length}");
            }
        }
    }

    #[test]
    fn a_character_of_two_bytes_is_valid_across_every_border_and_invalid_when_it_is_cut() {
        let text = [b'x'; 12 * PAIR_BYTES + 3];
        for place in 0..text.len() - 1 {
            let mut text = text;
            text[place..place + 2].copy_from_slice("ß".as_bytes());
            assert!(is_utf8(&text), "{place}");
            assert!(is_utf8(&text[..place + 2]), "at the end, {place}");
            assert!(!is_utf8(&text[..place + 1]), "cut at {place}");
        }
    }
}
