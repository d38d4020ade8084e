//! The daemon's images. They are everybody's: what other programs pulled is listed, used and deleted, too.

use super::documents::{ImageConfig, InspectedImage, Listed, ListedImage, Told, moment};
use super::failure::{self, About, DaemonError, invalid};
use super::labels;
use super::lifecycle::until;
use super::site::Site;
use super::transport::{Answer, Call};
use super::{Docker, SHORT_ANSWER_BYTES, load};
use crate::store::credentials::{self, Credential};
use crate::{
    Image, Images, ProgressSink, PruneOptions, Pruned, PullPolicy, PullProgress, Pushed, RuntimeError,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;
use bollard::query_parameters::TagImageOptions;
use futures_util::future::BoxFuture;
use hyper::Method;
use hyper::header::HeaderName;
use selur_protocol::{ImageReference, Status};
use selur_shim::Moment;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// What the daemons write where an image has no name.
const NAMELESS: &str = "<none>";

/// What a container is made from.
#[derive(Debug)]
pub(super) struct Resolved {
    pub(super) digest: String,
    pub(super) config: ImageConfig,
}

/// The image of a reference, pulled if the policy says so.
pub(super) async fn resolve(
    site: &Site,
    reference: &str,
    policy: PullPolicy,
    progress: ProgressSink<'_>,
    abort: &CancellationToken,
) -> Result<Resolved, RuntimeError> {
    let reference = &in_full(reference)?;
    if policy != PullPolicy::Always
        && let Some(found) = until(abort, inspect(site, reference)).await?
    {
        return Ok(resolved(reference, found));
    }
    if policy == PullPolicy::Never {
        return Err(RuntimeError::new(
            Status::ImageNotFound,
            format!(
                "the daemon lacks {reference}, and the pull policy is never: `selur pull {reference}` fetches it"
            ),
        ));
    }
    Ok(resolved(
        reference,
        fetch(site, reference, progress, abort).await?,
    ))
}

fn resolved(reference: &str, found: InspectedImage) -> Resolved {
    Resolved {
        digest: digest(reference, &found.repo_digests, &found.id),
        config: found.config,
    }
}

pub(super) async fn inspect(site: &Site, reference: &str) -> Result<Option<InspectedImage>, RuntimeError> {
    match site.client.get(&format!("/images/{reference}/json"), &[]).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => {
            Err(error.into_runtime(About::Image, format_args!("cannot look at the image {reference}")))
        }
    }
}

/// Pulls an image, whether the daemon has it or not.
async fn fetch(
    site: &Site,
    reference: &str,
    progress: ProgressSink<'_>,
    abort: &CancellationToken,
) -> Result<InspectedImage, RuntimeError> {
    until(abort, async {
        let (repository, tag) = split(reference);
        let query = [("fromImage", repository), ("tag", tag)];
        let call = Call::new(Method::POST, "/images/create").query(&query);
        let failed =
            |error: DaemonError| error.into_runtime(About::Image, format_args!("cannot pull {reference}"));
        let call = authenticated(site, reference, call).await?;
        let mut answer = site.client.send(call, None).await.map_err(failed)?;
        while let Some(told) = next(&mut answer).await.map_err(failed)? {
            show(&told, progress);
        }
        let found = inspect(site, reference).await?;
        found.ok_or_else(|| failed(DaemonError::nonsense("the pull ended, and there is no image")))
    })
    .await
}

/// The next line of what a pull, a push or a load tells, or the error in it.
pub(super) async fn next(answer: &mut Answer) -> Result<Option<Told>, DaemonError> {
    let Some(line) = answer.line().await? else {
        return Ok(None);
    };
    let told: Told = serde_json::from_slice(&line).map_err(DaemonError::nonsense)?;
    match (told.error.is_empty(), told.error_detail.message.is_empty()) {
        (true, true) => Ok(Some(told)),
        (true, false) => Err(DaemonError::stream(told.error_detail.message)),
        (false, _) => Err(DaemonError::stream(told.error)),
    }
}

/// Source: moby `pkg/jsonmessage`, as its pulls and pushes write them. Podman tells less.
fn show(told: &Told, progress: ProgressSink<'_>) {
    // A layer's short id, and not the tag.
    let is_layer = told.id.len() == 12 && told.id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_layer {
        return;
    }
    let layer = told.id.clone();
    match told.status.as_str() {
        "Downloading" | "Pushing" => progress(PullProgress::Transferred {
            layer,
            bytes: u64::try_from(told.progress_detail.current).unwrap_or(0),
        }),
        "Pull complete" | "Already exists" | "Pushed" | "Layer already exists" => {
            progress(PullProgress::LayerDone { layer });
        }
        _ => {}
    }
}

