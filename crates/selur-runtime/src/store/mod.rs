//! The image store: pulls images, verifies and unpacks them, and keeps what containers use.
//!
//! Several processes may work on one store at once; the disk is the truth and nothing is cached in memory. Nothing in it
//! is ever half-written: files and layers are made in `ingest` or under a temporary name, put on disk, and renamed.
//!
//! # On disk
//! Below `ROOT/images`, which only its owner may enter. JSON files carry a schema version.
//!
//! | path | what |
//! |---|---|
//! | `store.json` | the schema of the whole |
//! | `blobs/sha256-HEX` | manifests, configurations and layers, as they came |
//! | `layers/HEX32/` | an unpacked layer in overlayfs form, named by the first 32 digits of its diff_id |
//! | `layers/HEX32.json` | the layer's whole diff_id, its size, and whether it hides all below it |
//! | `refs/HEX.json` | a reference, its manifest's digest, size and time; named by the sha256 of the reference |
//! | `uses/CONTAINER` | a container, its manifest's digest, and the blobs and layers that it needs |
//! | `leases/RANDOM` | what a living process works with; locked by it, void when the lock is free |
//! | `locks/HEX32` | locked by who fetches this layer |
//! | `locks/blob-HEX32` | locked by who fetches this configuration |
//! | `ingest/RANDOM/` | downloads and layers in the making; locked by who makes them, swept when the lock is free |
//! | `lock` | held for milliseconds: taking a lease, writing a reference, collecting what nobody needs |
//!
//! A layer is kept twice: as a directory, for containers, and as it came, so that a push sends what was pulled, byte for
//! byte. A container keeps the directory alive, an image both. Layers of an earlier selur have no blob: the next pull of
//! their image fetches it.

mod catalog;
mod challenge;
mod content;
pub(crate) mod credentials;
mod digest;
mod directories;
mod disk;
mod docker_archive;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod layers;
mod layout;
mod leases;
mod limits;
mod manifest;
mod packed;
mod platform;
mod prune;
mod pull;
mod push;
mod registry;
mod section;
mod source;
mod trash;
pub(crate) mod unpack;
mod upload;

pub use content::{ImageConfig, ImageContent};
pub use limits::Limits;

use crate::hands::{self, Hands};
use crate::{EventKind, Image, Images, ProgressSink, PruneOptions, Pruned, PullPolicy, Pushed, RuntimeError};
use catalog::{Documents, Reference};
use digest::Digest;
use directories::Directories;
use error::{StoreError, quoted};
use futures_util::future::BoxFuture;
use layout::Layout;
use leases::Lease;
use pull::Pull;
use push::Push;
use registry::Registry;
use selur_protocol::{ContainerId, ImageReference};
use source::{Source, joined};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

/// Where a user says how large an unpacked layer may be.
const LAYER_CAP_VARIABLE: &str = "SELUR_MAX_LAYER_BYTES";

/// The images below one state root. Cheap to clone; several processes may share the root.
///
/// ```no_run
/// # async fn example() -> Result<(), selur_runtime::RuntimeError> {
/// use selur_runtime::{PullPolicy, store::Store};
/// use tokio_util::sync::CancellationToken;
///
/// let store = Store::open("/var/lib/selur".as_ref())?;
/// let abort = CancellationToken::new();
/// let image = store.resolve("alpine:3.20", PullPolicy::Missing, &|progress| println!("{progress:?}"), abort).await?;
/// println!("{:?} over {:?}", image.config.cmd, image.layers);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Store {
    directories: Directories,
    options: StoreOptions,
}

/// How a store behaves.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Caps on what an image may make the store do.
    pub limits: Limits,
    /// Where docker's `config.json` is, for credentials: `$DOCKER_CONFIG`, else `~/.docker`. None: no credentials.
    pub docker_config: Option<PathBuf>,
}

