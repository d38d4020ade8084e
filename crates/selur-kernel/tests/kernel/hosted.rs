//! What the host does with a payload that the kernel never keeps: one sentence each.
//!
//! Source: guest/ABI.md, "Hosted commands".

use crate::driver::*;
use crate::one::*;
use selur_kernel::{SmallKernel, Usage};
use selur_protocol::abi::{Action, Answer, CancelCause, Output};
use selur_protocol::{Command, MAX_OPTIONS_BYTES, Reason, State, Status};

const EXEC: Action = Action::Host(Command::Exec);

/// A well-formed request of each hosted command that names no container.
const WITHOUT_CONTAINER: [(Command, &[&str]); 12] = [
    (Command::Events, &[]),
    (Command::PullImage, &["nginx", "{}"]),
    (Command::ListImages, &[]),
    (Command::DeleteImage, &["nginx"]),
    (Command::LoadImage, &["a.tar"]),
    (Command::PushImage, &["nginx"]),
    (Command::TagImage, &["nginx", "mine"]),
    (Command::PruneImages, &["{}"]),
    (Command::CreateVolume, &["c", "{}"]),
    (Command::InspectVolume, &["c"]),
    (Command::ListVolumes, &[]),
    (Command::DeleteVolume, &["c"]),
];

fn exec(driver: &mut Driver<SmallKernel>) -> u64 {
    driver.ask(Command::Exec, &["c", "{}"]).ticket()
}

fn pull(driver: &mut Driver<SmallKernel>) -> u64 {
    driver.ask(Command::PullImage, &["nginx"]).ticket()
}

#[test]
fn a_command_without_a_container_becomes_an_effect_without_one_and_is_answered_with_data_of_the_host() {
    let mut driver = driver();
    for (command, fields) in WITHOUT_CONTAINER {
        assert!(command.is_hosted() && !command.names_container());
        let ticket = driver.ask(command, fields).ticket();
        driver.expect(&[hosted(ticket, command)]);
        assert_eq!(
            driver.kernel.usage().slots,
            0,
            "the payload is the host's to keep"
        );
        succeed(&mut driver, ticket);
        driver.expect(&[answer(ticket, Answer::HostData)]);
        assert_eq!(driver.kernel.usage(), Usage::default());
    }
    let named = Command::ALL
        .into_iter()
        .filter(|it| it.is_hosted() && it.names_container());
    assert_eq!(named.count() + WITHOUT_CONTAINER.len(), 17);
}

#[test]
fn a_command_that_the_host_fails_carries_its_status() {
    let mut driver = running();
    let (exec, pull) = (exec(&mut driver), pull(&mut driver));
    driver.drain();
    for ticket in [exec, pull] {
        assert_eq!(driver.complete(ticket, Status::ImageNotFound, None), Ok(()));
        driver.expect(&[runtime_failed(ticket, Status::ImageNotFound)]);
    }
}

#[test]
fn a_report_with_a_completion_that_names_no_container_changes_nothing() {
    let (mut driver, mut other) = (running(), running());
    for (driver, report) in [
        (&mut driver, Some(report(9, 9, State::Stopped, Some(1)))),
        (&mut other, None),
    ] {
        let wait = ask(driver, Command::WaitContainer);
        let pull = pull(driver);
        driver.expect(&[hosted(pull, Command::PullImage)]);
        assert_eq!(driver.complete(pull, Status::Success, report), Ok(()));
        driver.expect(&[answer(pull, Answer::HostData)]);
        cancel(driver, wait);
    }
    assert_eq!(driver.kernel.digest(), other.kernel.digest());
}

#[test]
fn hosted_commands_overtake_what_runs_and_wait_for_nobody() {
    let mut driver = running();
    let stop = ask(&mut driver, Command::StopContainer);
    let pause = ask(&mut driver, Command::PauseContainer);
    let (exec, pull) = (exec(&mut driver), pull(&mut driver));
    driver.expect(&[
        effect(stop, 1, STOP),
        effect(exec, 1, EXEC),
        hosted(pull, Command::PullImage),
    ]);
    succeed(&mut driver, exec);
    succeed(&mut driver, pull);
    driver.expect(&[answer(exec, Answer::HostData), answer(pull, Answer::HostData)]);
    succeed(&mut driver, stop);
    driver.expect(&[done(stop), effect(pause, 1, Action::Pause)]);
}

#[test]
fn two_streams_on_one_container_open_side_by_side() {
    let mut driver = running();
    let (first, second) = (exec(&mut driver), exec(&mut driver));
    driver.expect(&[effect(first, 1, EXEC), effect(second, 1, EXEC)]);
    succeed(&mut driver, second);
    succeed(&mut driver, first);
    driver.expect(&[answer(second, Answer::HostData), answer(first, Answer::HostData)]);
}

#[test]
fn a_deletion_settles_those_that_wait_for_the_create() {
    let (mut driver, create) = creating("c");
    let exec = exec(&mut driver);
    let logs = ask(&mut driver, Command::Logs);
    fail(&mut driver, create);
    driver.expect(&[
        runtime_failed(create, NETWORK),
        failed(exec, Reason::ContainerDeleted),
        failed(logs, Reason::ContainerDeleted),
    ]);
    assert_eq!(driver.kernel.usage(), Usage::default());
}

#[test]
fn a_forced_delete_cancels_those_that_wait_for_the_create() {
    let (mut driver, create) = creating("c");
    let exec = exec(&mut driver);
    force(&mut driver);
    driver.expect(&[
        failed(exec, Reason::CancelledByDelete),
        Output::Abort { effect: create },
    ]);
}

