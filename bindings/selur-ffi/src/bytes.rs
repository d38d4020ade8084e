//! Bytes that a caller owns: what requests are answered with.

use crate::boundary::{Failure, guard, guard_out, length};
use crate::codes::selur_status_t;
use crate::error::selur_error_t;
use crate::handles::Table;
use std::mem::MaybeUninit;

/// Bytes that a call gave. Owned by whoever received them; free them with selur_bytes_free(). 0 is no bytes at all,
/// which every function here takes for a length of 0.
pub type selur_bytes_t = u64;

/// Where bytes lie. They belong to whatever gave the view, and are valid as long as that is not freed.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct selur_view_t {
    /// The first byte; never NULL. Behind the last one lies a 0, so that text is a C string too, unless it contains a 0
    /// itself.
    pub data: *const u8,
    /// How many there are.
    pub length: u32,
}

/// Owned bytes, with a 0 behind them that does not count.
pub(crate) struct Kept(Vec<u8>);

pub(crate) static BYTES: Table<Kept> = Table::new(2, "bytes");

/// Keeps bytes for a caller. None need no handle.
pub(crate) fn keep(mut data: Vec<u8>) -> Result<selur_bytes_t, Failure> {
    if data.is_empty() {
        return Ok(0);
    }
    data.push(0);
    BYTES.insert(Kept(data))
}

impl Kept {
    fn data(&self) -> &[u8] {
        self.0.split_last().map_or(&[], |(_, data)| data)
    }
}

/// Shows where the bytes lie, until they are freed.
///
/// Fails with SELUR_STATUS_INVALID_REQUEST if they were freed.
#[unsafe(no_mangle)]
pub extern "C" fn selur_bytes_view(
    bytes: selur_bytes_t,
    view: Option<&mut MaybeUninit<selur_view_t>>,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard_out(view, error, || match bytes {
        0 => Ok(selur_view_t {
            data: c"".as_ptr().cast(),
            length: 0,
        }),
        bytes => BYTES.with(bytes, |kept| selur_view_t {
            data: kept.0.as_ptr(),
            length: length(kept.data().len()),
        }),
    })
}

/// Copies the bytes to `into`, which has room for `capacity`, and frees them.
///
/// Fails with SELUR_STATUS_INVALID_REQUEST if they were freed, if there is not enough room, and if `into` is NULL; they
/// are kept then, and nothing is written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn selur_bytes_take(
    bytes: selur_bytes_t,
    into: *mut u8,
    capacity: u32,
    error: Option<&mut MaybeUninit<selur_error_t>>,
) -> selur_status_t {
    guard(error, || {
        if bytes == 0 {
            return Ok(());
        }
        BYTES.with(bytes, |kept| {
            let data = kept.data();
            if into.is_null() || data.len() > capacity as usize {
                let message = format!("{} bytes do not fit into a place of {capacity}", data.len());
                return Err(Failure::invalid(message));
            }
            // SAFETY: the caller gives a place for `capacity` bytes, which is at least as many, and none of ours.
            unsafe { into.copy_from_nonoverlapping(data.as_ptr(), data.len()) };
            Ok(())
        })??;
        BYTES.remove(bytes).map(drop)
    })
}

/// Frees bytes. 0 is allowed.
///
/// Fails with SELUR_STATUS_INVALID_REQUEST if they were freed before; nothing happens then.
#[unsafe(no_mangle)]
pub extern "C" fn selur_bytes_free(bytes: selur_bytes_t) -> selur_status_t {
    guard(None, || match bytes {
        0 => Ok(()),
        bytes => BYTES.remove(bytes).map(drop),
    })
}
