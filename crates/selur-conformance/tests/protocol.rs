//! The committed protocol.json and the tables of docs/API.md are what the crates say.

use selur_conformance::docs;
use selur_conformance::generated::Generated;
use selur_conformance::protocol::{Protocol, STATE_TABLE};

fn is_current(file: &Generated) {
    assert!(
        file.is_current(),
        "{}: run cargo run -p selur-conformance --bin protocol-json -- --write",
        file.path.display()
    );
}

#[test]
fn the_committed_protocol_is_current() {
    is_current(&Protocol::generated().unwrap());
}

#[test]
fn the_tables_of_the_documentation_are_current() {
    is_current(&docs::generated().unwrap());
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
