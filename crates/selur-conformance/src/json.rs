//! JSON for people: what fits into a line stands on one, so that committed files read well and differ little.

use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// The width that a line may have, in characters.
const WIDTH: usize = 110;

/// A value as JSON text that ends with a line feed.
///
/// # Errors
/// The value cannot be written as JSON.
pub fn to_text(value: &impl Serialize) -> serde_json::Result<String> {
    // Written and read again, because a `Value` made directly would lose the order of the fields.
    let compact = serde_json::to_string(value)?;
    let mut text = String::new();
    write(&compact, 0, &mut text)?;
    text.push('\n');
    Ok(text)
}

/// The value with the fields of every object in the order of their names, whatever order serde_json was built to keep.
pub fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields.into_iter().collect();
            let fields = fields.into_iter().map(|(key, value)| (key, sorted(value)));
            Value::Object(fields.collect())
        }
        other => other,
    }
}

/// Writes compact JSON, broken where it is too long for what is left of the line.
fn write(compact: &str, indent: usize, out: &mut String) -> serde_json::Result<()> {
    let column = out.len() - out.rfind('\n').map_or(0, |end| end + 1);
    let spaced = spaced(compact);
    if column + spaced.chars().count() < WIDTH || !compact.starts_with(['{', '[']) {
        out.push_str(&spaced);
        return Ok(());
    }
    // Only checks that the parts below are cut from JSON.
    serde_json::from_str::<Value>(compact)?;
    let (open, close) = (&compact[..1], &compact[compact.len() - 1..]);
    out.push_str(open);
    for (position, part) in parts(&compact[1..compact.len() - 1]).into_iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        out.push('\n');
        out.push_str(&"  ".repeat(indent + 1));
        let (key, value) = if open == "{" { key_of(part) } else { ("", part) };
        out.push_str(key);
        if !key.is_empty() {
            out.push(' ');
        }
        write(value, indent + 1, out)?;
    }
    out.push('\n');
    out.push_str(&"  ".repeat(indent));
    out.push_str(close);
    Ok(())
}

/// Puts a space behind each comma and colon that is not within a string, and within braces that are not empty.
fn spaced(compact: &str) -> String {
    let mut text = String::with_capacity(compact.len() * 2);
    let mut before = ' ';
    for (structural, letter) in letters(compact) {
        if (before == '{') != (structural && letter == '}') {
            text.push(' ');
        }
        text.push(letter);
        if structural && matches!(letter, ',' | ':') {
            text.push(' ');
        }
        before = if structural { letter } else { ' ' };
    }
    text
}

/// Cuts the inside of an object or array at the commas of its own level.
fn parts(inside: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut at) = (0usize, 0, 0);
    let mut parts = Vec::new();
    for (structural, letter) in letters(inside) {
        if structural {
            match letter {
                '{' | '[' => depth += 1,
                '}' | ']' => depth = depth.saturating_sub(1),
                ',' if depth == 0 => {
                    parts.push(&inside[begin..at]);
                    begin = at + 1;
                }
                _ => {}
            }
        }
        at += letter.len_utf8();
    }
    if begin < inside.len() {
        parts.push(&inside[begin..]);
    }
    parts
}

/// Cuts `"key":value` behind the colon.
fn key_of(part: &str) -> (&str, &str) {
    let mut at = 0;
    for (structural, letter) in letters(part) {
        at += letter.len_utf8();
        if structural && letter == ':' {
            return part.split_at(at);
        }
    }
    ("", part)
}

/// Each character, and whether it is outside of strings.
fn letters(text: &str) -> impl Iterator<Item = (bool, char)> {
    let (mut in_string, mut escaped) = (false, false);
    text.chars().map(move |letter| {
        let structural = !in_string;
        match letter {
            '"' if !escaped => in_string = !in_string,
            _ => {}
        }
        escaped = in_string && letter == '\\' && !escaped;
        (structural && letter != '"', letter)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_stands_on_one_line_and_what_does_not_is_broken() {
        let long = "a, \"b\": {c}".repeat(12);
        let value = serde_json::json!({ "a": [1, 2], "b": { "long": long, "none": {} } });
        let text = to_text(&value).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[..3], ["{", "  \"a\": [1, 2],", "  \"b\": {"]);
        assert_eq!(lines[4..], ["    \"none\": {}", "  }", "}"]);
    }
}