impl Default for StoreOptions {
    fn default() -> StoreOptions {
        StoreOptions {
            limits: Limits::default(),
            docker_config: credentials::default_directory(),
        }
    }
}

impl StoreOptions {
    /// The defaults, and what the environment says: `$SELUR_MAX_LAYER_BYTES`, a number, in K, M, G or T if such a letter
    /// follows.
    ///
    /// # Errors
    /// `invalid_request`: it is no such number.
    pub fn from_environment() -> Result<StoreOptions, RuntimeError> {
        let mut options = StoreOptions::default();
        if let Some(text) = std::env::var_os(LAYER_CAP_VARIABLE).filter(|text| !text.is_empty()) {
            let bytes = text.to_str().and_then(limits::parse_bytes).ok_or_else(|| {
                StoreError::Invalid(format!(
                    "{LAYER_CAP_VARIABLE} is {}, which is no number of bytes: write one such as 4G",
                    quoted(text.as_encoded_bytes())
                ))
            })?;
            options.limits.max_layer_bytes = bytes;
        }
        Ok(options)
    }
}

impl Store {
    /// Opens the store below the state root, `ROOT/images`, and makes it if there is none, with the options of the
    /// environment. Blocks.
    ///
    /// # Errors
    /// - `invalid_request`: the environment says what it must not.
    /// - `permission_denied`: the directory cannot be made or written to.
    /// - `unsupported`: it is of a newer schema.
    pub fn open(root: &Path) -> Result<Store, RuntimeError> {
        Store::open_with(root, StoreOptions::from_environment()?)
    }

    /// The same with options.
    ///
    /// # Errors
    /// As [`Store::open`], but for the environment.
    pub fn open_with(root: &Path, options: StoreOptions) -> Result<Store, RuntimeError> {
        Store::open_by(root, options, Arc::new(hands::Root))
    }

    /// The same, with somebody who touches the files of layers.
    pub(crate) fn open_by(
        root: &Path,
        options: StoreOptions,
        hands: Arc<dyn Hands>,
    ) -> Result<Store, RuntimeError> {
        let directories = Directories::open(root.join("images"), hands)?;
        Ok(Store { directories, options })
    }

    /// Gives the image of a reference, pulling it if the policy says so.
    ///
    /// # Errors
    /// As [`Images::pull`]; `image_not_found` also if the policy is `never` and the store lacks it.
    pub async fn resolve(
        &self,
        reference: &str,
        policy: PullPolicy,
        progress: ProgressSink<'_>,
        abort: CancellationToken,
    ) -> Result<ImageContent, RuntimeError> {
        let parsed = parse(reference)?;
        let name = parsed.to_string();
        if policy != PullPolicy::Always
            && let Some(content) = self
                .blocking(move |directories| stored(directories, &name))
                .await?
        {
            return Ok(content);
        }
        if policy == PullPolicy::Never {
            return Err(StoreError::NotFound(format!(
                "{parsed} is not in the store, and the pull policy is never: `selur pull {parsed}` fetches it"
            ))
            .into());
        }
        Ok(self.pull_from_registry(&parsed, progress, abort).await?.1)
    }

    /// Gives an image that is in the store by the digest of its manifest. Blocks.
    ///
    /// # Errors
    /// `image_not_found`: the store lacks it or a part of it.
    pub fn content(&self, manifest_digest: &str) -> Result<ImageContent, RuntimeError> {
        let digest = parse_digest(manifest_digest)?;
        let content = leased(&self.directories, "", &digest)?;
        content.ok_or_else(|| missing(&digest).into())
    }

    /// Records that a container uses an image, so that no deletion removes its layers. Blocks until it is on disk.
    ///
    /// # Errors
    /// `image_not_found`: the store lacks it. Else the disk's.
    pub fn pin(&self, container: ContainerId, manifest_digest: &str) -> Result<(), RuntimeError> {
        let digest = parse_digest(manifest_digest)?;
        let _lock = self.directories.lock()?;
        let documents = Documents::read(&self.directories, &digest)?.ok_or_else(|| missing(&digest))?;
        Ok(catalog::pin(&self.directories, container, &documents)?)
    }

