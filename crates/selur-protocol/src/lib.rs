//! The selur container protocol: frames, commands, statuses and the two grammars (image references and names).
//!
//! This crate is the one source of truth for every code on the wire. It is `no_std`, has no dependency and no
//! `unsafe`, never allocates and never performs I/O: the guest, the host and every binding stand on it. It must
//! never know of runtimes, languages or hosts.
//!
//! ```
//! use selur_protocol::{Command, Frame, Request};
//!
//! let bytes = [0x00, 2, 0, 0, 0, b'h', b'i'];
//! let frame = Frame::parse(&bytes).unwrap();
//! assert_eq!(frame.command(), Command::Ping);
//! assert_eq!(Request::parse(&frame), Ok(Request::Ping("hi")));
//! ```
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs, unreachable_pub)]

pub mod abi;
mod command;
pub mod cursor;
mod frame;
mod hosted;
mod id;
mod image;
mod name;
mod reason;
mod request;
mod signal;
mod state;
mod status;

pub use command::Command;
pub use frame::{Frame, HEADER_BYTES, MAX_FRAME_BYTES, MAX_PAYLOAD_BYTES, MAX_RESPONSE_BYTES};
pub use hosted::{Hosted, MAX_OPTIONS_BYTES, Subject};
pub use id::ContainerId;
pub use image::{DEFAULT_DOMAIN, DEFAULT_TAG, ImageReference};
pub use name::{ContainerName, ContainerRef, MAX_NAME_BYTES, MIN_PREFIX_DIGITS};
pub use reason::Reason;
pub use request::{MAX_SPEC_BYTES, Request};
pub use signal::Signal;
pub use state::State;
pub use status::Status;
