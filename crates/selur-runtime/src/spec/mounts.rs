//! What a container sees of other file systems.

use super::SpecError;
use schemars::JsonSchema;
use selur_protocol::ContainerName;
use serde::{Deserialize, Serialize};

/// Source: linux/limits.h, `PATH_MAX`, which counts the NUL.
const MAX_PATH_BYTES: usize = 4095;
/// The least that is a file system at all: a page.
const MIN_TMPFS_BYTES: u64 = 4096;
/// Where mounts would take away what confines the container.
const RESERVED: [&str; 2] = ["/proc", "/sys"];

/// Something that stands at a path of the container instead of what the image has there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Mount {
    /// A file or directory of the host, with what is mounted below it.
    Bind {
        /// Its absolute path on the host. It must exist.
        #[schemars(regex(pattern = r"^/"))]
        source: String,
        /// An absolute path in the container, not `/`, without `..`.
        #[schemars(regex(pattern = r"^/+[^/]"))]
        target: String,
        /// Whether the container cannot write to it.
        #[serde(default)]
        read_only: bool,
    },
    /// A named volume: a directory that outlives the container. It is made if there is none of this name.
    Volume {
        /// Its name, of the grammar of container names.
        #[schemars(regex(pattern = r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$"))]
        source: String,
        /// An absolute path in the container, not `/`, without `..`.
        #[schemars(regex(pattern = r"^/+[^/]"))]
        target: String,
        /// Whether the container cannot write to it.
        #[serde(default)]
        read_only: bool,
    },
    /// An empty directory in memory, gone when the process ends. No programs can be run from it, and no devices used.
    Tmpfs {
        /// An absolute path in the container, not `/`, without `..`.
        #[schemars(regex(pattern = r"^/+[^/]"))]
        target: String,
        /// The most that it holds, in bytes; half of the machine's memory unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 4096))]
        size_bytes: Option<u64>,
        /// The directory's mode, in octal digits; what the image's directory has unless given, else 1777.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(regex(pattern = r"^[0-7]{1,4}$"))]
        mode: Option<String>,
        /// Whether nobody can write to it.
        #[serde(default)]
        read_only: bool,
    },
}

impl Mount {
    /// Where it stands in the container.
    pub fn target(&self) -> &str {
        match self {
            Mount::Bind { target, .. } | Mount::Volume { target, .. } | Mount::Tmpfs { target, .. } => target,
        }
    }

    /// The name of the volume that is mounted, if it is one.
    pub fn volume(&self) -> Option<&str> {
        match self {
            Mount::Volume { source, .. } => Some(source),
            Mount::Bind { .. } | Mount::Tmpfs { .. } => None,
        }
    }

    /// The target without what means nothing: `/a//b/./` is `/a/b`.
    pub(crate) fn normal_target(&self) -> String {
        let parts = self.target().split('/');
        let parts = parts.filter(|part| !matches!(*part, "" | "."));
        parts.fold(String::new(), |path, part| path + "/" + part)
    }

    fn check(&self) -> Result<(), SpecError> {
        check_target(self.target(), &self.normal_target())?;
        match self {
            Mount::Bind { source, .. } => check_source(source),
            Mount::Volume { source, .. } => check_volume_name("source", source),
            Mount::Tmpfs { size_bytes, mode, .. } => check_tmpfs(*size_bytes, mode.as_deref()),
        }
    }
}

/// Checks every mount, and that no two are at one place.
pub(super) fn check(mounts: &[Mount]) -> Result<(), SpecError> {
    let mut targets = Vec::new();
    for (index, mount) in mounts.iter().enumerate() {
        mount
            .check()
            .map_err(|error| error.within(format_args!("mounts[{index}].")))?;
        let target = mount.normal_target();
        if targets.contains(&target) {
            return Err(SpecError::invalid(format!(
                "mounts[{index}].target: {target:?} is the target of another mount already"
            )));
        }
        targets.push(target);
    }
    Ok(())
}

/// Refuses what is no name of a volume.
pub(crate) fn check_volume_name(field: &str, name: &str) -> Result<(), SpecError> {
    match ContainerName::parse(name) {
        Ok(_) => Ok(()),
        Err(_) => Err(SpecError::invalid(format!(
            "{field}: {name:?} is no volume name: use 1 to 63 letters, digits, _ . and -, the first a letter or digit, \
             and not 32 hex digits"
        ))),
    }
}

fn check_target(target: &str, normal: &str) -> Result<(), SpecError> {
    let refuse = |why: &str| Err(SpecError::invalid(format!("target: {target:?} {why}")));
    if !target.starts_with('/') {
        return refuse("is not absolute: begin it with /");
    }
    if target.split('/').any(|part| part == "..") {
        return refuse("contains ..: write where it leads");
    }
    if target.contains(char::is_control) {
        return refuse("contains a control character");
    }
    if target.len() > MAX_PATH_BYTES {
        return Err(SpecError::invalid(format!(
            "target: it has more than {MAX_PATH_BYTES} bytes"
        )));
    }
    if normal.is_empty() {
        return refuse("is the container's root: name a directory below it");
    }
    let within = |place: &&&str| {
        normal
            .strip_prefix(**place)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match RESERVED.iter().find(within) {
        Some(place) => refuse(&format!("lies in {place}, which belongs to the container itself")),
        None => Ok(()),
    }
}

fn check_source(source: &str) -> Result<(), SpecError> {
    if !source.starts_with('/') {
        return Err(SpecError::invalid(format!(
            "source: {source:?} is not absolute: begin it with /"
        )));
    }
    if source.contains('\0') || source.len() > MAX_PATH_BYTES {
        return Err(SpecError::invalid(format!(
            "source: it contains a NUL byte, or has more than {MAX_PATH_BYTES} bytes"
        )));
    }
    Ok(())
}

fn check_tmpfs(size_bytes: Option<u64>, mode: Option<&str>) -> Result<(), SpecError> {
    if let Some(bytes) = size_bytes.filter(|bytes| *bytes < MIN_TMPFS_BYTES || i64::try_from(*bytes).is_err())
    {
        return Err(SpecError::invalid(format!(
            "size_bytes: {bytes} is out of its range: give {MIN_TMPFS_BYTES} at least"
        )));
    }
    let is_mode =
        |mode: &str| (1..=4).contains(&mode.len()) && mode.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    match mode {
        Some(mode) if !is_mode(mode) => Err(SpecError::invalid(format!(
            "mode: {mode:?} is no mode: write 1 to 4 octal digits, such as 1777"
        ))),
        _ => Ok(()),
    }
}
