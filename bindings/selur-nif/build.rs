//! Two settings that a NIF needs of its build.

fn main() {
    // The macro writes the symbol that the BEAM looks for, also where this crate is not the one that cargo was asked for.
    println!("cargo::rustc-env=RUSTLER_PRIMARY_NIF_INIT=1");
    // Threads of bridges that are being closed may outlive the module: the code stays where it is.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    println!("cargo::rerun-if-changed=build.rs");
}
