//! Writes `include/selur.h` from the sources of selur-ffi. Without arguments prints it, with `--write` writes it, with
//! `--check` fails if the committed file differs.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(std::env::args().nth(1).as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(mode: Option<&str>) -> Result<(), Box<dyn std::error::Error>> {
    let binding = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let header = binding.join("include/selur.h");
    let text = generate(binding)?;
    match mode {
        None => print!("{text}"),
        Some("--write") => std::fs::write(&header, text)?,
        Some("--check") => {
            let committed =
                std::fs::read_to_string(&header).map_err(|error| format!("{}: {error}", header.display()))?;
            if committed != text {
                let path = header.display();
                return Err(format!("{path} is not what the sources say: run `just header`").into());
            }
        }
        Some(other) => return Err(format!("{other} is unknown: give nothing, --write or --check").into()),
    }
    Ok(())
}

/// The sources in the order that a reader of the header wants them.
const ORDER: [&str; 13] = [
    "version",
    "codes",
    "error",
    "bytes",
    "options",
    "bridge",
    "requests",
    "containers",
    "images",
    "volumes",
    "completions",
    "slots",
    "streams",
];
/// Sources that export nothing. `lib` would have cbindgen follow its modules, and say each function a second time.
const INNER: [&str; 3] = ["boundary", "handles", "lib"];

/// The header of everything that the binding's sources export.
fn generate(binding: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let sources = binding.join("src");
    for entry in std::fs::read_dir(&sources)? {
        let path = entry?.path();
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if !ORDER.contains(&name.as_str()) && !INNER.contains(&name.as_str()) {
            return Err(format!("{} is in neither list of {}", path.display(), file!()).into());
        }
    }
    let config = cbindgen::Config::from_file(binding.join("cbindgen.toml"))?;
    let mut builder = cbindgen::Builder::new().with_config(config);
    for name in ORDER {
        builder = builder.with_src(sources.join(name).with_extension("rs"));
    }
    let mut text = Vec::new();
    builder.generate()?.write(&mut text);
    Ok(String::from_utf8(text)?)
}
