//! The state table: what each command does to a container in each state.
//!
//! Source: DESIGN, "States". The table decides by command and state alone; who has to wait for whom is the engine's
//! business.

use selur_protocol::{Command, State};

/// What becomes of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The runtime has to act.
    Act,
    /// It is so already: success, nothing done.
    Nothing,
    /// The state does not allow it.
    Refuse,
}

/// What a command does in a state. Those that are not named act in every state: inspect and logs among them.
pub(crate) fn decide(command: Command, state: State) -> Decision {
    use Command::*;
    use Decision::*;
    match (command, state) {
        (StartContainer, State::Created | State::Stopped) => Act,
        (StartContainer, State::Running | State::Restarting) => Nothing,
        (StartContainer, State::Paused) => Refuse,

        (StopContainer, State::Running | State::Paused | State::Restarting) => Act,
        (StopContainer, State::Created | State::Stopped) => Nothing,

        (KillContainer, State::Running | State::Paused | State::Restarting) => Act,
        (KillContainer, State::Created | State::Stopped) => Refuse,

        (PauseContainer, State::Running) => Act,
        (PauseContainer, State::Paused) => Nothing,
        (PauseContainer, State::Created | State::Restarting | State::Stopped) => Refuse,

        (ResumeContainer, State::Paused) => Act,
        (ResumeContainer, State::Running) => Nothing,
        (ResumeContainer, State::Created | State::Restarting | State::Stopped) => Refuse,

        (DeleteContainer, State::Created | State::Stopped) => Act,
        (DeleteContainer, State::Running | State::Paused | State::Restarting) => Refuse,

        (Exec, State::Running) => Act,
        (Exec, State::Created | State::Paused | State::Restarting | State::Stopped) => Refuse,

        (Stats | Top, State::Running | State::Paused) => Act,
        (Stats | Top, State::Created | State::Restarting | State::Stopped) => Refuse,

        (Attach, State::Created | State::Running | State::Paused | State::Restarting) => Act,
        (Attach, State::Stopped) => Refuse,

        (_, _) => Act,
    }
}
