//! What this process has seen of each container's life, and the (generation, sequence) that it tells of it.
//!
//! The daemon counts nothing. It says when a container was last started, how often its policy has started it again, and
//! in which state it is now. Each look at a container compares that with the look before; looks at one container are
//! taken one after another, so that a later look is a newer truth:
//!
//! | what differs | what is told |
//! |---|---|
//! | the moment of the last start | a new generation; one more for each restart between |
//! | a start was tried and failed | a new generation, which has ended |
//! | the state or the exit code | the next sequence of the same generation |
//!
//! A container that is first seen when it was started already is in generation 1 and one more for each restart. So two
//! processes tell the same of a container that both have watched since it was made, and each tells numbers that only
//! grow. docs/decisions/docker-backend.md says why this suffices.

use super::documents::{self, Inspected};
use super::labels;
use crate::{ContainerSpec, Inspection, RestartPolicy};
use selur_protocol::abi::Report;
use selur_protocol::{ContainerId, ContainerName, Signal, State};
use selur_shim::Moment;

/// How long podman may take from a process's end to what its policy does about it, in nanoseconds.
const CLEANUP_NS: u64 = 30_000_000_000;

/// What one look found.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// The daemon's own id of it.
    pub(super) daemon_id: String,
    pub(super) name: Option<String>,
    pub(super) state: State,
    pub(super) exit_code: Option<i32>,
    /// How many restarts have begun: Docker counts one from the end on that it follows.
    restarts: u32,
    /// What stop sends.
    pub(super) stop_signal: Signal,
    pub(super) spec: ContainerSpec,
    /// Whether it has ended, and waits to be started with new pipes.
    pub(super) is_made_ready: bool,
    started_ns: Option<u64>,
    document: Inspection,
}

impl Facts {
    /// Reads what the daemon says. Nothing if it is another's container.
    pub(super) fn read(id: ContainerId, found: Inspected) -> Option<Facts> {
        let found_labels = found.config.labels;
        if labels::id(&found_labels) != Some(id) {
            return None;
        }
        let spec: ContainerSpec = found_labels
            .get(labels::SPEC)
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default();
        let name = name(id, &found.name);
        let started_ns = documents::moment(&found.state.started_at);
        let finished_ns = documents::moment(&found.state.finished_at);
        let restart_count = u32::try_from(found.restart_count).unwrap_or(0);
        let code = i32::try_from(found.state.exit_code).ok();
        let code = code.filter(|code| (0..=255).contains(code));
        let mut state = documents::state(&found.state.status);
        let restarts = restart_count.saturating_sub(u32::from(state == State::Restarting));
        // dockerd leaves what could not be started as it was made, but for the exit code.
        if state == State::Created && code.is_some_and(|code| code != 0) {
            state = State::Stopped;
        }
        // Podman makes what has ended ready again when somebody attaches to it, and starts nothing.
        let is_made_ready = state == State::Created && started_ns.is_some();
        if is_made_ready {
            state = State::Stopped;
        }
        if found.state.status == "stopped" && awaits_restart(&spec, code, restart_count, finished_ns) {
            state = State::Restarting;
        }
        let has_ended = state == State::Stopped;
        // Nor does it say any more how that ended.
        let exit_code = code.filter(|_| has_ended && !is_made_ready);
        let runs = matches!(state, State::Running | State::Paused);
        let stop_signal = Signal::parse(&found.config.stop_signal).unwrap_or(Signal::TERM);
        let rfc3339 = |nanoseconds| Moment::from_nanoseconds(nanoseconds).to_rfc3339();
        let document = Inspection {
            id: id.to_string(),
            name: name.clone(),
            image: found_labels.get(labels::IMAGE).cloned().unwrap_or_default(),
            image_digest: found_labels.get(labels::DIGEST).cloned(),
            state: state.name().into(),
            pid: u32::try_from(found.state.pid).ok().filter(|pid| runs && *pid > 0),
            exit_code,
            created_at: rfc3339(documents::moment(&found.created).unwrap_or(0)),
            started_at: started_ns.map(rfc3339),
            finished_at: finished_ns.map(rfc3339),
            restart_count,
            spec: spec.clone(),
            labels: labels::of_user(found_labels),
        };
        Some(Facts {
            daemon_id: found.id,
            name,
            state,
            exit_code,
            restarts,
            stop_signal,
            spec,
            is_made_ready,
            started_ns,
            document,
        })
    }

    /// What inspect answers.
    pub(super) fn inspection(&self) -> Inspection {
        self.document.clone()
    }

