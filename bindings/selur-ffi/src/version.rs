//! Which library this is.

use std::ffi::c_char;

/// The version of the ABI that this header describes. It grows when a program that was built with an older header would no
/// longer work.
pub const SELUR_ABI_VERSION: u32 = 1;

/// The version of the ABI that the library has: compare it with SELUR_ABI_VERSION when you load the library by hand.
#[unsafe(no_mangle)]
pub extern "C" fn selur_abi_version() -> u32 {
    SELUR_ABI_VERSION
}

/// The version of the library, such as 0.1.0. It is valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn selur_version() -> *const c_char {
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_ptr().cast()
}

/// The sha256 of the guest that the library was built with, in 64 hex digits. It is valid for ever.
#[unsafe(no_mangle)]
pub extern "C" fn selur_guest_sha256() -> *const c_char {
    static TEXT: std::sync::OnceLock<std::ffi::CString> = std::sync::OnceLock::new();
    let text = || TEXT.get_or_init(|| std::ffi::CString::new(selur_core::guest_sha256()).unwrap_or_default());
    crate::boundary::guard_value(c"".as_ptr(), || text().as_ptr())
}
