//! What overtakes everything: the forced delete, one sentence each.
//!
//! Source: DESIGN, "The kernel".

use crate::driver::*;
use crate::one::*;
use selur_kernel::Usage;
use selur_protocol::abi::{Action, Answer, Output};
use selur_protocol::{Command, Reason};

#[test]
fn a_forced_delete_cancels_the_queue_aborts_what_runs_and_acts_at_once() {
    let mut driver = running();
    let stop = ask(&mut driver, Command::StopContainer);
    driver.expect(&[effect(stop, 1, STOP)]);
    let start = ask(&mut driver, Command::StartContainer);
    let plain = ask(&mut driver, Command::DeleteContainer);
    let forced = force(&mut driver);
    driver.expect(&[
        failed(start, Reason::CancelledByDelete),
        failed(plain, Reason::CancelledByDelete),
        Output::Abort { effect: stop },
        effect(forced, 1, FORCE),
    ]);
    fail(&mut driver, stop);
    driver.expect(&[failed(stop, Reason::CancelledByDelete)]);
    succeed(&mut driver, forced);
    driver.expect(&[done(forced)]);
    assert_eq!(driver.kernel.usage(), Usage::default());
}

#[test]
fn an_effect_that_succeeds_in_spite_of_its_abort_answers_success() {
    let mut driver = running();
    let stop = ask(&mut driver, Command::StopContainer);
    driver.drain();
    force(&mut driver);
    driver.drain();
    succeed(&mut driver, stop);
    driver.expect(&[done(stop)]);
}

#[test]
fn an_effect_that_was_not_handed_out_is_taken_back_by_a_forced_delete() {
    let mut driver = running();
    let stop = ask(&mut driver, Command::StopContainer);
    let forced = force(&mut driver);
    driver.expect(&[failed(stop, Reason::CancelledByDelete), effect(forced, 1, FORCE)]);
}

#[test]
fn forced_deletes_join_the_first_and_succeed_with_it() {
    let mut driver = running();
    let first = force(&mut driver);
    let second = force(&mut driver);
    let third = force(&mut driver);
    driver.expect(&[effect(first, 1, FORCE)]);
    succeed(&mut driver, first);
    driver.expect(&[done(first), done(second), done(third)]);
    assert_eq!(driver.kernel.usage(), Usage::default());
}

#[test]
fn a_joined_forced_delete_tries_for_itself_if_the_first_fails() {
    let mut driver = running();
    let first = force(&mut driver);
    let second = force(&mut driver);
    driver.expect(&[effect(first, 1, FORCE)]);
    fail(&mut driver, first);
    driver.expect(&[runtime_failed(first, NETWORK), effect(second, 1, FORCE)]);
    fail(&mut driver, second);
    driver.expect(&[runtime_failed(second, NETWORK)]);
    assert_eq!(driver.list(), [id(1)]);
}

#[test]
fn a_forced_delete_that_others_joined_is_not_aborted_when_its_caller_gives_up() {
    let mut driver = running();
    let first = force(&mut driver);
    driver.expect(&[effect(first, 1, FORCE)]);
    let second = force(&mut driver);
    cancel(&mut driver, first);
    driver.expect(&[failed(first, Reason::CancelledByCaller)]);
    succeed(&mut driver, first);
    driver.expect(&[done(second)]);
}

#[test]
fn requests_during_a_forced_delete_queue_and_are_told_that_it_is_deleted() {
    let mut driver = running();
    let forced = force(&mut driver);
    let start = ask(&mut driver, Command::StartContainer);
    let plain = ask(&mut driver, Command::DeleteContainer);
    let wait = ask(&mut driver, Command::WaitContainer);
    driver.expect(&[effect(forced, 1, FORCE)]);
    succeed(&mut driver, forced);
    driver.expect(&[
        done(forced),
        failed(start, Reason::ContainerDeleted),
        failed(plain, Reason::ContainerDeleted),
        failed(wait, Reason::ContainerDeleted),
    ]);
}

#[test]
fn requests_during_a_forced_delete_have_their_turn_if_it_fails() {
    let mut driver = running();
    let forced = force(&mut driver);
    let pause = ask(&mut driver, Command::PauseContainer);
    driver.drain();
    fail(&mut driver, forced);
    driver.expect(&[runtime_failed(forced, NETWORK), effect(pause, 1, Action::Pause)]);
}

#[test]
fn a_forced_delete_is_aborted_when_the_last_who_joined_it_gives_up_too() {
    let mut driver = running();
    let leader = force(&mut driver);
    driver.drain();
    let joined = force(&mut driver);
    cancel(&mut driver, leader);
    driver.drain();
    cancel(&mut driver, joined);
    assert!(driver.drain().contains(&Output::Abort { effect: leader }));
}

#[test]
fn a_forced_delete_waits_for_a_running_create_and_aborts_it() {
    let (mut driver, create) = creating("c");
    let start = ask(&mut driver, Command::StartContainer);
    let forced = force(&mut driver);
    driver.expect(&[
        failed(start, Reason::CancelledByDelete),
        Output::Abort { effect: create },
    ]);
    succeed(&mut driver, create);
    driver.expect(&[answer(create, Answer::Created(id(1))), effect(forced, 1, FORCE)]);
}

#[test]
fn a_forced_delete_has_what_it_wants_when_the_create_it_aborted_fails() {
    let (mut driver, create) = creating("c");
    let first = force(&mut driver);
    let second = force(&mut driver);
    driver.expect(&[Output::Abort { effect: create }]);
    fail(&mut driver, create);
    driver.expect(&[
        failed(create, Reason::CancelledByDelete),
        done(first),
        done(second),
    ]);
    assert_eq!(driver.kernel.usage(), Usage::default());
}

#[test]
fn a_forced_delete_of_a_create_that_was_not_handed_out_leaves_nothing() {
    let mut driver = driver();
    let create = driver.create(id(1), "c").ticket();
    let start = ask(&mut driver, Command::StartContainer);
    assert_eq!(
        driver.ask(Command::DeleteContainer, &["c", "force"]),
        Sent::Data(vec![])
    );
    driver.expect(&[
        failed(start, Reason::CancelledByDelete),
        failed(create, Reason::CancelledByDelete),
    ]);
    assert_eq!(driver.kernel.usage(), Usage::default());
}

#[test]
fn forced_deletes_of_an_abandoned_create_join_its_undo() {
    let (mut driver, create) = creating("c");
    cancel(&mut driver, create);
    let forced = force(&mut driver);
    driver.drain();
    succeed(&mut driver, create);
    let late = force(&mut driver);
    let outputs = driver.drain();
    let [
        Output::Effect {
            effect: undo,
            action: FORCE,
            ..
        },
    ] = outputs[..]
    else {
        panic!("one undo, and not {outputs:?}");
    };
    succeed(&mut driver, undo);
    driver.expect(&[done(forced), done(late)]);
}
