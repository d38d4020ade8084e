//! One request frame in hex, each field with what it means.

use selur_core::Command;
use selur_protocol::HEADER_BYTES;
use serde::Serialize;

/// Bytes of hex on one line.
const LINE_BYTES: usize = 16;

/// A run of bytes of a frame and its meaning.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Part {
    /// The bytes in hex, two digits each, with spaces between.
    pub(super) hex: String,
    /// What they say.
    pub(super) meaning: String,
}

/// Splits a create request into its parts: command, length, image, name and specification.
pub(super) fn parts(frame: &[u8]) -> Vec<Part> {
    let (header, payload) = frame.split_at(HEADER_BYTES.min(frame.len()));
    let (code, length) = header.split_at(1.min(header.len()));
    let command = code.first().and_then(|code| Command::from_code(*code));
    let mut parts = vec![
        part(
            code,
            format!("command: {}", command.map_or("unknown", Command::name)),
        ),
        part(
            length,
            format!("payload length, u32 little endian: {} bytes", payload.len()),
        ),
    ];
    for (position, field) in payload.splitn(3, |byte| *byte == 0).enumerate() {
        if position > 0 {
            parts.push(part(&[0], "separator".to_owned()));
        }
        let name = ["image", "name", "spec"][position];
        parts.push(part(field, format!("{name}: {}", String::from_utf8_lossy(field))));
    }
    parts
}

/// The parts as lines of at most 16 bytes, meanings in a column.
pub(super) fn lines(parts: &[Part]) -> Vec<String> {
    let mut lines = Vec::new();
    for part in parts {
        let bytes: Vec<&str> = part.hex.split(' ').collect();
        for (position, chunk) in bytes.chunks(LINE_BYTES).enumerate() {
            let meaning = if position == 0 { part.meaning.as_str() } else { "" };
            let line = format!(
                "{:<width$}  {meaning}",
                chunk.join(" "),
                width = LINE_BYTES * 3 - 1
            );
            lines.push(line.trim_end().to_owned());
        }
    }
    lines
}

fn part(bytes: &[u8], meaning: String) -> Part {
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Part {
        hex: hex.join(" "),
        meaning,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_every_byte_in_order() {
        let frame = b"\x01\x0b\x00\x00\x00nginx\0web\0{}";
        let parts = parts(frame);
        let hex: Vec<&str> = parts.iter().map(|part| part.hex.as_str()).collect();
        let whole: Vec<String> = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex.join(" "), whole.join(" "));
        let meanings: Vec<&str> = parts.iter().map(|part| part.meaning.as_str()).collect();
        assert_eq!(meanings[0], "command: create_container");
        assert_eq!(
            meanings[2..],
            ["image: nginx", "separator", "name: web", "separator", "spec: {}"]
        );
    }

    #[test]
    fn long_parts_go_over_several_lines() {
        let lines = lines(&[part(&[0xab; 17], "many".into())]);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].ends_with("ab  many") && lines[1] == "ab", "{lines:?}");
    }
}
