//! The labels by which a container or a volume is known to be selur's, and what else is kept in them.
//!
//! The daemon is the only place where anything is kept: any number of processes drive its containers, on this machine or
//! through the same socket elsewhere.

use crate::{ContainerSpec, RuntimeError};
use selur_protocol::ContainerId;
use std::collections::{BTreeMap, HashMap};

/// What every label of ours begins with.
pub(super) const PREFIX: &str = "dev.selur.";
/// The container's identity: 32 hex digits.
pub(super) const ID: &str = "dev.selur.id";
/// The image reference in full, as it was asked for.
pub(super) const IMAGE: &str = "dev.selur.image";
/// The digest of the image's manifest.
pub(super) const DIGEST: &str = "dev.selur.image-digest";
/// The specification as it was asked for, in JSON.
pub(super) const SPEC: &str = "dev.selur.spec";
/// Marks a volume.
pub(super) const VOLUME: &str = "dev.selur.volume";

/// The labels of a container.
pub(super) fn of_container(
    id: ContainerId,
    image: &str,
    digest: &str,
    spec: &ContainerSpec,
) -> Result<HashMap<String, String>, RuntimeError> {
    check(&spec.labels)?;
    let json = serde_json::to_string(spec).map_err(|error| {
        super::failure::invalid(format!("the container specification cannot be written: {error}"))
    })?;
    let own = [
        (ID, id.to_string()),
        (IMAGE, image.to_owned()),
        (DIGEST, digest.to_owned()),
        (SPEC, json),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value));
    Ok(spec.labels.clone().into_iter().chain(own).collect())
}

/// Refuses labels that would be taken for ours.
pub(super) fn check(labels: &BTreeMap<String, String>) -> Result<(), RuntimeError> {
    match labels.keys().find(|name| name.starts_with(PREFIX)) {
        Some(name) => Err(super::failure::invalid(format!(
            "labels: {name:?} begins with {PREFIX}, which this backend keeps for itself: choose another name"
        ))),
        None => Ok(()),
    }
}

/// What people put there.
pub(super) fn of_user(labels: HashMap<String, String>) -> BTreeMap<String, String> {
    let is_theirs = |(name, _): &(String, String)| !name.starts_with(PREFIX);
    labels.into_iter().filter(is_theirs).collect()
}

/// Whose container it is, if it is one of ours.
pub(super) fn id(labels: &HashMap<String, String>) -> Option<ContainerId> {
    ContainerId::parse(labels.get(ID)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_that_would_be_taken_for_ours_are_refused() {
        let labels = |name: &str| [(name.to_owned(), String::new())].into();
        assert!(check(&labels("dev.selur.id")).is_err());
        assert!(check(&labels("dev.selur.anything")).is_err());
        assert!(check(&labels("dev.selurian")).is_ok());
    }

    #[test]
    fn our_labels_are_not_shown() {
        let spec = ContainerSpec {
            labels: [("team".to_owned(), "blue".to_owned())].into(),
            ..ContainerSpec::default()
        };
        let id = ContainerId::from_bytes([7; 16]);
        let all = of_container(id, "docker.io/library/x:1", "sha256:0", &spec).expect("labels");
        assert_eq!((all.len(), super::id(&all)), (5, Some(id)));
        assert_eq!(of_user(all), spec.labels);
    }
}
