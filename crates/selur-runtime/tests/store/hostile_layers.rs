//! Layers that want out: each is refused with a clear error, or stays inside, and leaves nothing behind.

use crate::support::{TestStore, load};
use selur_protocol::Status;
use selur_runtime::store::{Limits, StoreOptions};
use selur_testkit::{Compression, Layer, Tarball, digest};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use tempfile::TempDir;

#[tokio::test]
async fn malformed_and_hostile_layers_are_refused_and_leave_nothing() {
    let file = || Tarball::new().file("f", 0o644, vec![b'x'; 2000]);
    let tar = file().finish();
    let gzip = Layer::new(&tar, Compression::Gzip);
    let zstd = Layer::new(&tar, Compression::Zstd);
    let cut = |layer: &Layer, bytes: usize| Layer::forged(layer.blob()[..bytes].to_vec(), gzip.diff_id());
    let cut_gzip = gzip.blob().len() - 6;
    let mut bad_checksum = tar.clone();
    bad_checksum[0] = b'g';
    let (long_path, deep_path) = (
        format!("{}/f", "d/".repeat(2100)),
        format!("{}f", "d/".repeat(300)),
    );
    let victim = Victim::new();
    let secret = format!("{}/secret", victim.path());
    let cases: Vec<(&str, Layer, &str)> = vec![
        (
            "..",
            Tarball::new().file("../outside", 0o644, "x").into(),
            "contains ..",
        ),
        (
            ".. in the middle",
            Tarball::new().file("a/../../outside", 0o644, "x").into(),
            "contains ..",
        ),
        (
            "hard link by ..",
            Tarball::new()
                .hard_link("f", &format!("../../../../../..{secret}"))
                .into(),
            "contains ..",
        ),
        (
            "hard link by an absolute path",
            Tarball::new().hard_link("f", &secret).into(),
            "no file of this layer",
        ),
        (
            "hard link through a symlink",
            Tarball::new()
                .symlink("out", victim.path())
                .hard_link("f", "out/secret")
                .into(),
            "no file of this layer",
        ),
        (
            "hard link to a directory",
            Tarball::new().directory("d", 0o755).hard_link("f", "d").into(),
            "no file of this layer",
        ),
        (
            "hard link to nothing",
            Tarball::new().hard_link("f", "").into(),
            "no file of this layer",
        ),
        (
            "hard link that replaces its own target's directory",
            Tarball::new().file("d/f", 0o644, "").hard_link("d", "d/f").into(),
            "replaces what it is made of",
        ),
        (
            "file below a file",
            Tarball::new().file("f", 0o644, "").file("f/g", 0o644, "").into(),
            "needed as a directory",
        ),
        (
            "file below a dangling link",
            Tarball::new()
                .symlink("l", "/nowhere")
                .file("l/g", 0o644, "")
                .into(),
            "needed as a directory",
        ),
        (
            "links in a circle",
            Tarball::new()
                .symlink("l", "m")
                .symlink("m", "l")
                .file("l/g", 0o644, "")
                .into(),
            "too many symbolic links",
        ),
        (
            "whiteout of ..",
            Tarball::new().file("d/.wh...", 0o644, "").into(),
            "whiteout of no file",
        ),
        (
            "whiteout of .",
            Tarball::new().file("d/.wh..", 0o644, "").into(),
            "whiteout of no file",
        ),
        (
            "whiteout of nothing",
            Tarball::new().file(".wh.", 0o644, "").into(),
            "whiteout of no file",
        ),
        (
            "file in a whiteout",
            Tarball::new().file(".wh.d/f", 0o644, "").into(),
            "within a whiteout",
        ),
        (
            "whiteout as a device",
            Tarball::new().character_device("c", 0o644, 0, 0).into(),
            "overlayfs takes for a whiteout",
        ),
        (
            "root that is a file",
            Tarball::new()
                .file("./", 0o644, "")
                .entry_of_type(b'2', ".", b"")
                .into(),
            "root is no directory",
        ),
        (
            "NUL in a path",
            Tarball::new().pax("path", b"a\0b").file("f", 0o644, "").into(),
            "contains a NUL",
        ),
        (
            "path over 4,095 bytes",
            Tarball::new().file(&long_path, 0o644, "").into(),
            "Linux takes 4095",
        ),
        (
            "path of 300 directories",
            Tarball::new().file(&deep_path, 0o644, "").into(),
            "more than 255 deep",
        ),
        (
            "component of 300 bytes",
            Tarball::new().file(&"n".repeat(300), 0o644, "").into(),
            "too long",
        ),
        (
            "component of 300 bytes in the middle",
            Tarball::new()
                .file(&format!("{}/f", "n".repeat(300)), 0o644, "")
                .into(),
            "too long",
        ),
        (
            "owner beyond 32 bits",
            Tarball::new()
                .pax("uid", b"4294967295")
                .file("f", 0o644, "")
                .into(),
            "which is no uid",
        ),
        (
            "malformed pax",
            Tarball::new().entry_of_type(b'x', "pax", b"999 path=f\n").into(),
            "pax header is malformed",
        ),
        (
            "pax of the length 0",
            Tarball::new().entry_of_type(b'x', "pax", b"0 =\n").into(),
            "pax header is malformed",
        ),
        (
            "pax that is too long",
            Tarball::new().entry_of_type(b'x', "pax", &[b'x'; 2 << 20]).into(),
            "extension header has",
        ),
        (
            "name that is too long",
            Tarball::new().entry_of_type(b'L', "name", &[b'x'; 5000]).into(),
            "extension header has",
        ),
        (
            "GNU sparse file",
            Tarball::new().entry_of_type(b'S', "s", b"").into(),
            "sparse",
        ),
        (
            "unknown type",
            Tarball::new().entry_of_type(b'Z', "z", b"").into(),
            "unknown type",
        ),
        (
            "lying size",
            Tarball::new().lying_size("f", 1 << 40, b"few").into(),
            "ends in the middle",
        ),
        (
            "wrong checksum",
            Layer::new(&bad_checksum, Compression::Gzip),
            "wrong checksum",
        ),
        (
            "no tar",
            Layer::new(&[b'x'; 5000], Compression::Gzip),
            "wrong checksum",
        ),
        (
            "end within a header",
            Layer::new(&tar[..100], Compression::Gzip),
            "ends in the middle",
        ),
        (
            "end within a file",
            Layer::new(&tar[..1000], Compression::Gzip),
            "ends in the middle",
        ),
        ("truncated gzip", cut(&gzip, cut_gzip), "cannot be decompressed"),
        (
            "truncated zstd",
            cut(&zstd, zstd.blob().len() / 2),
            "cannot be decompressed",
        ),
        (
            "gzip with something behind it",
            Layer::forged([gzip.blob(), b"garbage"].concat(), gzip.diff_id()),
            "cannot be decompressed",
        ),
        (
            "wrong diff_id",
            Layer::forged(gzip.blob().to_vec(), &digest(b"other")),
            "does not have the diff_id",
        ),
        (
            "something behind the end",
            Layer::forged(
                Layer::new(&[&tar[..], b"more"].concat(), Compression::Gzip)
                    .blob()
                    .to_vec(),
                gzip.diff_id(),
            ),
            "does not have the diff_id",
        ),
    ];
    let store = TestStore::new();
    let good = Layer::from(Tarball::new().file("good", 0o644, "1"));
    for (name, layer, words) in cases {
        let Err(error) = load(&store, [good.clone(), layer]).await else {
            panic!("{name}: was taken");
        };
        let message = error.chain();
        assert!(message.contains(words), "{name}: {message}");
        assert!(message.starts_with("layer sha256:"), "{name}: {message}");
        let expected = if words == "sparse" {
            Status::Unsupported
        } else {
            Status::InvalidRequest
        };
        assert_eq!(error.status(), expected, "{name}: {message}");
        store.assert_clean();
        assert_eq!(store.list("refs"), [""; 0], "{name}");
        assert!(
            store.list("layers").len() <= 2,
            "{name}: only the good layer may be there"
        );
        victim.assert_unharmed(name);
    }
}

