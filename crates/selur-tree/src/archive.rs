//! Reads a tar stream entry by entry: ustar, GNU long names and pax extensions, with every length checked.
//!
//! The `tar` crate reads the fields of a header; the framing is here, because what an entry may make us hold in memory
//! must be bounded.
//!
//! Source: POSIX.1-2017, "pax"; OCI image specification 1.1, "Image Layer Filesystem Changeset".

use crate::error::{TreeError, quoted};
use std::borrow::Cow;
use std::io::{self, Read, Seek};

const BLOCK_BYTES: usize = 512;
/// The longest path or link target that Linux takes, without its NUL.
pub const MAX_PATH_BYTES: usize = 4095;
/// All pax records of one entry. Extended attributes are at most 64 KiB each.
const MAX_PAX_BYTES: u64 = 1 << 20;
/// Where a header has a device's numbers. Source: POSIX.1-2017, "ustar Interchange Format".
const MAJOR_FIELD: std::ops::Range<usize> = 329..337;
const MINOR_FIELD: std::ops::Range<usize> = 337..345;
const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A further name of a file.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

/// One entry: what its headers say. Its bytes are read from the archive.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// Where it is, as the archive says it.
    pub path: Vec<u8>,
    /// The target of a link.
    pub link: Vec<u8>,
    /// Permissions with setuid, setgid and sticky.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Seconds and nanoseconds since the Unix epoch.
    pub mtime: (i64, u32),
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes by their names.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A tar stream.
pub struct Archive<R> {
    reader: R,
    // Of the current entry's content, and of what fills its last block.
    unread: u64,
    padding: u64,
}

