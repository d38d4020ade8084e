//! The program of `selur demo`'s container: it says who it is, waits for SIGTERM, says so and ends with 0.
//!
//! A static ELF file of a few KiB with raw system calls, so that the demo's image needs no registry, no libc and no
//! file of the host. build.rs compiles it; it must never need more than `core`.
#![no_std]
#![no_main]
// Otherwise the compiler makes the loop of `memset` into a call of `memset`.
#![no_builtins]

use core::arch::{asm, global_asm};

// PID 1 ignores signals whose action is the default one, so the program blocks SIGTERM and takes it synchronously.
const SIGTERM: u64 = 15;
const SIG_BLOCK: usize = 0;
/// Of struct new_utsname: six fields of this many bytes, the second of them is the host's name.
const UTS_FIELD_BYTES: usize = 65;

// Source: the kernel's arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
#[cfg(target_arch = "x86_64")]
mod number {
    pub const WRITE: usize = 1;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const GETPID: usize = 39;
    pub const EXIT_GROUP: usize = 231;
    pub const UNAME: usize = 63;
    pub const GETUID: usize = 102;
    pub const RT_SIGTIMEDWAIT: usize = 128;
}
#[cfg(target_arch = "aarch64")]
mod number {
    pub const WRITE: usize = 64;
    pub const RT_SIGPROCMASK: usize = 135;
    pub const GETPID: usize = 172;
    pub const EXIT_GROUP: usize = 94;
    pub const UNAME: usize = 160;
    pub const GETUID: usize = 174;
    pub const RT_SIGTIMEDWAIT: usize = 137;
}

// The kernel enters with an aligned stack and no return address; `call` and `bl` make it a C call.
#[cfg(target_arch = "x86_64")]
global_asm!(".globl _start", "_start:", "xor ebp, ebp", "and rsp, -16", "call {}", "ud2", sym start);
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x29, xzr", "mov x30, xzr", "bl {}", "brk #1", sym start);

extern "C" fn start() -> ! {
    let signals: u64 = 1 << (SIGTERM - 1);
    // SAFETY: the set is 8 bytes and lives; the old set is not asked for.
    unsafe { call(number::RT_SIGPROCMASK, [SIG_BLOCK, &raw const signals as usize, 0, 8]) };

    let mut names = [0u8; 6 * UTS_FIELD_BYTES];
    // SAFETY: the buffer has the size of struct new_utsname.
    unsafe { call(number::UNAME, [names.as_mut_ptr() as usize, 0, 0, 0]) };
    let host = &names[UTS_FIELD_BYTES..2 * UTS_FIELD_BYTES];
    let host = host.split(|byte| *byte == 0).next().unwrap_or(b"?");

    // SAFETY: neither call takes an argument.
    let (pid, uid) = unsafe { (call(number::GETPID, [0; 4]), call(number::GETUID, [0; 4])) };
    Line::new().text(b"hello from inside the container").print();
    Line::new().text(b"my pid is ").decimal(pid).text(b", my uid is ").decimal(uid).print();
    Line::new().text(b"my hostname is ").text(host).print();
    Line::new().text(b"waiting for SIGTERM").print();
    loop {
        // SAFETY: the set lives; neither information nor a time limit is asked for.
        let signal = unsafe { call(number::RT_SIGTIMEDWAIT, [&raw const signals as usize, 0, 0, 8]) };
        if signal == SIGTERM as isize {
            break;
        }
    }
    Line::new().text(b"got SIGTERM: goodbye").print();
    exit(0)
}

/// One line of output, written with one system call.
struct Line {
    bytes: [u8; 160],
    length: usize,
}

impl Line {
    fn new() -> Line {
        Line { bytes: [0; 160], length: 0 }
    }

    fn text(mut self, text: &[u8]) -> Line {
        for byte in text {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = *byte;
                self.length += 1;
            }
        }
        self
    }

    fn decimal(self, number: isize) -> Line {
        let (mut digits, mut first, mut rest) = ([0u8; 20], 20, number.unsigned_abs());
        while first > 0 {
            first -= 1;
            digits[first] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.text(&digits[first..])
    }

    fn print(self) {
        let line = self.text(b"\n");
        // SAFETY: the buffer lives and holds so many bytes.
        unsafe { call(number::WRITE, [1, line.bytes.as_ptr() as usize, line.length, 0]) };
    }
}

fn exit(code: usize) -> ! {
    loop {
        // SAFETY: ends the process.
        unsafe { call(number::EXIT_GROUP, [code, 0, 0, 0]) };
    }
}

/// One system call; negative results are errors.
///
/// # Safety
/// - The arguments are what the call of this number takes, and the memory they name is the caller's.
#[cfg(target_arch = "x86_64")]
unsafe fn call(number: usize, arguments: [usize; 4]) -> isize {
    let result;
    // SAFETY: the caller's promise; rcx and r11 are what the instruction overwrites.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result,
            in("rdi") arguments[0], in("rsi") arguments[1], in("rdx") arguments[2], in("r10") arguments[3],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

/// One system call; negative results are errors.
///
/// # Safety
/// - The arguments are what the call of this number takes, and the memory they name is the caller's.
#[cfg(target_arch = "aarch64")]
unsafe fn call(number: usize, arguments: [usize; 4]) -> isize {
    let result;
    // SAFETY: the caller's promise.
    unsafe {
        asm!("svc #0", in("x8") number, inlateout("x0") arguments[0] as isize => result,
            in("x1") arguments[1], in("x2") arguments[2], in("x3") arguments[3], options(nostack));
    }
    result
}

/// What the compiler copies with, where there is no libc.
///
/// # Safety
/// - As in C: both ranges are the caller's and do not overlap.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    for index in 0..length {
        // SAFETY: the index is within both ranges.
        unsafe { *to.add(index) = *from.add(index) };
    }
    to
}

/// What the compiler clears with, where there is no libc.
///
/// # Safety
/// - As in C: the range is the caller's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, length: usize) -> *mut u8 {
    for index in 0..length {
        // SAFETY: the index is within the range.
        unsafe { *to.add(index) = byte as u8 };
    }
    to
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    exit(101)
}
