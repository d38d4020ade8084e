//! The rules of order, cancellation and truth, one sentence each.
//!
//! Source: DESIGN, "The kernel".

mod support;

use selur_kernel::{SmallKernel, Usage};
use selur_protocol::abi::{Action, Answer, CancelCause, Output};
use selur_protocol::{Command, Reason, State, Status};
use support::*;

const DELETE: Action = Action::Delete { force: false };
const FORCE: Action = Action::Delete { force: true };
const STOP: Action = Action::Stop { timeout_ms: None };

fn driver() -> Driver<SmallKernel> {
    Driver::new(SmallKernel::new())
}

fn running() -> Driver<SmallKernel> {
    let mut driver = driver();
    driver.with_container(1, "c", State::Running);
    driver
}

/// A create whose effect is handed out.
fn creating(name: &str) -> (Driver<SmallKernel>, u64) {
    let mut driver = driver();
    let create = driver.create(id(1), name).ticket();
    assert!(matches!(driver.drain()[..], [Output::Effect { effect, .. }] if effect == create));
    (driver, create)
}

fn ask(driver: &mut Driver<SmallKernel>, command: Command) -> u64 {
    driver.ask(command, &["c"]).ticket()
}

fn force(driver: &mut Driver<SmallKernel>) -> u64 {
    driver.ask(Command::DeleteContainer, &["c", "force"]).ticket()
}

fn succeed(driver: &mut Driver<SmallKernel>, effect: u64) {
    assert_eq!(driver.complete(effect, Status::Success, None), Ok(()));
}

fn fail(driver: &mut Driver<SmallKernel>, effect: u64) {
    assert_eq!(driver.complete(effect, Status::NetworkError, None), Ok(()));
}

fn cancel(driver: &mut Driver<SmallKernel>, ticket: u64) {
    assert_eq!(driver.cancel(ticket, CancelCause::Caller), Ok(()));
}

const NETWORK: Status = Status::NetworkError;

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
fn a_wait_ends_with_the_final_exit_and_not_with_a_restart() {
    let mut driver = running();
    let wait = ask(&mut driver, Command::WaitContainer);
    driver.seen(id(1), "c", report(1, 2, State::Restarting, Some(1)));
    driver.seen(id(1), "c", report(2, 1, State::Running, None));
    driver.expect(&[]);
    driver.seen(id(1), "c", report(2, 2, State::Stopped, None));
    driver.expect(&[answer(wait, Answer::Exited(None))]);
}

#[test]
fn an_exit_seen_before_its_start_completes_leaves_the_container_stopped() {
    let mut driver = driver();
    driver.with_container(1, "c", State::Created);
    let start = ask(&mut driver, Command::StartContainer);
    let wait = ask(&mut driver, Command::WaitContainer);
    driver.drain();
    driver.seen(id(1), "c", report(2, 2, State::Stopped, Some(0)));
    driver.expect(&[answer(wait, Answer::Exited(Some(0)))]);
    assert_eq!(
        driver.complete(start, Status::Success, Some(report(2, 1, State::Running, None))),
        Ok(())
    );
    driver.expect(&[done(start)]);
    assert_eq!(
        driver.ask(Command::WaitContainer, &["c"]),
        Sent::Data(b"0".to_vec())
    );
}

#[test]
fn a_report_of_the_same_age_changes_nothing() {
    let mut driver = running();
    driver.seen(id(1), "c", report(1, 1, State::Stopped, Some(1)));
    assert_eq!(driver.ask(Command::ResumeContainer, &["c"]), Sent::Data(vec![]));
}

#[test]
fn a_greater_generation_is_newer_whatever_its_sequence() {
    let mut driver = running();
    driver.seen(id(1), "c", report(1, 9, State::Paused, None));
    driver.seen(id(1), "c", report(2, 0, State::Running, None));
    assert_eq!(driver.ask(Command::ResumeContainer, &["c"]), Sent::Data(vec![]));
}

