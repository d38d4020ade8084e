//! linearUsage in Rust: a second use of a slot, a ticket or a response does not compile.
//!
//! Each program in `linear/` has one line that uses something a second time. Without that line it compiles, with it rustc
//! says E0382, use of a moved value, and nothing else. (trybuild would do the same, but in a target directory of its own,
//! where it builds wasmtime again.)

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;
use std::{env, fs};

const SECOND_USE: &str = "// the second use";
const PROGRAMS: usize = 8;

/// Where cargo put the libraries that this test was linked with.
fn libraries() -> PathBuf {
    let test = env::current_exe().expect("this test");
    test.parent().expect("its directory").to_path_buf()
}

/// The selur_core that was built last.
fn selur_core(libraries: &Path) -> PathBuf {
    let built = |path: &PathBuf| -> SystemTime {
        fs::metadata(path)
            .and_then(|meta| meta.modified())
            .expect("when it was built")
    };
    fs::read_dir(libraries)
        .expect("libraries")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("libselur_core-") && name.ends_with(".rlib")
        })
        .max_by_key(built)
        .expect("selur_core is built")
}

/// The codes of the errors that rustc finds.
fn errors(program: &str, name: &str, scratch: &Path) -> Vec<String> {
    let source = scratch.join(name);
    fs::write(&source, program).expect("written");
    let libraries = libraries();
    let output = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition", "2024", "--crate-type", "lib", "--emit", "metadata"])
        .args(["--error-format", "json", "--out-dir"])
        .arg(scratch)
        .arg("--extern")
        .arg(format!("selur_core={}", selur_core(&libraries).display()))
        .arg("-L")
        .arg(format!("dependency={}", libraries.display()))
        .arg(&source)
        .output()
        .expect("rustc runs");
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    let codes: Vec<String> = messages
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .filter(|message| message["level"] == "error")
        .filter_map(|message| Some(message["code"].as_object()?["code"].as_str()?.to_owned()))
        .collect();
    assert_eq!(output.status.success(), codes.is_empty(), "{name}: {messages}");
    codes
}

#[test]
fn a_second_use_does_not_compile_and_the_first_alone_does() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/linear");
    let scratch = tempfile::tempdir().expect("a directory");
    let mut count = 0;
    for entry in fs::read_dir(programs).expect("programs") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let program = fs::read_to_string(&path).expect("text");
        let once: Vec<&str> = program
            .lines()
            .filter(|line| !line.ends_with(SECOND_USE))
            .collect();
        assert_eq!(
            once.len() + 1,
            program.lines().count(),
            "{name}: one line is the second use"
        );
        let none: [&str; 0] = [];
        assert_eq!(
            errors(&once.join("\n"), &name, scratch.path()),
            none,
            "{name}, used once"
        );
        assert_eq!(
            errors(&program, &name, scratch.path()),
            ["E0382"],
            "{name}, used twice"
        );
        count += 1;
    }
    println!("{count} programs");
    assert_eq!(count, PROGRAMS, "the programs in tests/linear");
}
