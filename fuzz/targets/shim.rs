//! `src/shim.rs` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| selur_fuzz::shim::run(data));
