//! What happens when there is no more room: the full-size kernel at its limits.

use crate::driver::{Driver, Sent, id, report};
use selur_kernel::{BLOCK_BYTES, FullKernel, Usage};
use selur_protocol::abi::{Action, CancelCause, Output};
use selur_protocol::{Command, ContainerId, MAX_FRAME_BYTES, Reason, State, Status};

fn boxed() -> Box<Driver<FullKernel>> {
    let run = || Box::new(Driver::new(FullKernel::new()));
    // A megabyte passes the stack more than once in a debug build.
    std::thread::Builder::new()
        .stack_size(64 << 20)
        .spawn(run)
        .expect("a thread")
        .join()
        .expect("a kernel")
}

fn numbered(number: u32) -> ContainerId {
    let mut bytes = [0; 16];
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    ContainerId::from_bytes(bytes)
}

#[test]
fn waits_that_have_ended_make_room_for_as_many_others() {
    let mut driver = boxed();
    driver.with_container(1, "c", State::Running);
    for _ in 0..3 {
        let waits: Vec<u64> = (0..2048)
            .map(|_| driver.ask(Command::WaitContainer, &["c"]).ticket())
            .collect();
        assert_eq!(
            driver.ask(Command::WaitContainer, &["c"]),
            Sent::Refused(Reason::WaitsFull, None)
        );
        for wait in waits {
            assert_eq!(driver.cancel(wait, CancelCause::Caller), Ok(()));
        }
        assert_eq!(driver.drain().len(), 2048);
    }
}

#[test]
fn half_of_all_tickets_may_be_waits_and_stop_kill_and_delete_find_room_when_others_do_not() {
    let mut driver = boxed();
    driver.with_container(1, "c", State::Running);
    for _ in 0..2048 {
        driver.ask(Command::WaitContainer, &["c"]).ticket();
    }
    assert_eq!(
        driver.ask(Command::WaitContainer, &["c"]),
        Sent::Refused(Reason::WaitsFull, None)
    );
    for _ in 2048..4096 - 64 {
        driver.ask(Command::InspectContainer, &["c"]).ticket();
    }
    for command in [
        Command::InspectContainer,
        Command::PauseContainer,
        Command::StartContainer,
    ] {
        let sent = driver.ask(command, &["c"]);
        let expected = match command {
            Command::StartContainer => Sent::Data(vec![]),
            _ => Sent::Refused(Reason::TicketsFull, None),
        };
        assert_eq!(sent, expected, "{}", command.name());
    }
    assert_eq!(driver.create(id(2), ""), Sent::Refused(Reason::TicketsFull, None));
    for number in 0..64 {
        let command = [Command::StopContainer, Command::KillContainer][number % 2];
        driver.ask(command, &["c"]).ticket();
    }
    for fields in [&["c"][..], &["c", "force"]] {
        assert_eq!(
            driver.ask(Command::DeleteContainer, fields),
            Sent::Refused(Reason::TicketsFull, None)
        );
    }
    assert_eq!(driver.kernel.usage().operations, 4096);

    let mut answers = 0;
    loop {
        let outputs = driver.drain();
        if outputs.is_empty() {
            break;
        }
        for output in outputs {
            match output {
                Output::Answer { .. } => answers += 1,
                Output::Effect { effect, action, .. } => {
                    let end = report(1, 2, State::Stopped, Some(0));
                    let report = matches!(action, Action::Stop { .. }).then_some(end);
                    driver
                        .complete(effect, Status::Success, report)
                        .expect("a running effect");
                }
                Output::Abort { .. } => panic!("nothing was cancelled"),
            }
        }
    }
    assert_eq!(answers, 4096);
    assert_eq!(
        driver.kernel.usage(),
        Usage {
            containers: 1,
            ..Usage::default()
        }
    );
}

#[test]
fn a_thousand_and_twenty_four_containers_fit_with_names_and_are_found_by_all_three_ways() {
    let mut driver = boxed();
    for number in 0..1024 {
        let name = format!("container-{number}");
        driver.seen(
            numbered(number),
            &name,
            report(1, 1, State::Stopped, Some(number as i32)),
        );
    }
    assert_eq!(
        driver.create(id(0xee), ""),
        Sent::Refused(Reason::ContainersFull, None)
    );
    let list = crate::driver::frame(Command::ListContainers, &[]);
    let Sent::Data(data) = driver.send_in(&list, 33_796, id(9)) else {
        panic!("no list")
    };
    assert_eq!(data.len(), 1024 * 33 - 1);
    // Every third goes, so that both indexes have to close gaps.
    for number in (0..1024).step_by(3) {
        driver.gone(numbered(number));
    }
    for number in 0..1024u32 {
        let expected = match number % 3 {
            0 => Sent::Refused(Reason::NoSuchContainer, None),
            _ => Sent::Data(number.to_string().into_bytes()),
        };
        let name = format!("container-{number}");
        let whole = numbered(number).to_string();
        for argument in [&name, &whole, &whole[..31].to_string()] {
            let is_prefix = argument.len() == 31;
            let sent = driver.ask(Command::WaitContainer, &[argument]);
            if is_prefix {
                let twins = (number / 16 * 16..number / 16 * 16 + 16)
                    .filter(|twin| twin % 3 != 0)
                    .count();
                assert!(twins > 1);
                assert_eq!(sent, Sent::Refused(Reason::AmbiguousPrefix, None));
            } else {
                assert_eq!(sent, expected, "{argument}");
            }
        }
    }
}

#[test]
fn two_full_frames_fit_the_arena_at_once() {
    let mut driver = boxed();
    let slots = [0, 1].map(|_| driver.kernel.reserve(MAX_FRAME_BYTES as u32).expect("a slot"));
    assert_eq!(
        driver.kernel.usage().blocks as usize,
        2 * MAX_FRAME_BYTES.div_ceil(BLOCK_BYTES)
    );
    assert_eq!(
        driver.kernel.reserve(MAX_FRAME_BYTES as u32),
        Err(Reason::ArenaFull)
    );
    for slot in slots {
        driver.kernel.release(slot).expect("reserved");
    }
    assert_eq!(driver.kernel.usage(), Usage::default());
}

#[test]
fn ten_thousand_lives_leave_nothing_behind() {
    let mut driver = boxed();
    for round in 0..10_000u32 {
        let create = driver.create(numbered(round), "same-name").ticket();
        assert!(matches!(driver.drain()[..], [Output::Effect { .. }]));
        driver
            .complete(create, Status::Success, None)
            .expect("a running effect");
        let delete = driver.ask(Command::DeleteContainer, &["same-name"]).ticket();
        assert_eq!(driver.drain().len(), 2);
        driver
            .complete(delete, Status::Success, None)
            .expect("a running effect");
        assert_eq!(driver.drain(), [crate::driver::done(delete)]);
        driver.log.clear();
    }
    assert_eq!(driver.kernel.usage(), Usage::default());
}
