//! The keys that leave a container running: Ctrl-P, then Ctrl-Q, as Docker has them.

use std::borrow::Cow;

const CTRL_P: u8 = 0x10;
const CTRL_Q: u8 = 0x11;

/// Looks for the keys in what is typed. A Ctrl-P is kept back until the next key shows what it was meant for.
#[derive(Debug, Default)]
pub(crate) struct DetachKeys {
    has_begun: bool,
}

impl DetachKeys {
    /// What is to be passed on, and whether the keys were pressed behind it.
    pub(crate) fn filter<'a>(&mut self, typed: &'a [u8]) -> (Cow<'a, [u8]>, bool) {
        if !self.has_begun && !typed.contains(&CTRL_P) {
            return (Cow::Borrowed(typed), false);
        }
        let mut passed = Vec::with_capacity(typed.len() + 1);
        for &key in typed {
            if std::mem::take(&mut self.has_begun) {
                if key == CTRL_Q {
                    return (Cow::Owned(passed), true);
                }
                passed.push(CTRL_P);
            }
            match key {
                CTRL_P => self.has_begun = true,
                key => passed.push(key),
            }
        }
        (Cow::Owned(passed), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(pieces: &[&[u8]]) -> (Vec<u8>, bool) {
        let mut keys = DetachKeys::default();
        let mut passed = Vec::new();
        for piece in pieces {
            let (bytes, has_detached) = keys.filter(piece);
            passed.extend_from_slice(&bytes);
            if has_detached {
                return (passed, true);
            }
        }
        (passed, false)
    }

    #[test]
    fn the_keys_are_found_in_one_piece_and_in_two() {
        let cases = [
            ("abc", "abc", false),
            ("ab\x10\x11cd", "ab", true),
            ("ab|\x10|\x11", "ab", true),
            ("\x10|x", "\x10x", false),
            ("\x10\x10|\x11", "\x10", true),
            ("\x11\x10", "\x11", false),
            ("a\x10b\x10c", "a\x10b\x10c", false),
        ];
        for (keys, passed, is_detached) in cases {
            let pieces: Vec<&[u8]> = keys.split('|').map(str::as_bytes).collect();
            assert_eq!(typed(&pieces), (passed.into(), is_detached), "{keys:?}");
        }
    }
}
