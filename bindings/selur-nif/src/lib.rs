//! selur for the BEAM: the native half of the mix project `:selur`.
//!
//! Each function decodes, calls selur-core, encodes. None may hold a scheduler, a normal or a dirty one: what is answered at
//! once is answered at once, all else is answered by a message `{:selur, tag, result}` from a thread of the bridge's own.
//! What may take longer than a scheduler has time for, such as making and closing bridges, is done on threads of this
//! library ([`aside`]); so is everything about a guest that selur did not build ([`live::Live::run`]).
//!
//! Decisions about containers, and words about them, have no place here.

mod answer;
mod aside;
mod bridge;
mod delivery;
mod live;
mod receipt;
mod requests;
mod stream;

/// The names that terms are made of.
mod atoms {
    rustler::atoms! {
        ok, error, selur, pending, item, done, nil, infinity, plain, detailed,
        stdout, stderr, exit, status, message, code,
        version, backend, engine, shared, rootless_ids, guest, sha256, bytes, memory_size,
        open, answered, elsewhere, unheard,
        struct_key = "__struct__",
        exception_key = "__exception__",
        selur_error = "Elixir.Selur.Error",
        selur_stream = "Elixir.Selur.Stream",
        reference = "ref",
    }
}

rustler::init!("Elixir.Selur.Native");
