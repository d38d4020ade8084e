//! One opened bridge, and everything that the commands ask of selur-core. Where core's interface changes, only this
//! file follows.

use crate::cli::{Format, Global, RuntimeChoice};
use crate::failure::Failure;
use crate::output;
use crate::place;
use crate::progress::PullDisplay;
use selur_core::{
    Backend, Bridge, Command, GuestFacts, Image, LogEntry, LogOptions, PruneOptions, Pruned, Pushed,
    ShimLocation, Status, Stream, TransferItem, Volume, VolumeOptions,
};
use selur_protocol::{Frame, HEADER_BYTES, Reason};
use serde::Serialize;
use std::ops::ControlFlow;
use std::path::Path;

/// The first argument with which this program is a shim.
pub(crate) const SHIM_SUBCOMMAND: &str = "shim";

/// A bridge and how its results are printed.
pub(crate) struct Session {
    bridge: Bridge,
    format: Format,
    is_simulated: bool,
}

impl Session {
    /// Opens a bridge as the global options say.
    ///
    /// # Errors
    /// The machine cannot run containers, or the state root cannot be used.
    pub(crate) fn open(global: &Global) -> Result<Session, Failure> {
        let (backend, is_simulated) = match global.runtime {
            RuntimeChoice::Auto => (Backend::Auto, false),
            RuntimeChoice::Oci => (Backend::Oci, false),
            RuntimeChoice::Docker => (Backend::Docker, false),
            RuntimeChoice::Simulated => (Backend::Simulated, true),
        };
        place::check_socket(global)?;
        place::check_root(global)?;
        let mut builder = Bridge::builder()
            .backend(backend)
            .default_deadline(global.timeout);
        if let Some(root) = &global.root {
            builder = builder.state_root(root.clone());
        }
        if let Some(socket) = &global.socket {
            builder = builder.socket(socket.clone());
        }
        builder = builder.shim(shim()?);
        Ok(Session {
            bridge: builder.build()?,
            format: global.format,
            is_simulated,
        })
    }

    /// The bridge.
    pub(crate) fn bridge(&self) -> &Bridge {
        &self.bridge
    }

    /// How results are printed.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// Whether results are for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Says what surprises about a world that ends with the command, where there is one.
    pub(crate) fn remind(&self, what: &str) {
        if self.is_simulated && !self.is_json() {
            output::note(format!("note: --runtime simulated lives in memory: {what}"));
        }
    }

    /// A failure to find something, with the reason where the world is simulated: it was empty.
    pub(crate) fn explain(&self, failure: Failure) -> Failure {
        let missing = [
            Status::ContainerNotFound.name(),
            Status::ImageNotFound.name(),
            Status::VolumeNotFound.name(),
        ];
        if self.is_simulated && missing.contains(&failure.status()) {
            let advice =
                "With --runtime simulated each command begins with an empty world: use --runtime oci.";
            return failure.with_advice(advice);
        }
        failure
    }

    /// Fetches an image.
    ///
    /// # Errors
    /// The registry, the network or the disk refuse.
    pub(crate) fn pull(&self, reference: &str, display: PullDisplay) -> Result<Image, Failure> {
        display.begin(reference);
        match finish(self.bridge.pull_image_with_progress(reference)?, &display)? {
            Some(TransferItem::Pulled(image)) => Ok(image),
            _ => Err(unfinished("pull")),
        }
    }

    /// Takes images from a layout or an archive.
    ///
    /// # Errors
    /// There is none, one has no name, or its digests are wrong.
    pub(crate) fn load(&self, path: &Path, reference: Option<&str>) -> Result<Vec<Image>, Failure> {
        Ok(self.bridge.load_image(path, reference)?)
    }

    /// Sends an image to its registry.
    ///
    /// # Errors
    /// It is not here, or the registry or the network refuse.
    pub(crate) fn push(&self, reference: &str, display: PullDisplay) -> Result<Pushed, Failure> {
        display.begin_push(reference);
        match finish(self.bridge.push_image_with_progress(reference)?, &display)? {
            Some(TransferItem::Pushed(pushed)) => Ok(pushed),
            _ => Err(unfinished("push")),
        }
    }

    /// Gives an image another name.
    ///
    /// # Errors
    /// It is not here.
    pub(crate) fn tag(&self, reference: &str, name: &str) -> Result<(), Failure> {
        Ok(self.bridge.tag_image(reference, name)?)
    }

