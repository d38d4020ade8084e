//! The digest: one number for the whole logical state, so that two kernels can be compared.

use crate::link::Link;
use crate::operations::{Operation, OperationsHead};
use crate::table::{Container, TableHead, in_order};
use selur_protocol::ContainerId;

/// Other names for what a digest covers. By default each thing keeps its own.
///
/// A model checker renames, so that states which differ only in names count as one.
pub trait Renaming {
    /// The name of a ticket or effect. Different ones need different names.
    fn operation(&self, id: u64) -> u64 {
        id
    }

    /// The identity of a container. Different ones need different ones.
    fn container(&self, id: &ContainerId) -> ContainerId {
        *id
    }

    /// The name of a container that has one.
    fn name<'a>(&'a self, name: &'a [u8]) -> &'a [u8] {
        name
    }

    /// How many ids were given out.
    fn counter(&self, counter: u64) -> u64 {
        counter
    }
}

/// Everything as it is.
pub(crate) struct AsItIs;

impl Renaming for AsItIs {}

/// FNV-1a 64. Source: draft-eastlake-fnv, section 5.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn word(&mut self, word: u64) {
        self.bytes(&word.to_le_bytes());
    }
}

/// Every container in order, each with the chains of its operations; then the outbox; then the sum over all operations,
/// which does not depend on where they lie.
///
/// The arena is left out, and with it where a create's payload lies.
pub(crate) fn digest(
    containers: &[Container],
    table: &TableHead,
    operations: &[Operation],
    head: &OperationsHead,
    names: &impl Renaming,
) -> u64 {
    let mut fnv = Fnv::new();
    fnv.word(u64::from(table.used()));
    for index in in_order(containers, table) {
        let container = &containers[index];
        fnv.bytes(names.container(&container.id).as_bytes());
        fnv.word(container.name().len() as u64);
        if !container.name().is_empty() {
            fnv.bytes(names.name(container.name()));
        }
        fnv.word(u64::from(container.generation) << 32 | u64::from(container.sequence));
        fnv.word(u64::from(container.exit_code as u32));
        fnv.bytes(&[
            container.state.code(),
            container.phase as u8,
            container.exit_known as u8,
            container.reported as u8,
        ]);
        let name_of = |index: usize| names.operation(operations[index].id);
        for chain in [container.queue, container.waiters, container.forces] {
            let mut link = chain.first;
            while let Some(index) = link.index() {
                fnv.word(name_of(index));
                link = operations[index].next();
            }
            fnv.word(0);
        }
        fnv.word(container.running.index().map_or(0, name_of));
    }
    let mut link: Link = head.outbox.first;
    while let Some(index) = link.index() {
        fnv.word(names.operation(operations[index].id));
        link = operations[index].out_next;
    }
    fnv.word(names.counter(head.counter()));
    let mut sum = 0;
    for operation in operations.iter().filter(|operation| operation.id != 0) {
        let mut fnv = Fnv::new();
        fnv.word(names.operation(operation.id));
        match operation.container() {
            Some(container) => fnv.bytes(names.container(&containers[container].id).as_bytes()),
            None => fnv.bytes(ContainerId::NONE.as_bytes()),
        }
        for word in operation.digest_words() {
            fnv.word(word);
        }
        sum = fnv.0.wrapping_add(sum);
    }
    fnv.word(sum);
    fnv.0
}