/// What extension headers say of the entry that follows them.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<(i64, u32)>,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<R: Read> Archive<R> {
    /// The archive that this reader gives.
    pub fn new(reader: R) -> Archive<R> {
        Archive {
            reader,
            unread: 0,
            padding: 0,
        }
    }

    /// The next entry; what is left of the one before is passed over.
    ///
    /// # Errors
    /// The archive is malformed, or cannot be read.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TreeError> {
        let mut extensions = Extensions::default();
        loop {
            self.skip_rest()?;
            let Some(header) = self.header()? else {
                return Ok(None);
            };
            let size = field("size", &header.as_old().size, header.entry_size())?;
            let kind = match header.entry_type().as_byte() {
                0 | b'0' | b'7' if header.path_bytes().ends_with(b"/") => Kind::Directory,
                0 | b'0' | b'7' => Kind::File,
                b'1' => Kind::HardLink,
                b'2' => Kind::Symlink,
                b'3' => Kind::CharacterDevice,
                b'4' => Kind::BlockDevice,
                b'5' => Kind::Directory,
                b'6' => Kind::Fifo,
                b'x' => {
                    let bytes = self.extension(size, MAX_PAX_BYTES)?;
                    extensions.read_pax(&bytes)?;
                    continue;
                }
                // Comments of the archive as a whole, such as git's.
                b'g' => {
                    self.extension(size, MAX_PAX_BYTES)?;
                    continue;
                }
                b'L' => {
                    extensions.path = Some(self.long_name(size)?);
                    continue;
                }
                b'K' => {
                    extensions.link = Some(self.long_name(size)?);
                    continue;
                }
                b'S' => return Err(sparse()),
                other => {
                    return Err(TreeError::Content(format!(
                        "entry {} has the unknown type {}",
                        quoted(&header.path_bytes()),
                        quoted(&[other])
                    )));
                }
            };
            return self.entry(kind, &header, size, extensions).map(Some);
        }
    }

    /// Reads content of the current entry; 0 at its end.
    ///
    /// # Errors
    /// As above.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TreeError> {
        let wanted = usize::try_from(self.unread)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if wanted == 0 {
            return Ok(0);
        }
        match self.reader.read(&mut buffer[..wanted]) {
            Ok(0) => Err(truncated()),
            Ok(count) => {
                self.unread -= count as u64;
                Ok(count)
            }
            Err(error) => Err(TreeError::Reader(error)),
        }
    }

    /// Reads what follows the last entry, so that a digest covers it.
    pub(crate) fn drain(&mut self) -> Result<(), TreeError> {
        io::copy(&mut self.reader, &mut io::sink())
            .map(drop)
            .map_err(TreeError::Reader)
    }

    /// The stream, wherever it stands.
    pub fn into_reader(self) -> R {
        self.reader
    }

    fn entry(
        &mut self,
        kind: Kind,
        header: &tar::Header,
        size: u64,
        extensions: Extensions,
    ) -> Result<Entry, TreeError> {
        let path = extensions
            .path
            .unwrap_or_else(|| header.path_bytes().into_owned());
        let link = extensions
            .link
            .or_else(|| header.link_name_bytes().map(Cow::into_owned))
            .unwrap_or_default();
        let size = if kind == Kind::File {
            extensions.size.unwrap_or(size)
        } else {
            0
        };
        for text in [&path, &link] {
            if text.len() > MAX_PATH_BYTES {
                return Err(TreeError::Content(format!(
                    "the path {} has {} bytes; Linux takes {MAX_PATH_BYTES}",
                    quoted(text),
                    text.len()
                )));
            }
            if text.contains(&0) {
                return Err(TreeError::Content(format!(
                    "the path {} contains a NUL",
                    quoted(text)
                )));
            }
        }
        let owner = |name, extension: Option<u64>, bytes: &[u8], value: io::Result<u64>| {
            let id = extension.map_or_else(|| field(name, bytes, value), Ok)?;
            // The highest id means "leave it as it is" to the kernel.
            u32::try_from(id)
                .ok()
                .filter(|id| *id != u32::MAX)
                .ok_or_else(|| {
                    TreeError::Content(format!(
                        "entry {} has the {name} {id}, which is no {name}",
                        quoted(&path)
                    ))
                })
        };
        let device = match kind {
            Kind::CharacterDevice | Kind::BlockDevice => (
                device_number(header, MAJOR_FIELD, header.device_major())?,
                device_number(header, MINOR_FIELD, header.device_minor())?,
            ),
            _ => (0, 0),
        };
        let mtime = match extensions.mtime {
            Some(time) => time,
            None => (
                i64::try_from(field("time", &header.as_old().mtime, header.mtime())?).unwrap_or(0),
                0,
            ),
        };
        let entry = Entry {
            kind,
            mode: field("mode", &header.as_old().mode, header.mode())? & 0o7777,
            uid: owner("uid", extensions.uid, &header.as_old().uid, header.uid())?,
            gid: owner("gid", extensions.gid, &header.as_old().gid, header.gid())?,
            mtime,
            device,
            xattrs: extensions.xattrs,
            path,
            link,
        };
        self.begin_content(size);
        Ok(entry)
    }

    fn begin_content(&mut self, size: u64) {
        self.unread = size;
        let block_bytes = BLOCK_BYTES as u64;
        self.padding = (block_bytes - size % block_bytes) % block_bytes;
    }

    /// The next header, unless the archive ends here: at a block of zeros, or with the stream.
    fn header(&mut self) -> Result<Option<tar::Header>, TreeError> {
        let mut block = [0u8; BLOCK_BYTES];
        let mut filled = 0;
        while filled < BLOCK_BYTES {
            match self.reader.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(truncated()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(TreeError::Reader(error)),
            }
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let header = tar::Header::from_byte_slice(&block).clone();
        // Source: POSIX.1-2017, "ustar Interchange Format", chksum: the sum of all bytes, itself as spaces.
        let sum: u32 = block
            .iter()
            .enumerate()
            .map(|(at, byte)| {
                if (148..156).contains(&at) {
                    32
                } else {
                    u32::from(*byte)
                }
            })
            .sum();
        if header.cksum().ok() != Some(sum) {
            return Err(TreeError::Content(
                "a tar header has a wrong checksum: this is no tar archive, or it is damaged".to_owned(),
            ));
        }
        Ok(Some(header))
    }

    fn extension(&mut self, size: u64, max_bytes: u64) -> Result<Vec<u8>, TreeError> {
        if size > max_bytes {
            return Err(TreeError::Content(format!(
                "an extension header has {size} bytes; at most {max_bytes} are taken"
            )));
        }
        self.begin_content(size);
        let mut bytes = Vec::new();
        let mut buffer = [0u8; 4096];
        loop {
            match self.read(&mut buffer)? {
                0 => return Ok(bytes),
                count => bytes.extend_from_slice(&buffer[..count]),
            }
        }
    }

    fn long_name(&mut self, size: u64) -> Result<Vec<u8>, TreeError> {
        let mut name = self.extension(size, MAX_PATH_BYTES as u64 + 1)?;
        if name.last() == Some(&0) {
            name.pop();
        }
        Ok(name)
    }

    fn skip_rest(&mut self) -> Result<(), TreeError> {
        let rest = self.unread.saturating_add(self.padding);
        (self.unread, self.padding) = (0, 0);
        let skipped =
            io::copy(&mut self.reader.by_ref().take(rest), &mut io::sink()).map_err(TreeError::Reader)?;
        if skipped < rest { Err(truncated()) } else { Ok(()) }
    }
}

