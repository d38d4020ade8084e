//! Names of machines: the container's own, and those that it is told the addresses of.

use super::SpecError;
use std::net::IpAddr;

/// Source: sethostname(2), `HOST_NAME_MAX`.
const MAX_HOSTNAME_BYTES: usize = 64;
/// Source: RFC 1035, section 2.3.4, without the dot at the end.
const MAX_NAME_BYTES: usize = 253;

/// Host names are written into files line by line and given to the kernel, so that their letters are checked.
pub(super) fn check_hostname(hostname: &str) -> Result<(), SpecError> {
    if is_name(hostname, MAX_HOSTNAME_BYTES) {
        return Ok(());
    }
    Err(SpecError::invalid(format!(
        "hostname: {hostname:?} is none: use 1 to {MAX_HOSTNAME_BYTES} letters, digits, - _ or ."
    )))
}

/// Reads `name:address`; the address of IPv6 may stand in brackets.
pub(crate) fn parse_extra(entry: &str) -> Result<(&str, IpAddr), SpecError> {
    let refuse = |why: &str| SpecError::invalid(format!("extra_hosts: {entry:?} {why}"));
    let form = "is not of the form name:address, such as db:10.0.0.7 or db:fd00::7";
    let (name, address) = entry.split_once(':').ok_or_else(|| refuse(form))?;
    if !is_name(name, MAX_NAME_BYTES) {
        return Err(refuse("begins with no host name: use letters, digits, - _ and ."));
    }
    let bare = address
        .strip_prefix('[')
        .and_then(|address| address.strip_suffix(']'));
    let address = bare.unwrap_or(address).parse();
    address.map(|address| (name, address)).map_err(|_| refuse(form))
}

fn is_name(name: &str, most: usize) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    (1..=most).contains(&name.len()) && name.bytes().all(is_letter)
}
