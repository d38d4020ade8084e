//! What callers get: results as terms, and the way to whom they are sent.

use crate::atoms;
use rustler::env::SavedTerm;
use rustler::types::LocalPid;
use rustler::{Atom, Encoder, Env, NewBinary, NifUnitEnum, OwnedEnv, Term};
use selur_core::{COPY_PIECE_BYTES, Response};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why something was not done.
pub(crate) use selur_core::Error as Failure;

/// `{:error, status}`, or `{:error, %Selur.Error{}}`.
pub(crate) fn failed<'a>(env: Env<'a>, failure: &Failure, errors: Errors) -> Term<'a> {
    // Never fails: the names of statuses are short.
    let status = Atom::from_str(env, failure.status().name()).unwrap_or_else(|_| atoms::error());
    let reason = match errors {
        Errors::Plain => status.encode(env),
        Errors::Detailed => {
            let fields = [
                (atoms::struct_key(), atoms::selur_error().encode(env)),
                (atoms::exception_key(), true.encode(env)),
                (atoms::status(), status.encode(env)),
                (atoms::message(), binary(env, failure.message().as_bytes())),
            ];
            map(env, &fields)
        }
    };
    (atoms::error(), reason).encode(env)
}

/// How failures are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, NifUnitEnum)]
pub(crate) enum Errors {
    /// By their status.
    Plain,
    /// With their message, as an exception.
    Detailed,
}

/// What a success is told as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, NifUnitEnum)]
pub(crate) enum Shape {
    /// `:ok`.
    Nothing,
    /// `{:ok, binary}`.
    Text,
    /// `{:ok, [binary]}`, a line each.
    Lines,
    /// `{:ok, code}`, where the code may be nil.
    ExitCode,
    /// `{:ok, %Selur.Stream{}}`.
    Stream,
    /// `{:ok, binary}`: the response frame, also of a failure.
    Frame,
}

/// The term of a response, but for a stream, which only [`crate::stream`] can make.
pub(crate) fn encode<'a>(env: Env<'a>, response: &Response, shape: Shape, errors: Errors) -> Term<'a> {
    let data = response.data();
    if shape == Shape::Frame {
        let mut frame = NewBinary::new(env, data.len() + 1);
        if let [status, rest @ ..] = frame.as_mut_slice() {
            *status = response.status().code();
            copy(data, rest);
        }
        return (atoms::ok(), Term::from(frame)).encode(env);
    }
    if !response.is_success() {
        let failure = Failure::new(response.status(), String::from_utf8_lossy(data));
        return failed(env, &failure, errors);
    }
    let result = match shape {
        Shape::Nothing => return atoms::ok().encode(env),
        Shape::Lines => {
            let lines = data.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            lines
                .map(|line| binary(env, line))
                .collect::<Vec<_>>()
                .encode(env)
        }
        Shape::ExitCode => {
            let code = std::str::from_utf8(data)
                .ok()
                .and_then(|text| text.parse::<i32>().ok());
            code.encode(env)
        }
        Shape::Text | Shape::Stream | Shape::Frame => binary(env, data),
    };
    (atoms::ok(), result).encode(env)
}

pub(crate) fn binary<'a>(env: Env<'a>, bytes: &[u8]) -> Term<'a> {
    let mut binary = NewBinary::new(env, bytes.len());
    copy(bytes, binary.as_mut_slice());
    binary.into()
}

/// Copies in pieces, into a place that is as long: see [`COPY_PIECE_BYTES`].
fn copy(bytes: &[u8], place: &mut [u8]) {
    for (place, piece) in place
        .chunks_mut(COPY_PIECE_BYTES)
        .zip(bytes.chunks(COPY_PIECE_BYTES))
    {
        place.copy_from_slice(piece);
    }
}

pub(crate) fn map<'a>(env: Env<'a>, fields: &[(Atom, Term<'a>)]) -> Term<'a> {
    let pairs: Vec<_> = fields
        .iter()
        .map(|(key, value)| (key.encode(env), *value))
        .collect();
    // Never fails: no key is there twice.
    Term::map_from_pairs(env, &pairs).unwrap_or_else(|_| atoms::nil().encode(env))
}

/// Whom an answer goes to, and under which tag: `{:selur, tag, result}`.
pub(crate) struct Reply {
    to: LocalPid,
    env: OwnedEnv,
    tag: SavedTerm,
}

impl Reply {
    /// To the process that called.
    pub(crate) fn to_caller(env: Env<'_>, tag: impl Encoder) -> Reply {
        let own = OwnedEnv::new();
        Reply {
            to: env.pid(),
            tag: own.save(tag),
            env: own,
        }
    }

    pub(crate) fn pid(&self) -> &LocalPid {
        &self.to
    }

    /// Sends it from a thread that is no scheduler. Says whether there was somebody to send it to.
    pub(crate) fn send(mut self, result: impl for<'a> FnOnce(Env<'a>) -> Term<'a>) -> bool {
        let tag = self.tag.clone();
        let to = self.to;
        let sent = self.env.send_and_clear(&to, |env| {
            let result =
                caught(|| Ok(result(env))).unwrap_or_else(|failure| failed(env, &failure, Errors::Plain));
            (atoms::selur(), tag.load(env), result)
        });
        sent.is_ok()
    }
}

/// Runs what must not panic into the BEAM or end one of our threads.
pub(crate) fn caught<T>(body: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| Err(Failure::panicked(panic.as_ref())))
}

/// Runs the body of a function that the BEAM calls.
pub(crate) fn guarded<'a>(
    env: Env<'a>,
    errors: Errors,
    body: impl FnOnce() -> Result<Term<'a>, Failure>,
) -> Term<'a> {
    caught(body).unwrap_or_else(|failure| failed(env, &failure, errors))
}
