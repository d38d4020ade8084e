//! images.json

use super::build::*;
use crate::vector::Vector;
use serde_json::json as value;

const SHA256: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

pub(super) fn vectors() -> Vec<Vector> {
    let mut vectors: Vec<_> = valid()
        .into_iter()
        .map(|(name, written, meant)| {
            vector(&format!("an_image_may_have_{name}"))
                .create(&written)
                .inspect(value!({ "image": meant, "state": "created" }))
        })
        .collect();
    vectors.extend(invalid_references().into_iter().map(|(name, written)| {
        vector(&format!("an_image_may_not_have_{name}"))
            .request("create", &[&written], invalid("image"))
            .request("list", &[], done())
    }));
    vectors.push(
        vector("an_image_must_not_be_missing")
            .request("create", &[], invalid("image"))
            .request("create", &["", "web"], invalid("image"))
            .create_named(NGINX, "web"),
    );
    vectors.push(
        vector("an_image_may_be_used_by_many_containers")
            .request("create", &[NGINX], created("a"))
            .request("create", &[NGINX], created("b"))
            .request(
                "inspect",
                &["$a"],
                json(value!({ "id": "$a", "image": "docker.io/library/nginx:latest" })),
            )
            .request(
                "inspect",
                &["$b"],
                json(value!({ "id": "$b", "image": "docker.io/library/nginx:latest" })),
            ),
    );
    vectors
}

fn valid() -> Vec<(&'static str, String, String)> {
    let long_tag = "t".repeat(128);
    let long_path = "a".repeat(255 - "localhost/".len());
    let digest = SHA256;
    let sha512 = format!("sha512:{}", "0123456789abcdef".repeat(8));
    let cases: [(&str, &str, &str); 24] = [
        ("nothing_but_a_name", "nginx", "docker.io/library/nginx:latest"),
        ("a_tag", "nginx:1.27", "docker.io/library/nginx:1.27"),
        (
            "a_tag_with_underscore_and_dashes",
            "nginx:_a.B-c",
            "docker.io/library/nginx:_a.B-c",
        ),
        (
            "a_tag_of_128_characters",
            &format!("nginx:{long_tag}"),
            &format!("docker.io/library/nginx:{long_tag}"),
        ),
        (
            "the_default_namespace",
            "library/nginx",
            "docker.io/library/nginx:latest",
        ),
        ("a_namespace", "team/app:v1.0", "docker.io/team/app:v1.0"),
        (
            "a_deep_path",
            "registry.example.com/a/b/c/d",
            "registry.example.com/a/b/c/d:latest",
        ),
        (
            "the_default_registry",
            "docker.io/nginx",
            "docker.io/library/nginx:latest",
        ),
        (
            "the_old_default_registry",
            "index.docker.io/nginx",
            "docker.io/library/nginx:latest",
        ),
        ("a_registry", "ghcr.io/org/app:v1.0", "ghcr.io/org/app:v1.0"),
        (
            "a_registry_with_a_port",
            "127.0.0.1:5000/app",
            "127.0.0.1:5000/app:latest",
        ),
        (
            "a_registry_with_the_last_port",
            "127.0.0.1:65535/app",
            "127.0.0.1:65535/app:latest",
        ),
        ("localhost_as_a_registry", "localhost/app", "localhost/app:latest"),
        (
            "localhost_with_a_port",
            "localhost:5000/app:x",
            "localhost:5000/app:x",
        ),
        (
            "localhost_as_a_name",
            "localhost:5000",
            "docker.io/library/localhost:5000",
        ),
        ("an_upper_case_registry", "Registry/app", "Registry/app:latest"),
        ("an_ipv6_registry", "[::1]/app", "[::1]/app:latest"),
        (
            "an_ipv6_registry_with_a_port",
            "[2001:db8::1]:5000/app:x",
            "[2001:db8::1]:5000/app:x",
        ),
        (
            "a_first_component_without_a_dot",
            "registry/app",
            "docker.io/registry/app:latest",
        ),
        (
            "every_separator",
            "x/a.b_c__d-e---f/g0",
            "docker.io/x/a.b_c__d-e---f/g0:latest",
        ),
        (
            "a_digest",
            &format!("nginx@{digest}"),
            &format!("docker.io/library/nginx@{digest}"),
        ),
        (
            "a_tag_and_a_digest",
            &format!("nginx:1@{digest}"),
            &format!("docker.io/library/nginx:1@{digest}"),
        ),
        (
            "a_sha512_digest",
            &format!("nginx@{sha512}"),
            &format!("docker.io/library/nginx@{sha512}"),
        ),
        (
            "a_name_of_255_characters",
            &format!("localhost/{long_path}"),
            &format!("localhost/{long_path}:latest"),
        ),
    ];
    cases
        .into_iter()
        .map(|(name, written, meant)| (name, written.to_string(), meant.to_string()))
        .collect()
}

fn invalid_references() -> Vec<(&'static str, String)> {
    let cases: [(&str, &str); 35] = [
        ("capitals", "Nginx"),
        ("capitals_in_a_path", "team/App"),
        ("a_space", "nginx latest"),
        ("a_space_before_it", " nginx"),
        ("a_line_feed_behind_it", "nginx\n"),
        ("letters_beyond_ascii", "nginx-é"),
        ("a_scheme", "https://registry.example.com/app"),
        ("an_empty_tag", "nginx:"),
        ("only_a_tag", ":latest"),
        ("a_tag_that_begins_with_a_dash", "nginx:-1"),
        ("a_tag_that_begins_with_a_dot", "nginx:.1"),
        ("a_tag_with_a_plus", "nginx:1+2"),
        ("a_tag_of_129_characters", &format!("nginx:{}", "t".repeat(129))),
        ("two_tags", "nginx:1:2"),
        ("a_slash_before_it", "/nginx"),
        ("a_slash_behind_it", "nginx/"),
        ("two_slashes", "team//app"),
        ("two_dots", "a..b"),
        ("three_underscores", "a___b"),
        ("mixed_separators", "a._b"),
        ("a_dash_before_it", "-a"),
        ("a_dash_behind_it", "a-"),
        ("a_path_that_climbs", "localhost/../app"),
        ("port_0", "localhost:0/app"),
        ("port_65536", "localhost:65536/app"),
        ("a_port_that_is_no_number", "localhost:http/app"),
        ("a_registry_that_begins_with_a_dash", "-a.example/app"),
        ("an_open_bracket", "[::1/app"),
        ("an_empty_digest", "nginx@"),
        ("a_short_digest", "nginx@sha256:0123"),
        (
            "a_digest_in_capitals",
            &format!("nginx@{}", SHA256.to_uppercase().replace("SHA", "sha")),
        ),
        ("the_id_of_an_image", SHA256.trim_start_matches("sha256:")),
        ("an_unknown_digest", "nginx@md5:0123456789abcdef0123456789abcdef"),
        ("two_digests", &format!("nginx@{SHA256}@{SHA256}")),
        (
            "a_name_of_256_characters",
            &format!("localhost/{}", "a".repeat(256 - "localhost/".len())),
        ),
    ];
    cases
        .into_iter()
        .map(|(name, written)| (name, written.to_string()))
        .collect()
}
