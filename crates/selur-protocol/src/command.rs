//! The commands of a request frame. A code is never reused.

/// What a request asks for: the first byte of its frame.
///
/// Source: DESIGN, "The protocol". 0xF0 to 0xFF are never assigned.
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
    /// Runs a further process in a running container; answers a stream's id.
    Exec = 0x0B,
    /// Opens what a container wrote; answers a stream's id.
    Logs = 0x0C,
    /// Connects to a container's first process; answers a stream's id.
    Attach = 0x0D,
    /// Samples what a container uses; answers a stream's id.
    Stats = 0x0E,
    /// Answers a container's processes, as JSON.
    Top = 0x0F,
    /// Opens what happens to containers, images and volumes; answers a stream's id.
    Events = 0x10,
    /// Fetches an image from its registry; answers it as JSON, or a stream's id.
    PullImage = 0x11,
    /// Answers the images of the store, as JSON.
    ListImages = 0x12,
    /// Removes an image's name, and the image with its last name.
    DeleteImage = 0x13,
    /// Takes images in from a layout directory or an archive; answers them as JSON.
    LoadImage = 0x14,
    /// Sends an image to its registry; answers its digest as JSON, or a stream's id.
    PushImage = 0x15,
    /// Gives an image another name.
    TagImage = 0x16,
    /// Removes what nothing uses from the store; answers what was freed, as JSON.
    PruneImages = 0x17,
    /// Makes a named volume; answers it as JSON.
    CreateVolume = 0x18,
    /// Answers what is known of a volume, as JSON.
    InspectVolume = 0x19,
    /// Answers all volumes, as JSON.
    ListVolumes = 0x1A,
    /// Removes a volume and what is in it.
    DeleteVolume = 0x1B,
}

impl Command {
    /// Every command, in the order of the codes.
    pub const ALL: [Command; 28] = [
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
        Command::Exec,
        Command::Logs,
        Command::Attach,
        Command::Stats,
        Command::Top,
        Command::Events,
        Command::PullImage,
        Command::ListImages,
        Command::DeleteImage,
        Command::LoadImage,
        Command::PushImage,
        Command::TagImage,
        Command::PruneImages,
        Command::CreateVolume,
        Command::InspectVolume,
        Command::ListVolumes,
        Command::DeleteVolume,
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
            Command::Exec => "exec",
            Command::Logs => "logs",
            Command::Attach => "attach",
            Command::Stats => "stats",
            Command::Top => "top",
            Command::Events => "events",
            Command::PullImage => "pull_image",
            Command::ListImages => "list_images",
            Command::DeleteImage => "delete_image",
            Command::LoadImage => "load_image",
            Command::PushImage => "push_image",
            Command::TagImage => "tag_image",
            Command::PruneImages => "prune_images",
            Command::CreateVolume => "create_volume",
            Command::InspectVolume => "inspect_volume",
            Command::ListVolumes => "list_volumes",
            Command::DeleteVolume => "delete_volume",
        }
    }

    /// Whether the host does the command with the payload that it kept: the kernel checks and authorises it, and hands
    /// the payload to nobody.
    pub const fn is_hosted(self) -> bool {
        self.code() > Command::WaitContainer.code()
    }

    /// Whether the command is about one container: its id stands in the effect.
    pub const fn names_container(self) -> bool {
        match self {
            Command::Ping | Command::ListContainers => false,
            Command::Exec | Command::Logs | Command::Attach | Command::Stats | Command::Top => true,
            other => !other.is_hosted(),
        }
    }
}
