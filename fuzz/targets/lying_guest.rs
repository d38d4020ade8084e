//! `src/lying_guest.rs` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| selur_fuzz::lying_guest::run(data));
