//! states.json: the state table of DESIGN, a vector a cell.

use super::build::*;
use crate::vector::{Expect, Vector};
use selur_protocol::State;
use serde_json::{Value, json as value};

/// The seconds of virtual time: made, started, ended, started again.
const MADE: &str = "2026-01-01T00:00:01Z";
const STARTED: &str = "2026-01-01T00:00:02Z";
const ENDED: &str = "2026-01-01T00:00:03Z";
const STARTED_AGAIN: &str = "2026-01-01T00:00:04Z";

/// Adds to a vector, whose container is in the state, what a command does then.
type Row = fn(State, Vector) -> Vector;

pub(super) fn vectors() -> Vec<Vector> {
    let rows: [(&str, Row); 16] = [
        ("start", start),
        ("stop", stop),
        ("kill", kill),
        ("kill_with_a_signal", kill_with_a_signal),
        ("pause", pause),
        ("resume", resume),
        ("delete", delete),
        ("delete_force", delete_force),
        ("wait", wait),
        ("inspect", |state, vector| vector.inspect(as_it_was(state))),
        ("list", |_, vector| vector.request("list", &[], data(ID))),
        ("exec", exec),
        ("logs", |state, vector| opens(state, vector, "logs", &State::ALL)),
        ("attach", |state, vector| {
            let lives = [State::Created, State::Running, State::Paused, State::Restarting];
            opens(state, vector, "attach", &lives)
        }),
        ("stats", |state, vector| {
            opens(state, vector, "stats", &[State::Running, State::Paused])
        }),
        ("top", top),
    ];
    let mut vectors = Vec::new();
    for (row, cell) in rows {
        for state in State::ALL {
            let name = format!("{row}_of_a_{}_container", state.name());
            vectors.push(cell(state, vector_in(&name, state)));
        }
    }
    vectors
}

/// A vector whose container is in this state.
fn vector_in(name: &str, state: State) -> Vector {
    let vector = vector(name);
    match state {
        State::Created => vector.create(NGINX),
        State::Running => vector.create(NGINX).each(&["start"]),
        State::Paused => vector.create(NGINX).each(&["start", "pause"]),
        State::Restarting => vector.create("fault.test/restarting:9").each(&["start"]),
        State::Stopped => vector.create(NGINX).each(&["start", "stop"]),
    }
}

/// What inspect tells of a container that reached this state and had nothing done to it since.
fn as_it_was(state: State) -> Value {
    let (started_at, finished_at, exit_code) = match state {
        State::Created => (Value::Null, Value::Null, Value::Null),
        State::Running | State::Paused => (value!(STARTED), Value::Null, Value::Null),
        State::Restarting => (value!(STARTED), value!(ENDED), value!(9)),
        State::Stopped => (value!(STARTED), value!(ENDED), value!(143)),
    };
    value!({
        "id": ID, "state": state.name(), "exit_code": exit_code,
        "created_at": MADE, "started_at": started_at, "finished_at": finished_at,
    })
}

/// Refused, and nothing done.
fn refused(state: State, vector: Vector, command: &str, fields: &[&str]) -> Vector {
    let expect = failure("invalid_state", &[state.name()]);
    vector.request(command, fields, expect).inspect(as_it_was(state))
}

/// Done, and nothing done.
fn unchanged(state: State, vector: Vector, command: &str) -> Vector {
    vector.each(&[command]).inspect(as_it_was(state))
}

fn start(state: State, vector: Vector) -> Vector {
    match state {
        State::Created => vector.each(&["start"]).inspect(as_it_was(State::Running)),
        State::Running | State::Restarting => unchanged(state, vector, "start"),
        State::Paused => refused(state, vector, "start", &[ID]),
        State::Stopped => vector
            .each(&["start"])
            .inspect(value!({ "state": "running", "exit_code": null, "started_at": STARTED_AGAIN })),
    }
}

fn stop(state: State, vector: Vector) -> Vector {
    match state {
        State::Created | State::Stopped => unchanged(state, vector, "stop"),
        State::Running | State::Paused => vector.each(&["stop"]).inspect(as_it_was(State::Stopped)),
        State::Restarting => vector
            .each(&["stop"])
            .inspect(value!({ "state": "stopped", "exit_code": 9 })),
    }
}

