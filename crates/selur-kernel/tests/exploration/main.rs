//! Every interleaving of a few requests on the real kernel, with stateright.
//!
//! What is asked, and in which order; whether each effect succeeds, fails, is cancelled, or ends long before that is
//! told; when observations arrive; when processes end and containers are deleted by others: all of it is free. What is
//! bounded: the requests of each container are a fixed multiset, one scene each; and the cancellations, the spontaneous
//! exits and the deletions by others are at most one each in a scene. Containers do not wait for each other, so a free
//! choice among all requests would only multiply the space of one container by itself; instead,
//! `one_container_with_every_choice_of_requests` walks through every choice of three on one container, and through each
//! beside hosted commands.
//!
//! Equal containers are interchangeable, so states that differ in their numbering alone count once: the hash of a state is
//! the least of its hashes under all such permutations. Tickets are named by what was asked, not by when.
//!
//! What a lost or double answer, a broken order or a leak would violate:
//! - *nothing impossible*: no answer, effect or abort comes twice or unasked for; effects that need a container alone are
//!   alone; requests have their turns in the order of arrival; an answer is what came of its effect.
//! - *nothing lost*: when all is quiet, every ticket is answered.
//! - *nothing left*: when all is quiet, no operation, slot or record is in use but for what exists.
//! - *belief is true*: when all is quiet, the kernel's states and names are those outside.

mod fingerprint;
mod quiet;
mod scene;
mod world;

use scene::{Ask, MOST_CONTAINERS, Scene, Step};
use selur_protocol::State;
use stateright::{Checker, Model, Property};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use world::{Met, World};

struct Exploration {
    scene: Scene,
    /// The orders of the containers that keep each among those that are asked the same.
    orders: Vec<[usize; MOST_CONTAINERS]>,
}

/// A world that is equal to those which differ in the numbering of equal containers.
#[derive(Clone, Debug)]
struct Point {
    world: World,
    fingerprint: u64,
}

impl Hash for Point {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.fingerprint);
    }
}

impl PartialEq for Point {
    fn eq(&self, other: &Point) -> bool {
        self.fingerprint == other.fingerprint
    }
}

impl Exploration {
    fn new(scene: Scene) -> Exploration {
        let all = [[0, 1, 2], [1, 0, 2], [0, 2, 1], [2, 1, 0], [1, 2, 0], [2, 0, 1]];
        let requests = |container: usize| scene.requests.get(container);
        let keeps = |order: &&[usize; MOST_CONTAINERS]| {
            (0..MOST_CONTAINERS).all(|place| requests(place) == requests(order[place]))
        };
        let orders = all.iter().filter(keeps).copied().collect();
        Exploration { scene, orders }
    }

    fn point(&self, world: World) -> Point {
        let fingerprint = world.fingerprint(&self.scene, &self.orders);
        Point { world, fingerprint }
    }
}

static UNDO: AtomicBool = AtomicBool::new(false);
static ABORT: AtomicBool = AtomicBool::new(false);
static DELETED: AtomicBool = AtomicBool::new(false);
static JOIN: AtomicBool = AtomicBool::new(false);

fn note(met: Met) {
    let events = [
        (met.undo, &UNDO),
        (met.abort, &ABORT),
        (met.deleted, &DELETED),
        (met.forced_join, &JOIN),
    ];
    for (_, seen) in events.iter().filter(|(met, _)| *met) {
        seen.store(true, Ordering::Relaxed);
    }
}

impl Model for Exploration {
    type State = Point;
    type Action = Step;

    fn init_states(&self) -> Vec<Point> {
        vec![self.point(World::new(&self.scene))]
    }

    fn actions(&self, state: &Point, steps: &mut Vec<Step>) {
        // What is wrong stays wrong: there is no need to look further.
        if state.world.wrong.is_none() {
            state.world.steps(&self.scene, steps);
        }
    }

    fn next_state(&self, state: &Point, step: Step) -> Option<Point> {
        let mut world = state.world.clone();
        world.take(&self.scene, step);
        note(world.met);
        Some(self.point(world))
    }

    fn properties(&self) -> Vec<Property<Exploration>> {
        vec![
            Property::always("nothing impossible", |_, state: &Point| {
                state.world.wrong.is_none()
            }),
            Property::always("nothing lost", |model: &Exploration, state: &Point| {
                state.world.nothing_is_lost(&model.scene)
            }),
            Property::always("nothing left", |model: &Exploration, state: &Point| {
                state.world.nothing_is_left(&model.scene)
            }),
            Property::always("belief is true", |model: &Exploration, state: &Point| {
                state.world.belief_is_true(&model.scene)
            }),
            Property::sometimes("all is quiet", |model: &Exploration, state: &Point| {
                state.world.is_quiet(&model.scene)
            }),
        ]
    }
}