/// With the credentials for the image's registry, if there are any. The daemon asks for them before it is asked.
async fn authenticated<'a>(site: &Site, reference: &str, call: Call<'a>) -> Result<Call<'a>, RuntimeError> {
    let parsed = ImageReference::parse(reference).map_err(|reason| invalid(reason.message()))?;
    let found = credentials::find(site.credentials.as_deref(), parsed.domain()).await?;
    let Some(found) = found else { return Ok(call) };
    let document = match found {
        Credential::Password { username, password } => serde_json::json!({
            "username": username, "password": password, "serveraddress": parsed.domain(),
        }),
        Credential::IdentityToken(token) => serde_json::json!({
            "identitytoken": token, "serveraddress": parsed.domain(),
        }),
        Credential::RegistryToken(token) => serde_json::json!({ "registrytoken": token }),
    };
    let header = HeaderName::from_static("x-registry-auth");
    Ok(call.header(header, URL_SAFE.encode(document.to_string())))
}

impl Images for Docker {
    fn pull<'a>(
        &'a self,
        reference: &'a str,
        progress: ProgressSink<'a>,
        abort: CancellationToken,
    ) -> BoxFuture<'a, Result<Image, RuntimeError>> {
        Box::pin(async move {
            let reference = in_full(reference)?;
            let found = fetch(&self.site, &reference, progress, &abort).await?;
            Ok(image(reference, found))
        })
    }

    fn load<'a>(
        &'a self,
        path: &'a Path,
        reference: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Vec<Image>, RuntimeError>> {
        Box::pin(load::load(&self.site, path, reference))
    }

    fn push<'a>(
        &'a self,
        reference: &'a str,
        progress: ProgressSink<'a>,
        abort: CancellationToken,
    ) -> BoxFuture<'a, Result<Pushed, RuntimeError>> {
        Box::pin(async move {
            let reference = in_full(reference)?;
            let pushed = push(&self.site, &reference, progress);
            let digest = until(&abort, pushed).await?;
            Ok(Pushed { reference, digest })
        })
    }

    fn tag<'a>(&'a self, reference: &'a str, name: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(async move { tag(&self.site, &in_full(reference)?, &in_full(name)?).await })
    }

    fn prune(&self, options: PruneOptions) -> BoxFuture<'_, Result<Pruned, RuntimeError>> {
        Box::pin(prune(&self.site, options))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Image>, RuntimeError>> {
        Box::pin(async move {
            let images = listed(&self.site).await?.into_iter().flat_map(images_of);
            let images: BTreeMap<_, _> = images.map(|image| (image.reference.clone(), image)).collect();
            Ok(images.into_values().collect())
        })
    }

    fn delete<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(async move {
            let reference = in_full(reference)?;
            // The daemons let go of a name also while a container is made from it, if the image has others.
            if let Some(user) = user_of(&self.site, &reference).await? {
                return Err(RuntimeError::new(
                    Status::InvalidState,
                    format!("the container {user} is made from {reference}: delete it first"),
                ));
            }
            remove(&self.site, &reference).await.map(drop)
        })
    }
}

async fn push(site: &Site, reference: &str, progress: ProgressSink<'_>) -> Result<String, RuntimeError> {
    let (repository, tag) = split(reference);
    let path = format!("/images/{repository}/push");
    let query = [("tag", tag)];
    let failed =
        |error: DaemonError| error.into_runtime(About::Image, format_args!("cannot push {reference}"));
    let found = inspect(site, reference).await?;
    let found = found.ok_or_else(|| absent(reference))?;
    let call = Call::new(Method::POST, &path).query(&query);
    let call = authenticated(site, reference, call).await?;
    // Podman insists on the header, also where there is nothing to say.
    let header = HeaderName::from_static("x-registry-auth");
    let call = call.or_header(header, || URL_SAFE.encode("{}"));
    let mut answer = site.client.send(call, None).await.map_err(failed)?;
    let mut digest = None;
    while let Some(told) = next(&mut answer).await.map_err(failed)? {
        show(&told, progress);
        let said = told
            .status
            .split_once("digest: ")
            .or_else(|| told.stream.split_once("digest: "));
        let said = said.and_then(|(_, rest)| rest.split_ascii_whitespace().next());
        let told_digest = Some(told.aux.digest.as_str()).filter(|digest| !digest.is_empty());
        digest = told_digest.or(said).map(str::to_owned).or(digest);
    }
    Ok(digest.unwrap_or_else(|| self::digest(reference, &found.repo_digests, &found.id)))
}

