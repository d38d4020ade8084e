//! The command that frees room in the image store.

use crate::cli::{Global, Prune};
use crate::failure::Failure;
use crate::output::{self, Table, size};
use crate::session::Session;
use selur_core::{PruneOptions, Pruned, Status};
use serde_json::json;
use std::io::{IsTerminal, Write};

/// Removes what nothing uses, after it has said what that is and was allowed to.
///
/// # Errors
/// Nobody can be asked, or the store cannot be read or written.
pub(crate) fn prune(prune: &Prune, global: &Global) -> Result<u8, Failure> {
    let session = Session::open(global)?;
    let options = PruneOptions {
        all: prune.all,
        dry_run: true,
    };
    if !prune.yes && !prune.dry_run && (session.is_json() || !std::io::stdin().is_terminal()) {
        return Err(Failure::new(
            Status::InvalidRequest,
            "nobody can be asked whether this may be removed",
            "Say `--yes` to remove it, or `--dry-run` to see what it is.",
        ));
    }
    if prune.dry_run || !prune.yes {
        let would = session.prune(options)?;
        show(&session, &would, "would free")?;
        if prune.dry_run || would == Pruned::default() || !is_allowed()? {
            return Ok(0);
        }
    }
    let pruned = session.prune(PruneOptions {
        dry_run: false,
        ..options
    })?;
    show(&session, &pruned, "freed")?;
    Ok(0)
}

fn show(session: &Session, pruned: &Pruned, verb: &str) -> Result<(), Failure> {
    if session.is_json() {
        output::json(&json!({
            "references": pruned.references,
            "layers": pruned.layers,
            "freed_bytes": pruned.freed_bytes,
            "dry_run": verb != "freed",
        }))?;
        return Ok(());
    }
    if !pruned.references.is_empty() {
        let mut table = Table::new(&["IMAGE"]);
        for reference in &pruned.references {
            table.row([reference.clone()]);
        }
        table.print()?;
    }
    let freed = size(pruned.freed_bytes);
    let images = counted(pruned.references.len() as u64, "image");
    let layers = counted(pruned.layers, "layer");
    output::line(format_args!("{verb} {freed}: {images}, {layers}"))?;
    Ok(())
}

fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Asks on the terminal.
fn is_allowed() -> Result<bool, Failure> {
    let mut stderr = std::io::stderr();
    // Who closed standard error sees no question, and may still answer.
    let _ = write!(stderr, "Remove? [y/N] ").and_then(|()| stderr.flush());
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::io("cannot read the answer", &error))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