    /// Removes what nothing uses, or tells of it.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub(crate) fn prune(&self, options: PruneOptions) -> Result<Pruned, Failure> {
        Ok(self.bridge.prune_images(options)?)
    }

    /// The images of the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn images(&self) -> Result<Vec<Image>, Failure> {
        Ok(self.bridge.list_images()?)
    }

    /// Removes an image.
    ///
    /// # Errors
    /// It is not there, or a container needs it.
    pub(crate) fn delete_image(&self, reference: &str) -> Result<(), Failure> {
        Ok(self.bridge.delete_image(reference)?)
    }

    /// The volumes.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn volumes(&self) -> Result<Vec<Volume>, Failure> {
        Ok(self.bridge.list_volumes()?)
    }

    /// Makes a volume, unless there is one of the name with the same labels.
    ///
    /// # Errors
    /// It is no name, or there is one with other labels.
    pub(crate) fn create_volume(&self, name: &str, options: &VolumeOptions) -> Result<(), Failure> {
        self.bridge.create_volume(name, options)?;
        Ok(())
    }

    /// What is known of a volume.
    ///
    /// # Errors
    /// There is none of this name.
    pub(crate) fn inspect_volume(&self, name: &str) -> Result<Volume, Failure> {
        Ok(self.bridge.inspect_volume(name)?)
    }

    /// Removes a volume.
    ///
    /// # Errors
    /// There is none of this name, or a container mounts it.
    pub(crate) fn delete_volume(&self, name: &str) -> Result<(), Failure> {
        Ok(self.bridge.delete_volume(name)?)
    }

    /// Reads a container's log, entry by entry, until it ends or `each` breaks off.
    ///
    /// # Errors
    /// The container does not exist, its log cannot be read, or `each` fails.
    pub(crate) fn logs(
        &self,
        container: &str,
        options: LogOptions,
        mut each: impl FnMut(LogEntry) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<(), Failure> {
        for entry in self.bridge.logs(container, &options)? {
            if each(entry?)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Hands a whole request frame to the kernel and answers the response's data as text.
    ///
    /// # Errors
    /// The response is none of success.
    pub(crate) fn call(&self, frame: &[u8]) -> Result<String, Failure> {
        let data = self.bridge.call(frame)?.into_result()?;
        Ok(String::from_utf8_lossy(&data).into_owned())
    }

    /// How many ids containers have without root.
    pub(crate) fn rootless_ids(&self) -> Option<u64> {
        self.bridge.info().rootless_ids
    }

    /// The name of what performs the effects.
    pub(crate) fn backend(&self) -> &'static str {
        self.bridge.info().backend
    }

    /// Whether a stop that nobody waits for goes on to its SIGKILL: a shim's does.
    pub(crate) fn stops_alone(&self) -> bool {
        self.backend() == "oci"
    }

    /// What stands behind it: the name and the version of a daemon, if there is one.
    pub(crate) fn engine(&self) -> Option<String> {
        self.bridge.info().engine
    }
}

/// The shim: this program, unless another is named in the environment, where core looks for it.
pub(crate) fn shim() -> Result<ShimLocation, Failure> {
    if std::env::var_os("SELUR_SHIM").is_some() {
        return Ok(ShimLocation::Search);
    }
    let program = std::env::current_exe()
        .map_err(|error| Failure::io("cannot find the path of this program", &error))?;
    let arguments = vec![SHIM_SUBCOMMAND.into()];
    Ok(ShimLocation::Command { program, arguments })
}

/// Shows a transfer until it is done; its result.
fn finish(items: Stream<TransferItem>, display: &PullDisplay) -> Result<Option<TransferItem>, Failure> {
    for item in items {
        match item? {
            TransferItem::Progress(progress) => display.show(progress),
            result => return Ok(Some(result)),
        }
    }
    Ok(None)
}

fn unfinished(what: &str) -> Failure {
    let message = format!("the {what} ended without a result");
    Failure::new(Status::InternalError, message, "Try again.")
}

/// What the embedded kernel guest is.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Guest {
    /// The SHA-256 of the `.wasm` file, in hex.
    pub(crate) sha256: String,
    /// Its size.
    pub(crate) bytes: usize,
    /// How much it asks of its host.
    pub(crate) imports: usize,
    /// The least and the most that its memory has, in pages of 64 KiB.
    pub(crate) memory_pages: u32,
}

impl From<GuestFacts> for Guest {
    fn from(facts: GuestFacts) -> Guest {
        let GuestFacts {
            sha256,
            bytes,
            imports,
            memory_pages,
            ..
        } = facts;
        Guest {
            sha256,
            bytes,
            imports,
            memory_pages,
        }
    }
}

/// Loads the embedded kernel guest and tells what was found.
///
/// # Errors
/// It does not load here.
pub(crate) fn guest() -> Result<Guest, Failure> {
    Ok(Bridge::builder()
        .backend(Backend::Simulated)
        .build()?
        .info()
        .guest
        .into())
}

/// Writes a request frame.
///
/// # Errors
/// The fields are longer than a payload may be.
pub(crate) fn frame(command: Command, fields: &[&str]) -> Result<Vec<u8>, Failure> {
    let fields: Vec<&[u8]> = fields.iter().map(|field| field.as_bytes()).collect();
    let mut buffer = vec![0; HEADER_BYTES + fields.iter().map(|field| field.len() + 1).sum::<usize>()];
    let too_long = || {
        Failure::new(
            Status::InvalidRequest,
            Reason::PayloadTooLong.message(),
            "Ask for less.",
        )
    };
    let bytes = Frame::encode(command, &fields, &mut buffer).ok_or_else(too_long)?;
    buffer.truncate(bytes);
    Ok(buffer)
}
