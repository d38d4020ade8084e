//! Images from files: OCI image layouts, as directories or as archives, and the archives of `docker save`.
//!
//! Source: OCI image specification 1.1, "Image Layout".

use super::digest::Digest;
use super::directories::Directories;
use super::docker_archive::{self, Blobs};
use super::error::{During, StoreError, quoted};
use super::limits::Limits;
use super::manifest::{Descriptor, Document};
use super::packed::Packed;
use super::platform::Platform;
use super::section::Section;
use rustix::fs::{Mode, OFlags};
use selur_protocol::ImageReference;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Which image of a layout has which name: often the tag only.
const NAME_ANNOTATION: &str = "org.opencontainers.image.ref.name";
/// The whole reference. Source: containerd, `images.AnnotationImageName`; docker writes it, too.
const FULL_NAME_ANNOTATION: &str = "io.containerd.image.name";
/// What stands for this process's own input: it is read to its end.
const STDIN: &str = "/dev/stdin";
/// The file that marks a layout.
const MARKER: &str = "oci-layout";

/// Images that lie in files.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    path: PathBuf,
    files: Files,
    // Of an archive of `docker save`: it does not name its blobs by their digests.
    blobs: Arc<Blobs>,
    candidates: Arc<Vec<Candidate>>,
}

#[derive(Clone, Debug)]
enum Files {
    Directory,
    Archive(Arc<Packed>),
}

/// One image that can be taken.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Whole references.
    pub(super) names: Vec<String>,
    pub(super) tag: Option<String>,
    pub(super) descriptor: Descriptor,
}

impl Layout {
    /// Opens a directory or an archive. Blocks.
    pub(super) fn open(
        path: &Path,
        directories: &Directories,
        limits: &Limits,
        stop: &CancellationToken,
    ) -> Result<Layout, StoreError> {
        let is_input = path == Path::new(STDIN);
        let found = std::fs::metadata(path).map_err(|error| {
            StoreError::Invalid(format!("cannot read {}: {error}: check the path", path.display()))
        })?;
        let mut layout = Layout {
            path: path.to_owned(),
            files: Files::Directory,
            blobs: Arc::default(),
            candidates: Arc::default(),
        };
        if found.is_dir() {
            if !path.join(MARKER).is_file() {
                return Err(layout.is_none(&format!("it has no file {MARKER}")));
            }
        } else {
            let archive = if is_input {
                Packed::receive(path, directories, limits, stop)?
            } else {
                Packed::open(path, open_regular(path)?, directories, limits, stop)?
            };
            if !archive.has(MARKER) {
                if !archive.has(docker_archive::MARKER) {
                    let lacks = format!("it has neither {MARKER} nor {}", docker_archive::MARKER);
                    return Err(layout.is_none(&lacks));
                }
                let (candidates, blobs) = docker_archive::read(&archive, limits)?;
                (layout.candidates, layout.blobs) = (Arc::new(candidates), Arc::new(blobs));
                layout.files = Files::Archive(Arc::new(archive));
                return Ok(layout);
            }
            layout.files = Files::Archive(Arc::new(archive));
        }
        layout.candidates = Arc::new(layout.index(limits)?);
        Ok(layout)
    }

    /// The images to take, each with its name: the one for this reference, else all under the names that they bring.
    pub(super) fn choose(
        &self,
        reference: Option<&ImageReference<'_>>,
        limits: &Limits,
    ) -> Result<Vec<(String, Descriptor)>, StoreError> {
        match reference {
            Some(reference) => Ok(vec![(reference.to_string(), self.choose_one(reference)?)]),
            None => self.choose_named(limits),
        }
    }

    /// Opens a blob. Its bytes are neither bounded nor verified yet. Blocks.
    pub(super) fn open_blob(&self, digest: &Digest) -> Result<Section, StoreError> {
        match self.blobs.get(digest) {
            Some(section) => Ok(section.clone()),
            None => self.open_file(&format!("blobs/{}", digest.as_str().replace(':', "/"))),
        }
    }

    /// The one that has the reference for its name, else the one with its tag, else the only one, else the one for this
    /// platform.
    fn choose_one(&self, reference: &ImageReference<'_>) -> Result<Descriptor, StoreError> {
        let here = Platform::here();
        let full = reference.to_string();
        let has_name = |candidate: &&Candidate| {
            candidate
                .names
                .iter()
                .any(|name| in_full(name) == Some(full.clone()))
        };
        let has_tag = |candidate: &&Candidate| {
            reference.tag().is_some_and(|tag| {
                let end = format!(":{tag}");
                candidate.tag.as_deref() == Some(tag)
                    || candidate.names.iter().any(|name| name.ends_with(&end))
            })
        };
        let all = || self.candidates.iter();
        let groups: [Vec<&Candidate>; 3] = [
            all().filter(has_name).collect(),
            all().filter(has_tag).collect(),
            all().collect(),
        ];
        for group in groups {
            // Several of one name are for several platforms.
            let is_one_image = group
                .iter()
                .all(|one| one.names == group[0].names && one.tag == group[0].tag);
            let descriptors: Vec<Descriptor> = group.iter().map(|one| one.descriptor.clone()).collect();
            let chosen = match descriptors.as_slice() {
                [only] => Some(only),
                several if is_one_image => here.choose(several),
                _ => None,
            };
            if let Some(chosen) = chosen {
                return Ok(chosen.clone());
            }
        }
        Err(StoreError::NotFound(format!(
            "{} holds {} images, of which none is named {} and none is for {here}",
            self.path.display(),
            self.candidates.len(),
            quoted(reference.tag().unwrap_or_default().as_bytes()),
        )))
    }

