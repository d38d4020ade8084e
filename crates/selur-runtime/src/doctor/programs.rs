//! The programs that real containers need: runc, the shim, and those that map ids.

use super::facts::version;
use super::finding::{Finding, Subject};
use super::{remedies, trial};
use crate::oci::{OciOptions, launch, prerequisites};
use selur_shim::PROTOCOL_VERSION;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// runc before its first release speaks otherwise.
const OLDEST_RUNC: (u32, u32, u32) = (1, 0, 0);
/// crun before that refuses what runc's specification has.
const OLDEST_CRUN: (u32, u32, u32) = (1, 0, 0);
/// The attribute in which capabilities of a file stand.
const FILE_CAPABILITIES: &str = "security.capability";

/// runc, or crun in its place.
pub(super) fn runc(subject: Subject, options: &OciOptions) -> Finding {
    let path = match prerequisites::runc(options) {
        Ok(path) => path,
        Err(error) => {
            let (what, remedy) = super::cause_and_remedy(&error, remedies::RUNC);
            return Finding::ok(subject, "runc", what).missing(remedy);
        }
    };
    let mut command = Command::new(&path);
    command.arg("--version");
    judge_runc(subject, &path, trial::run(command).map(successful))
}

fn judge_runc(subject: Subject, path: &Path, said: io::Result<Result<String, String>>) -> Finding {
    let at = path.display();
    let text = match said {
        Ok(Ok(text)) => text,
        Ok(Err(text)) => {
            return Finding::ok(subject, "runc", format!("{at}: {}", first_line(&text)))
                .missing(remedies::RUNC);
        }
        Err(error) => {
            return Finding::ok(subject, "runc", format!("{at}: {error}")).missing(remedies::RUNC);
        }
    };
    let oldest = if text.contains("crun") {
        OLDEST_CRUN
    } else {
        OLDEST_RUNC
    };
    let found = Finding::ok(subject, "runc", format!("{} at {at}", first_line(&text)));
    match version(&text) {
        None => found.missing(format!("that is no runc: {}", remedies::RUNC)),
        Some(version) if version < oldest => found.missing(format!("it is too old: {}", remedies::RUNC)),
        Some(_) if !text.to_ascii_lowercase().contains("seccomp") => found.missing(format!(
            "it is built without seccomp, and containers run under a filter: {}",
            remedies::RUNC
        )),
        Some(_) => found,
    }
}

/// The shim, started to tell its version.
pub(super) fn shim(subject: Subject, options: &OciOptions) -> Finding {
    let shim = match launch::find_shim(&options.shim) {
        Ok(shim) => shim,
        Err(error) => {
            let (what, remedy) = super::cause_and_remedy(&error, "install it there or name it by SELUR_SHIM");
            return Finding::ok(subject, "shim", what).missing(remedy);
        }
    };
    let mut command = shim.command();
    command.arg("--version");
    judge_shim(subject, &shim.program, trial::run(command).map(successful))
}

fn judge_shim(subject: Subject, path: &Path, said: io::Result<Result<String, String>>) -> Finding {
    const REMEDY: &str = "install the selur-shim of this version, or name it by SELUR_SHIM";
    let at = path.display();
    let text = match said {
        Ok(Ok(text) | Err(text)) => text,
        Err(error) => return Finding::ok(subject, "shim", format!("{at}: {error}")).missing(REMEDY),
    };
    let found = Finding::ok(subject, "shim", format!("{} at {at}", first_line(&text)));
    let protocol = text.split_once("(protocol ").and_then(|(_, rest)| {
        let (number, _) = rest.split_once(')')?;
        number.parse::<u32>().ok()
    });
    match protocol {
        // Each serves its own and the one before.
        Some(protocol) if protocol == PROTOCOL_VERSION || protocol == PROTOCOL_VERSION + 1 => found,
        Some(_) => found.missing(format!("protocol {PROTOCOL_VERSION} is needed: {REMEDY}")),
        None => found.missing(REMEDY),
    }
}

/// What a shim tells of a trial in namespaces of its own. None where there is no shim that can try.
pub(super) fn try_in_shim(options: &OciOptions, what: &str) -> Option<Result<(), String>> {
    let mut command = launch::find_shim(&options.shim).ok()?.command();
    command.args(["--probe", what]);
    Some(match trial::run(command) {
        Ok(ended) if ended.output.trim() == "ok" => Ok(()),
        Ok(ended) => Err(first_line(&ended.output).to_owned()),
        Err(error) => Err(error.to_string()),
    })
}

