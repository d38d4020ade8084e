//! What needs no container: help, versions, completions, manual pages, refusals.

use crate::process::{Running, command, selur};
use std::process::Stdio;

const COMMANDS: [&str; 31] = [
    "demo",
    "run",
    "create",
    "exec",
    "attach",
    "start",
    "stop",
    "restart",
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
    "push",
    "tag",
    "prune",
    "volume",
    "info",
    "version",
    "completions",
    "man",
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
    for hidden in ["shim", "demo-worker"] {
        let line = format!("\n  {hidden} ");
        assert!(!help.contains(&line), "{hidden} is no command for people: {help}");
    }
    assert!(help.contains("[alias: unpause]"), "{help}");
}

#[test]
fn registries_credentials_are_in_the_help_of_what_needs_them() {
    for command in ["pull", "push"] {
        let help = selur(&[command, "--help"]).ok();
        assert!(
            help.contains("~/.docker/config.json") && help.contains("no `selur login`"),
            "{help}"
        );
    }
}

#[test]
fn what_is_no_command_for_people_is_offered_to_nobody() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = selur(&["completions", shell]).ok();
        assert!(script.contains("unpause"), "{shell}");
        assert!(
            !script.contains("demo-worker") && !script.contains("demo__worker"),
            "{shell}"
        );
    }
    let said = selur(&["--format", "json"]).failed(2);
    assert!(said.contains("man") && !said.contains("demo-worker"), "{said}");
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
    let cases: [(&[&str], i32); 18] = [
        (&["ps", "--nonsense"], 2),
        (&["nonsense"], 2),
        (&["rm"], 2),
        (&["kill"], 2),
        (&["--timeout", "soon", "ps"], 2),
        (&["--runtime", "magic", "ps"], 2),
        (&["logs", "--since", "yesterday", "web"], 2),
        (&["logs", "--stdout", "--stderr", "web"], 2),
        (&["start"], 2),
        (&["start", "--nonsense", "a"], 2),
        (&["attach"], 125),
        (&["start", "-a"], 125),
        (&["--socket", "/start", "start", "--interactive"], 125),
        (&["start", "--nonsense", "-ai", "a"], 125),
        (&["run"], 125),
        (&["exec", "box"], 125),
        (&["--timeout", "1s", "exec", "--nonsense", "box", "true"], 125),
        (&["run", "--nonsense", "image"], 125),
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
fn rm_without_anybody_to_do_it_is_refused_with_the_reason() {
    let said = selur(&["--runtime", "simulated", "run", "-d", "--rm", "image"]).failed(125);
    for words in ["without a daemon", "selur wait NAME && selur rm NAME"] {
        assert!(said.contains(words) && said.lines().count() == 2, "{said}");
    }
    assert!(selur(&["run", "--help"]).ok().contains("neither with -d"));
}

#[test]
fn a_socket_without_a_daemon_is_refused() {
    for options in [&["--runtime", "simulated"][..], &["--runtime", "oci"], &[]] {
        let said = selur(&[options, &["--socket", "/run/nobody.sock", "ps"]].concat()).failed(1);
        assert!(
            said.contains("--runtime docker") && said.lines().count() == 2,
            "{options:?}: {said}"
        );
    }
    let said = selur(&["--runtime", "docker", "--socket", "/run/nobody.sock", "ps"]).failed(1);
    assert!(said.contains("/run/nobody.sock"), "{said}");
}

#[test]
fn an_empty_state_root_is_refused_as_option_and_as_variable() {
    assert!(selur(&["--root", "", "ps"]).failed(2).contains("--root"));
    for arguments in [&["ps"][..], &["info", "--check"]] {
        let mut empty = command(arguments);
        empty.env("SELUR_ROOT", "");
        let said = Running::start(empty).end().failed(1);
        assert!(said.contains("SELUR_ROOT is empty"), "{said}");
    }
}

#[test]
fn advice_is_told_apart_from_what_the_system_said() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (file, directory) = (file.to_str().unwrap(), directory.path().to_str().unwrap());
    let cases: [(&[&str], &str); 4] = [
        (&["--root", file, "ps"], "Name another by --root or SELUR_ROOT."),
        (
            &["--root", "/sys/selur", "ps"],
            "Name another by --root or SELUR_ROOT.",
        ),
        (
            &["--runtime", "simulated", "create", "--spec", directory, "image"],
            "this is a directory",
        ),
        (&["man", file], "Name another path"),
    ];
    for (arguments, advice) in cases {
        let said = selur(arguments).failed(1);
        let (what, todo) = said.split_once('\n').unwrap();
        assert!(
            what.contains("(os error ") && todo.contains(advice),
            "{arguments:?}: {said}"
        );
    }
}

#[test]
fn values_that_begin_with_a_hyphen_are_answered_by_who_reads_them() {
    let cases: [(&[&str], &str); 8] = [
        (&["create", "-m", "-5", "image"], "such as 64m"),
        (&["create", "--name", "-x", "image"], "--name \"-x\""),
        (&["create", "--pids-limit", "-1", "image"], "1 to 4194304"),
        (&["create", "--cpus", "-1", "image"], "resources.cpus"),
        (&["create", "--stop-timeout", "-5s", "image"], "such as 30s"),
        (
            &["create", "--network", "-x", "image"],
            "[possible values: none, host]",
        ),
        (&["logs", "-n", "-1", "web"], "how many lines, or all"),
        (&["kill", "-s", "-9", "web"], "no signal"),
    ];
    for (arguments, words) in cases {
        let ending = selur(&[&["--runtime", "simulated"], arguments].concat());
        assert!(matches!(ending.code, Some(1 | 2)), "{arguments:?}: {ending:?}");
        let said = ending.stderr;
        assert!(
            said.contains(words) && !said.contains("-- -"),
            "{arguments:?}: {said}"
        );
    }
    let all = selur(&["--runtime", "simulated", "logs", "--tail", "all", "web"]).failed(1);
    assert!(all.contains("web"), "{all}");
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
    let cases: [(&[&str], &str); 9] = [
        (&["-e", ""], "--env"),
        (&["-l", ""], "--label"),
        (&["-l", "=value"], "--label"),
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
fn failures_for_programs_name_which_of_several_it_was() {
    let cases: [(&[&str], &str); 6] = [
        (&["stop", "one", "two"], "container"),
        (&["restart", "one", "two"], "container"),
        (&["inspect", "one", "two"], "container"),
        (&["stats", "--no-stream", "one", "two"], "container"),
        (&["rmi", "one", "two"], "image"),
        (&["volume", "rm", "one", "two"], "volume"),
    ];
    for (arguments, kind) in cases {
        let options = ["--format", "json", "--runtime", "simulated"];
        let said = selur(&[&options, arguments].concat()).failed(1);
        let named: Vec<serde_json::Value> = said
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["error"][kind].take())
            .collect();
        assert_eq!(named, ["one", "two"], "{arguments:?}: {said}");
    }
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
