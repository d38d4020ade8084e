//! Tar archives that an input describes: every header is well formed unless the input says otherwise, so that what is
//! tried is what stands behind a checksum.

use super::bytes::Bytes;

/// What paths are made of; `OUTSIDE` stands for the place that must not be touched.
const PARTS: [&str; 24] = [
    "a",
    "b",
    "c",
    "a/b",
    "a/b/c",
    "..",
    ".",
    "",
    "/",
    "link",
    "link/a",
    "link/secret",
    "OUTSIDE",
    "OUTSIDE/secret",
    "OUTSIDE/directory",
    ".wh.a",
    ".wh..wh..opq",
    ".wh.link",
    ".wh..wh.plnk",
    "a/.wh.b",
    "../../..",
    "../outside",
    "../outside/secret",
    "proc/self/cwd",
];

const XATTRS: [&str; 7] = [
    "user.key",
    "trusted.overlay.opaque",
    "user.overlay.opaque",
    "trusted.overlay.redirect",
    "security.capability",
    "trusted.overlay.whiteout",
    "user.",
];

/// Entries until the input is used up. `content` gives the bytes of files.
pub fn archive(bytes: &mut Bytes<'_>, outside: &str, names: &[&str]) -> Vec<u8> {
    let mut tar = Vec::new();
    while !bytes.is_empty() && tar.len() < 64 << 10 {
        match bytes.below(12) {
            0 => {
                let name = match bytes.below(4) {
                    0 => format!("SCHILY.xattr.{}", bytes.one_of(&XATTRS)),
                    1 => bytes.one_of(&["path", "linkpath"]).to_owned(),
                    2 => bytes
                        .one_of(&["size", "uid", "gid", "mtime", "GNU.sparse.major"])
                        .to_owned(),
                    _ => String::from_utf8_lossy(bytes.short()).into_owned(),
                };
                let value = match bytes.flag() {
                    true => path(bytes, outside, names),
                    false => bytes.short().to_vec(),
                };
                entry(
                    &mut tar,
                    b'x',
                    b"pax",
                    b"",
                    &record(name.as_bytes(), &value),
                    bytes,
                );
            }
            1 => {
                let mut name = path(bytes, outside, names);
                name.push(0);
                let kind = bytes.one_of(b"LK");
                entry(&mut tar, kind, b"././@LongLink", b"", &name, bytes);
            }
            2 => {
                // Anything at all where a header should be.
                let mut block = bytes.short().to_vec();
                block.resize(block.len().next_multiple_of(512), 0);
                tar.extend(block);
            }
            _ => {
                let kind = match bytes.u8() {
                    other @ 200.. => other,
                    usual => b"0001112223455567"[usize::from(usual) % 16],
                };
                let (name, link) = (path(bytes, outside, names), path(bytes, outside, names));
                let content = if kind == b'0' { bytes.short() } else { &[] };
                entry(&mut tar, kind, &name, &link, content, bytes);
            }
        }
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

fn path(bytes: &mut Bytes<'_>, outside: &str, names: &[&str]) -> Vec<u8> {
    let mut path = Vec::new();
    for _ in 0..bytes.below(4) {
        let choice = usize::from(bytes.u8());
        if !path.is_empty() {
            path.push(b'/');
        }
        match choice {
            240.. => path.extend(bytes.short()),
            _ if choice % 3 == 2 && !names.is_empty() => path.extend(names[choice % names.len()].bytes()),
            _ => path.extend(PARTS[choice % PARTS.len()].replace("OUTSIDE", outside).bytes()),
        }
    }
    path
}

/// A pax record with its own length before it.
fn record(name: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = name.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", name, b"=", value, b"\n"].concat()
}

/// A header and its content.
///
/// Source: POSIX.1-2017, "ustar Interchange Format".
fn entry(tar: &mut Vec<u8>, kind: u8, name: &[u8], link: &[u8], content: &[u8], bytes: &mut Bytes<'_>) {
    let mut header = [0; 512];
    let mut put = |at: usize, field: &[u8], most: usize| {
        let field = &field[..field.len().min(most)];
        header[at..at + field.len()].copy_from_slice(field);
    };
    let odd = bytes.u8();
    let size = match odd {
        250.. => u64::from(bytes.u32()),
        _ => content.len() as u64,
    };
    put(0, name, 100);
    put(100, format!("{:07o}", bytes.u16() & 0o7777).as_bytes(), 8);
    put(108, format!("{:07o}", u32::from(odd & 1) * 1000).as_bytes(), 8);
    put(116, format!("{:07o}", u32::from(odd & 2) * 500).as_bytes(), 8);
    put(124, format!("{size:011o}").as_bytes(), 12);
    put(136, format!("{:011o}", 1_600_000_000_u64).as_bytes(), 12);
    put(156, &[kind], 1);
    put(157, link, 100);
    put(257, b"ustar\x0000", 8);
    put(329, format!("{:07o}", odd % 8).as_bytes(), 8);
    put(337, format!("{:07o}", odd % 8).as_bytes(), 8);
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    // One in 64 has a checksum that is wrong.
    let sum = sum + u32::from(odd % 64 == 63);
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar.extend(header);
    tar.extend(content);
    tar.resize(tar.len().next_multiple_of(512), 0);
}

/// A file as every tool writes it.
pub fn file(tar: &mut Vec<u8>, name: &str, content: &[u8]) {
    entry(tar, b'0', name.as_bytes(), b"", content, &mut Bytes(&[]));
}