    /// Records that a container uses no image any more; nothing happens if it used none. If no reference names the image
    /// either, its layers are removed. Blocks.
    ///
    /// After a power failure the use may be back: recovery compares [`Store::pins`] with the containers that exist.
    ///
    /// # Errors
    /// The disk's.
    pub fn unpin(&self, container: ContainerId) -> Result<(), RuntimeError> {
        let lock = self.directories.lock()?;
        let trash = catalog::unpin(&self.directories, &lock, container)?;
        drop(lock);
        drop(trash);
        Ok(())
    }

    /// Every container that uses an image, with the manifest's digest: for recovery, which unpins those that are gone.
    /// Blocks.
    ///
    /// # Errors
    /// The disk's.
    pub fn pins(&self) -> Result<Vec<(ContainerId, String)>, RuntimeError> {
        let pins = catalog::pins(&self.directories)?;
        Ok(pins
            .into_iter()
            .map(|(container, digest)| (container, digest.to_string()))
            .collect())
    }

    async fn pull_from_registry(
        &self,
        reference: &ImageReference<'_>,
        progress: ProgressSink<'_>,
        abort: CancellationToken,
    ) -> Result<(Reference, ImageContent), StoreError> {
        let registry = Registry::new(
            reference,
            self.options.docker_config.clone(),
            &self.options.limits,
        )?;
        let pulled = self
            .pull_from(Source::Registry(Box::new(registry)), reference, progress, abort)
            .await?;
        self.directories
            .tell(EventKind::ImagePulled, &reference.to_string());
        Ok(pulled)
    }

    async fn pull_from(
        &self,
        source: Source,
        reference: &ImageReference<'_>,
        progress: ProgressSink<'_>,
        abort: CancellationToken,
    ) -> Result<(Reference, ImageContent), StoreError> {
        let pull = Pull {
            directories: &self.directories,
            limits: &self.options.limits,
            source,
            progress,
        };
        pull.run(reference, abort).await
    }

    /// Does what blocks away from the reactor.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Directories) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let directories = self.directories.clone();
        joined(spawn_blocking(move || work(&directories)).await)
    }
}

