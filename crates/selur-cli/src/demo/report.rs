//! What the demo found, told line by line as it happens, or as one JSON document at its end.

use super::frame::{self, Part};
use super::host::{Process, Remains};
use crate::cli::Format;
use crate::failure::Failure;
use crate::output::{self, Table, escape};
use crate::session::Guest;
use serde::Serialize;

/// Everything that the demo showed: the document of `--format json`.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// `oci`, or `simulated`: then nothing here is real.
    pub(super) runtime: String,
    /// The guest: its SHA-256 and size, its imports and memory.
    pub(super) guest: Guest,
    /// The create request as it went into the kernel.
    pub(super) frame: Vec<Part>,
    /// Each step with its time, in order.
    pub(super) steps: Vec<Step>,
    /// The lines that the container wrote before it was asked to end.
    pub(super) logs: Vec<String>,
    /// The container's process on the host; none where it is simulated.
    pub(super) process: Option<Process>,
    /// What came of the bridge's death; none where it is simulated.
    pub(super) recovery: Option<Recovery>,
    /// How the container ended.
    pub(super) exit_code: Option<i32>,
    /// What was left after it was deleted; none where it is simulated.
    pub(super) remains: Option<Remains>,
}

/// One step of the story.
#[derive(Debug, Serialize)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) micros: u64,
}

/// A bridge died, another took over.
#[derive(Debug, Serialize)]
pub(super) struct Recovery {
    /// The process of the bridge that was killed with SIGKILL.
    pub(super) killed_bridge_pid: u32,
    /// The process of the bridge that came after.
    pub(super) new_bridge_pid: u32,
    /// The container's process, before and after.
    pub(super) container_pid: u32,
    /// Its state, as the new bridge has it.
    pub(super) state: String,
}

/// Tells the story on standard output; for programs, only its end.
pub(super) struct Telling {
    format: Format,
    /// What every line begins with where nothing is real.
    mark: &'static str,
}

impl Telling {
    pub(super) fn new(format: Format, is_simulated: bool) -> Telling {
        Telling {
            format,
            mark: if is_simulated { "[simulated] " } else { "" },
        }
    }

    /// A part of the story begins.
    pub(super) fn heading(&self, text: &str) -> Result<(), Failure> {
        self.print("", false)?;
        self.print(&format!("\x1b[1m{text}\x1b[0m"), true)
    }

    /// One fact: a word and what it is.
    pub(super) fn fact(&self, word: &str, text: &str) -> Result<(), Failure> {
        self.print(&format!("  \x1b[36m{word:<9}\x1b[0m {}", escape(text)), true)
    }

    /// More of the fact above.
    pub(super) fn more(&self, text: &str) -> Result<(), Failure> {
        self.print(&format!("            {}", escape(text)), true)
    }

    /// The frame, each field with its meaning.
    pub(super) fn frame(&self, parts: &[Part]) -> Result<(), Failure> {
        frame::lines(parts)
            .iter()
            .try_for_each(|line| self.print(&format!("  {}", escape(line)), true))
    }

    /// The end: the times of the steps; for programs, everything.
    pub(super) fn end(&self, report: &Report) -> Result<(), Failure> {
        if self.format == Format::Json {
            return Ok(output::json(report)?);
        }
        self.heading("The time of each step, in the bridge's process")?;
        let mut table = Table::new(&["STEP", "TIME"]);
        for step in &report.steps {
            table.row([
                step.name.to_owned(),
                format!("{:>9.3} ms", step.micros as f64 / 1000.0),
            ]);
        }
        table
            .lines()
            .iter()
            .try_for_each(|line| self.print(&format!("  {line}"), true))
    }

    fn print(&self, line: &str, is_marked: bool) -> Result<(), Failure> {
        use std::io::Write;
        if self.format == Format::Json {
            return Ok(());
        }
        let mark = if is_marked { self.mark } else { "" };
        let mut stdout = anstream::stdout().lock();
        writeln!(stdout, "{mark}{line}")?;
        Ok(stdout.flush()?)
    }
}