impl<R: Read + Seek> Archive<R> {
    /// Passes over the current entry's content without reading it: where it begins, and how many bytes it has.
    pub fn pass_over(&mut self) -> Result<(u64, u64), TreeError> {
        let (size, padding) = (self.unread, self.padding);
        (self.unread, self.padding) = (0, 0);
        let begins = self.reader.stream_position().map_err(TreeError::Reader)?;
        let end = begins.checked_add(size).and_then(|end| end.checked_add(padding));
        let end = end
            .filter(|end| i64::try_from(*end).is_ok())
            .ok_or_else(truncated)?;
        self.reader
            .seek(io::SeekFrom::Start(end))
            .map_err(TreeError::Reader)?;
        Ok((begins, size))
    }
}

impl Extensions {
    fn read_pax(&mut self, bytes: &[u8]) -> Result<(), TreeError> {
        let malformed = || TreeError::Content("a pax header is malformed".to_owned());
        let mut rest = bytes;
        while !rest.is_empty() {
            // LENGTH SPACE KEY = VALUE NEWLINE, where LENGTH counts all of it.
            let space = rest.iter().position(|byte| *byte == b' ').ok_or_else(malformed)?;
            let length: usize = number(&rest[..space]).ok_or_else(malformed)?;
            let record = rest.get(space + 1..length).ok_or_else(malformed)?;
            let record = record.strip_suffix(b"\n").ok_or_else(malformed)?;
            let equals = record
                .iter()
                .position(|byte| *byte == b'=')
                .ok_or_else(malformed)?;
            self.take(&record[..equals], &record[equals + 1..])
                .ok_or_else(malformed)??;
            rest = &rest[length..];
        }
        Ok(())
    }

    /// One record; none if its value is malformed.
    fn take(&mut self, key: &[u8], value: &[u8]) -> Option<Result<(), TreeError>> {
        match key {
            // An empty value takes a record of a global header back.
            _ if value.is_empty() && !key.starts_with(XATTR_PREFIX) => {}
            b"path" => self.path = Some(value.to_vec()),
            b"linkpath" => self.link = Some(value.to_vec()),
            b"size" => self.size = Some(number(value)?),
            b"uid" => self.uid = Some(number(value)?),
            b"gid" => self.gid = Some(number(value)?),
            b"mtime" => self.mtime = Some(time(value)?),
            _ if key.starts_with(b"GNU.sparse.") => return Some(Err(sparse())),
            _ => {
                if let Some(name) = key.strip_prefix(XATTR_PREFIX) {
                    self.xattrs.push((name.to_vec(), value.to_vec()));
                }
            }
        }
        Some(Ok(()))
    }
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Decimal seconds since the epoch, perhaps negative, perhaps with a fraction.
fn time(value: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    if whole.starts_with('-') && nanoseconds > 0 {
        return Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds));
    }
    Some((seconds, nanoseconds))
}

/// A number of a header; a field that is blank is 0, as for every other reader of tar.
fn field<T: Default>(name: &str, blank: &[u8], value: io::Result<T>) -> Result<T, TreeError> {
    if blank.iter().all(|byte| matches!(byte, 0 | b' ')) {
        return Ok(T::default());
    }
    value.map_err(|_| TreeError::Content(format!("a tar header's {name} is no number")))
}

