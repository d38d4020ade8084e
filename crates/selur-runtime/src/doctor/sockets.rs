//! Sockets of the Docker Engine API: which there are, and who answers.

use super::finding::{Finding, Subject};
use super::trial::LIMIT;
use crate::DockerOptions;
use crate::docker::socket::{self, Candidates};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

const SUBJECT: Subject = Subject::Docker;
/// Nothing but this is tried.
const START: &str =
    "start one: `systemctl start docker`, or `systemctl start podman.socket`, or name it by DOCKER_HOST";

/// Looks for sockets and asks each who is there.
pub(super) fn findings(options: &DockerOptions) -> Vec<Finding> {
    let places = match socket::candidates(options.socket.clone()) {
        Ok(Candidates::Named(path)) => vec![path],
        Ok(Candidates::Usual(places)) => places,
        Err(error) => {
            let found = Finding::ok(SUBJECT, "socket", error.to_string());
            return vec![
                found.missing("name a socket of this machine: `DOCKER_HOST=unix:///var/run/docker.sock`"),
            ];
        }
    };
    let existing: Vec<&PathBuf> = places
        .iter()
        .filter(|path| path.symlink_metadata().is_ok())
        .collect();
    if existing.is_empty() {
        let places: Vec<_> = places.iter().map(|path| path.display().to_string()).collect();
        let found = Finding::ok(SUBJECT, "socket", format!("none of {}", places.join(", ")));
        return vec![found.missing(format!("install Docker or Podman, and {START}"))];
    }
    // The same daemon under two names is one.
    let mut seen = Vec::new();
    let mut findings: Vec<Finding> = existing
        .into_iter()
        .filter(|path| {
            let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
            let is_new = !seen.contains(&real);
            seen.push(real);
            is_new
        })
        .map(|path| judge(path, socket::ask(path, LIMIT)))
        .collect();
    // The first is the one that is used.
    for finding in findings.iter_mut().skip(1) {
        if let Some(remedy) = finding.remedy.take() {
            *finding = finding.clone().warning(remedy);
        }
    }
    findings
}

fn judge(path: &Path, answer: io::Result<Vec<u8>>) -> Finding {
    let at = path.display();
    let found = |text: String| Finding::ok(SUBJECT, "socket", text);
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let whose = fs::metadata(path).map_or(String::new(), |found| {
                let mode = found.permissions().mode() & 0o7777;
                format!(", owner {}, group {}, mode {mode:03o}", found.uid(), found.gid())
            });
            return found(format!("{at}: {error}{whose}")).missing(
                "join the socket's group: `usermod --append --groups docker USER`, then log in again",
            );
        }
        Err(error) => return found(format!("{at}: {error}")).missing(START),
    };
    match socket::read(&answer) {
        Ok(daemon) => {
            let (major, minor) = daemon.api;
            found(format!(
                "{} {}, API {major}.{minor}, at {at}",
                daemon.name, daemon.version
            ))
        }
        Err(words) => found(format!("what is at {at} {words}")).missing(format!(
            "have a Docker Engine of API 1.41 or newer there, or {START}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict::{self, Missing, Ok as Good};

    fn answered(body: &str) -> Vec<u8> {
        format!("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}").into_bytes()
    }

    #[test]
    fn daemons_are_judged_by_what_they_say() {
        let docker = r#"{"Version":"24.0.7","ApiVersion":"1.43","MinAPIVersion":"1.12","Components":[{"Name":"Engine"}],"X":1}"#;
        let old = docker.replace("1.43", "1.40");
        let new = docker.replace("1.43", "2.0").replace("1.12", "1.60");
        let cases: [(Vec<u8>, Verdict, &str); 11] = [
            (answered(docker), Good, "Docker 24.0.7, API 1.43"),
            (answered(&old), Missing, "API 1.40"),
            (answered(&new), Missing, "update selur"),
            (answered(r#"{"Version":"1"}"#), Missing, "no API version"),
            (answered("{}"), Missing, "no version"),
            (answered("\"1.43\""), Missing, "no version"),
            (answered("not JSON"), Missing, "no version"),
            (b"HTTP/1.1 404 Not Found\r\n\r\n".to_vec(), Missing, "404"),
            (b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(), Missing, "no end"),
            (b"\xff\xfe\x00\r\n\r\n".to_vec(), Missing, "answers"),
            (Vec::new(), Missing, "nothing"),
        ];
        for (answer, verdict, words) in cases {
            let finding = judge(Path::new("/socket"), Ok(answer));
            assert_eq!(finding.verdict, verdict, "{finding:?}");
            assert!(finding.found.contains(words), "{finding:?}");
        }
        let denied = judge(Path::new("/"), Err(io::ErrorKind::PermissionDenied.into()));
        assert!(denied.remedy.is_some_and(|remedy| remedy.contains("usermod")));
    }
}
