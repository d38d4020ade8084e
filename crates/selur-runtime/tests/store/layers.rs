//! What layers become: files as the archive says, whiteouts as overlayfs takes them.

use crate::support::{TestStore, load, read};
use rustix::fs::{FileType, RawMode};
use selur_testkit::{Compression, Layer, Tarball};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

#[tokio::test]
async fn every_kind_of_entry_is_unpacked_as_the_archive_says() {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(200));
    let longer = format!("gnu/{}", "g".repeat(180));
    let tarball = Tarball::new()
        .directory("./", 0o711)
        .directory("usr/", 0o755)
        .owner(1000, 1001)
        .mtime(1_234_567_890)
        .file("usr/program", 0o4755, "code")
        .hard_link("usr/same", "usr/program")
        .symlink("link", "/usr/../selur-test/nowhere")
        .owner(7, 8)
        .symlink("dangling", "nowhere")
        .character_device("null", 0o666, 1, 3)
        .block_device("disk", 0o660, 7, 200)
        .fifo("pipe", 0o622)
        .file("implied/parents/of/this", 0o600, "deep")
        .file(&long, 0o644, "long")
        .gnu_long_name(&longer, b"longer")
        .pax("SCHILY.xattr.user.key", b"value\0\xff")
        .pax("mtime", b"1500000000.25")
        .file("attributes", 0o644, "a")
        .pax(
            "SCHILY.xattr.security.capability",
            b"\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        )
        .file("capable", 0o755, "c")
        .directory("sticky", 0o1777)
        .mtime(1_000_000_000)
        .directory("old", 0o755)
        .file("old/new", 0o644, "n")
        .entry_of_type(b'7', "contiguous", b"7")
        .entry_of_type(0, "ancient/", b"")
        .entry_of_type(b'g', "comment", b"");
    let store = TestStore::new();
    let content = load(&store, [tarball.into()]).await.unwrap();
    let layer = &content.layers[0];
    let mode = |path: &str| std::fs::symlink_metadata(layer.join(path)).unwrap().mode() & 0o7777;
    let metadata = |path: &str| std::fs::symlink_metadata(layer.join(path)).unwrap();

    assert_eq!(layer.metadata().unwrap().mode() & 0o7777, 0o711);
    let program = metadata("usr/program");
    assert_eq!(
        (program.uid(), program.gid(), program.mtime(), program.nlink()),
        (1000, 1001, 1_234_567_890, 2)
    );
    assert_eq!(mode("usr/program"), 0o4755);
    assert_eq!(metadata("usr/same").ino(), program.ino());
    assert_eq!(
        std::fs::read_link(layer.join("link")).unwrap(),
        Path::new("/usr/../selur-test/nowhere")
    );
    assert_eq!((metadata("dangling").uid(), metadata("dangling").gid()), (7, 8));
    let (null, disk) = (metadata("null"), metadata("disk"));
    assert!(null.file_type().is_char_device() && disk.file_type().is_block_device());
    assert_eq!((null.rdev(), mode("null")), (rustix::fs::makedev(1, 3), 0o666));
    assert_eq!((disk.rdev(), mode("disk")), (rustix::fs::makedev(7, 200), 0o660));
    assert!(metadata("pipe").file_type().is_fifo());
    assert_eq!((mode("implied"), mode("implied/parents/of/this")), (0o755, 0o600));
    assert_eq!(
        (read(layer, &long), read(layer, &longer)),
        ("long".to_owned(), "longer".to_owned())
    );
    assert_eq!(xattr(layer, "attributes", "user.key").unwrap(), b"value\0\xff");
    let attributes = metadata("attributes");
    assert_eq!(
        (attributes.mtime(), attributes.mtime_nsec()),
        (1_500_000_000, 250_000_000)
    );
    assert_eq!(xattr(layer, "capable", "security.capability").unwrap().len(), 20);
    assert_eq!(mode("sticky"), 0o1777);
    assert_eq!(
        metadata("old").mtime(),
        1_000_000_000,
        "a directory keeps its time though a file was put in it"
    );
    assert_eq!(read(layer, "contiguous"), "7");
    assert!(metadata("ancient").is_dir());
    assert!(!layer.join("comment").exists());
}

