//! What needs no container: help, versions, completions, manual pages, refusals.

use crate::process::{Running, command, selur};
use std::process::Stdio;

const COMMANDS: [&str; 26] = [
    "demo",
    "run",
    "create",
    "exec",
    "attach",
    "start",
    "stop",
    "kill",
    "pause",
    "resume",
    "wait",
    "inspect",
    "rm",
    "ps",
    "logs",
    "stats",
    "top",
    "events",
    "pull",
    "images",
    "rmi",
    "load",
    "volume",
    "info",
    "version",
    "completions",
];

#[test]
fn help_names_every_command_and_documents_exit_codes() {
    let help = selur(&["--help"]).ok();
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command} ")), "{command}: {help}");
        let of_command = selur(&[command, "--help"]).ok();
        assert!(of_command.contains("Usage: selur "), "{command}: {of_command}");
    }
    for code in ["125", "126", "127", "128 + n", "141"] {
        assert!(help.contains(code), "{code}: {help}");
    }
    assert!(
        !help.contains("\n  shim "),
        "the shim is no command for people: {help}"
    );
}

#[test]
fn versions_tell_the_guest_apart() {
    assert!(selur(&["--version"]).ok().starts_with("selur "));
    let versions = selur(&["version", "--format", "json"]).json();
    assert_eq!(
        versions["guest"]["sha256"].as_str().unwrap().len(),
        64,
        "{versions}"
    );
    assert_eq!(versions["guest"]["imports"], 0);
    assert_eq!(versions["guest"]["memory_pages"], 16);
    let text = selur(&["version"]).ok();
    assert!(
        text.contains(versions["guest"]["sha256"].as_str().unwrap()),
        "{text}"
    );
}

#[test]
fn completions_are_scripts_that_the_shell_reads() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(selur(&["completions", shell]).ok().contains("selur"), "{shell}");
    }
    let script = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(script.path(), selur(&["completions", "bash"]).ok()).unwrap();
    let check = std::process::Command::new("bash")
        .arg("-n")
        .arg(script.path())
        .status()
        .unwrap();
    assert!(check.success());
}

#[test]
fn every_command_has_a_manual_page() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man1");
    selur(&["man", pages.to_str().unwrap()]).ok();
    for command in COMMANDS {
        let page = std::fs::read_to_string(pages.join(format!("selur-{command}.1"))).unwrap();
        assert!(page.contains(".TH"), "{command}");
    }
    assert!(pages.join("selur.1").exists() && !pages.join("selur-shim.1").exists());
}

#[test]
fn wrong_arguments_end_with_2_and_those_of_run_with_125() {
    let cases: [(&[&str], i32); 14] = [
        (&["ps", "--nonsense"], 2),
        (&["nonsense"], 2),
        (&["rm"], 2),
        (&["kill"], 2),
        (&["--timeout", "soon", "ps"], 2),
        (&["--runtime", "magic", "ps"], 2),
        (&["logs", "--since", "yesterday", "web"], 2),
        (&["logs", "--stdout", "--stderr", "web"], 2),
        (&["attach"], 2),
        (&["run"], 125),
        (&["exec", "box"], 125),
        (&["--timeout", "1s", "exec", "--nonsense", "box", "true"], 125),
        (&["run", "--nonsense", "image"], 125),
        (&["--runtime", "simulated", "run", "--rm", "-d", "image"], 125),
    ];
    for (arguments, code) in cases {
        let said = selur(arguments).failed(code);
        assert!(said.starts_with("error:"), "{arguments:?}: {said}");
    }
}

#[test]
fn what_is_not_built_is_refused_with_what_to_do_instead() {
    for options in [&["-p", "80:80"][..], &["--publish", "80"]] {
        let run = [&["--runtime", "simulated", "run"], options, &["image"]].concat();
        let said = selur(&run).failed(125);
        assert!(
            said.contains("not built yet") && said.contains("--network host"),
            "{said}"
        );
        let create = [&["--runtime", "simulated", "create"], options, &["image"]].concat();
        assert!(selur(&create).failed(1).contains("--network host"));
    }
}

#[test]
fn a_terminal_that_is_not_there_is_not_connected_to() {
    for command in [
        &["run", "-it", "image"][..],
        &["run", "-t", "image"],
        &["exec", "-t", "box", "true"],
    ] {
        let said = selur(&[&["--runtime", "simulated"], command].concat()).failed(125);
        assert!(said.contains("Leave -t out"), "{said}");
        let options = ["--runtime", "simulated", "--format", "json"];
        let said = selur(&[&options, command].concat()).failed(125);
        assert!(said.contains("--format json"), "{said}");
    }
}

