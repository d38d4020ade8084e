//! The directory that a layer becomes: applies one entry after the other and never leaves the directory.
//!
//! Invariant: every system call names at most one path component, below a directory that the kernel resolved within
//! the layer, and none follows a symbolic link in that component. Nobody else has access to the directory meanwhile.

use crate::archive::{Entry, Kind};
use crate::error::{During, TreeError, quoted};
use crate::{Power, metadata, remove};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Source: OCI image specification 1.1, "Whiteouts": what hides a file of the layers below.
const WHITEOUT_PREFIX: &[u8] = b".wh.";
/// What hides everything that the layers below have in a directory.
const OPAQUE_MARKER: &[u8] = b".wh..wh..opq";
/// Other things of AUFS, without a meaning elsewhere.
const META_PREFIX: &[u8] = b".wh..wh.";
const MAX_COMPONENTS: usize = 255;
/// What directories' paths may take in memory until their times are set.
const MAX_DIRECTORY_PATH_BYTES: usize = 256 << 20;
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A layer's directory while it is filled.
pub(crate) struct Tree {
    root: OwnedFd,
    power: Power,
    entries_left: u64,
    is_opaque: bool,
    // The parent of the last entry: most entries share it with the one before. Dropped whenever something is removed.
    last_parent: Option<(Vec<u8>, OwnedFd)>,
    // Times are set at the end, because each entry in a directory changes the directory's.
    directory_times: Vec<(Vec<u8>, (i64, u32))>,
    directory_path_bytes: usize,
}

impl Tree {
    pub(crate) fn open(directory: &Path, max_entries: u64, power: Power) -> Result<Tree, TreeError> {
        let root = rustix::fs::open(directory, DIRECTORY, Mode::empty())
            .during(|| format!("opening {}", directory.display()))?;
        // An image need not say what its root directory is like.
        rustix::fs::fchmod(&root, Mode::from_raw_mode(0o755))
            .during(|| "unpacking the root directory".to_owned())?;
        Ok(Tree {
            root,
            power,
            entries_left: max_entries,
            is_opaque: false,
            last_parent: None,
            directory_times: Vec::new(),
            directory_path_bytes: 0,
        })
    }

    /// Makes what an entry says. `fill` writes the content of a file.
    pub(crate) fn apply(
        &mut self,
        entry: &Entry,
        fill: impl FnOnce(&mut File) -> Result<(), TreeError>,
    ) -> Result<(), TreeError> {
        self.count_entry()?;
        let components = components(&entry.path)?;
        let Some((name, parents)) = components.split_last() else {
            return self.apply_root(entry);
        };
        if components
            .iter()
            .any(|component| component.starts_with(META_PREFIX))
        {
            return if *name == OPAQUE_MARKER {
                self.hide_all(parents)
            } else {
                Ok(())
            };
        }
        if parents.iter().any(|parent| parent.starts_with(WHITEOUT_PREFIX)) {
            return Err(TreeError::Content(format!(
                "{} lies within a whiteout",
                quoted(&entry.path)
            )));
        }
        if let Some(hidden) = name.strip_prefix(WHITEOUT_PREFIX) {
            return self.hide(parents, hidden, &entry.path);
        }
        let target = Target {
            parent: self.parent(parents)?,
            name,
            path: &entry.path,
        };
        match entry.kind {
            // Only root makes them. What stood there stays: nothing that a container does not make itself is shown.
            Kind::CharacterDevice | Kind::BlockDevice if self.power != Power::Root => return Ok(()),
            Kind::Directory => return self.make_directory(&target, entry, &components),
            Kind::File => self.make_file(&target, entry, fill)?,
            Kind::HardLink => return self.make_hard_link(&target, &entry.link),
            Kind::Symlink => {
                self.place(&target, |target| {
                    rustix::fs::symlinkat(&entry.link, &target.parent, target.name)
                })?;
            }
            Kind::Fifo => self.make_node(&target, entry, FileType::Fifo)?,
            Kind::CharacterDevice if entry.device == (0, 0) => {
                return Err(TreeError::Content(format!(
                    "{} is the character device 0:0, which overlayfs takes for a whiteout",
                    quoted(&entry.path)
                )));
            }
            Kind::CharacterDevice => self.make_node(&target, entry, FileType::CharacterDevice)?,
            Kind::BlockDevice => self.make_node(&target, entry, FileType::BlockDevice)?,
        }
        if entry.kind != Kind::File {
            metadata::set_named(&target.parent, target.name, entry, self.power)?;
        }
        Ok(())
    }

