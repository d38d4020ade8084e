//! The simulated image store: references and digests made from them, without layers.

use super::clock::Clock;
use super::script::{Aborted, Point, Script};
use super::{Simulated, aborted};
use crate::{
    EventKind, Image, Images, ProgressSink, PruneOptions, Pruned, PullProgress, Pushed, RuntimeError,
};
use futures_util::future::BoxFuture;
use selur_protocol::{ImageReference, Status};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// What every simulated layer weighs.
const LAYER_BYTES: u64 = 4096;

/// The images that were pulled or loaded, by reference.
#[derive(Debug, Default)]
pub(super) struct Store {
    images: BTreeMap<String, Image>,
}

impl Store {
    /// Puts an image there unless it is there; answers its digest.
    pub(super) fn add(&mut self, reference: &str, clock: &Clock) -> String {
        let image = self.images.entry(reference.to_string()).or_insert_with(|| Image {
            reference: reference.to_string(),
            digest: digest_of(reference),
            size_bytes: LAYER_BYTES,
            created_at: Some(clock.now().to_rfc3339()),
        });
        image.digest.clone()
    }

    /// The digest of an image that is there.
    ///
    /// # Errors
    /// `image_not_found`: it is not.
    pub(super) fn find(&self, reference: &str) -> Result<String, RuntimeError> {
        match self.images.get(reference) {
            Some(image) => Ok(image.digest.clone()),
            None => Err(absent(reference)),
        }
    }
}

impl Images for Simulated {
    fn pull<'a>(
        &'a self,
        reference: &'a str,
        progress: ProgressSink<'a>,
        abort: CancellationToken,
    ) -> BoxFuture<'a, Result<Image, RuntimeError>> {
        Box::pin(async move {
            let reference = in_full(reference)?;
            pass(&reference, Point::Pull, &abort).await?;
            transfer(&reference, digest_of(&reference), progress);
            self.keep(&reference, EventKind::ImagePulled)
        })
    }

    fn load<'a>(
        &'a self,
        path: &'a Path,
        reference: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<Image>, RuntimeError>> {
        Box::pin(async move {
            let unnamed = || RuntimeError::new(Status::InvalidRequest, "the image has no name: give it one");
            let reference = in_full(reference.ok_or_else(unnamed)?)?;
            // Source: OCI image specification 1.1, "Image Layout": the file that marks such a directory.
            let is_archive = path.is_file() || path == Path::new("/dev/stdin");
            if !is_archive && !path.join("oci-layout").is_file() {
                let message = format!(
                    "{} is no OCI image layout: it has no oci-layout, and is no archive",
                    path.display()
                );
                return Err(RuntimeError::new(Status::InvalidRequest, message));
            }
            Ok(vec![self.keep(&reference, EventKind::ImageLoaded)?])
        })
    }

    fn push<'a>(
        &'a self,
        reference: &'a str,
        progress: ProgressSink<'a>,
        abort: CancellationToken,
    ) -> BoxFuture<'a, Result<Pushed, RuntimeError>> {
        Box::pin(async move {
            let reference = in_full(reference)?;
            let digest = self.world().store.find(&reference)?;
            pass(&reference, Point::Push, &abort).await?;
            transfer(&reference, digest.clone(), progress);
            self.world().tell_about(EventKind::ImagePushed, &reference);
            Ok(Pushed { reference, digest })
        })
    }

    fn tag<'a>(&'a self, reference: &'a str, name: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(async move {
            let (reference, name) = (in_full(reference)?, in_full(name)?);
            if name.contains('@') {
                let message = format!("{name} names an image by its digest: give it a tag");
                return Err(RuntimeError::new(Status::InvalidRequest, message));
            }
            let mut world = self.world();
            let found = world.store.images.get(&reference).cloned();
            let renamed = Image {
                reference: name.clone(),
                ..found.ok_or_else(|| absent(&reference))?
            };
            world.tell_about(EventKind::ImageTagged, &name);
            world.store.images.insert(name, renamed);
            Ok(())
        })
    }

    fn prune(&self, options: PruneOptions) -> BoxFuture<'_, Result<Pruned, RuntimeError>> {
        let mut guard = self.world();
        let world = &mut *guard;
        let used: BTreeSet<String> = world
            .containers
            .values()
            .filter_map(|container| world.store.images.get(container.image()))
            .map(|image| image.digest.clone())
            .collect();
        let gone: Vec<Image> = world
            .store
            .images
            .values()
            .filter(|image| options.all && !used.contains(&image.digest))
            .cloned()
            .collect();
        let digests: BTreeSet<&str> = gone.iter().map(|image| image.digest.as_str()).collect();
        let pruned = Pruned {
            references: gone.iter().map(|image| image.reference.clone()).collect(),
            layers: digests.len() as u64,
            freed_bytes: digests.len() as u64 * LAYER_BYTES,
        };
        if !options.dry_run {
            for reference in &pruned.references {
                world.store.images.remove(reference);
                world.tell_about(EventKind::ImageDeleted, reference);
            }
        }
        Box::pin(std::future::ready(Ok(pruned)))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Image>, RuntimeError>> {
        let images = self.world().store.images.values().cloned().collect();
        Box::pin(std::future::ready(Ok(images)))
    }

    fn delete<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(async move {
            let reference = in_full(reference)?;
            let mut world = self.world();
            world.store.find(&reference)?;
            let user = world
                .containers
                .iter()
                .find(|(_, container)| container.image() == reference);
            if let Some((id, _)) = user {
                let message = format!("the container {id} is made from {reference}: delete it first");
                return Err(RuntimeError::new(Status::InvalidState, message));
            }
            world.store.images.remove(&reference);
            world.tell_about(EventKind::ImageDeleted, &reference);
            Ok(())
        })
    }
}

