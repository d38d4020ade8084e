//! Words to write vectors with. All of them only build data.

use crate::json::sorted;
use crate::vector::*;
use selur_protocol::Command;
use serde_json::Value;

/// The name under which a vector's container is captured, as it is used.
pub(super) const ID: &str = "$id";
/// An image that runs until it is stopped.
pub(super) const NGINX: &str = "nginx:latest";

/// A vector to add steps to.
pub(super) fn vector(name: &str) -> Vector {
    Vector {
        name: name.into(),
        description: String::new(),
        deadline_ms: None,
        steps: Vec::new(),
    }
}

/// A frame of fields; the command is its name, which of a container's life may lack `_container`; or `list`.
pub(super) fn frame(command: &str, fields: &[&str]) -> FrameText {
    FrameText {
        command: Some(long_name(command)),
        fields: match (command, fields) {
            (_, []) => None,
            _ => Some(fields.iter().map(|field| plain(field)).collect()),
        },
        ..FrameText::default()
    }
}

/// The command's name on the wire.
pub(super) fn long_name(command: &str) -> String {
    match command {
        "list" => "list_containers".into(),
        _ if Command::ALL.iter().any(|known| known.name() == command) => command.into(),
        _ => format!("{command}_container"),
    }
}

pub(super) fn plain(text: &str) -> Text {
    Text::Plain(text.into())
}

pub(super) fn repeat(text: &str, count: u32) -> Text {
    within("", text, count, "")
}

/// The same text many times between two others.
pub(super) fn within(before: &str, text: &str, count: u32, after: &str) -> Text {
    Text::Repeat(Repeat {
        repeat: text.into(),
        count,
        before: before.into(),
        after: after.into(),
    })
}

/// Success with no data.
pub(super) fn done() -> Expect {
    Expect {
        status: "success".into(),
        ..Expect::default()
    }
}

/// Success with exactly this text.
pub(super) fn data(text: &str) -> Expect {
    Expect {
        data: Some(plain(text)),
        ..done()
    }
}

/// Success with JSON that contains this.
pub(super) fn json(part: Value) -> Expect {
    Expect {
        json: Some(sorted(part)),
        ..done()
    }
}

/// Success with the id of a stream.
pub(super) fn stream() -> Expect {
    Expect {
        data_is: Some("stream_id".into()),
        ..done()
    }
}

/// Success with a new id, which is kept under this name.
pub(super) fn created(name: &str) -> Expect {
    Expect {
        data_is: Some("container_id".into()),
        capture: [(name.to_string(), 32)].into(),
        ..done()
    }
}

/// A failure whose message contains these words.
pub(super) fn failure(status: &str, words: &[&str]) -> Expect {
    Expect {
        status: status.into(),
        message_contains: words
            .iter()
            .filter(|word| !word.is_empty())
            .map(|word| word.to_string())
            .collect(),
        ..Expect::default()
    }
}

/// A failure of the caller's making.
pub(super) fn invalid(word: &str) -> Expect {
    failure("invalid_request", &[word])
}

impl Vector {
    pub(super) fn about(mut self, description: &str) -> Vector {
        self.description = description.into();
        self
    }

    pub(super) fn deadline_ms(mut self, deadline_ms: u64) -> Vector {
        self.deadline_ms = Some(deadline_ms);
        self
    }

    pub(super) fn step(mut self, step: Step) -> Vector {
        self.steps.push(step);
        self
    }

    /// Sends any frame.
    pub(super) fn send(self, request: FrameText, expect: Expect) -> Vector {
        self.step(Step::Request(Request {
            request,
            times: None,
            eventually: false,
            expect,
        }))
    }

    /// Sends fields.
    pub(super) fn request(self, command: &str, fields: &[&str], expect: Expect) -> Vector {
        self.send(frame(command, fields), expect)
    }

    /// Sends fields again and again until the response is as expected.
    pub(super) fn eventually(self, command: &str, fields: &[&str], expect: Expect) -> Vector {
        self.step(Step::Request(Request {
            request: frame(command, fields),
            times: None,
            eventually: true,
            expect,
        }))
    }

    /// Sends fields many times.
    pub(super) fn repeatedly(self, times: u32, command: &str, fields: &[&str], expect: Expect) -> Vector {
        self.step(Step::Request(Request {
            request: frame(command, fields),
            times: Some(times),
            eventually: false,
            expect,
        }))
    }

    /// Sends commands about the vector's container that succeed without data.
    pub(super) fn each(self, commands: &[&str]) -> Vector {
        commands
            .iter()
            .fold(self, |vector, command| vector.request(command, &[ID], done()))
    }

    /// Makes the vector's container.
    pub(super) fn create(self, image: &str) -> Vector {
        self.request("create", &[image], created("id"))
    }

    /// Makes the vector's container with a name.
    pub(super) fn create_named(self, image: &str, name: &str) -> Vector {
        self.request("create", &[image, name], created("id"))
    }

    /// Makes the vector's container with a specification.
    pub(super) fn create_with(self, image: &str, spec: Value) -> Vector {
        self.send(create_frame(image, "", spec), created("id"))
    }

    /// Inspects the vector's container.
    pub(super) fn inspect(self, part: Value) -> Vector {
        self.request("inspect", &[ID], json(part))
    }

    /// The vector's container is gone.
    pub(super) fn gone(self) -> Vector {
        self.request("inspect", &[ID], failure("container_not_found", &[]))
            .request("list", &[], done())
    }

    pub(super) fn submit(self, ticket: &str, command: &str, fields: &[&str]) -> Vector {
        self.step(Step::Submit(Submit {
            submit: frame(command, fields),
            ticket: ticket.into(),
        }))
    }

    pub(super) fn answer(self, ticket: &str, expect: Expect) -> Vector {
        self.step(Step::Await(Await {
            ticket: ticket.into(),
            expect,
        }))
    }

    /// Cancels a ticket and awaits that it says so.
    pub(super) fn cancel(self, ticket: &str) -> Vector {
        self.step(Step::Cancel(Cancel {
            ticket: ticket.into(),
        }))
        .answer(ticket, failure("cancelled", &[]))
    }

    /// Lets the vector's container end by itself.
    pub(super) fn exit(self) -> Vector {
        self.step(Step::Exit(Exit { container: ID.into() }))
    }
}

/// A create with a specification.
pub(super) fn create_frame(image: &str, name: &str, spec: Value) -> FrameText {
    let mut create = frame("create", &[image, name]);
    if let Some(fields) = &mut create.fields {
        fields.push(Text::Json(JsonText { json: sorted(spec) }));
    }
    create
}