impl Images for Store {
    fn pull<'a>(
        &'a self,
        reference: &'a str,
        progress: ProgressSink<'a>,
        abort: CancellationToken,
    ) -> BoxFuture<'a, Result<Image, RuntimeError>> {
        Box::pin(async move {
            let reference = parse(reference)?;
            let (record, _) = self.pull_from_registry(&reference, progress, abort).await?;
            Ok(record.into_image())
        })
    }

    fn load<'a>(
        &'a self,
        path: &'a Path,
        reference: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<Image>, RuntimeError>> {
        Box::pin(async move {
            let reference = reference.map(parse).transpose()?;
            let name = reference.as_ref().map(ToString::to_string);
            let (path, limits) = (path.to_owned(), self.options.limits.clone());
            // Triggered when the caller drops this future.
            let abort = CancellationToken::new();
            let _stop_on_drop = abort.clone().drop_guard();
            let stop = abort.clone();
            let opened = self
                .blocking(move |directories| {
                    let layout = Layout::open(&path, directories, &limits, &stop)?;
                    let reference = name.as_deref().map(parse).transpose()?;
                    let chosen = layout.choose(reference.as_ref(), &limits)?;
                    Ok((layout, chosen))
                })
                .await;
            let (layout, chosen) = opened.map_err(from_files)?;
            let mut images = Vec::new();
            for (name, descriptor) in chosen {
                let source = Source::Layout(layout.clone(), descriptor);
                let abort = abort.clone();
                let pulled = self.pull_from(source, &parse(&name)?, &|_| {}, abort).await;
                images.push(pulled.map_err(from_files)?.0.into_image());
                self.directories.tell(EventKind::ImageLoaded, &name);
            }
            Ok(images)
        })
    }

    fn push<'a>(
        &'a self,
        reference: &'a str,
        progress: ProgressSink<'a>,
        abort: CancellationToken,
    ) -> BoxFuture<'a, Result<Pushed, RuntimeError>> {
        Box::pin(async move {
            let push = Push {
                directories: &self.directories,
                limits: &self.options.limits,
                docker_config: self.options.docker_config.clone(),
                progress,
            };
            let pushed = push.run(&parse(reference)?, abort).await?;
            self.directories.tell(EventKind::ImagePushed, &pushed.reference);
            Ok(pushed)
        })
    }

    fn tag<'a>(&'a self, reference: &'a str, name: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(async move {
            let (reference, name) = (parse(reference)?.to_string(), parse(name)?);
            if name.digest().is_some() {
                return Err(StoreError::Invalid(format!(
                    "{name} names an image by its digest, which nobody can choose: give it a tag"
                ))
                .into());
            }
            let name = name.to_string();
            let tag = move |directories: &Directories| {
                let lock = directories.lock()?;
                let trash = catalog::tag(directories, &lock, &reference, &name)?;
                directories.tell(EventKind::ImageTagged, &name);
                drop(lock);
                drop(trash);
                Ok(())
            };
            Ok(self.blocking(tag).await?)
        })
    }

    fn prune(&self, options: PruneOptions) -> BoxFuture<'_, Result<Pruned, RuntimeError>> {
        Box::pin(async move {
            Ok(self
                .blocking(move |directories| prune::prune(directories, options))
                .await?)
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Image>, RuntimeError>> {
        Box::pin(async move {
            let all = self.blocking(Reference::all).await?;
            Ok(all.into_iter().map(Reference::into_image).collect())
        })
    }

    fn delete<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(async move {
            let reference = parse(reference)?.to_string();
            let delete = move |directories: &Directories| {
                let lock = directories.lock()?;
                let trash = catalog::delete(directories, &lock, &reference)?;
                directories.tell(EventKind::ImageDeleted, &reference);
                drop(lock);
                drop(trash);
                Ok(())
            };
            Ok(self.blocking(delete).await?)
        })
    }
}

/// What is wrong with files is the caller's to mend, not a network's.
fn from_files(error: StoreError) -> StoreError {
    match error {
        StoreError::Content(words) => StoreError::Invalid(words),
        other => other,
    }
}

/// The image that a reference stands for, if the store has all of it.
fn stored(directories: &Directories, name: &str) -> Result<Option<ImageContent>, StoreError> {
    match Reference::find(directories, name)? {
        Some(found) => leased(directories, name, &found.digest),
        None => Ok(None),
    }
}

/// An image of the store, with a lease on it.
fn leased(
    directories: &Directories,
    name: &str,
    digest: &Digest,
) -> Result<Option<ImageContent>, StoreError> {
    let lock = directories.lock()?;
    let Some(documents) = Documents::read(directories, digest)? else {
        return Ok(None);
    };
    let lease = Lease::take(directories, &lock, &documents.kept())?;
    pull::content(directories, name, documents, lease)
}

fn parse(reference: &str) -> Result<ImageReference<'_>, StoreError> {
    ImageReference::parse(reference).map_err(|reason| {
        StoreError::Invalid(format!("{}: {}", quoted(reference.as_bytes()), reason.message()))
    })
}

fn parse_digest(text: &str) -> Result<Digest, StoreError> {
    Digest::parse(text)
        .ok_or_else(|| StoreError::Invalid(format!("{} is no digest", quoted(text.as_bytes()))))
}

fn missing(digest: &Digest) -> StoreError {
    StoreError::NotFound(format!(
        "the store lacks the image {digest} or a part of it: pull it again"
    ))
}
