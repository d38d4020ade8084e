//! Compiles demo-program/main.rs, the static program of `selur demo`'s container, for the target that selur is built
//! for. On an architecture that the program does not know, the embedded file is empty and the demo says so.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

const SOURCE: &str = "demo-program/main.rs";

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=build.rs");
    let program = PathBuf::from(variable("OUT_DIR")).join("selur-demo");
    let known = matches!(variable("CARGO_CFG_TARGET_ARCH").as_str(), "x86_64" | "aarch64");
    if known && variable("CARGO_CFG_TARGET_OS") == "linux" {
        compile(&program);
    } else if let Err(error) = fs::write(&program, []) {
        panic!("cannot write {}: {error}", program.display());
    }
}

fn compile(program: &Path) {
    let mut rustc = Command::new(variable("RUSTC"));
    rustc.args(["--edition=2024", "--crate-type=bin", "--crate-name=selur_demo"]);
    rustc.args(["--target", &variable("TARGET")]);
    rustc.args([
        "-Copt-level=s",
        "-Cpanic=abort",
        "-Cstrip=symbols",
        "-Crelocation-model=static",
    ]);
    rustc.args([
        "-Ctarget-feature=+crt-static",
        "-Clink-arg=-nostartfiles",
        "-Clink-arg=-nostdlib",
    ]);
    rustc.args(["-Clink-arg=-static", "-Clink-arg=-Wl,--build-id=none"]);
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.arg(format!("-Clinker={linker}"));
    }
    let status = rustc.arg("-o").arg(program).arg(SOURCE).status();
    match status {
        Ok(status) if status.success() => {}
        Ok(status) => panic!("compiling {SOURCE} failed: {status}"),
        Err(error) => panic!("cannot run the compiler for {SOURCE}: {error}"),
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo did not set {name}"))
}