fn kill(state: State, vector: Vector) -> Vector {
    let killed = |code| value!({ "state": "stopped", "exit_code": code, "finished_at": ENDED });
    match state {
        State::Created | State::Stopped => refused(state, vector, "kill", &[ID]),
        State::Running | State::Paused => vector
            .each(&["kill"])
            .request("wait", &[ID], data("137"))
            .inspect(killed(137)),
        State::Restarting => vector
            .each(&["kill"])
            .request("wait", &[ID], data("9"))
            .inspect(killed(9)),
    }
}

fn kill_with_a_signal(state: State, vector: Vector) -> Vector {
    let send = |vector: Vector| vector.request("kill", &[ID, "SIGHUP"], done());
    match state {
        State::Created | State::Stopped => refused(state, vector, "kill", &[ID, "SIGHUP"]),
        State::Running => send(vector).request("wait", &[ID], data("129")),
        State::Paused => send(vector)
            .about("A frozen process sees the signal when it is thawed.")
            .inspect(as_it_was(state))
            .each(&["resume"])
            .request("wait", &[ID], data("129")),
        State::Restarting => send(vector).request("wait", &[ID], data("9")),
    }
}

fn pause(state: State, vector: Vector) -> Vector {
    match state {
        State::Running => vector.each(&["pause"]).inspect(as_it_was(State::Paused)),
        State::Paused => unchanged(state, vector, "pause"),
        _ => refused(state, vector, "pause", &[ID]),
    }
}

fn resume(state: State, vector: Vector) -> Vector {
    match state {
        State::Paused => vector.each(&["resume"]).inspect(as_it_was(State::Running)),
        State::Running => unchanged(state, vector, "resume"),
        _ => refused(state, vector, "resume", &[ID]),
    }
}

fn delete(state: State, vector: Vector) -> Vector {
    match state {
        State::Created | State::Stopped => vector.each(&["delete"]).gone(),
        _ => refused(state, vector, "delete", &[ID]),
    }
}

fn delete_force(_: State, vector: Vector) -> Vector {
    vector.request("delete", &[ID, "force"], done()).gone().request(
        "delete",
        &[ID, "force"],
        failure("container_not_found", &[]),
    )
}

fn wait(state: State, vector: Vector) -> Vector {
    let waits = |vector: Vector| vector.submit("wait", "wait", &[ID]);
    let answer = |vector: Vector, code: &str| -> Vector {
        let expect: Expect = data(code);
        vector.answer("wait", expect)
    };
    match state {
        State::Created => answer(waits(vector).each(&["start", "stop"]), "143"),
        State::Running => answer(waits(vector).each(&["stop"]), "143"),
        State::Paused => answer(waits(vector).each(&["resume", "stop"]), "143"),
        State::Restarting => answer(waits(vector).each(&["stop"]), "9"),
        State::Stopped => vector.request("wait", &[ID], data("143")),
    }
}

fn exec(state: State, vector: Vector) -> Vector {
    let fields = [ID, r#"{"command":["true"]}"#];
    match state {
        State::Running => vector
            .request("exec", &fields, stream())
            .inspect(as_it_was(state)),
        _ => refused(state, vector, "exec", &fields),
    }
}

/// A stream that opens in some states.
fn opens(state: State, vector: Vector, command: &str, states: &[State]) -> Vector {
    if states.contains(&state) {
        vector.request(command, &[ID], stream()).inspect(as_it_was(state))
    } else {
        refused(state, vector, command, &[ID])
    }
}

fn top(state: State, vector: Vector) -> Vector {
    let processes =
        value!([{ "pid": 1, "parent_pid": 0, "uid": 0, "command": ["docker.io/library/nginx:latest"] }]);
    match state {
        State::Running | State::Paused => vector
            .request("top", &[ID], json(processes))
            .inspect(as_it_was(state)),
        _ => refused(state, vector, "top", &[ID]),
    }
}
