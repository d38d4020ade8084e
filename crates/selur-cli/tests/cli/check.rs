//! `info --check` on machines that lack something, and with peers that answer nothing or nonsense.

use crate::process::{Running, command, selur};
use crate::world::World;
use serde_json::Value;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Command;

/// The command as JSON on a fresh state root, as a test changes it; its exit code, and what it says.
#[track_caller]
fn check(change: impl FnOnce(&mut Command)) -> (i32, Value) {
    let world = World::empty();
    let mut command = world.command(&["--format", "json", "info", "--check"]);
    command.env_remove("DOCKER_HOST").env_remove("XDG_RUNTIME_DIR");
    change(&mut command);
    let ending = Running::start(command).end();
    assert_eq!(ending.stderr, "");
    assert!(!world.root().exists(), "it changed the machine");
    let document = serde_json::from_str(&ending.stdout).unwrap();
    (ending.code.unwrap(), document)
}

#[track_caller]
fn finding<'a>(document: &'a Value, backend: &str, check: &str) -> &'a Value {
    document["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["backend"] == backend && finding["check"] == check)
        .unwrap_or_else(|| panic!("no {check} of {backend}: {document}"))
}

#[test]
fn this_machine_is_ready_for_real_containers() {
    let (code, document) = check(|_| {});
    assert_eq!(code, 0, "{document}");
    assert_eq!(
        (&document["chosen"], &document["usable"]),
        (&"oci".into(), &true.into())
    );
    for name in [
        "kernel",
        "root",
        "cgroups",
        "overlay",
        "seccomp",
        "pidfd",
        "openat2",
        "runc",
        "shim",
        "state_root",
    ] {
        let finding = finding(&document, "oci", name);
        assert_ne!(finding["verdict"], "missing", "{finding}");
        assert!(
            finding["found"].as_str().is_some_and(|found| !found.is_empty()),
            "{finding}"
        );
    }
    assert_eq!(finding(&document, "oci", "overlay")["found"], "mounted");
    let shim = finding(&document, "oci", "shim")["found"].as_str().unwrap();
    assert!(shim.contains("protocol"), "{shim}");
}

