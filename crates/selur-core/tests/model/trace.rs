//! The lines of traces.ml.

use selur_protocol::abi::{CancelCause, Report};
use selur_protocol::{ContainerId, State, Status};

/// The capacities under which the traces that follow were made: containers, operations, blocks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scene(pub(crate) usize, pub(crate) usize, pub(crate) usize);

/// One trace: the steps behind the last line of a smaller depth.
pub(crate) struct Line<'a> {
    pub(crate) depth: usize,
    pub(crate) steps: Vec<(Input<'a>, &'a str)>,
    /// Records of containers, of operations; slots, blocks under them.
    pub(crate) usage: [u32; 4],
    pub(crate) digest: u64,
}

/// An input; tickets and slots under the model's numbers.
#[derive(Debug)]
pub(crate) enum Input<'a> {
    Reserve(u32),
    Write(u64, Vec<u8>),
    Submit(u64, u32, bool, ContainerId),
    Release(u64),
    Cancel(u64, CancelCause),
    Complete(u64, Status, Option<Report>),
    See(ContainerId, &'a str, Report),
    Lose(ContainerId),
    Poll,
}

impl Scene {
    pub(crate) fn parse(line: &str) -> Option<Scene> {
        let mut numbers = line.strip_prefix("scene ")?.split(' ').map(number);
        Some(Scene(numbers.next()?, numbers.next()?, numbers.next()?))
    }
}

impl<'a> Line<'a> {
    pub(crate) fn parse(text: &'a str) -> Line<'a> {
        let (depth, rest) = text.split_once(' ').expect("a depth");
        let (steps, state) = rest.split_once(" | ").expect("a state");
        let steps = steps.split("; ").map(|step| {
            let (input, result) = step.split_once(" = ").expect("a result");
            (Input::parse(input), result)
        });
        let (usage, digest) = state.rsplit_once(' ').expect("a digest");
        let usage: Vec<u32> = usage.split(' ').map(number).collect();
        Line {
            depth: number(depth),
            steps: steps.collect(),
            usage: usage.try_into().expect("four numbers"),
            digest: u64::from_str_radix(digest, 16).expect("a digest"),
        }
    }
}

impl<'a> Input<'a> {
    fn parse(text: &'a str) -> Input<'a> {
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            ["R", bytes] => Input::Reserve(number(bytes)),
            ["W", slot, bytes] => Input::Write(number(slot), hex(bytes)),
            ["S", slot, bytes, how, id] => {
                Input::Submit(number(slot), number(bytes), how == "k", container(id))
            }
            ["F", slot] => Input::Release(number(slot)),
            ["C", ticket, "1"] => Input::Cancel(number(ticket), CancelCause::Deadline),
            ["C", ticket, "0"] => Input::Cancel(number(ticket), CancelCause::Caller),
            ["E", effect, status, told] => {
                let status = Status::from_code(number(status)).expect("a status");
                Input::Complete(number(effect), status, report(told))
            }
            ["O", id, name, told] => {
                let name = if name == "-" { "" } else { name };
                Input::See(container(id), name, report(told).expect("a report"))
            }
            ["L", id] => Input::Lose(container(id)),
            ["P"] => Input::Poll,
            _ => panic!("no input: {text}"),
        }
    }
}

/// The container that the model calls by this number.
pub(crate) fn container(number_text: &str) -> ContainerId {
    ContainerId::from_bytes([number(number_text); 16])
}

pub(crate) fn number<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("no number: {text}"))
}

fn hex(text: &str) -> Vec<u8> {
    let digits = if text == "-" { "" } else { text };
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex");
    (0..digits.len()).step_by(2).map(byte).collect()
}

fn report(text: &str) -> Option<Report> {
    let fields: Vec<&str> = text.split('.').collect();
    match fields[..] {
        ["-"] => None,
        [generation, sequence, state, exit] => Some(Report {
            generation: number(generation),
            sequence: number(sequence),
            state: State::from_code(number(state)).expect("a state"),
            exit_code: Some(exit).filter(|exit| *exit != "-").map(number),
        }),
        _ => panic!("no report: {text}"),
    }
}
