//! What nobody wants any more, and what is finished: one sentence each.
//!
//! Source: DESIGN, "The kernel".

use crate::driver::*;
use crate::one::*;
use selur_kernel::Usage;
use selur_protocol::abi::{Action, CancelCause, Output};
use selur_protocol::{Command, Reason, State, Status};

#[test]
fn a_cancelled_ticket_is_answered_at_once_and_its_effect_keeps_the_container_busy() {
    let mut driver = running();
    let stop = ask(&mut driver, Command::StopContainer);
    let start = ask(&mut driver, Command::StartContainer);
    driver.expect(&[effect(stop, 1, STOP)]);
    assert_eq!(driver.cancel(stop, CancelCause::Deadline), Ok(()));
    driver.expect(&[
        Output::Abort { effect: stop },
        failed(stop, Reason::DeadlinePassed),
    ]);
    assert_eq!(driver.cancel(stop, CancelCause::Caller), Err(Reason::StaleHandle));
    assert_eq!(
        driver.complete(stop, Status::Success, Some(report(1, 2, State::Stopped, None))),
        Ok(())
    );
    driver.expect(&[effect(start, 1, Action::Start)]);
}

#[test]
fn a_cancelled_ticket_in_the_queue_is_dropped() {
    let mut driver = running();
    let stop = ask(&mut driver, Command::StopContainer);
    let pause = ask(&mut driver, Command::PauseContainer);
    let resume = ask(&mut driver, Command::ResumeContainer);
    cancel(&mut driver, pause);
    driver.expect(&[effect(stop, 1, STOP), failed(pause, Reason::CancelledByCaller)]);
    succeed(&mut driver, stop);
    driver.expect(&[done(stop), done(resume)]);
}

#[test]
fn an_effect_that_was_not_handed_out_never_happens_once_its_ticket_is_cancelled() {
    let mut driver = running();
    let stop = ask(&mut driver, Command::StopContainer);
    let pause = ask(&mut driver, Command::PauseContainer);
    cancel(&mut driver, stop);
    driver.expect(&[
        failed(stop, Reason::CancelledByCaller),
        effect(pause, 1, Action::Pause),
    ]);
    assert_eq!(
        driver.complete(stop, Status::Success, None),
        Err(Reason::StaleHandle)
    );
}

#[test]
fn an_abandoned_create_that_comes_true_is_undone_before_its_name_is_free() {
    let (mut driver, create) = creating("c");
    let start = ask(&mut driver, Command::StartContainer);
    cancel(&mut driver, create);
    driver.expect(&[
        Output::Abort { effect: create },
        failed(create, Reason::CancelledByCaller),
    ]);
    succeed(&mut driver, create);
    let outputs = driver.drain();
    let [
        Output::Effect {
            effect: undo,
            container,
            action: FORCE,
        },
    ] = outputs[..]
    else {
        panic!("no undo but {outputs:?}");
    };
    assert_eq!(container, id(1));
    assert_ne!(undo, create);
    assert_eq!(driver.create(id(2), "c"), Sent::Refused(Reason::NameTaken, None));
    assert_eq!(driver.list(), []);
    assert_eq!(driver.cancel(undo, CancelCause::Caller), Err(Reason::StaleHandle));
    succeed(&mut driver, undo);
    driver.expect(&[failed(start, Reason::ContainerDeleted)]);
    assert_eq!(driver.kernel.usage(), Usage::default());
    driver.create(id(2), "c").ticket();
}

#[test]
fn an_abandoned_create_that_comes_true_before_its_answer_is_polled_is_undone_after_it() {
    let (mut driver, create) = creating("c");
    cancel(&mut driver, create);
    succeed(&mut driver, create);
    let outputs = driver.drain();
    assert_eq!(outputs[0], failed(create, Reason::CancelledByCaller));
    assert!(matches!(outputs[1..], [Output::Effect { action: FORCE, .. }]));
}

#[test]
fn a_container_whose_undo_fails_is_shown_so_that_it_can_be_deleted() {
    let (mut driver, create) = creating("c");
    cancel(&mut driver, create);
    driver.drain();
    succeed(&mut driver, create);
    let start = ask(&mut driver, Command::StartContainer);
    let Some(Output::Effect { effect: undo, .. }) = driver.poll() else {
        panic!("no undo")
    };
    fail(&mut driver, undo);
    driver.expect(&[effect(start, 1, Action::Start)]);
    assert_eq!(driver.list(), [id(1)]);
}

#[test]
fn an_abandoned_create_that_fails_frees_its_name_at_once() {
    let (mut driver, create) = creating("c");
    cancel(&mut driver, create);
    driver.drain();
    fail(&mut driver, create);
    driver.expect(&[]);
    assert_eq!(driver.kernel.usage(), Usage::default());
}

#[test]
fn effects_and_tickets_are_finished_once() {
    let mut driver = running();
    let stop = ask(&mut driver, Command::StopContainer);
    assert_eq!(
        driver.complete(stop, Status::Success, None),
        Err(Reason::StaleHandle),
        "not handed out"
    );
    driver.drain();
    succeed(&mut driver, stop);
    assert_eq!(
        driver.cancel(stop, CancelCause::Caller),
        Err(Reason::StaleHandle),
        "answered"
    );
    assert_eq!(
        driver.complete(stop, Status::Success, None),
        Err(Reason::StaleHandle),
        "twice"
    );
    driver.expect(&[done(stop)]);
    for number in [0, 1, stop, stop + 1, u64::MAX] {
        assert_eq!(
            driver.complete(number, Status::Success, None),
            Err(Reason::StaleHandle)
        );
        assert_eq!(
            driver.cancel(number, CancelCause::Caller),
            Err(Reason::StaleHandle)
        );
    }
}

#[test]
fn an_abort_never_comes_after_its_effect_is_complete() {
    let mut driver = running();
    let stop = ask(&mut driver, Command::StopContainer);
    driver.drain();
    cancel(&mut driver, stop);
    succeed(&mut driver, stop);
    driver.expect(&[failed(stop, Reason::CancelledByCaller)]);
    assert_eq!(driver.kernel.usage().operations, 0);
}
