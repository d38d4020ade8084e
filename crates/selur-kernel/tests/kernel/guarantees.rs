//! One property for each guarantee of the kernel, against the reference model where it says what must happen.
//!
//! Source: DESIGN, "The kernel": noLostRequests, noMemoryLeaks, noBufferOverflow, linearUsage, determinism.

use crate::pair::{HOSTED, NAMES, Pair, Pick, REQUESTS, Step, Tiny};
use proptest::prelude::*;
use selur_kernel::{Entry, Usage};
use selur_protocol::abi::{Action, Output, Report};
use selur_protocol::{State, Status};

fn picks() -> impl Strategy<Value = Pick> {
    any::<u32>().prop_map(Pick)
}

fn reports() -> impl Strategy<Value = Report> {
    let exits = prop_oneof![Just(None), (-2..300).prop_map(Some)];
    (0..4u32, 0..6u32, proptest::sample::select(&State::ALL[..]), exits).prop_map(
        |(generation, sequence, state, exit_code)| Report {
            generation,
            sequence,
            state,
            exit_code,
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let status = prop_oneof![
        4 => Just(Status::Success),
        1 => proptest::sample::select(&Status::ALL[1..]),
    ];
    let step = prop_oneof![
        4 => (0..NAMES.len()).prop_map(|name| Step::Create { name }),
        14 => (0..REQUESTS.len(), picks()).prop_map(|(request, argument)| Step::Ask { request, argument }),
        2 => (0..HOSTED.len()).prop_map(|command| Step::Host { command }),
        3 => (picks(), any::<bool>()).prop_map(|(ticket, deadline)| Step::Cancel { ticket, deadline }),
        8 => (picks(), status, proptest::option::of(reports()))
            .prop_map(|(effect, status, report)| Step::Complete { effect, status, report }),
        3 => (picks(), 0..NAMES.len(), reports())
            .prop_map(|(id, name, report)| Step::Seen { id, name, report }),
        1 => picks().prop_map(|id| Step::Gone { id }),
        8 => (1..6usize).prop_map(|outputs| Step::Poll { outputs }),
        1 => any::<u64>().prop_map(|number| Step::UseStale { number }),
    ];
    proptest::collection::vec(step, 1..120)
}

fn cases(number: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(number)
    }
}

proptest! {
    #![proptest_config(cases(3000))]

    /// noLostRequests: every accepted ticket is answered exactly once, and with what the model says.
    /// noMemoryLeaks: afterwards nothing is in use, and the arena is one gap again.
    #[test]
    fn every_ticket_is_answered_once_and_nothing_is_left_behind(steps in steps()) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.step(step);
        }
        pair.wind_up();
        prop_assert_eq!(&pair.model.answered, &pair.tickets);
        prop_assert_eq!(pair.driver.kernel.usage(), Usage::default());
        let all = pair.driver.kernel.reserve(4096).expect("the whole arena");
        prop_assert_eq!(pair.driver.kernel.release(all), Ok(()));
    }

    /// determinism: the log of the inputs, fed to a fresh kernel, gives the same outputs and the same digest at every
    /// step, wherever the slots lie.
    #[test]
    fn a_replayed_log_gives_the_same_digests_and_outputs(steps in steps(), shift in 0..3usize) {
        let mut pair = Pair::new();
        let mut replayed = Tiny::new();
        for _ in 0..shift {
            replayed.reserve(1).expect("a slot");
        }
        for step in &steps {
            if let Step::Poll { outputs } = step {
                for _ in 0..*outputs {
                    let output = pair.driver.poll();
                    if let Some(output) = &output {
                        pair.model.take(output);
                    }
                    prop_assert_eq!(output.map(without_offset), replayed.poll().map(without_offset));
                }
                continue;
            }
            let logged = pair.driver.log.len();
            pair.step(step);
            for bytes in &pair.driver.log[logged..] {
                let entry = Entry::decode(bytes).expect("a logged entry");
                let _ = replayed.replay(&entry);
            }
            prop_assert_eq!(pair.driver.kernel.digest(), replayed.digest());
        }
    }
}

fn without_offset(output: Output) -> Output {
    match output {
        Output::Effect {
            effect,
            container,
            action: Action::Create { bytes, .. },
        } => Output::Effect {
            effect,
            container,
            action: Action::Create { offset: 0, bytes },
        },
        other => other,
    }
}
