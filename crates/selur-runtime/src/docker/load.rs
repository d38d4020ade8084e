//! Takes images from files into the daemon's store: the daemon reads them, and says what it found. What is compressed is sent
//! decompressed: podman reads nothing else.

use super::documents::{ListedImage, Told};
use super::failure::invalid;
use super::images::{absent, broken_file, image, images_of, in_full, inspect, listed, next, remove, tag};
use super::site::Site;
use super::transport::{Call, Payload};
use crate::store::unpack::decompress::decompressed;
use crate::{Image, RuntimeError};
use futures_util::stream::{self, StreamExt};
use http_body_util::{BodyExt, StreamBody};
use hyper::Method;
use hyper::body::{Bytes, Frame};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tokio::sync::mpsc;

/// A piece of the file, in bytes.
const PIECE_BYTES: usize = 64 << 10;
/// So many pieces wait for the daemon.
const PIECES_IN_FLIGHT: usize = 8;

/// Words before the names of what was loaded. The first is of both daemons; podman puts several names in one line.
///
/// Source: moby `image/tarexport/load.go`, podman `pkg/api/handlers/compat/images.go`.
const LOADED: [&str; 2] = ["Loaded image: ", "Loaded image ID: "];

pub(super) async fn load(
    site: &Site,
    path: &Path,
    reference: Option<&str>,
) -> Result<Vec<Image>, RuntimeError> {
    let wanted = reference.map(in_full).transpose()?;
    let known = listed(site).await?;
    let ids: HashSet<String> = known.iter().map(|image| digits(&image.id).to_owned()).collect();
    let before = names_of(known);
    let (body, trouble) = open(path.to_owned())?;
    let query = [("quiet", "true")];
    let call = Call::new(Method::POST, "/images/load").query(&query);
    let call = call.body("application/x-tar", body);
    let failed = |error| match trouble.get() {
        Some(error) => invalid(format!("cannot read {}: {error}", path.display())),
        None => broken_file(error, path),
    };
    let mut answer = site.client.send(call, None).await.map_err(failed)?;
    let mut loaded = Vec::new();
    while let Some(told) = next(&mut answer).await.map_err(failed)? {
        loaded.extend(names(&told));
    }
    let Some(wanted) = wanted else {
        let nameless: Vec<&String> = loaded.iter().filter(|name| is_id(name)).collect();
        if !nameless.is_empty() {
            let new = nameless.into_iter().filter(|id| !ids.contains(digits(id)));
            for id in new {
                remove(site, id).await?;
            }
            let message = format!("an image in {} has no name: give it one", path.display());
            return Err(invalid(message));
        }
        let mut images = Vec::new();
        for name in &loaded {
            let name = in_full(name)?;
            let found = inspect(site, &name).await?.ok_or_else(|| absent(&name))?;
            images.push(image(name, found));
        }
        return match images.is_empty() {
            true => Err(invalid(format!("there is no image in {}", path.display()))),
            false => Ok(images),
        };
    };
    let mut ids = BTreeSet::new();
    for name in &loaded {
        // An id stands for itself.
        let full = in_full(name).ok().filter(|_| !is_id(name));
        let name = full.as_ref().unwrap_or(name);
        let found = inspect(site, name).await?.ok_or_else(|| absent(name))?;
        ids.insert(found.id);
    }
    let tagged = match (ids.len(), ids.first()) {
        (1, Some(only)) => tag(site, only, &wanted).await,
        (count, _) => Err(invalid(format!(
            "there are {count} images in {}, and one is named: load them without a name",
            path.display()
        ))),
    };
    let own = tagged.is_ok().then_some(wanted.as_str());
    for name in loaded.iter().filter(|name| !is_id(name)) {
        give_back(site, &in_full(name)?, &before, own).await?;
    }
    tagged?;
    let found = inspect(site, &wanted).await?.ok_or_else(|| absent(&wanted))?;
    Ok(vec![image(wanted, found)])
}

/// The image of each name.
fn names_of(listed: Vec<ListedImage>) -> HashMap<String, String> {
    let names = listed.into_iter().flat_map(|listed| {
        let id = listed.id.clone();
        let names = images_of(listed).into_iter();
        names.map(move |image| (image.reference, id.clone()))
    });
    names.collect()
}

