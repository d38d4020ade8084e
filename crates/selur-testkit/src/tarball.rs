//! Tar archives as tests need them: with everything that layers have, and everything that they must not have.

use tar::{EntryType, Header};

/// A tar archive being built. Owners are 0:0 and times 1,600,000,000 unless set.
#[derive(Clone, Debug, Default)]
pub struct Tarball {
    bytes: Vec<u8>,
    // Of the next entry only.
    pax: Vec<u8>,
    owner: Option<(u64, u64)>,
    mtime: Option<u64>,
}

impl Tarball {
    /// An empty archive.
    pub fn new() -> Tarball {
        Tarball::default()
    }

    /// Gives the next entry an owner and a group.
    pub fn owner(mut self, uid: u64, gid: u64) -> Tarball {
        self.owner = Some((uid, gid));
        self
    }

    /// Gives the next entry a time, in seconds since the Unix epoch.
    pub fn mtime(mut self, seconds: u64) -> Tarball {
        self.mtime = Some(seconds);
        self
    }

    /// Gives the next entry a pax record, such as `SCHILY.xattr.user.key`.
    pub fn pax(mut self, key: &str, value: &[u8]) -> Tarball {
        let without_length = key.len() + value.len() + 3;
        let mut length = without_length + 1;
        while length != without_length + length.to_string().len() {
            length = without_length + length.to_string().len();
        }
        self.pax.extend_from_slice(format!("{length} {key}=").as_bytes());
        self.pax.extend_from_slice(value);
        self.pax.push(b'\n');
        self
    }

    /// A regular file.
    pub fn file(self, path: &str, mode: u32, contents: impl AsRef<[u8]>) -> Tarball {
        self.entry(EntryType::Regular, path, "", mode, contents.as_ref(), (0, 0))
    }

    /// A directory.
    pub fn directory(self, path: &str, mode: u32) -> Tarball {
        self.entry(EntryType::Directory, path, "", mode, &[], (0, 0))
    }

    /// A symbolic link.
    pub fn symlink(self, path: &str, target: &str) -> Tarball {
        self.entry(EntryType::Symlink, path, target, 0o777, &[], (0, 0))
    }

    /// A hard link.
    pub fn hard_link(self, path: &str, target: &str) -> Tarball {
        self.entry(EntryType::Link, path, target, 0o644, &[], (0, 0))
    }

    /// A character device.
    pub fn character_device(self, path: &str, mode: u32, major: u32, minor: u32) -> Tarball {
        self.entry(EntryType::Char, path, "", mode, &[], (major, minor))
    }

    /// A block device.
    pub fn block_device(self, path: &str, mode: u32, major: u32, minor: u32) -> Tarball {
        self.entry(EntryType::Block, path, "", mode, &[], (major, minor))
    }

    /// A FIFO.
    pub fn fifo(self, path: &str, mode: u32) -> Tarball {
        self.entry(EntryType::Fifo, path, "", mode, &[], (0, 0))
    }

    /// An entry of any type.
    pub fn entry_of_type(self, kind: u8, path: &str, contents: &[u8]) -> Tarball {
        self.entry(EntryType::new(kind), path, "", 0o644, contents, (0, 0))
    }

    /// An entry under a name of any length, as GNU tar writes it.
    pub fn gnu_long_name(self, path: &str, contents: &[u8]) -> Tarball {
        let name = [path.as_bytes(), b"\0"].concat();
        self.entry(EntryType::GNULongName, "././@LongLink", "", 0o644, &name, (0, 0))
            .file("short", 0o644, contents)
    }

    /// A header whose size field claims something else than what follows: `contents`, padded.
    pub fn lying_size(mut self, path: &str, claimed_bytes: u64, contents: &[u8]) -> Tarball {
        let mut header = self.header(EntryType::Regular, path, "", 0o644);
        header.set_size(claimed_bytes);
        header.set_cksum();
        self.push_block(header.as_bytes());
        self.push_block(contents);
        self
    }

    /// Bytes that are no entry.
    pub fn raw(mut self, bytes: &[u8]) -> Tarball {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The archive, with the two blocks of zeros that end it.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&[0; 1024]);
        self.bytes
    }

    fn entry(
        mut self,
        kind: EntryType,
        path: &str,
        link: &str,
        mode: u32,
        contents: &[u8],
        (major, minor): (u32, u32),
    ) -> Tarball {
        // Longer than the field: as pax does it.
        if path.len() > 100 {
            self = self.pax("path", path.as_bytes());
        }
        if link.len() > 100 {
            self = self.pax("linkpath", link.as_bytes());
        }
        if !self.pax.is_empty() {
            let records = std::mem::take(&mut self.pax);
            let mut header = Header::new_ustar();
            header.set_entry_type(EntryType::XHeader);
            header.set_size(records.len() as u64);
            header.set_cksum();
            self.push_block(header.as_bytes());
            self.push_block(&records);
        }
        let mut header = self.header(kind, path, link, mode);
        header.set_size(contents.len() as u64);
        if matches!(kind, EntryType::Char | EntryType::Block) {
            header
                .set_device_major(major)
                .expect("a ustar header has device fields");
            header
                .set_device_minor(minor)
                .expect("a ustar header has device fields");
        }
        header.set_cksum();
        self.push_block(header.as_bytes());
        self.push_block(contents);
        self
    }

    /// A header with the names written as they are: the tar crate refuses those that tests are about.
    fn header(&mut self, kind: EntryType, path: &str, link: &str, mode: u32) -> Header {
        let mut header = Header::new_ustar();
        let fields = header.as_old_mut();
        let copy = |field: &mut [u8; 100], text: &str| {
            let length = text.len().min(field.len());
            field[..length].copy_from_slice(&text.as_bytes()[..length]);
        };
        copy(&mut fields.name, path);
        copy(&mut fields.linkname, link);
        let (uid, gid) = self.owner.take().unwrap_or((0, 0));
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(uid);
        header.set_gid(gid);
        header.set_mtime(self.mtime.take().unwrap_or(1_600_000_000));
        header
    }

    fn push_block(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.bytes.resize(self.bytes.len().next_multiple_of(512), 0);
    }
}
