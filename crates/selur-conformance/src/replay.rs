//! The harness that replays vectors, over anything that takes frames.
//!
//! Harnesses in other languages do what this one does; `conformance/README.md` says it in words.

use crate::vector::{Expect, FrameText, Step, Text, Vector};
use selur_protocol::{Command, Status};
use serde_json::Value;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a response may take, and how long `eventually` may.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A response: its status and what follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status byte.
    pub status: u8,
    /// The data on success, else the message.
    pub data: Vec<u8>,
}

/// Something that takes frames: a bridge on the simulated backend.
pub trait Client {
    /// A request in flight.
    type Ticket;

    /// Sends a frame.
    fn submit(&self, frame: &[u8]) -> Self::Ticket;

    /// Awaits the response. Nothing if it does not come in time.
    fn wait(&self, ticket: Self::Ticket, patience: Duration) -> Option<Reply>;

    /// Says that the response is no longer wanted.
    fn cancel(&self, ticket: &Self::Ticket);
}

/// Replays one vector on a fresh client.
///
/// # Errors
/// The step that went otherwise, counted from 1, and how.
pub fn replay<C: Client>(vector: &Vector, client: &C) -> Result<(), String> {
    let mut replay = Replay {
        client,
        captured: HashMap::new(),
        tickets: HashMap::new(),
    };
    for (position, step) in vector.steps.iter().enumerate() {
        replay
            .step(step)
            .map_err(|error| format!("{}, step {}: {error}", vector.name, position + 1))?;
    }
    Ok(())
}

struct Replay<'a, C: Client> {
    client: &'a C,
    captured: HashMap<String, String>,
    tickets: HashMap<String, C::Ticket>,
}

