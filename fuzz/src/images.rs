//! Images: what a registry or an archive says is read or refused with words; what is taken keeps within the limits.
//!
//! The first byte says whether the rest is documents (separated by a byte 0xFF, which no JSON has), an archive of
//! documents, or any file at all.

use super::bytes::Bytes;
use super::tars;
use selur_protocol::ImageReference;
use selur_runtime::store::fuzzing::{Documents, documents, layout};
use selur_runtime::store::{Limits, Store, StoreOptions};
use std::fs;
use std::sync::OnceLock;
use tempfile::TempDir;

/// The names that archives have for what is looked for in them.
const NAMES: [&str; 6] = [
    "manifest.json",
    "index.json",
    "oci-layout",
    "config.json",
    "layer.tar",
    "blobs/sha256/e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
];

pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    match bytes.u8() % 4 {
        0 | 1 => {
            let mut parts = bytes.rest().splitn(2, |byte| *byte == 0xff);
            let document = parts.next().unwrap_or_default();
            described(document, parts.next().unwrap_or_default());
        }
        2 => archive(&saved(&mut bytes)),
        _ => archive(bytes.rest()),
    }
}

fn described(document: &[u8], configuration: &[u8]) {
    let limits = Limits::default();
    match documents(document, configuration) {
        Ok(Documents::Index { digests, chosen }) => {
            digests.iter().for_each(|digest| is_digest(digest));
            assert!(chosen.is_none_or(|chosen| digests.contains(&chosen)));
        }
        Ok(Documents::Manifest {
            layers,
            size_bytes,
            configuration,
        }) => {
            assert!(layers.len() <= limits.max_layers);
            for (digest, bytes) in &layers {
                is_digest(digest);
                assert!(*bytes <= limits.max_blob_bytes && *bytes <= size_bytes);
            }
            match configuration {
                Ok(diff_ids) => assert_eq!(diff_ids, layers.len()),
                Err(words) => refused(&words),
            }
        }
        Err(words) => refused(&words),
    }
}

/// What becomes a path and a part of an address.
fn is_digest(text: &str) {
    let (algorithm, hex) = text.split_once(':').expect("an algorithm");
    assert!(matches!((algorithm, hex.len()), ("sha256", 64) | ("sha512", 128)));
    assert!(
        hex.bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    );
}

/// A tar of what archives of images have: documents first, then any entries.
fn saved(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let mut tar = Vec::new();
    for _ in 0..bytes.below(6) {
        let name = bytes.one_of(&NAMES);
        let length = usize::from(bytes.u16()) % 2048;
        let content = bytes.take(length);
        tars::file(&mut tar, name, content);
    }
    tar.extend(tars::archive(bytes, "outside", &NAMES));
    tar
}

fn archive(bytes: &[u8]) {
    static STORE: OnceLock<(TempDir, Store)> = OnceLock::new();
    let (root, store) = STORE.get_or_init(|| {
        let root = tempfile::tempdir().expect("a temporary directory");
        let options = StoreOptions {
            limits: Limits {
                max_archive_bytes: 8 << 20,
                ..Limits::default()
            },
            docker_config: None,
        };
        let store = Store::open_with(root.path(), options).expect("a store");
        (root, store)
    });
    let path = root.path().join("archive.tar");
    fs::write(&path, bytes).expect("an archive");
    match layout(store, &path) {
        Ok(names) => {
            for name in names {
                ImageReference::parse(&name).expect("a name that is taken is a reference");
            }
        }
        Err(words) => refused(&words),
    }
}

fn refused(words: &str) {
    assert!(
        !words.is_empty() && words.len() < 64 << 10,
        "{} bytes of words",
        words.len()
    );
}
