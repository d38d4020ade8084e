//! The demo's image: an OCI image layout with one static program, made from nothing but this binary.

use crate::failure::Failure;
use selur_core::Status;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::Path;

/// The program that build.rs compiled; empty on an architecture that it does not know.
const PROGRAM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/selur-demo"));
/// The program's path in the image; the kernel names the process after it.
pub(super) const PROGRAM_NAME: &str = "selur-demo";
/// What the image is called in the demo's store. No registry has this name: nothing is fetched.
pub(super) const REFERENCE: &str = "demo.invalid/selur/hello:1";

/// The tar format's unit of headers and padding, in bytes.
const BLOCK_BYTES: usize = 512;

/// What the layout holds, for telling.
pub(super) struct Layout {
    /// The program's size in bytes.
    pub(super) program_bytes: usize,
    /// The digest of the image's manifest.
    pub(super) manifest_digest: String,
}

/// Writes the image layout into `directory`, which it makes.
///
/// Source: OCI image specification 1.1, "Image Layout", "Image Manifest" and "Image Configuration".
///
/// # Errors
/// The directory cannot be written, or the demo's program does not exist for this architecture.
pub(super) fn write_layout(directory: &Path) -> Result<Layout, Failure> {
    let Some(architecture) = architecture() else {
        let message = "the demo's program exists for x86_64 and aarch64 only";
        return Err(Failure::new(
            Status::Unsupported,
            message,
            "Use an image: `selur run busybox echo hello`.",
        ));
    };
    write(directory, architecture).map_err(|error| Failure::io("cannot write the demo's image", &error))
}

fn architecture() -> Option<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Some("amd64"),
        "aarch64" => Some("arm64"),
        _ => None,
    }
}

fn write(directory: &Path, architecture: &str) -> std::io::Result<Layout> {
    let blobs = directory.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let store = |bytes: &[u8]| -> std::io::Result<String> {
        let hex = hex(&Sha256::digest(bytes));
        fs::write(blobs.join(&hex), bytes)?;
        Ok(format!("sha256:{hex}"))
    };
    let layer = layer();
    let layer_digest = store(&layer)?;
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "created": "2024-01-01T00:00:00Z",
        "config": { "Entrypoint": [format!("/{PROGRAM_NAME}")], "StopSignal": "SIGTERM", "User": "65534:65534" },
        "rootfs": { "type": "layers", "diff_ids": [layer_digest] },
        "history": [{ "created_by": "selur demo" }],
    })
    .to_string();
    let config_digest = store(config.as_bytes())?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config_digest, "size": config.len(),
        },
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar",
            "digest": layer_digest, "size": layer.len(),
        }],
    })
    .to_string();
    let manifest_digest = store(manifest.as_bytes())?;
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "digest": manifest_digest, "size": manifest.len(),
            "platform": { "architecture": architecture, "os": "linux" },
            "annotations": { "org.opencontainers.image.ref.name": REFERENCE },
        }],
    });
    fs::write(directory.join("index.json"), index.to_string())?;
    fs::write(directory.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    Ok(Layout {
        program_bytes: PROGRAM.len(),
        manifest_digest,
    })
}

/// The one layer: a tar archive with the program, owned by root and executable by all.
fn layer() -> Vec<u8> {
    let mut archive = header(PROGRAM_NAME, PROGRAM.len()).to_vec();
    archive.extend_from_slice(PROGRAM);
    // The file is padded to whole blocks; two empty blocks end the archive.
    archive.resize(archive.len().next_multiple_of(BLOCK_BYTES) + 2 * BLOCK_BYTES, 0);
    archive
}

/// The header of a regular file.
///
/// Source: POSIX.1-2017, pax, "ustar Interchange Format".
fn header(name: &str, bytes: usize) -> [u8; BLOCK_BYTES] {
    let mut header = [0; BLOCK_BYTES];
    let mut field = |offset: usize, text: &str| {
        header[offset..offset + text.len()].copy_from_slice(text.as_bytes());
    };
    field(0, name);
    field(100, "0000755\0");
    field(108, "0000000\0");
    field(116, "0000000\0");
    field(124, &format!("{bytes:011o}\0"));
    field(136, "14544500000\0");
    field(148, "        ");
    field(156, "0");
    field(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

/// Bytes as lower-case hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn every_blob_has_the_digest_of_its_name_and_tar_reads_the_layer() {
        let directory = tempfile::tempdir().unwrap();
        let layout = write_layout(directory.path()).unwrap();
        let blobs = directory.path().join("blobs/sha256");
        let mut names = Vec::new();
        for blob in fs::read_dir(&blobs).unwrap().map(Result::unwrap) {
            let name = blob.file_name().into_string().unwrap();
            assert_eq!(hex(&Sha256::digest(fs::read(blob.path()).unwrap())), name);
            names.push(name);
        }
        assert_eq!(names.len(), 3);
        assert!(names.contains(&layout.manifest_digest["sha256:".len()..].to_owned()));

        let manifest = fs::read(blobs.join(&layout.manifest_digest["sha256:".len()..])).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        let layer = manifest["layers"][0]["digest"].as_str().unwrap();
        let listing = Command::new("tar")
            .arg("-tvf")
            .arg(blobs.join(&layer["sha256:".len()..]))
            .output()
            .unwrap();
        let listing = String::from_utf8(listing.stdout).unwrap();
        assert!(
            listing.starts_with("-rwxr-xr-x 0/0") && listing.contains(PROGRAM_NAME),
            "{listing}"
        );
    }

    #[test]
    fn the_program_is_a_small_static_elf_file() {
        assert_eq!(&PROGRAM[..4], b"\x7fELF");
        assert!(PROGRAM.len() < 65_536, "{} bytes", PROGRAM.len());
    }
}
