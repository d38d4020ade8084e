//! volumes.json

use super::build::*;
use crate::vector::Vector;
use serde_json::{Value, json as value};

pub(super) fn vectors() -> Vec<Vector> {
    let data = |containers: Value| json(value!({ "name": "data", "labels": {}, "containers": containers }));
    let absent = || failure("volume_not_found", &["data"]);
    let mounts = value!({ "mounts": [{ "type": "volume", "source": "data", "target": "/data" }] });
    vec![
        vector("there_are_no_volumes_at_first").request("list_volumes", &[], json(value!([]))),
        vector("a_volume_that_is_not_there_is_not_found")
            .request("inspect_volume", &["data"], absent())
            .request("delete_volume", &["data"], absent()),
        vector("a_volume_is_made_shown_and_removed")
            .request("create_volume", &["data"], data(value!([])))
            .request("inspect_volume", &["data"], data(value!([])))
            .request("list_volumes", &[], json(value!([{ "name": "data" }])))
            .request("delete_volume", &["data"], done())
            .request("inspect_volume", &["data"], absent())
            .request("list_volumes", &[], json(value!([]))),
        vector("volumes_are_listed_by_name")
            .request("create_volume", &["web"], json(value!({ "name": "web" })))
            .request("create_volume", &["db"], json(value!({ "name": "db" })))
            .request(
                "list_volumes",
                &[],
                json(value!([{ "name": "db" }, { "name": "web" }])),
            ),
        vector("a_volume_that_is_there_is_left_as_it_is")
            .request("create_volume", &["data"], data(value!([])))
            .request("create_volume", &["data", "{}"], data(value!([])))
            .request(
                "create_volume",
                &["data", r#"{"labels":{"a":"b"}}"#],
                failure("invalid_state", &["labels"]),
            ),
        vector("a_volume_has_labels").request(
            "create_volume",
            &["data", r#"{"labels":{"a":"b"}}"#],
            json(value!({ "name": "data", "labels": { "a": "b" } })),
        ),
        vector("an_unknown_option_of_create_volume_is_refused").request(
            "create_volume",
            &["data", r#"{"driver":"nfs"}"#],
            invalid("driver"),
        ),
        vector("a_volume_that_a_container_mounts_is_made_and_kept")
            .create_with(NGINX, mounts)
            .request("inspect_volume", &["data"], data(value!([ID])))
            .request("delete_volume", &["data"], failure("invalid_state", &[ID]))
            .each(&["delete"])
            .request("inspect_volume", &["data"], data(value!([])))
            .request("delete_volume", &["data"], done()),
        vector("a_volume_and_a_container_may_have_the_same_name")
            .create_named(NGINX, "data")
            .request("create_volume", &["data"], data(value!([])))
            .request("delete_volume", &["data"], done())
            .inspect(value!({ "name": "data" })),
    ]
}
