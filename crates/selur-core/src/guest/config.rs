//! How guests are compiled and run. The build script includes this file too: code that is compiled ahead of time
//! loads only under the settings that it was compiled with.

use wasmtime::{Config, Engine, Result};

/// The stack that a guest call may use, in bytes. A BEAM dirty scheduler has 328 KB, and the caller's frames are on it.
pub(crate) const GUEST_STACK_BYTES: usize = 64 * 1024;

/// An engine for `target`; none is this machine, with what its processor offers.
///
/// # Errors
/// The target is unknown, or this build cannot compile for it.
pub(crate) fn engine(target: Option<&str>) -> Result<Engine> {
    let mut config = settings(target)?;
    // docs/decisions/guest-budget.md
    config.consume_fuel(true);
    Engine::new(&config)
}

/// All settings but the budget's.
///
/// # Errors
/// The target is unknown.
pub(crate) fn settings(target: Option<&str>) -> Result<Config> {
    let mut config = Config::new();
    if let Some(target) = target {
        config.target(target)?;
    }
    // A foreign host (BEAM, V8, CPython) owns the signal handlers: traps are explicit checks instead.
    config.signals_based_traps(false);
    config.wasm_backtrace_max_frames(None);
    // Which instruction of the guest each of the code's came from: for backtraces alone, and a tenth of what is loaded.
    config.generate_address_map(false);
    config.max_wasm_stack(GUEST_STACK_BYTES);
    // The memory is 1 MiB for good: reserve that, and nothing around it.
    config.memory_reservation(1 << 20);
    config.memory_reservation_for_growth(0);
    config.memory_guard_size(0);
    config.memory_may_move(false);
    config.memory_init_cow(false);
    config.wasm_multi_memory(false);
    config.wasm_memory64(false);
    Ok(config)
}
