//! Streams as terms: each item is a message, and comes only when it was asked for.
//!
//! Locks are taken in one order: a stream's state, then the bridge's waiters. Schedulers lock a stream's state: it is not
//! held over a call of a guest that is not prompt, nor while the lock is waited for that such a call is made under.

use crate::answer::{Errors, Failure, Reply, Shape, binary, caught, failed, guarded, map};
use crate::aside::ENDING;
use crate::atoms;
use crate::bridge::Held;
use crate::delivery::Waiter;
use crate::live::Live;
use crate::requests::{Wanted, ask};
use rustler::types::LocalPid;
use rustler::{Atom, Binary, Encoder, Env, Monitor, OwnedEnv, Resource, ResourceArc, Term};
use selur_core::{Begun, Completion, Item, ItemKind, Reader, Status, TerminalSize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The longest piece of input that is taken at once.
const MAX_INPUT_BYTES: usize = 262_144;

/// A stream.
pub(crate) struct Flow {
    state: Mutex<State>,
    errors: Errors,
    /// Keeps the bridge open.
    bridge: ResourceArc<Held>,
}

struct State {
    /// None once the stream is closed or has ended: nothing is sent any more.
    reader: Option<Arc<Reader>>,
    /// How many items were asked for and have not come.
    demand: u64,
    /// Whether one is being read.
    is_reading: bool,
    /// Who gets them; its death closes the stream.
    owner: LocalPid,
    watch: Option<Monitor>,
    /// An item whose asker was replaced before it came: the next one that is asked for.
    kept: Option<Item>,
    /// How its failure is told.
    errors: Errors,
}

#[rustler::resource_impl]
impl Resource for Flow {
    const IMPLEMENTS_DOWN: bool = true;

    /// Its reader died. One that was replaced meanwhile is another's business.
    fn down<'a>(&'a self, _: Env<'a>, _: LocalPid, watch: Monitor) {
        let mut state = self.lock();
        if state.watch == Some(watch) {
            state.end();
        }
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.lock().end();
    }
}

impl State {
    /// Lets go of the reader, which ends what it shows; aside, for nobody knows what that takes.
    fn end(&mut self) {
        if let Some(reader) = self.reader.take() {
            // Never refused: a thread for it was there before the bridge was.
            let _ = ENDING.run(move || {
                reader.close();
                drop(reader);
            });
        }
    }

    /// Who is to be told that somebody else ended or took the stream: its owner, if it waits for items.
    fn bereft(&self, by: &LocalPid) -> Option<LocalPid> {
        (self.reader.is_some() && self.demand > 0 && self.owner != *by).then_some(self.owner)
    }
}

impl Flow {
    /// A stream that a process opened. `env` is that of the caller; none on a thread that is no scheduler.
    pub(crate) fn open(
        env: Option<Env<'_>>,
        reader: Reader,
        bridge: ResourceArc<Held>,
        errors: Errors,
        owner: &LocalPid,
    ) -> ResourceArc<Flow> {
        let flow = ResourceArc::new(Flow {
            state: Mutex::new(State {
                reader: Some(Arc::new(reader)),
                demand: 0,
                is_reading: false,
                owner: *owner,
                watch: None,
                kept: None,
                errors,
            }),
            errors,
            bridge,
        });
        let watch = flow.monitor(env, owner);
        let mut state = flow.lock();
        match watch {
            Some(_) => state.watch = watch,
            // It is dead already.
            None => state.end(),
        }
        drop(state);
        flow
    }

