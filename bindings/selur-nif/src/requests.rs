//! Requests: by their fields or as frames, answered at once or by message.

use crate::answer::{self, Errors, Failure, Reply, Shape, binary, caught, failed, guarded};
use crate::atoms;
use crate::bridge::Held;
use crate::delivery::{Asked, Waiter};
use crate::live::Live;
use rustler::types::LocalPid;
use rustler::{
    Binary, Encoder, Env, Monitor, NifTuple, NifUnitEnum, NifUntaggedEnum, Resource, ResourceArc, Term,
};
use selur_core::{Begun, Bridge, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

/// The longest payload, and the longest frame.
const MAX_PAYLOAD_BYTES: usize = 262_144;
const MAX_FRAME_BYTES: usize = MAX_PAYLOAD_BYTES + 5;

/// A request that is under way, as a term: what an asynchronous call gives, and what watches the caller.
#[derive(Default)]
pub(crate) struct Request {
    live: Weak<Live>,
    number: Arc<AtomicU64>,
    watch: Mutex<Option<Monitor>>,
    /// Who began it, and is told.
    owner: Option<LocalPid>,
    /// Whether the answer was sent; locked while it is, so that whoever has it finds it marked.
    is_answered: Mutex<bool>,
}

#[rustler::resource_impl]
impl Resource for Request {
    const IMPLEMENTS_DOWN: bool = true;

    /// The caller died: nobody wants the answer.
    fn down<'a>(&'a self, _: Env<'a>, _: LocalPid, _: Monitor) {
        drop(caught(|| {
            self.cancel();
            Ok(())
        }));
    }
}

impl Request {
    /// Gives it the number that the bridge knows it by.
    fn begun(&self, number: u64) {
        self.number.store(number, Ordering::Release);
    }

    /// Sends the answer, which must not wait: schedulers ask whether it is answered. Says what `send` says.
    pub(crate) fn answering(&self, send: impl FnOnce() -> bool) -> bool {
        let mut is_answered = self.is_answered.lock().unwrap_or_else(PoisonError::into_inner);
        let is_sent = send();
        *is_answered = true;
        is_sent
    }

    /// Asks for an early end, which is answered as any other. Does nothing once it is answered.
    fn cancel(&self) {
        let Some(live) = self.live.upgrade() else {
            return;
        };
        let number = self.number.clone();
        // After it was begun: what is not prompt is done in its order.
        live.run(move |live| match number.load(Ordering::Acquire) {
            0 => {}
            number => live.bridge.cancel(number),
        });
    }
}

impl Asked {
    fn new<'a>(
        env: Env<'a>,
        live: &Arc<Live>,
        bridge: &ResourceArc<Held>,
        wanted: Wanted<'a>,
        errors: Errors,
    ) -> Asked {
        let request = ResourceArc::new(Request {
            live: Arc::downgrade(live),
            owner: Some(env.pid()),
            ..Request::default()
        });
        let watch = env.monitor(&request, &env.pid());
        *request.watch.lock().unwrap_or_else(PoisonError::into_inner) = watch;
        let reply = match wanted.tag {
            Some(tag) => Reply::to_caller(env, tag),
            None => Reply::to_caller(env, &request),
        };
        Asked {
            reply,
            shape: wanted.shape,
            errors,
            request,
            bridge: bridge.clone(),
            code: wanted.code,
            is_awaited: wanted.tag.is_some(),
        }
    }

    /// Watches the caller no more.
    pub(crate) fn unwatch(&self) {
        let watch = self
            .request
            .watch
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(watch) = watch {
            self.request.demonitor(None, &watch);
        }
    }

    /// What a caller is given meanwhile: what it can cancel, unless it waits.
    fn handed<'a>(&self, env: Env<'a>, wanted: Wanted<'a>) -> Term<'a> {
        match wanted.tag {
            Some(_) => atoms::pending().encode(env),
            None => self.request.encode(env),
        }
    }
}

