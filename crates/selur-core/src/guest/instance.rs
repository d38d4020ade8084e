//! One running guest: checked when it is loaded, then called under a budget.
//!
//! Every method either gives what the guest said, checked as far as one call can be, or [`Broken`].

use super::memory::{self, LinearMemory, MemoryPlace};
use super::{Broken, CALL_BUDGET_FUEL, GUEST_STACK_BYTES, config};
use crate::{Error, Status};
use selur_protocol::abi::{ABI_VERSION, MAILBOX_BYTES, MEMORY_PAGES, Observation, Output, Report, Submitted};
use selur_protocol::{HEADER_BYTES, Reason};
use std::sync::OnceLock;
use wasmtime::{
    Engine, ExternType, FuncType, Module, Store, StoreLimits, StoreLimitsBuilder, Trap, TypedFunc, ValType,
    WasmParams, WasmResults,
};

/// The arena's place in linear memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ArenaRange {
    /// Its first byte.
    pub(crate) start: u32,
    /// The byte behind its last.
    pub(crate) end: u32,
}

impl ArenaRange {
    /// Whether `[offset, offset + bytes)` lies within it.
    pub(crate) fn contains(&self, offset: u32, bytes: u32) -> bool {
        offset >= self.start && offset.checked_add(bytes).is_some_and(|end| end <= self.end)
    }
}

/// What a module is made of.
#[derive(Clone)]
pub(super) struct Shape {
    pub(super) imports: usize,
    pub(super) exports: Vec<String>,
}

/// effect, status, has report, generation and sequence, state, exit code known, exit code
type Completion = (u64, u32, u32, u64, u32, u32, u32);

/// A guest that can be called.
pub(crate) struct Instance {
    store: Store<StoreLimits>,
    memory: MemoryPlace,
    mailbox: u32,
    arena: ArenaRange,
    ping: TypedFunc<(u64, u32), u32>,
    reserve: TypedFunc<u32, u64>,
    exchange: TypedFunc<(u64, u32, u64, u64), u64>,
    cancel: TypedFunc<(u64, u32), u32>,
    complete: TypedFunc<Completion, u32>,
    observe: TypedFunc<u32, u32>,
    poll: TypedFunc<(), u32>,
    release: TypedFunc<u64, u32>,
    digest: TypedFunc<(), u64>,
}

impl Instance {
    /// Compiles and starts a module; none is the embedded one.
    pub(super) fn load(module: Option<&[u8]>) -> Result<(Instance, Shape), Error> {
        let engine = shared_engine()?;
        let compiled;
        let (module, shape) = match module {
            None => embedded(engine)?,
            Some(bytes) => {
                let module = compile(engine, bytes)?;
                let shape = check(&module)?;
                compiled = (module, shape);
                &compiled
            }
        };
        let instance = Instance::start(engine, module).map_err(|Broken(how)| {
            Error::new(
                Status::InternalError,
                format!("the guest fails when it is loaded: {how}"),
            )
        })??;
        Ok((instance, shape.clone()))
    }

