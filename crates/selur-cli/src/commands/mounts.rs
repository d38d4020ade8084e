//! What stands behind `-v`, `--mount` and `--tmpfs`, in Docker's notations, and sizes. What a mount may be is decided by
//! the specification; here only its notation is read.

use crate::failure::Failure;
use selur_core::{Mount, Status};
use std::path::Path;

/// Reads `SOURCE:TARGET[:ro]`: a path that begins with `/` or `.` is one of this machine, another word a volume.
pub(crate) fn volume(text: &str) -> Result<Mount, Failure> {
    let form = "Write SOURCE:TARGET or SOURCE:TARGET:ro, such as data:/var/lib/data or /srv/www:/www:ro; for a path \
                with a colon use --mount.";
    let (source, target, options) = match text.split(':').collect::<Vec<_>>()[..] {
        [source, target] => (source, target, ""),
        [source, target, options] => (source, target, options),
        [_] => {
            let message =
                format!("--volume: {text:?} names no source, and volumes without a name are not built");
            return Err(refusal(message, form));
        }
        _ => return Err(refusal(format!("--volume: {text:?} has too many colons"), form)),
    };
    let mut read_only = false;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        read_only = match option {
            "ro" => true,
            "rw" => false,
            _ => {
                let message = format!("--volume: the option {option:?} in {text:?} is not built");
                return Err(refusal(message, form));
            }
        };
    }
    source_of(source, target.to_owned(), read_only)
}

fn source_of(source: &str, target: String, read_only: bool) -> Result<Mount, Failure> {
    if source.starts_with(['/', '.']) {
        Ok(Mount::Bind {
            source: absolute(source)?,
            target,
            read_only,
        })
    } else {
        Ok(Mount::Volume {
            source: source.to_owned(),
            target,
            read_only,
        })
    }
}

/// Reads `type=bind,source=/srv,target=/www,readonly`.
pub(crate) fn mount(text: &str) -> Result<Mount, Failure> {
    let form = "Write type=bind|volume|tmpfs,source=…,target=…[,readonly], and for tmpfs tmpfs-size=… and \
                tmpfs-mode=….";
    let refuse = |why: String| refusal(format!("--mount: {why}"), form);
    let (mut kind, mut source, mut target) = ("volume", None, None);
    let (mut read_only, mut size, mut mode) = (false, None, None);
    for field in text.split(',') {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        match key {
            "type" => kind = value,
            "source" | "src" => source = Some(value),
            "target" | "destination" | "dst" => target = Some(value.to_owned()),
            "readonly" | "ro" => {
                read_only = match value {
                    "" | "true" | "1" => true,
                    "false" | "0" => false,
                    _ => return Err(refuse(format!("{field:?} is neither true nor false"))),
                }
            }
            "tmpfs-size" => size = Some(bytes(value).ok_or_else(|| refuse(no_size(value)))?),
            "tmpfs-mode" => mode = Some(value.to_owned()),
            _ => return Err(refuse(format!("{key:?} in {text:?} is unknown"))),
        }
    }
    let target = target.ok_or_else(|| refuse(format!("{text:?} has no target")))?;
    let needs_source = || source.ok_or_else(|| refuse(format!("{text:?} has no source")));
    if kind != "tmpfs" && (size.is_some() || mode.is_some()) {
        return Err(refuse(format!(
            "{text:?}: tmpfs-size and tmpfs-mode go with type=tmpfs only"
        )));
    }
    match kind {
        "bind" => Ok(Mount::Bind {
            source: absolute(needs_source()?)?,
            target,
            read_only,
        }),
        "volume" => Ok(Mount::Volume {
            source: needs_source()?.to_owned(),
            target,
            read_only,
        }),
        "tmpfs" if source.is_some() => Err(refuse(format!("{text:?}: a tmpfs has no source"))),
        "tmpfs" => Ok(Mount::Tmpfs {
            target,
            size_bytes: size,
            mode,
            read_only,
        }),
        _ => Err(refuse(format!(
            "the type {kind:?} is none of bind, volume and tmpfs"
        ))),
    }
}

/// Reads `TARGET[:size=64m,mode=1777,ro]`.
pub(crate) fn tmpfs(text: &str) -> Result<Mount, Failure> {
    let form = "Write TARGET or TARGET:size=64m,mode=1777,ro.";
    let (path, options) = text.split_once(':').unwrap_or((text, ""));
    let (mut size_bytes, mut mode, mut read_only) = (None, None, false);
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option.split_once('=').unwrap_or((option, "")) {
            ("size", value) => {
                let size =
                    bytes(value).ok_or_else(|| refusal(format!("--tmpfs: {}", no_size(value)), form))?;
                size_bytes = Some(size);
            }
            ("mode", value) => mode = Some(value.to_owned()),
            ("ro", "") => read_only = true,
            // What it is anyway.
            ("rw" | "noexec" | "nosuid" | "nodev", "") => {}
            _ => {
                let message = format!("--tmpfs: the option {option:?} in {text:?} is not built");
                return Err(refusal(message, form));
            }
        }
    }
    Ok(Mount::Tmpfs {
        target: path.to_owned(),
        size_bytes,
        mode,
        read_only,
    })
}