fn device_number(
    header: &tar::Header,
    place: std::ops::Range<usize>,
    value: io::Result<Option<u32>>,
) -> Result<u32, TreeError> {
    let value = value.map(Option::unwrap_or_default);
    field("device number", &header.as_bytes()[place], value)
}

fn sparse() -> TreeError {
    TreeError::Unsupported(
        "the archive holds a sparse file in GNU's form: build it without --sparse".to_owned(),
    )
}

fn truncated() -> TreeError {
    TreeError::Content("the tar stream ends in the middle of an entry".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an archive to its end; how many entries it has, or why it is refused.
    fn read(bytes: &[u8]) -> Result<usize, TreeError> {
        let mut archive = Archive::new(bytes);
        let mut entries = 0;
        while let Some(_entry) = archive.next_entry()? {
            entries += 1;
            let mut buffer = [0; 700];
            while archive.read(&mut buffer)? > 0 {}
        }
        archive.drain().map(|()| entries)
    }

    fn header(kind: u8, size: u64) -> tar::Header {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_path("name").unwrap();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(size);
        header.set_cksum();
        header
    }

    fn sample() -> Vec<u8> {
        let pax = b"13 path=long\n30 mtime=1600000000.123456789\n22 SCHILY.xattr.a.b=c\n";
        let mut bytes = Vec::new();
        for (kind, contents) in [
            (b'x', &pax[..]),
            (b'0', b"contents"),
            (b'L', b"name\0"),
            (b'5', b""),
            (b'3', b""),
        ] {
            bytes.extend_from_slice(header(kind, contents.len() as u64).as_bytes());
            bytes.extend_from_slice(contents);
            bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
        }
        bytes
    }

    #[test]
    fn every_damage_of_one_byte_and_every_truncation_ends_in_an_answer() {
        let sample = sample();
        assert_eq!(read(&sample).unwrap(), 3);
        for length in 0..sample.len() {
            let is_whole = length.is_multiple_of(BLOCK_BYTES);
            assert!(
                is_whole || read(&sample[..length]).is_err(),
                "{length} bytes were taken"
            );
        }
        for at in 0..sample.len() {
            for value in [0, b'0', b'7', b' ', b'=', b'\n', 0x80, 0xff] {
                let mut damaged = sample.clone();
                damaged[at] = value;
                let _ = read(&damaged);
                // The same with a checksum that fits.
                let block = at / BLOCK_BYTES * BLOCK_BYTES;
                let mut fitting = tar::Header::from_byte_slice(&damaged[block..block + BLOCK_BYTES]).clone();
                fitting.set_cksum();
                damaged[block..block + BLOCK_BYTES].copy_from_slice(fitting.as_bytes());
                let _ = read(&damaged);
            }
        }
    }

    #[test]
    fn sizes_at_the_edge_of_the_numbers_are_refused() {
        for size in [u64::MAX, u64::MAX - 511, i64::MAX as u64, 1 << 40] {
            assert!(read(header(b'0', size).as_bytes()).is_err(), "{size} bytes");
            let digits = format!("size={size}\n");
            let record = format!("{} {digits}", digits.len() + 3);
            let mut bytes = header(b'x', record.len() as u64).as_bytes().to_vec();
            bytes.extend_from_slice(record.as_bytes());
            bytes.resize(1024, 0);
            bytes.extend_from_slice(header(b'0', 0).as_bytes());
            assert!(read(&bytes).is_err(), "{size} bytes by pax");
        }
    }

    #[test]
    fn times_are_read_with_sign_and_fraction() {
        let cases: [(&str, Option<(i64, u32)>); 9] = [
            ("0", Some((0, 0))),
            ("12.5", Some((12, 500_000_000))),
            ("12.1234567899", Some((12, 123_456_789))),
            ("-1", Some((-1, 0))),
            ("-0.25", Some((-1, 750_000_000))),
            ("-9223372036854775808.5", None),
            ("1.5e3", None),
            ("", None),
            ("x", None),
        ];
        for (text, expected) in cases {
            assert_eq!(time(text.as_bytes()), expected, "{text}");
        }
    }
}
