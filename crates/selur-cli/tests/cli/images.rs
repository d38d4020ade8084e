//! The commands about images, with a registry on loopback and with layouts.

use crate::process::Running;
use crate::world::{IMAGE, World};
use selur_testkit::{DockerRegistry, ImageBuilder};

#[test]
fn an_image_is_pulled_listed_run_and_removed() {
    let registry = DockerRegistry::start();
    let reference = ImageBuilder::busybox()
        .cmd(["/bin/echo", "from the registry"])
        .push(&registry, "team/app:v1");
    let world = World::empty();

    let pulled = world.selur(&["pull", &reference]);
    for line in [
        format!("pulling {reference}"),
        "1 layers, ".to_owned(),
        ": done, ".to_owned(),
    ] {
        assert!(pulled.stderr.contains(&line), "{line}: {pulled:?}");
    }
    assert!(
        !pulled.stderr.contains(['\r', '\x1b']),
        "bars are for terminals: {pulled:?}"
    );
    assert!(pulled.ok().starts_with(&format!("{reference}  sha256:")));

    let listed = world.selur(&["images"]).ok();
    let lines: Vec<&str> = listed.lines().collect();
    assert!(
        lines[0].starts_with("IMAGE ") && lines[1].starts_with(&reference),
        "{listed}"
    );
    assert_eq!(world.selur(&["images", "-q"]).ok(), format!("{reference}\n"));
    let document = world.selur(&["--format", "json", "images"]).json();
    assert_eq!(document[0]["reference"], reference);

    drop(registry);
    assert_eq!(
        world.selur(&["run", "--rm", &reference]).ok(),
        "from the registry\n"
    );
    assert_eq!(world.selur(&["rmi", &reference]).ok(), format!("{reference}\n"));
    assert_eq!(
        world.selur(&["--format", "json", "images"]).json(),
        serde_json::json!([])
    );
}

#[test]
fn run_fetches_what_is_missing_and_says_so() {
    let registry = DockerRegistry::start();
    let reference = ImageBuilder::busybox()
        .cmd(["/bin/echo", "hello"])
        .push(&registry, "greeter:1");
    let world = World::empty();
    let first = world.selur(&["run", "--rm", &reference]);
    assert!(first.stderr.contains("pulling"), "{first:?}");
    assert_eq!(first.ok(), "hello\n");
    let second = world.selur(&["run", "--rm", &reference]);
    assert_eq!((second.stdout.as_str(), second.stderr.as_str()), ("hello\n", ""));

    ImageBuilder::busybox()
        .cmd(["/bin/echo", "changed"])
        .push(&registry, "greeter:1");
    assert_eq!(world.selur(&["run", "--rm", &reference]).ok(), "hello\n");
    assert_eq!(
        world.selur(&["run", "--rm", "--pull", "always", &reference]).ok(),
        "changed\n"
    );
}

#[test]
fn a_pull_tells_programs_of_every_step() {
    let registry = DockerRegistry::start();
    let reference = ImageBuilder::busybox().push(&registry, "steps:1");
    let world = World::empty();
    let events = world
        .selur(&["--format", "json", "pull", &reference])
        .json_lines();
    let name = |event: &serde_json::Value| event["event"].as_str().unwrap().to_owned();
    assert_eq!(
        (name(&events[0]), name(&events[1])),
        ("pulling".to_owned(), "resolved".to_owned())
    );
    let layer = &events[1]["layers"][0];
    let bytes = events
        .iter()
        .rev()
        .find(|event| event["event"] == "downloaded")
        .unwrap();
    assert_eq!(
        (&bytes["layer"], &bytes["bytes"]),
        (&layer["digest"], &layer["size_bytes"])
    );
    let last = events.last().unwrap();
    assert_eq!(
        (&last["event"], &last["image"]["digest"]),
        (&"done".into(), &events[1]["digest"])
    );
}

#[test]
fn a_pull_on_a_terminal_shows_bars() {
    let registry = DockerRegistry::start();
    let reference = ImageBuilder::busybox().push(&registry, "bars:1");
    let world = World::empty();
    // script(1) gives its command a terminal.
    let pull = format!(
        "{} --root {} pull {reference}",
        env!("CARGO_BIN_EXE_selur"),
        world.root().display()
    );
    let mut terminal = std::process::Command::new("script");
    terminal
        .args(["-qec", &pull, "/dev/null"])
        .env("TERM", "xterm")
        .stdin(std::process::Stdio::null());
    let shown = Running::start(terminal).end().ok();
    assert!(shown.contains("====") && shown.contains("\x1b["), "{shown:?}");
    assert!(shown.contains(&format!("{reference}  sha256:")), "{shown:?}");
}

#[test]
fn what_a_registry_does_not_have_is_said_with_what_to_do() {
    let registry = DockerRegistry::start();
    let pushed = ImageBuilder::busybox().push(&registry, "here:1");
    let absent = pushed.replace("here:1", "absent:9");
    let world = World::empty();
    let said = world.selur(&["pull", &absent]).failed(1);
    assert!(said.contains("absent") && said.contains("tag"), "{said}");
    assert_eq!(
        world.selur(&["--format", "json", "images"]).json(),
        serde_json::json!([])
    );
}

#[test]
fn an_image_in_use_is_not_removed() {
    let world = World::new();
    world.selur(&["create", "--name", "user", IMAGE]).ok();
    let ending = world.selur(&["rmi", IMAGE, "never.invalid/there:1"]);
    assert_eq!((ending.code, ending.stdout.as_str()), (Some(1), ""), "{ending:?}");
    world.selur(&["rm", "user"]).ok();
    world.selur(&["rmi", IMAGE]).ok();
}

#[test]
fn a_folder_that_is_no_layout_is_refused() {
    let world = World::empty();
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_str().unwrap(), "/no/such/folder"] {
        let said = world.selur(&["load", path, IMAGE]).failed(1);
        assert!(said.contains(path) || said.contains("oci-layout"), "{said}");
    }
}
