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
        .find(|event| event["event"] == "transferred")
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

#[test]
fn an_image_is_tagged_pushed_pruned_and_pulled_again() {
    let registry = DockerRegistry::start();
    let world = World::new();
    let target = format!("{}/team/app:v1", registry.address());
    assert_eq!(world.selur(&["tag", IMAGE, &target]).ok(), format!("{target}\n"));

    let pushed = world.selur(&["push", &target]);
    for line in [format!("pushing {target}"), ": done, ".to_owned()] {
        assert!(pushed.stderr.contains(&line), "{line}: {pushed:?}");
    }
    let pushed = pushed.ok();
    assert!(pushed.starts_with(&format!("{target}  sha256:")), "{pushed}");
    let events = world.selur(&["--format", "json", "push", &target]).json_lines();
    assert_eq!(
        (&events[0]["event"], &events[1]["event"]),
        (&"pushing".into(), &"resolved".into())
    );
    let last = events.last().unwrap();
    assert_eq!(
        (
            &last["event"],
            &last["image"]["reference"],
            &last["image"]["digest"]
        ),
        (&"done".into(), &target.as_str().into(), &events[1]["digest"])
    );

    let would = world
        .selur(&["--format", "json", "prune", "--all", "--dry-run"])
        .json();
    assert_eq!(would["references"], serde_json::json!([target, IMAGE]));
    assert!(
        would["layers"] == 2 && would["freed_bytes"].as_u64() > Some(1_000_000),
        "{would}"
    );
    assert_eq!(world.selur(&["images", "-q"]).ok().lines().count(), 2);
    let said = world.selur(&["prune", "--all"]).failed(1);
    assert!(said.contains("--yes") && said.contains("--dry-run"), "{said}");
    let done = world.selur(&["prune", "-a", "-y"]).ok();
    assert!(
        done.contains(&target) && done.contains("freed") && done.contains("2 images, 2 layers"),
        "{done}"
    );
    assert_eq!(world.selur(&["images", "-q"]).ok(), "");
    assert_eq!(
        world.selur(&["prune", "-y"]).ok(),
        "freed 0 B: 0 images, 0 layers\n"
    );

    assert_eq!(world.selur(&["pull", &target]).ok(), pushed);
}

#[test]
fn prune_asks_on_a_terminal() {
    let world = World::new();
    let root = world.root();
    let ask = |answer: &str| {
        let command = format!(
            "{} --root {} prune -a",
            env!("CARGO_BIN_EXE_selur"),
            root.display()
        );
        let shell = format!("echo {answer} | script -qec '{command}' /dev/null");
        let mut terminal = std::process::Command::new("sh");
        terminal.args(["-c", &shell]).env("TERM", "xterm");
        Running::start(terminal).end().ok()
    };
    let refused = ask("n");
    assert!(
        refused.contains("would free") && refused.contains("[y/N]"),
        "{refused:?}"
    );
    assert_eq!(world.selur(&["images", "-q"]).ok(), format!("{IMAGE}\n"));
    assert!(ask("y").contains("\nfreed"), "{refused:?}");
    assert_eq!(world.selur(&["images", "-q"]).ok(), "");
}

#[test]
fn archives_are_loaded_from_files_and_from_standard_input() {
    let world = World::empty();
    let layout = world.layout("maker", "selur");
    let archive = layout.with_extension("tar.gz");
    let tar = selur_testkit::layout_tar(&layout);
    std::fs::write(&archive, selur_testkit::gzip(&tar)).unwrap();
    let loaded = world.selur(&["load", archive.to_str().unwrap(), IMAGE]).ok();
    assert!(loaded.starts_with(&format!("{IMAGE}  sha256:")), "{loaded}");
    world.selur(&["rmi", IMAGE]).ok();

    let unnamed = world.selur(&["load", archive.to_str().unwrap()]).failed(1);
    assert!(unnamed.contains("without a name"), "{unnamed}");

    let shell = format!(
        "cat {} | {} --root {} load - {IMAGE}",
        archive.display(),
        env!("CARGO_BIN_EXE_selur"),
        world.root().display()
    );
    let mut piped = std::process::Command::new("sh");
    piped.args(["-c", &shell]);
    assert_eq!(Running::start(piped).end().ok(), loaded);
    let mut redirected = world.command(&["load", "-", IMAGE]);
    redirected.stdin(std::fs::File::open(&archive).unwrap());
    assert_eq!(Running::start(redirected).end().ok(), loaded);
    assert_eq!(
        world.selur(&["run", "--rm", IMAGE, "echo", "loaded"]).ok(),
        "loaded\n"
    );
}

#[test]
fn the_environment_caps_unpacked_layers() {
    let world = World::empty();
    let layout = world.layout("maker", "selur");
    let load = |cap: &str| {
        let mut command = world.command(&["load", layout.to_str().unwrap(), IMAGE]);
        command.env("SELUR_MAX_LAYER_BYTES", cap);
        Running::start(command).end()
    };
    let said = load("1000").failed(1);
    assert!(said.contains("more than 1000 bytes"), "{said}");
    let said = load("much").failed(1);
    assert!(said.contains("SELUR_MAX_LAYER_BYTES"), "{said}");
    load("1G").ok();
}
