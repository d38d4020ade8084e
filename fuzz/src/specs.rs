//! Specifications in JSON: any text is taken or refused with words, and what is taken survives being written and read.

use super::bytes::Bytes;
use selur_protocol::Status;
use selur_runtime::{ContainerSpec, ExecSpec, SpecError};

pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let choice = bytes.u8();
    let Ok(text) = std::str::from_utf8(bytes.rest()) else {
        return;
    };
    match choice % 2 {
        0 => match ContainerSpec::from_json(text) {
            Ok(spec) => {
                spec.check().expect("it was checked");
                let written = serde_json::to_string(&spec).expect("a specification is JSON");
                let again = ContainerSpec::from_json(&written);
                let again = again.unwrap_or_else(|error| panic!("{written} is refused: {error}"));
                assert_eq!(again, spec, "{written}");
            }
            Err(error) => refused(&error, text),
        },
        _ => match ExecSpec::from_json(text) {
            Ok(spec) => {
                spec.check().expect("it was checked");
                let written = serde_json::to_string(&spec).expect("a specification is JSON");
                let again = ExecSpec::from_json(&written);
                let again = again.unwrap_or_else(|error| panic!("{written} is refused: {error}"));
                assert_eq!(again, spec, "{written}");
            }
            Err(error) => refused(&error, text),
        },
    }
}

fn refused(error: &SpecError, text: &str) {
    assert!(matches!(
        error.status(),
        Status::InvalidRequest | Status::Unsupported
    ));
    let words = error.to_string();
    assert!(!words.is_empty());
    // The words may quote what was given, escaped, and not much more.
    assert!(
        words.len() <= 12 * text.len() + 4096,
        "{} bytes of words",
        words.len()
    );
}
