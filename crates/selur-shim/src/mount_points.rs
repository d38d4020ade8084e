//! Looks at where runc will mount, before it does.

use crate::{Failure, FailureKind};
use std::fs;
use std::io;
use std::path::Path;

/// What is mounted first, and what runc then writes into by names that it puts together.
const PLACES: [&str; 3] = ["dev", "proc", "sys"];

/// Refuses a root file system whose `/dev`, `/proc` or `/sys` is something else than a directory.
///
/// runc removes `/dev/ptmx` and makes symbolic links such as `/dev/fd` before it has entered the container, below the root
/// file system's path on the host: where an image has a symbolic link in the place of `/dev`, it would do so wherever
/// that leads to on the host. No process of the container runs yet that could change what is found here.
pub(crate) fn check(rootfs: &Path) -> Result<(), Failure> {
    for name in PLACES {
        match fs::symlink_metadata(rootfs.join(name)) {
            Ok(found) if found.is_dir() => {}
            // runc makes it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Ok(_) => {
                return Err(Failure::new(
                    FailureKind::Unsupported,
                    format!(
                        "the image's /{name} is no directory, and no container can be run over that: build the image \
                         without it"
                    ),
                ));
            }
            Err(error) => {
                return Err(Failure::while_doing(
                    format_args!("cannot look at the image's /{name}"),
                    error,
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_directories_and_nothing_are_mounted_upon() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        assert!(check(root).is_ok());
        fs::create_dir(root.join("dev")).unwrap();
        fs::create_dir(root.join("elsewhere")).unwrap();
        assert!(check(root).is_ok());
        for place in PLACES {
            let path = root.join(place);
            let _ = fs::remove_dir(&path);
            for target in ["/", "elsewhere", "/nonexistent"] {
                symlink(target, &path).unwrap();
                let failure = check(root).unwrap_err();
                assert_eq!(failure.kind, FailureKind::Unsupported);
                assert!(failure.message.contains(place), "{failure:?}");
                fs::remove_file(&path).unwrap();
            }
            fs::write(&path, "").unwrap();
            assert!(check(root).is_err());
            fs::remove_file(&path).unwrap();
        }
    }
}
