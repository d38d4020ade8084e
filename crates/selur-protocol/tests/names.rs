//! The names that every language shows: each written out once more, for a change of one breaks those who match on it.

use selur_protocol::{ContainerId, Signal, State, Status};

#[test]
fn states_and_statuses_have_the_names_that_are_documented() {
    let states = State::ALL.map(State::name);
    assert_eq!(states, ["created", "running", "paused", "restarting", "stopped"]);
    let statuses = Status::ALL.map(Status::name);
    assert_eq!(
        statuses,
        [
            "success",
            "invalid_request",
            "container_not_found",
            "container_already_exists",
            "network_error",
            "internal_error",
            "invalid_state",
            "permission_denied",
            "resource_exhausted",
            "timeout",
            "cancelled",
            "unsupported",
            "image_not_found",
            "volume_not_found",
        ]
    );
}

#[test]
fn a_signal_has_its_first_name_and_a_nameless_one_none() {
    let name = |number| Signal::from_number(number).and_then(Signal::name);
    assert_eq!(name(1), Some("HUP"));
    assert_eq!(name(6), Some("ABRT"));
    assert_eq!(name(15), Some("TERM"));
    assert_eq!(name(64), Some("RTMAX"));
    assert_eq!((name(32), name(35), name(65)), (None, None, None));
}

#[test]
fn an_id_shows_its_digits() {
    let id = ContainerId::parse("00112233445566778899aabbccddeeff").expect("an id");
    assert_eq!(
        format!("{:?}", id),
        "ContainerId(00112233445566778899aabbccddeeff)"
    );
    assert!(id.starts_with("") && id.starts_with("0011") && id.starts_with(&id.to_string()));
    for other in ["1", "0012", "0011g", "00112233445566778899aabbccddeeff0"] {
        assert!(!id.starts_with(other), "{}", other);
    }
}
