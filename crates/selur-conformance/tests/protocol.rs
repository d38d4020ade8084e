//! The committed protocol.json is what the protocol crate says.

use selur_conformance::generated::Generated;
use selur_conformance::protocol::{Protocol, STATE_TABLE};

#[test]
fn the_committed_protocol_is_current() {
    let file = Generated {
        path: selur_conformance::directory().join("protocol.json"),
        text: Protocol::current().to_json().unwrap(),
    };
    assert!(
        file.is_current(),
        "run: cargo run -p selur-conformance --bin protocol-json -- --write"
    );
}

#[test]
fn every_row_of_the_state_table_begins_with_a_command() {
    let protocol = Protocol::current();
    for (row, _) in STATE_TABLE {
        let command = row.split(' ').next().unwrap();
        assert!(
            protocol.commands.iter().any(|known| known.name == command),
            "{row}"
        );
    }
}
