//! Signals to this program: heard on a thread, and passed on to a container where they are meant for it.

use crate::cli::Format;
use crate::failure::{Failure, RUN_FAILED};
use crate::output;
use selur_core::{Bridge, Signal, Status};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use std::thread;

/// Signals that ask this program to end.
pub(crate) const ENDING: [i32; 4] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM];
/// Signals that are meant for a container.
pub(crate) const FORWARDED: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];
/// Which Ctrl-C is one too many: the container is killed.
const LAST_INTERRUPT: u32 = 3;

/// Tells of each of these signals instead of what they do by themselves, until nobody listens.
///
/// # Errors
/// The system refuses.
pub(crate) fn hear(signals: &[i32], tell: impl Fn(i32) -> bool + Send + 'static) -> Result<(), Failure> {
    let mut heard = signal_hook::iterator::Signals::new(signals)
        .map_err(|error| Failure::io("cannot receive signals", &error))?;
    thread::spawn(move || {
        for number in heard.forever() {
            if !tell(number) {
                return;
            }
        }
    });
    Ok(())
}

/// 128 and the signal's number, as shells have it.
pub(crate) fn exit_code(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(RUN_FAILED)
}

/// Passes signals on to a container.
pub(crate) struct Relay {
    bridge: Bridge,
    container: String,
    format: Format,
    interrupts: u32,
}

impl Relay {
    pub(crate) fn new(bridge: &Bridge, container: impl Into<String>, format: Format) -> Relay {
        Relay {
            bridge: bridge.clone(),
            container: container.into(),
            format,
            interrupts: 0,
        }
    }

    /// Passes one on; the third interrupt kills.
    ///
    /// # Errors
    /// Quiet, with 130: an interrupt more, and the container that was killed did not end, or its output is not read.
    pub(crate) fn pass_on(&mut self, number: i32) -> Result<(), Failure> {
        let signal = u8::try_from(number).ok().and_then(Signal::from_number);
        let mut signal = signal.unwrap_or(Signal::TERM);
        if number == SIGINT {
            self.interrupts += 1;
            if self.interrupts + 1 == LAST_INTERRUPT && self.format == Format::Table {
                output::note("the container was told; once more kills it");
            }
            if self.interrupts > LAST_INTERRUPT {
                return Err(Failure::quiet(exit_code(SIGINT)));
            }
            if self.interrupts == LAST_INTERRUPT {
                signal = Signal::KILL;
            }
        }
        match self.bridge.kill_container(&self.container, signal) {
            Ok(()) => {}
            // It ended meanwhile, or is removed: its end is on the way.
            Err(error) if matches!(error.status(), Status::InvalidState | Status::ContainerNotFound) => {}
            Err(error) => Failure::from(error).print(self.format),
        }
        Ok(())
    }
}