    /// Sets the times of directories. Says whether the layer hides all below it.
    pub(crate) fn finish(self) -> Result<bool, TreeError> {
        for (path, time) in self.directory_times.iter().rev() {
            // What is no directory any more was replaced by a later entry.
            if let Ok(directory) = self.resolve(path) {
                let set =
                    rustix::fs::utimensat(&directory, ".", &metadata::timestamps(*time), AtFlags::empty());
                set.during(|| format!("setting the time of {}", quoted(path)))?;
            }
        }
        Ok(self.is_opaque)
    }

    fn count_entry(&mut self) -> Result<(), TreeError> {
        self.entries_left = self.entries_left.checked_sub(1).ok_or_else(|| {
            TreeError::TooLarge(
                "the layer has more files, directories and links than the cap allows".to_owned(),
            )
        })?;
        Ok(())
    }

    fn apply_root(&mut self, entry: &Entry) -> Result<(), TreeError> {
        if entry.kind != Kind::Directory {
            return Err(TreeError::Content("the layer's root is no directory".to_owned()));
        }
        // A container's root directory is like its own layer's. Without root it must stay possible to rename this one.
        if self.power != Power::Root {
            return Ok(());
        }
        metadata::set_open(&self.root, entry, self.power)?;
        self.remember_time(Vec::new(), entry.mtime)
    }

    fn remember_time(&mut self, path: Vec<u8>, time: (i64, u32)) -> Result<(), TreeError> {
        self.directory_path_bytes += path.len() + size_of::<(Vec<u8>, (i64, u32))>();
        if self.directory_path_bytes > MAX_DIRECTORY_PATH_BYTES {
            return Err(TreeError::TooLarge(
                "the layer's directories have paths of more than 256 MiB".to_owned(),
            ));
        }
        self.directory_times.push((path, time));
        Ok(())
    }

