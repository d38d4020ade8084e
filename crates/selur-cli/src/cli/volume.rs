//! The arguments of `volume`.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Volume {
    /// Make volumes
    Create(VolumeCreate),
    /// List the volumes
    Ls(VolumeLs),
    /// Remove volumes and what is in them
    Rm(Volumes),
    /// Print all that is known of volumes, as JSON
    Inspect(Volumes),
}

#[derive(Debug, Args)]
pub(crate) struct VolumeCreate {
    /// Set a label
    #[arg(short, long, value_name = "KEY[=VALUE]")]
    pub(crate) label: Vec<String>,
    #[command(flatten)]
    pub(crate) volumes: Volumes,
}

#[derive(Debug, Args)]
pub(crate) struct VolumeLs {
    /// Only the names
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Volumes {
    /// Names: letters, digits, _ . and -
    #[arg(required = true, value_name = "VOLUME")]
    pub(crate) names: Vec<String>,
}
