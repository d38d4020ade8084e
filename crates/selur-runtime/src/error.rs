//! The one error type that leaves a runtime.

use selur_protocol::Status;

/// Why an effect failed: a status for programs, a message for people, the cause behind it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct RuntimeError {
    status: Status,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl RuntimeError {
    /// An error with a message that says what went wrong and what to do.
    pub fn new(status: Status, message: impl Into<String>) -> RuntimeError {
        RuntimeError {
            status,
            message: message.into(),
            source: None,
        }
    }

    /// The same with the cause it stems from.
    pub fn with_source(
        status: Status,
        message: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> RuntimeError {
        RuntimeError {
            status,
            message: message.into(),
            source: Some(source.into()),
        }
    }

    /// What the response carries; never success.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The message and every cause behind it, joined by `: `. A cause that the message repeats is left out.
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let words = error.to_string();
            if !text.ends_with(&words) {
                text.push_str(": ");
                text.push_str(&words);
            }
            cause = error.source();
        }
        text
    }
}
