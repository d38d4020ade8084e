//! frames.json

use super::build::*;
use crate::vector::{Expect, FrameText, Vector};

pub(super) fn vectors() -> Vec<Vector> {
    let mut vectors = pings();
    vectors.extend(malformed());
    vectors.extend(unexpected());
    vectors.push(
        vector("a_bridge_survives_malformed_frames")
            .send(raw(""), invalid("empty"))
            .send(raw("00ffffffff"), invalid("262,144"))
            .send(hex("ping", "ff"), invalid("UTF-8"))
            .create(NGINX)
            .each(&["start", "stop", "delete"]),
    );
    vectors
}

fn pings() -> Vec<Vector> {
    let ping = |payload| FrameText {
        command: Some("ping".into()),
        payload: Some(payload),
        ..FrameText::default()
    };
    let echo = |text: crate::vector::Text| Expect {
        data: Some(text),
        ..done()
    };
    let mut vectors = Vec::new();
    let texts = [
        ("ping_answers_its_payload", plain("hello")),
        (
            "ping_answers_text_beyond_ascii",
            plain("Vörðr – Свалинн – 守護 – 🛡"),
        ),
        ("ping_answers_line_feeds_and_quotes", plain("a\nb\t\"c\"\\")),
        ("ping_answers_a_payload_of_one_page", repeat("selur ", 700)),
        ("ping_answers_the_longest_payload", repeat("a", 262_144)),
        (
            "ping_answers_the_longest_payload_beyond_ascii",
            repeat("€a", 65_536),
        ),
    ];
    for (name, text) in texts {
        vectors.push(vector(name).send(ping(text.clone()), echo(text)));
    }
    vectors.push(vector("ping_answers_an_empty_payload").request("ping", &[], done()));
    vectors.push(
        vector("ping_answers_nul_bytes")
            .about("NUL separates fields elsewhere; in a ping it is text.")
            .request(
                "ping",
                &["a", "", "b"],
                Expect {
                    data: Some(plain("a\0\0b")),
                    ..done()
                },
            ),
    );
    vectors.push(
        vector("pings_do_not_disturb_each_other")
            .submit("first", "ping", &["one"])
            .submit("second", "ping", &["two"])
            .answer("second", data("two"))
            .answer("first", data("one")),
    );
    vectors
}

fn malformed() -> Vec<Vector> {
    let cases = [
        ("an_empty_frame_is_refused", raw(""), "empty"),
        ("a_header_of_1_byte_is_refused", raw("00"), "header"),
        ("a_header_of_2_bytes_is_refused", raw("0000"), "header"),
        ("a_header_of_3_bytes_is_refused", raw("000000"), "header"),
        ("a_header_of_4_bytes_is_refused", raw("00000000"), "header"),
        (
            "a_length_that_promises_too_much_is_refused",
            lying("ping", "abc", 4),
            "length",
        ),
        (
            "a_length_that_promises_too_little_is_refused",
            lying("ping", "abc", 2),
            "length",
        ),
        (
            "a_length_of_zero_before_a_payload_is_refused",
            lying("list", "x", 0),
            "length",
        ),
        (
            "a_length_before_no_payload_is_refused",
            lying("list", "", 1),
            "length",
        ),
        (
            "a_length_in_the_wrong_byte_order_is_refused",
            raw("000000000161"),
            "262,144",
        ),
        (
            "a_length_over_the_limit_is_refused",
            lying("ping", "", 262_145),
            "262,144",
        ),
        (
            "the_greatest_length_is_refused",
            lying("ping", "", u32::MAX),
            "262,144",
        ),
        (
            "a_payload_over_the_limit_is_refused",
            FrameText {
                command: Some("ping".into()),
                payload: Some(repeat("a", 262_145)),
                ..FrameText::default()
            },
            "262,144",
        ),
    ];
    let mut vectors: Vec<_> = cases
        .into_iter()
        .map(|(name, frame, word)| vector(name).send(frame, invalid(word)))
        .collect();
    for code in [0x1c, 0x7f, 0x80, 0xf0, 0xff] {
        let frame = FrameText {
            code: Some(code),
            payload: Some(plain(NGINX)),
            ..FrameText::default()
        };
        vectors.push(
            vector(&format!("the_unknown_command_{code:02x}_is_refused")).send(frame, invalid("command")),
        );
    }
    let utf8 = [
        ("ping", "ff", "a_ping_with_a_stray_byte_is_refused"),
        ("ping", "61c3", "a_ping_that_ends_in_a_character_is_refused"),
        ("ping", "c080", "a_ping_with_an_overlong_character_is_refused"),
        ("ping", "eda080", "a_ping_with_a_surrogate_is_refused"),
        ("ping", "f4908080", "a_ping_beyond_unicode_is_refused"),
        ("create", "6e67ff", "an_image_that_is_not_utf_8_is_refused"),
        ("create", "6100ff", "a_name_that_is_not_utf_8_is_refused"),
        ("start", "80", "a_container_that_is_not_utf_8_is_refused"),
        ("kill", "6100fe", "a_signal_that_is_not_utf_8_is_refused"),
        ("list", "ff", "a_list_with_a_stray_byte_is_refused"),
    ];
    for (command, bytes, name) in utf8 {
        vectors.push(vector(name).send(hex(command, bytes), invalid("UTF-8")));
    }
    vectors
}

/// Payloads and fields that a command does not take.
fn unexpected() -> Vec<Vector> {
    let mut vectors = vec![
        vector("a_list_takes_no_payload").request("list", &["all"], invalid("no payload")),
        vector("a_list_takes_no_nul").request("list", &["", ""], invalid("no payload")),
    ];
    for command in ["start", "inspect", "pause", "resume", "wait"] {
        vectors.push(
            vector(&format!("{command}_takes_no_second_field"))
                .create(NGINX)
                .request(command, &[ID, "force"], invalid("fields"))
                .request(command, &[ID, ""], invalid("fields"))
                .inspect(serde_json::json!({ "state": "created" })),
        );
    }
    for (command, option) in [("stop", "10"), ("kill", "9"), ("delete", "force")] {
        vectors.push(
            vector(&format!("{command}_takes_no_third_field"))
                .create(NGINX)
                .each(&["start"])
                .request(command, &[ID, option, ""], invalid("fields"))
                .request(command, &[ID, option, option], invalid("fields"))
                .inspect(serde_json::json!({ "state": "running" })),
        );
    }
    for command in [
        "start", "stop", "inspect", "delete", "kill", "pause", "resume", "wait",
    ] {
        vectors.push(
            vector(&format!("{command}_without_a_container_is_refused"))
                .request(command, &[], invalid("container"))
                .request(
                    command,
                    &["no-such-container"],
                    failure("container_not_found", &[]),
                ),
        );
    }
    vectors
}

fn raw(hex: &str) -> FrameText {
    FrameText {
        frame_hex: Some(hex.into()),
        ..FrameText::default()
    }
}

fn hex(command: &str, bytes: &str) -> FrameText {
    FrameText {
        command: Some(long_name(command)),
        payload_hex: Some(bytes.into()),
        ..FrameText::default()
    }
}

fn lying(command: &str, payload: &str, length: u32) -> FrameText {
    FrameText {
        command: Some(long_name(command)),
        payload: Some(plain(payload)).filter(|_| !payload.is_empty()),
        length: Some(length),
        ..FrameText::default()
    }
}
