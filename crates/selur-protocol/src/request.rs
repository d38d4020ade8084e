//! Requests: the payloads of the commands, decoded.

use crate::{Command, ContainerName, ContainerRef, Frame, Hosted, ImageReference, Reason, Signal};

/// The longest container specification, in bytes of JSON.
pub const MAX_SPEC_BYTES: usize = 65_536;

/// A request whose every field is of its grammar.
///
/// Source: DESIGN, "The protocol": fields are separated by NUL; a missing last field means its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Any text.
    Ping(&'a str),
    /// `image`, `image NUL name` or `image NUL name NUL spec`; an empty name is none.
    Create {
        /// What the container is made from.
        image: ImageReference<'a>,
        /// Its name, if it is to have one.
        name: Option<ContainerName<'a>>,
        /// The specification: JSON, not read here.
        spec: Option<&'a str>,
    },
    /// `container`
    Start(ContainerRef<'a>),
    /// `container [NUL timeout]`
    Stop {
        /// Which container.
        container: ContainerRef<'a>,
        /// How long to wait before SIGKILL, in milliseconds; none is the runtime's default.
        timeout_ms: Option<u32>,
    },
    /// `container`
    Inspect(ContainerRef<'a>),
    /// `container [NUL force]`
    Delete {
        /// Which container.
        container: ContainerRef<'a>,
        /// Whether a running container is killed first.
        force: bool,
    },
    /// Nothing.
    List,
    /// `container [NUL signal]`
    Kill {
        /// Which container.
        container: ContainerRef<'a>,
        /// What to send.
        signal: Signal,
    },
    /// `container`
    Pause(ContainerRef<'a>),
    /// `container`
    Resume(ContainerRef<'a>),
    /// `container`
    Wait(ContainerRef<'a>),
    /// What the host does with the payload that it kept.
    Hosted(Hosted<'a>),
}

impl<'a> Request<'a> {
    /// Reads the payload of a frame.
    ///
    /// # Errors
    /// A [`Reason`] whose status is `invalid_request`.
    pub fn parse(frame: &Frame<'a>) -> Result<Request<'a>, Reason> {
        let text = core::str::from_utf8(frame.payload()).map_err(|_| Reason::NotUtf8)?;
        match frame.command() {
            Command::Ping => return Ok(Request::Ping(text)),
            Command::ListContainers if text.is_empty() => return Ok(Request::List),
            Command::ListContainers => return Err(Reason::UnexpectedPayload),
            Command::CreateContainer => return create(text),
            command if command.is_hosted() => return Hosted::parse(command, text).map(Request::Hosted),
            _ => {}
        }
        let mut fields = text.splitn(3, '\0');
        let container = ContainerRef::parse(fields.next().unwrap_or(""))?;
        let option = fields.next();
        let takes_option = matches!(
            frame.command(),
            Command::StopContainer | Command::DeleteContainer | Command::KillContainer
        );
        if fields.next().is_some() || (option.is_some() && !takes_option) {
            return Err(Reason::TooManyFields);
        }
        Ok(match frame.command() {
            Command::StartContainer => Request::Start(container),
            Command::StopContainer => Request::Stop {
                container,
                timeout_ms: option.map(timeout).transpose()?,
            },
            Command::InspectContainer => Request::Inspect(container),
            Command::DeleteContainer => match option {
                None => Request::Delete {
                    container,
                    force: false,
                },
                Some("force") => Request::Delete {
                    container,
                    force: true,
                },
                Some(_) => return Err(Reason::BadForce),
            },
            Command::KillContainer => match option.map_or(Some(Signal::KILL), Signal::parse) {
                Some(signal) => Request::Kill { container, signal },
                None => return Err(Reason::BadSignal),
            },
            Command::PauseContainer => Request::Pause(container),
            Command::ResumeContainer => Request::Resume(container),
            Command::WaitContainer => Request::Wait(container),
            _ => return Err(Reason::UnknownCommand),
        })
    }
}

fn create(text: &str) -> Result<Request<'_>, Reason> {
    let mut fields = text.splitn(3, '\0');
    let image = ImageReference::parse(fields.next().unwrap_or(""))?;
    let name = match fields.next() {
        None | Some("") => None,
        Some(name) => Some(ContainerName::parse(name)?),
    };
    let spec = fields.next();
    if spec.map_or(false, |spec| spec.len() > MAX_SPEC_BYTES) {
        return Err(Reason::SpecTooLong);
    }
    Ok(Request::Create { image, name, spec })
}

fn timeout(text: &str) -> Result<u32, Reason> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_err(|_| Reason::BadTimeout)
    } else {
        Err(Reason::BadTimeout)
    }
}
