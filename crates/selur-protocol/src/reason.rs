//! Why a request was not carried out: the kernel's words behind a status.

use crate::Status;

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:ident, $text:literal;)*) => {
        /// Why the kernel refused or ended a request. Programs match the status; the reason makes the message.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Reason {
            $($(#[$doc])* $name = $code,)*
        }

        impl Reason {
            /// Every reason, in the order of the codes.
            pub const ALL: &'static [Reason] = &[$(Reason::$name,)*];

            /// The status that the response carries.
            pub const fn status(self) -> Status {
                match self {
                    $(Reason::$name => Status::$status,)*
                }
            }

            /// What went wrong and what to do, for people.
            pub const fn message(self) -> &'static str {
                match self {
                    $(Reason::$name => $text,)*
                }
            }
        }
    };
}

reasons! {
    /// The frame has no bytes.
    EmptyFrame = 1, InvalidRequest, "the frame is empty: send a command byte, a length and a payload";
    /// The frame ends within its header.
    ShortHeader = 2, InvalidRequest, "the frame is shorter than its 5-byte header: send command u8, payload length u32 LE, payload";
    /// The header's length is not that of the payload.
    LengthMismatch = 3, InvalidRequest, "the header's payload length is not the number of bytes that follow it: make them equal";
    /// The header promises more than a payload may have.
    PayloadTooLong = 4, InvalidRequest, "the payload is longer than 262,144 bytes: send less";
    /// No command has this code.
    UnknownCommand = 5, InvalidRequest, "no command has this code: see the table in docs/API.md";
    /// The payload is not UTF-8.
    NotUtf8 = 6, InvalidRequest, "the payload is not valid UTF-8: encode it as UTF-8";
    /// The command takes no payload.
    UnexpectedPayload = 7, InvalidRequest, "this command takes no payload: send a payload length of 0";
    /// The payload has more NUL-separated fields than the command takes.
    TooManyFields = 8, InvalidRequest, "the payload has more NUL-separated fields than this command takes";
    /// The image reference is empty.
    MissingImage = 9, InvalidRequest, "the image reference is empty: give one such as nginx:latest";
    /// The image reference is not of the grammar.
    BadImage = 10, InvalidRequest, "this is no image reference: write [registry/]repository[:tag][@digest] in lower case, such as nginx:latest";
    /// The name is not of the grammar.
    BadName = 11, InvalidRequest, "this is no container name: use 1 to 63 letters, digits, _ . or -, a letter or digit first";
    /// The name could be taken for an id.
    NameLooksLikeId = 12, InvalidRequest, "a name must not be 32 hex digits, as an id is: choose another";
    /// The specification is longer than 64 KiB.
    SpecTooLong = 13, InvalidRequest, "the container specification is longer than 65,536 bytes: make it shorter";
    /// The container argument is empty.
    MissingContainer = 14, InvalidRequest, "the container is missing: give its id, its name or at least 4 digits of its id";
    /// The container argument can be neither id nor name nor prefix.
    BadContainer = 15, InvalidRequest, "this can be no container's id, name or id prefix";
    /// The timeout is no decimal number of milliseconds.
    BadTimeout = 16, InvalidRequest, "the timeout is no whole number of milliseconds from 0 to 4294967295";
    /// The signal is unknown.
    BadSignal = 17, InvalidRequest, "this is no signal: write a name such as SIGTERM or a number from 1 to 64";
    /// The second field of delete is not `force`.
    BadForce = 18, InvalidRequest, "the second field of delete_container can only be the word force";
    /// The slot or ticket was already used, or never given out.
    StaleHandle = 19, InvalidRequest, "this slot or ticket was already used, or never given out: each is used once";
    /// The answer does not fit the slot that the request came in.
    SlotTooSmall = 20, InvalidRequest, "the answer does not fit into the slot: reserve more bytes";
    /// An input of the host's own making is not of its encoding.
    MalformedInput = 21, InvalidRequest, "the host gave the kernel an input that is not of its encoding";
    /// The options, or the specification of an exec, are longer than 64 KiB.
    OptionsTooLong = 22, InvalidRequest, "the options are longer than 65,536 bytes: make them shorter";
    /// An exec says nothing of what to run.
    MissingExecSpec = 23, InvalidRequest, "the exec has no specification: give one as second field, such as {\"command\":[\"ls\"]}";
    /// The path of what is to be loaded is empty.
    MissingPath = 24, InvalidRequest, "the path is empty: give that of an image archive or of a layout directory";
    /// A volume's name is not of the grammar.
    BadVolumeName = 25, InvalidRequest, "this is no volume name: use 1 to 63 letters, digits, _ . or -, a letter or digit first";
    /// No container has this id, name or prefix.
    NoSuchContainer = 32, ContainerNotFound, "no container has this id, name or id prefix: `selur ps -a` lists them";
    /// Several containers share the prefix.
    AmbiguousPrefix = 33, ContainerNotFound, "several containers' ids begin like this: give more digits";
    /// The container was deleted while the request waited.
    ContainerDeleted = 34, ContainerNotFound, "the container was deleted while the request waited";
    /// The name is taken.
    NameTaken = 40, ContainerAlreadyExists, "a container has this name already: choose another, or delete that one first";
    /// The container's state does not allow the command; the detail is the state.
    WrongState = 48, InvalidState, "the container's state does not allow this";
    /// The container table is full.
    ContainersFull = 56, ResourceExhausted, "the container table is full: delete containers that are no longer needed";
    /// Every ticket is in use.
    TicketsFull = 57, ResourceExhausted, "too many requests are in flight: await some first";
    /// Half of all tickets are waits.
    WaitsFull = 58, ResourceExhausted, "too many waits are open: cancel some first";
    /// No gap of the arena holds the frame.
    ArenaFull = 59, ResourceExhausted, "the memory for frames is full: release responses that were read, or send less at a time";
    /// The deadline passed.
    DeadlinePassed = 64, Timeout, "the deadline passed before the answer came";
    /// The caller cancelled the request.
    CancelledByCaller = 72, Cancelled, "the request was cancelled";
    /// A forced deletion cancelled the request.
    CancelledByDelete = 73, Cancelled, "a forced deletion of the container cancelled the request";
    /// The runtime failed; the host has its status and message.
    Runtime = 80, InternalError, "the runtime failed";
}

impl Reason {
    /// The code in the guest ABI; never 0.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The reason with this code, if there is one.
    pub fn from_code(code: u8) -> Option<Reason> {
        Reason::ALL.iter().copied().find(|reason| reason.code() == code)
    }
}
