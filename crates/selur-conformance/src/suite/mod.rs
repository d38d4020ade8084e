//! The runtime's contract as tests, generic over the backend.
//!
//! A backend gives a [`Fixture`] and is put through all of them by [`runtime_suite!`](crate::runtime_suite):
//!
//! ```text
//! struct Mine { /* the runtime and what it needs */ }
//! impl selur_conformance::suite::Fixture for Mine { /* … */ }
//! selur_conformance::runtime_suite!(Mine);
//! ```
//!
//! Tests wait for conditions, under a deadline. The only timers choose the moment at which an abort strikes.

mod aborts;
mod lifecycle;
mod observing;
mod order;
mod refusals;
mod streams;
mod subject;

pub use subject::Subject;

pub use aborts::*;
pub use lifecycle::*;
pub use observing::*;
pub use order::*;
pub use refusals::*;
pub use streams::*;

use selur_runtime::{ContainerSpec, Runtime};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// How long a test may take before it counts as hanging.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// A fresh backend, and programs that behave in known ways.
///
/// Each program writes exactly one line to its standard output each time it is started, and nothing else. It writes
/// it when it is ready for signals: tests wait for it, because a process that is stopped before is another case.
pub trait Fixture: Send + Sync + Sized {
    /// Makes a backend of its own, with no containers.
    fn new() -> impl Future<Output = Self> + Send;

    /// The backend.
    fn runtime(&self) -> Arc<dyn Runtime>;

    /// Runs until a signal ends it: SIGTERM gives 143, SIGKILL 137.
    fn runs(&self) -> Program;

    /// Ends by itself at once, with this code.
    fn exits(&self, code: u8) -> Program;

    /// Runs, and is not ended by SIGTERM.
    fn ignores_term(&self) -> Program;

    /// Names no image, which is told without delay.
    fn missing(&self) -> Program;

    /// Whether inspect gives the process's id while it runs.
    fn has_processes(&self) -> bool;

    /// Runs the test of this path in another process, if the backend needs one, and panics if it fails there. False if
    /// it is to run in this one.
    fn passed_elsewhere(test: &str) -> bool {
        let _ = test;
        false
    }

    /// What this backend cannot do here, and refuses with `unsupported`.
    fn lacks(&self) -> &[Ability] {
        &[]
    }

    /// Whether this backend can do it here.
    fn is_able_to(&self, ability: Ability) -> bool {
        !self.lacks().contains(&ability)
    }
}

/// What a backend may be unable to do on some machines. The suite then demands that it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// Pausing and resuming.
    Pause,
    /// Telling what a container uses.
    Stats,
}

/// An image and what is run in it.
#[derive(Clone, Debug)]
pub struct Program {
    /// The reference in full.
    pub image: String,
    /// How it is run.
    pub spec: ContainerSpec,
}

impl Program {
    /// An image run as it is.
    pub fn image(image: impl Into<String>) -> Program {
        Program {
            image: image.into(),
            spec: ContainerSpec::default(),
        }
    }

    /// An image with a command.
    pub fn command(image: impl Into<String>, command: &[&str]) -> Program {
        let command = Some(command.iter().map(|word| word.to_string()).collect());
        Program {
            image: image.into(),
            spec: ContainerSpec {
                command,
                ..ContainerSpec::default()
            },
        }
    }
}

/// Makes a module `streams` with one test for each clause of the contract about what flows beside the effects.
#[macro_export]
macro_rules! stream_suite {
    ($fixture:ty) => {
        $crate::runtime_suite!(
            streams, $fixture:
            an_exec_writes_and_ends_with_its_code,
            an_exec_reads_its_input,
            an_exec_runs_where_it_was_told_to,
            an_exec_that_cannot_be_run_is_refused,
            an_exec_ends_with_its_container,
            an_exec_that_nobody_wants_is_ended,
            an_attachment_shows_what_is_written_and_the_end,
            an_attachment_needs_an_input_that_was_asked_for,
            a_log_is_read_as_the_options_say,
            statistics_are_sampled_while_it_runs,
            processes_are_told,
            events_tell_a_whole_life_to_everybody
        );
    };
}

/// Makes a module `runtime` with one test for each clause of the contract.
#[macro_export]
macro_rules! runtime_suite {
    ($fixture:ty) => {
        $crate::runtime_suite!(
            $fixture:
            a_new_container_is_created_and_listed,
            a_container_runs_until_it_is_stopped,
            a_process_that_ignores_the_stop_signal_is_killed,
            the_specification_names_the_stop_signal,
            kill_sends_the_signal_it_is_given,
            a_paused_container_is_frozen_until_it_is_resumed,
            a_paused_container_can_be_stopped,
            a_stopped_container_starts_again_as_a_new_generation,
            an_exit_code_is_what_the_process_said,
            a_failing_process_is_restarted_as_often_as_the_policy_says,
            delete_leaves_nothing_and_frees_the_name,
            forced_delete_ends_what_runs_and_is_idempotent,
            inspect_tells_what_was_asked_for,
            what_a_process_wrote_is_in_the_logs,
            a_followed_log_goes_on_through_restarts,
            an_image_in_use_is_not_deleted,
            what_is_so_already_is_done_without_a_change,
            an_unknown_container_is_not_found,
            a_state_that_forbids_an_effect_refuses_it,
            a_taken_name_is_refused,
            a_create_that_fails_leaves_nothing,
            an_aborted_create_leaves_nothing,
            an_aborted_stop_leaves_the_truth_known,
            an_exit_is_observed_by_itself,
            reports_only_grow,
            the_list_tells_what_the_last_report_told,
            concurrent_effects_on_one_container_are_ordered,
            containers_do_not_disturb_each_other
        );
    };
    ($fixture:ty: $($test:ident),*) => {
        $crate::runtime_suite!(runtime, $fixture: $($test),*);
    };
    ($module:ident, $fixture:ty: $($test:ident),*) => {
        mod $module {
            use super::*;
            $(
                #[::tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let path = concat!(module_path!(), "::", stringify!($test));
                    if <$fixture as $crate::suite::Fixture>::passed_elsewhere(path) {
                        return;
                    }
                    let test = async {
                        let fixture = <$fixture as $crate::suite::Fixture>::new().await;
                        $crate::suite::$test(&fixture).await;
                    };
                    ::tokio::time::timeout($crate::suite::DEADLINE, test)
                        .await
                        .expect("the test should not hang");
                }
            )*
        }
    };
}
