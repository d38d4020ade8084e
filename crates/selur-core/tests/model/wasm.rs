//! The shipped guest, called as guest/ABI.md says, without anything of selur-core between.

use crate::machine::Machine;
use selur_protocol::abi::{Action, CancelCause, Observation, Outcome, Output, Report, Submitted};
use selur_protocol::{ContainerId, Reason, Status};
use std::collections::VecDeque;
use wasmtime::{Config, Engine, Instance, Memory, Module, Store, TypedFunc, WasmParams, WasmResults};

/// The compiled module.
pub(crate) struct Guests {
    engine: Engine,
    module: Module,
}

/// One instance.
pub(crate) struct Guest {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
    arena: usize,
    mailbox: usize,
    submit: TypedFunc<(u64, u32, u64, u64), u64>,
    exchange: TypedFunc<(u64, u32, u64, u64), u64>,
    poll: TypedFunc<(), u32>,
    /// A poll gives all outputs at once; the model's gives one.
    polled: VecDeque<Output>,
}

impl Guests {
    pub(crate) fn load() -> Guests {
        let mut config = Config::new();
        config.memory_reservation(1 << 20);
        config.memory_guard_size(0);
        let engine = Engine::new(&config).expect("an engine");
        let bytes = include_bytes!("../../../../guest/selur.wasm");
        let module = Module::from_binary(&engine, bytes).expect("the shipped guest");
        Guests { engine, module }
    }

    pub(crate) fn start(&mut self) -> Guest {
        let mut store = Store::new(&self.engine, ());
        let instance = Instance::new(&mut store, &self.module, &[]).expect("an instance");
        let memory = instance.get_memory(&mut store, "memory").expect("its memory");
        let mut guest = Guest {
            submit: function(&mut store, &instance, "selur_submit"),
            exchange: function(&mut store, &instance, "selur_exchange"),
            poll: function(&mut store, &instance, "selur_poll"),
            store,
            instance,
            memory,
            arena: 0,
            mailbox: 0,
            polled: VecDeque::new(),
        };
        let arena: u64 = guest.call("selur_arena", ());
        guest.arena = (arena >> 32) as usize;
        let mailbox: u32 = guest.call("selur_mailbox", ());
        guest.mailbox = mailbox as usize;
        guest
    }
}

fn function<P: WasmParams, R: WasmResults>(
    store: &mut Store<()>,
    instance: &Instance,
    name: &str,
) -> TypedFunc<P, R> {
    instance.get_typed_func(store, name).expect(name)
}

fn accepted(code: u32) -> Result<(), Reason> {
    match code {
        0 => Ok(()),
        code => Err(Reason::from_code(code as u8).expect("a reason")),
    }
}

impl Guest {
    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, parameters: P) -> R {
        let function = function(&mut self.store, &self.instance, name);
        function.call(&mut self.store, parameters).expect(name)
    }
}

impl Machine for Guest {
    fn reserve(&mut self, bytes: u32) -> Result<u64, Option<Reason>> {
        let handle: u64 = self.call("selur_reserve", bytes);
        Some(handle).filter(|handle| *handle != 0).ok_or(None)
    }

    fn write(&mut self, _: u64, offset: usize, frame: &[u8]) {
        self.memory
            .write(&mut self.store, self.arena + offset, frame)
            .expect("within the memory");
    }

    fn room(&mut self, _: u64) -> Option<Result<usize, Reason>> {
        None
    }

    fn submit(&mut self, slot: u64, frame_bytes: u32, keep: bool, id: ContainerId) -> Submitted {
        let id = u128::from_be_bytes(*id.as_bytes());
        let is_ping: u32 = self.call("selur_ping", (slot, frame_bytes));
        let function = if keep { &self.exchange } else { &self.submit };
        let word = function
            .call(&mut self.store, (slot, frame_bytes, (id >> 64) as u64, id as u64))
            .expect("submit");
        let mut submitted = Submitted::unpack(word).expect("a meaning");
        let success = matches!(submitted.outcome, Outcome::Ready { status, .. } if status == Status::Success);
        let command = self.bytes((slot & 0xfff) as usize * 256, 1);
        assert_eq!(
            is_ping == 1,
            success && command == [0],
            "what selur_ping said of the frame"
        );
        if let Outcome::Ready {
            offset, bytes: 1.., ..
        } = &mut submitted.outcome
        {
            *offset -= self.arena as u32;
        }
        submitted
    }

    fn release(&mut self, slot: u64) -> Result<(), Reason> {
        accepted(self.call("selur_release", slot))
    }

    fn cancel(&mut self, ticket: u64, cause: CancelCause) -> Result<(), Reason> {
        accepted(self.call("selur_cancel", (ticket, cause as u32)))
    }

    fn complete(&mut self, effect: u64, status: Status, report: Option<Report>) -> Result<(), Reason> {
        let told = report.map_or((0, 0, 0, 0, 0), |report| {
            let moment = u64::from(report.generation) << 32 | u64::from(report.sequence);
            let exit = report.exit_code;
            let state = u32::from(report.state.code());
            (1, moment, state, exit.is_some() as u32, exit.unwrap_or(0) as u32)
        });
        let status = u32::from(status.code());
        let parameters = (effect, status, told.0, told.1, told.2, told.3, told.4);
        accepted(self.call::<(u64, u32, u32, u64, u32, u32, u32), u32>("selur_complete", parameters))
    }

    fn observe(&mut self, observation: &Observation<'_>) {
        let mut bytes = [0; Observation::MAX_BYTES];
        let count = observation.encode(&mut bytes).expect("room");
        self.memory
            .write(&mut self.store, self.mailbox, &bytes[..count])
            .expect("within the memory");
        accepted(self.call("selur_observe", count as u32)).expect("taken");
    }

    fn poll(&mut self) -> Option<Output> {
        if self.polled.is_empty() {
            let count = self.poll.call(&mut self.store, ()).expect("poll") as usize;
            let mut bytes = vec![0; count];
            self.memory
                .read(&self.store, self.mailbox, &mut bytes)
                .expect("within the memory");
            for chunk in bytes.chunks_exact(Output::BYTES) {
                let chunk = chunk.try_into().expect("its length");
                let mut output = Output::decode(chunk).expect("an output");
                if let Output::Effect {
                    action: Action::Create { offset, .. },
                    ..
                } = &mut output
                {
                    *offset -= self.arena as u32;
                }
                self.polled.push_back(output);
            }
        }
        self.polled.pop_front()
    }

    fn bytes(&mut self, offset: usize, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.memory
            .read(&self.store, self.arena + offset, &mut bytes)
            .expect("within the memory");
        bytes
    }

    fn digest(&mut self) -> u64 {
        self.call("selur_digest", ())
    }
}