impl Simulated {
    fn keep(&self, reference: &str, kind: EventKind) -> Result<Image, RuntimeError> {
        let mut guard = self.world();
        let world = &mut *guard;
        world.store.add(reference, &world.clock);
        world.tell_about(kind, reference);
        let image = world.store.images.get(reference).cloned();
        image.ok_or_else(|| RuntimeError::new(Status::InternalError, "the store lost an image"))
    }
}

/// Does at a point what the image's script says.
async fn pass(reference: &str, point: Point, abort: &CancellationToken) -> Result<(), RuntimeError> {
    let script = Script::of(reference)?;
    if let Some(status) = script.fails(point) {
        let message = format!(
            "the image's script makes {} fail with {}",
            point.name(),
            status.name()
        );
        return Err(RuntimeError::new(status, message));
    }
    let hangs = script.hangs(point);
    if hangs.is_some() {
        abort.cancelled().await;
    }
    if abort.is_cancelled() && hangs != Some(Aborted::Succeeds) {
        return Err(aborted());
    }
    Ok(())
}

/// Tells of the one layer's way.
fn transfer(reference: &str, digest: String, progress: ProgressSink<'_>) {
    let layer = digest_of(&format!("layer of {reference}"));
    progress(PullProgress::Resolved {
        digest,
        layers: vec![(layer.clone(), LAYER_BYTES)],
    });
    progress(PullProgress::Transferred {
        layer: layer.clone(),
        bytes: LAYER_BYTES,
    });
    progress(PullProgress::LayerDone { layer });
}

fn absent(reference: &str) -> RuntimeError {
    RuntimeError::new(
        Status::ImageNotFound,
        format!("the image {reference} is not here: pull it first"),
    )
}

fn in_full(reference: &str) -> Result<String, RuntimeError> {
    match ImageReference::parse(reference) {
        Ok(reference) => Ok(reference.to_string()),
        Err(reason) => Err(RuntimeError::new(Status::InvalidRequest, reason.message())),
    }
}

/// The digest that the reference names, else one made from its text. It is no hash of anything.
fn digest_of(reference: &str) -> String {
    if let Some(digest) = ImageReference::parse(reference)
        .ok()
        .and_then(|image| image.digest())
    {
        return digest.to_string();
    }
    let word = |salt: u8| {
        let bytes = reference.bytes().chain([salt]);
        // FNV-1a 64: http://www.isthe.com/chongo/tech/comp/fnv/
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    };
    format!(
        "sha256:{:016x}{:016x}{:016x}{:016x}",
        word(0),
        word(1),
        word(2),
        word(3)
    )
}