#[test]
fn people_read_a_line_for_each_backend_and_what_mends_what() {
    let mut with_remedy = command(&["--runtime", "simulated", "info", "--check"]);
    with_remedy.env("DOCKER_HOST", "unix:///nonexistent/\x1b[2J.sock");
    let text = Running::start(with_remedy).end().ok();
    for line in [
        "simulated (chosen): ready",
        "oci: ready",
        "docker: not ready: 1 thing is missing",
    ] {
        assert!(
            text.lines().any(|found| found.starts_with(line)),
            "{line}: {text}"
        );
    }
    assert!(text.contains("mend it: install Docker or Podman"), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
}

#[test]
fn a_machine_without_programs_says_so() {
    let (code, document) = check(|command| {
        command.env("SELUR_SHIM", "/nonexistent/shim");
    });
    assert_eq!((code, &document["usable"]), (1, &false.into()));
    let shim = finding(&document, "oci", "shim");
    assert_eq!(shim["verdict"], "missing");
    assert!(
        shim["found"].as_str().unwrap().contains("/nonexistent/shim"),
        "{shim}"
    );
    assert!(shim["remedy"].as_str().unwrap().contains("selur-shim"), "{shim}");
    assert!(
        finding(&document, "oci", "overlay")["found"]
            .as_str()
            .unwrap()
            .contains("not tried")
    );
}

#[test]
fn programs_that_hang_fail_or_talk_nonsense_are_found_out() {
    let directory = tempfile::tempdir().unwrap();
    let runc = directory.path().join("runc");
    let cases = [
        ("echo hello", "hello"),
        ("exit 7", "exit status: 7"),
        ("kill -SEGV $$", "signal: 11"),
        ("exec sleep 1000", "did not end"),
        ("printf 'runc version 0.1.1\\nlibseccomp: 1\\n'", "0.1.1"),
        ("printf '\\033[2J\\377'", "\u{1b}[2J"),
    ];
    for (script, words) in cases {
        std::fs::write(&runc, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&runc, std::fs::Permissions::from_mode(0o755)).unwrap();
        let path = format!("{}:/usr/bin:/bin", directory.path().display());
        let (code, document) = check(|command| {
            command.env("PATH", path);
        });
        let runc = finding(&document, "oci", "runc");
        assert_eq!(
            (code, &runc["verdict"]),
            (1, &"missing".into()),
            "{script}: {runc}"
        );
        assert!(
            runc["found"].as_str().unwrap().contains(words),
            "{script}: {runc}"
        );
        assert!(
            runc["remedy"].as_str().unwrap().contains("apt-get install runc"),
            "{runc}"
        );
    }
}

#[test]
fn sockets_that_hang_or_talk_nonsense_are_found_out() {
    let directory = tempfile::tempdir().unwrap();
    let answers: [(&str, &[u8], &str); 3] = [
        ("silent", b"", "did not answer"),
        ("nonsense", b"\x1b[2J\xff\r\n\r\n", "answers"),
        (
            "good",
            b"HTTP/1.0 200 OK\r\n\r\n{\"Version\":\"1\",\"ApiVersion\":\"1.43\"}",
            "API 1.43",
        ),
    ];
    for (name, answer, words) in answers {
        let path = directory.path().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let mut request = [0; 16];
            peer.read_exact(&mut request).unwrap();
            assert_eq!(&request, b"GET /version HTT");
            peer.write_all(answer).unwrap();
            if answer.is_empty() {
                // Until the other side has had enough.
                std::io::copy(&mut peer, &mut std::io::sink()).unwrap();
            }
        });
        let (code, document) = check(|command| {
            command.env("DOCKER_HOST", format!("unix://{}", path.display()));
        });
        assert_eq!(code, 0, "the chosen runtime is another: {document}");
        let socket = finding(&document, "docker", "socket");
        let verdict = if name == "good" { "ok" } else { "missing" };
        assert_eq!(socket["verdict"], verdict, "{socket}");
        assert!(socket["found"].as_str().unwrap().contains(words), "{socket}");
    }
    let path = "/nonexistent/docker.sock";
    for (variable, arguments) in [
        (format!("unix://{path}"), vec![]),
        (String::new(), vec!["--socket", path]),
    ] {
        let (_, document) = check(|command| {
            command.env("DOCKER_HOST", variable).args(arguments);
        });
        let socket = finding(&document, "docker", "socket");
        assert!(
            socket["found"].as_str().unwrap().contains("none of /nonexistent"),
            "{socket}"
        );
    }
}

#[test]
fn info_tells_where_state_lies_and_ends_with_1_where_no_backend_is() {
    let world = World::new();
    let (root, by_variable) = (world.root(), command(&["--format", "json", "info"]));
    let by_option = world.command(&["--format", "json", "info"]);
    for mut info in [by_option, by_variable] {
        info.env("SELUR_ROOT", &root);
        let document = Running::start(info).end().json();
        assert_eq!(document["state_root"], root.to_str().unwrap());
        assert_eq!(
            (&document["backend"], &document["socket"]),
            (&"oci".into(), &Value::Null)
        );
    }
    let table = world.selur(&["info"]).ok();
    assert!(
        table.contains(&format!("state root     {}", root.display())),
        "{table}"
    );
    let ending = selur(&["--root", "/dev/null/selur", "info"]);
    assert_eq!(ending.code, Some(1), "{ending:?}");
    assert!(
        ending.stdout.contains("none can be opened") && ending.stdout.contains("/dev/null/selur"),
        "{ending:?}"
    );
    let nobody = "/nonexistent/nobody.sock";
    let mut of_daemon = command(&["--format", "json", "--runtime", "docker", "info"]);
    of_daemon.env("DOCKER_HOST", format!("unix://{nobody}"));
    let ending = Running::start(of_daemon).end();
    assert_eq!(ending.code, Some(1), "{ending:?}");
    let document: Value = serde_json::from_str(&ending.stdout).unwrap();
    assert_eq!(
        (&document["socket"], &document["state_root"]),
        (&nobody.into(), &Value::Null)
    );
}

#[test]
fn a_state_root_that_cannot_be_used_is_told() {
    for root in ["/proc/1/selur", "/dev/null/selur", "/nonexistent\u{1b}[2J"] {
        let ending = selur(&["--format", "json", "--root", root, "info", "--check"]);
        assert_eq!(ending.code, Some(1), "{ending:?}");
        let document: Value = serde_json::from_str(&ending.stdout).unwrap();
        assert_eq!(
            finding(&document, "oci", "state_root")["verdict"],
            "missing",
            "{document}"
        );
    }
}