/// Makes a name that the file brought what it was before.
async fn give_back(
    site: &Site,
    name: &str,
    before: &HashMap<String, String>,
    own: Option<&str>,
) -> Result<(), RuntimeError> {
    if own == Some(name) {
        return Ok(());
    }
    match before.get(name) {
        Some(id) => tag(site, id, name).await,
        None => remove(site, name).await.map(drop),
    }
}

/// An image's id without what podman leaves out.
fn digits(id: &str) -> &str {
    id.strip_prefix("sha256:").unwrap_or(id)
}

/// Whether it is an image's id, which names it where nothing else does.
fn is_id(name: &str) -> bool {
    let digits = digits(name);
    digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn names(told: &Told) -> Vec<String> {
    let said = LOADED
        .iter()
        .find_map(|words| told.stream.trim().strip_prefix(words));
    let names = said.into_iter().flat_map(|names| names.split(','));
    names
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}

/// Why a file was not read to its end.
type Trouble = Arc<OnceLock<io::Error>>;

/// The file decompressed, or a directory as an archive, read in a thread that may block.
fn open(path: PathBuf) -> Result<(Payload, Trouble), RuntimeError> {
    let metadata = std::fs::metadata(&path)
        .map_err(|error| invalid(format!("cannot read {}: {error}", path.display())))?;
    let (sender, receiver) = mpsc::channel(PIECES_IN_FLIGHT);
    let trouble = Trouble::default();
    let told = trouble.clone();
    tokio::task::spawn_blocking(move || {
        let pipe = Pipe(sender.clone());
        let copied = match metadata.is_dir() {
            true => pack(&path, pipe),
            false => copy(&path, pipe),
        };
        match copied {
            // Nobody reads any more.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            Err(error) => {
                let broken = io::Error::new(error.kind(), "the file cannot be read");
                let _ = told.set(error);
                let _ = sender.blocking_send(Err(broken));
            }
            Ok(()) => {}
        }
    });
    let pieces = stream::unfold(receiver, |mut receiver| async {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    });
    let body = StreamBody::new(pieces.map(|piece| piece.map(Frame::data))).boxed_unsync();
    Ok((body, trouble))
}

fn copy(path: &Path, mut pipe: Pipe) -> io::Result<()> {
    let file = std::fs::File::open(path)?;
    let mut file = decompressed(BufReader::with_capacity(PIECE_BYTES, file))?;
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            bytes => pipe.write_all(buffer.get(..bytes).unwrap_or_default())?,
        }
    }
}

fn pack(path: &Path, pipe: Pipe) -> io::Result<()> {
    let mut archive = tar::Builder::new(io::BufWriter::with_capacity(PIECE_BYTES, pipe));
    // What leads out of the layout is no part of it.
    archive.follow_symlinks(false);
    archive.append_dir_all(".", path)?;
    archive.into_inner()?.flush()
}

struct Pipe(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map(|()| bytes.len())
            .map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::failure::{About, DaemonError};
    use super::*;

    #[test]
    fn both_daemons_name_what_they_loaded() {
        let told = |stream: &str| {
            let text = serde_json::json!({ "stream": stream }).to_string();
            serde_json::from_str(&text)
                .map(|told| names(&told))
                .unwrap_or_default()
        };
        assert_eq!(told("Loaded image: busybox:latest\n"), ["busybox:latest"]);
        assert_eq!(told("Loaded image: a:1,b:2"), ["a:1", "b:2"]);
        assert_eq!(told("Loaded image ID: sha256:00\n"), ["sha256:00"]);
        assert!(told("Loading layer").is_empty());
    }

    #[test]
    fn a_broken_file_is_the_callers_matter() {
        let said = DaemonError::stream("open manifest.json: no such file or directory");
        let error = broken_file(said, Path::new("x.tar"));
        assert_eq!(error.status(), selur_protocol::Status::InvalidRequest);
        let cut_off = DaemonError::stream("Error processing tar file(exit status 1): unexpected EOF");
        let error = broken_file(cut_off, Path::new("x.tar"));
        assert_eq!(error.status(), selur_protocol::Status::InvalidRequest);
        let full = DaemonError::stream("no space left on device").into_runtime(About::Image, "x");
        assert_eq!(full.status(), selur_protocol::Status::ResourceExhausted);
    }
}
