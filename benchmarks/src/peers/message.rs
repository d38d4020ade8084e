//! The request and the answer as JSON.

use serde::{Deserialize, Serialize};
use std::borrow::Cow;

#[derive(Serialize, Deserialize)]
pub(crate) struct Request<'a> {
    pub(crate) command: Cow<'a, str>,
    /// Borrowed where it can be: it needs no unescaping.
    #[serde(borrow)]
    pub(crate) payload: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Answer<'a> {
    pub(crate) status: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) data: Cow<'a, str>,
}

impl<'a> Request<'a> {
    pub(crate) fn ping(payload: &'a str) -> Request<'a> {
        Request {
            command: "ping".into(),
            payload: payload.into(),
        }
    }

    /// The answer, with the payload as it is.
    pub(crate) fn answer(self) -> Answer<'a> {
        let (status, data) = match &*self.command {
            "ping" => ("success", self.payload),
            _ => ("invalid_request", "no such command".into()),
        };
        Answer {
            status: status.into(),
            data,
        }
    }
}
