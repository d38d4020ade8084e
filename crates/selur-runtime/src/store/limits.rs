//! Caps on what an image may make the store do.

use std::time::Duration;

/// How much the store takes from a registry or a layout before it refuses with `resource_exhausted`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The longest manifest or index. Source: OCI distribution specification 1.1, "Pushing Manifests": 4 MiB.
    pub max_manifest_bytes: u64,
    /// The longest image configuration.
    pub max_config_bytes: u64,
    /// The most layers. Each overlay takes at most 500; Docker builds at most 127.
    pub max_layers: usize,
    /// The most bytes that one layer may have as it is downloaded.
    pub max_blob_bytes: u64,
    /// The most bytes that one layer may have when it is decompressed.
    pub max_layer_bytes: u64,
    /// The most files, directories and links in one layer.
    pub max_layer_entries: u64,
    /// The most bytes that an archive of images may have when it is decompressed.
    pub max_archive_bytes: u64,
    /// The most entries of an archive of images.
    pub max_archive_entries: u64,
    /// The most images that are taken at once from a layout or an archive, and the most names.
    pub max_archive_images: usize,
    /// How long a registry may take to accept a connection.
    pub connect_timeout: Duration,
    /// How long a registry may stay silent within an answer.
    pub silence_timeout: Duration,
    /// How long a registry may take to store a blob that it has whole.
    pub commit_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_manifest_bytes: 4 << 20,
            max_config_bytes: 8 << 20,
            max_layers: 127,
            max_blob_bytes: 64 << 30,
            max_layer_bytes: 128 << 30,
            max_layer_entries: 2_000_000,
            max_archive_bytes: 256 << 30,
            max_archive_entries: 50_000,
            max_archive_images: 1_000,
            connect_timeout: Duration::from_secs(30),
            silence_timeout: Duration::from_secs(60),
            commit_timeout: Duration::from_secs(600),
        }
    }
}

/// Reads `1000`, `64K`, `500M`, `4G`, `1T`; the letters stand for powers of 1024.
pub(super) fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit: u64 = match &text[digits.len()..] {
        "" => 1,
        "K" | "k" => 1 << 10,
        "M" | "m" => 1 << 20,
        "G" | "g" => 1 << 30,
        "T" | "t" => 1 << 40,
        _ => return None,
    };
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_units_and_bounds() {
        let cases = [
            ("0", Some(0)),
            ("1000", Some(1000)),
            ("64K", Some(64 << 10)),
            ("4g", Some(4 << 30)),
            ("1T", Some(1 << 40)),
            ("", None),
            ("G", None),
            ("-1", None),
            ("+1", None),
            ("1.5G", None),
            ("1 G", None),
            ("1GB", None),
            ("99999999999T", None),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_bytes(text), bytes, "{text}");
        }
    }
}
