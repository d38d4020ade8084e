//! The other side of a conversation: this program again, in a process of its own, as a daemon is.

use crate::measure::Outcome;
use crate::placement::{Placement, pin};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::parent_id;
use std::process::{Child, Command, Stdio};

/// A server that runs. It ends with this value.
pub(crate) struct Server {
    child: Child,
    /// Where it listens, as it says itself.
    pub(crate) address: String,
}

impl Server {
    /// Starts a server on its processor, and moves the caller to the client's.
    pub(crate) fn start(peer: &str, placement: Placement) -> Outcome<Server> {
        let (client_cpu, server_cpu) = placement.cpus()?;
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", peer, &server_cpu.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let said = child.stdout.take().ok_or("no output")?;
        let mut server = Server {
            child,
            address: String::new(),
        };
        BufReader::new(said).read_line(&mut server.address)?;
        server.address.truncate(server.address.trim_end().len());
        if server.address.is_empty() {
            return Err(format!("the server of {peer} ended").into());
        }
        pin(client_cpu)?;
        Ok(server)
    }

    /// Waits for a server that was told to end.
    pub(crate) fn wait(mut self) -> Outcome<()> {
        let status = self.child.wait()?;
        match status.success() {
            true => Ok(()),
            false => Err(format!("the server: {status}").into()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended needs neither.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has the calling server end when the program ends that started it, however that comes.
pub(crate) fn end_with_parent() -> Outcome<()> {
    let parent = parent_id();
    set_parent_process_death_signal(Some(Signal::KILL))?;
    match parent_id() == parent {
        true => Ok(()),
        false => Err("nobody is left to ask anything".into()),
    }
}

/// Says where the calling server listens.
pub(crate) fn listens_at(address: &str) -> Outcome<()> {
    let mut output = std::io::stdout();
    writeln!(output, "{address}")?;
    Ok(output.flush()?)
}
