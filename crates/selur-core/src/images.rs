//! Typed requests about images and volumes.

use crate::opened::OpenStream;
use crate::progress::TransferItem;
use crate::stream::Stream;
use crate::streams::{json, surprising};
use crate::{Bridge, Error, Status};
use selur_protocol::Command;
use selur_runtime::{Image, PruneOptions, Pruned, Pushed, Volume, VolumeOptions};
use std::path::Path;

const WITH_PROGRESS: &str = r#"{"progress":true}"#;

/// Images. Each method gives `unsupported` where the backend has no image store of its own, and `invalid_request` for
/// what is no image reference.
impl Bridge {
    /// Fetches an image from its registry, whether the store has it or not.
    ///
    /// # Errors
    /// - `image_not_found`: no such image, or none for this platform.
    /// - `permission_denied`, `network_error`: from the registry.
    /// - `resource_exhausted`: the disk is full, or the image over the size cap.
    pub fn pull_image(&self, reference: &str) -> Result<Image, Error> {
        self.document(Command::PullImage, &[reference])
    }

    /// The same as a stream that tells how far it is. Dropping it ends the pull.
    ///
    /// # Errors
    /// As [`Bridge::pull_image`], as its last item.
    pub fn pull_image_with_progress(&self, reference: &str) -> Result<Stream<TransferItem>, Error> {
        self.transfer(Command::PullImage, reference)
    }

    /// Sends an image of the store to the registry that its reference names.
    ///
    /// # Errors
    /// As [`Bridge::pull_image`]; `image_not_found` if the store lacks it.
    pub fn push_image(&self, reference: &str) -> Result<Pushed, Error> {
        self.document(Command::PushImage, &[reference])
    }

    /// The same as a stream that tells how far it is, as [`Bridge::pull_image_with_progress`].
    ///
    /// # Errors
    /// As [`Bridge::push_image`], as its last item.
    pub fn push_image_with_progress(&self, reference: &str) -> Result<Stream<TransferItem>, Error> {
        self.transfer(Command::PushImage, reference)
    }

    /// Takes images into the store: from an OCI image layout directory, an archive of one, or one that `docker save`
    /// wrote. With a reference there must be one image, which gets this name; else each has the name that it brings.
    ///
    /// # Errors
    /// As [`Bridge::pull_image`], without the network; `invalid_request` if there is no layout, an image has no name, or
    /// what is there is broken.
    pub fn load_image(&self, path: &Path, reference: Option<&str>) -> Result<Vec<Image>, Error> {
        let path = std::path::absolute(path).map_err(|error| {
            let message = format!("{} is no path: {error}", path.display());
            Error::new(Status::InvalidRequest, message)
        })?;
        let Some(path) = path.to_str() else {
            let message = format!("{} is not UTF-8: rename it", path.display());
            return Err(Error::new(Status::InvalidRequest, message));
        };
        match reference {
            None => self.document(Command::LoadImage, &[path]),
            Some(reference) => {
                let options = json(&serde_json::json!({ "reference": reference }))?;
                self.document(Command::LoadImage, &[path, &options])
            }
        }
    }

    /// Gives an image of the store another name; one that another image has is taken from that.
    ///
    /// # Errors
    /// `image_not_found`: the store lacks it.
    pub fn tag_image(&self, reference: &str, name: &str) -> Result<(), Error> {
        self.request(Command::TagImage, &[reference, name]).map(drop)
    }

    /// Every image of the store, ordered by reference.
    ///
    /// # Errors
    /// `internal_error`: the store cannot be read.
    pub fn list_images(&self) -> Result<Vec<Image>, Error> {
        self.document(Command::ListImages, &[])
    }

    /// Removes an image's name, and the image with its last name.
    ///
    /// # Errors
    /// - `image_not_found`: the store lacks it.
    /// - `invalid_state`: a container is made from it.
    pub fn delete_image(&self, reference: &str) -> Result<(), Error> {
        self.request(Command::DeleteImage, &[reference]).map(drop)
    }

    /// Removes what nothing uses from the store, or tells what that is.
    ///
    /// # Errors
    /// `internal_error`: the store cannot be read or written.
    pub fn prune_images(&self, options: PruneOptions) -> Result<Pruned, Error> {
        self.document(Command::PruneImages, &[&json(&options)?])
    }

    fn transfer(&self, command: Command, reference: &str) -> Result<Stream<TransferItem>, Error> {
        match self.open_stream(command, &[reference, WITH_PROGRESS])? {
            OpenStream::Transfer(stream) => self.stream(stream),
            other => Err(surprising(command, &other)),
        }
    }
}

/// Named volumes. Each method gives `unsupported` where the backend has none.
impl Bridge {
    /// Makes a volume. One that exists with the same labels is left as it is.
    ///
    /// # Errors
    /// - `invalid_request`: no volume name.
    /// - `invalid_state`: it exists with other labels.
    /// - `resource_exhausted`: the disk is full.
    pub fn create_volume(&self, name: &str, options: &VolumeOptions) -> Result<Volume, Error> {
        self.document(Command::CreateVolume, &[name, &json(options)?])
    }

    /// What is known of a volume.
    ///
    /// # Errors
    /// `volume_not_found`: there is none of this name.
    pub fn inspect_volume(&self, name: &str) -> Result<Volume, Error> {
        self.document(Command::InspectVolume, &[name])
    }

    /// Every volume, ordered by name.
    ///
    /// # Errors
    /// `internal_error`: they cannot be read.
    pub fn list_volumes(&self) -> Result<Vec<Volume>, Error> {
        self.document(Command::ListVolumes, &[])
    }

    /// Removes a volume and what is in it.
    ///
    /// # Errors
    /// - `volume_not_found`: there is none of this name.
    /// - `invalid_state`: a container mounts it; the message names one.
    pub fn delete_volume(&self, name: &str) -> Result<(), Error> {
        self.request(Command::DeleteVolume, &[name]).map(drop)
    }
}
