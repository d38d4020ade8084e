//! Named volumes of the daemon, those that selur made: a label marks them.

use super::documents::{InspectedVolume, ListedVolumes, moment};
use super::failure::{About, DaemonError};
use super::site::Site;
use super::transport::Call;
use super::{Docker, SHORT_ANSWER_BYTES, labels};
use crate::spec::check_volume_name;
use crate::{ContainerSpec, RuntimeError, Volume, VolumeOptions, Volumes};
use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::RemoveVolumeOptions;
use futures_util::future::BoxFuture;
use hyper::Method;
use selur_protocol::{ContainerId, Status};
use selur_shim::Moment;
use std::collections::{BTreeMap, HashMap};

/// Makes the volumes that a container mounts and that are not there.
pub(super) async fn make_all(site: &Site, spec: &ContainerSpec) -> Result<(), RuntimeError> {
    for name in spec.volumes() {
        if find(site, name).await?.is_none() {
            make(site, name, BTreeMap::new()).await?;
        }
    }
    Ok(())
}

/// A volume of ours.
async fn find(site: &Site, name: &str) -> Result<Option<InspectedVolume>, RuntimeError> {
    match site
        .client
        .get::<InspectedVolume>(&format!("/volumes/{name}"), &[])
        .await
    {
        Ok(found) if found.labels.contains_key(labels::VOLUME) => Ok(Some(found)),
        Ok(_) => Err(RuntimeError::new(
            Status::InvalidState,
            format!("the daemon has a volume {name} that selur did not make: choose another name"),
        )),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => {
            Err(error.into_runtime(About::Volume, format_args!("cannot look at the volume {name}")))
        }
    }
}

async fn make(site: &Site, name: &str, labels: BTreeMap<String, String>) -> Result<(), RuntimeError> {
    labels::check(&labels)?;
    let own = (labels::VOLUME.to_owned(), String::new());
    let request = VolumeCreateRequest {
        name: Some(name.to_owned()),
        labels: Some(labels.into_iter().chain([own]).collect()),
        ..VolumeCreateRequest::default()
    };
    let call = Call::new(Method::POST, "/volumes/create").json(&request);
    let made = site.client.send(call, Some(SHORT_ANSWER_BYTES)).await;
    made.map(drop)
        .map_err(|error| error.into_runtime(About::Volume, format_args!("cannot make the volume {name}")))
}

/// Which containers of ours mount which volume. The specification says it: podman's list does not.
async fn users(site: &Site) -> Result<HashMap<String, Vec<ContainerId>>, RuntimeError> {
    let ours = site.ours().await;
    let ours = ours.map_err(|error| error.into_runtime(About::Daemon, "cannot list the containers"))?;
    let mut users: HashMap<String, Vec<ContainerId>> = HashMap::new();
    for (id, listed) in ours {
        let spec = listed.labels.get(labels::SPEC);
        let spec: ContainerSpec = spec
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default();
        for name in spec.volumes() {
            users.entry(name.to_owned()).or_default().push(id);
        }
    }
    Ok(users)
}

fn volume(found: InspectedVolume, users: Option<&Vec<ContainerId>>) -> Volume {
    let mut containers: Vec<String> = users.into_iter().flatten().map(ToString::to_string).collect();
    containers.sort();
    Volume {
        name: found.name,
        created_at: Moment::from_nanoseconds(moment(&found.created_at).unwrap_or(0)).to_rfc3339(),
        path: Some(found.mountpoint).filter(|path| !path.is_empty()),
        labels: labels::of_user(found.labels),
        containers,
    }
}

impl Volumes for Docker {
    fn create<'a>(
        &'a self,
        name: &'a str,
        options: VolumeOptions,
    ) -> BoxFuture<'a, Result<Volume, RuntimeError>> {
        Box::pin(async move {
            check_volume_name("name", name)?;
            match find(&self.site, name).await? {
                None => make(&self.site, name, options.labels).await?,
                Some(found) if labels::of_user(found.labels.clone()) == options.labels => {}
                Some(_) => {
                    let message = format!("the volume {name} exists with other labels: delete it first");
                    return Err(RuntimeError::new(Status::InvalidState, message));
                }
            }
            self.inspect(name).await
        })
    }

    fn inspect<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Volume, RuntimeError>> {
        Box::pin(async move {
            check_volume_name("name", name).map_err(|_| absent(name))?;
            let found = find(&self.site, name).await;
            let found = found.or_else(invisible)?.ok_or_else(|| absent(name))?;
            Ok(volume(found, users(&self.site).await?.get(name)))
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<Volume>, RuntimeError>> {
        Box::pin(async move {
            let filters = format!(r#"{{"label":["{}"]}}"#, labels::VOLUME);
            let query = [("filters", filters.as_str())];
            let listed = self.site.client.get::<ListedVolumes>("/volumes", &query).await;
            let listed =
                listed.map_err(|error| error.into_runtime(About::Volume, "cannot list the volumes"))?;
            let users = users(&self.site).await?;
            let ours = listed.volumes.into_iter();
            let ours = ours.filter(|found| found.labels.contains_key(labels::VOLUME));
            let mut volumes: Vec<_> = ours
                .map(|found| {
                    let users = users.get(&found.name);
                    volume(found, users)
                })
                .collect();
            volumes.sort_by(|one, other| one.name.cmp(&other.name));
            Ok(volumes)
        })
    }

    fn delete<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), RuntimeError>> {
        Box::pin(async move {
            check_volume_name("name", name).map_err(|_| absent(name))?;
            let found = find(&self.site, name).await;
            found.or_else(invisible)?.ok_or_else(|| absent(name))?;
            if let Some(user) = users(&self.site).await?.get(name).and_then(|users| users.first()) {
                let message = format!("the container {user} mounts the volume {name}: delete it first");
                return Err(RuntimeError::new(Status::InvalidState, message));
            }
            let deleted = self
                .site
                .client
                .typed()
                .remove_volume(name, None::<RemoveVolumeOptions>)
                .await;
            deleted.map_err(DaemonError::from).map_err(|error| {
                error.into_runtime(About::Volume, format_args!("cannot delete the volume {name}"))
            })
        })
    }
}

/// Another's volume is not seen.
fn invisible(error: RuntimeError) -> Result<Option<InspectedVolume>, RuntimeError> {
    match error.status() {
        Status::InvalidState => Ok(None),
        _ => Err(error),
    }
}

fn absent(name: &str) -> RuntimeError {
    RuntimeError::new(
        Status::VolumeNotFound,
        format!("there is no volume {name}: `selur volume ls` lists them"),
    )
}
