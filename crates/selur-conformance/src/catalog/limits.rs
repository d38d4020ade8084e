//! limits.json

use super::build::*;
use super::specs::spec_of;
use crate::vector::Vector;
use serde_json::json as value;

/// Source: DESIGN, "Size".
const CONTAINERS: u32 = 1024;

pub(super) fn vectors() -> Vec<Vector> {
    vec![
        vector("there_are_at_most_1024_containers")
            .repeatedly(CONTAINERS - 1, "create", &[NGINX], created("other"))
            .create_named(NGINX, "last")
            .request("create", &[NGINX], failure("resource_exhausted", &["full"]))
            .request(
                "create",
                &[NGINX, "web"],
                failure("resource_exhausted", &["full"]),
            )
            .inspect(value!({ "name": "last" }))
            .each(&["delete"])
            .create_named(NGINX, "web"),
        vector("a_spec_of_65536_bytes_is_taken")
            .send(spec_of(65_536), created("id"))
            .inspect(value!({ "state": "created" })),
        vector("a_spec_of_65537_bytes_is_refused")
            .send(spec_of(65_537), invalid("65,536"))
            .request("list", &[], done()),
        vector("records_are_used_again")
            .repeatedly(
                3000,
                "create",
                &["fault.test/pull:network_error", "web"],
                failure("network_error", &[]),
            )
            .create_named(NGINX, "web")
            .request("list", &[], data(ID)),
    ]
}
