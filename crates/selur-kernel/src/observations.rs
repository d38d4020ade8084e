//! Observe: the runtime saw what is true outside.

use crate::engine::Engine;
use crate::operations::EffectStage;
use crate::table::Phase;
use selur_protocol::abi::{Observation, Report};
use selur_protocol::{Command, ContainerId, ContainerName};

impl Engine<'_> {
    /// Takes note of what was seen. What does not fit, or is older than what is known, changes nothing.
    pub(crate) fn observe(&mut self, observation: &Observation<'_>) {
        match *observation {
            Observation::Seen { id, name, report } => self.see(id, name, report),
            Observation::Gone { id } => {
                if let Some(container) = self.table.by_id(&id) {
                    if !self.is_being_created(container) {
                        self.remove(container);
                    }
                }
            }
        }
    }

    fn see(&mut self, id: ContainerId, name: &str, report: Report) {
        let name = match ContainerName::parse(name) {
            Ok(name) if self.table.by_name(name.as_str().as_bytes()).is_none() => name.as_str(),
            _ => "",
        };
        let known = self.table.by_id(&id);
        let container = match known {
            // Ids are never used again: this was seen before the deletion.
            Some(container) if self.table.records[container].phase == Phase::Gone => return,
            Some(container) => {
                let record = &self.table.records[container];
                if record.phase == Phase::Live && record.name().is_empty() {
                    self.table.set_name(container, name.as_bytes());
                }
                container
            }
            None => match self.table.add(id, name.as_bytes(), Phase::Live) {
                Ok(container) => container,
                Err(_) => return,
            },
        };
        self.apply(container, Some(report));
    }

    fn is_being_created(&self, container: usize) -> bool {
        let record = &self.table.records[container];
        record.running.index().map_or(false, |running| {
            let operation = &self.operations.records[running];
            operation.command() == Command::CreateContainer && operation.effect != EffectStage::None
        })
    }
}
