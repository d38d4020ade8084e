//! `top`: the processes of a container in a table.

use crate::cli::{Global, Top};
use crate::failure::Failure;
use crate::output::{self, Table, size};
use crate::session::Session;

/// Lists a container's processes, by their ids on the host.
///
/// # Errors
/// The container does not run, or the output is closed.
pub(crate) fn top(top: &Top, global: &Global) -> Result<u8, Failure> {
    let session = Session::open(global)?;
    let processes = session.bridge().top(&top.container);
    let processes = processes.map_err(|error| session.explain(error.into()))?;
    if session.is_json() {
        output::json(&processes)?;
        return Ok(0);
    }
    let mut table = Table::new(&["PID", "PARENT", "UID", "STATE", "MEMORY", "TIME", "COMMAND"]);
    for process in processes {
        table.row([
            process.pid.to_string(),
            process.parent_pid.to_string(),
            process.uid.to_string(),
            process.state,
            size(process.memory_bytes),
            clock(process.cpu_ns),
            process.command.join(" "),
        ]);
    }
    table.print()?;
    Ok(0)
}

/// Processor time as `minutes:seconds`, to the hundredth.
fn clock(cpu_ns: u64) -> String {
    let hundredths = cpu_ns / 10_000_000;
    let (minutes, rest) = (hundredths / 6_000, hundredths % 6_000);
    format!("{minutes}:{:02}.{:02}", rest / 100, rest % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_in_minutes_and_seconds() {
        assert_eq!(clock(0), "0:00.00");
        assert_eq!(clock(61_250_000_000), "1:01.25");
        assert_eq!(clock(6_000_000_000_000), "100:00.00");
    }
}