#[tokio::test]
async fn whiteouts_take_the_form_of_overlayfs() {
    type Expected<'a> = &'a [(&'a str, Shape)];
    let whiteouts: [(&str, Tarball, Expected<'_>); 8] = [
        (
            "file",
            Tarball::new().file("d/.wh.gone", 0o644, ""),
            &[("d/gone", Shape::Whiteout)],
        ),
        (
            "opaque",
            Tarball::new()
                .directory("d", 0o755)
                .file("d/.wh..wh..opq", 0o644, ""),
            &[("d", Shape::Opaque)],
        ),
        (
            "opaque, without the directory",
            Tarball::new()
                .file("d/.wh..wh..opq", 0o644, "")
                .file("d/f", 0o644, ""),
            &[("d", Shape::Opaque), ("d/f", Shape::File)],
        ),
        (
            "replaced by a directory",
            Tarball::new()
                .file(".wh.d", 0o644, "")
                .directory("d", 0o700)
                .file("d/f", 0o644, ""),
            &[("d", Shape::Opaque), ("d/f", Shape::File)],
        ),
        (
            "replaced by an implied directory",
            Tarball::new().file(".wh.d", 0o644, "").file("d/f", 0o644, ""),
            &[("d", Shape::Opaque), ("d/f", Shape::File)],
        ),
        (
            "of a directory that this layer makes",
            Tarball::new().directory("d", 0o700).file(".wh.d", 0o644, ""),
            &[("d", Shape::Opaque)],
        ),
        (
            "of a file that this layer makes",
            Tarball::new().file("f", 0o644, "").file(".wh.f", 0o644, ""),
            &[("f", Shape::File)],
        ),
        (
            "aufs's own",
            Tarball::new()
                .file(".wh..wh.aufs", 0o644, "")
                .file(".wh..wh.plnk/1", 0o644, ""),
            &[],
        ),
    ];
    let store = TestStore::new();
    for (name, tarball, expected) in whiteouts {
        let content = load(&store, [tarball.into()]).await.unwrap();
        let layer = &content.layers[0];
        for (path, shape) in expected {
            assert_eq!(&shape_of(layer, path), shape, "{name}: {path}");
        }
        let marks = walk(layer)
            .into_iter()
            .filter(|path| path.contains(".wh."))
            .count();
        assert_eq!(marks, 0, "{name}: {:?}", walk(layer));
    }
}

#[tokio::test]
async fn later_entries_replace_earlier_ones() {
    let tarball = Tarball::new()
        .file("a", 0o644, "1")
        .directory("a", 0o755)
        .file("a/inner/deep", 0o644, "2")
        .symlink("a", "b")
        .file("b", 0o644, "3")
        .file("b", 0o600, "4")
        .symlink("c", "b")
        .file("c", 0o644, "5")
        .directory("e", 0o700)
        .file("e/kept", 0o644, "6")
        .directory("e", 0o750)
        .hard_link("b", "b");
    let store = TestStore::new();
    let content = load(&store, [tarball.into()]).await.unwrap();
    let layer = &content.layers[0];
    assert_eq!(walk(layer), ["a", "b", "c", "e", "e/kept"]);
    assert_eq!(
        (read(layer, "b"), read(layer, "c")),
        ("4".to_owned(), "5".to_owned())
    );
    assert_eq!(layer.join("e").metadata().unwrap().mode() & 0o7777, 0o750);
}

#[tokio::test]
async fn gzip_plain_and_zstd_layers_are_one_layer() {
    let tar = Tarball::new().file("f", 0o644, vec![b'x'; 300_000]).finish();
    let gzip = Layer::new(&tar, Compression::Gzip);
    let plain = Layer::new(&tar, Compression::None);
    let zstd = Layer::new(&tar, Compression::Zstd);
    let skippable: &[u8] = &[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    let (first, second) = tar.split_at(100_000);
    let frames = [first, second].map(|part| Layer::new(part, Compression::Zstd));
    let zstd_frames = [frames[0].blob(), skippable, frames[1].blob()];
    let gzip_members = [
        Layer::new(first, Compression::Gzip),
        Layer::new(second, Compression::Gzip),
    ];
    let gzip_members: Vec<&[u8]> = gzip_members.iter().map(Layer::blob).collect();
    let cases = [
        ("gzip", gzip.clone()),
        ("plain", plain),
        ("zstd", zstd),
        (
            "several zstd frames",
            Layer::forged(zstd_frames.concat(), gzip.diff_id()),
        ),
        (
            "several gzip members",
            Layer::forged(gzip_members.concat(), gzip.diff_id()),
        ),
    ];
    for (name, layer) in cases {
        let store = TestStore::new();
        let content = load(&store, [layer])
            .await
            .unwrap_or_else(|error| panic!("{name}: {}", error.chain()));
        assert_eq!(read(&content.layers[0], "f").len(), 300_000, "{name}");
    }
}

#[tokio::test]
async fn layers_are_stacked_bottom_first_and_none_twice() {
    let layer = |name: &str| Layer::from(Tarball::new().file(name, 0o644, name));
    let hides_all = Layer::from(
        Tarball::new()
            .file(".wh..wh..opq", 0o644, "")
            .file("d", 0o644, "d"),
    );
    let cases: [(Vec<Layer>, &[&str]); 4] = [
        (vec![], &[]),
        (vec![layer("a"), layer("b"), layer("c")], &["a", "b", "c"]),
        (
            vec![layer("a"), layer("b"), layer("a"), layer("b"), layer("a")],
            &["b", "a"],
        ),
        (vec![layer("a"), hides_all, layer("c")], &["d", "c"]),
    ];
    let store = TestStore::new();
    for (layers, expected) in cases {
        let content = load(&store, layers).await.unwrap();
        let found: Vec<Vec<String>> = content.layers.iter().map(|layer| walk(layer)).collect();
        assert_eq!(
            found,
            expected
                .iter()
                .map(|name| vec![(*name).to_owned()])
                .collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn overlayfs_shows_what_the_image_means() {
    let lower = Tarball::new()
        .file("kept", 0o644, "kept")
        .file("gone", 0o644, "gone")
        .file("etc/replaced/old", 0o644, "old")
        .file("hidden/old", 0o644, "old");
    let upper = Tarball::new()
        .file(".wh.gone", 0o644, "")
        .file("hidden/.wh..wh..opq", 0o644, "")
        .file("hidden/new", 0o644, "new")
        .file("etc/.wh.replaced", 0o644, "")
        .file("etc/replaced/new", 0o644, "new");
    let store = TestStore::new();
    let content = load(&store, [lower.into(), upper.into()]).await.unwrap();
    let names: Vec<&str> = content
        .layers
        .iter()
        .rev()
        .map(|layer| layer.to_str().unwrap())
        .collect();
    let view = tempfile::TempDir::new().unwrap();
    let options = format!("lowerdir={}", names.join(":"));
    let options = std::ffi::CString::new(options).unwrap();
    rustix::mount::mount(
        "overlay",
        view.path(),
        "overlay",
        rustix::mount::MountFlags::RDONLY,
        &*options,
    )
    .unwrap();
    let seen = walk(view.path());
    rustix::mount::unmount(view.path(), rustix::mount::UnmountFlags::empty()).unwrap();
    let expected = [
        "etc",
        "etc/replaced",
        "etc/replaced/new",
        "hidden",
        "hidden/new",
        "kept",
    ];
    assert_eq!(seen, expected);
}

#[derive(Debug, PartialEq, Eq)]
enum Shape {
    File,
    Directory,
    Whiteout,
    Opaque,
    Other,
}

fn shape_of(layer: &Path, path: &str) -> Shape {
    let metadata = std::fs::symlink_metadata(layer.join(path)).unwrap();
    match FileType::from_raw_mode(metadata.mode() as RawMode) {
        FileType::RegularFile => Shape::File,
        FileType::CharacterDevice if metadata.rdev() == 0 => Shape::Whiteout,
        FileType::Directory
            if xattr(layer, path, "trusted.overlay.opaque").is_some_and(|value| value == b"y") =>
        {
            Shape::Opaque
        }
        FileType::Directory => Shape::Directory,
        _ => Shape::Other,
    }
}

fn xattr(layer: &Path, path: &str, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 4096];
    let length = rustix::fs::lgetxattr(layer.join(path), name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

/// Every path below a directory, sorted.
fn walk(directory: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            paths.push(path.strip_prefix(directory).unwrap().to_str().unwrap().to_owned());
            if path.symlink_metadata().unwrap().is_dir() {
                open.push(path);
            }
        }
    }
    paths.sort();
    paths
}
