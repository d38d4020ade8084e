//! The grammar of container names, and of the argument that means a container.

use crate::id::hex_digit;
use crate::{ContainerId, Reason};

/// The longest name, in bytes.
pub const MAX_NAME_BYTES: usize = 63;

/// The shortest id prefix that may stand for a container, in hex digits.
pub const MIN_PREFIX_DIGITS: usize = 4;

/// A valid container name: `[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}`, and not 32 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContainerName<'a>(&'a str);

impl<'a> ContainerName<'a> {
    /// Reads a name.
    ///
    /// # Errors
    /// - [`Reason::BadName`]: the text is not of the grammar.
    /// - [`Reason::NameLooksLikeId`]: it could be taken for an id.
    pub fn parse(text: &'a str) -> Result<ContainerName<'a>, Reason> {
        if !is_name(text) {
            return Err(Reason::BadName);
        }
        if ContainerId::parse(text).is_some() {
            return Err(Reason::NameLooksLikeId);
        }
        Ok(ContainerName(text))
    }

    /// The name as text.
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

/// A container argument that is well formed: an id, or a text that may be a name or an id prefix.
///
/// It is resolved as id, then as name, then as unique prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContainerRef<'a> {
    /// 32 hex digits.
    Id(ContainerId),
    /// A name; also a prefix of an id, where [`ContainerRef::as_prefix`] says so.
    Name(&'a str),
}

impl<'a> ContainerRef<'a> {
    /// Reads a container argument.
    ///
    /// # Errors
    /// - [`Reason::MissingContainer`]: the text is empty.
    /// - [`Reason::BadContainer`]: it can be no id, no name and no prefix.
    pub fn parse(text: &'a str) -> Result<ContainerRef<'a>, Reason> {
        if text.is_empty() {
            return Err(Reason::MissingContainer);
        }
        if let Some(id) = ContainerId::parse(text) {
            return Ok(ContainerRef::Id(id));
        }
        if is_name(text) {
            return Ok(ContainerRef::Name(text));
        }
        Err(Reason::BadContainer)
    }

    /// The text as an id prefix, where it is one: 4 to 31 lower-case hex digits.
    pub fn as_prefix(&self) -> Option<&'a str> {
        match *self {
            ContainerRef::Name(text)
                if (MIN_PREFIX_DIGITS..ContainerId::HEX_BYTES).contains(&text.len())
                    && text.bytes().all(|digit| hex_digit(digit).is_some()) =>
            {
                Some(text)
            }
            _ => None,
        }
    }
}

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes.first(), Some(first) if first.is_ascii_alphanumeric())
        && bytes.len() <= MAX_NAME_BYTES
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}