    fn choose_named(&self, limits: &Limits) -> Result<Vec<(String, Descriptor)>, StoreError> {
        let here = Platform::here();
        let unnamed = || {
            StoreError::Invalid(format!(
                "{} holds an image without a name: give it one (`selur load PATH IMAGE`)",
                self.path.display()
            ))
        };
        let mut by_name: BTreeMap<String, Vec<Descriptor>> = BTreeMap::new();
        for candidate in self.candidates.iter() {
            let platform = candidate.descriptor.platform.as_ref();
            if candidate.names.is_empty() && platform.is_none_or(|platform| here.runs(platform)) {
                return Err(unnamed());
            }
            for name in &candidate.names {
                let name = in_full(name).ok_or_else(|| {
                    StoreError::Invalid(format!(
                        "{} names an image {}, which is no image reference: give it another name (`selur load PATH \
                         IMAGE`)",
                        self.path.display(),
                        quoted(name.as_bytes())
                    ))
                })?;
                by_name
                    .entry(name)
                    .or_default()
                    .push(candidate.descriptor.clone());
            }
        }
        if by_name.is_empty() {
            return Err(unnamed());
        }
        too_many(by_name.len(), &self.path.display().to_string(), limits)?;
        let chosen = by_name.into_iter().map(|(name, descriptors)| {
            let only = if descriptors.len() == 1 {
                descriptors.first()
            } else {
                None
            };
            let descriptor = only.or_else(|| here.choose(&descriptors)).ok_or_else(|| {
                StoreError::NotFound(format!("{} has no {name} for {here}", self.path.display()))
            })?;
            Ok((name, descriptor.clone()))
        });
        chosen.collect()
    }

    /// What the index of a layout names.
    fn index(&self, limits: &Limits) -> Result<Vec<Candidate>, StoreError> {
        const NAME: &str = "index.json";
        let bytes = read_all(self.open_file(NAME)?, NAME, limits.max_manifest_bytes)?;
        let Document::Index(entries) = Document::parse(&bytes, limits)? else {
            return Err(StoreError::Content(format!(
                "{NAME} of {} is no index",
                self.path.display()
            )));
        };
        let candidates = entries.into_iter().map(|descriptor| {
            let annotation = |key: &str| descriptor.annotations.get(key).cloned();
            let short = annotation(NAME_ANNOTATION);
            // One word may be a tag or a repository: nobody can tell.
            let is_whole = |name: &String| name.contains([':', '/']);
            Candidate {
                names: annotation(FULL_NAME_ANNOTATION)
                    .or_else(|| short.clone().filter(is_whole))
                    .into_iter()
                    .collect(),
                tag: short.filter(|name| !is_whole(name)),
                descriptor,
            }
        });
        Ok(candidates.collect())
    }

    /// Opens a file of the layout; its name is no name from outside.
    fn open_file(&self, name: &str) -> Result<Section, StoreError> {
        match &self.files {
            Files::Directory => open_regular(&self.path.join(name)).map(Section::whole),
            Files::Archive(archive) => archive.open_file(name).map(|(section, _)| section),
        }
    }

    fn is_none(&self, reason: &str) -> StoreError {
        StoreError::Invalid(format!(
            "{} is no OCI image layout: {reason} (a directory, the tar of one, and what `docker save` wrote can be loaded)",
            self.path.display()
        ))
    }
}

/// Refuses more images, or names of images, than are taken at once.
pub(super) fn too_many(count: usize, place: &str, limits: &Limits) -> Result<(), StoreError> {
    if count <= limits.max_archive_images {
        return Ok(());
    }
    Err(StoreError::TooLarge(format!(
        "{place} names {count} images; at most {} are taken at once: name the one that is wanted, or save fewer",
        limits.max_archive_images
    )))
}

/// Reads a small document whole.
pub(super) fn read_all(section: Section, name: &str, max_bytes: u64) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    let read = section.take(max_bytes.saturating_add(1)).read_to_end(&mut bytes);
    read.during(|| format!("reading {}", quoted(name.as_bytes())))?;
    if bytes.len() as u64 > max_bytes {
        return Err(StoreError::TooLarge(format!(
            "{} has more than the {max_bytes} bytes allowed here",
            quoted(name.as_bytes())
        )));
    }
    Ok(bytes)
}

fn in_full(name: &str) -> Option<String> {
    ImageReference::parse(name)
        .ok()
        .map(|reference| reference.to_string())
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
