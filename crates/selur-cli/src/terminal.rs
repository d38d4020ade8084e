//! The terminal that this program was started in: its size, and raw, so that every key goes to a process. However this
//! program ends, it must leave the terminal as it was; only SIGKILL can prevent that.

use crate::cli::Format;
use crate::failure::Failure;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use selur_core::{Status, TerminalSize};
use std::io::IsTerminal;
use std::sync::{Mutex, Once, PoisonError};

/// How the terminal was, while it is raw.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// Whether standard input is a terminal.
pub(crate) fn is_input() -> bool {
    std::io::stdin().is_terminal()
}

/// Refuses to connect a process's terminal to what is none.
///
/// # Errors
/// `invalid_request`: standard input is no terminal, or a program reads the output.
pub(crate) fn require(format: Format) -> Result<(), Failure> {
    let refuse = |message: &str, advice: &str| Err(Failure::new(Status::InvalidRequest, message, advice));
    match (format, is_input()) {
        (Format::Json, _) => refuse(
            "-t connects the process to a terminal, and --format json prints for programs",
            "Leave one of the two out.",
        ),
        (Format::Table, false) => refuse(
            "-t connects the process to a terminal, and standard input is none",
            "Leave -t out, or run it in a terminal.",
        ),
        (Format::Table, true) => Ok(()),
    }
}

/// The size of the terminal that output goes to, else of that which input comes from.
pub(crate) fn size() -> Option<TerminalSize> {
    let found = tcgetwinsize(std::io::stdout()).or_else(|_| tcgetwinsize(std::io::stdin()));
    let size = found.ok().filter(|size| size.ws_row > 0 && size.ws_col > 0)?;
    Some(TerminalSize {
        rows: size.ws_row,
        columns: size.ws_col,
    })
}

/// A raw terminal: keys come as they are pressed, are not shown, and are no signals. Dropped, the terminal is as it was.
#[derive(Debug)]
pub(crate) struct Raw(());

impl Raw {
    /// Makes the terminal raw that is standard input.
    ///
    /// # Errors
    /// It has hung up.
    pub(crate) fn enter() -> Result<Raw, Failure> {
        let failed = |error: rustix::io::Errno| Failure::io("cannot use the terminal", &error.into());
        let before = tcgetattr(std::io::stdin()).map_err(failed)?;
        let mut raw = before.clone();
        raw.make_raw();
        // What a panic says is to be read, and the terminal used after it, whichever thread it is.
        HOOK.call_once(|| {
            let print = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                print(panic);
            }));
        });
        *BEFORE.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        let raw = tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).map(|()| Raw(()));
        raw.map_err(failed)
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

/// Makes the terminal as it was, once.
fn restore() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(before) = before {
        // A terminal that has hung up needs no modes.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::termios::LocalModes;
    use std::process::{Command, Stdio};

    /// In the environment of the process that panics.
    const PANICS: &str = "SELUR_TEST_PANICS";

    /// In a terminal of its own: the modes before and after this very test, which is told to panic there.
    const SCRIPT: &str = r#"was=$(stty -g)
"$PROGRAM" --exact terminal::tests::a_panic_on_any_thread_leaves_the_terminal_as_it_was --nocapture &&
    [ "$(stty -g)" = "$was" ] && exit 42"#;

    #[test]
    fn a_panic_on_any_thread_leaves_the_terminal_as_it_was() {
        if std::env::var_os(PANICS).is_some() {
            let raw = Raw::enter().unwrap();
            let is_raw = || {
                let modes = tcgetattr(std::io::stdin()).unwrap().local_modes;
                !modes.contains(LocalModes::ICANON)
            };
            assert!(is_raw());
            assert!(std::thread::spawn(|| panic!("on purpose")).join().is_err());
            assert!(!is_raw());
            std::mem::forget(raw);
            return;
        }
        let output = Command::new("script")
            .args(["-qec", SCRIPT, "/dev/null"])
            .env("PROGRAM", std::env::current_exe().unwrap())
            .env(PANICS, "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(42), "{said}");
        assert!(said.contains("on purpose"), "{said}");
    }
}