#[test]
fn options_without_meaning_are_named() {
    let cases: [(&[&str], &str); 6] = [
        (&["--restart", "always"], "restart"),
        (&["--stop-signal", "SIGNOTHING"], "stop_signal"),
        (&["-w", "relative"], "working_directory"),
        (&["-e", "=value"], "environment"),
        (&["--name", "no spaces"], "name"),
        (&["--entrypoint", ""], "entrypoint"),
    ];
    for (options, field) in cases {
        let arguments = [&["--runtime", "simulated", "create"], options, &["image"]].concat();
        let said = selur(&arguments).failed(1);
        assert!(
            said.contains(field) && said.lines().count() == 2,
            "{options:?}: {said}"
        );
    }
    let said = selur(&["pull", "--runtime", "simulated", "NOT/AN/image"]).failed(1);
    assert!(
        said.contains("no image reference") && said.contains("nginx:latest"),
        "{said}"
    );
}

#[test]
fn failures_are_json_for_programs() {
    let said = selur(&["--format", "json", "--runtime", "simulated", "start", "nobody"]).failed(1);
    let document: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(document["error"]["status"], "container_not_found", "{document}");
    assert!(!document["error"]["advice"].as_str().unwrap().is_empty());
}

#[test]
fn wrong_arguments_are_json_for_programs_too() {
    let cases: [(&[&str], i32, &str); 7] = [
        (&["--format", "json", "ps", "--nonsense"], 2, "--nonsense"),
        (&["ps", "--nonsense", "--format=json"], 2, "--nonsense"),
        (&["--format", "json"], 2, ""),
        (&["--format", "json", "nonsense"], 2, "nonsense"),
        (&["--format", "json", "rm"], 2, "CONTAINER"),
        (
            &["--format", "json", "run", "--nonsense", "image"],
            125,
            "--nonsense",
        ),
        (
            &["--format", "json", "start", "\x1b[2J\n", "--bell\x07"],
            2,
            "bell",
        ),
    ];
    for (arguments, code, words) in cases {
        let said = selur(arguments).failed(code);
        let document: serde_json::Value = serde_json::from_str(&said).unwrap();
        let error = &document["error"];
        assert_eq!(error["status"], "invalid_request", "{arguments:?}: {said}");
        assert!(error["message"].as_str().unwrap().contains(words), "{said}");
        assert!(!error["advice"].as_str().unwrap().is_empty(), "{said}");
    }
    // What is not for selur does not count.
    let said = selur(&["ps", "--nonsense", "--", "--format", "json"]).failed(2);
    assert!(said.starts_with("error:"), "{said}");
}

#[test]
fn refused_arguments_do_not_reach_the_terminal() {
    for hostile in [
        "\x1b[2Jgone",
        "--\x1b[2J",
        "bell\x07",
        "c1\u{9b}31m",
        "rtl\u{202e}",
    ] {
        for arguments in [
            &[hostile][..],
            &["ps", hostile],
            &["--runtime", hostile, "ps"],
            &["--timeout", hostile, "ps"],
            &["--format", hostile, "ps"],
            &["logs", "--since", hostile, "web"],
            &["run", "--pull", hostile, "image"],
        ] {
            let ending = selur(arguments);
            assert!(matches!(ending.code, Some(2 | 125)), "{arguments:?}: {ending:?}");
            let unsafe_letter = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(
                !ending.stderr.contains(unsafe_letter),
                "{arguments:?}: {ending:?}"
            );
        }
    }
}

#[test]
fn a_reader_that_goes_away_is_no_reason_for_words() {
    let mut completions = command(&["completions", "zsh"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = completions.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let ending = child.wait_with_output().unwrap();
    assert_eq!(
        (ending.status.code(), ending.stderr.as_slice()),
        (Some(141), &b""[..])
    );
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let arguments = ["--runtime", "simulated", "start", "nobody"];
    assert!(!selur(&arguments).failed(1).contains('\x1b'));
    let mut forced = command(&arguments);
    forced.env("CLICOLOR_FORCE", "1");
    assert!(Running::start(forced).end().failed(1).contains("\x1b[1;31m"));
    let mut refused = command(&arguments);
    refused.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1");
    assert!(!Running::start(refused).end().failed(1).contains('\x1b'));
}

#[test]
fn hostile_arguments_do_not_reach_the_terminal() {
    for hostile in ["\x1b[2Jgone", "bell\x07", "c1\u{9b}31m", "rtl\u{202e}"] {
        for arguments in [
            ["start", hostile],
            ["inspect", hostile],
            ["rmi", hostile],
            ["logs", hostile],
        ] {
            let said = selur(&[&["--runtime", "simulated"], &arguments[..]].concat()).failed(1);
            let unsafe_letter = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!said.contains(unsafe_letter), "{arguments:?}: {said:?}");
        }
    }
}
