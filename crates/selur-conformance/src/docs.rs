//! The generated parts of `docs/API.md`: tables that say what protocol.json says.
//!
//! They stand between `<!-- begin NAME -->` and `<!-- end NAME -->`. Everything else on that page is written by hand.

use crate::generated::{Error, Generated};
use crate::protocol::Protocol;
use std::fmt::Write;

/// The page as it should be committed.
///
/// # Errors
/// The page cannot be read, or lacks a pair of marks.
pub fn generated() -> Result<Generated, Error> {
    let path = crate::directory().join("../docs/API.md");
    let mut text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let protocol = Protocol::current();
    let tables = [
        ("codes", codes(&protocol)?),
        ("commands", commands(&protocol)?),
        ("states", states(&protocol)?),
        ("messages", messages(&protocol)?),
        ("limits", limits(&protocol)?),
        ("signals", signals(&protocol)?),
    ];
    for (name, table) in tables {
        let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
        let from = text
            .find(&begin)
            .ok_or_else(|| format!("docs/API.md lacks {begin}"))?
            + begin.len();
        let length = text[from..]
            .find(&end)
            .ok_or_else(|| format!("docs/API.md lacks {end}"))?;
        text.replace_range(from..from + length, &table);
    }
    Ok(Generated { path, text })
}

fn codes(protocol: &Protocol) -> Result<String, std::fmt::Error> {
    let mut table = String::from("| code | command | | code | status |\n|---|---|---|---|---|\n");
    for row in 0..protocol.commands.len().max(protocol.statuses.len()) {
        let command = protocol.commands.get(row).map(|it| (it.code, it.name));
        let status = protocol.statuses.get(row).map(|it| (it.code, it.name));
        let cells = [command, status].map(|entry| match entry {
            Some((code, name)) => format!("`0x{code:02X}` | `{name}`"),
            None => " | ".into(),
        });
        writeln!(table, "| {} | | {} |", cells[0], cells[1])?;
    }
    Ok(table)
}

fn commands(protocol: &Protocol) -> Result<String, std::fmt::Error> {
    let mut table = String::from("| command | fields | data on success |\n|---|---|---|\n");
    for command in &protocol.commands {
        let cell = |text: &'static str, otherwise| if text.is_empty() { otherwise } else { text };
        let payload = cell(command.payload, "none, not even an empty one");
        let data = cell(command.data, "–");
        writeln!(table, "| `{}` | {payload} | {data} |", command.name)?;
    }
    Ok(table)
}

fn states(protocol: &Protocol) -> Result<String, std::fmt::Error> {
    let mut table = String::from("| command |");
    for state in &protocol.states {
        write!(table, " {} |", state.name)?;
    }
    writeln!(table, "\n|---|{}", "---|".repeat(protocol.states.len()))?;
    // In the order in which the table is told, which the map has lost.
    for (command, cells) in crate::protocol::STATE_TABLE {
        write!(
            table,
            "| {} |",
            command.replace("_container force", "_container, forced")
        )?;
        for cell in cells {
            let cell = match cell {
                "nothing" => "success, nothing done",
                "invalid_state" => "`invalid_state`",
                other => other,
            };
            write!(table, " {cell} |")?;
        }
        table.push('\n');
    }
    Ok(table)
}

fn messages(protocol: &Protocol) -> Result<String, std::fmt::Error> {
    let mut table = String::from("| status | what the kernel says |\n|---|---|\n");
    for reason in &protocol.reasons {
        // The runtime's own words take the place of this one.
        if reason.name != "runtime" {
            writeln!(
                table,
                "| `{}` | {} |",
                reason.status,
                reason.message.replace('|', "\\|")
            )?;
        }
    }
    Ok(table)
}

fn limits(protocol: &Protocol) -> Result<String, Error> {
    let mut table = String::from("| limit | value |\n|---|---|\n");
    let limits = crate::json::sorted(serde_json::to_value(&protocol.limits)?);
    for (name, value) in limits.as_object().into_iter().flatten() {
        writeln!(table, "| `{name}` | {value} |")?;
    }
    Ok(table)
}

fn signals(protocol: &Protocol) -> Result<String, std::fmt::Error> {
    let mut line = String::new();
    for (number, name) in &protocol.signals {
        let separator = if line.is_empty() { "" } else { ", " };
        write!(line, "{separator}{name} {number}")?;
    }
    Ok(line + ".\n")
}