    /// The struct that callers get.
    pub(crate) fn describe<'a>(flow: &ResourceArc<Flow>, env: Env<'a>) -> Term<'a> {
        let fields = [
            (atoms::struct_key(), atoms::selur_stream().encode(env)),
            (atoms::reference(), flow.encode(env)),
        ];
        map(env, &fields)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reader, for what writes.
    fn reader(&self) -> Result<Arc<Reader>, Failure> {
        self.lock().reader.clone().ok_or_else(closed)
    }

    /// Begins to read the next item, of a guest that is prompt. It must be wanted, and none be on its way. The stream has
    /// ended where that fails.
    fn read(flow: &ResourceArc<Flow>, live: &Arc<Live>, state: &mut State) -> Result<(), Failure> {
        let Some(reader) = &state.reader else {
            return Ok(());
        };
        let mut waiters = live.waiters();
        match reader.next_to_queue() {
            Ok(number) => {
                state.is_reading = true;
                waiters.insert(number, Waiter::Stream(flow.clone()));
                Ok(())
            }
            Err(error) => {
                drop(waiters);
                state.is_reading = false;
                state.end();
                Err(error)
            }
        }
    }

    /// As [`Flow::read`] for any guest, of a stream whose state says that it is being read. On a thread that is no
    /// scheduler: its owner is told what goes wrong.
    fn read_aside(flow: ResourceArc<Flow>, live: &Arc<Live>) {
        let Ok(reader) = flow.reader() else {
            return;
        };
        let mut waiters = live.waiters();
        let error = match reader.next_to_queue() {
            Ok(number) => {
                waiters.insert(number, Waiter::Stream(flow));
                return;
            }
            Err(error) => error,
        };
        drop(waiters);
        let mut state = flow.lock();
        state.is_reading = false;
        if state.reader.is_some() {
            state.end();
            let errors = state.errors;
            send(&flow, &state.owner, |env| failed(env, &error, errors));
        }
    }

    /// Takes what was read, on the thread that delivers.
    pub(crate) fn take(flow: ResourceArc<Flow>, live: &Arc<Live>, completion: Completion) {
        let mut state = flow.lock();
        state.is_reading = false;
        if state.reader.is_none() {
            return;
        }
        let owner = state.owner;
        let item = completion
            .response
            .into_result()
            .map(|data| completion.item.map(|head| Item { head, data }));
        match item {
            Ok(Some(item)) if item.head.kind != ItemKind::End => {
                if state.demand == 0 {
                    // Who asked for it was replaced by one that asked for nothing: it is kept.
                    state.kept = Some(item);
                    return;
                }
                state.demand -= 1;
                send(&flow, &owner, |env| {
                    (atoms::item(), item_term(env, &item)).encode(env)
                });
                if state.demand > 0 {
                    state.is_reading = true;
                    drop(state);
                    live.run(move |live| Flow::read_aside(flow, live));
                }
            }
            Ok(_) => {
                state.end();
                send(&flow, &owner, |env| atoms::done().encode(env));
            }
            Err(error) => {
                state.end();
                let errors = state.errors;
                send(&flow, &owner, |env| failed(env, &error, errors));
            }
        }
    }
}

fn send(flow: &ResourceArc<Flow>, to: &LocalPid, what: impl for<'a> FnOnce(Env<'a>) -> Term<'a>) {
    let _ = OwnedEnv::new().send_and_clear(to, |env| (atoms::selur(), flow.encode(env), what(env)));
}

/// An item as a term: `{:stdout, bytes}`, of a log `{:stdout, bytes, time_ns}`; `{:exit, code}`; JSON as a binary.
fn item_term<'a>(env: Env<'a>, item: &Item) -> Term<'a> {
    let data = binary(env, &item.data);
    let written = |stream: Atom| match item.head.value {
        None => (stream, data).encode(env),
        Some(time_ns) => (stream, data, time_ns).encode(env),
    };
    match item.head.kind {
        ItemKind::Stdout => written(atoms::stdout()),
        ItemKind::Stderr => written(atoms::stderr()),
        ItemKind::Ended => (atoms::exit(), item.head.value).encode(env),
        _ => data,
    }
}

fn closed() -> Failure {
    Failure::invalid("the stream is closed, or has ended")
}

/// Takes the stream that a request was answered with, by its id. It is the caller's.
#[rustler::nif]
fn stream_take<'a>(
    env: Env<'a>,
    bridge: ResourceArc<Held>,
    tag: Term<'a>,
    id: u64,
    errors: Option<Errors>,
) -> Term<'a> {
    let errors = errors.unwrap_or(bridge.errors);
    guarded(env, errors, || {
        bridge.with(|live| {
            if live.is_prompt() {
                let reader = live.bridge.take_reader(id)?;
                let flow = Flow::open(Some(env), reader, bridge.clone(), errors, &env.pid());
                return Ok((atoms::ok(), Flow::describe(&flow, env)).encode(env));
            }
            let (reply, bridge) = (Reply::to_caller(env, tag), bridge.clone());
            live.run(move |live| {
                let taken = caught(|| live.bridge.take_reader(id));
                let flow = taken.map(|reader| Flow::open(None, reader, bridge, errors, reply.pid()));
                reply.send(|env| match &flow {
                    Ok(flow) => (atoms::ok(), Flow::describe(flow, env)).encode(env),
                    Err(failure) => failed(env, failure, errors),
                });
            });
            Ok(atoms::pending().encode(env))
        })
    })
}