    /// Instantiates a module of the right shape. The outer error is a trap, the inner a refusal.
    fn start(engine: &Engine, module: &Module) -> Result<Result<Instance, Error>, Broken> {
        let limits = StoreLimitsBuilder::new()
            .instances(1)
            .memories(1)
            .tables(1)
            .table_elements(10_000)
            .build();
        let mut store = Store::new(engine, limits);
        store.limiter(|limits| limits);
        store.set_fuel(CALL_BUDGET_FUEL).map_err(broken)?;
        let instance = wasmtime::Instance::new(&mut store, module, &[]).map_err(broken)?;
        let memory = instance
            .get_memory(&mut store, "memory")
            .ok_or_else(|| Broken::new("it lost its memory"))?;

        let version = function::<(), u32>(&instance, &mut store, "selur_abi_version")?;
        let version = call(&mut store, &version, ())?;
        if version != ABI_VERSION {
            return Ok(Err(refused(format!(
                "it speaks version {version} of the guest ABI, this host version {ABI_VERSION}"
            ))));
        }
        let mailbox = function::<(), u32>(&instance, &mut store, "selur_mailbox")?;
        let mailbox = call(&mut store, &mailbox, ())?;
        let arena = function::<(), u64>(&instance, &mut store, "selur_arena")?;
        let arena = call(&mut store, &arena, ())?;
        let (arena_start, arena_bytes) = ((arena >> 32) as u32, arena as u32);
        let whole = ArenaRange {
            start: 0,
            end: MEMORY_PAGES * 65_536,
        };
        if !whole.contains(mailbox, MAILBOX_BYTES as u32) {
            return Ok(Err(refused(format!(
                "its mailbox at {mailbox} is not within its memory"
            ))));
        }
        if !whole.contains(arena_start, arena_bytes) {
            return Ok(Err(refused(format!(
                "its arena of {arena_bytes} bytes at {arena_start} is not within its memory"
            ))));
        }
        let arena = ArenaRange {
            start: arena_start,
            end: arena_start + arena_bytes,
        };
        if mailbox < arena.end && arena.start < mailbox + MAILBOX_BYTES as u32 {
            return Ok(Err(refused("its mailbox and its arena overlap".into())));
        }
        Ok(Ok(Instance {
            memory: MemoryPlace::of(&memory, &store),
            mailbox,
            arena,
            ping: function(&instance, &mut store, "selur_ping")?,
            reserve: function(&instance, &mut store, "selur_reserve")?,
            exchange: function(&instance, &mut store, "selur_exchange")?,
            cancel: function(&instance, &mut store, "selur_cancel")?,
            complete: function(&instance, &mut store, "selur_complete")?,
            observe: function(&instance, &mut store, "selur_observe")?,
            poll: function(&instance, &mut store, "selur_poll")?,
            release: function(&instance, &mut store, "selur_release")?,
            digest: function(&instance, &mut store, "selur_digest")?,
            store,
        }))
    }

    /// Where slots lie.
    pub(crate) fn arena(&self) -> ArenaRange {
        self.arena
    }

    /// The linear memory, for as long as the guest is not called.
    pub(crate) fn memory(&self) -> LinearMemory<'_> {
        self.memory.view(&self.store)
    }

    /// Whether a slot holds a ping of so many bytes, header included. It is its own answer then: the payload is the data.
    #[inline]
    pub(crate) fn ping(&mut self, slot: u64, frame_bytes: u32) -> Result<bool, Broken> {
        match call(&mut self.store, &self.ping, (slot, frame_bytes))? {
            0 => Ok(false),
            1 if frame_bytes as usize >= HEADER_BYTES => Ok(true),
            word => Err(no_ping(word, frame_bytes)),
        }
    }

    /// A slot of so many bytes; none if the arena has no room.
    pub(crate) fn reserve(&mut self, bytes: u32) -> Result<Option<u64>, Broken> {
        let handle = call(&mut self.store, &self.reserve, bytes)?;
        Ok(Some(handle).filter(|handle| *handle != 0))
    }

    /// Hands over the frame in a slot. `id` are the bits of a new container's id. The slot stays reserved, unless a
    /// create got a ticket.
    pub(crate) fn exchange(&mut self, slot: u64, frame_bytes: u32, id: u128) -> Result<Submitted, Broken> {
        let arguments = (slot, frame_bytes, (id >> 64) as u64, id as u64);
        let word = call(&mut self.store, &self.exchange, arguments)?;
        unpack(word)
    }

    /// Gives up a ticket.
    pub(crate) fn cancel(&mut self, ticket: u64, cause: u32) -> Result<Result<(), Reason>, Broken> {
        let code = call(&mut self.store, &self.cancel, (ticket, cause))?;
        accepted(code)
    }

    /// Tells what came of an effect.
    pub(crate) fn complete(
        &mut self,
        effect: u64,
        status: Status,
        report: Option<Report>,
    ) -> Result<Result<(), Reason>, Broken> {
        let status = u32::from(status.code());
        let arguments = match report {
            None => (effect, status, 0, 0, 0, 0, 0),
            Some(report) => (
                effect,
                status,
                1,
                u64::from(report.generation) << 32 | u64::from(report.sequence),
                u32::from(report.state.code()),
                u32::from(report.exit_code.is_some()),
                report.exit_code.unwrap_or(0) as u32,
            ),
        };
        let code = call(&mut self.store, &self.complete, arguments)?;
        accepted(code)
    }

    /// Tells what the runtime saw.
    pub(crate) fn observe(&mut self, observation: &Observation<'_>) -> Result<Result<(), Reason>, Broken> {
        let mut bytes = [0; Observation::MAX_BYTES];
        let Some(count) = observation.encode(&mut bytes) else {
            return Ok(Err(Reason::BadName));
        };
        self.memory().write(self.mailbox, &bytes[..count])?;
        let code = call(&mut self.store, &self.observe, count as u32)?;
        accepted(code)
    }

    /// The next outputs, decoded into `outputs`; none is the end.
    pub(crate) fn poll(&mut self, outputs: &mut Vec<Output>) -> Result<(), Broken> {
        outputs.clear();
        let count = call(&mut self.store, &self.poll, ())? as usize;
        if count == 0 {
            return Ok(());
        }
        if count > MAILBOX_BYTES || !count.is_multiple_of(Output::BYTES) {
            let how = format!("its poll gave {count} bytes, which are no whole outputs of its mailbox");
            return Err(Broken(how));
        }
        let mut bytes = [0; MAILBOX_BYTES];
        self.memory().read(self.mailbox, &mut bytes[..count])?;
        for chunk in bytes[..count].chunks_exact(Output::BYTES) {
            let output = chunk.try_into().ok().and_then(Output::decode);
            outputs
                .push(output.ok_or_else(|| {
                    Broken(format!("its poll gave bytes that are no output: {chunk:02x?}"))
                })?);
        }
        Ok(())
    }

    /// Gives a slot back.
    pub(crate) fn release(&mut self, slot: u64) -> Result<Result<(), Reason>, Broken> {
        let code = call(&mut self.store, &self.release, slot)?;
        accepted(code)
    }

    /// The digest of the kernel's state.
    pub(crate) fn digest(&mut self) -> Result<u64, Broken> {
        call(&mut self.store, &self.digest, ())
    }
}

