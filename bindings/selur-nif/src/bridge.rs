//! A bridge as a term: made and closed aside, let go by the garbage collector as by `free`.

use crate::answer::{Errors, Failure, Reply, binary, caught, failed, guarded, map};
use crate::live::{Live, no_thread};
use crate::{aside, atoms};
use rustler::{Binary, Encoder, Env, NifMap, NifUnitEnum, Resource, ResourceArc, Term};
use selur_core::{Backend, Bridge, BridgeBuilder, Guest, Status};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// What the BEAM holds of a bridge.
pub(crate) struct Held {
    live: RwLock<Option<Arc<Live>>>,
    /// How failures are told unless a request says otherwise.
    pub(crate) errors: Errors,
}

#[rustler::resource_impl]
impl Resource for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(live) = self.take() {
            live.close(|| {});
        }
    }
}

impl Held {
    fn take(&self) -> Option<Arc<Live>> {
        self.live.write().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Uses the bridge.
    ///
    /// # Errors
    /// `invalid_request`: it was freed.
    pub(crate) fn with<R>(&self, step: impl FnOnce(&Arc<Live>) -> Result<R, Failure>) -> Result<R, Failure> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        step(live.as_ref().ok_or_else(freed)?)
    }
}

/// What a bridge that was freed says.
#[cold]
fn freed() -> Failure {
    Failure::invalid("the bridge was freed: make another one for further requests")
}

/// What a bridge is made of: a map from `Selur.Bridge`.
#[derive(NifMap)]
struct Options<'a> {
    guest: Option<(GuestFrom, Binary<'a>)>,
    runtime: Backends,
    state_root: Option<Binary<'a>>,
    shim: Option<Binary<'a>>,
    socket: Option<Binary<'a>>,
    deadline: Option<u64>,
    errors: Errors,
}

#[derive(NifUnitEnum)]
enum GuestFrom {
    Path,
    Bytes,
}

#[derive(NifUnitEnum)]
enum Backends {
    Auto,
    Simulated,
    Oci,
    Docker,
}

fn path(bytes: &Binary<'_>) -> PathBuf {
    OsStr::from_bytes(bytes.as_slice()).into()
}

impl Options<'_> {
    fn builder(&self) -> BridgeBuilder {
        let mut builder = Bridge::builder()
            .backend(match self.runtime {
                Backends::Auto => Backend::Auto,
                Backends::Simulated => Backend::Simulated,
                Backends::Oci => Backend::Oci,
                Backends::Docker => Backend::Docker,
            })
            .default_deadline(self.deadline.map(Duration::from_millis));
        builder = match &self.guest {
            None => builder,
            Some((GuestFrom::Path, place)) => builder.guest(Guest::Path(path(place))),
            Some((GuestFrom::Bytes, bytes)) => builder.guest(Guest::Bytes(bytes.as_slice().to_vec())),
        };
        if let Some(folder) = &self.state_root {
            builder = builder.state_root(path(folder));
        }
        if let Some(program) = &self.shim {
            builder = builder.shim(path(program));
        }
        match &self.socket {
            None => builder,
            Some(socket) => builder.socket(path(socket)),
        }
    }
}

/// Makes a bridge; the answer comes by message, a failure with its words.
#[rustler::nif]
fn bridge_new<'a>(env: Env<'a>, tag: Term<'a>, options: Options<'a>) -> Term<'a> {
    let errors = options.errors;
    guarded(env, Errors::Detailed, || {
        let builder = options.builder();
        let has_guest = options.guest.is_some();
        let reply = Reply::to_caller(env, tag);
        let open = move || {
            let made = caught(|| {
                let bridge = builder.build().map_err(|failure| {
                    // What Elixir was promised for a guest that does not load, whatever is wrong with it.
                    match (has_guest, failure.status()) {
                        (true, Status::InvalidRequest) => {
                            Failure::new(Status::InternalError, failure.message())
                        }
                        _ => failure,
                    }
                })?;
                Ok(ResourceArc::new(Held {
                    live: RwLock::new(Some(Live::new(bridge)?)),
                    errors,
                }))
            });
            reply.send(|env| match made {
                Ok(held) => (atoms::ok(), held).encode(env),
                Err(failure) => failed(env, &failure, Errors::Detailed),
            });
        };
        aside::prepare()
            .and_then(|()| aside::OPENING.run(open))
            .map_err(no_thread)?;
        Ok(atoms::pending().encode(env))
    })
}

/// Closes a bridge. `:ok` comes by message once it is closed, at once if it was freed before.
#[rustler::nif]
fn bridge_free<'a>(env: Env<'a>, bridge: ResourceArc<Held>, tag: Term<'a>) -> Term<'a> {
    guarded(env, Errors::Plain, || {
        let Some(live) = bridge.take() else {
            return Ok(atoms::ok().encode(env));
        };
        let reply = Reply::to_caller(env, tag);
        live.close(move || {
            reply.send(|env| atoms::ok().encode(env));
        });
        Ok(atoms::pending().encode(env))
    })
}

/// What a bridge is made of, as a map.
#[rustler::nif]
fn bridge_info<'a>(env: Env<'a>, bridge: ResourceArc<Held>, errors: Option<Errors>) -> Term<'a> {
    guarded(env, errors.unwrap_or(bridge.errors), || {
        let info = bridge.with(|live| Ok(live.bridge.info()))?;
        let guest = [
            (atoms::sha256(), binary(env, info.guest.sha256.as_bytes())),
            (atoms::bytes(), info.guest.bytes.encode(env)),
        ];
        let engine = info.engine.as_ref().map(|engine| binary(env, engine.as_bytes()));
        let fields = [
            (atoms::version(), binary(env, info.version.as_bytes())),
            (atoms::backend(), binary(env, info.backend.as_bytes())),
            (atoms::engine(), engine.encode(env)),
            (atoms::shared(), info.is_shared.encode(env)),
            (atoms::rootless_ids(), info.rootless_ids.encode(env)),
            (atoms::guest(), map(env, &guest)),
            (
                atoms::memory_size(),
                (info.guest.memory_pages * 65_536).encode(env),
            ),
        ];
        Ok((atoms::ok(), map(env, &fields)).encode(env))
    })
}
