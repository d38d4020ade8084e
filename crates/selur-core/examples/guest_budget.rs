//! What a budget for guest calls costs: no budget, fuel, and an epoch, over the committed guest.
//!
//! `just bench-budget`, or `cargo run --release -p selur-core --example guest_budget`. The figures stand in
//! docs/decisions/guest-budget.md.

#[path = "../src/guest/config.rs"]
#[expect(dead_code, reason = "budgets are chosen here")]
mod config;

use std::error::Error;
use std::time::Instant;
use wasmtime::{Config, Engine, Instance, Memory, Module, Store, TypedFunc};

/// Rounds of each measurement, of which the median is printed, and calls in a round.
const ROUNDS: usize = 101;
const CALLS: usize = 2_000;
/// Blocks of the arena are 256 bytes; a handle's low 12 bits are its first block.
const SLOT_BYTES: u32 = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Budget {
    Without,
    Fuel,
    Epoch,
}

struct Guest {
    store: Store<()>,
    ping: TypedFunc<(u64, u32), u32>,
    exchange: TypedFunc<(u64, u32, u64, u64), u64>,
    memory: Memory,
    slot: u64,
    slot_address: usize,
    budget: Budget,
}

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "guest calls, median ns of {ROUNDS} × {CALLS}, stack {} KiB",
        config::GUEST_STACK_BYTES / 1024
    );
    println!("{:<38} {:>9} {:>9} {:>9}", "", "without", "fuel", "epoch");
    let mut guests = [Budget::Without, Budget::Fuel, Budget::Epoch]
        .into_iter()
        .map(Guest::new)
        .collect::<Result<Vec<_>, _>>()?;
    let mut row = |name: &str, frame: &[u8]| -> Result<(), Box<dyn Error>> {
        let mut figures = String::new();
        for guest in &mut guests {
            let nanoseconds = guest.measure(frame)?;
            figures.push_str(&format!(" {nanoseconds:>9.1}"));
        }
        println!("{name:<38}{figures}");
        Ok(())
    };
    for payload_bytes in [0, 100, 1_024, 10_240] {
        row(
            &format!("ping of {payload_bytes} bytes"),
            &frame(0x00, &vec![b'x'; payload_bytes]),
        )?;
    }
    row("list of no containers", &frame(0x06, b""))?;
    row(
        "start of an unknown container",
        &frame(0x02, b"no-such-container"),
    )?;
    row("create refused for its image's name", &frame(0x01, &[b'a'; 300]))?;
    Ok(())
}

impl Guest {
    fn new(budget: Budget) -> Result<Guest, Box<dyn Error>> {
        let mut settings: Config = config::settings(None)?;
        match budget {
            Budget::Without => {}
            Budget::Fuel => drop(settings.consume_fuel(true)),
            Budget::Epoch => drop(settings.epoch_interruption(true)),
        }
        let engine = Engine::new(&settings)?;
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../guest/selur.wasm");
        let module = Module::from_binary(&engine, &std::fs::read(path)?)?;
        let mut store = Store::new(&engine, ());
        arm(&mut store, budget)?;
        let instance = Instance::new(&mut store, &module, &[])?;
        let reserve: TypedFunc<u32, u64> = instance.get_typed_func(&mut store, "selur_reserve")?;
        let arena: TypedFunc<(), u64> = instance.get_typed_func(&mut store, "selur_arena")?;
        let slot = reserve.call(&mut store, SLOT_BYTES)?;
        let slot_address = (arena.call(&mut store, ())? >> 32) + (slot & 0xFFF) * 256;
        Ok(Guest {
            ping: instance.get_typed_func(&mut store, "selur_ping")?,
            exchange: instance.get_typed_func(&mut store, "selur_exchange")?,
            memory: instance
                .get_memory(&mut store, "memory")
                .ok_or("the guest has no memory")?,
            slot,
            slot_address: usize::try_from(slot_address)?,
            budget,
            store,
        })
    }

    /// The frame is written once: a refusal changes only the byte of the status, which is that of the length's end.
    fn measure(&mut self, frame: &[u8]) -> Result<f64, Box<dyn Error>> {
        let mut rounds = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            self.memory.write(&mut self.store, self.slot_address, frame)?;
            let began = Instant::now();
            for _ in 0..CALLS {
                self.memory
                    .write(&mut self.store, self.slot_address, &frame[..5])?;
                arm(&mut self.store, self.budget)?;
                let word = match frame[0] {
                    0x00 => self
                        .ping
                        .call(&mut self.store, (self.slot, frame.len() as u32))?
                        .into(),
                    _ => self
                        .exchange
                        .call(&mut self.store, (self.slot, frame.len() as u32, 0, 1))?,
                };
                std::hint::black_box(word);
            }
            rounds.push(began.elapsed().as_nanos() as f64 / CALLS as f64);
        }
        rounds.sort_by(f64::total_cmp);
        Ok(rounds[ROUNDS / 2])
    }
}

/// Gives the next call its budget.
fn arm(store: &mut Store<()>, budget: Budget) -> Result<(), Box<dyn Error>> {
    match budget {
        Budget::Without => {}
        Budget::Fuel => store.set_fuel(100_000_000)?,
        Budget::Epoch => store.set_epoch_deadline(2),
    }
    Ok(())
}

fn frame(command: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![command];
    frame.extend((payload.len() as u32).to_le_bytes());
    frame.extend(payload);
    frame
}