/// Reads `64m`, `1g`, `512k`, `1048576`: units of 1024.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match &lower[digits.len()..] {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return None,
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number
        .then(|| digits.parse::<u64>().ok()?.checked_mul(unit))
        .flatten()
}

/// The words about what is no size.
pub(crate) fn no_size(text: &str) -> String {
    format!("{text:?} is no size: write a whole number and b, k, m or g, such as 64m")
}

fn absolute(path: &str) -> Result<String, Failure> {
    let refuse = || {
        refusal(
            format!("{path:?} is no path that can be mounted"),
            "Write an absolute path.",
        )
    };
    let absolute = std::path::absolute(Path::new(path)).map_err(|_| refuse())?;
    absolute.to_str().map(str::to_owned).ok_or_else(refuse)
}

fn refusal(message: String, advice: &str) -> Failure {
    Failure::new(Status::InvalidRequest, message, advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bind(source: &str, target: &str, read_only: bool) -> Mount {
        Mount::Bind {
            source: source.into(),
            target: target.into(),
            read_only,
        }
    }

    fn named(source: &str, target: &str, read_only: bool) -> Mount {
        Mount::Volume {
            source: source.into(),
            target: target.into(),
            read_only,
        }
    }

    fn in_memory(target: &str, size_bytes: Option<u64>, mode: Option<&str>, read_only: bool) -> Mount {
        Mount::Tmpfs {
            target: target.into(),
            size_bytes,
            mode: mode.map(str::to_owned),
            read_only,
        }
    }

    #[test]
    fn mounts_are_read_in_all_notations() {
        let here = std::env::current_dir().unwrap();
        let here = here.join("data");
        let cases = [
            (volume("/srv:/www"), bind("/srv", "/www", false)),
            (volume("./data:/d:ro"), bind(here.to_str().unwrap(), "/d", true)),
            (volume("data:/d:rw"), named("data", "/d", false)),
            (
                mount("type=bind,src=/a:b,dst=/c,readonly"),
                bind("/a:b", "/c", true),
            ),
            (
                mount("source=data,target=/d,ro=false"),
                named("data", "/d", false),
            ),
            (
                mount("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=700"),
                in_memory("/t", Some(1 << 20), Some("700"), false),
            ),
            (tmpfs("/t"), in_memory("/t", None, None, false)),
            (
                tmpfs("/t:size=64k,mode=1777,noexec,ro"),
                in_memory("/t", Some(64 << 10), Some("1777"), true),
            ),
        ];
        for (read, expected) in cases {
            assert_eq!(read.unwrap(), expected);
        }
    }

    #[test]
    fn what_is_no_mount_is_refused_with_its_notation() {
        let cases = [
            (volume("/data"), "without a name"),
            (volume("a:/b:ro:x"), "colons"),
            (volume("a:/b:z"), "\"z\""),
            (mount("type=bind,source=/a"), "no target"),
            (mount("type=bind,target=/a"), "no source"),
            (mount("type=nfs,source=/a,target=/b"), "nfs"),
            (mount("type=tmpfs,source=/a,target=/b"), "no source"),
            (mount("source=a,target=/b,tmpfs-size=1m"), "type=tmpfs"),
            (mount("source=a,target=/b,colour=red"), "colour"),
            (mount("source=a,target=/b,ro=maybe"), "ro=maybe"),
            (tmpfs("/t:exec"), "exec"),
            (tmpfs("/t:size=much"), "no size"),
        ];
        for (read, words) in cases {
            let failure = read.unwrap_err();
            assert!(
                failure.message().contains(words),
                "{words}: {}",
                failure.message()
            );
            assert!(failure.advice().contains("rite"), "{}", failure.advice());
        }
    }

    #[test]
    fn sizes_have_units_and_bounds() {
        for (text, expected) in [
            ("64m", 64 << 20),
            ("1G", 1 << 30),
            ("7", 7),
            ("2kb", 2048),
            ("0b", 0),
        ] {
            assert_eq!(bytes(text), Some(expected), "{text}");
        }
        for text in ["", "m", "-1m", "1.5g", "1x", "99999999999999t", "1 m"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}