/// A directory outside the layer that hostile layers aim at. They learn its absolute path.
struct Victim {
    directory: TempDir,
}

impl Victim {
    fn new() -> Victim {
        let directory = TempDir::new().unwrap();
        std::fs::write(directory.path().join("secret"), "unharmed").unwrap();
        let closed = std::fs::Permissions::from_mode(0o700);
        std::fs::set_permissions(directory.path(), closed).unwrap();
        Victim { directory }
    }

    fn path(&self) -> &str {
        self.directory.path().to_str().unwrap()
    }

    fn assert_unharmed(&self, name: &str) {
        let secret = self.directory.path().join("secret");
        let names: Vec<_> = std::fs::read_dir(self.directory.path()).unwrap().collect();
        assert_eq!(names.len(), 1, "{name}: something was made outside");
        assert_eq!(std::fs::read_to_string(&secret).unwrap(), "unharmed", "{name}");
        let metadata = secret.symlink_metadata().unwrap();
        assert_eq!(
            (metadata.uid(), metadata.mode() & 0o7777, metadata.nlink()),
            (0, 0o644, 1),
            "{name}"
        );
        let directory = self.directory.path().symlink_metadata().unwrap();
        assert_eq!((directory.uid(), directory.mode() & 0o7777), (0, 0o700), "{name}");
        let opaque =
            rustix::fs::lgetxattr(self.directory.path(), "trusted.overlay.opaque", &mut [0u8; 8][..]);
        assert!(opaque.is_err(), "{name}: the directory outside became opaque");
    }
}

