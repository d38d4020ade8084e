//! The arguments of the commands about images.

use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct Image {
    /// The image: [registry/]repository[:tag][@digest]
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
}

#[derive(Debug, Args)]
pub(crate) struct Images {
    /// Only the references
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rmi {
    /// The images
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Load {
    /// An OCI image layout: a directory, or a tar of one; or what `docker save` wrote; `-` is standard input
    ///
    /// Archives may be compressed by gzip or zstd.
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// The reference that the image is to have in the store [default: those that the images bring]
    #[arg(value_name = "IMAGE")]
    pub(crate) image: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Tag {
    /// The image
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// The name that it is to have, too; one that another image has is taken from that
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Also images that have a name, if no container is made from them
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Only say what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub(crate) yes: bool,
}
