//! Printing: tables for people, JSON for programs. What comes from images, registries or other users is escaped, so
//! that it cannot steer the terminal.

use serde::Serialize;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// Prints one line on standard output.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn line(text: impl std::fmt::Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")?;
    stdout.flush()
}

/// Prints one JSON document on one line of standard output.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn json(document: &impl Serialize) -> io::Result<()> {
    line(json_text(serde_json::to_string(document)?))
}

/// Prints one JSON document for reading.
///
/// # Errors
/// Standard output is closed.
pub(crate) fn pretty_json(document: &impl Serialize) -> io::Result<()> {
    line(json_text(serde_json::to_string_pretty(document)?))
}

/// Prints one JSON document on one line of standard error. Who closed that wants to know nothing.
pub(crate) fn note_json(document: &serde_json::Value) {
    let _ = writeln!(io::stderr(), "{}", json_text(document.to_string()));
}

/// Prints a remark on standard error. Who closed that wants to know nothing.
pub(crate) fn note(text: impl std::fmt::Display) {
    let _ = writeln!(anstream::stderr(), "\x1b[2m{}\x1b[0m", escape(&text.to_string()));
}

/// Ends a line that somebody else began on the terminal. Who closed standard error wants to know nothing.
pub(crate) fn end_line() {
    let _ = writeln!(io::stderr());
}

/// Escapes what a terminal would act on: control characters (among them the 8-bit ones) and those that reorder or
/// hide text.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if is_unsafe(letter) {
            safe.extend(letter.escape_default());
        } else {
            safe.push(letter);
        }
    }
    Cow::Owned(safe)
}

/// serde_json escapes the control characters below U+0020 only. The others that a terminal acts on can stand in
/// strings alone, so they are escaped in the text.
fn json_text(text: String) -> String {
    if !text.contains(|letter| letter != '\n' && is_unsafe(letter)) {
        return text;
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        if letter == '\n' || !is_unsafe(letter) {
            safe.push(letter);
            continue;
        }
        for unit in letter.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(safe, "\\u{unit:04x}");
        }
    }
    safe
}

/// Source: Unicode 16, categories Cc, Zl, Zp and the Cf characters that reorder or hide text; UTS 55, "Source code
/// handling".
fn is_unsafe(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Rows in columns as wide as their widest cell. Every cell is escaped.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(headings: &[&str]) -> Table {
        Table {
            rows: vec![headings.iter().map(|heading| heading.to_string()).collect()],
        }
    }

    /// Adds a row below.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows
            .push(cells.into_iter().map(|cell| escape(&cell).into_owned()).collect());
    }

    /// Prints the table on standard output.
    ///
    /// # Errors
    /// Standard output is closed.
    pub(crate) fn print(&self) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        for line in self.lines() {
            writeln!(stdout, "{line}")?;
        }
        stdout.flush()
    }

    /// The table's lines, headings first.
    pub(crate) fn lines(&self) -> Vec<String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.width())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let pad = |row: &Vec<String>| {
            let mut text = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                text.push_str(cell);
                text.extend(std::iter::repeat_n(' ', width - cell.width() + 2));
            }
            text.truncate(text.trim_end().len());
            text
        };
        self.rows.iter().map(pad).collect()
    }
}

/// Bytes in units of 1000, as registries count: `12.3 MB`.
pub(crate) fn size(bytes: u64) -> String {
    let (mut number, mut unit) = (bytes as f64, "B");
    for larger in ["kB", "MB", "GB", "TB"] {
        if number < 999.5 {
            break;
        }
        (number, unit) = (number / 1000.0, larger);
    }
    if unit == "B" || number >= 99.95 {
        format!("{number:.0} {unit}")
    } else {
        format!("{number:.1} {unit}")
    }
}

/// `sha256:0123456789ab` of a longer digest.
pub(crate) fn short_digest(digest: &str) -> String {
    let end = digest.find(':').map_or(12, |colon| colon + 13);
    digest.chars().take(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_escaped() {
        let cases = [
            ("plain: äöü 容器", "plain: äöü 容器"),
            ("\x1b[2Jgone", "\\u{1b}[2Jgone"),
            ("bell\x07 back\x08 del\x7f", "bell\\u{7} back\\u{8} del\\u{7f}"),
            ("eight bits\u{9b}31m", "eight bits\\u{9b}31m"),
            ("two\nlines\r", "two\\nlines\\r"),
            (
                "re\u{202e}versed \u{2066}isolated",
                "re\\u{202e}versed \\u{2066}isolated",
            ),
            ("hidden\u{e0041}", "hidden\\u{e0041}"),
        ];
        for (text, safe) in cases {
            assert_eq!(escape(text), safe);
        }
    }

    #[test]
    fn json_holds_no_control_character_and_means_the_same() {
        let hostile = "a\x1b\u{9b}\u{202e}\u{e0041}\x7f\n\"";
        let text = json_text(serde_json::to_string(hostile).unwrap());
        assert!(!text.contains(is_unsafe), "{text:?}");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), hostile);
    }

    #[test]
    fn columns_align_and_cells_are_escaped() {
        let mut table = Table::new(&["A", "LONGER"]);
        table.row(["容器".into(), "1".into()]);
        table.row(["x\x1b".into(), "2".into()]);
        assert_eq!(table.lines(), ["A        LONGER", "容器     1", "x\\u{1b}  2"]);
    }

    #[test]
    fn sizes_are_short() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (99_949, "99.9 kB"),
            (123_456_789, "123 MB"),
        ];
        for (bytes, text) in cases {
            assert_eq!(size(bytes), text);
        }
    }
}
