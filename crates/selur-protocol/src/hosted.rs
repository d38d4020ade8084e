//! Hosted commands: their payloads, decoded. The host does them; the kernel asks this module whether they are well formed.

use crate::{Command, ContainerName, ContainerRef, ImageReference, Reason};

/// The longest options or exec specification, in bytes of JSON.
pub const MAX_OPTIONS_BYTES: usize = 65_536;

/// A request for which [`Command::is_hosted`] holds.
///
/// Source: conformance/protocol.json, "payload" of the commands from 0x0B on.
///
/// ```
/// use selur_protocol::{Command, Frame, Request, Subject};
///
/// let mut frame = [0; 64];
/// let length = Frame::encode(Command::PullImage, &[b"nginx", b"{\"progress\":true}"], &mut frame).unwrap();
/// let request = Request::parse(&Frame::parse(&frame[..length]).unwrap()).unwrap();
/// let Request::Hosted(hosted) = request else { panic!() };
/// assert!(matches!(hosted.subject, Subject::Image(image) if image.path() == "nginx"));
/// assert_eq!(hosted.options, Some("{\"progress\":true}"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hosted<'a> {
    /// What is asked.
    pub command: Command,
    /// What it is asked of.
    pub subject: Subject<'a>,
    /// The options, or for exec the specification: JSON, not read here. An empty field is none; exec always has some.
    pub options: Option<&'a str>,
}

/// What a hosted command is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// Everything: events, lists and prune.
    All,
    /// exec, logs, attach, stats, top.
    Container(ContainerRef<'a>),
    /// pull_image, push_image, delete_image.
    Image(ImageReference<'a>),
    /// tag_image.
    Tag {
        /// The image that is there.
        image: ImageReference<'a>,
        /// The name that it is to have too.
        name: ImageReference<'a>,
    },
    /// load_image: a path of the host's; never empty.
    Path(&'a str),
    /// create_volume, inspect_volume, delete_volume: the grammar is that of container names.
    Volume(ContainerName<'a>),
}

impl<'a> Hosted<'a> {
    /// Reads the payload of a hosted command.
    ///
    /// # Errors
    /// A [`Reason`] whose status is `invalid_request`; [`Reason::UnknownCommand`] for a command that is not hosted.
    pub fn parse(command: Command, text: &'a str) -> Result<Hosted<'a>, Reason> {
        let mut fields = text.split('\0');
        let mut field = || fields.next().unwrap_or("");
        let subject = match command {
            command if command.is_hosted() && command.names_container() => {
                Subject::Container(ContainerRef::parse(field())?)
            }
            Command::PullImage | Command::PushImage | Command::DeleteImage => {
                Subject::Image(ImageReference::parse(field())?)
            }
            Command::TagImage => Subject::Tag {
                image: ImageReference::parse(field())?,
                name: ImageReference::parse(field())?,
            },
            Command::LoadImage => match field() {
                "" => return Err(Reason::MissingPath),
                path => Subject::Path(path),
            },
            Command::CreateVolume | Command::InspectVolume | Command::DeleteVolume => {
                Subject::Volume(volume(field())?)
            }
            Command::ListImages | Command::ListVolumes if text.is_empty() => {
                return Ok(Hosted {
                    command,
                    subject: Subject::All,
                    options: None,
                });
            }
            Command::ListImages | Command::ListVolumes => return Err(Reason::UnexpectedPayload),
            Command::Events | Command::PruneImages => Subject::All,
            _ => return Err(Reason::UnknownCommand),
        };
        let options = if takes_options(command) {
            fields.next().filter(|options| !options.is_empty())
        } else {
            None
        };
        if fields.next().is_some() {
            return Err(Reason::TooManyFields);
        }
        match options {
            Some(options) if options.len() > MAX_OPTIONS_BYTES => Err(Reason::OptionsTooLong),
            None if command == Command::Exec => Err(Reason::MissingExecSpec),
            options => Ok(Hosted {
                command,
                subject,
                options,
            }),
        }
    }
}

/// Whether a last field may follow the subject's.
const fn takes_options(command: Command) -> bool {
    !matches!(
        command,
        Command::Top
            | Command::DeleteImage
            | Command::TagImage
            | Command::InspectVolume
            | Command::DeleteVolume
    )
}

fn volume(text: &str) -> Result<ContainerName<'_>, Reason> {
    ContainerName::parse(text).map_err(|reason| match reason {
        Reason::BadName => Reason::BadVolumeName,
        other => other,
    })
}
