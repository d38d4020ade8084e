//! The commands about selur itself: info, version, completions, man.

use crate::cli::{Cli, Format, Global};
use crate::failure::{FAILED, Failure};
use crate::machine;
use crate::output;
use crate::place;
use crate::session::{Session, guest};
use clap::CommandFactory;
use serde_json::json;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

/// Prints the versions: of the program, of the kernel guest, of its interface.
///
/// # Errors
/// The output is closed.
pub(crate) fn version(global: &Global) -> Result<u8, Failure> {
    let (version, guest) = (env!("CARGO_PKG_VERSION"), guest()?);
    if global.format == Format::Json {
        output::json(&json!({ "selur": version, "guest": guest }))?;
        return Ok(0);
    }
    output::line(format_args!("selur {version}"))?;
    output::line(format_args!(
        "guest {} ({} bytes, {} imports)",
        guest.sha256, guest.bytes, guest.imports
    ))?;
    Ok(0)
}

/// Describes the bridge and the machine that it stands on; 1 where no bridge can be opened, and why.
///
/// # Errors
/// The output is closed, or the guest does not load here.
pub(crate) fn info(global: &Global) -> Result<u8, Failure> {
    let (machine, guest) = (machine::machine(), guest()?);
    let (backend, engine, rootless_ids, problem) = match Session::open(global) {
        Ok(session) => (
            Some(session.backend()),
            session.engine(),
            session.rootless_ids(),
            None,
        ),
        Err(failure) => (None, None, None, Some(failure.message().to_owned())),
    };
    let (state_root, socket) = (place::state_root(global), place::socket(global));
    let code = if problem.is_none() { 0 } else { FAILED };
    if global.format == Format::Json {
        let version = env!("CARGO_PKG_VERSION");
        output::json(&json!({
            "selur": version, "backend": backend, "engine": engine, "rootless_ids": rootless_ids, "problem": problem,
            "state_root": state_root, "socket": socket, "guest": guest, "machine": machine,
        }))?;
        return Ok(code);
    }
    let fact = |name: &str, text: &str| output::line(format_args!("{name:<14} {}", output::escape(text)));
    fact("selur", env!("CARGO_PKG_VERSION"))?;
    fact("backend", backend.unwrap_or("none can be opened here"))?;
    if let Some(engine) = engine {
        fact("engine", &engine)?;
    }
    if let Some(problem) = problem {
        fact("problem", &problem)?;
    }
    for (name, place) in [("state root", state_root), ("socket", socket)] {
        if let Some(place) = place {
            fact(name, &place.display().to_string())?;
        }
    }
    fact(
        "guest",
        &format!(
            "{} ({} bytes, {} imports)",
            guest.sha256, guest.bytes, guest.imports
        ),
    )?;
    fact(
        "kernel",
        &format!("Linux {} on {}", machine.kernel, machine.architecture),
    )?;
    let ids = rootless_ids.map_or(String::new(), |ids| format!(", rootless ({ids} ids)"));
    fact("user", &format!("{}{ids}", machine.user_id))?;
    fact("cgroups", machine.cgroups)?;
    fact(
        "runc",
        &machine
            .runc
            .map_or("not found".to_owned(), |path| path.display().to_string()),
    )?;
    for missing in &machine.missing {
        fact("missing", &format!("{}: {}", missing.what, missing.remedy))?;
    }
    Ok(code)
}

/// Prints a completion script.
///
/// # Errors
/// The output is closed.
pub(crate) fn completions(shell: clap_complete::Shell) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "selur", &mut script);
    io::stdout().lock().write_all(&script)?;
    Ok(0)
}

/// Writes the manual pages into a directory: selur(1) and one for each command.
///
/// # Errors
/// The directory cannot be written.
pub(crate) fn man(directory: &Path) -> Result<u8, Failure> {
    let failed = |error: io::Error| Failure::io(format_args!("cannot write {}", directory.display()), &error);
    fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), directory).map_err(failed)?;
    Ok(0)
}
