//! specs.json: mounts, resources, capabilities and hosts.

use serde_json::{Value, json as value};

/// What inspect gives back as it was asked for.
pub(super) fn honoured() -> Vec<(&'static str, Value)> {
    vec![
        (
            "a_bind_mount",
            value!({ "mounts": [{ "type": "bind", "source": "/srv/www", "target": "/www", "read_only": true }] }),
        ),
        (
            "a_volume",
            value!({ "mounts": [{ "type": "volume", "source": "data", "target": "/data", "read_only": false }] }),
        ),
        (
            "a_tmpfs",
            value!({ "mounts": [
                { "type": "tmpfs", "target": "/tmp", "size_bytes": 1_048_576, "mode": "1777", "read_only": false }
            ] }),
        ),
        (
            "resources",
            value!({ "resources": { "memory_bytes": 67_108_864, "cpus": 0.5, "pids": 100 } }),
        ),
        ("a_read_only_root", value!({ "read_only_root": true })),
        (
            "capabilities",
            value!({ "capabilities": { "add": ["NET_ADMIN", "CAP_SYS_TIME"], "drop": ["ALL"] } }),
        ),
        (
            "extra_hosts",
            value!({ "extra_hosts": ["db:10.0.0.7", "six.example:fd00::7"] }),
        ),
        (
            "an_input_and_a_terminal",
            value!({ "stdin": true, "terminal": true }),
        ),
    ]
}

/// What is refused, with a word of the message.
pub(super) fn refused() -> Vec<(&'static str, Value, &'static str)> {
    let mount = |mount: Value| value!({ "mounts": [mount] });
    vec![
        (
            "an_unknown_field_in_a_mount",
            mount(value!({ "type": "tmpfs", "target": "/t", "colour": "red" })),
            "colour",
        ),
        (
            "a_mount_of_no_type",
            mount(value!({ "target": "/t" })),
            "mounts[0]",
        ),
        (
            "a_mount_of_an_unknown_type",
            mount(value!({ "type": "nfs", "target": "/t" })),
            "nfs",
        ),
        (
            "a_mount_at_the_root",
            mount(value!({ "type": "tmpfs", "target": "/" })),
            "mounts[0].target",
        ),
        (
            "a_mount_at_a_relative_path",
            mount(value!({ "type": "tmpfs", "target": "t" })),
            "mounts[0].target",
        ),
        (
            "a_mount_that_leads_upwards",
            mount(value!({ "type": "tmpfs", "target": "/a/../b" })),
            "mounts[0].target",
        ),
        (
            "a_mount_in_proc",
            mount(value!({ "type": "tmpfs", "target": "/proc/sys" })),
            "mounts[0].target",
        ),
        (
            "two_mounts_at_one_place",
            value!({ "mounts": [{ "type": "tmpfs", "target": "/t" }, { "type": "tmpfs", "target": "//t/" }] }),
            "mounts[1].target",
        ),
        (
            "a_bind_mount_of_a_relative_path",
            mount(value!({ "type": "bind", "source": "srv", "target": "/t" })),
            "mounts[0].source",
        ),
        (
            "a_volume_whose_name_is_a_path",
            mount(value!({ "type": "volume", "source": "../etc", "target": "/t" })),
            "mounts[0].source",
        ),
        (
            "a_tmpfs_with_more_than_a_mode",
            mount(value!({ "type": "tmpfs", "target": "/t", "mode": "755,exec" })),
            "mounts[0].mode",
        ),
        (
            "an_unknown_field_in_resources",
            value!({ "resources": { "memory": 1 } }),
            "resources",
        ),
        (
            "too_little_memory",
            value!({ "resources": { "memory_bytes": 6_291_455 } }),
            "resources.memory_bytes",
        ),
        (
            "no_processor",
            value!({ "resources": { "cpus": 0 } }),
            "resources.cpus",
        ),
        (
            "no_process",
            value!({ "resources": { "pids": 0 } }),
            "resources.pids",
        ),
        (
            "an_unknown_capability",
            value!({ "capabilities": { "add": ["CAP_ROOT"] } }),
            "CAP_ROOT",
        ),
        (
            "a_capability_both_ways",
            value!({ "capabilities": { "add": ["KILL"], "drop": ["CAP_KILL"] } }),
            "KILL",
        ),
        (
            "a_host_without_an_address",
            value!({ "extra_hosts": ["db"] }),
            "extra_hosts",
        ),
        (
            "a_host_of_two_lines",
            value!({ "extra_hosts": ["a\n10.0.0.1 b:10.0.0.2"] }),
            "extra_hosts",
        ),
    ]
}
