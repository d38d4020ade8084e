//! What is explored: who asks what, and what else may happen.

use selur_protocol::{Command, State};

pub const MOST_CONTAINERS: usize = 3;
pub const MOST_REQUESTS: usize = 4;

/// What a caller may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ask {
    Create,
    Start,
    Stop,
    Inspect,
    Delete,
    Force,
    Kill,
    Pause,
    Resume,
    Wait,
    /// A hosted command on the container.
    Exec,
    /// A hosted command on no container.
    Pull,
}

impl Ask {
    pub fn command(self) -> Command {
        match self {
            Ask::Create => Command::CreateContainer,
            Ask::Start => Command::StartContainer,
            Ask::Stop => Command::StopContainer,
            Ask::Inspect => Command::InspectContainer,
            Ask::Delete | Ask::Force => Command::DeleteContainer,
            Ask::Kill => Command::KillContainer,
            Ask::Pause => Command::PauseContainer,
            Ask::Resume => Command::ResumeContainer,
            Ask::Wait => Command::WaitContainer,
            Ask::Exec => Command::Exec,
            Ask::Pull => Command::PullImage,
        }
    }

    /// Whether it waits for its turn.
    pub fn queues(self) -> bool {
        !matches!(
            self,
            Ask::Create | Ask::Inspect | Ask::Force | Ask::Kill | Ask::Wait | Ask::Exec | Ask::Pull
        )
    }
}

/// What is explored.
#[derive(Clone, Debug)]
pub struct Scene {
    /// What is asked of each container, in any order; a create always first.
    pub requests: Vec<Vec<Ask>>,
    /// The state in which the containers begin that nobody creates.
    pub born: State,
    /// How many tickets may be cancelled in all.
    pub cancels: u8,
    /// How many processes may end by themselves, in all.
    pub exits: u8,
    /// How many containers may be deleted by others, in all.
    pub losses: u8,
    /// Whether outputs are polled as soon as they wait; else one at a time, whenever.
    pub eager: bool,
    /// Whether an effect may have ended long before that is told.
    pub late: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    Ask(usize, usize),
    Cancel(usize, usize),
    /// The effect at this place succeeds or fails.
    Perform(usize, bool),
    /// The end of the effect at this place is told.
    Tell(usize),
    Exit(usize),
    Lose(usize),
    /// The observation at this place arrives.
    Observe(usize),
    Poll,
}