    /// Opens a directory of the layer by its path from the layer's root. Symbolic links are followed within the layer,
    /// as they would be in the container.
    fn resolve(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        if path.is_empty() {
            return rustix::fs::openat(&self.root, ".", DIRECTORY, Mode::empty());
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        loop {
            match rustix::fs::openat2(&self.root, path, flags, Mode::empty(), within) {
                // A rename elsewhere in the system may have interfered with `..` in a link.
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
    }

    /// The directory that these components name, made if it does not exist.
    fn parent(&mut self, components: &[&[u8]]) -> Result<OwnedFd, TreeError> {
        let path = components.join(&b'/');
        let what = || format!("opening the directory {}", quoted(&path));
        if let Some((known, directory)) = &self.last_parent
            && *known == path
        {
            return rustix::io::fcntl_dupfd_cloexec(directory, 0).during(what);
        }
        let directory = match self.resolve(&path) {
            Ok(directory) => directory,
            Err(error @ (Errno::NOENT | Errno::NOTDIR)) => self.make_parent(components, error)?,
            Err(Errno::LOOP) => {
                return Err(TreeError::Content(format!(
                    "{} leads through too many symbolic links",
                    quoted(&path)
                )));
            }
            Err(Errno::NAMETOOLONG) => return Err(name_too_long(&path)),
            Err(Errno::NOSYS) => {
                return Err(TreeError::Unsupported(
                    "this kernel has no openat2, without which layers cannot be unpacked safely: Linux 5.6 or newer is \
                     needed"
                        .to_owned(),
                ));
            }
            Err(error) => return Err(error).during(what),
        };
        let kept = rustix::io::fcntl_dupfd_cloexec(&directory, 0).during(what)?;
        self.last_parent = Some((path, kept));
        Ok(directory)
    }

    /// Makes a directory that the layer did not mention; if a whiteout stands there, it becomes an opaque directory.
    fn make_parent(&mut self, components: &[&[u8]], because: Errno) -> Result<OwnedFd, TreeError> {
        let path = components.join(&b'/');
        let what = || format!("making the directory {}", quoted(&path));
        let Some((name, above)) = components.split_last() else {
            return Err(because).during(what);
        };
        self.count_entry()?;
        let target = Target {
            parent: self.parent(above)?,
            name,
            path: &path,
        };
        let is_hidden = match target.existing()? {
            None => false,
            Some(Existing::Whiteout) => {
                self.remove(&target, Existing::Whiteout)?;
                true
            }
            // A symbolic link that leads nowhere, or a file.
            Some(_) => {
                return Err(TreeError::Content(format!(
                    "{} is needed as a directory and is none",
                    quoted(&path)
                )));
            }
        };
        rustix::fs::mkdirat(&target.parent, *name, Mode::from_raw_mode(0o755)).during(what)?;
        let directory = rustix::fs::openat(&target.parent, *name, DIRECTORY, Mode::empty()).during(what)?;
        rustix::fs::fchmod(&directory, Mode::from_raw_mode(0o755)).during(what)?;
        if is_hidden {
            metadata::set_opaque(&directory, self.power).during(what)?;
        }
        Ok(directory)
    }

    /// Hides a file of the layers below. What this layer itself has of that name stays.
    fn hide(&mut self, parents: &[&[u8]], hidden: &[u8], path: &[u8]) -> Result<(), TreeError> {
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(TreeError::Content(format!(
                "{} is a whiteout of no file",
                quoted(path)
            )));
        }
        let target = Target {
            parent: self.parent(parents)?,
            name: hidden,
            path,
        };
        let what = || format!("making the whiteout {}", quoted(path));
        match target.existing()? {
            Some(Existing::Directory) => {
                metadata::set_opaque(target.open_directory()?, self.power).during(what)
            }
            Some(_) => Ok(()),
            None => {
                let device = rustix::fs::makedev(0, 0);
                let mode = Mode::empty();
                match rustix::fs::mknodat(&target.parent, hidden, FileType::CharacterDevice, mode, device) {
                    Err(Errno::NAMETOOLONG) => Err(name_too_long(path)),
                    other => other.during(what),
                }
            }
        }
    }

    /// Hides everything that the layers below have in a directory.
    fn hide_all(&mut self, parents: &[&[u8]]) -> Result<(), TreeError> {
        if parents.is_empty() {
            // Overlayfs does not look at the mark on a layer's root: the layers below are left out instead.
            self.is_opaque = true;
            return Ok(());
        }
        let path = parents.join(&b'/');
        let directory = self.parent(parents)?;
        let what = || format!("making {} opaque", quoted(&path));
        // A descriptor of the path alone cannot carry attributes.
        let directory = rustix::fs::openat(&directory, ".", DIRECTORY, Mode::empty()).during(what)?;
        metadata::set_opaque(&directory, self.power).during(what)
    }

    fn make_directory(
        &mut self,
        target: &Target<'_>,
        entry: &Entry,
        components: &[&[u8]],
    ) -> Result<(), TreeError> {
        let what = || format!("making the directory {}", quoted(target.path));
        let existing = target.existing()?;
        if let Some(found) = existing.filter(|found| *found != Existing::Directory) {
            self.remove(target, found)?;
        }
        if existing != Some(Existing::Directory) {
            match rustix::fs::mkdirat(&target.parent, target.name, Mode::from_raw_mode(0o700)) {
                Err(Errno::NAMETOOLONG) => return Err(name_too_long(target.path)),
                other => other.during(what)?,
            }
        }
        let directory = target.open_directory()?;
        if existing == Some(Existing::Whiteout) {
            metadata::set_opaque(&directory, self.power).during(what)?;
        }
        metadata::set_open(&directory, entry, self.power)?;
        self.remember_time(components.join(&b'/'), entry.mtime)
    }

    fn make_file(
        &mut self,
        target: &Target<'_>,
        entry: &Entry,
        fill: impl FnOnce(&mut File) -> Result<(), TreeError>,
    ) -> Result<(), TreeError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = self.place(target, |target| {
            rustix::fs::openat(&target.parent, target.name, flags, Mode::from_raw_mode(0o600))
        })?;
        let mut file = File::from(file);
        fill(&mut file)?;
        let what = || format!("unpacking {}", quoted(target.path));
        metadata::set_open(&file, entry, self.power)?;
        rustix::fs::futimens(&file, &metadata::timestamps(entry.mtime)).during(what)
    }

    fn make_node(&mut self, target: &Target<'_>, entry: &Entry, kind: FileType) -> Result<(), TreeError> {
        let (major, minor) = entry.device;
        let device = rustix::fs::makedev(major, minor);
        self.place(target, |target| {
            rustix::fs::mknodat(
                &target.parent,
                target.name,
                kind,
                Mode::from_raw_mode(0o600),
                device,
            )
        })
    }

    fn make_hard_link(&mut self, target: &Target<'_>, link: &[u8]) -> Result<(), TreeError> {
        let components = components(link)?;
        let broken = || {
            TreeError::Content(format!(
                "{} is a hard link to {}, which is no file of this layer",
                quoted(target.path),
                quoted(link)
            ))
        };
        let (name, parents) = components.split_last().ok_or_else(broken)?;
        let directory = self.resolve(&parents.join(&b'/')).map_err(|_| broken())?;
        let source = Target {
            parent: directory,
            name,
            path: link,
        };
        if !matches!(source.existing()?, Some(Existing::Other)) {
            return Err(broken());
        }
        let original = rustix::fs::statat(&source.parent, *name, AtFlags::SYMLINK_NOFOLLOW);
        let present = rustix::fs::statat(&target.parent, target.name, AtFlags::SYMLINK_NOFOLLOW);
        if let (Ok(original), Ok(present)) = (original, present)
            && (original.st_dev, original.st_ino) == (present.st_dev, present.st_ino)
        {
            return Ok(());
        }
        self.place(target, |target| {
            rustix::fs::linkat(
                &source.parent,
                *name,
                &target.parent,
                target.name,
                AtFlags::empty(),
            )
        })
    }

    /// Makes something under a name; what this layer had there before is removed first.
    fn place<T>(
        &mut self,
        target: &Target<'_>,
        make: impl Fn(&Target<'_>) -> Result<T, Errno>,
    ) -> Result<T, TreeError> {
        let mut made = make(target);
        if let Err(Errno::EXIST) = made
            && let Some(existing) = target.existing()?
        {
            self.remove(target, existing)?;
            made = make(target);
        }
        match made {
            Err(Errno::NAMETOOLONG) => Err(name_too_long(target.path)),
            // What a hard link leads to lay in the directory that it replaces.
            Err(Errno::NOENT) => Err(TreeError::Content(format!(
                "{} replaces what it is made of",
                quoted(target.path)
            ))),
            Err(error @ (Errno::PERM | Errno::ACCESS)) => {
                let words = format!("unpacking {}, which needs root", quoted(target.path));
                Err(error).during(|| words)
            }
            other => other.during(|| format!("unpacking {}", quoted(target.path))),
        }
    }

    fn remove(&mut self, target: &Target<'_>, existing: Existing) -> Result<(), TreeError> {
        let what = || format!("replacing {}", quoted(target.path));
        self.last_parent = None;
        if existing == Existing::Directory {
            remove::empty_directory(target.open_directory()?.as_fd()).during(what)?;
            return rustix::fs::unlinkat(&target.parent, target.name, AtFlags::REMOVEDIR).during(what);
        }
        rustix::fs::unlinkat(&target.parent, target.name, AtFlags::empty()).during(what)
    }
}

/// Where an entry goes: a directory of the layer, and a name in it.
struct Target<'a> {
    parent: OwnedFd,
    name: &'a [u8],
    // For messages.
    path: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Existing {
    Directory,
    Whiteout,
    Other,
}

impl Target<'_> {
    fn existing(&self) -> Result<Option<Existing>, TreeError> {
        let found = match rustix::fs::statat(&self.parent, self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NAMETOOLONG) => return Err(name_too_long(self.path)),
            other => other.during(|| format!("looking at {}", quoted(self.path)))?,
        };
        Ok(Some(match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => Existing::Directory,
            FileType::CharacterDevice if found.st_rdev == rustix::fs::makedev(0, 0) => Existing::Whiteout,
            _ => Existing::Other,
        }))
    }

    fn open_directory(&self) -> Result<OwnedFd, TreeError> {
        rustix::fs::openat(&self.parent, self.name, DIRECTORY, Mode::empty())
            .during(|| format!("opening the directory {}", quoted(self.path)))
    }
}

/// The components of a path, seen from the layer's root, whether it begins with a slash or not.
fn components(path: &[u8]) -> Result<Vec<&[u8]>, TreeError> {
    let parts = path
        .split(|byte| *byte == b'/')
        .filter(|part| !matches!(*part, b"" | b"."));
    let components: Vec<&[u8]> = parts.collect();
    if components.contains(&&b".."[..]) {
        return Err(TreeError::Content(format!(
            "the path {} contains ..",
            quoted(path)
        )));
    }
    if components.len() > MAX_COMPONENTS {
        return Err(TreeError::Content(format!(
            "the path {} is more than {MAX_COMPONENTS} deep",
            quoted(path)
        )));
    }
    Ok(components)
}

fn name_too_long(path: &[u8]) -> TreeError {
    TreeError::Content(format!(
        "the path {} has a component that is too long for this file system",
        quoted(path)
    ))
}