#[cold]
fn no_ping(word: u32, frame_bytes: u32) -> Broken {
    Broken(format!("its ping gave {word} for {frame_bytes} bytes"))
}

/// Bits of a [`Submitted`] that mean something.
fn unpack(word: u64) -> Result<Submitted, Broken> {
    Submitted::unpack(word)
        .ok_or_else(|| Broken(format!("its submit gave {word:#018x}, which means nothing")))
}

/// 0, or the reason with that code.
fn accepted(code: u32) -> Result<Result<(), Reason>, Broken> {
    if code == 0 {
        return Ok(Ok(()));
    }
    match u8::try_from(code).ok().and_then(Reason::from_code) {
        Some(reason) => Ok(Err(reason)),
        None => Err(Broken(format!("it gave {code}, which is no reason's code"))),
    }
}

/// One call under the budget.
#[inline]
fn call<P: WasmParams, R: WasmResults>(
    store: &mut Store<StoreLimits>,
    function: &TypedFunc<P, R>,
    arguments: P,
) -> Result<R, Broken> {
    store.set_fuel(CALL_BUDGET_FUEL).map_err(broken)?;
    function.call(store, arguments).map_err(broken)
}

#[cold]
fn broken(error: wasmtime::Error) -> Broken {
    Broken(match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => {
            format!("it exceeded the budget of {CALL_BUDGET_FUEL} units of fuel for one call")
        }
        Some(Trap::StackOverflow) => {
            format!("it recursed beyond its stack of {GUEST_STACK_BYTES} bytes")
        }
        Some(trap) => format!("it trapped: {trap}"),
        None => format!("{error:#}"),
    })
}

fn shared_engine() -> Result<&'static Engine, Error> {
    static ENGINE: OnceLock<Result<Engine, String>> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| config::engine(None).map_err(|error| format!("{error:#}")));
    engine
        .as_ref()
        .map_err(|how| Error::new(Status::InternalError, format!("wasmtime does not start: {how}")))
}

