//! The guest: selur-kernel behind the guest ABI, which ABI.md defines.
//!
//! The shim turns words into inputs and outputs into bytes. It decides nothing, imports nothing and never allocates. Its
//! only `unsafe` is the way to its two statics.
#![no_std]
#![deny(missing_docs, unsafe_op_in_unsafe_fn)]

use core::ptr::addr_of_mut;
use selur_kernel::{FullKernel, Input, SlotUse};
use selur_protocol::abi::{self, Action, CancelCause, Observation, Outcome, Output, Report, Submitted};
use selur_protocol::{ContainerId, MAX_FRAME_BYTES, Reason, State, Status};

/// Accepted: what the functions that give a reason's code give otherwise.
const ACCEPTED: u32 = 0;

static mut KERNEL: FullKernel = FullKernel::new();
static mut MAILBOX: [u8; abi::MAILBOX_BYTES] = [0; abi::MAILBOX_BYTES];

/// The kernel, for the length of one exported call.
fn kernel() -> &'static mut FullKernel {
    // SAFETY:
    // - the module has one thread and no imports, so no exported function runs while another does;
    // - each exported function takes this reference at most once, and lets it go before it returns.
    unsafe { &mut *addr_of_mut!(KERNEL) }
}

/// The mailbox, for the length of one exported call.
fn mailbox() -> &'static mut [u8; abi::MAILBOX_BYTES] {
    // SAFETY: as for the kernel.
    unsafe { &mut *addr_of_mut!(MAILBOX) }
}

/// Where the arena begins in linear memory.
fn arena_address() -> u32 {
    kernel().arena().as_ptr() as usize as u32
}

/// The version of the ABI.
#[no_mangle]
pub extern "C" fn selur_abi_version() -> u32 {
    abi::ABI_VERSION
}

/// The address of the mailbox.
#[no_mangle]
pub extern "C" fn selur_mailbox() -> u32 {
    mailbox().as_ptr() as usize as u32
}

/// The arena: address << 32 | bytes.
#[no_mangle]
pub extern "C" fn selur_arena() -> u64 {
    let bytes = kernel().arena().len() as u64;
    u64::from(arena_address()) << 32 | bytes
}

/// A slot of at least so many bytes; 0 if there is none.
#[no_mangle]
pub extern "C" fn selur_reserve(bytes: u32) -> u64 {
    kernel().reserve(bytes).unwrap_or(0)
}

/// Takes the frame in a slot; the slot is consumed.
#[no_mangle]
pub extern "C" fn selur_submit(slot: u64, frame_bytes: u32, id_high: u64, id_low: u64) -> u64 {
    submit(slot, frame_bytes, SlotUse::Consume, id_high, id_low)
}

/// Takes the frame in a slot; the slot stays, but for a create that gets a ticket.
#[no_mangle]
pub extern "C" fn selur_exchange(slot: u64, frame_bytes: u32, id_high: u64, id_low: u64) -> u64 {
    submit(slot, frame_bytes, SlotUse::Keep, id_high, id_low)
}

/// Whether the slot holds a ping, which is its own answer. Nothing changes.
#[no_mangle]
pub extern "C" fn selur_ping(slot: u64, frame_bytes: u32) -> u32 {
    u32::from(kernel().ping(slot, frame_bytes))
}

fn submit(slot: u64, frame_bytes: u32, slot_use: SlotUse, id_high: u64, id_low: u64) -> u64 {
    let id = u128::from(id_high) << 64 | u128::from(id_low);
    let input = Input::Submit {
        slot,
        frame_bytes,
        slot_use,
        new_id: ContainerId::from_bytes(id.to_be_bytes()),
    };
    match kernel().feed(input) {
        Ok(Some(submitted)) => pack(submitted),
        // A submission always has an outcome.
        Ok(None) | Err(_) => unreachable(),
    }
}

/// With the place of an answer in linear memory instead of in the arena.
fn pack(mut submitted: Submitted) -> u64 {
    if let Outcome::Ready { offset, bytes, .. } = &mut submitted.outcome {
        if *bytes > 0 {
            *offset += arena_address();
        }
    }
    submitted.pack()
}

/// Gives a ticket up.
#[no_mangle]
pub extern "C" fn selur_cancel(ticket: u64, cause: u32) -> u32 {
    let cause = match cause {
        0 => CancelCause::Caller,
        1 => CancelCause::Deadline,
        _ => return code(Reason::MalformedInput),
    };
    feed(Input::Cancel { ticket, cause })
}

/// Says how an effect ended.
#[no_mangle]
pub extern "C" fn selur_complete(
    effect: u64,
    status: u32,
    has_report: u32,
    generation_and_sequence: u64,
    state: u32,
    exit_known: u32,
    exit: u32,
) -> u32 {
    let report = match (has_report, exit_known) {
        (0, _) => Some(None),
        (1, 0 | 1) => byte(state).and_then(State::from_code).map(|state| {
            Some(Report {
                generation: (generation_and_sequence >> 32) as u32,
                sequence: generation_and_sequence as u32,
                state,
                exit_code: if exit_known == 1 { Some(exit as i32) } else { None },
            })
        }),
        _ => None,
    };
    match (byte(status).and_then(Status::from_code), report) {
        (Some(status), Some(report)) => feed(Input::Complete {
            effect,
            status,
            report,
        }),
        _ => code(Reason::MalformedInput),
    }
}

/// Takes the observation that lies in the mailbox.
#[no_mangle]
pub extern "C" fn selur_observe(bytes: u32) -> u32 {
    let mut copy = [0; Observation::MAX_BYTES];
    let decoded = match (copy.get_mut(..bytes as usize), mailbox().get(..bytes as usize)) {
        (Some(copy), Some(bytes)) => {
            copy.copy_from_slice(bytes);
            Observation::decode(copy)
        }
        _ => None,
    };
    match decoded {
        Some(observation) => feed(Input::Observe(observation)),
        None => code(Reason::MalformedInput),
    }
}

/// Writes outputs into the mailbox, as many as fit; gives their bytes, 0 when none are left.
#[no_mangle]
pub extern "C" fn selur_poll() -> u32 {
    let arena = arena_address();
    let kernel = kernel();
    let mut bytes = 0;
    for place in mailbox().chunks_exact_mut(Output::BYTES) {
        let mut output = match kernel.poll() {
            Some(output) => output,
            None => break,
        };
        if let Output::Effect {
            action: Action::Create { offset, .. },
            ..
        } = &mut output
        {
            *offset += arena;
        }
        place.copy_from_slice(&output.encode());
        bytes += Output::BYTES as u32;
    }
    bytes
}

/// Takes a slot back.
#[no_mangle]
pub extern "C" fn selur_release(slot: u64) -> u32 {
    kernel().release(slot).map_or_else(code, |()| ACCEPTED)
}

/// One number for the whole logical state.
#[no_mangle]
pub extern "C" fn selur_digest() -> u64 {
    kernel().digest()
}

fn feed(input: Input<'_>) -> u32 {
    kernel().feed(input).map_or_else(code, |_| ACCEPTED)
}

fn code(reason: Reason) -> u32 {
    u32::from(reason.code())
}

fn byte(word: u32) -> Option<u8> {
    if word <= 0xff { Some(word as u8) } else { None }
}

/// Traps: the host drops the instance.
fn unreachable() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    loop {}
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unreachable()
}

// Every address in linear memory fits the fields of `Submitted`, and a frame the slot that was reserved for it.
const _: () = assert!(abi::MEMORY_PAGES * 65_536 <= 1 << 20 && MAX_FRAME_BYTES < 1 << 19);
