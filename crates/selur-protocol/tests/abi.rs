//! What crosses the guest boundary arrives as it was sent, and nothing else is taken for it.

use proptest::prelude::*;
use proptest::sample::select;
use selur_protocol::abi::{Action, Answer, Observation, Outcome, Output, Report, Submitted};
use selur_protocol::{Command, ContainerId, MAX_RESPONSE_BYTES, Reason, Signal, State, Status};

fn ids() -> impl Strategy<Value = ContainerId> {
    any::<[u8; 16]>().prop_map(ContainerId::from_bytes)
}

fn states() -> impl Strategy<Value = State> {
    select(&State::ALL[..])
}

fn reports() -> impl Strategy<Value = Report> {
    (any::<u32>(), any::<u32>(), states(), any::<Option<i32>>()).prop_map(
        |(generation, sequence, state, exit_code)| Report {
            generation,
            sequence,
            state,
            exit_code,
        },
    )
}

fn actions() -> impl Strategy<Value = Action> {
    prop_oneof![
        (any::<u32>(), any::<u32>()).prop_map(|(offset, bytes)| Action::Create { offset, bytes }),
        any::<Option<u32>>().prop_map(|timeout_ms| Action::Stop { timeout_ms }),
        any::<bool>().prop_map(|force| Action::Delete { force }),
        (1..=64u8).prop_map(|number| Action::Kill {
            signal: Signal::from_number(number).unwrap()
        }),
        select(&[Action::Start, Action::Inspect, Action::Pause, Action::Resume][..]),
        select(&Command::ALL[usize::from(Command::Exec.code())..]).prop_map(Action::Host),
    ]
}

fn answers() -> impl Strategy<Value = Answer> {
    let failed = (
        select(&Status::ALL[..]),
        select(Reason::ALL),
        proptest::option::of(states()),
    )
        .prop_map(|(status, reason, state)| Answer::Failed {
            status,
            reason,
            state,
        });
    prop_oneof![
        Just(Answer::Done),
        Just(Answer::HostData),
        ids().prop_map(Answer::Created),
        any::<Option<i32>>().prop_map(Answer::Exited),
        failed,
    ]
}

fn outputs() -> impl Strategy<Value = Output> {
    prop_oneof![
        (any::<u64>(), answers()).prop_map(|(ticket, answer)| Output::Answer { ticket, answer }),
        (any::<u64>(), ids(), actions()).prop_map(|(effect, id, action)| Output::Effect {
            effect,
            container: if action.command().names_container() {
                id
            } else {
                ContainerId::NONE
            },
            action
        }),
        any::<u64>().prop_map(|effect| Output::Abort { effect }),
    ]
}

fn submitted() -> impl Strategy<Value = Submitted> {
    let success = Just((Status::Success, None));
    let failure = select(Reason::ALL).prop_map(|reason| (reason.status(), Some(reason)));
    let ready = (
        0..1u32 << 20,
        0..=MAX_RESPONSE_BYTES as u32,
        prop_oneof![success, failure],
        proptest::option::of(states()),
    )
        .prop_map(|(offset, bytes, (status, reason), state)| Outcome::Ready {
            offset,
            bytes,
            status,
            reason,
            state,
        });
    let pending = (1..1u64 << 61).prop_map(|ticket| Outcome::Pending { ticket });
    (any::<bool>(), prop_oneof![ready, pending]).prop_map(|(outputs_waiting, outcome)| Submitted {
        outputs_waiting,
        outcome,
    })
}

