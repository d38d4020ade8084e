//! Which of root's powers a container's processes have.

use super::SpecError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Every capability, in the order of their numbers.
///
/// Source: linux/capability.h, Linux 6.1.
const KNOWN: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];
const PREFIX: &str = "CAP_";
const ALL: &str = "ALL";

/// What is added to and taken from the capabilities that containers have. Names are written with or without `CAP_`;
/// `ALL` stands for all that this machine has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Capabilities {
    /// Given to the container. `ALL` gives all but what is in `drop`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(regex(pattern = r"^(ALL|(CAP_)?[A-Z_]+)$")))]
    pub add: Vec<String>,
    /// Taken from the container. `ALL` leaves what is in `add`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(regex(pattern = r"^(ALL|(CAP_)?[A-Z_]+)$")))]
    pub drop: Vec<String>,
}

/// The name of the capability of this number.
pub(crate) fn capability_name(number: usize) -> String {
    KNOWN
        .get(number)
        .map_or_else(|| format!("capability {number}"), |name| (*name).to_owned())
}

impl Capabilities {
    pub(super) fn is_default(&self) -> bool {
        *self == Capabilities::default()
    }

    pub(super) fn check(&self) -> Result<(), SpecError> {
        for (list, names) in [("add", &self.add), ("drop", &self.drop)] {
            if let Some(name) = names.iter().find(|name| *name != ALL && parse(name).is_none()) {
                return Err(SpecError::invalid(format!(
                    "capabilities.{list}: {name:?} is no capability: write NET_ADMIN, CAP_NET_ADMIN or ALL, for example"
                )));
            }
        }
        let is_dropped = |name: &&String| self.drop.iter().any(|other| same(name, other));
        match self.add.iter().find(is_dropped) {
            Some(name) => Err(SpecError::invalid(format!(
                "capabilities: {name} is both in add and in drop: leave it out of one"
            ))),
            None => Ok(()),
        }
    }

    /// The capabilities of a container that would else have `defaults`, on a machine that can give those whose bits are
    /// in `available`. In the order of their numbers.
    ///
    /// Source: moby `oci/caps/utils.go`, `TweakCapabilities`.
    pub(crate) fn over(&self, defaults: &[&str], available: u64) -> Vec<&'static str> {
        let holds = |names: &[String], name: &str| names.iter().any(|other| same(other, name));
        let (adds_all, drops_all) = (holds(&self.add, ALL), holds(&self.drop, ALL));
        let is_given = |number: usize, name: &str| {
            if holds(&self.drop, name) {
                return false;
            }
            let is_available = available & 1 << number != 0;
            holds(&self.add, name) || (adds_all && is_available) || (!drops_all && defaults.contains(&name))
        };
        let known = KNOWN.into_iter().enumerate();
        known
            .filter_map(|(number, name)| is_given(number, name).then_some(name))
            .collect()
    }

    /// The first that is asked for by name, and that is not among the bits of `available`.
    pub(crate) fn first_unavailable(&self, available: u64) -> Option<&'static str> {
        let numbers = self.add.iter().filter_map(|name| parse(name));
        numbers
            .filter(|number| available & 1 << number == 0)
            .find_map(|number| KNOWN.get(number).copied())
    }
}

/// A capability's number.
fn parse(name: &str) -> Option<usize> {
    KNOWN.iter().position(|known| same(known, name))
}

fn same(one: &str, other: &str) -> bool {
    one.strip_prefix(PREFIX).unwrap_or(one) == other.strip_prefix(PREFIX).unwrap_or(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_added_and_dropped_as_docker_does_it() {
        let defaults = ["CAP_CHOWN", "CAP_KILL"];
        let few = 0b11_0000_0000_0001_0000_0001_u64;
        let lists: [(&[&str], &[&str], &[&str]); 7] = [
            (&[], &[], &["CAP_CHOWN", "CAP_KILL"]),
            (&["NET_ADMIN"], &["CAP_KILL"], &["CAP_CHOWN", "CAP_NET_ADMIN"]),
            (&["CAP_KILL"], &[], &["CAP_CHOWN", "CAP_KILL"]),
            (&[], &["ALL"], &[]),
            (&["KILL", "SYS_TIME"], &["ALL"], &["CAP_KILL", "CAP_SYS_TIME"]),
            (
                &["ALL"],
                &[],
                &[
                    "CAP_CHOWN",
                    "CAP_KILL",
                    "CAP_SETPCAP",
                    "CAP_SYS_ADMIN",
                    "CAP_SYS_PACCT",
                ],
            ),
            (
                &["ALL"],
                &["CHOWN"],
                &["CAP_KILL", "CAP_SETPCAP", "CAP_SYS_ADMIN", "CAP_SYS_PACCT"],
            ),
        ];
        for (add, drop, expected) in lists {
            let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
            let asked = Capabilities {
                add: words(add),
                drop: words(drop),
            };
            assert!(asked.check().is_ok());
            let mut given = asked.over(&defaults, few);
            given.sort_unstable();
            assert_eq!(given, expected, "{add:?} {drop:?}");
        }
    }
}
