//! Who has to wait for whom, and what becomes of names: one sentence each.
//!
//! Source: DESIGN, "The kernel".

use crate::driver::*;
use crate::one::*;
use selur_kernel::Usage;
use selur_protocol::abi::{Action, Answer, Output};
use selur_protocol::{Command, Reason, State, Status};

#[test]
fn a_create_is_answered_with_its_id_and_listed_from_then_on() {
    let (mut driver, create) = creating("c");
    assert_eq!(driver.list(), []);
    succeed(&mut driver, create);
    driver.expect(&[answer(create, Answer::Created(id(1)))]);
    assert_eq!(driver.list(), [id(1)]);
}

#[test]
fn a_create_hands_its_payload_out_and_frees_its_slot() {
    let mut driver = driver();
    driver
        .ask_with(Command::CreateContainer, &["nginx", "c", "{}"], id(1))
        .ticket();
    assert_eq!(driver.kernel.usage().slots, 1);
    let Some(Output::Effect {
        action: Action::Create { offset, bytes },
        ..
    }) = driver.poll()
    else {
        panic!("no create");
    };
    assert_eq!(
        &driver.kernel.arena()[offset as usize..][..bytes as usize],
        b"nginx\0c\0{}"
    );
    assert_eq!(driver.kernel.usage().slots, 0);
}

#[test]
fn a_name_is_taken_from_the_moment_its_create_is_accepted_until_that_fails() {
    let (mut driver, create) = creating("c");
    assert_eq!(driver.create(id(2), "c"), Sent::Refused(Reason::NameTaken, None));
    fail(&mut driver, create);
    driver.expect(&[runtime_failed(create, NETWORK)]);
    assert_eq!(driver.kernel.usage(), Usage::default());
    driver.create(id(2), "c").ticket();
}

#[test]
fn an_id_that_exists_is_refused_for_a_new_container() {
    let (mut driver, _) = creating("c");
    assert_eq!(
        driver.create(id(1), "d"),
        Sent::Refused(Reason::MalformedInput, None)
    );
}

#[test]
fn requests_behind_a_create_keep_their_order_and_what_never_queues_comes_first() {
    let (mut driver, create) = creating("c");
    let start = ask(&mut driver, Command::StartContainer);
    let inspect = ask(&mut driver, Command::InspectContainer);
    let kill = ask(&mut driver, Command::KillContainer);
    let stop = ask(&mut driver, Command::StopContainer);
    driver.expect(&[]);
    succeed(&mut driver, create);
    driver.expect(&[
        answer(create, Answer::Created(id(1))),
        effect(inspect, 1, Action::Inspect),
        wrong_state(kill, State::Created),
        effect(start, 1, Action::Start),
    ]);
    assert_eq!(
        driver.complete(start, Status::Success, Some(report(1, 1, State::Running, None))),
        Ok(())
    );
    driver.expect(&[done(start), effect(stop, 1, STOP)]);
}

#[test]
fn requests_behind_a_create_that_fails_are_told_that_it_is_deleted() {
    let (mut driver, create) = creating("c");
    let start = ask(&mut driver, Command::StartContainer);
    let wait = ask(&mut driver, Command::WaitContainer);
    fail(&mut driver, create);
    driver.expect(&[
        runtime_failed(create, NETWORK),
        failed(start, Reason::ContainerDeleted),
        failed(wait, Reason::ContainerDeleted),
    ]);
}

#[test]
fn lifecycle_requests_run_one_after_the_other_and_containers_do_not_wait_for_each_other() {
    let mut driver = running();
    driver.with_container(2, "d", State::Running);
    let stop = ask(&mut driver, Command::StopContainer);
    let start = ask(&mut driver, Command::StartContainer);
    let other = driver.ask(Command::PauseContainer, &["d"]).ticket();
    driver.expect(&[effect(stop, 1, STOP), effect(other, 2, Action::Pause)]);
    assert_eq!(
        driver.complete(stop, Status::Success, Some(report(1, 2, State::Stopped, Some(0)))),
        Ok(())
    );
    driver.expect(&[done(stop), effect(start, 1, Action::Start)]);
}

#[test]
fn a_failed_effect_fails_its_own_ticket_and_the_queue_goes_on() {
    let mut driver = running();
    let stop = ask(&mut driver, Command::StopContainer);
    let pause = ask(&mut driver, Command::PauseContainer);
    driver.drain();
    fail(&mut driver, stop);
    driver.expect(&[runtime_failed(stop, NETWORK), effect(pause, 1, Action::Pause)]);
}

#[test]
fn kill_and_inspect_overtake_a_running_stop() {
    let mut driver = running();
    let stop = ask(&mut driver, Command::StopContainer);
    let kill = ask(&mut driver, Command::KillContainer);
    let inspect = ask(&mut driver, Command::InspectContainer);
    let kill_effect = Action::Kill {
        signal: selur_protocol::Signal::KILL,
    };
    driver.expect(&[
        effect(stop, 1, STOP),
        effect(kill, 1, kill_effect),
        effect(inspect, 1, Action::Inspect),
    ]);
    succeed(&mut driver, inspect);
    driver.expect(&[answer(inspect, Answer::HostData)]);
}

#[test]
fn a_plain_delete_that_succeeds_ends_what_waits_for_the_container() {
    let mut driver = driver();
    driver.with_container(1, "c", State::Created);
    let wait = ask(&mut driver, Command::WaitContainer);
    let delete = ask(&mut driver, Command::DeleteContainer);
    let start = ask(&mut driver, Command::StartContainer);
    driver.expect(&[effect(delete, 1, DELETE)]);
    succeed(&mut driver, delete);
    driver.expect(&[
        done(delete),
        failed(start, Reason::ContainerDeleted),
        failed(wait, Reason::ContainerDeleted),
    ]);
    assert_eq!(
        driver.ask(Command::InspectContainer, &["c"]),
        Sent::Refused(Reason::NoSuchContainer, None)
    );
}
