//! Every cell of DESIGN's state table, by number: what each command does to a container in each state.

use crate::driver::{Driver, Sent, answer, effect, id};
use selur_kernel::SmallKernel;
use selur_protocol::abi::{Action, Answer, Output};
use selur_protocol::{Command, Reason, Signal, State, Status};

#[derive(Clone, Copy, Debug)]
enum Cell {
    /// The runtime acts.
    Acts,
    /// Success, nothing done.
    Nothing,
    /// invalid_state, with the state.
    Refused,
    /// Answered at the final exit.
    Waits,
    /// The exit code at once.
    Exit,
}

type Row = (Command, &'static [&'static str], Option<Action>, [Cell; 5]);

/// Columns: created, running, paused, restarting, stopped.
#[rustfmt::skip]
fn table() -> Vec<Row> {
    use Cell::*;
    use Command::*;
    vec![
        (StartContainer,   &["c"],          Some(Action::Start),                          [Acts, Nothing, Refused, Nothing, Acts]),
        (StopContainer,    &["c"],          Some(Action::Stop { timeout_ms: None }),      [Nothing, Acts, Acts, Acts, Nothing]),
        (StopContainer,    &["c", "0"],     Some(Action::Stop { timeout_ms: Some(0) }),   [Nothing, Acts, Acts, Acts, Nothing]),
        (KillContainer,    &["c"],          Some(Action::Kill { signal: Signal::KILL }),  [Refused, Acts, Acts, Acts, Refused]),
        (KillContainer,    &["c", "TERM"],  Some(Action::Kill { signal: Signal::TERM }),  [Refused, Acts, Acts, Acts, Refused]),
        (PauseContainer,   &["c"],          Some(Action::Pause),                          [Refused, Acts, Nothing, Refused, Refused]),
        (ResumeContainer,  &["c"],          Some(Action::Resume),                         [Refused, Nothing, Acts, Refused, Refused]),
        (DeleteContainer,  &["c"],          Some(Action::Delete { force: false }),        [Acts, Refused, Refused, Refused, Acts]),
        (DeleteContainer,  &["c", "force"], Some(Action::Delete { force: true }),         [Acts, Acts, Acts, Acts, Acts]),
        (InspectContainer, &["c"],          Some(Action::Inspect),                        [Acts, Acts, Acts, Acts, Acts]),
        (WaitContainer,    &["c"],          None,                                         [Waits, Waits, Waits, Waits, Exit]),
        (Exec,             &["c", "{}"],    Some(Action::Host(Exec)),                     [Refused, Acts, Refused, Refused, Refused]),
        (Logs,             &["c"],          Some(Action::Host(Logs)),                     [Acts, Acts, Acts, Acts, Acts]),
        (Attach,           &["c"],          Some(Action::Host(Attach)),                   [Acts, Acts, Acts, Acts, Refused]),
        (Stats,            &["c"],          Some(Action::Host(Stats)),                    [Refused, Acts, Acts, Refused, Refused]),
        (Top,              &["c"],          Some(Action::Host(Top)),                      [Refused, Acts, Acts, Refused, Refused]),
    ]
}

#[test]
fn every_cell_of_the_state_table_holds_for_an_idle_container() {
    let mut cells = 0;
    for (command, fields, action, row) in table() {
        for (state, cell) in State::ALL.into_iter().zip(row) {
            let context = format!("{} in {}", command.name(), state.name());
            let mut driver = Driver::new(SmallKernel::new());
            driver.with_container(1, "c", state);
            let sent = driver.ask(command, fields);
            match (cell, &sent) {
                (Cell::Acts, Sent::Pending(ticket)) => {
                    driver.expect(&[effect(*ticket, 1, action.expect("an action"))]);
                }
                (Cell::Nothing, Sent::Data(data)) => assert!(data.is_empty(), "{context}"),
                (Cell::Refused, Sent::Refused(Reason::WrongState, Some(told))) => {
                    assert_eq!(*told, state, "{context}");
                }
                (Cell::Waits, Sent::Pending(ticket)) => {
                    driver.expect(&[]);
                    driver.seen(id(1), "c", crate::driver::report(9, 9, State::Stopped, Some(3)));
                    driver.expect(&[answer(*ticket, Answer::Exited(Some(3)))]);
                }
                (Cell::Exit, Sent::Data(data)) => assert_eq!(data, b"7", "{context}"),
                _ => panic!("{context}: {cell:?} was expected, {sent:?} came"),
            }
            driver.expect(&[]);
            cells += 1;
        }
    }
    assert_eq!(cells, 80);
}

/// A queued request is decided by the state when its turn comes, not by that of its arrival.
#[test]
fn every_cell_of_the_state_table_holds_for_a_request_whose_turn_comes() {
    let mut cells = 0;
    for (command, fields, action, row) in table() {
        let queues = !command.is_hosted()
            && !matches!(
                command,
                Command::KillContainer | Command::InspectContainer | Command::WaitContainer
            )
            && fields.get(1) != Some(&"force");
        if !queues {
            continue;
        }
        for (state, cell) in State::ALL.into_iter().zip(row) {
            let context = format!("{} in {}", command.name(), state.name());
            let mut driver = Driver::new(SmallKernel::new());
            driver.with_container(1, "c", State::Created);
            let start = driver.ask(Command::StartContainer, &["c"]).ticket();
            let queued = driver.ask(command, fields).ticket();
            driver.expect(&[effect(start, 1, Action::Start)]);
            let report = crate::driver::report(2, 1, state, None);
            assert_eq!(driver.complete(start, Status::Success, Some(report)), Ok(()));
            let outputs = driver.drain();
            assert_eq!(outputs[0], crate::driver::done(start), "{context}");
            let expected: Output = match cell {
                Cell::Acts => effect(queued, 1, action.expect("an action")),
                Cell::Nothing => crate::driver::done(queued),
                Cell::Refused => crate::driver::wrong_state(queued, state),
                Cell::Waits | Cell::Exit => unreachable!("a wait does not queue"),
            };
            assert_eq!(outputs[1..], [expected], "{context}");
            cells += 1;
        }
    }
    assert_eq!(cells, 30);
}

#[test]
fn every_cell_of_a_hosted_command_holds_behind_a_create_by_the_state_that_came_of_it() {
    let mut cells = 0;
    for (command, fields, action, row) in table() {
        if !command.is_hosted() {
            continue;
        }
        for (state, cell) in State::ALL.into_iter().zip(row) {
            let context = format!("{} in {}", command.name(), state.name());
            let (mut driver, create) = crate::one::creating("c");
            let ticket = driver.ask(command, fields).ticket();
            driver.expect(&[]);
            let report = crate::driver::report(1, 1, state, None);
            assert_eq!(driver.complete(create, Status::Success, Some(report)), Ok(()));
            let expected = match cell {
                Cell::Acts => effect(ticket, 1, action.expect("an action")),
                _ => crate::driver::wrong_state(ticket, state),
            };
            let created = answer(create, Answer::Created(id(1)));
            assert_eq!(driver.drain(), [created, expected], "{context}");
            cells += 1;
        }
    }
    assert_eq!(cells, 25);
}
