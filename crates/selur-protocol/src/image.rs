//! The grammar of image references, with Docker's defaults.
//!
//! Source: OCI distribution specification 1.1, "Pulling manifests", and the reference grammar of the distribution
//! project: `[domain/]path[:tag][@digest]`.

use crate::Reason;
use core::fmt;

/// The registry of a reference that names none.
pub const DEFAULT_DOMAIN: &str = "docker.io";
/// The tag of a reference that has neither tag nor digest.
pub const DEFAULT_TAG: &str = "latest";
/// What Docker puts before a single path component of its own registry.
const OFFICIAL: &str = "library/";
/// The longest name in full (domain, slash and path, with `library/` where it is meant), in bytes.
const MAX_IMAGE_NAME_BYTES: usize = 255;
const MAX_TAG_BYTES: usize = 128;

/// A valid image reference. `Display` writes it in full: `nginx` is `docker.io/library/nginx:latest`.
///
/// ```
/// use selur_protocol::ImageReference;
///
/// let image = ImageReference::parse("127.0.0.1:5000/team/app:v1").unwrap();
/// assert_eq!((image.domain(), image.tag()), ("127.0.0.1:5000", Some("v1")));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageReference<'a> {
    domain: &'a str,
    path: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> ImageReference<'a> {
    /// Reads a reference.
    ///
    /// # Errors
    /// - [`Reason::MissingImage`]: the text is empty.
    /// - [`Reason::BadImage`]: it is not of the grammar.
    pub fn parse(text: &'a str) -> Result<ImageReference<'a>, Reason> {
        if text.is_empty() {
            return Err(Reason::MissingImage);
        }
        read(text).ok_or(Reason::BadImage)
    }

    /// The registry's host, with its port if it has one.
    pub const fn domain(&self) -> &'a str {
        self.domain
    }

    /// The repository as it was written; see [`ImageReference::is_official`].
    pub const fn path(&self) -> &'a str {
        self.path
    }

    /// Whether the repository's full path is `library/` and [`ImageReference::path`].
    pub fn is_official(&self) -> bool {
        self.domain == DEFAULT_DOMAIN && !self.path.contains('/')
    }

    fn official(&self) -> &'static str {
        if self.is_official() { OFFICIAL } else { "" }
    }

    /// The tag; `latest` if neither tag nor digest was given.
    pub const fn tag(&self) -> Option<&'a str> {
        self.tag
    }

    /// The digest, if one was given: `sha256:` and 64 hex digits, or `sha512:` and 128.
    pub const fn digest(&self) -> Option<&'a str> {
        self.digest
    }
}

impl fmt::Display for ImageReference<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.domain, self.official(), self.path)?;
        if let Some(tag) = self.tag {
            write!(f, ":{}", tag)?;
        }
        match self.digest {
            Some(digest) => write!(f, "@{}", digest),
            None => Ok(()),
        }
    }
}

fn read(text: &str) -> Option<ImageReference<'_>> {
    if looks_like_image_id(text) {
        return None;
    }
    let (rest, digest) = match text.split_once('@') {
        Some((_, digest)) if !is_digest(digest) => return None,
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    let (domain, rest) = match rest.split_once('/') {
        Some((first, rest)) if looks_like_domain(first) => (first, rest),
        _ => (DEFAULT_DOMAIN, rest),
    };
    let (path, tag) = match rest.split_once(':') {
        Some((_, tag)) if !is_tag(tag) => return None,
        Some((path, tag)) => (path, Some(tag)),
        None => (rest, None),
    };
    let domain = if domain == "index.docker.io" {
        DEFAULT_DOMAIN
    } else {
        domain
    };
    let tag = if tag.is_none() && digest.is_none() {
        Some(DEFAULT_TAG)
    } else {
        tag
    };
    let image = ImageReference {
        domain,
        path,
        tag,
        digest,
    };
    let valid = is_domain(domain)
        && path.split('/').all(is_path_component)
        && domain.len() + 1 + image.official().len() + path.len() <= MAX_IMAGE_NAME_BYTES;
    if valid { Some(image) } else { None }
}

/// Docker's rule: 64 hex digits name an image of the store by its id, which is something else than what a registry knows.
///
/// Source: github.com/distribution/reference, `ParseNormalizedNamed`.
fn looks_like_image_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| crate::id::hex_digit(byte).is_some())
}

/// Docker's rule: the first component is a host if it could not be a repository.
fn looks_like_domain(component: &str) -> bool {
    component == "localhost" || component.contains(|c: char| c == '.' || c == ':' || c.is_ascii_uppercase())
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            let is_address = address.contains(':')
                && address
                    .bytes()
                    .all(|byte| byte.is_ascii_hexdigit() || byte == b':');
            match (is_address, rest.strip_prefix(':'), rest) {
                (true, Some(port), _) => return is_port(port),
                (true, None, "") => return true,
                _ => return false,
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    host.split('.').all(is_domain_component) && port.map_or(true, is_port)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().map_or(false, |port| port > 0)
}

fn is_domain_component(text: &str) -> bool {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            first.is_ascii_alphanumeric()
                && last.is_ascii_alphanumeric()
                && bytes
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        }
        _ => false,
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_path_component(text: &str) -> bool {
    let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) if is_alphanumeric(first) && is_alphanumeric(last) => {}
        _ => return false,
    }
    bytes.split(is_alphanumeric).all(|separator| {
        matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|byte| *byte == b'-')
    })
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
fn is_tag(text: &str) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes.first(), Some(first) if first.is_ascii_alphanumeric() || *first == b'_')
        && bytes.len() <= MAX_TAG_BYTES
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}

fn is_digest(text: &str) -> bool {
    let hex_digits = match text.split_once(':') {
        Some(("sha256", hex)) if hex.len() == 64 => hex,
        Some(("sha512", hex)) if hex.len() == 128 => hex,
        _ => return false,
    };
    hex_digits
        .bytes()
        .all(|digit| crate::id::hex_digit(digit).is_some())
}
