//! A registry that goes away in the middle of a pull.

use crate::evidence::Checked;
use crate::world::{DEADLINE, World, block_on, noise_image, perform};
use selur_protocol::Status;
use selur_runtime::{ContainerSpec, Oci, Operation, Runtime, RuntimeError};
use selur_testkit::{Contents, Reply, ScriptedRegistry, wait_until};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How the registry is, as numbers.
const WELL: usize = 0;
const CUTS_OFF_IN_THE_MIDDLE: usize = 1;
const HANGS_UP: usize = 2;
const GONE: usize = 3;

/// How many layers a store has whole.
fn records(layers: &Path) -> usize {
    let entries = std::fs::read_dir(layers).into_iter().flatten().flatten();
    let records = entries.filter(|entry| entry.path().extension().is_some_and(|kind| kind == "json"));
    records.count()
}

fn pull(oci: &Oci, reference: &str) -> Result<(), RuntimeError> {
    let images = oci.images().expect("a store");
    block_on(images.pull(reference, &|_| {}, Default::default())).map(drop)
}

#[test]
fn a_registry_that_goes_away_in_the_middle_of_a_pull_leaves_what_came_and_nothing_half_made() {
    let world = World::new();
    let image = noise_image(77);
    let first = image.layers[0].digest();
    let mode = Arc::new(AtomicUsize::new(WELL));
    let (seen, blobs) = (mode.clone(), image.clone());
    let layers = world.path().join("images/layers");
    let there = records(&layers);
    let registry = ScriptedRegistry::start(Contents::new().image("app", "v1", &image), move |request| {
        let layer = blobs
            .layers
            .iter()
            .find(|layer| request.path.ends_with(&layer.digest()))?;
        if layer.digest() == first || seen.load(Ordering::SeqCst) == WELL {
            return None;
        }
        // The first layer comes whole, so that there is something to go on with.
        wait_until("the first layer is in the store", DEADLINE, || {
            records(&layers) > there
        });
        let half = &layer.blob()[..layer.blob().len() / 2];
        match seen.load(Ordering::SeqCst) {
            CUTS_OFF_IN_THE_MIDDLE => Some(Reply::status(200).body(half).claims(layer.blob().len() as u64)),
            HANGS_UP => Some(Reply::hangs_up()),
            _ => None,
        }
    });
    let reference = format!("{}/app:v1", registry.address());
    let oci = world.open();
    for way in [CUTS_OFF_IN_THE_MIDDLE, HANGS_UP] {
        mode.store(way, Ordering::SeqCst);
        let error = pull(&oci, &reference).expect_err("the registry breaks off");
        assert_eq!(error.status(), Status::NetworkError, "{}", error.chain());
        let create = Operation::Create {
            image: reference.clone(),
            name: Some("app".into()),
            spec: Box::new(ContainerSpec::default()),
        };
        let error = perform(&oci, crate::world::new_id(), create).expect_err("no image");
        assert_eq!(error.status(), Status::NetworkError, "{}", error.chain());
        let images = oci.images().expect("a store");
        let listed = block_on(images.list()).expect("a list");
        assert!(
            listed.iter().all(|image| image.reference != reference),
            "{listed:?}"
        );
        for directory in [
            "containers",
            "states",
            "images/ingest",
            "images/leases",
            "images/locks",
        ] {
            let left = std::fs::read_dir(world.path().join(directory))
                .expect("a directory")
                .count();
            assert_eq!(left, 0, "in {directory}");
        }
    }
    mode.store(WELL, Ordering::SeqCst);
    pull(&oci, &reference).expect("the registry is back");
    let fetched = registry.counts();
    let of_first = format!("/v2/app/blobs/{}", image.layers[0].digest());
    assert_eq!(
        fetched.get(&of_first),
        Some(&1),
        "what had come is not fetched again: {fetched:?}"
    );

    // Its process ends.
    mode.store(GONE, Ordering::SeqCst);
    drop(registry);
    let images = oci.images().expect("a store");
    block_on(images.delete(&reference)).expect("a deletion");
    let error = pull(&oci, &reference).expect_err("nobody listens");
    assert_eq!(error.status(), Status::NetworkError, "{}", error.chain());
    let mut checked = Checked::default();
    checked.clean_up(&world, oci);
    println!(
        "a registry that goes away: cut off, hung up, gone; {}",
        checked.told()
    );
}