/// The embedded module, loaded once: it is the same for every bridge of this process.
fn embedded(engine: &Engine) -> Result<&'static (Module, Shape), Error> {
    static MODULE: OnceLock<Result<(Module, Shape), Error>> = OnceLock::new();
    let loaded = MODULE.get_or_init(|| {
        let module = memory::embedded_module(engine).map_err(|error| {
            let message = format!("the embedded guest does not run on this processor: {error:#}");
            Error::new(Status::InternalError, message)
        })?;
        let shape = check(&module)?;
        Ok((module, shape))
    });
    loaded.as_ref().map_err(Error::clone)
}

#[cfg(feature = "compiler")]
fn compile(engine: &Engine, bytes: &[u8]) -> Result<Module, Error> {
    Module::from_binary(engine, bytes)
        .map_err(|error| refused(format!("it is no WebAssembly module that runs here: {error:#}")))
}

#[cfg(not(feature = "compiler"))]
fn compile(_: &Engine, _: &[u8]) -> Result<Module, Error> {
    Err(Error::new(
        Status::Unsupported,
        "this build runs only its embedded guest: build selur-core with the feature `compiler`",
    ))
}

fn refused(how: String) -> Error {
    Error::new(Status::InvalidRequest, format!("the guest is refused: {how}"))
}

/// Compares a module with the guest ABI.
fn check(module: &Module) -> Result<Shape, Error> {
    let imports = module.imports().len();
    if let Some(import) = module.imports().next() {
        let (from, name) = (import.module(), import.name());
        return Err(refused(format!(
            "it imports {from}.{name}, and a guest must import nothing"
        )));
    }
    let memory = match module.get_export("memory") {
        Some(ExternType::Memory(memory)) => memory,
        _ => return Err(refused("it exports no memory called `memory`".into())),
    };
    let pages = u64::from(MEMORY_PAGES);
    if memory.minimum() != pages || memory.maximum() != Some(pages) || memory.is_shared() {
        let maximum = memory
            .maximum()
            .map_or("without end".to_owned(), |most| format!("to {most}"));
        return Err(refused(format!(
            "its memory has {} pages and grows {maximum}: it must have {pages} for good",
            memory.minimum()
        )));
    }
    for (name, parameters, results) in FUNCTIONS {
        match module.get_export(name) {
            Some(ExternType::Func(function)) if has_signature(&function, parameters, results) => {}
            Some(ExternType::Func(function)) => {
                return Err(refused(format!("its {name} has another signature: {function}")));
            }
            Some(_) => return Err(refused(format!("its {name} is no function"))),
            None => return Err(refused(format!("it lacks the export {name}"))),
        }
    }
    let exports = module.exports().map(|export| export.name().to_owned()).collect();
    Ok(Shape { imports, exports })
}

/// Parameters and results by letter: `i` is i32, `I` is i64.
///
/// Source: guest/ABI.md.
const FUNCTIONS: [(&str, &str, &str); 13] = [
    ("selur_abi_version", "", "i"),
    ("selur_mailbox", "", "i"),
    ("selur_arena", "", "I"),
    ("selur_ping", "Ii", "i"),
    ("selur_reserve", "i", "I"),
    ("selur_submit", "IiII", "I"),
    ("selur_exchange", "IiII", "I"),
    ("selur_cancel", "Ii", "i"),
    ("selur_complete", "IiiIiii", "i"),
    ("selur_observe", "i", "i"),
    ("selur_poll", "", "i"),
    ("selur_release", "I", "i"),
    ("selur_digest", "", "I"),
];

fn has_signature(function: &FuncType, parameters: &str, results: &str) -> bool {
    let letters = |types: &mut dyn Iterator<Item = ValType>| -> String {
        types
            .map(|value| match value {
                ValType::I32 => 'i',
                ValType::I64 => 'I',
                _ => '?',
            })
            .collect()
    };
    letters(&mut function.params()) == parameters && letters(&mut function.results()) == results
}

fn function<P: WasmParams, R: WasmResults>(
    instance: &wasmtime::Instance,
    store: &mut Store<StoreLimits>,
    name: &str,
) -> Result<TypedFunc<P, R>, Broken> {
    instance.get_typed_func(store, name).map_err(broken)
}
