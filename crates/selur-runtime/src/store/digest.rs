//! Content digests: `sha256:` or `sha512:` and lower-case hex digits.

use serde::{Deserialize, Serialize};
use std::fmt::{self, Write};

/// A valid digest.
///
/// Source: OCI image specification 1.1, "Digests".
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Digest(String);

impl Digest {
    pub(super) fn parse(text: &str) -> Option<Digest> {
        let (_, hex) = algorithm_of(text)?;
        let is_hex = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        hex.bytes().all(is_hex).then(|| Digest(text.to_owned()))
    }

    /// The sha256 of bytes.
    pub(super) fn of(bytes: &[u8]) -> Digest {
        let mut hasher = Digest::sha256();
        hasher.update(bytes);
        hasher.finish()
    }

    /// A hasher of sha256, which every registry knows.
    pub(super) fn sha256() -> Hasher {
        Hasher::new(&ring::digest::SHA256, "sha256")
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The hex digits after the algorithm.
    pub(super) fn hex(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, hex)| hex)
    }

    /// Whether bytes have this digest.
    pub(super) fn matches(&self, bytes: &[u8]) -> bool {
        let mut hasher = self.hasher();
        hasher.update(bytes);
        hasher.finish() == *self
    }

    /// A hasher of this digest's algorithm.
    pub(super) fn hasher(&self) -> Hasher {
        match algorithm_of(&self.0) {
            Some(("sha512", _)) => Hasher::new(&ring::digest::SHA512, "sha512"),
            _ => Digest::sha256(),
        }
    }
}

fn algorithm_of(text: &str) -> Option<(&str, &str)> {
    text.split_once(':')
        .filter(|(algorithm, hex)| matches!((*algorithm, hex.len()), ("sha256", 64) | ("sha512", 128)))
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Digest, String> {
        Digest::parse(&text).ok_or_else(|| format!("{} is no digest", super::error::quoted(text.as_bytes())))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Computes a digest piece by piece.
pub(super) struct Hasher {
    context: ring::digest::Context,
    algorithm: &'static str,
}

impl Hasher {
    fn new(algorithm: &'static ring::digest::Algorithm, name: &'static str) -> Hasher {
        Hasher {
            context: ring::digest::Context::new(algorithm),
            algorithm: name,
        }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    pub(super) fn finish(self) -> Digest {
        let mut text = format!("{}:", self.algorithm);
        for byte in self.context.finish().as_ref() {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Digest(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_of_nothing_is_the_known_one() {
        let known = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").as_str(), known);
        assert!(Digest::parse(known).is_some_and(|digest| digest.matches(b"") && !digest.matches(b"x")));
    }

    #[test]
    fn text_that_is_no_digest_is_refused() {
        let upper = format!("sha256:{}", "A".repeat(64));
        for text in [
            "",
            "sha256",
            "sha256:",
            "sha256:abc",
            "md5:d41d8cd98f00b204e9800998ecf8427e",
            &upper,
        ] {
            assert_eq!(Digest::parse(text), None, "{text}");
        }
    }

    #[test]
    fn sha512_is_computed_as_such() {
        let nothing = "sha512:cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce\
                       47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e";
        assert!(Digest::parse(nothing).is_some_and(|digest| digest.matches(b"")));
    }
}
