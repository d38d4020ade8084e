//! The bridge between a program and its containers: a sealed WebAssembly guest decides, a runtime acts, and this crate
//! carries between the two.
//!
//! ```
//! use selur_core::{Backend, Bridge, CreateOptions, Deletion};
//!
//! let bridge = Bridge::builder().backend(Backend::Simulated).build()?;
//! bridge.create_container(CreateOptions::new("nginx").name("web"))?;
//! bridge.start_container("web")?;
//! println!("{}", bridge.inspect_json("web")?);
//! bridge.stop_container("web", None)?;
//! bridge.delete_container("web", Deletion::Plain)?;
//! # Ok::<(), selur_core::Error>(())
//! ```
//!
//! There are three ways in: typed methods that block ([`Bridge::create_container`] …), tickets that are awaited, polled
//! or cancelled ([`Bridge::submit`], [`Bridge::submit_to_queue`]), and frames, by copy ([`Bridge::call`]) or written in
//! place ([`Bridge::reserve`]).
//!
//! This crate decides nothing about a container's life, which is the guest's business, and trusts nothing that the guest
//! says. It must never hold its lock over an effect, and must never know of a binding.

mod abandon;
mod arena;
mod bridge;
mod deadline;
mod driver;
mod effect;
mod error;
mod guest;
mod hosted;
mod images;
mod message;
mod opened;
mod options;
mod progress;
mod queue;
mod reader;
mod refresh;
mod response;
mod shared;
mod shown;
mod slot;
mod slots;
mod state;
mod stream;
mod streams;
mod threads;
mod ticket;
mod waiting;

pub use arena::Arena;
pub use bridge::{Begun, Bridge, Info};
pub use error::Error;
pub use guest::{COPY_PIECE_BYTES, Guest, GuestFacts, guest_sha256};
pub use options::{Backend, BridgeBuilder, CreateOptions, Deletion};
pub use progress::TransferItem;
pub use queue::{Completion, CompletionQueue};
pub use reader::{Item, ItemHead, ItemKind, Reader};
pub use response::Response;
pub use slot::{Exchanged, Slot, SlotResponse, Submission};
pub use stream::{Blocking, Session, SessionWriter, Stream};
pub use streams::TakenStream;
pub use ticket::Ticket;

pub use selur_protocol::{Command, ContainerId, Frame, Signal, Status};
pub use selur_runtime::doctor;
pub use selur_runtime::{
    AttachOptions, Capabilities, ContainerProcess, ContainerSpec, DockerOptions, Event, EventItem, EventKind,
    EventOptions, ExecSpec, Image, Inspection, LogEntry, LogOptions, Mount, NetworkMode, OciOptions,
    OutputStream, PruneOptions, Pruned, PullPolicy, PullProgress, Pushed, Resources, RestartPolicy, Runtime,
    SessionItem, ShimLocation, SpecError, Stats, StatsOptions, TerminalSize, Volume, VolumeOptions,
};

/// The README's examples, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