/// How a caller wants its answer.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// What it waits for; without one it is given a request, and told by message in any case.
    pub(crate) tag: Option<Term<'a>>,
    pub(crate) shape: Shape,
    /// As the bridge says unless given.
    pub(crate) errors: Option<Errors>,
    /// The code of a request's command.
    pub(crate) code: Option<u8>,
}

/// Begins something, and gives what the NIF returns: the result if it is there and the caller waits, else `:pending` or
/// the request, and the result comes by message.
pub(crate) fn ask<'a>(
    env: Env<'a>,
    bridge: &ResourceArc<Held>,
    wanted: Wanted<'a>,
    begin: impl FnOnce(&Live) -> Result<Begun, Failure> + Send + 'static,
) -> Term<'a> {
    let errors = wanted.errors.unwrap_or(bridge.errors);
    let begun = caught(|| {
        bridge.with(|live| {
            live.deliver()?;
            if !live.is_prompt() {
                let asked = Asked::new(env, live, bridge, wanted, errors);
                let handed = asked.handed(env, wanted);
                live.run(move |live| carry(live, asked, begin));
                return Ok(Ok(handed));
            }
            let mut waiters = live.waiters();
            Ok(match begin(live)? {
                Begun::Answered(response) => Err(response),
                Begun::Pending(number) => {
                    let asked = Asked::new(env, live, bridge, wanted, errors);
                    asked.request.begun(number);
                    let handed = asked.handed(env, wanted);
                    waiters.insert(number, Waiter::Request(asked));
                    Ok(handed)
                }
            })
        })
    });
    let result = match begun {
        Ok(Ok(handed)) => return handed,
        Ok(Err(response)) => answer::encode(env, &response, wanted.shape, errors),
        Err(failure) => failed(env, &failure, errors),
    };
    match wanted.tag {
        Some(_) => result,
        None => {
            let request = ResourceArc::new(Request {
                owner: Some(env.pid()),
                is_answered: Mutex::new(true),
                ..Request::default()
            });
            let request = request.encode(env);
            // The caller is alive: it is calling.
            let _ = env.send(&env.pid(), (atoms::selur(), request, result));
            request
        }
    }
}

/// Begins something on the bridge's own thread.
fn carry(live: &Arc<Live>, asked: Asked, begin: impl FnOnce(&Live) -> Result<Begun, Failure>) {
    let mut waiters = live.waiters();
    match caught(|| begin(live)) {
        Ok(Begun::Pending(number)) => {
            asked.request.begun(number);
            waiters.insert(number, Waiter::Request(asked));
        }
        Ok(Begun::Answered(response)) => {
            drop(waiters);
            asked.answer(live, response);
        }
        Err(failure) => {
            drop(waiters);
            asked.fail(&failure);
        }
    }
}

/// How a request is made, as a tuple from `Selur.Bridge`.
#[derive(NifTuple)]
struct Settings {
    shape: Shape,
    deadline: Deadline,
    errors: Option<Errors>,
}

impl Settings {
    /// With the tag that the caller waits for, or nil.
    fn wanted<'a>(&self, tag: Term<'a>, code: Option<u8>) -> Wanted<'a> {
        Wanted {
            tag: (!tag.is_atom()).then_some(tag),
            shape: self.shape,
            errors: self.errors,
            code,
        }
    }
}

#[derive(NifUntaggedEnum)]
enum Deadline {
    Named(NamedDeadline),
    Milliseconds(u64),
}

#[derive(NifUnitEnum)]
enum NamedDeadline {
    Default,
    Infinity,
}

impl Deadline {
    fn apply(&self, bridge: &Bridge) -> Bridge {
        match self {
            Deadline::Named(NamedDeadline::Default) => bridge.clone(),
            Deadline::Named(NamedDeadline::Infinity) => bridge.with_deadline(None),
            Deadline::Milliseconds(most) => bridge.with_deadline(Some(Duration::from_millis(*most))),
        }
    }
}

