//! OCI image layout directories, as `skopeo copy … oci:DIR` and builders write them.
//!
//! Source: OCI image specification 1.1, "Image Layout".

use super::digest::Digest;
use super::error::{During, StoreError, quoted};
use super::limits::Limits;
use super::manifest::{Descriptor, Document};
use super::platform::Platform;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Which image of a layout has which name.
const NAME_ANNOTATION: &str = "org.opencontainers.image.ref.name";

/// A layout directory that exists.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    directory: PathBuf,
}

impl Layout {
    /// Opens a layout. Blocks.
    pub(super) fn open(directory: &Path) -> Result<Layout, StoreError> {
        if !directory.join("oci-layout").is_file() {
            return Err(StoreError::Invalid(format!(
                "{} is no OCI image layout: it has no file oci-layout (a docker archive can be converted with `skopeo \
                 copy docker-archive:FILE oci:DIR`)",
                directory.display()
            )));
        }
        Ok(Layout {
            directory: directory.to_owned(),
        })
    }

    /// The descriptor to begin with: the one that has the tag's name, else the only one, else the one for this platform.
    /// Blocks.
    pub(super) fn entry(&self, tag: Option<&str>, limits: &Limits) -> Result<Descriptor, StoreError> {
        let path = self.directory.join("index.json");
        let mut bytes = Vec::new();
        let read = open_regular(&path)?
            .take(limits.max_manifest_bytes)
            .read_to_end(&mut bytes);
        read.during(|| format!("reading {}", path.display()))?;
        let Document::Index(entries) = Document::parse(&bytes, limits)? else {
            return Err(StoreError::Content(format!("{} is no index", path.display())));
        };
        let named = entries.iter().find(|entry| {
            let name = entry.annotations.get(NAME_ANNOTATION);
            name.is_some_and(|name| tag.is_some_and(|tag| name == tag || name.ends_with(&format!(":{tag}"))))
        });
        let only = if entries.len() == 1 { entries.first() } else { None };
        let here = Platform::here();
        named
            .or(only)
            .or_else(|| here.choose(&entries))
            .cloned()
            .ok_or_else(|| {
                StoreError::NotFound(format!(
                    "{} holds {} images, of which none is named {} and none is for {here}",
                    self.directory.display(),
                    entries.len(),
                    quoted(tag.unwrap_or_default().as_bytes()),
                ))
            })
    }

    /// Opens a blob. Its bytes are neither bounded nor verified yet. Blocks.
    pub(super) fn open_blob(&self, digest: &Digest) -> Result<File, StoreError> {
        let name = digest.as_str().replace(':', "/");
        open_regular(&self.directory.join("blobs").join(name))
    }
}

/// Opens a regular file; a FIFO would block, and a device could be anything.
fn open_regular(path: &Path) -> Result<File, StoreError> {
    let what = || format!("reading {}", path.display());
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => {
            return Err(StoreError::Content(format!(
                "the image layout lacks {}",
                path.display()
            )));
        }
        other => File::from(other.during(what)?),
    };
    if file.metadata().during(what)?.is_file() {
        Ok(file)
    } else {
        Err(StoreError::Content(format!(
            "{} is no regular file",
            path.display()
        )))
    }
}