#[tokio::test]
async fn no_link_leads_out_of_the_layer() {
    let victim = Victim::new();
    let out = victim.path();
    let up = format!("{}{}", "../".repeat(40), &out[1..]);
    let mut cases: Vec<(String, Vec<Tarball>)> = Vec::new();
    for target in [out.to_owned(), up] {
        let link = || Tarball::new().symlink("l", &target);
        let linked = |then: Tarball| vec![link(), then];
        let name = |what: &str| format!("{what} through {}", &target[..6]);
        cases.extend([
            (name("a file"), vec![link().file("l/secret", 0o666, "harmed")]),
            (name("a new file"), vec![link().file("l/new", 0o666, "harmed")]),
            (name("a whiteout"), vec![link().file("l/.wh.secret", 0o644, "")]),
            (
                name("an opaque mark"),
                vec![link().file("l/.wh..wh..opq", 0o644, "")],
            ),
            (
                name("a directory's mode"),
                vec![link().owner(1, 1).directory("l", 0o777)],
            ),
            (
                name("a directory's mode below"),
                vec![link().owner(1, 1).directory("l/", 0o777).directory("l/.", 0o777)],
            ),
            (
                name("a device"),
                vec![link().character_device("l/device", 0o666, 1, 3)],
            ),
            (name("a hard link to it"), vec![link().hard_link("h", "l/secret")]),
            (
                name("a hard link into it"),
                vec![link().file("f", 0o644, "").hard_link("l/secret", "f")],
            ),
            (
                name("a hard link to the link, then a file"),
                vec![link().hard_link("h", "l").file("h", 0o666, "harmed")],
            ),
            (
                name("the link as a file"),
                vec![link().file("l", 0o666, "harmed")],
            ),
            (
                name("the link as a hard link's place"),
                vec![link().file("f", 0o666, "").hard_link("l", "f")],
            ),
            (
                name("a link of the layer below"),
                linked(Tarball::new().file("l/secret", 0o666, "harmed")),
            ),
            (
                name("a whiteout by the layer above"),
                linked(Tarball::new().file("l/.wh.secret", 0o644, "")),
            ),
            (
                name("links of links"),
                vec![
                    link()
                        .symlink("m", "l")
                        .symlink("n", "m/../l")
                        .file("n/secret", 0o666, "harmed"),
                ],
            ),
        ]);
    }
    let absolute = format!("{out}/secret");
    cases.push((
        "an absolute path".to_owned(),
        vec![Tarball::new().file(&absolute, 0o666, "harmed")],
    ));
    cases.push((
        "an absolute whiteout".to_owned(),
        vec![Tarball::new().file(&format!("{out}/.wh.secret"), 0o644, "")],
    ));
    for (name, tarballs) in cases {
        let store = TestStore::new();
        // Refused or kept inside: either is safe.
        let result = load(&store, tarballs.into_iter().map(Layer::from)).await;
        victim.assert_unharmed(&name);
        match result {
            Err(error) => assert_eq!(
                error.status(),
                Status::InvalidRequest,
                "{name}: {}",
                error.chain()
            ),
            Ok(content) => assert!(content.layers.iter().all(|layer| layer.is_dir()), "{name}"),
        }
        store.assert_clean();
    }
}