pub(super) async fn tag(site: &Site, reference: &str, name: &str) -> Result<(), RuntimeError> {
    if name.contains('@') {
        return Err(invalid(format!(
            "{name} names an image by its digest, which nobody can choose: give it a tag"
        )));
    }
    let (repository, tag) = split(name);
    let options = TagImageOptions {
        repo: Some(repository.to_owned()),
        tag: Some(tag.to_owned()),
    };
    let tagged = site.client.typed().tag_image(reference, Some(options)).await;
    tagged
        .map_err(DaemonError::from)
        .map_err(|error| error.into_runtime(About::Image, format_args!("cannot tag {reference}")))
}

/// Removes a name, and the image if it has no other. Gives how many layers that removed.
pub(super) async fn remove(site: &Site, reference: &str) -> Result<u64, RuntimeError> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Removed {
        deleted: Option<String>,
    }
    let path = format!("/images/{reference}");
    let call = Call::new(Method::DELETE, &path);
    let failed =
        |error: DaemonError| error.into_runtime(About::Image, format_args!("cannot delete {reference}"));
    let mut answer = site
        .client
        .send(call, Some(SHORT_ANSWER_BYTES))
        .await
        .map_err(failed)?;
    let mut bytes = Vec::new();
    while let Some(piece) = answer.piece().await.map_err(failed)? {
        bytes.extend_from_slice(&piece);
    }
    let removed: Vec<Removed> = serde_json::from_slice(&bytes).unwrap_or_default();
    Ok(removed.iter().filter(|removed| removed.deleted.is_some()).count() as u64)
}

/// A container that is made from an image, of anybody.
async fn user_of(site: &Site, reference: &str) -> Result<Option<String>, RuntimeError> {
    let all = all_containers(site).await?;
    let user = all
        .into_iter()
        .find(|container| is_made_from(container, reference));
    Ok(user.map(|user| labels::id(&user.labels).map_or(user.id, |id| id.to_string())))
}

async fn all_containers(site: &Site) -> Result<Vec<Listed>, RuntimeError> {
    let all = site.containers("{}").await;
    all.map_err(|error| error.into_runtime(About::Daemon, "cannot list the containers"))
}

fn is_made_from(container: &Listed, reference: &str) -> bool {
    let own = container
        .labels
        .get(labels::IMAGE)
        .filter(|_| labels::id(&container.labels).is_some());
    match own {
        Some(own) => own == reference,
        None => in_full(&container.image).is_ok_and(|image| image == reference),
    }
}

async fn prune(site: &Site, options: PruneOptions) -> Result<Pruned, RuntimeError> {
    let without_prefix = |id: &str| id.trim_start_matches("sha256:").to_owned();
    let used: HashSet<String> = all_containers(site)
        .await?
        .iter()
        .map(|container| without_prefix(&container.image_id))
        .collect();
    let mut pruned = Pruned::default();
    for listed in listed(site).await? {
        let (id, bytes) = (listed.id.clone(), u64::try_from(listed.size).unwrap_or(0));
        let names: Vec<String> = images_of(listed)
            .into_iter()
            .map(|image| image.reference)
            .collect();
        let is_named = names.iter().any(|name| !name.contains('@'));
        if used.contains(&without_prefix(&id)) || (is_named && !options.all) {
            continue;
        }
        let mut is_kept = false;
        if options.dry_run {
            pruned.references.extend(names);
        } else {
            let targets = if is_named { names.clone() } else { vec![id] };
            for target in targets {
                match remove(site, &target).await {
                    Ok(removed) => {
                        pruned.layers += removed;
                        pruned.references.extend(is_named.then_some(target));
                    }
                    // Another image or program needs it, or has removed it.
                    Err(error) if matches!(error.status(), Status::InvalidState | Status::ImageNotFound) => {
                        is_kept = true;
                    }
                    Err(error) => return Err(error),
                }
            }
            if !is_named && !is_kept {
                pruned.references.extend(names);
            }
        }
        if !is_kept {
            pruned.freed_bytes = pruned.freed_bytes.saturating_add(bytes);
        }
    }
    Ok(pruned)
}

pub(super) async fn listed(site: &Site) -> Result<Vec<ListedImage>, RuntimeError> {
    let listed = site.client.get("/images/json", &[]).await;
    listed.map_err(|error| error.into_runtime(About::Image, "cannot list the images"))
}

/// The names of an image; of one that has none, those by its digests.
pub(super) fn images_of(listed: ListedImage) -> Vec<Image> {
    let is_named = |name: &&String| !name.contains(NAMELESS);
    let tags: Vec<&String> = listed.repo_tags.iter().filter(is_named).collect();
    let names = match tags.is_empty() {
        true => listed.repo_digests.iter().filter(is_named).collect(),
        false => tags,
    };
    let created = u64::try_from(listed.created).ok().filter(|seconds| *seconds > 0);
    let created = created.map(|seconds| Moment::from_nanoseconds(seconds.saturating_mul(1_000_000_000)));
    let image = |name: &String| {
        let reference = in_full(name).ok()?;
        Some(Image {
            digest: digest(&reference, &listed.repo_digests, &listed.id),
            reference,
            size_bytes: u64::try_from(listed.size).unwrap_or(0),
            created_at: created.map(Moment::to_rfc3339),
        })
    };
    names.into_iter().filter_map(image).collect()
}