#[test]
fn a_stream_that_opens_while_its_container_is_deleted_by_force_is_answered_with_what_came_of_it() {
    for (opens, expected) in [(true, None), (false, Some(Status::ContainerNotFound))] {
        let mut driver = running();
        let exec = exec(&mut driver);
        driver.expect(&[effect(exec, 1, EXEC)]);
        let forced = force(&mut driver);
        driver.expect(&[effect(forced, 1, FORCE)]);
        succeed(&mut driver, forced);
        driver.expect(&[done(forced)]);
        assert_eq!(driver.list(), []);
        assert_eq!(
            driver.kernel.usage().containers,
            1,
            "the stream still refers to it"
        );
        let status = if opens {
            Status::Success
        } else {
            Status::ContainerNotFound
        };
        assert_eq!(driver.complete(exec, status, None), Ok(()));
        driver.expect(&[match expected {
            None => answer(exec, Answer::HostData),
            Some(status) => runtime_failed(exec, status),
        }]);
        assert_eq!(driver.kernel.usage(), Usage::default());
    }
}

#[test]
fn a_cancelled_command_that_was_not_handed_out_never_happens() {
    let mut driver = running();
    for open in [exec, pull] {
        let ticket = open(&mut driver);
        assert_eq!(driver.cancel(ticket, CancelCause::Deadline), Ok(()));
        assert_eq!(
            driver.cancel(ticket, CancelCause::Caller),
            Err(Reason::StaleHandle)
        );
        assert!(driver.drain().contains(&failed(ticket, Reason::DeadlinePassed)));
        assert_eq!(
            driver.complete(ticket, Status::Success, None),
            Err(Reason::StaleHandle)
        );
    }
    driver.expect(&[]);
    assert_eq!(driver.kernel.usage().operations, 0);
}

#[test]
fn a_cancelled_command_that_runs_is_answered_at_once_and_asked_to_end() {
    let mut driver = running();
    for open in [exec, pull] {
        let ticket = open(&mut driver);
        driver.drain();
        cancel(&mut driver, ticket);
        driver.expect(&[
            Output::Abort { effect: ticket },
            failed(ticket, Reason::CancelledByCaller),
        ]);
        assert_eq!(driver.kernel.usage().operations, 1);
        succeed(&mut driver, ticket);
        driver.expect(&[]);
        assert_eq!(driver.kernel.usage().operations, 0);
    }
}

#[test]
fn a_cancelled_command_that_waits_for_a_create_is_dropped() {
    let (mut driver, create) = creating("c");
    let exec = exec(&mut driver);
    cancel(&mut driver, exec);
    driver.expect(&[failed(exec, Reason::CancelledByCaller)]);
    succeed(&mut driver, create);
    driver.expect(&[answer(create, Answer::Created(id(1)))]);
}

#[test]
fn a_command_that_is_complete_but_not_polled_can_not_be_cancelled() {
    let mut driver = driver();
    let pull = pull(&mut driver);
    driver.drain();
    succeed(&mut driver, pull);
    assert_eq!(driver.cancel(pull, CancelCause::Caller), Err(Reason::StaleHandle));
    driver.expect(&[answer(pull, Answer::HostData)]);
}

#[test]
fn hosted_commands_take_no_ticket_that_is_kept_for_stop_kill_and_delete() {
    let mut driver = running();
    for _ in 0..15 {
        pull(&mut driver);
    }
    for (command, fields) in [
        (Command::PullImage, &["nginx"][..]),
        (Command::Exec, &["c", "{}"]),
    ] {
        assert_eq!(
            driver.ask(command, fields),
            Sent::Refused(Reason::TicketsFull, None)
        );
    }
    assert_eq!(
        driver.ask(Command::Top, &["nope"]),
        Sent::Refused(Reason::NoSuchContainer, None)
    );
    ask(&mut driver, Command::StopContainer);
    assert_eq!(driver.kernel.usage().operations, 16);
}

#[test]
fn a_full_table_of_containers_leaves_room_for_commands_without_one() {
    let mut driver = driver();
    for number in 1..=4 {
        driver.with_container(number, "", State::Running);
    }
    assert_eq!(
        driver.create(id(5), ""),
        Sent::Refused(Reason::ContainersFull, None)
    );
    let pull = pull(&mut driver);
    driver.expect(&[hosted(pull, Command::PullImage)]);
    assert_eq!(driver.kernel.usage().containers, 4);
}

#[test]
fn the_longest_options_are_taken_and_longer_ones_refused() {
    let mut driver = Driver::new(selur_kernel::Kernel::<4, 8, 16, 512, 8, { 512 * 256 }>::new());
    driver.with_container(1, "c", State::Running);
    let longest = " ".repeat(MAX_OPTIONS_BYTES);
    let exec = driver.ask(Command::Exec, &["c", &longest]).ticket();
    driver.expect(&[effect(exec, 1, EXEC)]);
    assert_eq!(driver.kernel.usage().slots, 0);
    assert_eq!(
        driver.ask(Command::Exec, &["c", &format!("{longest} ")]),
        Sent::Refused(Reason::OptionsTooLong, None)
    );
}

#[test]
fn what_is_malformed_is_refused_before_the_container_is_looked_for() {
    let mut driver = running();
    for (command, fields, reason) in [
        (Command::Exec, &["nope"][..], Reason::MissingExecSpec),
        (Command::Top, &["nope", ""], Reason::TooManyFields),
        (Command::Exec, &["nope", "{}"], Reason::NoSuchContainer),
        (Command::TagImage, &["nginx"], Reason::MissingImage),
        (Command::LoadImage, &[], Reason::MissingPath),
        (Command::CreateVolume, &["-"], Reason::BadVolumeName),
    ] {
        assert_eq!(driver.ask(command, fields), Sent::Refused(reason, None));
    }
    assert_eq!(driver.kernel.usage().operations, 0);
}
