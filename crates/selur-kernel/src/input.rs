//! Inputs: everything that ever changes the kernel, as values and as bytes.
//!
//! The bytes are for a log: replayed by a fresh kernel in the same order, they give the same outputs and the same digest.
//! A slot is no part of that, so the entry of a submission carries the frame itself.

use selur_protocol::ContainerId;
use selur_protocol::Status;
use selur_protocol::abi::{CancelCause, Observation, Report};
use selur_protocol::cursor::{Reader, Writer};

/// The version of the encoding: the first byte of every entry.
pub const INPUT_VERSION: u8 = 1;

/// What becomes of the slot when its frame is answered at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotUse {
    /// It holds the response until it is released; a request that gets a ticket frees it.
    Consume,
    /// It may be used again under the same handle at once: a create alone consumes it.
    Keep,
}

/// One input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A frame lies in a slot.
    Submit {
        /// The handle that reserve gave.
        slot: u64,
        /// The frame's length.
        frame_bytes: u32,
        /// What becomes of the slot.
        slot_use: SlotUse,
        /// 128 random bits that no container ever had: the id of the container, if the frame is a create.
        new_id: ContainerId,
    },
    /// A ticket is no longer wanted.
    Cancel {
        /// Which.
        ticket: u64,
        /// Why.
        cause: CancelCause,
    },
    /// An effect has ended.
    Complete {
        /// Which.
        effect: u64,
        /// How.
        status: Status,
        /// What the runtime then knew of the container.
        report: Option<Report>,
    },
    /// The runtime saw something.
    Observe(Observation<'a>),
}

/// An entry of the log: an input that needs no slot, or a note of how many outputs were polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// As [`Input::Submit`], with the frame.
    Submit {
        /// The slot's capacity in bytes: a list that did not fit must not fit again.
        slot_bytes: u32,
        /// As in the input.
        slot_use: SlotUse,
        /// As in the input.
        new_id: ContainerId,
        /// The frame.
        frame: &'a [u8],
    },
    /// Any other input.
    Other(Input<'a>),
    /// So many outputs were polled since the last entry: an effect that was handed out is no longer taken back, and a
    /// ticket's record is free when its answer was polled.
    Polled {
        /// How many.
        outputs: u32,
    },
}

const SUBMIT: u8 = 1;
const CANCEL: u8 = 2;
const COMPLETE: u8 = 3;
const OBSERVE: u8 = 4;
const POLLED: u8 = 5;

impl<'a> Entry<'a> {
    /// The bytes of an encoded entry beside its frame, at most.
    pub const MAX_BYTES_BESIDE_FRAME: usize = 2 + Observation::MAX_BYTES;

    /// version u8, kind u8, then
    /// 1 submit: slot capacity u32, slot kept u8, new id, frame;
    /// 2 cancel: ticket u64, cause u8;
    /// 3 complete: effect u64, status u8, has report u8, report if so;
    /// 4 observe: the encoded observation;
    /// 5 polled: number of outputs u32.
    ///
    /// Returns the length in bytes; nothing if `buffer` is too short, or for a submission that has no frame.
    pub fn encode(&self, buffer: &mut [u8]) -> Option<usize> {
        let mut writer = Writer::new(buffer);
        writer.put(&[INPUT_VERSION])?;
        match *self {
            Entry::Submit {
                slot_bytes,
                slot_use,
                new_id,
                frame,
            } => {
                writer.put(&[SUBMIT])?;
                writer.put(&slot_bytes.to_le_bytes())?;
                writer.put(&[(slot_use == SlotUse::Keep) as u8])?;
                writer.put(new_id.as_bytes())?;
                writer.put(frame)?;
            }
            Entry::Other(Input::Submit { .. }) => return None,
            Entry::Other(Input::Cancel { ticket, cause }) => {
                writer.put(&[CANCEL])?;
                writer.put(&ticket.to_le_bytes())?;
                writer.put(&[cause as u8])?;
            }
            Entry::Other(Input::Complete {
                effect,
                status,
                report,
            }) => {
                writer.put(&[COMPLETE])?;
                writer.put(&effect.to_le_bytes())?;
                writer.put(&[status.code(), report.is_some() as u8])?;
                if let Some(report) = report {
                    writer.put(&report.encode())?;
                }
            }
            Entry::Other(Input::Observe(observation)) => {
                writer.put(&[OBSERVE])?;
                let mut encoded = [0; Observation::MAX_BYTES];
                let bytes = observation.encode(&mut encoded)?;
                writer.put(&encoded[..bytes])?;
            }
            Entry::Polled { outputs } => {
                writer.put(&[POLLED])?;
                writer.put(&outputs.to_le_bytes())?;
            }
        }
        Some(writer.written())
    }

    /// Reads what [`Entry::encode`] wrote; nothing if any byte is not what it would have written.
    pub fn decode(bytes: &'a [u8]) -> Option<Entry<'a>> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != [INPUT_VERSION] {
            return None;
        }
        let [kind] = reader.array()?;
        let entry = match kind {
            SUBMIT => {
                let slot_bytes = reader.u32()?;
                let slot_use = match reader.array()? {
                    [0] => SlotUse::Consume,
                    [1] => SlotUse::Keep,
                    _ => return None,
                };
                let new_id = reader.id()?;
                let frame = reader.rest();
                Entry::Submit {
                    slot_bytes,
                    slot_use,
                    new_id,
                    frame,
                }
            }
            CANCEL => Entry::Other(Input::Cancel {
                ticket: reader.u64()?,
                cause: match reader.array()? {
                    [0] => CancelCause::Caller,
                    [1] => CancelCause::Deadline,
                    _ => return None,
                },
            }),
            COMPLETE => Entry::Other(Input::Complete {
                effect: reader.u64()?,
                status: {
                    let [code] = reader.array()?;
                    Status::from_code(code)?
                },
                report: match reader.array()? {
                    [0] => None,
                    [1] => Some(Report::decode(&reader.array()?)?),
                    _ => return None,
                },
            }),
            OBSERVE => {
                let observation = reader.rest();
                Entry::Other(Input::Observe(Observation::decode(observation)?))
            }
            POLLED => Entry::Polled {
                outputs: reader.u32()?,
            },
            _ => return None,
        };
        if reader.is_empty() { Some(entry) } else { None }
    }
}