#[tokio::test]
async fn an_absolute_path_lands_within_the_layer() {
    let store = TestStore::new();
    let content = load(&store, [Tarball::new().file("/abs/f", 0o644, "1").into()])
        .await
        .unwrap();
    assert_eq!(crate::support::read(&content.layers[0], "abs/f"), "1");
    assert!(!Path::new("/abs").exists());
}

#[tokio::test]
async fn attributes_that_steer_overlayfs_or_the_host_are_left_out() {
    let tarball = Tarball::new()
        .pax("SCHILY.xattr.trusted.overlay.redirect", b"/etc")
        .pax("SCHILY.xattr.trusted.overlay.opaque", b"y")
        .pax("SCHILY.xattr.user.overlay.opaque", b"y")
        .pax("SCHILY.xattr.security.selinux", b"system_u:object_r:shadow_t:s0")
        .pax("SCHILY.xattr.user.kept", b"1")
        .directory("d", 0o755);
    let store = TestStore::new();
    let content = load(&store, [tarball.into()]).await.unwrap();
    let mut names = vec![0; 4096];
    let length = rustix::fs::llistxattr(content.layers[0].join("d"), &mut names[..]).unwrap();
    assert_eq!(
        std::str::from_utf8(&names[..length])
            .unwrap()
            .trim_end_matches('\0'),
        "user.kept"
    );
}

#[tokio::test]
async fn caps_end_bombs() {
    let limits = Limits {
        max_layer_bytes: 1 << 20,
        max_layer_entries: 100,
        max_layers: 3,
        ..Limits::default()
    };
    let options = StoreOptions {
        docker_config: None,
        limits,
    };
    let many = (0..200).fold(Tarball::new(), |tarball, number| {
        tarball.file(&format!("f{number}"), 0o644, "")
    });
    let cases: Vec<(&str, Vec<Layer>, &str)> = vec![
        (
            "bytes",
            vec![Tarball::new().file("zeros", 0o644, vec![0; 2 << 20]).into()],
            "1048576 bytes when",
        ),
        (
            "bytes behind the end",
            vec![Layer::new(&vec![0; 2 << 20], Compression::Gzip)],
            "1048576 bytes when",
        ),
        (
            "bytes as zstd",
            vec![Layer::new(&vec![0; 2 << 20], Compression::Zstd)],
            "1048576 bytes when",
        ),
        ("entries", vec![many.into()], "more files, directories and links"),
        (
            "implied directories",
            vec![Tarball::new().file(&"d/".repeat(150), 0o644, "").into()],
            "more files, directories and links",
        ),
        (
            "layers",
            (0..4)
                .map(|n| Tarball::new().file(&n.to_string(), 0o644, "").into())
                .collect(),
            "has 4 layers",
        ),
    ];
    for (name, layers, words) in cases {
        let store = TestStore::with(options.clone());
        let Err(error) = load(&store, layers).await else {
            panic!("{name}: was taken");
        };
        assert_eq!(error.status(), Status::ResourceExhausted, "{name}");
        assert!(error.chain().contains(words), "{name}: {}", error.chain());
        store.assert_empty();
    }
}

#[tokio::test]
async fn a_tree_deeper_than_open_files_and_paths_allow_is_removed() {
    // Each link leads 200 directories deeper; the last entry is refused.
    let mut tarball = Tarball::new();
    let mut base = String::new();
    for level in 0..10 {
        let deep = format!("{base}{}", "d/".repeat(200));
        tarball = tarball
            .directory(&deep, 0o755)
            .symlink(&format!("l{level}"), deep.trim_end_matches('/'));
        base = format!("l{level}/");
    }
    let store = TestStore::in_memory();
    let error = load(&store, [tarball.clone().file("../x", 0o644, "").into()])
        .await
        .unwrap_err();
    assert!(error.chain().contains("contains .."), "{}", error.chain());
    store.assert_empty();

    load(&store, [tarball.into()]).await.unwrap();
    selur_runtime::Images::delete(&store.store, "layers:test")
        .await
        .unwrap();
    store.assert_empty();
}
