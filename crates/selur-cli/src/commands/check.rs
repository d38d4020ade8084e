//! `info --check`: what this machine offers to each backend, what it lacks, and what mends that.

use crate::cli::{Format, Global, RuntimeChoice};
use crate::failure::{FAILED, Failure};
use crate::output::{self, Table};
use crate::place;
use crate::session;
use selur_core::doctor::{self, Checkup, Subject, Summary};
use selur_core::{DockerOptions, OciOptions};

/// Examines this machine; 0 if the chosen runtime can run here.
///
/// # Errors
/// The state root has no name, or the output is closed.
pub(crate) fn check(global: &Global) -> Result<u8, Failure> {
    place::check_root(global)?;
    let chosen = match global.runtime {
        RuntimeChoice::Auto | RuntimeChoice::Oci => Subject::oci_of_this_user(),
        RuntimeChoice::Docker => Subject::Docker,
        RuntimeChoice::Simulated => Subject::Simulated,
    };
    let options = OciOptions {
        state_root: global.root.clone(),
        shim: session::shim()?,
        ..OciOptions::default()
    };
    let docker = DockerOptions {
        socket: global.socket.clone(),
    };
    let checkup = doctor::examine(&options, &docker, chosen);
    match global.format {
        Format::Json => output::json(&checkup)?,
        Format::Table => print(&checkup)?,
    }
    Ok(if checkup.usable { 0 } else { FAILED })
}

/// A line that sums up each backend, and below it what was found, with what mends it where that is less than there should
/// be.
fn print(checkup: &Checkup) -> Result<(), Failure> {
    let mut table = Table::new(&["CHECK", "VERDICT", "FOUND"]);
    for finding in &checkup.findings {
        table.row([
            finding.check.replace('_', " "),
            finding.verdict.name().to_owned(),
            finding.found.clone(),
        ]);
    }
    let lines = table.lines();
    let mut lines = lines.iter().skip(1).zip(&checkup.findings).peekable();
    for summary in &checkup.backends {
        output::line(sum_up(summary, checkup.chosen))?;
        while let Some((line, finding)) = lines.next_if(|(_, finding)| finding.backend == summary.backend) {
            output::line(format_args!("  {line}"))?;
            if let Some(remedy) = &finding.remedy {
                output::line(format_args!("    mend it: {}", output::escape(remedy)))?;
            }
        }
    }
    Ok(())
}

fn sum_up(summary: &Summary, chosen: Subject) -> String {
    let warnings = match summary.warnings {
        0 => String::new(),
        1 => ", with 1 warning".to_owned(),
        more => format!(", with {more} warnings"),
    };
    let chosen = if summary.backend == chosen {
        " (chosen)"
    } else {
        ""
    };
    let name = summary.backend.title();
    match summary.missing {
        0 => format!("{name}{chosen}: ready{warnings}"),
        1 => format!("{name}{chosen}: not ready: 1 thing is missing{warnings}"),
        more => format!("{name}{chosen}: not ready: {more} things are missing{warnings}"),
    }
}