pub(super) fn image(reference: String, found: InspectedImage) -> Image {
    Image {
        digest: digest(&reference, &found.repo_digests, &found.id),
        reference,
        size_bytes: u64::try_from(found.size).unwrap_or(0),
        created_at: moment(&found.created).map(|moment| Moment::from_nanoseconds(moment).to_rfc3339()),
    }
}

/// The digest of the manifest: the one that the reference names, else one by which the image's registry knows it, else any
/// other's; else the image's own id, which is that of its configuration.
fn digest(reference: &str, repo_digests: &[String], id: &str) -> String {
    let (repository, wanted) = split(reference);
    let known = repo_digests.iter().filter_map(|known| {
        let (name, digest) = known.split_once('@')?;
        let name = in_full(name).ok()?;
        Some((split(&name).0 == repository, digest.to_owned()))
    });
    let mut known: Vec<_> = known
        .filter(|(_, digest)| digest.starts_with("sha256:"))
        .collect();
    known.sort_by_key(|(is_own, digest)| (!is_own, digest != wanted));
    let first = known.into_iter().next().map(|(_, digest)| digest);
    first.unwrap_or_else(|| format!("sha256:{}", id.trim_start_matches("sha256:")))
}

pub(super) fn in_full(reference: &str) -> Result<String, RuntimeError> {
    match ImageReference::parse(reference) {
        Ok(reference) => Ok(reference.to_string()),
        Err(reason) => Err(invalid(format!("{reference:?}: {}", reason.message()))),
    }
}

/// The repository, and the digest or the tag of a reference in full.
fn split(reference: &str) -> (&str, &str) {
    if let Some((name, digest)) = reference.split_once('@') {
        let path = name.rfind('/').unwrap_or(0);
        let tag = name
            .get(path..)
            .and_then(|last| last.find(':'))
            .map(|at| path + at);
        return (tag.and_then(|tag| name.get(..tag)).unwrap_or(name), digest);
    }
    match reference.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (reference, "latest"),
    }
}

pub(super) fn absent(reference: &str) -> RuntimeError {
    RuntimeError::new(
        Status::ImageNotFound,
        format!("the daemon has no image {reference}: `selur images` lists them, `selur pull` fetches one"),
    )
}

/// What is wrong with a file is the caller's to mend. No registry is asked: words that sound like one's are of the file.
pub(super) fn broken_file(error: DaemonError, path: &Path) -> RuntimeError {
    if !matches!(error, DaemonError::Refused { .. }) {
        return error.into_runtime(About::Image, format_args!("cannot load {}", path.display()));
    }
    let error = error.into_runtime(About::Image, format_args!("cannot load {}", path.display()));
    match error.status() {
        Status::InternalError | Status::ImageNotFound | Status::NetworkError => {
            failure::reworded(Status::InvalidRequest, error)
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_taken_apart() {
        let cases = [
            (
                "docker.io/library/nginx:latest",
                "docker.io/library/nginx",
                "latest",
            ),
            ("127.0.0.1:5000/app:v1", "127.0.0.1:5000/app", "v1"),
            ("127.0.0.1:5000/app@sha256:00", "127.0.0.1:5000/app", "sha256:00"),
            (
                "127.0.0.1:5000/app:v1@sha256:00",
                "127.0.0.1:5000/app",
                "sha256:00",
            ),
        ];
        for (reference, repository, tag) in cases {
            assert_eq!(split(reference), (repository, tag));
        }
    }

    #[test]
    fn the_digest_is_the_registrys_own() {
        let known = ["other/x@sha256:1".to_owned(), "nginx@sha256:2".to_owned()];
        let reference = "docker.io/library/nginx:latest";
        assert_eq!(digest(reference, &known, "sha256:3"), "sha256:2");
        assert_eq!(digest("docker.io/library/y:1", &known, "sha256:3"), "sha256:1");
        assert_eq!(digest(reference, &[], "3"), "sha256:3");
        // One image, packed twice.
        let twice = ["nginx@sha256:1".to_owned(), "nginx@sha256:2".to_owned()];
        let named = "docker.io/library/nginx@sha256:2";
        assert_eq!(digest(named, &twice, "sha256:3"), "sha256:2");
    }
}
