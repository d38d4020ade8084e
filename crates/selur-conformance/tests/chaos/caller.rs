//! The callers: other processes, which are this test program again. Each does what its environment says, and tells the
//! test what it is about to do.

use crate::lost::lasting;
use crate::script::{Phase, prepare};
use crate::world::{REGISTRY, ROOT, Random, block_on, command, creation, new_id, open, perform, say};
use futures_util::StreamExt;
use selur_protocol::ContainerId;
use selur_runtime::Runtime;
use std::io::BufRead;

/// What a caller does.
pub(crate) const TASK: &str = "SELUR_CHAOS_TASK";
/// Its own seed.
pub(crate) const OWN_SEED: &str = "SELUR_CHAOS_OWN_SEED";

pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub(crate) fn own_random() -> Random {
    let seed = variable(OWN_SEED).and_then(|seed| seed.parse().ok());
    Random::new(seed.expect("a seed"))
}

/// Waits for a word of the test.
pub(crate) fn hear() -> String {
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .expect("a word of the test");
    line.trim().to_owned()
}

/// No test of its own: what `kills` has killed. It performs one operation and then waits for its end.
#[test]
fn one_operation() {
    let (Some(root), Some(task)) = (variable(ROOT), variable(TASK)) else {
        return;
    };
    let registry = variable(REGISTRY).expect("a registry");
    let phase = Phase::ALL
        .into_iter()
        .find(|phase| format!("{phase:?}") == task)
        .expect("a phase");
    let mut random = own_random();
    let oci = open(root.as_ref());
    let step = match prepare(&oci, &registry, phase, &mut random) {
        Ok(step) => step,
        Err(error) => {
            say(&format!("failed to prepare: {}", error.chain()));
            hear();
            return;
        }
    };
    say("begins");
    match step.perform(&oci) {
        Ok(()) => say("ends"),
        Err(error) => say(&format!("ends with {}", error.chain())),
    }
    hear();
}

/// No test of its own: a caller that runs a further process until it is killed.
#[test]
fn an_exec_that_lasts() {
    let (Some(root), Some(task)) = (variable(ROOT), variable(TASK)) else {
        return;
    };
    let id = ContainerId::parse(&task).expect("a container");
    let oci = open(root.as_ref());
    block_on(async {
        let session = oci.exec(id, lasting(), Default::default()).await;
        let mut session = session.expect("it runs");
        session
            .output
            .next()
            .await
            .expect("it is there")
            .expect("it says so");
        say("runs");
        std::future::pending::<()>().await;
    });
}

/// No test of its own: one of those who race for names in `names`.
#[test]
fn creations_of_the_same_names() {
    let (Some(root), Some(task)) = (variable(ROOT), variable(TASK)) else {
        return;
    };
    let names: u64 = task.parse().expect("how many names");
    let mut order: Vec<u64> = (0..names).collect();
    let mut random = own_random();
    for last in (1..order.len()).rev() {
        let other = usize::try_from(random.below(last as u64 + 1)).expect("an index");
        order.swap(last, other);
    }
    let oci = open(root.as_ref());
    say("ready");
    hear();
    for number in order {
        let id = new_id();
        let create = creation(Some(format!("name-{number}")), command(&["/bin/true"]));
        match perform(&oci, id, create) {
            Ok(_) => say(&format!("won {number} {id}")),
            Err(error) => say(&format!("lost {number} {}", error.status().name())),
        }
    }
    let seen = block_on(oci.list()).expect("a list").len();
    say(&format!("over {seen}"));
    hear();
}