/// Bytes that are nearly right: what was sent, with a few of them changed.
fn damaged(bytes: impl Strategy<Value = Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let damage = proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..3);
    (bytes, damage).prop_map(|(mut bytes, damage)| {
        for (place, byte) in damage {
            if !bytes.is_empty() {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn what_submit_says_survives_its_word(submitted in submitted()) {
        prop_assert_eq!(Submitted::unpack(submitted.pack()), Some(submitted));
    }

    #[test]
    fn a_word_that_nothing_packs_to_is_refused(word in any::<u64>(), near in submitted(), bit in 0..64u32) {
        for word in [word, near.pack() ^ 1 << bit] {
            if let Some(submitted) = Submitted::unpack(word) {
                prop_assert_eq!(submitted.pack(), word);
            }
        }
    }

    #[test]
    fn a_report_survives_its_encoding(report in reports()) {
        prop_assert_eq!(Report::decode(&report.encode()), Some(report));
    }

    #[test]
    fn bytes_that_no_report_gives_are_refused(
        bytes in damaged(reports().prop_map(|report| report.encode().to_vec())),
    ) {
        let bytes: [u8; Report::BYTES] = bytes.try_into().unwrap();
        if let Some(report) = Report::decode(&bytes) {
            prop_assert_eq!(report.encode(), bytes);
        }
    }

    #[test]
    fn an_observation_survives_its_encoding(id in ids(), name in "[a-zA-Z0-9_.-]{0,63}", report in reports()) {
        let mut buffer = [0; Observation::MAX_BYTES];
        for observation in [Observation::Seen { id, name: &name, report }, Observation::Gone { id }] {
            let length = observation.encode(&mut buffer).expect("room for every observation");
            prop_assert_eq!(Observation::decode(&buffer[..length]), Some(observation));
            for short in 0..length {
                prop_assert_eq!(observation.encode(&mut [0; Observation::MAX_BYTES][..short]), None);
                prop_assert_eq!(Observation::decode(&buffer[..short]), None);
            }
        }
    }

    #[test]
    fn an_observation_with_a_name_too_long_is_neither_encoded_nor_decoded(
        id in ids(), name in "[a-z]{64,255}", report in reports(),
    ) {
        prop_assert_eq!(Observation::Seen { id, name: &name, report }.encode(&mut [0; 512]), None);
        let mut bytes = vec![1];
        bytes.extend(id.as_bytes());
        bytes.extend(report.encode());
        bytes.push(name.len() as u8);
        bytes.extend(name.bytes());
        prop_assert_eq!(Observation::decode(&bytes), None);
    }

    #[test]
    fn bytes_that_no_observation_gives_are_refused(
        bytes in damaged((ids(), "[a-z]{0,63}", reports()).prop_map(|(id, name, report)| {
            let mut buffer = [0; Observation::MAX_BYTES];
            let length = Observation::Seen { id, name: &name, report }.encode(&mut buffer).unwrap();
            buffer[..length].to_vec()
        })),
        noise in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        for bytes in [bytes, noise] {
            if let Some(observation) = Observation::decode(&bytes) {
                let mut buffer = [0; Observation::MAX_BYTES];
                let length = observation.encode(&mut buffer).expect("what was read can be written");
                prop_assert_eq!(&buffer[..length], &bytes[..]);
            }
        }
    }

    #[test]
    fn an_output_survives_its_encoding(output in outputs()) {
        prop_assert_eq!(Output::decode(&output.encode()), Some(output));
    }

    #[test]
    fn bytes_that_no_output_gives_are_refused(
        bytes in damaged(outputs().prop_map(|output| output.encode().to_vec())),
        noise in any::<[u8; 32]>(),
        kind in 0..9u8,
    ) {
        let mut random = [0; Output::BYTES];
        random[0] = kind;
        random[4..].copy_from_slice(&noise);
        let damaged: [u8; Output::BYTES] = bytes.try_into().unwrap();
        for bytes in [damaged, random] {
            if let Some(output) = Output::decode(&bytes) {
                prop_assert_eq!(output.encode(), bytes);
            }
        }
    }
}

#[test]
fn every_action_names_the_command_that_asks_for_it() {
    let commands = [
        (Action::Create { offset: 0, bytes: 0 }, "create_container"),
        (Action::Start, "start_container"),
        (Action::Stop { timeout_ms: None }, "stop_container"),
        (Action::Inspect, "inspect_container"),
        (Action::Delete { force: true }, "delete_container"),
        (Action::Kill { signal: Signal::KILL }, "kill_container"),
        (Action::Pause, "pause_container"),
        (Action::Resume, "resume_container"),
    ];
    for (action, name) in commands {
        assert_eq!(action.command().name(), name);
    }
    for command in Command::ALL.into_iter().filter(|command| command.is_hosted()) {
        assert_eq!(Action::Host(command).command(), command);
    }
}

#[test]
fn an_effect_of_a_command_that_names_no_container_carries_none() {
    for command in Command::ALL.into_iter().filter(|command| command.is_hosted()) {
        let effect = |container| Output::Effect {
            effect: 1,
            container,
            action: Action::Host(command),
        };
        let (none, some) = (
            effect(ContainerId::NONE),
            effect(ContainerId::from_bytes([7; 16])),
        );
        if command.names_container() {
            assert_eq!(Output::decode(&some.encode()), Some(some), "{}", command.name());
        } else {
            assert_eq!(Output::decode(&none.encode()), Some(none), "{}", command.name());
            assert_eq!(Output::decode(&some.encode()), None, "{}", command.name());
        }
    }
}

#[test]
fn what_the_kernel_answers_itself_is_no_effect() {
    for command in [Command::Ping, Command::ListContainers, Command::WaitContainer] {
        let mut bytes = Output::Effect {
            effect: 1,
            container: ContainerId::NONE,
            action: Action::Start,
        }
        .encode();
        bytes[1] = command.code();
        assert_eq!(Output::decode(&bytes), None, "{}", command.name());
    }
}

/// Source: guest/ABI.md and DESIGN, "The protocol".
#[test]
fn the_sizes_are_what_is_written_of_them() {
    let sizes = [
        (selur_protocol::HEADER_BYTES, 5),
        (selur_protocol::MAX_PAYLOAD_BYTES, 262_144),
        (selur_protocol::MAX_FRAME_BYTES, 262_149),
        (MAX_RESPONSE_BYTES, 262_145),
        (selur_protocol::MAX_NAME_BYTES, 63),
        (selur_protocol::MIN_PREFIX_DIGITS, 4),
        (selur_protocol::MAX_SPEC_BYTES, 65_536),
        (selur_protocol::MAX_OPTIONS_BYTES, 65_536),
        (selur_protocol::abi::MAILBOX_BYTES, 4_096),
        (Report::BYTES, 14),
        (Observation::MAX_BYTES, 95),
        (Output::BYTES, 36),
    ];
    for (size, written) in sizes {
        assert_eq!(size, written);
    }
}
