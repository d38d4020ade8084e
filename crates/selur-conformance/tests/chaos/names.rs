//! Processes that race for the same names.

use crate::caller::{OWN_SEED, TASK};
use crate::evidence::Checked;
use crate::world::{Random, World, ids};
use std::collections::BTreeMap;

const PROCESSES: usize = 8;
const NAMES: usize = 50;

#[test]
fn eight_processes_that_race_for_fifty_names_make_fifty_containers() {
    let mut random = Random::seeded("racing for names");
    let world = World::new();
    let mut processes: Vec<_> = (0..PROCESSES)
        .map(|_| {
            let environment = [(TASK, NAMES.to_string()), (OWN_SEED, random.next().to_string())];
            world.process("caller::creations_of_the_same_names", &environment)
        })
        .collect();
    for process in &processes {
        assert_eq!(process.says(), "ready");
    }
    for process in &mut processes {
        process.tell("go");
    }
    let mut winners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut refused = 0;
    for process in &processes {
        loop {
            let said = process.says();
            let words: Vec<&str> = said.split(' ').collect();
            match words[..] {
                ["won", name, id] => winners.entry(name.to_owned()).or_default().push(id.to_owned()),
                ["lost", _, "container_already_exists"] => refused += 1,
                ["over", _] => break,
                _ => panic!("one who came too late is told {said:?}"),
            }
        }
    }
    assert_eq!(winners.len(), NAMES);
    assert!(winners.values().all(|ids| ids.len() == 1), "{winners:?}");
    assert_eq!(refused, (PROCESSES - 1) * NAMES);
    drop(processes);

    let oci = world.open();
    let listed: Vec<String> = ids(&oci).iter().map(ToString::to_string).collect();
    assert_eq!(listed.len(), NAMES);
    for (name, id) in winners.iter().map(|(name, ids)| (name, &ids[0])) {
        assert!(listed.contains(id), "{id} is not there");
        let claim = std::fs::read_link(world.root().name(&format!("name-{name}"))).expect("a claim");
        assert_eq!(claim.to_str(), Some(id.as_str()));
    }
    // Nothing else was left by those who lost.
    let root = world.root();
    let directories = [root.states(), root.locks(), root.containers(), root.names()];
    for directory in directories {
        let entries = std::fs::read_dir(&directory).expect("a directory").flatten();
        let names = entries.filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
        assert_eq!(names.count(), NAMES, "in {}", directory.display());
    }
    let mut checked = Checked::default();
    checked.truth(&world, &oci);
    checked.clean_up(&world, oci);
    println!(
        "racing for names: {PROCESSES} processes, {} won, {refused} refused; {}",
        winners.len(),
        checked.told()
    );
}
