//! The states of a container's life.

/// Where a container stands in its life.
///
/// Source: DESIGN, "States".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// Made, and never started.
    Created = 0,
    /// Its process runs.
    Running = 1,
    /// Its processes are frozen.
    Paused = 2,
    /// Between two generations: the restart policy starts it again.
    Restarting = 3,
    /// Its process has ended, and nothing starts it again by itself.
    Stopped = 4,
}

impl State {
    /// Every state, in the order of the codes.
    pub const ALL: [State; 5] = [
        State::Created,
        State::Running,
        State::Paused,
        State::Restarting,
        State::Stopped,
    ];

    /// The code in the guest ABI.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The state with this code, if there is one.
    pub fn from_code(code: u8) -> Option<State> {
        State::ALL.get(usize::from(code)).copied()
    }

    /// The name, as `state` in inspect has it.
    pub const fn name(self) -> &'static str {
        match self {
            State::Created => "created",
            State::Running => "running",
            State::Paused => "paused",
            State::Restarting => "restarting",
            State::Stopped => "stopped",
        }
    }
}
