//! hosted.json

use super::build::*;
use crate::vector::{FrameText, Text, Vector};

/// An exec specification that is well formed.
const TRUE: &str = r#"{"command":["true"]}"#;

pub(super) fn vectors() -> Vec<Vector> {
    let mut vectors = containers();
    vectors.extend(images());
    vectors.extend(volumes());
    vectors.extend(options());
    vectors.extend(waiting());
    vectors
}

/// The commands on a container: who it is, before anything is opened.
fn containers() -> Vec<Vector> {
    let commands: [(&str, &[&str]); 5] = [
        ("exec", &[TRUE]),
        ("logs", &[]),
        ("attach", &["{}"]),
        ("stats", &[]),
        ("top", &[]),
    ];
    let mut vectors = Vec::new();
    for (command, options) in commands {
        let with = |container| [&[container], options].concat();
        vectors.push(
            vector(&format!("{command}_without_a_container_is_refused"))
                .request(command, &[], invalid("container"))
                .request(command, &with(""), invalid("container"))
                .request(command, &with("-web"), invalid("container"))
                .request(
                    command,
                    &with("no-such"),
                    failure("container_not_found", &["no-such"]),
                )
                .request(
                    command,
                    &with(&"0".repeat(32)),
                    failure("container_not_found", &[]),
                ),
        );
        vectors.push(
            vector(&format!("{command}_takes_no_third_field"))
                .create(NGINX)
                .request(command, &[ID, "{}", ""], invalid("fields"))
                .request(command, &[ID, "{}", "{}"], invalid("fields")),
        );
    }
    vectors.push(
        vector("top_takes_no_options")
            .create(NGINX)
            .each(&["start"])
            .request("top", &[ID, ""], invalid("fields"))
            .request("top", &[ID, "{}"], invalid("fields")),
    );
    vectors.push(
        vector("an_exec_without_a_specification_is_refused")
            .create(NGINX)
            .each(&["start"])
            .request("exec", &[ID], invalid("specification"))
            .request("exec", &[ID, ""], invalid("specification")),
    );
    vectors.push(
        vector("what_is_malformed_is_refused_before_the_container_is_looked_for")
            .request("exec", &["no-such"], invalid("specification"))
            .request("logs", &["no-such", "{}", ""], invalid("fields")),
    );
    vectors
}

fn images() -> Vec<Vector> {
    let mut vectors = Vec::new();
    for command in ["pull_image", "push_image", "delete_image", "tag_image"] {
        vectors.push(
            vector(&format!("{command}_without_an_image_is_refused"))
                .request(command, &[], invalid("image"))
                .request(command, &["", NGINX], invalid("image"))
                .request(command, &["Nginx"], invalid("image"))
                .request(command, &["nginx:"], invalid("image"))
                .request(command, &["a//b"], invalid("image")),
        );
        vectors.push(vector(&format!("{command}_takes_no_third_field")).request(
            command,
            &[NGINX, "mine", ""],
            invalid("fields"),
        ));
    }
    vectors.push(vector("delete_image_takes_no_options").request(
        "delete_image",
        &[NGINX, "{}"],
        invalid("fields"),
    ));
    vectors.push(
        vector("tag_image_without_a_second_image_is_refused")
            .request("tag_image", &[NGINX], invalid("image"))
            .request("tag_image", &[NGINX, ""], invalid("image"))
            .request("tag_image", &[NGINX, "Mine"], invalid("Mine")),
    );
    vectors.push(
        vector("load_image_without_a_path_is_refused")
            .request("load_image", &[], invalid("path"))
            .request("load_image", &["", "{}"], invalid("path"))
            .request("load_image", &["image.tar", "{}", ""], invalid("fields")),
    );
    for command in ["list_images", "list_volumes"] {
        vectors.push(
            vector(&format!("{command}_takes_no_payload"))
                .request(command, &["{}"], invalid("no payload"))
                .request(command, &["", ""], invalid("no payload")),
        );
    }
    for command in ["events", "prune_images"] {
        vectors.push(
            vector(&format!("{command}_takes_no_second_field"))
                .request(command, &["", ""], invalid("fields"))
                .request(command, &["{}", "{}"], invalid("fields")),
        );
    }
    vectors
}

fn volumes() -> Vec<Vector> {
    let long = "d".repeat(64);
    let bad = [
        ("nothing", ""),
        ("a_hyphen_first", "-data"),
        ("a_dot_first", ".data"),
        ("a_slash", "data/base"),
        ("a_space", "my data"),
        ("letters_beyond_ascii", "däta"),
        ("more_than_63_characters", &long),
    ];
    let commands = ["create_volume", "inspect_volume", "delete_volume"];
    let mut vectors: Vec<_> = bad
        .into_iter()
        .map(|(kind, name)| {
            commands.into_iter().fold(
                vector(&format!("a_volume_may_not_be_named_by_{kind}")),
                |it, command| it.request(command, &[name], invalid("volume name")),
            )
        })
        .collect();
    vectors.push(vector("a_volume_may_not_be_named_like_an_id").request(
        "create_volume",
        &[&"0a".repeat(16)],
        invalid("32 hex digits"),
    ));
    for (command, options) in [
        ("create_volume", &["{}", ""][..]),
        ("inspect_volume", &["{}"]),
        ("delete_volume", &["{}"]),
    ] {
        let fields = [&["data"], options].concat();
        vectors.push(vector(&format!("{command}_takes_no_more_fields")).request(
            command,
            &fields,
            invalid("fields"),
        ));
    }
    vectors
}

/// Options and exec specifications of more than 65,536 bytes.
fn options() -> Vec<Vector> {
    let long = || within("{", " ", 65_535, "}");
    let subjects = [
        ("exec", "no-such"),
        ("logs", "no-such"),
        ("attach", "no-such"),
        ("stats", "no-such"),
        ("pull_image", NGINX),
        ("push_image", NGINX),
        ("load_image", "image.tar"),
        ("create_volume", "data"),
    ];
    let mut vectors: Vec<_> = subjects
        .into_iter()
        .map(|(command, subject)| too_long(command, vec![plain(subject), long()]))
        .collect();
    vectors.extend(["events", "prune_images"].map(|command| too_long(command, vec![long()])));
    let longest = FrameText {
        fields: Some(vec![plain("no-such"), within("{", " ", 65_534, "}")]),
        ..frame("logs", &[])
    };
    vectors.push(vector("options_may_have_65536_bytes").send(longest, failure("container_not_found", &[])));
    vectors
}

fn too_long(command: &str, fields: Vec<Text>) -> Vector {
    let frame = FrameText {
        fields: Some(fields),
        ..frame(command, &[])
    };
    vector(&format!("{command}_takes_no_more_than_65536_bytes_of_options")).send(frame, invalid("65,536"))
}

/// What waits for a create that does not come to its end.
fn waiting() -> Vec<Vector> {
    let creating = |name: &str| {
        vector(name)
            .submit("create", "create", &["fault.test/hang:create", "web"])
            .submit("exec", "exec", &["web", TRUE])
            .submit("logs", "logs", &["web"])
    };
    let deleted = || failure("container_not_found", &[]);
    vec![
        creating("streams_that_wait_for_a_create_end_with_it")
            .cancel("logs")
            .cancel("create")
            .answer("exec", deleted()),
        creating("a_forced_delete_cancels_streams_that_wait_for_a_create")
            .request("delete", &["web", "force"], done())
            .answer("exec", failure("cancelled", &["forced"]))
            .answer("logs", failure("cancelled", &["forced"])),
    ]
}
