//! Layers: whatever a tar says, what it makes lies in its own directory, and what lies beside that is as it was.

use super::bytes::Bytes;
use super::tars;
use selur_tree::{Archive, Power, remove, unpack, usage};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// As few entries as that are a find if they take long.
const MAX_ENTRIES: u64 = 200;

pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let place = tempfile::tempdir().expect("a temporary directory");
    let outside = place.path().join("outside");
    let layer = place.path().join("layer");
    furnish(&outside);
    fs::create_dir(&layer).expect("the layer's directory");

    let choice = bytes.u8();
    let power = match choice % 3 {
        // Whoever is not root may do what root of a namespace of one id may do.
        _ if !rustix::process::geteuid().is_root() => Power::SingleId,
        0 => Power::Root,
        1 => Power::Namespace,
        _ => Power::SingleId,
    };
    let archive = match choice & 0x40 {
        0 => tars::archive(&mut bytes, outside.to_str().expect("a path in UTF-8"), &[]),
        _ => bytes.rest().to_vec(),
    };

    let before = everything(place.path());
    let unpacked = unpack(&mut Archive::new(&archive[..]), &layer, MAX_ENTRIES, power);
    if let Err(error) = &unpacked {
        let words = error.to_string();
        assert!(
            !words.is_empty() && words.len() < 64 << 10,
            "{} bytes of words",
            words.len()
        );
        assert!(!words.contains('\0'), "{words:?}");
    }
    assert_eq!(
        everything(place.path()),
        before,
        "something beside the layer was touched"
    );
    usage(std::slice::from_ref(&layer)).expect("what was unpacked can be measured");
    remove(&layer).expect("what was unpacked can be removed");
    assert!(!layer.exists());
    assert_eq!(
        everything(place.path()),
        before,
        "something beside the layer was removed"
    );
}

fn furnish(outside: &Path) {
    fs::create_dir_all(outside.join("directory")).expect("a directory");
    fs::write(outside.join("secret"), "secret").expect("a file");
    fs::write(outside.join("directory/file"), "file").expect("a file");
    fs::set_permissions(outside.join("secret"), fs::Permissions::from_mode(0o600)).expect("permissions");
}

/// What can be told of each file beside the layer: a hard link to one would show in its number of links, a mode, an
/// owner or an attribute in its time of change.
fn everything(place: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![place.to_owned()];
    while let Some(path) = left.pop() {
        let facts = fs::symlink_metadata(&path).expect("what was there");
        let name = path.to_string_lossy().into_owned();
        if path == place {
            // The layer's directory comes and goes within it.
            found.insert(name, format!("{:o}", facts.mode()));
        } else {
            let content = if facts.is_file() {
                fs::read(&path).expect("a file")
            } else {
                vec![]
            };
            let changed = (facts.ctime(), facts.ctime_nsec(), facts.nlink());
            found.insert(name, format!("{:o} {changed:?} {content:?}", facts.mode()));
        }
        if facts.is_dir() {
            let entries = fs::read_dir(&path).expect("a directory");
            let paths = entries.map(|entry| entry.expect("an entry").path());
            left.extend(paths.filter(|path| *path != place.join("layer")));
        }
    }
    found
}
