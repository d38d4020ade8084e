//! Platforms: which of an index's images runs here.

use super::content::null_is_default;
use super::manifest::Descriptor;
use serde::Deserialize;
use std::fmt;

/// An operating system and a processor, in Go's names.
///
/// Source: OCI image specification 1.1, "Image Index", `platform`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Platform {
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) os: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) architecture: String,
    #[serde(default, deserialize_with = "null_is_default")]
    pub(super) variant: String,
}

impl Platform {
    /// The one that this program runs on.
    pub(super) fn here() -> Platform {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", ""),
            "aarch64" => ("arm64", "v8"),
            "arm" => ("arm", "v7"),
            "x86" => ("386", ""),
            "powerpc64" if cfg!(target_endian = "little") => ("ppc64le", ""),
            "powerpc64" => ("ppc64", ""),
            "loongarch64" => ("loong64", ""),
            other => (other, ""),
        };
        Platform {
            os: "linux".to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.to_owned(),
        }
    }

    /// Whether an image of the other platform runs on this one.
    pub(super) fn runs(&self, image: &Platform) -> bool {
        self.os == image.os
            && self.architecture == image.architecture
            && (image.variant.is_empty() || self.variant_number() >= image.variant_number())
    }

    /// The image of an index that fits best: the newest variant of the processor that runs here.
    pub(super) fn choose<'a>(&self, manifests: &'a [Descriptor]) -> Option<&'a Descriptor> {
        let mut best: Option<(u32, &Descriptor)> = None;
        for manifest in manifests {
            let Some(platform) = manifest.platform.as_ref().filter(|platform| self.runs(platform)) else {
                continue;
            };
            let variant = platform.variant_number();
            if best.is_none_or(|(known, _)| variant > known) {
                best = Some((variant, manifest));
            }
        }
        best.map(|(_, manifest)| manifest)
    }

    /// 7 of `v7`; 0 of what has none, but 1 for amd64, whose baseline is `v1`.
    fn variant_number(&self) -> u32 {
        let baseline = u32::from(self.architecture == "amd64");
        self.variant.trim_start_matches('v').parse().unwrap_or(baseline)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() {
            Ok(())
        } else {
            write!(f, "/{}", self.variant)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        let mut parts = text.split('/').map(str::to_owned);
        let mut next = || parts.next().unwrap_or_default();
        Platform {
            os: next(),
            architecture: next(),
            variant: next(),
        }
    }

    #[test]
    fn an_image_runs_on_its_own_platform_and_on_newer_variants() {
        let cases = [
            ("linux/amd64", "linux/amd64", true),
            ("linux/amd64", "linux/arm64", false),
            ("linux/amd64", "windows/amd64", false),
            ("linux/amd64", "linux/amd64/v1", true),
            ("linux/amd64", "linux/amd64/v3", false),
            ("linux/arm/v7", "linux/arm/v6", true),
            ("linux/arm/v7", "linux/arm/v8", false),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm64/v8", "linux/arm64/v8", true),
            ("linux/amd64", "unknown/unknown", false),
        ];
        for (host, image, expected) in cases {
            assert_eq!(
                platform(host).runs(&platform(image)),
                expected,
                "{image} on {host}"
            );
        }
    }

    #[test]
    fn the_newest_variant_that_runs_is_chosen() {
        let descriptors: Vec<Descriptor> = [
            "unknown/unknown",
            "linux/arm/v5",
            "linux/arm/v7",
            "linux/arm/v6",
            "linux/arm64/v8",
        ]
        .iter()
        .enumerate()
        .map(|(index, text)| Descriptor {
            media_type: String::new(),
            digest: super::super::digest::Digest::of(text.as_bytes()),
            size: index as u64,
            platform: Some(platform(text)),
            annotations: Default::default(),
        })
        .collect();
        let chosen = |host: &str| platform(host).choose(&descriptors).map(|found| found.size);
        assert_eq!(chosen("linux/arm/v7"), Some(2));
        assert_eq!(chosen("linux/arm/v6"), Some(3));
        assert_eq!(chosen("linux/arm64/v8"), Some(4));
        assert_eq!(chosen("linux/amd64"), None);
    }
}
