//! The commands about images: pull, images, rmi, load, push, tag.

use crate::age;
use crate::cli::{Format, Global, Image, Images, Load, Rmi, Tag};
use crate::failure::{FAILED, Failure};
use crate::output::{self, Table, short_digest, size};
use crate::progress::PullDisplay;
use crate::session::Session;
use selur_core::Status;
use selur_protocol::ImageReference;
use serde_json::json;
use std::io::IsTerminal;
use std::path::Path;

/// What the store reads to its end.
const STDIN: &str = "/dev/stdin";

/// Fetches an image from its registry.
///
/// # Errors
/// As [`Session::pull`].
pub(crate) fn pull(image: &Image, global: &Global) -> Result<u8, Failure> {
    let reference = ImageReference::parse(&image.image)?.to_string();
    let session = Session::open(global)?;
    let image = session.pull(&reference, PullDisplay::new(global.format))?;
    print_kept(&image, global.format)?;
    session.remind("the image is gone with this command");
    Ok(0)
}

/// Takes images from files.
///
/// # Errors
/// There is no image for this platform, one without a name, or one whose digests are wrong.
pub(crate) fn load(load: &Load, global: &Global) -> Result<u8, Failure> {
    let path = if load.path.as_os_str() == "-" {
        if std::io::stdin().is_terminal() {
            return Err(Failure::new(
                Status::InvalidRequest,
                "standard input is a terminal, which holds no images",
                "Pipe an archive into it: `docker save IMAGE | selur load -`.",
            ));
        }
        Path::new(STDIN)
    } else {
        &load.path
    };
    let session = Session::open(global)?;
    for image in session.load(path, load.image.as_deref())? {
        print_kept(&image, global.format)?;
    }
    session.remind("the image is gone with this command");
    Ok(0)
}

/// Sends an image to its registry.
///
/// # Errors
/// As [`Session::push`].
pub(crate) fn push(image: &Image, global: &Global) -> Result<u8, Failure> {
    let reference = ImageReference::parse(&image.image)?.to_string();
    let session = Session::open(global)?;
    let pushed = session
        .push(&reference, PullDisplay::new(global.format))
        .map_err(|failure| session.explain(failure))?;
    match global.format {
        Format::Json => output::json(&json!({ "event": "done", "image": pushed }))?,
        Format::Table => print_name(&pushed.reference, &pushed.digest)?,
    }
    Ok(0)
}

/// Gives an image another name.
///
/// # Errors
/// The store lacks it, or one of the two is no reference.
pub(crate) fn tag(tag: &Tag, global: &Global) -> Result<u8, Failure> {
    let (reference, name) = (
        ImageReference::parse(&tag.image)?.to_string(),
        ImageReference::parse(&tag.name)?.to_string(),
    );
    let session = Session::open(global)?;
    session
        .tag(&reference, &name)
        .map_err(|failure| session.explain(failure))?;
    if session.is_json() {
        output::json(&json!({ "image": reference, "name": name, "done": "tagged" }))?;
    } else {
        output::line(output::escape(&name))?;
    }
    Ok(0)
}

/// Lists the images of the store.
///
/// # Errors
/// The store cannot be read, or the output is closed.
pub(crate) fn images(images: &Images, global: &Global) -> Result<u8, Failure> {
    let session = Session::open(global)?;
    let kept = session.images()?;
    session.remind("its store is empty when a command begins");
    if session.is_json() {
        output::json(&kept)?;
        return Ok(0);
    }
    if images.quiet {
        for image in &kept {
            output::line(output::escape(&image.reference))?;
        }
        return Ok(0);
    }
    let mut table = Table::new(&["IMAGE", "DIGEST", "SIZE", "BUILT"]);
    for image in &kept {
        table.row([
            image.reference.clone(),
            short_digest(&image.digest),
            size(image.size_bytes),
            image
                .created_at
                .as_deref()
                .map_or("unknown".to_owned(), age::since),
        ]);
    }
    table.print()?;
    Ok(0)
}

/// Removes images; one that is refused does not keep the others.
///
/// # Errors
/// The bridge cannot be opened, or the output is closed.
pub(crate) fn rmi(rmi: &Rmi, global: &Global) -> Result<u8, Failure> {
    let session = Session::open(global)?;
    let mut code = 0;
    for image in &rmi.images {
        let removed = ImageReference::parse(image)
            .map_err(Failure::from)
            .and_then(|reference| session.delete_image(&reference.to_string()));
        match removed {
            Ok(()) if session.is_json() => output::json(&json!({ "image": image, "done": "removed" }))?,
            Ok(()) => output::line(output::escape(image))?,
            Err(failure) => {
                session
                    .explain(failure)
                    .about("image", image)
                    .print(global.format);
                code = FAILED;
            }
        }
    }
    Ok(code)
}

fn print_kept(image: &selur_core::Image, format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => output::json(&json!({ "event": "done", "image": image }))?,
        Format::Table => {
            print_name(&image.reference, &image.digest)?;
        }
    }
    Ok(())
}

fn print_name(reference: &str, digest: &str) -> Result<(), Failure> {
    let (reference, digest) = (output::escape(reference), output::escape(digest));
    Ok(output::line(format_args!("{reference}  {digest}"))?)
}