/// Asks for so many more items, which come to the caller from now on.
#[rustler::nif]
fn stream_demand<'a>(env: Env<'a>, flow: ResourceArc<Flow>, count: u32, errors: Option<Errors>) -> Term<'a> {
    let errors = errors.unwrap_or(flow.errors);
    guarded(env, errors, || {
        flow.bridge.with(|live| {
            live.deliver()?;
            let mut state = flow.lock();
            if state.reader.is_none() {
                return Err(closed());
            }
            let caller = env.pid();
            if state.owner != caller {
                bereave(env, &flow, &state, &caller);
                // What the one before asked for is none of this one's business.
                state.demand = 0;
                if let Some(watch) = state.watch.take() {
                    env.demonitor(&flow, &watch);
                }
                state.owner = caller;
                state.watch = env.monitor(&flow, &caller);
            }
            state.errors = errors;
            state.demand = state.demand.saturating_add(count.into());
            if state.demand > 0
                && let Some(item) = state.kept.take()
            {
                state.demand -= 1;
                let term = (atoms::item(), item_term(env, &item));
                // The caller is alive: it is calling.
                let _ = env.send(&caller, (atoms::selur(), flow.encode(env), term));
            }
            if state.demand == 0 || state.is_reading {
                return Ok(());
            }
            if live.is_prompt() {
                return Flow::read(&flow, live, &mut state);
            }
            state.is_reading = true;
            drop(state);
            let flow = flow.clone();
            live.run(move |live| Flow::read_aside(flow, live));
            Ok(())
        })?;
        Ok(atoms::ok().encode(env))
    })
}

/// Tells the owner of a stream, if it waits for items, that none come because of what another process does.
fn bereave(env: Env<'_>, flow: &ResourceArc<Flow>, state: &State, by: &LocalPid) {
    if let Some(owner) = state.bereft(by) {
        let failure = Failure::new(
            Status::Cancelled,
            "another process closed the stream, or reads it",
        );
        let ended = failed(env, &failure, state.errors);
        // Who is gone misses nothing.
        let _ = env.send(&owner, (atoms::selur(), flow.encode(env), ended));
    }
}

/// Ends a stream. Nothing comes of it any more once this has returned.
#[rustler::nif]
fn stream_close<'a>(env: Env<'a>, flow: ResourceArc<Flow>) -> Term<'a> {
    guarded(env, Errors::Plain, || {
        let mut state = flow.lock();
        bereave(env, &flow, &state, &env.pid());
        state.end();
        Ok(atoms::ok().encode(env))
    })
}

/// Sends a piece of input to the process of a session.
#[rustler::nif]
fn stream_write<'a>(env: Env<'a>, flow: ResourceArc<Flow>, tag: Term<'a>, bytes: Binary<'a>) -> Term<'a> {
    let piece = match bytes.len() {
        0..=MAX_INPUT_BYTES => Ok(bytes.as_slice().to_vec()),
        _ => Err(Failure::invalid(
            "this is too much input at once: send it in pieces",
        )),
    };
    put(env, &flow, tag, move |reader| reader.write_to_queue(&piece?))
}

/// Ends the input of a session's process.
#[rustler::nif]
fn stream_end_input<'a>(env: Env<'a>, flow: ResourceArc<Flow>, tag: Term<'a>) -> Term<'a> {
    put(env, &flow, tag, |reader| reader.end_input_to_queue())
}

/// Tells the terminal of a session's process its size.
#[rustler::nif]
fn stream_resize<'a>(
    env: Env<'a>,
    flow: ResourceArc<Flow>,
    tag: Term<'a>,
    columns: u16,
    rows: u16,
) -> Term<'a> {
    put(env, &flow, tag, move |reader| {
        reader.resize_to_queue(TerminalSize { columns, rows })
    })
}

/// Begins something about a session's input.
fn put<'a>(
    env: Env<'a>,
    flow: &ResourceArc<Flow>,
    tag: Term<'a>,
    begin: impl FnOnce(&Reader) -> Result<u64, Failure> + Send + 'static,
) -> Term<'a> {
    let wanted = Wanted {
        tag: Some(tag),
        shape: Shape::Nothing,
        errors: Some(flow.errors),
        code: None,
    };
    match caught(|| flow.reader()) {
        Ok(reader) => ask(env, &flow.bridge, wanted, move |_| {
            begin(&reader).map(Begun::Pending)
        }),
        Err(failure) => failed(env, &failure, flow.errors),
    }
}
