//! The oci backend keeps the runtime's contract without root.
//!
//! The tests are started by root, as everywhere in CI: each runs itself again as a user who is not, in a process of its
//! own, and is counted there and here. With the own id alone, with subordinate ids, and in cgroups of the user's own.

#![allow(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

#[path = "../real/mod.rs"]
mod real;
mod unprivileged;

use real::Real;
use selur_conformance::suite::{Ability, Fixture, Program};
use selur_runtime::Runtime;
use std::sync::Arc;
use unprivileged::{Ids, Place};

/// What needs cgroups that are the user's.
const WITHOUT_CGROUPS: &[Ability] = &[Ability::Pause, Ability::Stats];

/// A kind of user. The tests are the same for each.
macro_rules! user {
    ($name:ident, $place:expr, $lacks:expr) => {
        struct $name(Real);

        impl Fixture for $name {
            async fn new() -> $name {
                $name(Real::open(unprivileged::shim(), $lacks))
            }

            fn passed_elsewhere(test: &str) -> bool {
                unprivileged::passed_elsewhere(test, $place)
            }

            fn runtime(&self) -> Arc<dyn Runtime> {
                self.0.runtime()
            }

            fn runs(&self) -> Program {
                self.0.runs()
            }

            fn exits(&self, code: u8) -> Program {
                self.0.exits(code)
            }

            fn ignores_term(&self) -> Program {
                self.0.ignores_term()
            }

            fn missing(&self) -> Program {
                self.0.missing()
            }

            fn has_processes(&self) -> bool {
                self.0.has_processes()
            }

            fn lacks(&self) -> &[Ability] {
                self.0.lacks()
            }
        }
    };
}

const SINGLE_ID: Place = Place {
    ids: Ids::Own,
    has_cgroups: false,
};
const MANY_IDS: Place = Place {
    ids: Ids::Subordinate,
    has_cgroups: false,
};
const DELEGATED: Place = Place {
    ids: Ids::Subordinate,
    has_cgroups: true,
};

user!(SingleId, SINGLE_ID, WITHOUT_CGROUPS);
user!(ManyIds, MANY_IDS, WITHOUT_CGROUPS);
user!(Delegated, DELEGATED, &[]);

mod single_id {
    use super::*;
    selur_conformance::runtime_suite!(SingleId);
    selur_conformance::stream_suite!(SingleId);
}

mod many_ids {
    use super::*;
    selur_conformance::runtime_suite!(ManyIds);
    selur_conformance::stream_suite!(ManyIds);
}

mod delegated {
    use super::*;
    selur_conformance::runtime_suite!(
        cgroups, Delegated:
        a_container_runs_until_it_is_stopped,
        a_paused_container_is_frozen_until_it_is_resumed,
        a_paused_container_can_be_stopped,
        forced_delete_ends_what_runs_and_is_idempotent,
        what_is_so_already_is_done_without_a_change,
        a_state_that_forbids_an_effect_refuses_it,
        reports_only_grow,
        an_exec_ends_with_its_container,
        statistics_are_sampled_while_it_runs,
        processes_are_told,
        events_tell_a_whole_life_to_everybody
    );
}

mod own;