    /// The same, with what this process has seen and the daemon has forgotten.
    pub(super) fn completed(mut self, track: &Track) -> Facts {
        self.exit_code = track.report.exit_code;
        self.document.exit_code = track.report.exit_code;
        self
    }

    /// Whether a process of it may exist.
    pub(super) fn is_alive(&self) -> bool {
        matches!(self.state, State::Running | State::Paused | State::Restarting)
    }
}

/// The daemon's name of a container that has none of ours: every container has one there.
pub(super) fn placeholder(id: ContainerId) -> String {
    format!("selur-{id}")
}

/// Our name of a container, from the daemon's.
pub(super) fn name(id: ContainerId, name: &str) -> Option<String> {
    let name = name.trim_start_matches('/');
    let is_own = name != placeholder(id) && ContainerName::parse(name).is_ok();
    is_own.then(|| name.to_owned())
}

/// Whether podman is about to start it again: it says so with no word, but has not cleaned up yet.
fn awaits_restart(
    spec: &ContainerSpec,
    code: Option<i32>,
    restart_count: u32,
    finished_ns: Option<u64>,
) -> bool {
    let most = match spec.restart {
        RestartPolicy::No => return false,
        RestartPolicy::OnFailure(most) => most.unwrap_or(u32::MAX),
    };
    let now = Moment::now().as_nanoseconds();
    let is_fresh = finished_ns.is_some_and(|finished| now.saturating_sub(finished) < CLEANUP_NS);
    is_fresh && code != Some(0) && restart_count < most
}

/// How far a container's life has come, as this process tells it.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) report: Report,
    pub(super) name: Option<String>,
    started_ns: Option<u64>,
    /// The restarts that are counted in the generation.
    counted: u32,
}

impl Track {
    /// What is known after a look, and whether it says something new.
    pub(super) fn after(before: Option<&Track>, facts: &Facts) -> (Track, bool) {
        let Some(before) = before else {
            return (Track::first(facts), true);
        };
        let mut after = before.clone();
        after.name.clone_from(&facts.name);
        // Docker counts from the last start by hand on, podman from the creation on.
        let restarts = facts.restarts.checked_sub(before.counted);
        let restarts = restarts.unwrap_or(facts.restarts);
        let is_by_hand = matches!(before.report.state, State::Created | State::Stopped);
        let starts = restarts.saturating_add(u32::from(is_by_hand)).max(1);
        let has_started = facts.started_ns.is_some() && facts.started_ns != before.started_ns;
        let has_failed = before.report.state == State::Created
            && facts.state == State::Stopped
            && facts.started_ns.is_none();
        let forgets = facts.is_made_ready && !has_started && before.report.state == State::Stopped;
        let exit_code = if forgets {
            before.report.exit_code
        } else {
            facts.exit_code
        };
        let differs = (before.report.state, before.report.exit_code) != (facts.state, exit_code);
        if has_started || has_failed {
            after.report.generation = before.report.generation.saturating_add(starts);
            after.report.sequence = 0;
            after.started_ns = facts.started_ns;
            after.counted = facts.restarts;
        } else if differs {
            after.report.sequence = before.report.sequence.saturating_add(1);
        }
        after.report.state = facts.state;
        after.report.exit_code = exit_code;
        let is_news = has_started || has_failed || differs || after.name != before.name;
        (after, is_news)
    }

