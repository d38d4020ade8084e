//! What goes wrong with a tree.

use std::io;

/// Why a tree was not unpacked, measured or removed.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The archive is broken or hostile.
    #[error("{0}")]
    Content(String),
    /// A cap would be passed.
    #[error("{0}")]
    TooLarge(String),
    /// The archive needs what is not to be had here.
    #[error("{0}")]
    Unsupported(String),
    /// Whatever the archive is read from failed.
    #[error("the tar stream cannot be read: {0}")]
    Reader(#[source] io::Error),
    /// The operating system failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done, with the path.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
}

/// Says what was being done when the operating system failed.
pub(crate) trait During<T> {
    /// `what` is a gerund with the path: `writing "/x"`.
    fn during(self, what: impl FnOnce() -> String) -> Result<T, TreeError>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during(self, what: impl FnOnce() -> String) -> Result<T, TreeError> {
        self.map_err(|error| TreeError::Io {
            what: what(),
            source: error.into(),
        })
    }
}

/// Puts a name from outside into a message: quoted, escaped, and not longer than people read.
pub fn quoted(text: &[u8]) -> String {
    const LONGEST_BYTES: usize = 200;
    let shown = String::from_utf8_lossy(&text[..text.len().min(LONGEST_BYTES)]);
    let more = if text.len() > LONGEST_BYTES { "…" } else { "" };
    format!("{shown:?}{more}")
}
