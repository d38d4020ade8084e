//! What the runtime saw, and how containers are found: one sentence each.
//!
//! Source: DESIGN, "The kernel".

use crate::driver::*;
use crate::one::*;
use selur_kernel::{SmallKernel, Usage};
use selur_protocol::abi::Answer;
use selur_protocol::{Command, Reason, State, Status};

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
fn a_wait_on_a_container_that_has_ended_tells_any_exit_code() {
    for code in [i32::MIN, -1, 0, 7, 10, 255, i32::MAX] {
        let mut driver = running();
        driver.seen(id(1), "c", report(1, 9, State::Stopped, Some(code)));
        let told = Sent::Data(code.to_string().into_bytes());
        assert_eq!(driver.ask(Command::WaitContainer, &["c"]), told);
    }
}

#[test]
fn a_container_is_found_by_the_longest_name_there_is() {
    let mut driver = driver();
    let name = "n".repeat(63);
    driver.seen(id(1), &name, report(1, 1, State::Stopped, Some(7)));
    assert_eq!(
        driver.ask(Command::WaitContainer, &[&name]),
        Sent::Data(b"7".to_vec())
    );
    let shorter = &name[..62];
    assert_eq!(
        driver.ask(Command::WaitContainer, &[shorter]),
        Sent::Refused(Reason::NoSuchContainer, None)
    );
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
