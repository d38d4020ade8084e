//! Signals: what `kill_container` sends, and what an image names as its stop signal.

/// A Linux signal number, 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signal(u8);

/// Source: signal(7), the numbers of x86 and Arm.
const NAMES: [(&str, u8); 34] = [
    ("HUP", 1),
    ("INT", 2),
    ("QUIT", 3),
    ("ILL", 4),
    ("TRAP", 5),
    ("ABRT", 6),
    ("IOT", 6),
    ("BUS", 7),
    ("FPE", 8),
    ("KILL", 9),
    ("USR1", 10),
    ("SEGV", 11),
    ("USR2", 12),
    ("PIPE", 13),
    ("ALRM", 14),
    ("TERM", 15),
    ("STKFLT", 16),
    ("CHLD", 17),
    ("CONT", 18),
    ("STOP", 19),
    ("TSTP", 20),
    ("TTIN", 21),
    ("TTOU", 22),
    ("URG", 23),
    ("XCPU", 24),
    ("XFSZ", 25),
    ("VTALRM", 26),
    ("PROF", 27),
    ("WINCH", 28),
    ("IO", 29),
    ("PWR", 30),
    ("SYS", 31),
    ("RTMIN", 34),
    ("RTMAX", 64),
];

impl Signal {
    /// SIGKILL: what `kill_container` sends unless told otherwise.
    pub const KILL: Signal = Signal(9);
    /// SIGTERM: what `stop_container` sends unless the image names another.
    pub const TERM: Signal = Signal(15);

    /// The signal with this number, if it is one.
    pub const fn from_number(number: u8) -> Option<Signal> {
        if number >= 1 && number <= 64 {
            Some(Signal(number))
        } else {
            None
        }
    }

    /// The number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Reads `SIGTERM`, `TERM` or `15`; also `SIGRTMIN+3` and `SIGRTMAX-2`, as image configurations write them.
    pub fn parse(text: &str) -> Option<Signal> {
        if let Some(number) = decimal(text) {
            return Signal::from_number(number);
        }
        let name = text.strip_prefix("SIG").unwrap_or(text);
        if let Some(&(_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Some(Signal(number));
        }
        let number = match (name.strip_prefix("RTMIN+"), name.strip_prefix("RTMAX-")) {
            (Some(offset), _) => decimal(offset)?.checked_add(34)?,
            (_, Some(offset)) => 64u8.checked_sub(decimal(offset)?)?,
            _ => return None,
        };
        if (34..=64).contains(&number) {
            Some(Signal(number))
        } else {
            None
        }
    }

    /// The name without `SIG`, where the signal has one of its own.
    pub fn name(self) -> Option<&'static str> {
        NAMES
            .iter()
            .find(|(_, number)| *number == self.0)
            .map(|&(name, _)| name)
    }
}

/// One to three digits without a sign; `u8::from_str` would take `+9`.
fn decimal(text: &str) -> Option<u8> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok()
    } else {
        None
    }
}
