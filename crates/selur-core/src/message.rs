//! Words for people: what the kernel's reasons mean for the request at hand.

use crate::Response;
use selur_protocol::{Command, Frame, ImageReference, Reason, State, Status};

/// How much of an argument a message shows, in characters.
const SHOWN_CHARACTERS: usize = 80;

/// What a message needs to know of the request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    command: Option<Command>,
    /// The first field of the payload: a container, an image, a volume.
    argument: String,
    /// The second field: a name, a timeout, a signal.
    option: String,
}

impl Subject {
    pub(crate) fn of(frame: &[u8]) -> Subject {
        let Ok(frame) = Frame::parse(frame) else {
            return Subject::default();
        };
        let mut fields = frame.payload().split(|byte| *byte == 0);
        let mut field = || fields.next().map(shown).unwrap_or_default();
        match frame.command() {
            Command::Ping | Command::ListContainers => Subject {
                command: Some(frame.command()),
                ..Subject::default()
            },
            command => Subject {
                command: Some(command),
                argument: field(),
                option: field(),
            },
        }
    }

    pub(crate) fn command(&self) -> Option<Command> {
        self.command
    }

    /// What a request that changes a container names it by.
    pub(crate) fn changed(&self) -> Option<&str> {
        let container = match self.command? {
            Command::CreateContainer => &self.option,
            Command::StartContainer
            | Command::StopContainer
            | Command::KillContainer
            | Command::PauseContainer
            | Command::ResumeContainer
            | Command::DeleteContainer => &self.argument,
            _ => return None,
        };
        (!container.is_empty()).then_some(container)
    }

    fn names_volume(&self) -> bool {
        matches!(
            self.command,
            Some(Command::CreateVolume | Command::InspectVolume | Command::DeleteVolume)
        )
    }

    /// Of two image references it is the second that is wrong.
    fn names_good_image(&self) -> bool {
        self.command == Some(Command::TagImage) && ImageReference::parse(&self.argument).is_ok()
    }
}

/// The response for a failure that the kernel decided on.
pub(crate) fn failure(reason: Reason, state: Option<State>, subject: &Subject) -> Response {
    Response::failure(reason.status(), words(reason, state, subject))
}

/// The response for a failure with the runtime's words.
pub(crate) fn runtime_failure(status: Status, message: Option<String>) -> Response {
    Response::failure(
        status,
        message.unwrap_or_else(|| Reason::Runtime.message().into()),
    )
}

fn words(reason: Reason, state: Option<State>, subject: &Subject) -> String {
    let quoted = match reason {
        Reason::NameLooksLikeId if subject.names_volume() => &subject.argument,
        Reason::BadImage if subject.names_good_image() => &subject.option,
        Reason::BadName
        | Reason::NameLooksLikeId
        | Reason::NameTaken
        | Reason::BadTimeout
        | Reason::BadSignal
        | Reason::BadForce => &subject.option,
        Reason::BadImage
        | Reason::BadContainer
        | Reason::BadVolumeName
        | Reason::NoSuchContainer
        | Reason::AmbiguousPrefix
        | Reason::ContainerDeleted
        | Reason::WrongState
        | Reason::CancelledByDelete => &subject.argument,
        _ => "",
    };
    let text = match (reason, subject.command, state) {
        (Reason::WrongState, Some(command), Some(state)) => wrong_state(command, state),
        _ => reason.message().to_owned(),
    };
    if quoted.is_empty() {
        text
    } else {
        format!("\"{quoted}\": {text}")
    }
}

fn wrong_state(command: Command, state: State) -> String {
    let verb = match command {
        Command::Exec => "exec in",
        Command::Attach => "attach to",
        Command::Stats => "sample",
        Command::Top => "list the processes of",
        other => other.name().split('_').next().unwrap_or("use"),
    };
    let advice = match (command, state) {
        (Command::DeleteContainer, _) => ": stop it first, or delete it with force",
        (Command::StartContainer, State::Paused) => ": resume it",
        (Command::Exec, State::Paused) => ": resume it first",
        (Command::Exec | Command::Stats | Command::Top, State::Created | State::Stopped) => {
            ": start it first"
        }
        (Command::Exec | Command::Stats | Command::Top, State::Restarting) => ": wait until it runs",
        (Command::Attach, State::Stopped) => ": its process has ended, but its logs can be read",
        (Command::KillContainer | Command::PauseContainer | Command::ResumeContainer, State::Created) => {
            ": start it first"
        }
        (Command::KillContainer | Command::PauseContainer | Command::ResumeContainer, State::Stopped) => {
            ": its process has ended"
        }
        (Command::PauseContainer | Command::ResumeContainer, State::Restarting) => {
            ": wait until it runs, or stop it"
        }
        _ => "",
    };
    format!("cannot {verb} a container that is {}{advice}", state.name())
}

/// At most so many characters, with everything escaped that is not plain text.
fn shown(field: &[u8]) -> String {
    let text = String::from_utf8_lossy(field);
    let mut characters = text.chars();
    let mut shown: String = characters
        .by_ref()
        .take(SHOWN_CHARACTERS)
        .flat_map(char::escape_debug)
        .collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}
