//! What must hold when nothing more happens by itself.

use crate::scene::{Ask, Scene};
use crate::world::{Asked, NAMES, World, send};
use selur_kernel::Usage;
use selur_protocol::abi::Outcome;
use selur_protocol::{Command, Reason, State};

impl World {
    /// Whether nothing more has to happen by itself.
    pub fn is_quiet(&self, scene: &Scene) -> bool {
        let all_asked = scene
            .requests
            .iter()
            .zip(&self.asked)
            .all(|(requests, asked)| asked[..requests.len()].iter().all(|asked| *asked != Asked::Not));
        all_asked
            && self.effects.is_empty()
            && self.flying.is_empty()
            && (scene.eager || self.kernel.clone().poll().is_none())
    }

    /// noLostRequests: when all is quiet every ticket is answered, but for waits on what has not ended.
    pub fn nothing_is_lost(&self, scene: &Scene) -> bool {
        !self.is_quiet(scene)
            || scene.requests.iter().enumerate().all(|(container, requests)| {
                requests.iter().zip(&self.asked[container]).all(|(ask, asked)| {
                    let truth = &self.truth[container];
                    let may_wait = *ask == Ask::Wait && truth.exists && truth.state != State::Stopped;
                    *asked == Asked::Answered || may_wait
                })
            })
    }

    /// noMemoryLeaks: when all is quiet the records in use are those of what exists and of open waits.
    pub fn nothing_is_left(&self, scene: &Scene) -> bool {
        if !self.is_quiet(scene) {
            return true;
        }
        let open = self
            .asked
            .iter()
            .flatten()
            .filter(|asked| matches!(asked, Asked::Open { .. }))
            .count();
        let existing = self.truth.iter().filter(|truth| truth.exists).count();
        let usage = Usage {
            containers: existing as u32,
            operations: open as u32,
            slots: 0,
            blocks: 0,
        };
        self.kernel.usage() == usage
    }

    /// When all is quiet the kernel believes what is true: states, and which names are free.
    pub fn belief_is_true(&self, scene: &Scene) -> bool {
        !self.is_quiet(scene)
            || (0..scene.requests.len()).all(|container| {
                let truth = &self.truth[container];
                let mut kernel = self.kernel.clone();
                let name = NAMES[container];
                let asked = (
                    send(&mut kernel, Command::PauseContainer, &[name], 9),
                    send(&mut kernel, Command::CreateContainer, &["i", name], 9),
                );
                let name_taken = matches!(
                    asked.1,
                    Outcome::Ready {
                        reason: Some(Reason::NameTaken),
                        ..
                    }
                );
                name_taken == truth.exists
                    && match asked.0 {
                        Outcome::Pending { .. } => truth.exists && truth.state == State::Running,
                        Outcome::Ready { reason: None, .. } => truth.exists && truth.state == State::Paused,
                        Outcome::Ready {
                            state: Some(state), ..
                        } => truth.exists && truth.state == state,
                        Outcome::Ready { .. } => !truth.exists,
                    }
            })
    }
}
