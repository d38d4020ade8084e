//! store.json

use super::build::*;
use crate::vector::{Expect, Vector};
use serde_json::{Value, json as value};

const FULL: &str = "docker.io/library/nginx:latest";
const MINE: &str = "localhost:5000/mine:2";

pub(super) fn vectors() -> Vec<Vector> {
    let mut vectors = kept();
    vectors.extend(transferred());
    vectors.extend(removed());
    vectors
}

fn images(references: &[&str]) -> Expect {
    let images: Vec<Value> = references
        .iter()
        .map(|reference| value!({ "reference": reference }))
        .collect();
    json(Value::Array(images))
}

fn absent() -> Expect {
    failure("image_not_found", &[])
}

fn kept() -> Vec<Vector> {
    let pulled =
        |name: &str| vector(name).request("pull_image", &[NGINX], json(value!({ "reference": FULL })));
    vec![
        vector("the_store_is_empty_at_first").request("list_images", &[], images(&[])),
        pulled("a_pulled_image_is_listed_by_its_full_name")
            .request("list_images", &[], images(&[FULL]))
            .request("pull_image", &["nginx"], json(value!({ "reference": FULL })))
            .request("list_images", &[], images(&[FULL])),
        pulled("a_pulled_image_needs_no_pull")
            .send(
                create_frame(NGINX, "", value!({ "pull": "never" })),
                created("id"),
            )
            .inspect(value!({ "image": FULL })),
        vector("a_created_container_leaves_its_image_in_the_store")
            .create(NGINX)
            .request("list_images", &[], images(&[FULL])),
        pulled("a_tag_is_a_second_name")
            .request("tag_image", &[NGINX, MINE], done())
            .request("list_images", &[], images(&[FULL, MINE]))
            .request("delete_image", &[NGINX], done())
            .request("list_images", &[], images(&[MINE])),
        vector("an_image_that_is_not_there_can_not_be_tagged").request("tag_image", &[NGINX, MINE], absent()),
        pulled("an_image_can_not_be_tagged_with_a_digest").request(
            "tag_image",
            &[NGINX, &format!("mine@sha256:{}", "0".repeat(64))],
            failure("invalid_request", &["digest"]),
        ),
        vector("a_file_that_is_no_image_is_not_loaded").request(
            "load_image",
            &["no/such/file", r#"{"reference":"mine"}"#],
            failure("invalid_request", &["no/such/file"]),
        ),
        vector("an_unknown_option_of_an_image_command_is_refused")
            .request("pull_image", &[NGINX, r#"{"loud":true}"#], invalid("loud"))
            .request("push_image", &[NGINX, r#"{"loud":true}"#], invalid("loud"))
            .request("load_image", &["image.tar", r#"{"loud":true}"#], invalid("loud"))
            .request("prune_images", &[r#"{"loud":true}"#], invalid("loud"))
            .request("pull_image", &[NGINX, "always"], invalid("options")),
    ]
}

fn transferred() -> Vec<Vector> {
    vec![
        vector("a_pull_with_progress_is_answered_when_its_stream_is_open").request(
            "pull_image",
            &[NGINX, r#"{"progress":true}"#],
            stream(),
        ),
        vector("a_pull_that_the_registry_refuses_fails_with_its_status")
            .request(
                "pull_image",
                &["fault.test/pull:network_error"],
                failure("network_error", &["pull"]),
            )
            .request("pull_image", &["fault.test/no-such:1"], absent())
            .request("list_images", &[], images(&[])),
        vector("a_pull_that_is_cancelled_leaves_nothing")
            .submit("pull", "pull_image", &["fault.test/hang:pull"])
            .cancel("pull")
            .request("list_images", &[], images(&[])),
        vector("a_pull_that_takes_too_long_times_out")
            .deadline_ms(20)
            .request("pull_image", &["fault.test/hang:pull"], failure("timeout", &[])),
        vector("pulls_do_not_wait_for_each_other")
            .submit("hangs", "pull_image", &["fault.test/hang:pull"])
            .request("pull_image", &[NGINX], json(value!({ "reference": FULL })))
            .cancel("hangs"),
        vector("a_push_is_answered_with_the_digest")
            .request("push_image", &[NGINX], absent())
            .request("pull_image", &[NGINX], json(value!({ "reference": FULL })))
            .request("push_image", &[NGINX], json(value!({ "reference": FULL })))
            .request("push_image", &[NGINX, r#"{"progress":true}"#], stream()),
    ]
}

fn removed() -> Vec<Vector> {
    let freed = |references: &[&str]| json(value!({ "references": references }));
    let dry = r#"{"all":true,"dry_run":true}"#;
    vec![
        vector("an_image_that_is_deleted_is_gone")
            .request("delete_image", &[NGINX], absent())
            .request("pull_image", &[NGINX], json(value!({ "reference": FULL })))
            .request("delete_image", &["nginx"], done())
            .request("list_images", &[], images(&[]))
            .request("delete_image", &[NGINX], absent()),
        vector("an_image_that_a_container_is_made_from_is_kept")
            .create(NGINX)
            .request("delete_image", &[NGINX], failure("invalid_state", &[ID]))
            .request("prune_images", &[r#"{"all":true}"#], freed(&[]))
            .each(&["delete"])
            .request("delete_image", &[NGINX], done()),
        vector("a_prune_that_is_dry_tells_and_removes_nothing")
            .request("pull_image", &[NGINX], json(value!({ "reference": FULL })))
            .request("prune_images", &[dry], freed(&[FULL]))
            .request("list_images", &[], images(&[FULL]))
            .request("prune_images", &[r#"{"all":true}"#], freed(&[FULL]))
            .request("list_images", &[], images(&[])),
        vector("a_prune_keeps_images_that_have_a_name")
            .request("pull_image", &[NGINX], json(value!({ "reference": FULL })))
            .request("prune_images", &[], freed(&[]))
            .request("list_images", &[], images(&[FULL])),
    ]
}