/// newuidmap and newgidmap, which map more than one id into a user namespace.
pub(super) fn id_mappers() -> Finding {
    let subject = Subject::OciRootless;
    let mut notes = Vec::new();
    let mut is_whole = true;
    for name in ["newuidmap", "newgidmap"] {
        match prerequisites::find_program(name) {
            Some(path) if may_map(&path) => notes.push(path.display().to_string()),
            Some(path) => {
                is_whole = false;
                notes.push(format!(
                    "{} is neither setuid nor has capabilities",
                    path.display()
                ));
            }
            None => {
                is_whole = false;
                notes.push(format!("no {name}"));
            }
        }
    }
    let found = Finding::ok(subject, "id_mappers", notes.join(", "));
    if is_whole {
        return found;
    }
    found.warning(
        "only one id can be mapped, so that images with files of other users lose those: on Debian and Ubuntu \
         `apt-get install uidmap`, on Fedora `dnf install shadow-utils`",
    )
}

fn may_map(path: &PathBuf) -> bool {
    const SETUID: u32 = 0o4000;
    let Ok(found) = fs::metadata(path) else {
        return false;
    };
    let is_setuid = found.permissions().mode() & SETUID != 0 && found.uid() == 0;
    let mut nothing: [u8; 0] = [];
    is_setuid || rustix::fs::getxattr(path, FILE_CAPABILITIES, &mut nothing).is_ok_and(|bytes| bytes > 0)
}

/// What a program wrote, told apart by whether it ended well.
fn successful(ended: trial::Ended) -> Result<String, String> {
    if ended.status.success() {
        Ok(ended.output)
    } else if ended.output.trim().is_empty() {
        Err(ended.status.to_string())
    } else {
        Err(ended.output)
    }
}

/// The first line of what a stranger's program wrote, not without end.
fn first_line(text: &str) -> &str {
    const MAX_CHARACTERS: usize = 120;
    let line = text.trim().lines().next().unwrap_or("it says nothing");
    match line.char_indices().nth(MAX_CHARACTERS) {
        Some((end, _)) => line.get(..end).unwrap_or(line),
        None => line,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use crate::doctor::Verdict::{Missing, Ok as Good};

    #[test]
    fn runcs_are_judged_by_what_they_say() {
        let late = || {
            Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "it did not end within 3 s",
            ))
        };
        let whole = "runc version 1.1.5+ds1\nspec: 1.0.2\nlibseccomp: 2.5.4\n";
        let crun = "crun version 1.14\n+SYSTEMD +SELINUX +SECCOMP\n";
        let cases = [
            (Ok(Ok(whole.to_owned())), Good, ""),
            (Ok(Ok(crun.to_owned())), Good, ""),
            (Ok(Ok(whole.replace("1.1.5", "0.1.1"))), Missing, "too old"),
            (
                Ok(Ok(whole.replace("libseccomp", "lib"))),
                Missing,
                "without seccomp",
            ),
            (Ok(Ok("Hello world".to_owned())), Missing, "no runc"),
            (Ok(Ok(String::new())), Missing, "no runc"),
            (Ok(Err("Segmentation fault".to_owned())), Missing, "install it"),
            (late(), Missing, "install it"),
        ];
        for (said, verdict, words) in cases {
            let finding = judge_runc(Subject::Oci, Path::new("/usr/sbin/runc"), said);
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert!(
                finding.remedy.as_deref().unwrap_or_default().contains(words),
                "{finding:?}"
            );
            assert!(finding.found.contains("/usr/sbin/runc"), "{finding:?}");
        }
    }

    #[test]
    fn shims_are_judged_by_their_protocol() {
        let say = |text: &str| Ok(Ok(text.to_owned()));
        let cases = [
            (
                say(&format!("selur-shim 0.1.0 (protocol {PROTOCOL_VERSION})\n")),
                Good,
            ),
            (
                say(&format!("selur-shim 9.0.0 (protocol {})", PROTOCOL_VERSION + 1)),
                Good,
            ),
            (say("selur-shim 0.0.1 (protocol 1)"), Missing),
            (say("selur-shim (protocol 99999999999)"), Missing),
            (say(""), Missing),
            (Ok(Err("Exec format error".into())), Missing),
            (Err(io::ErrorKind::NotFound.into()), Missing),
        ];
        for (said, verdict) in cases {
            let finding = judge_shim(Subject::Oci, Path::new("/shim"), said);
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert_eq!(finding.remedy.is_some(), verdict == Missing);
        }
    }

    #[test]
    fn a_stranger_says_no_more_than_a_line() {
        assert_eq!(first_line(&"ä".repeat(500)).chars().count(), 120);
        assert_eq!(first_line(" \n"), "it says nothing");
        assert_eq!(first_line("one\ntwo"), "one");
    }
}