/// Explores a scene to its end, and says so; returns its number of states.
fn explore(name: &str, scene: Scene) -> usize {
    let begin = std::time::Instant::now();
    let states = explore_quietly(scene);
    println!("{name}: {states} states, {:.1} s", begin.elapsed().as_secs_f64());
    states
}

fn explore_quietly(scene: Scene) -> usize {
    let threads = if scene.requests.len() > 1 { 2 } else { 1 };
    let checker = Exploration::new(scene)
        .checker()
        .threads(threads)
        .spawn_dfs()
        .join();
    checker.assert_properties();
    checker.unique_state_count()
}

/// One cancellation and one spontaneous exit; effects may end before that is told; outputs are polled at once.
fn scene(requests: Vec<Vec<Ask>>) -> Scene {
    Scene {
        requests,
        born: State::Running,
        cancels: 1,
        exits: 1,
        losses: 0,
        eager: true,
        late: true,
    }
}

#[test]
fn two_containers_with_four_requests_each() {
    use Ask::*;
    let mut states = explore(
        "2 x 4, a whole life",
        scene(vec![vec![Create, Start, Stop, Force]; 2]),
    );
    states += explore(
        "2 x 4, waiting",
        scene(vec![vec![Create, Start, Wait, Delete]; 2]),
    );
    states += explore(
        "2 x 4, forced twice",
        scene(vec![vec![Create, Inspect, Force, Force]; 2]),
    );
    states += explore("2 x 4, hosted", scene(vec![vec![Create, Exec, Pull, Force]; 2]));
    let told_at_once = Scene {
        late: false,
        ..scene(vec![vec![Pause, Resume, Kill, Force]; 2])
    };
    states += explore("2 x 4, running", told_at_once);
    println!("two containers: {states} states");
}

#[test]
fn three_containers_with_two_requests_each() {
    use Ask::*;
    let mut states = explore("3 x 2, created and forced", scene(vec![vec![Create, Force]; 3]));
    states += explore("3 x 2, created and started", scene(vec![vec![Create, Start]; 3]));
    let nobody_exits = Scene {
        exits: 0,
        ..scene(vec![vec![Stop, Force]; 3])
    };
    states += explore("3 x 2, stopped and forced", nobody_exits);
    println!("three containers: {states} states");
}

#[test]
fn two_containers_that_others_delete_and_whose_outputs_are_polled_late() {
    use Ask::*;
    let lossy = |requests| Scene {
        losses: 1,
        ..scene(requests)
    };
    let mut states = explore("2 x 2, lost", lossy(vec![vec![Create, Force]; 2]));
    states += explore("2 x 3, lost", lossy(vec![vec![Stop, Wait, Delete]; 2]));
    let lazy = |requests| Scene {
        eager: false,
        late: false,
        exits: 0,
        ..scene(requests)
    };
    states += explore("2 x 2, polled late", lazy(vec![vec![Create, Force]; 2]));
    states += explore("2 x 2, running, polled late", lazy(vec![vec![Stop, Force]; 2]));
    println!("lost or polled late: {states} states");
}

/// Every choice of three requests, beside the create or on a container that is there; and every one beside hosted ones.
#[test]
fn one_container_with_every_choice_of_requests() {
    use Ask::*;
    let menu = [Start, Stop, Inspect, Delete, Force, Kill, Pause, Resume, Wait];
    let (mut states, mut scenes) = (0, 0);
    let mut each = |scene: Scene| {
        states += explore_quietly(scene);
        scenes += 1;
    };
    for (first, a) in menu.iter().enumerate() {
        for (second, b) in menu.iter().enumerate().skip(first) {
            for c in &menu[second..] {
                let free = Scene {
                    losses: 1,
                    ..scene(vec![vec![Create, *a, *b, *c]])
                };
                each(Scene {
                    eager: false,
                    late: false,
                    exits: 0,
                    losses: 0,
                    ..free.clone()
                });
                each(free);
                for born in State::ALL {
                    each(Scene {
                        born,
                        losses: 1,
                        ..scene(vec![vec![*a, *b, *c]])
                    });
                }
            }
        }
    }
    for beside in menu {
        each(Scene {
            losses: 1,
            ..scene(vec![vec![Create, Exec, Pull, beside]])
        });
        for born in State::ALL {
            each(Scene {
                born,
                losses: 1,
                ..scene(vec![vec![Exec, Pull, beside]])
            });
        }
    }
    println!("one container: {states} states of {scenes} scenes");
    assert_eq!(scenes, 165 * 7 + 9 * 6);
    for (event, seen) in [
        ("undo", &UNDO),
        ("abort", &ABORT),
        ("deletion", &DELETED),
        ("join", &JOIN),
    ] {
        assert!(seen.load(Ordering::Relaxed), "no {event} was met");
    }
}