impl<C: Client> Replay<'_, C> {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Request(step) => {
                let frame = self.frame(&step.request)?;
                for _ in 0..step.times.unwrap_or(1) {
                    let begin = Instant::now();
                    loop {
                        let ticket = self.client.submit(&frame);
                        let outcome = self.check(ticket, &step.expect);
                        if outcome.is_ok() || !step.eventually || begin.elapsed() > PATIENCE {
                            break outcome?;
                        }
                        std::thread::yield_now();
                    }
                }
            }
            Step::Submit(step) => {
                let frame = self.frame(&step.submit)?;
                let ticket = self.client.submit(&frame);
                if self.tickets.insert(step.ticket.clone(), ticket).is_some() {
                    return Err(format!("two tickets are called {:?}", step.ticket));
                }
            }
            Step::Await(step) => {
                let ticket = self.tickets.remove(&step.ticket);
                let ticket = ticket.ok_or_else(|| format!("no ticket is called {:?}", step.ticket))?;
                self.check(ticket, &step.expect)?;
            }
            Step::Cancel(step) => {
                let ticket = self.tickets.get(&step.ticket);
                let ticket = ticket.ok_or_else(|| format!("no ticket is called {:?}", step.ticket))?;
                self.client.cancel(ticket);
            }
            Step::Exit(step) => {
                let frame = FrameText {
                    command: Some(Command::KillContainer.name().into()),
                    fields: Some(vec![
                        Text::Plain(step.container.clone()),
                        Text::Plain("SIGUSR1".into()),
                    ]),
                    ..FrameText::default()
                };
                let expect = Expect {
                    status: Status::Success.name().into(),
                    ..Expect::default()
                };
                let ticket = self.client.submit(&self.frame(&frame)?);
                self.check(ticket, &expect)?;
            }
        }
        Ok(())
    }

    fn frame(&self, text: &FrameText) -> Result<Vec<u8>, String> {
        if let Some(hex) = &text.frame_hex {
            return from_hex(hex);
        }
        let code = match (&text.command, text.code) {
            (Some(name), None) => Command::ALL
                .into_iter()
                .find(|command| command.name() == name)
                .ok_or_else(|| format!("no command is called {name:?}"))?
                .code(),
            (None, Some(code)) => code,
            _ => return Err("a frame has either a command or a code".into()),
        };
        let payload = match (&text.fields, &text.payload, &text.payload_hex) {
            (None, None, None) => Vec::new(),
            (Some(fields), None, None) => {
                let fields: Result<Vec<_>, _> = fields.iter().map(|field| self.text(field)).collect();
                fields?.join("\0").into_bytes()
            }
            (None, Some(payload), None) => self.text(payload)?.into_bytes(),
            (None, None, Some(hex)) => from_hex(hex)?,
            _ => return Err("a frame has one payload".into()),
        };
        let real = u32::try_from(payload.len()).map_err(|error| error.to_string())?;
        let mut frame = vec![code];
        frame.extend(text.length.unwrap_or(real).to_le_bytes());
        frame.extend(payload);
        Ok(frame)
    }

    fn text(&self, text: &Text) -> Result<String, String> {
        Ok(match text {
            Text::Plain(text) => self.plain(text)?.to_string(),
            Text::Repeat(text) => {
                let repeated = text.repeat.repeat(text.count as usize);
                format!("{}{repeated}{}", text.before, text.after)
            }
            Text::Json(text) => self.json(&text.json)?.to_string(),
        })
    }

    /// What was captured by the name, if the text is `$name`.
    fn plain<'t>(&'t self, text: &'t str) -> Result<&'t str, String> {
        match text.strip_prefix('$') {
            None => Ok(text),
            Some(name) => match self.captured.get(name) {
                Some(captured) => Ok(captured),
                None => Err(format!("nothing was captured as {name:?}")),
            },
        }
    }

    /// A value with what was captured in its strings.
    fn json(&self, value: &Value) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) => Value::String(self.plain(text)?.into()),
            Value::Array(items) => {
                let items: Result<_, _> = items.iter().map(|item| self.json(item)).collect();
                Value::Array(items?)
            }
            Value::Object(fields) => {
                let fields = fields
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), self.json(value)?)));
                Value::Object(fields.collect::<Result<_, String>>()?)
            }
            other => other.clone(),
        })
    }

    fn check(&mut self, ticket: C::Ticket, expect: &Expect) -> Result<(), String> {
        let reply = self.client.wait(ticket, PATIENCE).ok_or("no response came")?;
        let name = Status::from_code(reply.status).map_or("unknown_error", Status::name);
        let text = std::str::from_utf8(&reply.data).map_err(|_| "the response is not UTF-8")?;
        if name != expect.status {
            return Err(format!("{name} instead of {}: {text}", expect.status));
        }
        if name != Status::Success.name() {
            return self.check_message(text, expect);
        }
        self.check_data(text, expect)?;
        for (name, bytes) in &expect.capture {
            let kept = text
                .get(..*bytes)
                .ok_or_else(|| format!("{text:?} is too short for {name}"))?;
            self.captured.insert(name.clone(), kept.into());
        }
        Ok(())
    }

    fn check_message(&self, message: &str, expect: &Expect) -> Result<(), String> {
        if message.is_empty() {
            return Err("a failure without a message".into());
        }
        for part in &expect.message_contains {
            if !message.contains(self.plain(part)?) {
                return Err(format!("the message {message:?} lacks {part:?}"));
            }
        }
        Ok(())
    }

    fn check_data(&self, data: &str, expect: &Expect) -> Result<(), String> {
        let exact = match (&expect.data, &expect.lines) {
            (Some(text), _) => Some(self.text(text)?),
            (None, Some(lines)) => {
                let lines: Result<Vec<_>, _> = lines.iter().map(|line| self.plain(line)).collect();
                Some(lines?.join("\n"))
            }
            (None, None) if expect.data_is.is_none() && expect.json.is_none() => Some(String::new()),
            (None, None) => None,
        };
        if let Some(exact) = exact
            && data != exact
        {
            return Err(format!("{:?} instead of {:?}", shorten(data), shorten(&exact)));
        }
        match expect.data_is.as_deref() {
            None => {}
            Some("container_id") if selur_protocol::ContainerId::parse(data).is_some() => {}
            Some("stream_id") if is_stream_id(data) => {}
            Some(kind) => return Err(format!("{data:?} is not of the kind {kind}")),
        }
        if let Some(part) = &expect.json {
            let whole: Value = serde_json::from_str(data).map_err(|error| format!("{error}: {data:?}"))?;
            contains(&whole, &self.json(part)?, "")?;
        }
        Ok(())
    }
}

/// A number above 0 in decimal, written in the one way.
fn is_stream_id(text: &str) -> bool {
    text.parse::<u64>()
        .is_ok_and(|id| id > 0 && id.to_string() == text)
}

/// Whether JSON contains a part: objects field by field, arrays item by item, everything else as a whole.
fn contains(whole: &Value, part: &Value, path: &str) -> Result<(), String> {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part.iter().try_for_each(|(key, value)| {
            let path = format!("{path}/{key}");
            match whole.get(key) {
                Some(found) => contains(found, value, &path),
                None => Err(format!("{path} is missing")),
            }
        }),
        (Value::Array(whole), Value::Array(part)) if whole.len() == part.len() => {
            let mut pairs = whole.iter().zip(part).enumerate();
            pairs.try_for_each(|(place, (whole, part))| contains(whole, part, &format!("{path}/{place}")))
        }
        _ if whole == part => Ok(()),
        _ => Err(format!("{path} is {whole} instead of {part}")),
    }
}

fn from_hex(hex: &str) -> Result<Vec<u8>, String> {
    if !hex.len().is_multiple_of(2) || !hex.is_ascii() {
        return Err(format!("{hex:?} is no hex"));
    }
    let digits = (0..hex.len()).step_by(2);
    digits
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).map_err(|error| error.to_string()))
        .collect()
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_string(),
    }
}