#[test]
fn a_deletion_outside_answers_everything_that_waits() {
    let mut driver = running();
    let stop = ask(&mut driver, Command::StopContainer);
    let start = ask(&mut driver, Command::StartContainer);
    let wait = ask(&mut driver, Command::WaitContainer);
    driver.drain();
    driver.gone(id(1));
    driver.expect(&[
        failed(start, Reason::ContainerDeleted),
        failed(wait, Reason::ContainerDeleted),
    ]);
    assert_eq!(driver.list(), []);
    driver.create(id(2), "c").ticket();
    driver.drain();
    succeed(&mut driver, stop);
    driver.expect(&[done(stop)]);
}

#[test]
fn a_deletion_seen_while_the_create_runs_is_ignored() {
    let (mut driver, create) = creating("c");
    driver.gone(id(1));
    succeed(&mut driver, create);
    driver.expect(&[answer(create, Answer::Created(id(1)))]);
    assert_eq!(driver.list(), [id(1)]);
}

#[test]
fn what_was_seen_before_a_deletion_does_not_bring_the_container_back() {
    let mut driver = running();
    let inspect = ask(&mut driver, Command::InspectContainer);
    driver.drain();
    driver.gone(id(1));
    driver.seen(id(1), "c", report(9, 9, State::Running, None));
    assert_eq!(driver.list(), []);
    fail(&mut driver, inspect);
    driver.expect(&[runtime_failed(inspect, NETWORK)]);
    assert_eq!(driver.kernel.usage(), Usage::default());
}

#[test]
fn a_container_seen_with_a_taken_name_gets_it_when_it_is_free() {
    let mut driver = running();
    driver.seen(id(2), "c", report(1, 1, State::Created, None));
    assert_eq!(driver.list(), [id(1), id(2)]);
    driver.gone(id(1));
    assert_eq!(
        driver.ask(Command::StopContainer, &["c"]),
        Sent::Refused(Reason::NoSuchContainer, None)
    );
    driver.seen(id(2), "c", report(1, 1, State::Created, None));
    assert_eq!(driver.ask(Command::StopContainer, &["c"]), Sent::Data(vec![]));
}

#[test]
fn a_container_seen_with_a_name_of_no_grammar_has_none() {
    let mut driver = driver();
    driver.seen(id(1), "-c", report(1, 1, State::Created, None));
    assert_eq!(driver.list(), [id(1)]);
    assert_eq!(driver.create(id(2), "-c"), Sent::Refused(Reason::BadName, None));
}

#[test]
fn containers_seen_beyond_the_table_are_left_out() {
    let mut driver = driver();
    for number in 1..=5 {
        driver.seen(id(number), "", report(1, 1, State::Running, None));
    }
    assert_eq!(driver.list(), [id(1), id(2), id(3), id(4)]);
    assert_eq!(
        driver.create(id(9), ""),
        Sent::Refused(Reason::ContainersFull, None)
    );
}

#[test]
fn an_argument_means_an_id_then_a_name_then_a_prefix() {
    let mut driver = driver();
    let stopped =
        |driver: &mut Driver<SmallKernel>, argument: &str| driver.ask(Command::WaitContainer, &[argument]);
    driver.seen(id(0x11), "2222", report(1, 1, State::Stopped, Some(1)));
    driver.seen(id(0x22), "web", report(1, 1, State::Stopped, Some(2)));
    let none = Sent::Refused(Reason::NoSuchContainer, None);
    assert_eq!(
        stopped(&mut driver, &id(0x22).to_string()),
        Sent::Data(b"2".to_vec())
    );
    assert_eq!(stopped(&mut driver, "2222"), Sent::Data(b"1".to_vec()));
    assert_eq!(stopped(&mut driver, "22222"), Sent::Data(b"2".to_vec()));
    assert_eq!(stopped(&mut driver, "111"), none);
    assert_eq!(stopped(&mut driver, "1112"), none);
    assert_eq!(stopped(&mut driver, "we"), none);
    let mut twin = [0x22; 16];
    twin[15] = 0;
    driver.seen(
        selur_protocol::ContainerId::from_bytes(twin),
        "",
        report(1, 1, State::Stopped, Some(3)),
    );
    assert_eq!(
        stopped(&mut driver, "22222"),
        Sent::Refused(Reason::AmbiguousPrefix, None)
    );
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
