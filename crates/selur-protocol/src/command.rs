//! The commands of a request frame. A code is never reused.

/// What a request asks for: the first byte of its frame.
///
/// Source: DESIGN, "The protocol". Codes 0x0B to 0x13 are given to the streams and the image store when they are
/// built; 0xF0 to 0xFF are never assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Command {
    /// Answers the payload it was given.
    Ping = 0x00,
    /// Makes a container from an image; answers its id.
    CreateContainer = 0x01,
    /// Starts the container's process.
    StartContainer = 0x02,
    /// Ends the container's process: the stop signal, then SIGKILL.
    StopContainer = 0x03,
    /// Answers what is known of a container, as JSON.
    InspectContainer = 0x04,
    /// Removes a container.
    DeleteContainer = 0x05,
    /// Answers the ids of all containers, one a line.
    ListContainers = 0x06,
    /// Sends a signal to the container's process.
    KillContainer = 0x07,
    /// Freezes every process of a container.
    PauseContainer = 0x08,
    /// Thaws a paused container.
    ResumeContainer = 0x09,
    /// Answers the exit code once the container has ended for good.
    WaitContainer = 0x0A,
}

impl Command {
    /// Every command, in the order of the codes.
    pub const ALL: [Command; 11] = [
        Command::Ping,
        Command::CreateContainer,
        Command::StartContainer,
        Command::StopContainer,
        Command::InspectContainer,
        Command::DeleteContainer,
        Command::ListContainers,
        Command::KillContainer,
        Command::PauseContainer,
        Command::ResumeContainer,
        Command::WaitContainer,
    ];

    /// The code on the wire.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The command with this code, if there is one.
    pub fn from_code(code: u8) -> Option<Command> {
        Command::ALL.get(usize::from(code)).copied()
    }

    /// The snake_case name, the same in every language.
    pub const fn name(self) -> &'static str {
        match self {
            Command::Ping => "ping",
            Command::CreateContainer => "create_container",
            Command::StartContainer => "start_container",
            Command::StopContainer => "stop_container",
            Command::InspectContainer => "inspect_container",
            Command::DeleteContainer => "delete_container",
            Command::ListContainers => "list_containers",
            Command::KillContainer => "kill_container",
            Command::PauseContainer => "pause_container",
            Command::ResumeContainer => "resume_container",
            Command::WaitContainer => "wait_container",
        }
    }
}