    fn first(facts: &Facts) -> Track {
        let generation = match facts.state {
            State::Created => 0,
            _ => facts.restarts.saturating_add(1),
        };
        Track {
            report: Report {
                generation,
                sequence: 0,
                state: facts.state,
                exit_code: facts.exit_code,
            },
            name: facts.name.clone(),
            started_ns: facts.started_ns,
            counted: facts.restarts,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]
mod tests {
    use super::*;
    use serde_json::json;

    const ID: ContainerId = ContainerId::from_bytes([0xab; 16]);

    fn facts(status: &str, started: u32, restarts: u32, code: u32) -> Facts {
        let started = match started {
            0 => "0001-01-01T00:00:00Z".to_owned(),
            second => format!("2026-01-01T00:00:{second:02}.5Z"),
        };
        let found = json!({
            "Id": "d", "Name": "/web", "Created": "2026-01-01T00:00:00Z", "RestartCount": restarts,
            "State": { "Status": status, "Pid": 7, "ExitCode": code, "StartedAt": started },
            "Config": { "Labels": { labels::ID: ID.to_string(), labels::SPEC: r#"{"restart":"on-failure:2"}"# } },
        });
        Facts::read(ID, serde_json::from_value(found).unwrap()).unwrap()
    }

    #[test]
    fn numbers_only_grow_and_each_start_is_a_generation() {
        // State, start, restarts, code; generation, sequence.
        let life = [
            (("created", 0, 0, 0), (0, 0)),
            (("running", 1, 0, 0), (1, 0)),
            (("running", 1, 0, 0), (1, 0)),
            (("paused", 1, 0, 0), (1, 1)),
            (("running", 1, 0, 0), (1, 2)),
            (("exited", 1, 0, 3), (1, 3)),
            (("running", 2, 0, 0), (2, 0)),
            // Counted already, but not started yet.
            (("restarting", 2, 1, 3), (2, 1)),
            (("running", 3, 1, 0), (3, 0)),
            // One that nobody saw, and the last.
            (("exited", 5, 3, 3), (5, 0)),
            // A start by hand counts restarts anew.
            (("running", 6, 0, 0), (6, 0)),
        ];
        let mut track: Option<Track> = None;
        for ((status, started, restarts, code), expected) in life {
            let facts = facts(status, started, restarts, code);
            let (after, _) = Track::after(track.as_ref(), &facts);
            assert_eq!(
                (after.report.generation, after.report.sequence),
                expected,
                "{status} {started}"
            );
            track = Some(after);
        }
    }

    #[test]
    fn a_start_that_failed_is_a_generation_that_has_ended() {
        let (made, _) = Track::after(None, &facts("created", 0, 0, 0));
        let (failed, is_news) = Track::after(Some(&made), &facts("created", 0, 0, 127));
        assert_eq!(
            (failed.report.generation, failed.report.state),
            (1, State::Stopped)
        );
        assert_eq!((failed.report.exit_code, is_news), (Some(127), true));
    }

    #[test]
    fn restarts_before_the_first_look_after_a_start_are_counted() {
        let (created, _) = Track::after(None, &facts("created", 0, 0, 0));
        let (running, _) = Track::after(Some(&created), &facts("running", 2, 1, 0));
        assert_eq!(running.report.generation, 2);
        let (ended, _) = Track::after(Some(&running), &facts("exited", 3, 2, 3));
        assert_eq!(ended.report.generation, 3);
        // The one that is waited for has not begun.
        let (waits, _) = Track::after(Some(&created), &facts("restarting", 1, 1, 3));
        let (runs, _) = Track::after(Some(&waits), &facts("running", 2, 1, 0));
        assert_eq!((waits.report.generation, runs.report.generation), (1, 2));
        let (late, _) = Track::after(None, &facts("restarting", 1, 1, 3));
        assert_eq!(late.report.generation, 1);
        // Started by hand, and once more by its policy.
        for (restarts, daemon) in [(1, "Docker"), (3, "podman")] {
            let (again, _) = Track::after(Some(&ended), &facts("running", 5, restarts, 0));
            assert_eq!(again.report.generation, 5, "{daemon}");
        }
    }

    #[test]
    fn an_exit_code_outlives_what_podman_makes_of_the_container() {
        let (ended, _) = Track::after(None, &facts("exited", 1, 0, 3));
        let ready = facts("created", 1, 0, 0);
        let (after, is_news) = Track::after(Some(&ended), &ready);
        assert_eq!((after.report, is_news), (ended.report, false));
        let known = ready.clone().completed(&after);
        assert_eq!(
            (known.exit_code, known.inspection().exit_code),
            (Some(3), Some(3))
        );
        // Nobody has seen its end.
        assert_eq!(Track::after(None, &ready).0.report.exit_code, None);
    }

    #[test]
    fn what_is_first_seen_later_counts_its_restarts() {
        let (track, _) = Track::after(None, &facts("running", 9, 2, 0));
        assert_eq!((track.report.generation, track.report.sequence), (3, 0));
    }

    #[test]
    fn the_placeholder_is_no_name() {
        assert_eq!(name(ID, &format!("/{}", placeholder(ID))), None);
        assert_eq!(name(ID, "/web"), Some("web".into()));
        assert_eq!(name(ID, "/a name that is none of ours"), None);
    }

    #[test]
    fn another_containers_label_is_not_ours() {
        let found =
            json!({ "Id": "d", "Config": { "Labels": { labels::ID: "00000000000000000000000000000001" } } });
        assert!(Facts::read(ID, serde_json::from_value(found).unwrap()).is_none());
        let foreign = json!({ "Id": "d", "Config": { "Labels": {} } });
        assert!(Facts::read(ID, serde_json::from_value(foreign).unwrap()).is_none());
    }
}