/// A request by its command and its fields.
#[rustler::nif]
fn submit<'a>(
    env: Env<'a>,
    bridge: ResourceArc<Held>,
    tag: Term<'a>,
    command: u8,
    fields: Vec<Binary<'a>>,
    settings: Settings,
) -> Term<'a> {
    let wanted = settings.wanted(tag, Some(command));
    let frame = frame(command, &fields);
    ask(env, &bridge, wanted, move |live| {
        settings.deadline.apply(&live.bridge).begin(&frame?)
    })
}

fn frame(command: u8, fields: &[Binary<'_>]) -> Result<Vec<u8>, Failure> {
    let command = Command::from_code(command)
        .ok_or_else(|| Failure::invalid("no command has this code: see the table in docs/API.md"))?;
    // Before they are looked at: that takes time which a scheduler does not have.
    if fields.iter().map(|field| field.len()).sum::<usize>() > MAX_PAYLOAD_BYTES {
        return Err(Failure::invalid(
            "the payload is longer than 262,144 bytes: send less",
        ));
    }
    let texts: Result<Vec<&str>, _> = fields.iter().map(|field| std::str::from_utf8(field)).collect();
    let texts = texts.map_err(|_| Failure::invalid("an argument is not valid UTF-8: encode it as UTF-8"))?;
    Bridge::frame(command, &texts)
}

/// A request as a frame; the answer is the response frame.
#[rustler::nif]
fn call<'a>(
    env: Env<'a>,
    bridge: ResourceArc<Held>,
    tag: Term<'a>,
    frame: Binary<'a>,
    settings: Settings,
) -> Term<'a> {
    // What is longer than any frame is refused as what is a byte longer.
    let bytes = frame.as_slice();
    let wanted = settings.wanted(tag, bytes.first().copied());
    let frame = bytes.get(..=MAX_FRAME_BYTES).unwrap_or(bytes).to_vec();
    ask(env, &bridge, wanted, move |live| {
        settings.deadline.apply(&live.bridge).begin(&frame)
    })
}

/// A ping that is answered at once; `:pending` where the guest is one that selur did not build.
#[rustler::nif]
fn ping<'a>(env: Env<'a>, bridge: &'a Held, text: Binary<'a>) -> Term<'a> {
    guarded(env, bridge.errors, || {
        bridge.with(|live| {
            if !live.is_prompt() {
                return Ok(atoms::pending().encode(env));
            }
            let shown = live.bridge.ping_with(text.as_slice(), |data| binary(env, data))?;
            Ok((atoms::ok(), shown).encode(env))
        })
    })
}

/// What the caller can expect of a request: nothing if another process began it, else its answer, or that it was sent.
#[rustler::nif]
fn request_state<'a>(env: Env<'a>, request: ResourceArc<Request>) -> Term<'a> {
    let is_answered = *request.is_answered.lock().unwrap_or_else(PoisonError::into_inner);
    let state = match is_answered {
        _ if request.owner != Some(env.pid()) => atoms::elsewhere(),
        true => atoms::answered(),
        false => atoms::open(),
    };
    state.encode(env)
}

/// Asks for an early end of what an asynchronous call began; the bridge is looked at by its kind alone.
#[rustler::nif]
fn cancel<'a>(env: Env<'a>, _bridge: Option<ResourceArc<Held>>, request: ResourceArc<Request>) -> Term<'a> {
    guarded(env, Errors::Plain, || {
        request.cancel();
        Ok(atoms::ok().encode(env))
    })
}

/// Panics where requests are begun, for the test of what becomes of it: in builds for tests alone.
#[cfg(debug_assertions)]
#[rustler::nif]
fn panic<'a>(env: Env<'a>, bridge: ResourceArc<Held>, tag: Term<'a>) -> Term<'a> {
    let wanted = Wanted {
        tag: Some(tag),
        shape: Shape::Nothing,
        errors: Some(Errors::Detailed),
        code: None,
    };
    ask(env, &bridge, wanted, |_| panic!("the wheel broke"))
}
