//! When two worlds count as one.

use crate::scene::{MOST_CONTAINERS, Scene};
use crate::world::{Asked, Effect, World, id};
use selur_kernel::Renaming;
use selur_protocol::ContainerId;
use std::hash::{Hash, Hasher};

impl World {
    /// A hash that is equal for worlds which differ only in the numbering of containers that are asked the same.
    ///
    /// Containers are put in the order of what is known of each by itself; where that leaves several orders, the least
    /// hash counts.
    pub fn fingerprint(&self, scene: &Scene, orders: &[[usize; MOST_CONTAINERS]]) -> u64 {
        let mut alone = [0; MOST_CONTAINERS];
        for (container, alone) in alone.iter_mut().enumerate().take(scene.requests.len()) {
            *alone = self.hash_alone(container);
        }
        let sorted = |order: &&[usize; MOST_CONTAINERS]| {
            scene
                .requests
                .windows(2)
                .enumerate()
                .all(|(place, pair)| pair[0] != pair[1] || alone[order[place]] <= alone[order[place + 1]])
        };
        let hash = |order: &[usize; MOST_CONTAINERS]| {
            let mut places = [0; MOST_CONTAINERS];
            for (place, container) in order.iter().enumerate() {
                places[*container] = place;
            }
            let mut fnv = Fnv::default();
            // The digest leaves the arena out, where a slot may leak.
            self.kernel.usage().hash(&mut fnv);
            fnv.write_u64(self.kernel.digest_renamed(&Renamed {
                world: self,
                places: &places,
            }));
            order
                .iter()
                .for_each(|container| fnv.write_u64(alone[*container]));
            (self.cancels, self.exits, self.losses, self.wrong.is_some()).hash(&mut fnv);
            fnv.finish()
        };
        orders.iter().filter(sorted).map(hash).min().unwrap_or(0)
    }

    /// What is known of a container but by the kernel.
    fn hash_alone(&self, container: usize) -> u64 {
        let mut fnv = Fnv::default();
        for asked in &self.asked[container] {
            // The order of arrival matters only among those that wait; the kernel's queue has it.
            match asked {
                Asked::Not => fnv.write_u8(0),
                Asked::Open {
                    handed_out, outcome, ..
                } => (1u8, handed_out, outcome).hash(&mut fnv),
                Asked::Answered => fnv.write_u8(2),
            }
        }
        self.truth[container].hash(&mut fnv);
        let mut sum = 0u64;
        for (_, effect) in self.effects.iter().filter(|(_, it)| it.container == container) {
            let mut each = Fnv::default();
            Effect {
                container: 0,
                ..*effect
            }
            .hash(&mut each);
            sum = sum.wrapping_add(each.finish());
        }
        for (_, report) in self.flying.iter().filter(|(it, _)| *it == container) {
            let mut each = Fnv::default();
            report.hash(&mut each);
            sum = sum.wrapping_add(each.finish());
        }
        fnv.write_u64(sum);
        fnv.finish()
    }
}

/// FNV-1a over words rather than bytes, mixed at the end: quick, and good enough with 64 bits.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u8(&mut self, word: u8) {
        self.write_u64(u64::from(word));
    }

    fn write_u32(&mut self, word: u32) {
        self.write_u64(u64::from(word));
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 ^= self.0 >> 29;
    }

    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ self.0 >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ mixed >> 32
    }
}

/// Names that do not depend on when a ticket was given, nor on which of several equal containers it is.
struct Renamed<'a> {
    world: &'a World,
    places: &'a [usize; MOST_CONTAINERS],
}

impl Renaming for Renamed<'_> {
    fn operation(&self, id: u64) -> u64 {
        let place = |container: usize| 1 + 16 * self.places[container] as u64;
        match self.world.place_of(id) {
            Some((container, request)) => place(container) + request as u64,
            // The undo of whichever container it is for: there is one at most, and the digest has the container.
            None => 15,
        }
    }

    fn container(&self, own: &ContainerId) -> ContainerId {
        let container = usize::from(own.as_bytes()[0]) - 1;
        id(self.places[container])
    }

    fn name<'a>(&'a self, _: &'a [u8]) -> &'a [u8] {
        &[]
    }

    fn counter(&self, _: u64) -> u64 {
        0
    }
}
